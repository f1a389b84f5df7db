"""`knuckle limits`: from data sets, shards and recordings to a file that `knuckle check` takes."""

import io
import json
import tarfile

import cv2
import numpy as np
import pytest

import tiny_sets
from knuckle.cli import main
from knuckle.datasets.space import read_joints
from knuckle.handmodel import HandLimits, HandModel, learn_limits, named_pose, pose_names

MODEL = HandModel.open()


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    poses = np.stack([named_pose(name) for name in pose_names()])
    poses = poses[rng.integers(len(poses), size=150)] + 0.05 * rng.normal(size=(150, 23))
    return MODEL.joints(poses, shape=0.5 * rng.normal(size=(150, 10)))


def write_shard(path, labels):
    """The labels of a shard without its pictures: reading joints must not need them."""
    with tarfile.open(path, "w") as tar:
        for i, label in enumerate(labels):
            data = label if isinstance(label, bytes) else json.dumps(label).encode()
            member = tarfile.TarInfo(f"{i:06d}.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def as_label(joints, sides):
    return {"hands": [{"joints_camera": j.tolist(), "side": side} for j, side in zip(joints, sides, strict=True)]}


def test_a_recording_becomes_limits_and_a_plot(tmp_path, capsys, recording):
    np.save(tmp_path / "left.npy", recording * [-1, 1, 1])
    out, plot = tmp_path / "limits.npz", tmp_path / "plots" / "limits.png"
    command = ["limits", str(tmp_path / "left.npy"), "--side", "left", "--out", str(out), "--plot", str(plot)]
    assert main([*command, "--percentiles", "1", "99", "--share", "0.99"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("limits of 150 hands; lengths in units of wrist to middle_mcp")
    assert printed.rstrip().endswith(f"{out}, {plot}")
    limits = HandLimits.load(out, convention="paper")
    expected = learn_limits(recording, percentiles=(1.0, 99.0), share=0.99)
    np.testing.assert_allclose(limits.lengths, expected.lengths)
    np.testing.assert_allclose(limits.boxes, expected.boxes, atol=1e-9)
    assert limits.source == str(tmp_path / "left.npy")
    picture = cv2.imread(str(plot))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 8  # five colours of fingers, grid, points, ink
    assert (picture == 255).mean() > 0.7


def test_a_persons_own_limits_are_what_check_goes_by(tmp_path, capsys, recording):
    straight = MODEL.joints(
        np.tile(named_pose("flat"), (120, 1)) + 0.02 * np.random.default_rng(0).normal(size=(120, 23))
    )
    np.save(tmp_path / "straight.npy", straight)
    np.save(tmp_path / "fist.npy", MODEL.joints(named_pose("fist"))[None])
    out = str(tmp_path / "mine.npz")
    assert (
        main(["limits", str(tmp_path / "straight.npy"), "--out", out, "--bone", "9", "10", "--convention", "shortest"])
        == 0
    )
    limits = HandLimits.load(out)
    assert (limits.bone, limits.convention) == ((9, 10), "shortest")
    assert main(["check", str(tmp_path / "fist.npy")]) == 0
    assert main(["check", str(tmp_path / "straight.npy"), "--limits", out]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "fist.npy"), "--limits", out]) == 1
    printed = capsys.readouterr().out
    assert "angles: " in printed
    assert "degrees at once" in printed


def test_of_a_data_set_the_training_split_is_read_and_no_picture(tmp_path):
    tiny = tiny_sets.freihand(tmp_path / "set", n=30)
    for picture in (tmp_path / "set" / "training").rglob("*.jpg"):
        picture.unlink()
    seen = []
    joints, left = read_joints(f"freihand:{tiny.root}", progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(joints, tiny.joints)
    assert seen[-1] == (30, 30)
    assert not left.any()
    assert len(read_joints(f"freihand:{tiny.root}", limit=7)[0]) == 7


def test_of_shards_the_labels_are_read_and_no_picture(tmp_path, recording):
    write_shard(
        tmp_path / "shard-000000.tar",
        [as_label(recording[:2], ["left", "right"]), as_label([], []), as_label(recording[2:3], ["right"])],
    )
    joints, left = read_joints(str(tmp_path))
    np.testing.assert_array_equal(joints, recording[:3])
    assert left.tolist() == [True, False, False]
    assert len(read_joints(str(tmp_path), limit=1)[0]) == 2


@pytest.mark.parametrize(
    "label", [b"no JSON", {}, {"hands": [{"side": "left"}]}, {"hands": [{"side": "left", "joints_camera": [[1.0]]}]}]
)
def test_damaged_shards_are_one_line(tmp_path, capsys, label):
    write_shard(tmp_path / "shard-000000.tar", [label])
    assert main(["limits", str(tmp_path), "--out", str(tmp_path / "limits.npz")]) == 2
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "write it again" in written


def test_what_cannot_be_learned_from_is_one_line(tmp_path, capsys, recording):
    tiny_sets.weak(tmp_path / "weak")
    np.save(tmp_path / "few.npy", recording[:20])
    out = ["--out", str(tmp_path / "limits.npz")]
    for arguments, expected in (
        ([f"weak:{tmp_path / 'weak'}", *out], "none of its 4 hands has: its labels are in the picture alone"),
        ([f"weak:{tmp_path / 'weak'}:2d", *out], ":2d leaves them out"),
        ([str(tmp_path / "few.npy"), *out], "at least 100 hands with 3D joints but got 20; give more"),
        ([str(tmp_path / "few.npy"), "--out", "limits.txt"], "--out must be a .npz file but got limits.txt"),
        ([str(tmp_path / "few.npy"), *out, "--plot", "limits.gif"], "--plot must be a .png file"),
        ([str(tmp_path / "missing"), *out], "missing"),
    ):
        assert main(["limits", *arguments]) == 2, arguments
        written = capsys.readouterr().err
        assert written.count("\n") == 1
        assert expected in written
    assert not (tmp_path / "limits.npz").exists()
    assert main(["check", str(tmp_path / "few.npy"), "--limits", str(tmp_path / "few.npy")]) == 2
    assert "few.npy" in capsys.readouterr().err
