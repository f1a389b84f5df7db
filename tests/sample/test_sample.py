import json
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from knuckle.camera import Camera
from knuckle.geometry.rigid import make_rigid, transform_points
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.sample import Batch, Hand, HeldObject, Sample, collate
from knuckle.sample.validate import check_array, check_side
from knuckle.skeleton import BOX_CORNERS

GOLDEN = Path(__file__).parents[1] / "golden" / "hand.json"
MIRROR = np.diag([-1.0, 1.0, 1.0])


def cut(picture, affine, size):
    return cv2.warpAffine(picture, affine, size)


def camera() -> Camera:
    return Camera.from_intrinsics(100.0, 110.0, 31.5, 23.5, (64, 48))


def full(rng, side="right") -> Sample:
    joints_hand = rng.normal(scale=0.05, size=(21, 3))
    rotation = Rotation.random(2, rng=rng).as_matrix()
    poses = make_rigid(rotation, np.array([[0.02, -0.03, 0.5], [0.0, 0.0, 0.6]]))
    joints = transform_points(poses[0], joints_hand @ MIRROR if side == "left" else joints_hand)
    masks = rng.random((3, 48, 64)) > 0.5
    return Sample(
        image=rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        camera=camera(),
        side=side,
        joints_camera=joints,
        joints_image=camera().project(joints),
        visibility=rng.random(21) > 0.5,
        in_frame=rng.random(21) > 0.5,
        vertices_camera=joints[:5] + 0.001,
        angles=rng.normal(size=23),
        wrist_angles=rng.normal(size=2),
        shape=rng.normal(size=10),
        T_camera_hand=poses[0],
        box=np.array([10.0, 12, 30, 40]),
        mask_complete=masks[0],
        mask_visible=masks[1],
        object_mask=masks[2],
        object_category="cylinder",
        T_camera_object=poses[1],
        object_corners_camera=transform_points(poses[1], np.array(BOX_CORNERS) * [0.1, 0.05, 0.03]),
        contacts=rng.random(21) > 0.5,
        source="made",
        id="0",
    )


def test_everything_and_nothing(rng):
    sample = full(rng)
    assert all(getattr(sample, f.name) is not None for f in fields(Sample))
    assert all(getattr(Sample(), f.name) is None for f in fields(Sample))


def gap(rng):
    joints = full(rng).joints_camera.copy()
    joints[3] = np.nan
    return joints


