import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

import knuckle
from knuckle import jobs
from knuckle.cli import COMMANDS, main
from knuckle.export.fits import FittedHands
from knuckle.files import load_npz
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import from_common

MODEL = HandModel.open()
RUN = [sys.executable, "-c", "import sys; from knuckle.cli import main; sys.exit(main())"]
# So that a command that is started runs this very source, wherever the package is installed from.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(knuckle.__file__).parents[1])}


def recording(count=6, side="right", seed=0):
    rng = np.random.default_rng(seed)
    limits = angle_limits()
    angles = limits[:, 0] + rng.uniform(0.35, 0.7, (count, 23)) * (limits[:, 1] - limits[:, 0])
    pose = np.tile(np.eye(4), (count, 1, 1))
    pose[:, 2, 3] = 0.5
    return MODEL.joints(angles, shape=rng.normal(size=(count, 10)) * 0.5, T_camera_hand=pose, side=side)


def save(tmp_path, joints, name="recording.npy"):
    path = tmp_path / name
    np.save(path, joints)
    return str(path)


@pytest.mark.parametrize("side", ["left", "right"])
def test_fit_writes_the_files_it_lists(tmp_path, capsys, side):
    joints, out = recording(6, side), tmp_path / "new" / "fitted"
    command = ["fit", save(tmp_path, joints), "--out", str(out), "--side", side, "--glb", "--bvh", "--json"]
    assert main(command) == 0
    assert sorted(path.name for path in out.iterdir()) == ["fit.json", "fit.npz", "hand.bvh", "hand.glb"]
    line, rest = capsys.readouterr().out.split("\n", 1)
    assert rest == ""
    assert re.match(rf"6 {side} hands fitted: mean error 0\.\d\d mm, worst 0\.\d\d mm; .*fit.npz.*hand.bvh", line)
    arrays = load_npz(out / "fit.npz")
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {
        "side": (),
        "angles": (6, 23),
        "angle_names": (23,),
        "shape": (6, 10),
        "shape_names": (10,),
        "rotation": (6, 3, 3),
        "translation": (6, 3),
        "joints": (6, 21, 3),
        "error_mm": (6,),
    }
    assert tuple(arrays["angle_names"]) == ANGLE_NAMES
    pose = np.tile(np.eye(4), (6, 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = arrays["rotation"], arrays["translation"]
    posed = MODEL.joints(arrays["angles"], shape=arrays["shape"], T_camera_hand=pose, side=side)
    np.testing.assert_allclose(posed, arrays["joints"], atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(arrays["rotation"]), 1)
    residual = 1000 * np.linalg.norm(arrays["joints"] - joints, axis=-1).mean(axis=-1)
    np.testing.assert_allclose(arrays["error_mm"], residual, atol=1e-9)
    frames = json.loads((out / "fit.json").read_text())["frames"]
    assert frames[3]["angles"]["index_pip_flexion"] == arrays["angles"][3, 9]


def test_fit_reads_every_format_alike(tmp_path, capsys):
    joints = recording(2)
    np.savez(tmp_path / "a.npz", joints=joints)
    (tmp_path / "a.json").write_text(json.dumps(joints.tolist()))
    found = []
    for path in (save(tmp_path, joints), tmp_path / "a.npz", tmp_path / "a.json"):
        assert main(["fit", str(path), "--out", str(tmp_path / "out")]) == 0
        found.append(load_npz(tmp_path / "out" / "fit.npz")["angles"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert capsys.readouterr().err == ""


def test_fit_with_one_shape_for_all(tmp_path):
    assert main(["fit", save(tmp_path, recording(3)), "--out", str(tmp_path), "--shape", "shared"]) == 0
    shape = FittedHands.read_npz(tmp_path / "fit.npz").shape
    np.testing.assert_array_equal(shape[0], shape[2])


def bad_input():
    """name -> a function that writes a bad file and returns what the message must hold."""

    def nan(path):
        joints = recording(3)
        joints[1, 4] = np.nan
        np.save(path, joints)
        return "finite joints but frame 1, joint 4"

    def shape(path):
        np.save(path, recording(3)[:, :20])
        return "(3, 20, 3)"

    def empty(path):
        path.write_bytes(b"")
        return "empty"

    def nothing(path):
        np.save(path, np.zeros((0, 21, 3)))
        return "at least one pose"

    def text(path):
        path.write_text("wrist,thumb\n0,1\n")
        return "must be a .npy array"

    def truncated(path):
        np.savez(path, joints=recording(3))
        path.write_bytes(path.read_bytes()[:-100])
        return "could not be unpacked"

    def objects(path):
        np.save(path, np.asarray([None, {"a": 1}], dtype=object), allow_pickle=True)
        return "Python objects"

    def missing(path):
        return "No such file"

    def folder(path):
        path.mkdir()
        return "directory"

    def unpacked(path):
        path.write_bytes(b"")
        return "must be a .npz file"

    def other(path):
        path.write_text("1 2 3")
        return "convert it"

    return {
        "nan.npy": nan,
        "shape.npy": shape,
        "empty.npy": empty,
        "empty.npz": unpacked,
        "none.npy": nothing,
        "text.npy": text,
        "cut.npz": truncated,
        "objects.npy": objects,
        "missing.npy": missing,
        "folder.npy": folder,
        "poses.txt": other,
    }


@pytest.mark.parametrize("command", ["fit", "check"])
@pytest.mark.parametrize("name", bad_input())
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, command, name):
    path = tmp_path / name
    expected = bad_input()[name](path)
    out = ["--out", str(tmp_path / "out")] if command == "fit" else []
    assert main([command, str(path), *out]) == 2
    written = capsys.readouterr()
    assert written.err.count("\n") == 1
    assert written.err.startswith("knuckle: ")
    assert expected in written.err
    assert name in written.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["fit"], "requires an argument"),
        (["fit", "a.npy", "--out", "b", "--side", "both"], "--side"),
        (["fit", "a.npy", "--out", "b", "--fps", "many"], "--fps"),
        (["fit", "a.npy", "--out", "b", "--fps", "0"], "--fps must be above zero"),
        (["grasp"], "grasp"),
        (["pose"], "--list"),
        (["pose", "fist"], "--out FILE"),
        (["pose", "fisst", "--out", "a.glb"], "did you mean fist"),
        (["pose", "fist", "--out", "a.stl"], ".glb, .obj or .png"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(capsys, argv, expected):
    assert main(argv) == 2
    written = capsys.readouterr()
    assert written.err.count("\n") == 1
    assert expected in written.err


def test_an_interrupted_fit_is_resumed(tmp_path, capsys, monkeypatch):
    joints, out = recording(7), tmp_path / "out"
    monkeypatch.setattr(jobs, "CHUNK", 3)
    fitted = []
    real = jobs.fit_human_hand

    def interrupted_at(chunk):
        def fit(model, joints, **options):
            if len(fitted) == chunk:
                raise KeyboardInterrupt
            fitted.append(len(joints))
            return real(model, joints, **options)

        return fit

    monkeypatch.setattr(jobs, "fit_human_hand", interrupted_at(2))
    command = ["fit", save(tmp_path, joints), "--out", str(out), "--glb"]
    assert main(command) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["fit.unfinished.npz"]

    monkeypatch.setattr(jobs, "fit_human_hand", interrupted_at(None))
    assert main(command) == 0
    assert fitted == [3, 3, 1]
    assert sorted(path.name for path in out.iterdir()) == ["fit.npz", "hand.glb"]
    again = tmp_path / "again"
    assert main([*command[:3], str(again)]) == 0
    np.testing.assert_array_equal(load_npz(out / "fit.npz")["angles"], load_npz(again / "fit.npz")["angles"])
    assert str(load_npz(out / "fit.npz")["side"]) == "right"


def test_a_resume_file_of_another_recording_is_not_used(tmp_path, monkeypatch):
    resume_file = tmp_path / "fit.unfinished.npz"
    other = jobs.fit_recording(recording(2, seed=1))
    other.write_npz(resume_file)
    fitted = jobs.fit_recording(recording(3), resume_file=resume_file)
    assert len(fitted) == 3
    assert not resume_file.exists()


def test_interrupted_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    assert main(["fit", save(tmp_path, recording(2)), "--out", str(tmp_path / "out")]) == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_from_the_shell_is_status_130(tmp_path):
    # It says when it reads its file, which takes as long as is needed.
    waiting = """
import time, knuckle.recording
def read_recording(path):
    print("reading", flush=True)
    time.sleep(60)
knuckle.recording.read_recording = read_recording
"""
    command = [*RUN[:-1], waiting + RUN[-1], "fit", str(tmp_path / "recording.npy"), "--out", str(tmp_path / "out")]
    started = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "reading\n"
    started.send_signal(signal.SIGINT)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 130
    assert error == "knuckle: interrupted\n"
    assert not (tmp_path / "out").exists()


def test_check_from_the_shell(tmp_path):
    left = save(tmp_path, 1000 * from_common(recording(4, "left"), "rhd"))
    done = subprocess.run([*RUN, "check", left], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "millimetres" in done.stdout
    assert "each from tip to base (rhd)" in done.stdout
    assert "left hands given as right ones" in done.stdout


def test_check_in_process(tmp_path, capsys):
    path = save(tmp_path, recording(4, "left"))
    assert main(["check", path, "--side", "left"]) == 0
    assert capsys.readouterr().out.startswith("4 of 4 poses are anatomically possible")
    assert main(["check", path, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in report["findings"]] == ["side"]
    broken = recording(4)
    broken[2, 3] = np.inf
    assert main(["check", save(tmp_path, broken, "broken.npy")]) == 2
    written = capsys.readouterr()
    assert written.out.startswith("not_finite: ")
    assert "frame 2, joint 3" in written.err


def test_pose_lists_and_writes(tmp_path, capsys):
    assert main(["pose", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 60
    assert any(line.startswith("fist ") for line in lines)
    for name in ("a.glb", "a.obj", "a.png"):
        assert main(["pose", "fist", "--out", str(tmp_path / name), "--side", "left"]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    right = tmp_path / "right.obj"
    assert main(["pose", "fist", "--out", str(right)]) == 0
    left_mesh, right_mesh = (trimesh.load_mesh(path, process=False) for path in (tmp_path / "a.obj", right))
    np.testing.assert_allclose(left_mesh.bounds[1, 0], -right_mesh.bounds[0, 0], atol=1e-6)
    assert left_mesh.volume > 0
    assert right_mesh.volume > 0


def test_help_is_quick_to_load_and_lists_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert name in text
        assert summary[:30] in text
    heavy = "sorted({'torch', 'cv2', 'numpy', 'onnxruntime'} & set(sys.modules))"
    code = f"import sys; from knuckle.cli import main; main(['--help']); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(capsys, name):
    assert main([name, "--help"]) == 0
    assert f"knuckle {name}" in capsys.readouterr().out
    module, function = COMMANDS[name][0].split(":")
    assert getattr(importlib.import_module(module), function).__doc__


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == knuckle.__version__


def test_a_closed_output_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -c 'import sys; from knuckle.cli import main; sys.exit(main())' pose --list | head -1",
        shell=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "argv", [["train", "shipped", "--data", "d", "--out", "o"], ["export", "c", "--out", "n.onnx"]]
)
def test_commands_that_need_torch_name_the_extra(argv):
    without = f"import sys; sys.modules['torch'] = None; from knuckle.cli import main; sys.exit(main({argv!r}))"
    done = subprocess.run(
        [sys.executable, "-c", without], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "knuckle: this requires torch; install it with `pip install 'knuckle[train]'`\n"


def test_the_module_is_the_command():
    words = [sys.executable, "-m", "knuckle", "--version"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert shown.stdout.strip() == knuckle.__version__
