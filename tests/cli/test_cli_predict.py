"""`knuckle predict` from the outside, with the package's networks and with others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from known_networks import box_corners, write_onnx
from knuckle.cli import main
from knuckle.predict import Contract, CropRule
from knuckle.systems import open_system
from knuckle.train import checkpoint
from knuckle.weights import weights_path
from tiny_sets import hands

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"


def predicted(out):
    return json.loads((out / "hand.json").read_text())["hands"]


def test_the_packages_network_named_as_a_model_says_the_same(tmp_path, capsys):
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "a")]) == 0
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "b"), "--model", str(weights_path("hand"))]) == 0
    assert predicted(tmp_path / "a") == predicted(tmp_path / "b")
    assert "1 hand in 1 picture, written to" in capsys.readouterr().out


def test_a_metric_model_with_an_object(tmp_path):
    """A right-hands-only file that says neither side nor presence: the package's network looks first."""
    joints = hands(1, left=False)[0][0]
    crop = CropRule(64, "upright", 1.4, "right")
    contract = Contract(
        "s5",
        crop=crop,
        coordinates="metric",
        inputs=("image", "K", "box"),
        outputs=("joints", "corners", "category"),
        categories=("can", "cup"),
    )
    corners = box_corners(joints[9])
    constants = {"joints": joints, "corners": corners, "category": [0.25, 0.75]}
    path = write_onnx(tmp_path / "s5.onnx", contract, constants)
    kinds = "json,overlay,npz,glb"
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--model", str(path), "--save", kinds]) == 0
    (hand,) = predicted(tmp_path)
    assert hand["side"] == "right"
    assert hand["object"]["category"] == "cup"
    assert hand["object"]["category_probability"] == 0.75
    # An upright crop: the network's frame is turned about the optical axis, and depths are the same.
    np.testing.assert_allclose(np.array(hand["object"]["corners_camera"])[:, 2], corners[:, 2], atol=1e-5)
    stored = np.load(tmp_path / "hand.npz")
    np.testing.assert_allclose(stored["object_corners_camera"][0], hand["object"]["corners_camera"], atol=1e-5)
    assert stored["T_camera_object"].shape == (1, 4, 4)
    assert stored["object_category"].tolist() == ["cup"]
    assert (tmp_path / "hand.overlay.jpg").stat().st_size > 1000


def test_arrays_of_no_hands_and_of_no_objects(tmp_path):
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--save", "npz", "--max-hands", "1"]) == 0
    stored = np.load(tmp_path / "hand.npz")
    assert np.isnan(stored["object_corners_camera"]).all()
    assert stored["object_category"].tolist() == [""]
    assert np.isnan(stored["object_category_probability"]).all()


def test_a_checkpoint(tmp_path):
    config = {"stem": [8], "widths": [8, 8, 8], "blocks": [1, 1, 1], "width": 8, "layers": 1}
    weights = open_system("shipped", config).network().state_dict()
    folder = checkpoint.save(tmp_path, 1, {"system": "shipped", "config": config}, weights, {})
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "out"), "--model", str(folder)]) == 0
    assert (tmp_path / "out" / "hand.json").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.onnx", "none.onnx must be an existing ONNX file but is not"),
        (
            lambda p: p,
            "must be an .onnx file or a checkpoint's folder (config.json, weights.safetensors) but",
        ),
        (lambda p: Path(shutil.copy(EXAMPLE, p / "hand.onnx")), "hand.onnx must be an ONNX file but cannot be opened"),
        (lambda p: weights_path("detector"), "detector.onnx must be a hand network but is a detector"),
    ],
)
def test_what_is_no_model_is_named_in_one_line(tmp_path, capsys, make, message):
    path = make(tmp_path)
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "out"), "--model", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_folder_of_folders_is_answered_with_a_pattern(tmp_path, capsys):
    (tmp_path / "photos" / "day1").mkdir(parents=True)
    assert main(["predict", str(tmp_path / "photos"), "--out", str(tmp_path)]) == 1
    assert f'for those in its folders give a pattern: "{tmp_path}/photos/**/*.jpg"' in capsys.readouterr().err


def test_options_that_cannot_be(tmp_path, capsys):
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--save", "gif"]) == 2
    assert (
        "save must be among json, jsonl, overlay, glb, bvh, npz, csv, coco, mask, rrd, mano but got gif"
        in capsys.readouterr().err
    )
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--overlay", "mesh"]) == 2
    assert "overlay is mesh but no overlay is to be written; add overlay to save" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "none.jpg"), "--out", str(tmp_path)]) == 1
    assert "must be an existing file, folder or pattern" in capsys.readouterr().err
