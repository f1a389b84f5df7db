"""The script of the photographs' scores, on predictions whose errors are known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel

TOOLS = Path(__file__).parents[2] / "tools"
K = np.array([[300.0, 0, 128], [0, 300, 128], [0, 0, 1]])
BEFORE_CAMERA = np.array([0.0, -0.05, 0.5])


@pytest.fixture
def main(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from score_photographs import main

    yield main
    del sys.modules["score_photographs"]


@pytest.fixture
def joints():
    """(21, 3) an open hand before the camera."""
    return np.asarray(HandModel.open().joints(np.zeros(23))) + BEFORE_CAMERA


def pixels(joints):
    rays = joints @ K.T
    return rays[:, :2] / rays[:, 2:]


def write(folder, truth, found):
    """truth.json of the entries, and the hands found in each picture; None for a picture without a file."""
    folder.mkdir()
    names = [f"{i:04d}" for i in range(len(truth))]
    entries = [{"image": f"{name}.jpg", **entry} for name, entry in zip(names, truth, strict=True)]
    (folder / "truth.json").write_text(json.dumps(entries))
    for name, hands in zip(names, found, strict=True):
        if hands is not None:
            (folder / f"{name}.json").write_text(json.dumps({"hands": hands}))
    return [str(folder), str(folder)]


def test_joints_with_known_errors(main, tmp_path, capsys, joints):
    entry = {"side": "left", "K": K.tolist(), "joints_camera": joints.tolist()}
    # A similarity of the truth has no error once aligned; a shift of 3 and 4 pixels is one of 5.
    turned = 1.2 * joints @ axis_angle_to_matrix(np.array([0.1, 0.2, 0.3])).T + 0.1
    hand = {"side": "left", "score": 0.9, "joints_camera": turned.tolist()}
    hand["joints_image"] = (pixels(joints) + np.array([3.0, 4.0])).tolist()
    worse = {**hand, "score": 0.5, "joints_camera": (joints[::-1]).tolist()}
    assert main(["joints", *write(tmp_path / "a", [entry] * 4, [[worse, hand]] * 3 + [None])]) == 0
    relative = 1e3 * np.linalg.norm((turned - turned[0]) - (joints - joints[0]), axis=1).mean()
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "pictures 4, missed 1, side right 100.0%"
    aligned, _, auc = second.rpartition(" ")
    assert aligned == "PA-MPJPE 12.50 mm (median 0.00), AUC 0-50 mm"
    # The missed hand is within the last of the thresholds alone; rounding decides whether the others are within 0.
    assert float(auc) == pytest.approx(0.75 + 0.25 / 100, abs=0.009)
    assert third == (
        f"root-relative MPJPE {0.75 * relative + 12.5:.2f} mm, 2D {(3 * 5 + 50) / 4:.2f} px mean, 5.00 median"
    )


def test_a_mirror_image_is_not_accepted_and_a_side_is_counted(main, tmp_path, capsys):
    bent = np.asarray(HandModel.open().joints(np.full(23, 0.4))) + BEFORE_CAMERA
    mirrored = bent * [-1, 1, 1]
    entry = {"side": "left", "K": K.tolist(), "joints_camera": bent.tolist()}
    hand = {"side": "right", "score": 1.0, "joints_camera": mirrored.tolist(), "joints_image": pixels(bent).tolist()}
    assert main(["joints", *write(tmp_path / "a", [entry], [[hand]])]) == 0
    said = capsys.readouterr().out
    assert "side right 0.0%" in said
    assert float(said.split("PA-MPJPE ")[1].split()[0]) > 5


def test_boxes_with_known_counts(main, tmp_path, capsys):
    labelled = [[0, 0, 10, 10], [20, 0, 30, 10]]
    found = [
        # Found, found a second time, and elsewhere; then exactly half of a box, and just less; then nothing.
        [([0, 0, 10, 9], 0.9), ([0, 0, 10, 10], 0.8), ([50, 50, 60, 60], 0.7)],
        [([0, 0, 10, 5], 0.9), ([20, 0, 30, 4.9], 0.9)],
        [],
        None,
    ]
    hands = [None if f is None else [{"box": box, "score": score} for box, score in f] for f in found]
    assert main(["boxes", *write(tmp_path / "a", [{"boxes": labelled}] * 4, hands)]) == 0
    said = capsys.readouterr().out.strip()
    assert said == "recall 25.0% of 8 hands at IoU 0.5, 5 boxes given, precision 40.0%"


def test_folders_that_are_none_are_named(main, tmp_path, capsys):
    folder = write(tmp_path / "a", [{"boxes": []}], [None])[0]
    (tmp_path / "empty").mkdir()
    for words, said in (
        (["boxes", str(tmp_path / "empty"), folder], "truth.json must be a list"),
        (["boxes", folder, str(tmp_path / "empty")], "must hold predictions such as 0000.json"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
