"""Jobs as they are typed: every data set trains a system, what cannot be is named in one line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import tiny_sets
from hand_pictures import drawn_samples, write_truth
from knuckle.cli import main
from knuckle.datasets.readers import READERS
from knuckle.train import precision

NETWORK = [
    "stem=[8]",
    "widths=[8, 16, 16]",
    "blocks=[1, 1, 1]",
    "width=16",
    "layers=1",
    "crop.size=32",
    "crop.patch=48",
]
SMALL = [word for setting in NETWORK for word in ("--set", setting)]


def write(name: str, root: Path) -> str:
    """The tiny set of a reader, as a data set to train on."""
    if name.startswith("ho3d"):
        tiny_sets.ho3d(root, name.removeprefix("ho3d-"), n=6)
    else:
        getattr(tiny_sets, {"truth": "truth_list", "dexter-object": "dexter_object"}.get(name, name))(root)
    # Some are written with the split to test on alone.
    tests = dict.fromkeys(("dexter-object", "stb", "interhand", "obman"), ":test")
    splits = tests | {"rhd": ":evaluation", "fpha": ":all", "hop": ":all"}
    return f"{name}:{root}{splits.get(name, '')}"


@pytest.mark.parametrize("name", [name for name in READERS if name != "arrays"])
def test_every_reader_trains_a_system_for_ten_steps(name, tmp_path, capsys):
    data = ["--data", write(name, tmp_path / "set")]
    if name in ("weak", "coco"):
        # Labels in the picture alone: 3D comes from somewhere else.
        data += ["--data", write_truth(tmp_path / "solid", drawn_samples(4))]
    out = tmp_path / "run"
    status = main(
        ["train", "shipped", *data, "--out", str(out), "--steps", "10", "--batch", "4", "--log-every", "5", *SMALL]
    )
    assert status == 0, capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 10
    assert np.isfinite([value for line in lines for value in line.values()]).all()
    assert lines[-1]["uv_px"] > 0
    # Depths are counted from a joint that Dexter+Object, which has fingertips alone, does not label.
    assert ("depth_px" in lines[-1]) == (name != "dexter-object")


def test_arrays_without_pictures_are_refused(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    tiny_sets.arrays(tmp_path / "set")
    assert main(["train", "shipped", "--data", f"arrays:{tmp_path}/set", "--out", str(tmp_path / "run"), *SMALL]) == 2
    assert "holds arrays and no pictures" in capsys.readouterr().err


@pytest.fixture
def data(tmp_path) -> str:
    return write_truth(tmp_path / "drawn", drawn_samples(6))


def said(capsys) -> str:
    """The one line of the error."""
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("knuckle: ")]
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "freehand:x"], "data must be a folder of shards or NAME:ROOT with NAME of"),
        (["--data", "freihand:nowhere"], "nowhere must exist but does not"),
        (["--data", "nowhere"], "nowhere must hold .tar shards"),
        (["--data", "DATA@2"], "above 0 and at most 1"),
        (["--data", "DATA", "--set", "crop.sise=3"], "has no entry 'crop.sise'"),
        (["--data", "DATA", "--set", "crop.size=big"], "must be a whole number but got 'big'"),
        (["--data", "DATA", "--pretrained"], "pretrained must be off"),
        (["--data", "DATA:2d"], "one set at least must have joints_camera"),
        (["--data", "DATA", "--devices", "0"], "devices and nodes must be 1 or more"),
        (["--data", "DATA", "--from-checkpoint", "nowhere"], "nowhere must be a checkpoint"),
        (["--data", "DATA", "--set", "stages.0.losses.bonse=1"], "weighs losses that there are not: bonse"),
    ],
)
def test_what_cannot_be_is_named_in_one_line(data, tmp_path, capsys, words, message):
    words = [word.replace("DATA", data) for word in words]
    assert main(["train", "shipped", "--out", str(tmp_path / "run"), "--steps", "2", *SMALL, *words]) == 2
    assert message in said(capsys)


def test_an_unknown_system_is_named(data, tmp_path, capsys):
    assert main(["train", "s9", "--data", data, "--out", str(tmp_path)]) == 2
    assert "system must be one of shipped, detector" in said(capsys)


def test_cuda_is_asked_for_only_where_there_is_one(data, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert main(["train", "shipped", "--data", data, "--out", str(tmp_path), "--device", "cuda"]) == 2
    assert "torch finds no GPU here" in said(capsys)


def test_a_mix_is_trained_exported_and_predicts(data, tmp_path, capsys):
    """The commands' bodies, one after the other, with shares, lengths and rates from the command line."""
    other = write_truth(tmp_path / "flat", drawn_samples(6, seed=1))
    run = tmp_path / "run"
    words = ["--data", f"{data}@0.75", "--data", f"{other}:2d@0.25", "--steps", "6", "--batch", "8", "--rate", "1e-3"]
    words += ["--save-every", "3", "--log-every", "1", *SMALL]
    assert main(["train", "shipped", *words, "--out", str(run)]) == 0
    assert "training shipped on cpu in" in capsys.readouterr().err
    about = json.loads((run / "step-0000006" / "config.json").read_text())
    assert about["config"]["stages"][0]["rates"] == {"": 1e-3}
    assert about["config"]["stages"][0]["steps"] == 6
    assert about["run"]["data"] == [f"{data}@0.75", f"{other}:2d@0.25"]
    for more in (["--half"], ["--int8", data], []):
        assert main(["export", str(run / "step-0000006"), "--out", str(tmp_path / "hand.onnx"), *more]) == 0
        picture = tmp_path / "hand.png"
        cv2.imwrite(str(picture), np.asarray(drawn_samples(1)[0].image))
        out = tmp_path / "out"
        assert main(["predict", str(picture), "--out", str(out), "--model", str(tmp_path / "hand.onnx")]) == 0
        assert (out / "hand.json").exists()
    capsys.readouterr()
    assert main(["export", str(run)]) == 0
    last = run / "step-0000006"
    assert capsys.readouterr().out.startswith(f"the last checkpoint of {run} is {last}\nwrote {last}.onnx (")
    assert Path(f"{last}.onnx").read_bytes() == (tmp_path / "hand.onnx").read_bytes()
    assert main(["export", str(run / "step-0000006"), "--out", str(tmp_path / "a.onnx"), "--half", "--int8", data]) == 2
    assert "two ways to hold the weights" in said(capsys)
    assert main(["export", str(run / "step-0000006"), "--out", str(tmp_path / "a.bin")]) == 2
    assert "out must end in .onnx" in said(capsys)


