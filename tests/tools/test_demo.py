"""The README's first command, as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_demo_finds_the_hand_of_its_own_picture(tmp_path):
    done = run("--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "hand.json").read_text())
    assert [hand["side"] for hand in result["hands"]] == ["right"]
    for name in ("hand.overlay.jpg", "hand.glb", "posed/hand.png", "posed/fit.npz", "posed/hand.glb"):
        assert (tmp_path / name).stat().st_size > 1000


def test_a_picture_that_is_none_is_named_and_ends_with_2(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    done = run(str(bad), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "bad.jpg" in done.stderr
    assert "Traceback" not in done.stderr
