"""The report of an evaluation: JSON, table, curves, bars and worst cases."""

import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console

import tiny_sets
from knuckle.evaluate import PROTOCOLS, Predictions, evaluate
from knuckle.evaluate.plots import draw_bars, draw_curves, write_plots
from knuckle.evaluate.sources import pictures_of, read_source
from knuckle.evaluate.table import print_report


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    tiny_sets.truth_list(root, n=6)
    source = read_source(PROTOCOLS["own"], root)
    joints = source.truth.joints + np.random.default_rng(0).normal(size=(6, 21, 3)) * 0.01
    joints[2] += [0.1, 0.0, 0.0]
    present = np.array([True, True, True, True, True, False])
    joints[5] = np.nan
    predicted = Predictions(present, joints, left=source.truth.left, source="noise")
    return source, predicted, evaluate(source.truth, predicted, PROTOCOLS["own"], resamples=50)


def test_json_is_complete_and_plain(scored, tmp_path):
    _, _, report = scored
    report.write_json(tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["protocol"] == "own"
    assert data["missing"] == 1
    assert data["scores"]["joints_pa"]["unit"] == "mm"
    low, high = data["scores"]["joints_pa"]["interval_95"]
    assert low <= data["scores"]["joints_pa"]["value"] <= high
    assert data["scores"]["joints_pa_auc_0_50_mm"]["median"] is None
    assert len(data["joints"]["joints_pa"]) == 21
    assert len(data["curves"]["joints_pa"]["pck"]) == 100
    assert data["worst"][0]["id"] == "00005"
    assert data["subsets"].keys() == {"left", "right"}
    assert any("alignment" in line for line in data["says"])


def test_the_table_describes_the_protocol(scored):
    _, _, report = scored
    out = io.StringIO()
    print_report(report, Console(file=out, width=200))
    text = out.getvalue()
    for piece in ("PA-MPJPE", "95 % interval", "missing: 1 (each counted as 50 mm", "proper rotations only", "noise"):
        assert piece in text
    assert f"{report.value('joints_pa'):.2f}" in text


def test_plots_are_written_and_show_the_worst(scored, tmp_path):
    source, predicted, report = scored
    images = pictures_of(source, report.worst(20).tolist())
    written = write_plots(report, tmp_path / "plots", source.truth, predicted, images)
    names = {path.name for path in written}
    assert {"pck.png", "pck_image.png", "joints_joints_pa.png", "joints_image.png", "worst.png"} <= names
    for path in written:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 1
    sheet = cv2.imread(str(tmp_path / "plots" / "worst.png"))
    assert sheet.shape == (512, 1280, 3)  # six hands, five in a row


def test_without_pictures_there_is_no_sheet(scored, tmp_path):
    source, predicted, report = scored
    written = write_plots(report, tmp_path, source.truth, predicted, {})
    assert "worst.png" not in {path.name for path in written}


def test_a_curve_is_drawn_at_its_values():
    x = np.linspace(0, 50, 11)
    picture = draw_curves({"half": (x, np.full(11, 0.5)), "none": (x, np.full(11, np.nan))}, "mm", "title")
    assert picture.shape == (720, 1100, 3)
    # Half way up the axes: the curve's blue, and not its neighbour rows.
    row = picture[345, 150:1000]
    assert (np.abs(row.astype(int) - (39, 125, 161)).sum(1) < 60).mean() > 0.95
    assert (picture[300, 150:400] == 255).all(1).mean() > 0.9


def test_bars_are_as_high_as_their_values():
    picture = draw_bars({"wrist": 10.0, "index_tip": 5.0, "ring_tip": float("nan")}, "mm", "title")
    slot = (1100 - 140) / 3

    def height(i):
        column = picture[60:629, round(100 + (i + 0.5) * slot)]
        return (column < 250).any(1).sum()

    assert height(0) / height(1) == pytest.approx(2, rel=0.05)
    assert height(2) < 30


def test_empty_plots():
    assert draw_bars({"wrist": float("nan")}, "mm", "").shape == (720, 1100, 3)
    assert draw_curves({}, "mm", "").shape == (720, 1100, 3)
