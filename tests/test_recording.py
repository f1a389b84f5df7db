"""Everything that `knuckle predict` writes with joints in space is read, and `fit` refuses what it cannot mean."""

import json

import numpy as np
import pytest

import knuckle
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.handmodel import HandModel, named_pose
from knuckle.predict.cameras import SourcedCamera
from knuckle.predict.formats import FORMATS
from knuckle.predict.output import PictureResult, Target, VideoInfo
from knuckle.recording import Recording, read_recording
from knuckle.sample import Hand
from knuckle.skeleton import from_common

MODEL = HandModel.open()
CAMERA = Camera.from_fov((64, 48), 1.0)
IMAGE = np.zeros((48, 64, 3), np.uint8)


def hand(side, place, number):
    T = np.eye(4)
    T[:3, 3] = [place, 0, 0.5]
    posed = MODEL(named_pose("half_closed"), T_camera_hand=T, side=side)
    uv = CAMERA.project(posed.joints)
    return Hand(
        side=side,
        score=0.9,
        box=np.concatenate([uv.min(0), uv.max(0)]),
        joints_camera=posed.joints,
        angles=named_pose("half_closed"),
        shape=np.zeros(10),
        T_camera_hand=T,
        joint_uncertainty_mm=np.full(21, 4.0),
        plausibility=0.8,
        camera=CAMERA,
        vertices_camera=posed.vertices,
        joints_network=posed.joints,
        id=number,
    )


