"""`knuckle synth`: shards, a contact sheet, output and error messages."""

import cv2
import pytest

from knuckle.cli import main
from knuckle.cli.synth import synth


@pytest.mark.egl
def test_writes_shards_and_a_sheet(tmp_path, capsys):
    assert synth(tmp_path, images=3, preset="detector", size=64, seed=2, workers=1, sheet=True) == 0
    printed = capsys.readouterr().out
    assert "3 pictures in 1 shards" in printed
    assert (tmp_path / "shard-000000.tar").stat().st_size > 3000
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (3 * 256, 3 * 256, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "2", "--preset", "nope"], "preset"),
        (["--images", "0"], "images must be at least 1"),
        (["-n", "2", "--backgrounds", "nowhere"], "backgrounds must be a folder with pictures"),
        (["-n", "2", "--hdri", "nowhere"], "hdri must be a folder"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["synth", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
