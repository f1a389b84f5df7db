"""What is held: the pose of its box, its form in JSON, and what is refused."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from knuckle.sample import HeldObject
from knuckle.sample.held_object import box_pose
from knuckle.skeleton import BOX_CORNERS, MIRRORED_BOX_CORNERS


def corners_of(T, extent=(0.05, 0.08, 0.2)):
    return np.array(BOX_CORNERS) * extent @ T[:3, :3].T + T[:3, 3]


def random_pose(rng):
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    T[:3, 3] = rng.normal([0.0, 0.0, 0.6], 0.1)
    return T


@pytest.mark.parametrize("extent", [(0.05, 0.08, 0.2), (0.1, 0.1, 0.1), (0.2, 0.03, 1e-5), (0.1, 0.1, 0.0)])
def test_the_pose_of_a_box_comes_back(rng, extent):
    for _ in range(10):
        T = random_pose(rng)
        np.testing.assert_allclose(box_pose(corners_of(T, extent)), T, atol=1e-7)


def test_noise_moves_the_pose_little(rng):
    T = random_pose(rng)
    pose = box_pose(corners_of(T) + rng.normal(0.0, 0.002, (8, 3)))
    turn = Rotation.from_matrix(pose[:3, :3] @ T[:3, :3].T).magnitude()
    assert turn < np.radians(3.0)
    np.testing.assert_allclose(pose[:3, 3], T[:3, 3], atol=0.003)


def test_a_line_has_no_pose_and_a_mirrored_box_changes_ends(rng):
    T = random_pose(rng)
    assert box_pose(corners_of(T, (0.0, 0.0, 0.2))) is None
    assert HeldObject.from_corners(np.full((8, 3), 0.5)).T_camera_object is None
    mirrored = (corners_of(T) * [-1.0, 1.0, 1.0])[list(MIRRORED_BOX_CORNERS)]
    M = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(box_pose(mirrored)[:3, :3], M @ T[:3, :3] @ M, atol=1e-9)


def test_json_round_trip(rng):
    held = HeldObject.from_corners(corners_of(random_pose(rng)), "cup", 0.75)
    data = json.loads(json.dumps(held.to_json(), allow_nan=False))
    known = ["corners_camera", "T_camera_object", "category", "category_probability"]
    assert list(data) == [*known, "probability", "corner_uncertainty_mm", "contacts_camera"]
    back = HeldObject.from_json(data)
    np.testing.assert_allclose(back.corners_camera, held.corners_camera, atol=1e-6)
    np.testing.assert_allclose(back.T_camera_object, held.T_camera_object, atol=1e-7)
    assert (back.category, back.category_probability) == ("cup", 0.75)
    sure = replace(
        held,
        probability=0.9,
        corner_uncertainty_mm=np.linspace(1.0, 8.0, 8),
        contacts_camera={"thumb_tip": held.corners_camera[0], "index_tip": held.corners_camera[5]},
    )
    for copied in (HeldObject.from_json(json.loads(json.dumps(sure.to_json()))), pickle.loads(pickle.dumps(sure))):
        assert copied.to_json() == sure.to_json()
    bare = HeldObject(held.corners_camera)
    assert HeldObject.from_json(bare.to_json()).to_json() == bare.to_json()
    assert bare.to_json()["T_camera_object"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corners_camera": np.zeros((4, 3))}, r"corners_camera must be a floating-point array \(8, 3\)"),
        ({"corners_camera": np.full((8, 3), np.nan)}, "corners_camera must be finite"),
        ({"T_camera_object": np.diag([-1.0, 1.0, 1.0, 1.0])}, "T_camera_object must hold a rotation"),
        ({"category": ""}, "category must be a name or None"),
        ({"category_probability": 1.5}, "category_probability must be between 0 and 1"),
        ({"category": None}, "category must be named"),
        ({"probability": -0.1}, "probability must be between 0 and 1"),
        ({"corner_uncertainty_mm": np.zeros(7)}, r"corner_uncertainty_mm must be a floating-point array \(8\)"),
        ({"contacts_camera": {"sixth_tip": np.zeros(3)}}, "contacts_camera must be named as skeleton.JOINT_NAMES"),
    ],
)
def test_what_it_refuses(changes, message):
    made = {"corners_camera": np.array(BOX_CORNERS), "category": "can", "category_probability": 0.5}
    with pytest.raises(ValueError, match=message):
        HeldObject(**(made | changes))


def test_the_size_of_a_box(rng):
    np.testing.assert_allclose(HeldObject(corners_of(random_pose(rng))).size, [0.05, 0.08, 0.2])


def test_what_from_json_refuses():
    data = HeldObject(np.array(BOX_CORNERS)).to_json()
    with pytest.raises(ValueError, match=r"object must be null or have the keys corners_camera, .* but got 'cup'"):
        HeldObject.from_json("cup")
    with pytest.raises(ValueError, match="object must be null or have the keys"):
        HeldObject.from_json({"category": "cup"})
    with pytest.raises(ValueError, match="object must hold lists of numbers"):
        HeldObject.from_json(data | {"corners_camera": ["a"]})
