"""The scripts in examples/ do what their first lines say, on a generated picture."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import knuckle
from hand_shards import held_samples, write_shard
from knuckle.datasets import CocoHands
from knuckle.export.mp4 import mp4_writer
from knuckle.systems import SYSTEMS
from robot_fixture import urdf

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """Runs an example in an empty folder with the repository's examples in it, and gives what it printed."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> str:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main(*arguments)
        return capsys.readouterr().out

    return run


@pytest.fixture
def clip(tmp_path) -> str:
    """A video of four frames."""
    path = tmp_path / "clip.mp4"
    with mp4_writer(path, fps=10.0) as writer:
        for number in range(4):
            writer.add(knuckle.example_image(), number / 10)
    return str(path)


def test_draw_writes_the_picture_with_the_hand_over_it(run, tmp_path):
    assert "right hand, score " in run("draw")
    drawn, image = knuckle.read_image(tmp_path / "drawn.jpg"), knuckle.example_image()
    assert drawn.shape == image.shape
    assert abs(drawn.astype(int) - image).max() > 100


def test_webcam_follows_a_hand(run, clip):
    lines = run("webcam", clip, "600").splitlines()
    assert len(lines) == 4
    assert all("hand 0 (right): index tip at" in line for line in lines)


def test_video_measures_every_frame_at_its_time(run, clip, tmp_path):
    *lines, last = run("video", clip).splitlines()
    assert [line.split(" s, hand 0 (right)")[0].strip() for line in lines] == ["0.00", "0.10", "0.20", "0.30"]
    assert last == "wrote drawn.mp4"
    assert (tmp_path / "drawn.mp4").stat().st_size > 1000


def test_mesh_writes_models(run, tmp_path):
    assert "right: 1770 vertices" in run("mesh")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"hands.glb", "hands.obj"}


def test_camera_measures_with_the_calibrated_one(run, tmp_path):
    (tmp_path / "camera.json").write_text(json.dumps({"fx": 2000.0, "fy": 2000.0, "cx": 255.5, "cy": 255.5}))
    distances = []
    for camera in ((), ("examples/hand.jpg", "camera.json")):
        distances.append(float(run("camera", *camera).split("wrist ")[1].split(" m")[0]))
    width = knuckle.example_image().shape[1]
    assumed = knuckle.Camera.from_fov((width, width), 1.0471976).K[0, 0]
    assert distances[1] / distances[0] == pytest.approx(2000 / assumed, rel=0.15)


def test_gestures_are_learned_from_folders(run, tmp_path):
    for name in ("mine", "other"):
        (tmp_path / "poses" / name).mkdir(parents=True)
    shutil.copy(EXAMPLES / "hand.jpg", tmp_path / "poses" / "mine" / "1.jpg")
    shutil.copy(EXAMPLES / "hand.jpg", tmp_path / "poses" / "other" / "1.jpg")
    assert run("gestures", "poses", "examples/hand.jpg") == "examples/hand.jpg: right hand, mine\n"
    assert knuckle.Gestures.load("gestures.json").names == ("mine", "other")


def test_robot_follows_a_picture(run, tmp_path):
    (tmp_path / "hand.urdf").write_text(urdf())
    first, second = run("robot", "hand.urdf").splitlines()
    assert "fingers thumb, index" in first
    assert second.startswith("frame 0: ")


def test_batch_makes_one_table(run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(EXAMPLES / "hand.jpg", folder / name)
    assert run("batch", "photos") == "wrote hands.csv: 2 hands in 2 pictures\n"
    assert len((tmp_path / "hands.csv").read_text().splitlines()) == 3


def test_labels_are_read_back_as_a_data_set(run, tmp_path):
    folder = tmp_path / "photos" / "day1"
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLES / "hand.jpg", folder / "a.jpg")
    assert "1 hands in 1 pictures" in run("label_coco", "photos")
    (sample,) = CocoHands(tmp_path / "photos")
    (hand,) = knuckle.predict(knuckle.example_image())
    assert sample.side == "right"
    assert abs(sample.joints_image - hand.joints_image).max() < 0.01
    assert sample.image.shape == knuckle.example_image().shape


def test_a_system_in_one_script_trains_exports_and_predicts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    own_system = importlib.import_module("own_system")
    monkeypatch.setitem(SYSTEMS, "plain", SYSTEMS["plain"])
    data, out = write_shard(tmp_path / "pictures", held_samples(8)), tmp_path / "run"
    words = ["train", "plain", "--data", data, "--out", str(out), "--steps", "4", "--batch", "4", "--threads", "1"]
    assert own_system.main(words) == 0
    assert own_system.main(["export", str(out / "step-0000004"), "--out", str(tmp_path / "plain.onnx")]) == 0
    predictor = knuckle.Predictor(hand=tmp_path / "plain.onnx", threads=1)
    (hand,) = predictor(knuckle.example_image())
    assert hand.side == "right"
    assert hand.joints_network is not None
