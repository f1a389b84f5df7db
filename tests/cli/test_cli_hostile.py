"""Commands beside files, folders and names that are not their own: nothing hangs, overwrites, or claims too much."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import knuckle
from knuckle.cli import main
from knuckle.cli.terminal import one_line
from knuckle.files import atomic_write, remove_leftovers
from knuckle.predict.sources import stems
from knuckle.weights import weights_path

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
RUN = [sys.executable, "-c", "import sys; from knuckle.cli import main; sys.exit(main())"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(knuckle.__file__).parents[1])}


@pytest.mark.parametrize(
    "names",
    [
        ["a-2.jpg", "a.jpg", "a.png"],
        ["a.jpg", "a.png", "a-2.jpg", "a-2.png", "a-2-2.jpg"],
        ["A.jpg", "a.jpg", "a.png", "b/a.png"],
        ["a.jpg", "a.coco.jpg", "a.mp4"],
        ["é.jpg", "e\u0301.jpg"],
        ["x" * 250 + ".jpg", "x" * 250 + ".png", "x" * 249 + ".jpg", "é" * 125 + ".jpg"],
    ],
)
def test_no_two_files_share_a_name(names):
    found = stems([Path(name) for name in names])
    results = [f"{name}{suffix}".casefold() for name in found for suffix in (".json", ".coco.json", ".overlay.mp4")]
    assert len(set(results)) == len(results)
    assert all(len(os.fsencode(f"{name}.overlay.mp4")) <= 255 for name in found)
    assert stems([Path("a-2.jpg"), Path("a.jpg"), Path("a.png")]) == ["a-2", "a", "a-3"]


def test_three_pictures_give_three_results(tmp_path, capsys):
    for name in ("a-2.jpg", "a.jpg", "a.png"):
        shutil.copy(EXAMPLE, tmp_path / name)
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path), "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a-2.json", "a-3.json", "a.json"]
    assert "3 hands in 3 pictures" in capsys.readouterr().out


def test_what_is_no_regular_file_is_named_and_skipped(tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    shutil.copy(EXAMPLE, pictures / "hand.jpg")
    for name in ("pipe.jpg", "pipe.mp4"):
        os.mkfifo(pictures / name)
    (pictures / "zero.jpg").symlink_to("/dev/zero")
    (pictures / "folder.jpg").mkdir()
    with (pictures / "sparse.jpg").open("wb") as file:
        file.truncate(3 * 2**30)
    began = time.process_time()
    assert main(["predict", str(pictures), "--out", str(tmp_path / "out")]) == 1
    assert time.process_time() - began < 30
    shown = capsys.readouterr()
    assert "1 hand in 1 picture, 5 problems" in shown.out
    for name, kind in (("pipe.jpg", "pipe"), ("pipe.mp4", "pipe"), ("zero.jpg", "device"), ("folder.jpg", "directory")):
        assert any(
            name in line and f"is a{' named' * (kind == 'pipe')} {kind}" in line for line in shown.err.splitlines()
        )
    assert "sparse.jpg must be at most" in shown.err
    os.mkfifo(tmp_path / "poses.json")
    assert main(["check", str(tmp_path / "poses.json")]) == 2
    assert "must be a regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["predict", str(EXAMPLE), "--out", "OUT", "--person", "PIPE.json"],
        ["predict", str(EXAMPLE), "--out", "OUT", "--camera", "PIPE.json"],
        ["predict", str(EXAMPLE), "--out", "OUT", "--save", "mano", "--mano", "PIPE.pkl"],
        ["predict", str(EXAMPLE), "--out", "OUT", "--model", "PIPE.onnx"],
        ["person", "PIPE.jpg", "--out", "OUT"],
        ["gestures", str(EXAMPLE), "--use", "PIPE.json"],
        ["gestures", "PIPE.jpg"],
        ["fit", "PIPE.npy", "--out", "OUT"],
        ["check", "PIPE.csv"],
        ["check", "POSES", "--limits", "PIPE.npz"],
    ],
    ids=lambda command: " ".join(word for word in command if not word.startswith("/")),
)
def test_no_command_waits_for_a_pipe(tmp_path, capsys, command):
    np.save(tmp_path / "poses.npy", np.zeros((1, 21, 3)))
    names = {"OUT": str(tmp_path / "out"), "POSES": str(tmp_path / "poses.npy")}
    for word in command:
        if word.startswith("PIPE"):
            names[word] = str(tmp_path / f"pipe{word[4:]}")
            os.mkfifo(names[word])
    assert main([names.get(word, word) for word in command]) in (1, 2)
    said = capsys.readouterr().err
    assert "pipe" in said
    assert "must be" in said


def test_a_result_that_cannot_be_written_is_none(tmp_path, capsys):
    # As root a folder without permissions can be written to; a folder in the result's place cannot.
    (tmp_path / "out" / "hand.json").mkdir(parents=True)
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "out")]) == 1
    assert "0 hands in 0 pictures, 1 problem" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["hand.json"]


@pytest.mark.parametrize("threads", ["1000000", "0", "-1"])
def test_threads_are_bounded(tmp_path, capsys, threads):
    assert main(["predict", str(EXAMPLE), "--out", str(tmp_path), "--threads", threads]) == 2
    assert "threads must be 1 to 512" in capsys.readouterr().err


def test_workers_are_bounded(tmp_path, capsys):
    assert main(["synth", str(tmp_path / "set"), "--workers", "1000000"]) == 2
    assert "workers must be at most 512" in capsys.readouterr().err


def test_names_cannot_control_the_terminal(tmp_path, capsys):
    assert one_line("a\x1b[2J\nb\x07\udcff\u202e") == "a\\x1b[2J b\\x07\\udcff\\u202e"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "\x1b]0;title\x07.jpg").write_bytes(b"no picture")
    assert main(["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert main(["check", str(tmp_path / "\x1b[2J.npy")]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_decoders_say_nothing_by_themselves(tmp_path):
    data = EXAMPLE.read_bytes()
    middle = len(data) // 2
    (tmp_path / "damaged.jpg").write_bytes(data[:middle] + bytes(200) + data[middle + 200 :])
    command = [*RUN, "predict", str(tmp_path / "damaged.jpg"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert "Corrupt JPEG" not in done.stderr
    assert all(line.startswith("knuckle predict: ") for line in done.stderr.splitlines())
    gone = subprocess.run([*RUN, "check", "gone.npy"], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert gone.stderr == "knuckle: gone.npy: No such file or directory\n"


@pytest.mark.parametrize("value", [1e150, 1e7])
def test_coordinates_of_no_hand_are_refused(tmp_path, capsys, value):
    joints = np.zeros((1, 21, 3))
    joints[0, 4] = value
    np.save(tmp_path / "far.npy", joints)
    assert main(["fit", str(tmp_path / "far.npy"), "--out", str(tmp_path / "out"), "--glb"]) == 2
    assert "must hold joints in metres" in capsys.readouterr().err
    assert not (tmp_path / "out" / "hand.glb").exists()


def test_a_fit_that_is_metres_off_is_a_finding(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "noise.npy", rng.normal(size=(1, 21, 3)) * 30)
    command = ["fit", str(tmp_path / "noise.npy"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "multiply them by" in capsys.readouterr().err
    assert main([*command, "--force"]) == 1
    assert "mm off on average; `knuckle check" in capsys.readouterr().err


def test_damaged_models_and_checkpoints_are_a_line(tmp_path, capsys):
    (tmp_path / "none.onnx").write_bytes(b"\x08\xff\xff" * 100)
    checkpoint = tmp_path / "step-0000001"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text('{"system": "shipped", "config": [1]}')
    (checkpoint / "weights.safetensors").write_bytes(b"\xff" * 64)
    for model in (tmp_path / "none.onnx", checkpoint):
        assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / "out"), "--model", str(model)]) == 2
        shown = capsys.readouterr()
        assert shown.err.count("\n") == 1
        assert shown.out == ""


def test_about(capsys, monkeypatch):
    assert main(["about"]) == 0
    shown = capsys.readouterr().out
    for word in ("CPUExecutionProvider", "hand.onnx", "as published", "numpy", "Apache-2.0", knuckle.__version__):
        assert word in shown
    monkeypatch.setattr("knuckle.about.published_sha256", lambda: dict.fromkeys(("hand.onnx", "ik.onnx"), "0"))
    assert main(["about"]) == 1
    assert "must be as published" in capsys.readouterr().err


def test_the_card_has_the_weights_sha256():
    from knuckle.about import shipped_weights

    card = (EXAMPLE.parents[1] / "docs" / "weights.md").read_text()
    assert {file.name for file in shipped_weights()} == {
        path.name for path in weights_path("hand").parent.glob("*.onnx")
    }
    for file in shipped_weights():
        assert file.genuine
        assert f"{file.sha256}  {file.name}" in card


def test_leftovers_of_killed_writers_go_and_those_of_living_ones_stay(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from knuckle.files import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1]) / ('x' * 240 + '.json')) as path:\n"
        "    path.write_text('half'); print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        (left,) = tmp_path.iterdir()
        remove_leftovers(tmp_path)
        assert left.exists()
        writer.kill()
        writer.wait()
    (tmp_path / ".mine.unfinished.txt").write_text("a person's own file")
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".mine.unfinished.txt"]
    with atomic_write(tmp_path / ("x" * 240 + ".json")) as path:
        path.write_text(json.dumps(1))
    assert (tmp_path / ("x" * 240 + ".json")).read_text() == "1"
