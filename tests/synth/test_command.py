"""`knuckle synth` from its function: shards, a sheet, and what it prints."""

import cv2

from knuckle.cli.synth import synth


def test_writes_shards_and_a_sheet(tmp_path, capsys):
    assert synth(tmp_path, images=3, preset="detector", size=64, seed=2, workers=1, sheet=True) == 0
    printed = capsys.readouterr().out
    assert "3 pictures in 1 shards" in printed
    assert (tmp_path / "shard-000000.tar").stat().st_size > 3000
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (3 * 256, 3 * 256, 3)
