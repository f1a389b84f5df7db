"""A system of one's own is one file and one line: it trains, is killed, resumes, exports, predicts and is evaluated."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_sets
import toy_system
from knuckle.cli import main
from knuckle.systems import SYSTEMS
from knuckle.train.checkpoint import checkpoints, load

TESTS = Path(__file__).parents[1]
EXAMPLE = TESTS.parent / "examples" / "hand.jpg"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ho3d")
    tiny_sets.ho3d(root, n=8)
    return root


def words(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "toy", "--data", f"ho3d-v2:{data}", "--out", str(out), *more]


def run(arguments: list[str], **options) -> subprocess.Popen:
    script = [sys.executable, str(TESTS / "toy_system.py"), *arguments]
    return subprocess.Popen(script, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, **options)


def ended(process: subprocess.Popen) -> int:
    """The exit status, when it has ended by itself."""
    _, said = process.communicate(timeout=200)
    if process.returncode:
        print(said, file=sys.stderr)
    return process.returncode


def same(one: Path, other: Path) -> None:
    for kind in ("weights", "state"):
        first, second = getattr(load(one), kind), getattr(load(other), kind)
        assert first.keys() == second.keys()
        for name, values in first.items():
            assert torch.equal(values, second[name]), name


def test_it_takes_one_line():
    assert SYSTEMS["toy"] == "toy_system:Toy"


def test_two_runs_are_equal_and_a_frozen_part_stays(data, tmp_path):
    """With dropout, noise in the forward, and two stages."""
    for name in ("one", "other"):
        assert main(words(data, tmp_path / name, "--save-every", "4", "--threads", "2")) == 0
    same(tmp_path / "one" / "step-0000007", tmp_path / "other" / "step-0000007")
    after_first, after_both = (load(tmp_path / "one" / f"step-000000{step}").state for step in (4, 7))
    for name, before in after_first.items():
        if name.startswith("network."):
            frozen = not name.startswith("network.corners.")
            assert torch.equal(before, after_both[name]) == frozen, name
    # The second stage begins with an optimiser of its own, over the corners alone.
    assert {name.split(".")[2] for name in after_both if name.startswith("optimiser.")} == {"momentum_buffer"}
    assert main(words(data, tmp_path / "third", "--seed", "1")) == 0
    third = load(tmp_path / "third" / "step-0000007").weights
    assert not torch.equal(third["joints.weight"], load(tmp_path / "one" / "step-0000007").weights["joints.weight"])


@pytest.mark.parametrize("steps", [2, 5])
def test_resumed_in_either_stage_equals_uninterrupted(data, tmp_path, steps, monkeypatch):
    from knuckle.train import job

    assert main(words(data, tmp_path / "straight")) == 0
    run_whole = job.train
    monkeypatch.setattr(job, "train", lambda *a, **k: run_whole(*a, **k, stop_after=steps))
    assert main(words(data, tmp_path / "paused")) == 0
    assert [c.name for c in checkpoints(tmp_path / "paused")] == [f"step-000000{steps}"]
    monkeypatch.undo()
    assert main(words(data, tmp_path / "paused")) == 0
    same(tmp_path / "straight" / "step-0000007", tmp_path / "paused" / "step-0000007")


def test_killed_it_resumes_to_the_same_weights(data, tmp_path):
    slow = ["--set", "stages.0.steps=300", "--set", "stages.1.steps=3", "--save-every", "20", "--log-every", "1000"]
    straight = run(words(data, tmp_path / "straight", *slow))
    killed = run(words(data, tmp_path / "killed", *slow))
    deadline = time.monotonic() + 120
    while not checkpoints(tmp_path / "killed") and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert ended(killed) == -signal.SIGKILL
    left = checkpoints(tmp_path / "killed")
    assert left
    assert left[-1].name != "step-0000303", "it was over before it was killed"
    again = run(words(data, tmp_path / "killed", *slow))
    assert (ended(straight), ended(again)) == (0, 0)
    same(tmp_path / "straight" / "step-0000303", tmp_path / "killed" / "step-0000303")


def test_other_settings_on_resume_are_refused(data, tmp_path, capsys):
    assert main(words(data, tmp_path)) == 0
    assert main(words(data, tmp_path, "--set", "dropout=0.1")) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("knuckle:")]
    assert "config.dropout was 0.3, is 0.1; give the same ones to go on, or another folder" in line


def test_it_exports_predicts_and_is_evaluated(data, tmp_path, capsys):
    assert main(words(data, tmp_path / "run")) == 0
    checkpoint = tmp_path / "run" / "step-0000007"
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "toy.onnx")]) == 0
    for model in (checkpoint, tmp_path / "toy.onnx"):
        out = tmp_path / "out" / model.stem
        assert main(["predict", str(EXAMPLE), "--out", str(out), "--model", str(model), "--save", "json,overlay"]) == 0
        (hand, *_) = json.loads((out / "hand.json").read_text())["hands"]
        assert np.array(hand["object"]["corners_camera"]).shape == (8, 3)
        assert hand["side"] in ("left", "right")
    scores = tmp_path / "scores.json"
    command = ["eval", str(tmp_path / "toy.onnx"), "--protocol", "ho3d-v2", "--root", str(data), "--crops", "truth"]
    assert main([*command, "--resamples", "0", "--json", str(scores)]) == 0
    assert json.loads(scores.read_text())["scores"]
    assert "toy.onnx" in capsys.readouterr().out


def test_it_exports_in_integers_with_both_of_its_inputs(data, tmp_path):
    assert main(words(data, tmp_path / "run")) == 0
    checkpoint = str(tmp_path / "run" / "step-0000007")
    assert main(["export", checkpoint, "--out", str(tmp_path / "q.onnx"), "--int8", f"ho3d-v2:{data}"]) == 0
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--model", str(tmp_path / "q.onnx")]) == 0


def test_labels_that_a_system_needs_are_asked_for(data, tmp_path, capsys):
    flat = words(data, tmp_path / "a")
    flat[3] += ":2d"
    assert main(flat) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "hands must have joints_image and joints_camera and object_corners_camera" in line


class TestTwoProcesses:
    """--devices 2 on the CPU, through Lightning Fabric."""

    OPTIONS = ("--threads", "1", "--precision", "float32", "--set", "dropout=0")

    def losses(self, folder: Path) -> list[float]:
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line]

    def test_they_give_one_process_s_loss_with_the_same_global_batch(self, data, tmp_path):
        still = ("--batch", "4", "--log-every", "1", "--set", "noise=0", "--set", "batch_norm=false")
        one = run(words(data, tmp_path / "one", *self.OPTIONS, *still))
        two = run(words(data, tmp_path / "two", *self.OPTIONS, *still, "--devices", "2"))
        assert (ended(one), ended(two)) == (0, 0)
        first, second = self.losses(tmp_path / "one"), self.losses(tmp_path / "two")
        assert len(first) == len(second) == 7
        np.testing.assert_allclose(first, second, rtol=1e-4)
        weights = [load(tmp_path / name / "step-0000007").weights for name in ("one", "two")]
        for name, values in weights[0].items():
            torch.testing.assert_close(values, weights[1][name], rtol=1e-3, atol=1e-5)

    def test_when_one_is_killed_the_other_says_so_and_the_run_resumes(self, data, tmp_path):
        slow = [*self.OPTIONS, "--devices", "2", "--set", "stages.0.steps=4000", "--save-every", "5"]
        both = run(words(data, tmp_path, *slow))
        deadline = time.monotonic() + 120
        while not checkpoints(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        children = subprocess.run(["pgrep", "-P", str(both.pid)], capture_output=True, text=True, check=True)
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        _, said = both.communicate(timeout=60)
        assert both.returncode != 0
        assert "process 0 of 2 has lost another one" in said
        assert "goes on from the last checkpoint" in said
        done = int(checkpoints(tmp_path)[-1].name[5:])
        assert 0 < done < 4000
        # It goes on; told to end, both end, and nothing is lost.
        again = run(words(data, tmp_path, *slow))
        while int(checkpoints(tmp_path)[-1].name[5:]) <= done and time.monotonic() < deadline:
            time.sleep(0.05)
        again.send_signal(signal.SIGTERM)
        _, said = again.communicate(timeout=60)
        assert again.returncode == 130
        assert "the same command goes on from there" in said

    def test_two_with_different_configurations_are_told_apart(self, data, tmp_path):
        environment = {**ENVIRONMENT, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "WORLD_SIZE": "2"}
        environment |= {"NODE_RANK": "0", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}
        started = []
        for rank, batch in enumerate(("4", "6")):
            arguments = words(data, tmp_path, *self.OPTIONS, "--devices", "2", "--batch", batch)
            script = [sys.executable, str(TESTS / "toy_system.py"), *arguments]
            mine = environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            started.append(subprocess.Popen(script, env=mine, stderr=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=120)[1] for process in started]
        assert [process.returncode for process in started] == [2, 2]
        for text in said:
            assert "all processes must train alike but process 1 differs from the first: config.stages.0.batch" in text


def test_toy_is_what_it_is_said_to_be():
    toy = toy_system.Toy()
    graph = toy.graphs(toy.network())["hand"]
    assert graph.contract.inputs == ("image", "K")
    assert len(toy.stages) == 2
    assert set(toy.stages[1].rates) == {"corners."}
    assert len(toy.stages[0].rates) == 2
    assert any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in toy.network().modules())
