"""What commands answer to a mistake: one line that names what was typed, and says what to do."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.cli import COMMANDS, main
from knuckle.handmodel import pose_names
from knuckle.synth.generate import Generator, Settings
from knuckle.synth.sheet import contact_sheet
from knuckle.train import checkpoint

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "hand.jpg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "a.jpg", "--fov", "200"], "--fov must be between 0 and 180 degrees but got 200"),
        (["predict", "a.jpg", "--fov", "0"], "--fov must be between 0 and 180 degrees but got 0"),
        (["predict", "a.jpg", "--fov", "nan"], "--fov must be between 0 and 180 degrees but got nan"),
        (["predict", "a.jpg", "--camera", "nope.json"], "nope.json: No such file or directory"),
        (["predict"], "SOURCE must be at least one file, folder or pattern but none was given"),
        (["person"], "SOURCE must be at least one file, folder or pattern but none was given"),
        (["predict", "a.jpg", "--max-hands", "0"], "--max-hands must be at least 1 but got 0"),
        (["predict", "a.jpg", "--threads", "0"], "threads must be 1 to 512 but got 0"),
        (["train", "shipped", "--data", "a", "--threads", "0"], "threads must be 1 or more, and finite, but got 0"),
    ],
)
def test_an_option_that_cannot_be(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--out", "out"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fov", "200"], "--fov must be between 0 and 180 degrees but got 200"),
        (["--max-hands", "0"], "--max-hands must be at least 1 but got 0"),
    ],
)
def test_live_says_the_same(arguments, message, capsys):
    assert main(["live", "--camera", "browser", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"fx": 9, "fy": 9}', "lacks cx, cy"), ("[1]", "is no object"), ('{"K": [[1]]}', "K must be"), ("{", "JSON")],
)
def test_a_camera_file_that_cannot_be_used_is_told_why(text, message, tmp_path, capsys):
    (tmp_path / "camera.json").write_text(text)
    assert main(["predict", "a.jpg", "--out", str(tmp_path / "out"), "--camera", str(tmp_path / "camera.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert line.startswith(f"knuckle: {tmp_path / 'camera.json'} must be")


def test_every_pose_in_a_help_text_exists(capsys):
    for command in COMMANDS:
        main([command, "--help"])
        for name in re.findall(r"knuckle pose (\w+)", capsys.readouterr().out):
            assert name in pose_names()


def test_the_folder_of_a_run_names_its_last_checkpoint(tmp_path, capsys):
    run = tmp_path / "run"
    for step in (5, 20):
        checkpoint.save(run, step, {"system": "shipped"}, {}, {})
    assert main(["export", str(run)]) == 2  # it has no weights
    shown = capsys.readouterr()
    assert shown.out == f"the last checkpoint of {run} is {run / 'step-0000020'}\n"
    for folder, what in ((tmp_path, "holds none"), (tmp_path / "gone", "does not exist")):
        assert main(["export", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{folder} must be a checkpoint (a folder step-...), or hold some, but {what}" in line
    assert main(["predict", "a.jpg", "--out", str(tmp_path / "out"), "--model", str(run)]) == 2
    assert f"the last one of this run is {run / 'step-0000020'}" in capsys.readouterr().err


def test_the_summary_lists_pictures_without_a_hand(tmp_path, capsys):
    for name in ("wall.gif", "sky.tiff"):
        cv2.imwrite(str(tmp_path / name), np.full((90, 120, 3), 128, np.uint8))
    assert main(["predict", str(tmp_path), EXAMPLE, "--out", str(tmp_path / "out")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("1 hand in 3 pictures")
    assert second == f"no hand in {tmp_path / 'sky.tiff'}, {tmp_path / 'wall.gif'}"


@pytest.mark.egl
@pytest.mark.parametrize(("count", "columns"), [(2, 2), (10, 5), (11, 6)])
def test_a_sheet_of_few_pictures_is_full(count, columns):
    with_one = Generator(Settings(size=32))
    picture = with_one.picture(0)
    with_one.close()
    sheet = contact_sheet([picture] * count)
    assert sheet.shape[1] == columns * 256
    blank = (sheet.reshape(-1, 768, columns, 256, 3) == 255).all(axis=(1, 3, 4))
    assert blank.sum() == -count % columns
