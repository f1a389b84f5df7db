"""The canonical frame: the same however a hand is turned, the same for its mirror image, and the way back."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from knuckle.geometry.canonical import from_canonical, to_canonical
from knuckle.handmodel import HandModel

MIRROR = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture
def hands(rng):
    """Three right hands, each about another wrist."""
    model = HandModel.open()
    return np.asarray(model.joints(rng.uniform(0.0, 0.8, (3, 23)))) + rng.normal(size=(3, 1, 3))


def three_rotations(points):
    """Zimmermann and Brox's way, of one hand about its wrist; rows."""
    total = np.eye(3)
    for axis, angle in (
        ("z", lambda p: np.arctan2(p[9, 0], p[9, 1])),
        ("x", lambda p: np.pi - np.arctan2(p[9, 2], p[9, 1])),
        ("y", lambda p: np.arctan2(p[17, 2], p[17, 0])),
    ):
        turn = Rotation.from_euler(axis, angle(points)).as_matrix()
        # Whichever sense zeroes the coordinate it is meant to.
        turn = min((turn, turn.T), key=lambda t, a=axis: residual(points @ t, a))
        points, total = points @ turn, total @ turn
    return points, total


def residual(points, axis):
    x, y, z = points[9]
    return {"z": abs(x), "x": abs(z) + (y > 0), "y": abs(points[17, 2]) + (points[17, 0] < 0)}[axis]


def test_knuckles_lie_where_the_frame_says_and_the_way_back_is_exact(hands, to_array):
    right = np.array([True, False, True])
    canonical, rotation = to_canonical(to_array(hands), to_array(right))
    back = np.asarray(from_canonical(canonical, rotation, to_array(right)))
    canonical, rotation = np.asarray(canonical), np.asarray(rotation)
    length = np.linalg.norm(hands[:, 9] - hands[:, 0], axis=-1)
    np.testing.assert_allclose(canonical[:, 9], np.outer(length, [0.0, -1.0, 0.0]), atol=1e-12)
    np.testing.assert_allclose(canonical[:, 17, 2], 0.0, atol=1e-12)
    assert (canonical[:, 17, 0] > 0).all()
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    np.testing.assert_allclose(back, hands - hands[:, :1], atol=1e-12)


def test_it_is_the_source_s_three_rotations(hands):
    canonical, rotation = to_canonical(hands, np.zeros(3, bool))
    for i in range(3):
        expected, total = three_rotations(hands[i] - hands[i, 0])
        np.testing.assert_allclose(canonical[i], expected, atol=1e-9)
        np.testing.assert_allclose(rotation[i], total.T, atol=1e-9)


def test_turning_a_hand_changes_the_rotation_alone_and_mirroring_nothing(hands):
    right = np.ones(3, bool)
    canonical, rotation = to_canonical(hands, right)
    turn = Rotation.from_rotvec([0.4, -1.0, 0.7]).as_matrix()
    turned, other = to_canonical(hands @ turn, right)
    np.testing.assert_allclose(turned, canonical, atol=1e-12)
    np.testing.assert_allclose(other, rotation @ turn, atol=1e-12)
    mirrored, _ = to_canonical(hands @ MIRROR, ~right)
    np.testing.assert_allclose(mirrored, canonical, atol=1e-12)


def test_a_hand_without_a_direction_has_none():
    with np.errstate(invalid="ignore"):
        canonical, _ = to_canonical(np.zeros((21, 3)), np.array(True))
    assert np.isnan(canonical).all()
