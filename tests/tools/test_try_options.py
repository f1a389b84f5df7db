"""The trial of options: what it runs, what it does not run again, and the table, with commands that only pretend."""

import importlib
import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from knuckle.cli import make_app
from knuckle.handmodel import HandModel
from knuckle.systems import open_system

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.delitem(sys.modules, "score_photographs", raising=False)
    found = importlib.import_module("try_options")
    monkeypatch.setattr(found, "_milliseconds", lambda model: 2.0)
    yield found
    for name in ("try_options", "score_photographs"):
        sys.modules.pop(name, None)


class Knuckle:
    """Stands for the commands: each must be one that there is, and leaves what the next one needs.

    Generated pictures score 10 mm, 1 more for each seed and 3 less with fusion; photographs are found exactly.
    """

    def __init__(self, stop_after: int = 1000) -> None:
        self.commands: list[list[str]] = []
        self._stop_after = stop_after

    def __call__(self, words) -> None:
        if len(self.commands) == self._stop_after:
            raise KeyboardInterrupt
        self.commands.append(list(words))
        make_app().parse_args(list(words), exit_on_error=False, print_error=False)
        options = dict(pairwise(words))
        if words[0] == "train":
            open_system("shipped", settings=[after for word, after in pairwise(words) if word == "--set"])
            folder = Path(options["--out"]) / "step-0000005"
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
            (folder / "about").write_text(json.dumps([options["--seed"], "fuse=24" in words]))
        elif words[0] == "export":
            Path(options["--out"]).write_text((Path(words[1]) / "about").read_text())
        elif words[0] == "eval":
            seed, fused = json.loads(Path(words[1]).read_text())
            scores = {"joints_pa": {"value": 10.0 + int(seed) - 3 * fused}, "image": {"value": 5.0}}
            Path(options["--json"]).write_text(json.dumps({"scores": scores}))
        else:
            assert Path(words[1]).name == "images"
            out = Path(options["--out"])
            out.mkdir()
            (out / "a.json").write_text(json.dumps({"hands": [hand()]}))


def hand() -> dict:
    joints = np.asarray(HandModel.open().joints(np.zeros(23))) + np.array([0.0, -0.05, 0.5])
    uv = joints[:, :2] / joints[:, 2:] * 300 + 128
    return {
        "side": "right",
        "score": 1.0,
        "K": [[300.0, 0, 128], [0, 300, 128], [0, 0, 1]],
        "joints_camera": joints.tolist(),
        "joints_image": uv.tolist(),
    }


@pytest.fixture
def words(tmp_path):
    photographs = tmp_path / "photographs"
    (photographs / "images").mkdir(parents=True)
    (photographs / "truth.json").write_text(json.dumps([{"image": "a.jpg", **hand()}]))
    given = ["--data", "pictures@0.7", "--data", "weak:mine:2d@0.3", "--held-out", "out", "--held-things", "things"]
    return [str(tmp_path / "work"), *given, "--photographs", str(photographs), "--seeds", "2", "--steps", "5"]


def test_rows_are_trained_alike_and_their_scores_are_a_table(tool, words, capsys):
    knuckle = Knuckle()
    assert tool.main([*words, "--option", "--set fuse=48 --rate 5e-4", "--training", "--threads 1"], knuckle) == 0
    header, rule, *rows = capsys.readouterr().out.splitlines()
    assert header.count("|") == rule.count("|") == rows[0].count("|") == 10
    generated = "10.50 ± 0.71 | 5.00 ± 0.00"
    assert rows[0] == f"| default | {generated} | {generated} | 0.00 ± 0.00 | 0.00 ± 0.00 | 2.00 ± 0.00 | 2 |"
    assert rows[1].startswith("| `--set fuse=24` | 7.50 ± 0.71 |")
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "`--set stages.0.losses.mask=1`",
        "`--set fuse=48 --rate 5e-4`",
    ]
    trained = [command for command in knuckle.commands if command[0] == "train"]
    assert len(trained) == 8
    # Rows differ in their option and folder alone.
    first, fused = trained[:2]
    assert [*first[:3], *first[4:]] == [*fused[:3], *fused[4:-2]]
    assert fused[-2:] == ["--set", "fuse=24"]


def test_it_goes_on_where_it_was_stopped(tool, words, capsys):
    straight = Knuckle()
    work, *rest = words
    assert tool.main([work + "-straight", *rest], straight) == 0
    whole = capsys.readouterr().out
    # Two runs of five commands, and into the third.
    stopped = Knuckle(stop_after=12)
    assert tool.main(words, stopped) == 130
    assert len(capsys.readouterr().out.splitlines()) == 4
    for run in Path(work).glob("*mask*/seed-0/run/step-*"):
        for file in run.iterdir():
            file.unlink()
        run.rmdir()
    again = Knuckle()
    assert tool.main(words, again) == 0
    assert capsys.readouterr().out == whole
    assert len(again.commands) == len(straight.commands) - 10
    assert tool.main(words, Knuckle(stop_after=0)) == 0
    capsys.readouterr()
    assert tool.main([*words[:-1], "6"], Knuckle(stop_after=0)) == 1
    assert "must be of this command but is of another" in capsys.readouterr().err


def test_a_command_that_fails_ends_it(tool, words, capsys):
    def fails(command):
        raise tool.TrialFailed("`knuckle train` must end without an error but ended with status 2")

    assert tool.main(words, fails) == 1
    assert "ended with status 2" in capsys.readouterr().err
