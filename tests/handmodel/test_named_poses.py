"""The named poses, and the penetration depth of fingertips."""

import numpy as np
import pytest

from knuckle.handmodel import HandModel, named_pose, pose_names
from knuckle.handmodel.contact import fingertip_depths, mesh_distances, winding_numbers
from knuckle.handmodel.limits import violations
from knuckle.handmodel.poses import pose_bank

MODEL = HandModel.open()
CUBE = np.array([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)])
CUBE_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def test_the_bank_holds_what_it_should():
    names = pose_names()
    assert len(names) >= 60
    assert len({pose.degrees for pose in pose_bank().values()}) >= 60
    assert set("abcdefghiklmnopqrstuvwxy") == {name[7:] for name in names if name.startswith("letter_")}
    assert {f"digit_{i}" for i in range(10)} <= set(names)
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert {f"count_{number}" for number in numbers} <= set(names)
    daily = ("cylindrical", "tip", "hook", "palmar", "spherical", "lateral")
    assert {f"grasp_{grasp}" for grasp in daily} <= set(names)
    assert {"flat", "spread", "fist", "relaxed", "point", "ok", "thumbs_up", "peace", "horns"} <= set(names)
    assert all(pose.about and len(pose.degrees) == 23 for pose in pose_bank().values())


def test_flat_is_the_rest_pose():
    np.testing.assert_array_equal(named_pose("flat"), 0)


def test_an_unknown_name_gets_the_closest():
    with pytest.raises(ValueError, match=r"got 'fists'; did you mean .*fist"):
        named_pose("fists")
    with pytest.raises(ValueError, match="--list"):
        named_pose("qqqqqqqqqqqq")


@pytest.mark.parametrize("name", pose_names())
def test_every_pose_is_within_limits_and_passes_through_nothing(name):
    angles = named_pose(name)
    np.testing.assert_array_equal(violations(angles), 0)
    assert fingertip_depths(MODEL, MODEL(angles).vertices).max() <= 2e-3


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        *((f"pinch_{finger}", 4, tip) for finger, tip in (("index", 8), ("middle", 12), ("ring", 16), ("little", 20))),
        *(("digit_6", 4, 20), ("digit_7", 4, 16), ("digit_8", 4, 12), ("digit_9", 4, 8), ("ok", 4, 8)),
    ],
)
def test_pinches_close(name, one, other):
    joints = MODEL.joints(named_pose(name))
    assert np.linalg.norm(joints[one] - joints[other]) < 0.02


def test_depth_of_a_fingertip():
    """Known depths: a flat hand has none; a middle finger straight through the palm has its thickness at most."""
    np.testing.assert_array_equal(fingertip_depths(MODEL, MODEL.vertices), 0)
    angles = np.zeros(23)
    angles[12:15] = np.radians([95, 118, 90])
    depths = fingertip_depths(MODEL, MODEL(angles).vertices)
    assert depths[2] > 2e-3
    assert (np.delete(depths, 2) == 0).all()
    moved = MODEL(angles).vertices + np.array([0.3, -0.1, 0.2])
    np.testing.assert_allclose(fingertip_depths(MODEL, moved), depths, atol=1e-12)


def test_winding_number_and_distance_of_a_cube(rng):
    points = rng.uniform(-1, 2, size=(200, 3))
    inside = ((points > 0) & (points < 1)).all(axis=1)
    np.testing.assert_allclose(winding_numbers(points, CUBE, CUBE_FACES), inside, atol=1e-9)
    outside = np.linalg.norm(np.maximum(np.maximum(-points, points - 1), 0), axis=1)
    within = np.minimum(points, 1 - points).min(axis=1)
    np.testing.assert_allclose(mesh_distances(points, CUBE, CUBE_FACES), np.where(inside, within, outside), atol=1e-12)
    assert winding_numbers(points[:0], CUBE, CUBE_FACES).shape == (0,)