BAD = {
    "image": (np.zeros((48, 64, 3)), "8-bit array .* but got the dtype float64"),
    "joints_camera": (np.zeros((21, 2)), r"\(21, 3\) but got the shape \(21, 2\)"),
    "joints_image": (np.full((21, 2), np.inf), "make the whole row NaN"),
    "visibility": (np.ones(21), "boolean array"),
    "vertices_camera": (np.zeros((0, 3)), r"but got the shape \(0, 3\)"),
    "angles": (np.full(23, np.nan), "must be finite but got nan at"),
    "shape": (np.zeros(10, dtype=np.float16), "dtype float16"),
    "T_camera_hand": (np.diag([2.0, 2, 2, 1]), "must hold a rotation"),
    "T_camera_object": (np.diag([-1.0, 1, 1, 1]), "determinant is -1"),
    "box": (np.array([5.0, 5, 5, 9]), "x1 > x0"),
    "mask_complete": (np.zeros((64, 48), dtype=bool), r"agree in \(width, height\)"),
    "camera": (Camera(np.eye(3), (65, 48)), r"agree in \(width, height\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_sample_refuses(name, rng):
    value, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        replace(full(rng), **{name: value})


def test_wrong_types_are_named():
    """Checked by themselves: in the tests the annotations would be quicker."""
    with pytest.raises(ValueError, match='must be "left" or "right" but got \'Right\''):
        check_side("Right")
    with pytest.raises(ValueError, match=r"joints_image must be .* \(21, 2\) but got list; convert"):
        check_array("joints_image", [[0.0, 1.0]] * 21, (21, 2))


def test_transposed_pose_is_refused(rng):
    sample = full(rng)
    with pytest.raises(ValueError, match="transposed"):
        replace(sample, T_camera_hand=sample.T_camera_hand.T)


def test_single_joints_may_miss(rng):
    sample = replace(full(rng), joints_camera=gap(rng))
    assert np.isnan(sample.joints_camera[3]).all()
    half = gap(rng)
    half[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"at \[5, 1\]; make the whole row NaN"):
        replace(sample, joints_camera=half)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("mirror", [False, True])
def test_seen_by_a_crop(side, mirror, rng):
    sample = full(rng, side)
    once = sample.seen_by(sample.camera.crop([5, 6, 55, 46], (40, 32), rotation=0.3), cut)
    seen = once.seen_by(once.camera.crop([3, 2, 30, 29], (50, 50), rotation=0.2, mirror=mirror), cut)
    crop = seen.camera
    assert seen.image.shape == (50, 50, 3)
    assert seen.mask_visible.shape == (50, 50)
    assert (seen.side == sample.side) != mirror
    np.testing.assert_allclose(crop.project(seen.joints_camera), seen.joints_image, atol=1e-9)
    np.testing.assert_allclose(crop.to_camera(seen.joints_camera), sample.joints_camera, atol=1e-12)
    # the hand's own joints are the same whichever way it is looked at
    for s in (sample, seen):
        own = transform_points(np.linalg.inv(s.T_camera_hand), s.joints_camera)
        own = own @ MIRROR if s.side == "left" else own
        if s is sample:
            expected = own
        np.testing.assert_allclose(own, expected, atol=1e-12)
        # and so are the object's corners in its own frame
        corners = transform_points(np.linalg.inv(s.T_camera_object), s.object_corners_camera)
        np.testing.assert_allclose(corners, np.array(BOX_CORNERS) * [0.1, 0.05, 0.03], atol=1e-12)
    assert seen.box[2] > seen.box[0]


def test_masks_follow_the_picture():
    mask = np.zeros((48, 64), dtype=bool)
    mask[20:30, 10:25] = True
    sample = Sample(image=np.repeat(mask[..., None] * np.uint8(255), 3, axis=2), camera=camera(), mask_visible=mask)
    seen = sample.seen_by(camera().crop([0, 10, 40, 40], (160, 120), mirror=True), cut)
    assert ((seen.image[..., 0] > 127) == seen.mask_visible).mean() > 0.99


def test_seen_by_needs_a_camera(rng):
    with pytest.raises(ValueError, match="camera must be known"):
        replace(full(rng), camera=None).seen_by(camera(), cut)


# Batch


def test_a_batch_knows_what_is_there(rng):
    samples = [full(rng), replace(full(rng, "left"), joints_camera=None, angles=None, camera=None), full(rng)]
    batch = collate([replace(s, shape=None, object_mask=None) for s in samples])
    assert len(batch) == 3
    assert batch.image.shape == (3, 3, 48, 64)
    np.testing.assert_array_equal(batch.image[2].permute(1, 2, 0).numpy(), samples[2].image)
    assert batch.shape is None
    assert batch.object_mask is None
    assert batch.present["angles"].tolist() == [True, False, True]
    assert batch.rows("joints_image", "joints_camera", "camera").tolist() == [True, False, True]
    assert batch.rows().tolist() == [True] * 3
    assert batch.rows("shape").tolist() == [False] * 3
    assert batch.left.tolist() == [False, True, False]
    assert torch.isnan(batch.joints_camera[1]).all()
    assert batch.joints_camera.dtype == torch.float32
    assert batch.id == ("0",) * 3
    rows = batch.rows("camera")
    uv = Camera(batch.camera.K[rows]).project(batch.joints_camera[rows])
    torch.testing.assert_close(uv, batch.joints_image[rows], atol=1e-3, rtol=0)
    moved = batch.to("cpu")
    assert isinstance(moved, Batch)
    assert moved.camera.size == (64, 48)
    assert moved.left.tolist() == batch.left.tolist()


def test_joints_without_label_are_named(rng):
    batch = collate([full(rng), replace(full(rng), joints_camera=gap(rng), joints_image=None)], dtype="float64")
    assert batch.joint_rows("joints_camera").sum(dim=1).tolist() == [21, 20]
    assert not batch.joint_rows("joints_camera")[1, 3]
    assert batch.joint_rows("joints_image").sum(dim=1).tolist() == [21, 0]
    empty = collate([Sample()])
    assert empty.joint_rows("joints_image").shape == (1, 21)
    assert empty.left is None
    assert empty.camera is None
    assert batch.angles.dtype == torch.float64


def test_what_a_batch_refuses(rng):
    with pytest.raises(ValueError, match="at least one"):
        collate([])
    with pytest.raises(ValueError, match="must have one shape"):
        collate([full(rng), Sample(image=np.zeros((4, 4, 3), np.uint8))])


def test_samples_need_no_torch():
    code = "import sys, knuckle.sample; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Hand


def hand(**changes) -> Hand:
    """Made of short fractions, so that the golden file does not depend on the machine."""
    i = np.arange(21)
    made = {
        "side": "left",
        "score": 0.875,
        "box": np.array([10.5, 12.0, 30.25, 40.0]),
        "joints_camera": np.stack([i / 256, -i / 512, 0.5 + i / 1024], axis=-1),
        "angles": np.arange(23) / 32 - 0.25,
        "shape": np.arange(10) / 8 - 0.5,
        "T_camera_hand": np.array([[0.0, -1, 0, 0.125], [1, 0, 0, -0.25], [0, 0, 1, 0.5], [0, 0, 0, 1]]),
        "joint_uncertainty_mm": i / 4 + 1,
        "plausibility": 0.5,
        "camera": camera(),
        "vertices_camera": np.ones((5, 3)),
    }
    return Hand(**(made | changes))


def test_golden_json():
    """The form of a hand in JSON is a promise to other programs: it changes with intent or not at all."""
    assert json.loads(json.dumps(hand().to_json(), allow_nan=False)) == json.loads(GOLDEN.read_text())
    assert list(hand().to_json()) == list(json.loads(GOLDEN.read_text()))


def test_json_round_trip():
    back = Hand.from_json(json.loads(json.dumps(hand().to_json())), camera())
    again, before = back.to_json(), hand().to_json()
    np.testing.assert_allclose(again.pop("joints_image"), before.pop("joints_image"), atol=2e-3)
    assert again == before
    np.testing.assert_allclose(back.joints_camera, hand().joints_camera, atol=1e-6)
    assert back.vertices_camera is None
    assert list(back.angles) == list(ANGLE_NAMES)
    single = hand(joints_camera=hand().joints_camera.astype(np.float32), score=1.0)
    json.dumps(single.to_json(), allow_nan=False)


def test_json_round_trip_with_an_object():
    held = HeldObject.from_corners(np.array(BOX_CORNERS) + 1.0, "cup", 0.5)
    data = json.loads(json.dumps(hand(object=held).to_json(), allow_nan=False))
    assert Hand.from_json(data, camera()).to_json()["object"] == data["object"] == held.to_json()
    with pytest.raises(ValueError, match="object must be null or have the keys"):
        Hand.from_json(data | {"object": {}}, camera())


def test_excess_is_of_the_networks_joints_where_there_are_any():
    joints = HandModel.open().joints(np.zeros(23), side="left") + np.array([0.0, 0.0, 0.5])
    broken = joints.copy()
    broken[8] += 3 * (joints[8] - joints[7])
    assert all((part == 0).all() for part in hand(joints_camera=joints).excess())
    assert np.flatnonzero(hand(joints_camera=joints, joints_network=broken).excess().lengths).tolist() == [7]


def test_the_id_of_a_track_is_kept():
    assert Hand.from_json(hand(id=3).to_json(), camera()).id == 3


def test_joints_image_is_the_projection():
    np.testing.assert_array_equal(hand().joints_image, camera().project(hand().joints_camera))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": float("nan")}, "score must be between 0 and 1 but got nan"),
        ({"plausibility": 1.5}, "plausibility must be"),
        ({"joints_camera": np.full((21, 3), np.nan)}, "joints_camera must be finite"),
        ({"joints_camera": np.zeros((21, 3))}, "in front of the camera"),
        ({"joint_uncertainty_mm": np.full(21, -1.0)}, "must not be negative"),
        ({"joint_uncertainty_mm": np.full(21, np.inf)}, "must be finite"),
        ({"angles": [0.0] * 22}, "angles must be 23 but got 22"),
        ({"angles": [np.nan] * 23}, "angles must be finite"),
        ({"angles": {"index_flexion": 0.0}}, "differ in index_dip_flexion"),
        ({"shape": np.zeros(9)}, r"shape must be a floating-point array \(10\)"),
        ({"joints_network": np.zeros((16, 3))}, "joints_network must be"),
        ({"camera": Camera(np.eye(3)[None])}, "camera must be a Camera with K"),
        ({"vertices_network": np.zeros((16, 2))}, "vertices_network must be"),
        ({"id": -1}, "id must be an integer from 0"),
    ],
)
def test_what_a_hand_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        hand(**changes)


def test_what_from_json_refuses():
    data = hand().to_json()
    with pytest.raises(ValueError, match=r"\['score'\] missing"):
        Hand.from_json({k: v for k, v in data.items() if k != "score"}, camera())
    with pytest.raises(ValueError, match="give the camera that is stored"):
        Hand.from_json(data, Camera.from_intrinsics(200.0, 200.0, 31.5, 23.5))
    with pytest.raises(ValueError, match="box must be a list of numbers"):
        Hand.from_json(data | {"box": ["a", 1, 2, 3]}, camera())


def test_pickles():
    back = pickle.loads(pickle.dumps(hand()))
    assert back.to_json() == hand().to_json()
    np.testing.assert_array_equal(back.vertices_camera, hand().vertices_camera)


def test_frozen():
    with pytest.raises(AttributeError):
        hand().side = "right"
    with pytest.raises(TypeError):
        hand().angles["index_mcp_flexion"] = 1.0