def frames():
    """A right hand in four frames, and a left one in the last three."""
    for frame in range(4):
        hands = [hand("right", 0.01 * frame, 0)] + ([hand("left", -0.1, 1)] if frame else [])
        yield PictureResult("clip.mp4", IMAGE, SourcedCamera(CAMERA, "given"), hands, frame, frame / 25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `knuckle predict` writes of a picture and of a video."""
    out = tmp_path_factory.mktemp("predicted")
    picture = PictureResult("photo.jpg", IMAGE, SourcedCamera(CAMERA, "given"), [hand("left", 0.0, None)])
    for name in ("json", "npz", "csv", "coco", "glb", "bvh"):
        FORMATS[name].picture(picture, Target(out / "photo", MODEL))
        with FORMATS[name].video(VideoInfo(out / "clip.mp4", 25.0), Target(out / "clip", MODEL)) as add:
            for result in frames():
                add(result)
    return out


@pytest.mark.parametrize("name", ["photo.json", "photo.npz", "photo.csv"])
def test_a_picture_is_read(folder, name):
    read = read_recording(folder / name)
    np.testing.assert_allclose(read.joints, [hand("left", 0.0, None).joints_camera], atol=1e-6)
    assert read.left is not None
    assert read.left.tolist() == [True]
    assert read.track is None
    assert read.time is None
    assert read.fps(30.0) == 30.0


@pytest.mark.parametrize("time", [[0.0, 0.0, 0.0, 1.0], [0.0, 3.0, 2.0, 1.0], [0.0, np.nan, 1.0], [0.0, np.inf]])
def test_times_that_tell_no_rate_give_the_other(time):
    assert Recording(np.zeros((len(time), 21, 3)), time=np.array(time)).fps(30.0) == 30.0


@pytest.mark.parametrize("name", ["clip.jsonl", "clip.npz", "clip.csv"])
def test_a_video_is_read_with_its_tracks_and_times(folder, name):
    read = read_recording(folder / name)
    assert len(read) == 7
    right, side = read.of_one_side("right")
    right = right.of_one_track(None)
    assert side == "right"
    wanted = [result.hands[0].joints_camera for result in frames()]
    np.testing.assert_allclose(right.joints, wanted, atol=1e-5)
    assert right.fps(30.0) == pytest.approx(25.0, rel=1e-4)
    assert len(read.of_one_track(1)) == 3
    with pytest.raises(ValueError, match="has 4 right hands and 3 left ones; choose with --side"):
        read.of_one_side(None)
    with pytest.raises(ValueError, match=r"has the tracks 0 \(4 frames\), 1 \(3 frames\); choose one with --id"):
        read.of_one_track(None)
    with pytest.raises(ValueError, match="has the tracks 0, 1 but --id is 5"):
        read.of_one_track(5)


def test_what_hands_save_is_read(tmp_path):
    hands = knuckle.Hands([hand("left", 0.0, None)])
    for suffix in (".json", ".npz"):
        read = read_recording(hands.save(tmp_path / f"a{suffix}"))
        np.testing.assert_allclose(read.joints[0], hands[0].joints_camera, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.coco.json", "holds joints in the picture only; give the .json"),
        ("photo.glb", "is a mesh; give the .json"),
        ("photo.hand-0.bvh", "is a skeleton's motion; give the .json"),
    ],
)
def test_files_without_joints_in_space_name_those_that_have_them(folder, name, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_recording(folder / name)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"hands": []}', "at least one hand but holds none"),
        ("a.json", '{"hands": [{"side": "left"}]}', "lacks 'joints_camera'"),
        ("a.jsonl", '{"hands": []}\n{"hands": 3', "line 2 must be a JSON"),
        ("a.jsonl", "3\n", "must hold hands as `knuckle predict` writes them"),
        ("a.csv", "side,wrist_x\nleft,1\n", "lacks the column wrist_y"),
        ("a.csv", "", "holds none"),
    ],
)
def test_damaged_files_are_named_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_recording(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fit_takes_what_predict_wrote(folder, tmp_path, capsys):
    assert main(["fit", str(folder / "photo.json"), "--out", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.startswith("1 left hand fitted: mean error 0.")
    assert main(["fit", str(folder / "clip.jsonl"), "--out", str(tmp_path / "b"), "--side", "left", "--json"]) == 0
    assert capsys.readouterr().out.startswith("3 left hands fitted")
    for again in ("fit.npz", "fit.json"):
        read = read_recording(tmp_path / "b" / again)
        assert read.left is not None
        assert read.left.all()
        assert read.joints.shape == (3, 21, 3)
    assert main(["check", str(folder / "clip.npz"), "--id", "0", "--side", "right"]) == 0
    assert main(["fit", str(folder / "clip.csv"), "--out", str(tmp_path / "c")]) == 2
    assert "clip.csv has 4 right hands and 3 left ones; choose with --side" in capsys.readouterr().err


def test_fit_refuses_what_no_hand_is_and_says_why(tmp_path, capsys):
    rng = np.random.default_rng(0)
    angles = named_pose("half_closed") + rng.normal(0, 0.1, (6, 23))
    right = MODEL.joints(angles)
    swapped = right[:, [*range(5), *range(9, 13), *range(5, 9), *range(13, 21)]]
    cases = {
        "millimetres": (1000 * right, "the joints are in millimetres, not metres; multiply them by 0.001"),
        "left": (MODEL.joints(angles, side="left"), "these are left hands given as right ones"),
        "order": (from_common(right, "rhd"), "convert them with skeleton.to_common(joints, 'rhd')"),
        "inches": (right / 0.0254, "seem to be in inches, or in lengths of a bone"),
        "swapped": (swapped, "index and middle finger swapped"),
        "shuffled": (right[:, rng.permutation(21)], "in any known joint order; check the order of the joints"),
        "one": (right[:1, rng.permutation(21)], "check the order of the joints"),
        "many": (np.repeat(1000 * right, 10, axis=0), "multiply them by 0.001 (from 32 of 60 frames; "),
    }
    for name, (joints, message) in cases.items():
        np.save(tmp_path / f"{name}.npy", joints)
        assert main(["fit", str(tmp_path / f"{name}.npy"), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert f"{name}.npy: " in line
        assert "--force" in line
        assert not (tmp_path / "out").exists()
    assert main(["fit", str(tmp_path / "millimetres.npy"), "--out", str(tmp_path / "out"), "--force"]) == 1
    assert "mm off on average" in capsys.readouterr().err
    zeros = {"all": np.zeros((4, 21, 3)), "some": right.copy(), "thumbs": right.copy()}
    zeros["some"][3] = 0
    zeros["thumbs"][:, 1:5] = 0
    for (name, joints), count in zip(zeros.items(), ("4 of 4", "1 of 6", "6 of 6"), strict=True):
        np.save(tmp_path / f"{name}.npy", joints)
        assert main(["fit", str(tmp_path / f"{name}.npy"), "--out", str(tmp_path / "none"), "--force"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "must hold 21 different points in each frame" in line
        assert f"({count} frames have such joints)" in line
        assert not (tmp_path / "none").exists()
    (tmp_path / "mm.json").write_text(json.dumps({"joints": (1000 * right).tolist()}))
    assert main(["fit", str(tmp_path / "mm.json"), "--out", str(tmp_path / "out")]) == 2


def test_fit_refuses_the_joints_of_a_picture(tmp_path, capsys):
    joints = np.array(HandModel.open().joints(np.zeros(23)))
    joints[:, 2] = 0.0
    np.save(tmp_path / "flat.npy", joints[None])
    assert main(["fit", str(tmp_path / "flat.npy"), "--out", str(tmp_path / "out"), "--side", "right"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must hold joints in space but z is 0 in all of them" in line
    assert not (tmp_path / "out").exists()
