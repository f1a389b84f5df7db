"""The scripts that time and measure still run, and say what they are meant to say."""

import io
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from knuckle.handmodel import HandModel

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    yield
    of_tools = {"bench", "timings", *(path.stem for path in TOOLS.glob("*.py"))}
    for name in [name for name in sys.modules if name.split(".")[0] in of_tools]:
        del sys.modules[name]


def test_tasks_are_timed_in_turn(tools):
    from timings.timing import MIN_RUNS, Task, time_tasks

    calls = []
    tasks = {name: Task(lambda run, name=name: calls.append((name, run)), items=4) for name in "ab"}
    timings = time_tasks(tasks, seconds=0.0, rounds=2)
    assert timings["a"].runs == timings["b"].runs == 2 * MIN_RUNS
    after_warm_up = calls[2:]
    assert [name for name, _ in after_warm_up] == list("a" * MIN_RUNS + "b" * MIN_RUNS) * 2
    assert [run for name, run in after_warm_up if name == "a"] == list(range(2 * MIN_RUNS))
    assert timings["a"].minimum <= timings["a"].low <= timings["a"].median <= timings["a"].high


def test_the_newest_times_are_compared_with(tools, tmp_path):
    from rich.console import Console

    from bench import last_kept, table_of
    from timings.timing import Task, Timing

    assert last_kept(tmp_path) == {}
    for stamp, rows in (("1", {"a": 5.0, "b": 7.0}), ("2", {"a": 2.0})):
        content = {"ms": {name: {"median": value} for name, value in rows.items()}}
        (tmp_path / f"{stamp}.json").write_text(json.dumps(content))
    before = last_kept(tmp_path)
    assert before == {"a": 2.0, "b": 7.0}
    tasks = {"a": Task(print, goal_ms=2.5, against="b"), "b": Task(print)}
    timings = {"a": Timing(3.0, 2.0, 4.0, 1.0, 9), "b": Timing(12.0, 11.0, 13.0, 10.0, 9)}
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(tasks, timings, before))
    text = console.export_text()
    assert "2.5 missed" in text
    assert "1.50" in text
    assert "4.0  b" in text


def test_every_benchmark_runs(tools):
    from bench import BENCHMARKS
    from timings.predict import MEDIAPIPE

    for prepare in BENCHMARKS.values():
        task = prepare()
        task.run(0)
        # MediaPipe is there where somebody has installed it.
        assert task.against is None or task.against in {*BENCHMARKS, MEDIAPIPE}


def test_another_program_is_timed_through_its_own_python(tools, tmp_path):
    from timings.predict import Peer

    python = tmp_path / "python"
    for script, works in (("while read -r number; do echo done; done", True), ("exit 1", False)):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        peer = Peer(str(python), [])
        try:
            with nullcontext() if works else pytest.raises(RuntimeError, match="mediapipe"):
                peer.process(0)
        finally:
            peer.close()


def test_the_fit_is_measured(tools, tmp_path, capsys):
    from measure_fit import main, random_joints

    joints = random_joints(HandModel.open(), 6, seed=3)
    np.save(tmp_path / "some.npy", joints)
    poses = {"left": {str(i): (hand * [-1, 1, 1]).tolist() for i, hand in enumerate(joints)}}
    (tmp_path / "poses.json").write_text(json.dumps(poses))
    (tmp_path / "truth.json").write_text(json.dumps([{"side": "right", "joints_camera": joints[0].tolist()}]))
    recordings = [str(tmp_path / name) for name in ("some.npy", "poses.json", "truth.json")]
    main([*recordings, "--count", "20", "--json", str(tmp_path / "out" / "figures.json")])
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["random"][0]["mean_mm"] < 0.3
    assert all(row["limits_broken"] == 0 for row in figures["random"])
    free = [entry["free"]["mean_mm"] for entry in figures["recordings"].values()]
    assert len(free) == 3
    assert max(free) < 1.0
    assert "observed minus fitted" in capsys.readouterr().out


def test_the_live_page_is_measured(tools, capsys):
    from measure_live import main

    figures = main(["--seconds", "0.5", "--threads", "1"])
    assert figures["hands"] == pytest.approx(1.0, abs=0.1)
    assert figures["frames_per_second"] > 1
    assert "frames/s" in capsys.readouterr().out


def test_noise_before_and_after_the_fit_is_measured(tools, monkeypatch, capsys):
    import measure_noise

    monkeypatch.setattr(sys, "argv", ["measure_noise.py", "--hands", "3", "--noise", "10"])
    measure_noise.main()
    rows = {
        line.split("│")[3].strip(): line.split("│")[4:7] for line in capsys.readouterr().out.splitlines() if "│" in line
    }
    error = {way: float(cells[0]) for way, cells in rows.items()}
    assert error["knuckle fit"] < error["fit_hand"] < error["noisy"]
    assert rows["knuckle fit"][2].strip() == "0 of 103"
    assert rows["noisy"][2].strip() != "0 of 103"


def test_the_limits_that_ship_are_built(tools, monkeypatch, tmp_path, capsys):
    import build_human_limits
    from knuckle.handmodel import HandLimits, human_limits

    poses = {"left": {"flat": HandModel.open().joints(np.zeros(23), side="left").tolist()}}
    (tmp_path / "poses.json").write_text(json.dumps(poses))
    out = tmp_path / "limits.npz"
    monkeypatch.setattr(sys, "argv", ["build", str(tmp_path / "poses.json"), "--out", str(out), "--hands", "100"])
    build_human_limits.main()
    built, shipped = HandLimits.load(out), human_limits()
    assert built.count == 201
    assert built.convention == shipped.convention
    assert (built.boxes[..., 0] > shipped.boxes[..., 0] - 0.1).all()
    assert (built.boxes[..., 1] < shipped.boxes[..., 1] + 0.1).all()
    assert "1 recorded hands" in capsys.readouterr().out