def test_the_same_command_goes_on_and_another_one_is_refused(data, tmp_path, capsys):
    words = ["train", "shipped", "--data", data, "--out", str(tmp_path / "run"), "--steps", "4", *SMALL]
    assert main([*words, "--batch", "4"]) == 0
    assert main([*words, "--batch", "4"]) == 0  # nothing is left to do
    capsys.readouterr()
    assert main([*words, "--batch", "6"]) == 2
    assert "config.stages.0.batch was 4, is 6; give the same ones to go on, or another folder" in said(capsys)


@pytest.mark.parametrize(
    ("wanted", "has", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
    ],
)
def test_bfloat16_is_taken_where_the_hardware_has_it(monkeypatch, wanted, has, dtype):
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: has)
    assert precision.choose_precision(torch.device("cpu"), wanted) == dtype


def test_the_detector_trains_from_the_command_line(data, tmp_path):
    settings = ["stem=[8, 8]", "widths=[8, 16, 16]", "blocks=[1, 1, 1]", "width=16", "scene.size=64", "scene.patch=80"]
    words = [word for setting in settings for word in ("--set", setting)]
    out = tmp_path / "run"
    assert main(["train", "detector", "--data", data, "--out", str(out), "--steps", "3", "--batch", "4", *words]) == 0
    assert main(["export", str(out / "step-0000003"), "--out", str(tmp_path / "detector.onnx")]) == 0
