"""Angles to rotations and back, in both conventions; limits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.angles import ANGLE_JOINT, angles_to_rotations, rotations_to_angles
from knuckle.handmodel.limits import LIMITS_DEGREES, angle_limits, violations

AXIS = HandModel.open().angle_axis
CONVENTIONS = ("composed", "summed")


def inside(rng, batch=()):
    low, high = angle_limits().T
    return rng.uniform(low, high, size=(*batch, 23))


def test_twin(rng):
    angles = rng.normal(size=23)
    composed, summed = (angles_to_rotations(angles, AXIS, convention) for convention in CONVENTIONS)
    for joint in range(15):
        product, vector = np.eye(3), np.zeros(3)
        for i in range(23):
            if ANGLE_JOINT[i] == joint:
                product = product @ Rotation.from_rotvec(angles[i] * AXIS[i]).as_matrix()
                vector += angles[i] * AXIS[i]
        np.testing.assert_allclose(composed[joint], product, atol=1e-12)
        np.testing.assert_allclose(summed[joint], Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("batch", [(), (1,), (3,), (0,), (200,)])
def test_round_trip(rng, to_array, convention, batch):
    angles = inside(rng, batch)
    rotations = angles_to_rotations(to_array(angles), to_array(AXIS), convention)
    back, residual = rotations_to_angles(rotations, to_array(AXIS), convention)
    np.testing.assert_allclose(np.asarray(back), angles, atol=1e-9)
    np.testing.assert_allclose(np.asarray(residual), np.zeros((*batch, 15)), atol=1e-7)


def test_oblique_thumb_axes(rng):
    """A thumb whose axes are not perpendicular: the closed form alone is not exact."""
    axis = AXIS.copy()
    axis[1] = Rotation.from_rotvec([0.2, -0.1, 0.15]).apply(axis[1])
    axis[5] = Rotation.from_rotvec([-0.1, 0.2, 0.1]).apply(axis[5])
    angles = 0.9 * inside(rng, (100,))
    back, residual = rotations_to_angles(angles_to_rotations(angles, axis), axis)
    np.testing.assert_allclose(residual, 0, atol=1e-7)
    np.testing.assert_allclose(angles_to_rotations(back, axis), angles_to_rotations(angles, axis), atol=1e-8)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_nearby_angles_are_closer(rng, convention):
    rotations = angles_to_rotations(inside(rng, (20,)), AXIS, convention)
    rotations = rotations @ Rotation.from_rotvec(rng.normal(scale=0.15, size=(300, 3))).as_matrix().reshape(
        20, 15, 3, 3
    )
    angles, residual = rotations_to_angles(rotations, AXIS, convention)
    assert residual.max() < 1
    np.testing.assert_allclose(residual[:, :2] if convention == "composed" else 0, 0, atol=1e-6)  # three free angles
    if convention == "summed":  # least squares minimises the distance of the rotation vectors
        return
    for i in range(23):
        for step in (-1e-3, 1e-3):
            other = angles.copy()
            other[:, i] += step
            left = np.swapaxes(angles_to_rotations(other, AXIS), -1, -2) @ rotations
            distance = Rotation.from_matrix(left[:, ANGLE_JOINT[i]]).magnitude()
            assert (distance > residual[:, ANGLE_JOINT[i]] - 1e-9).all(), ANGLE_NAMES[i]


def test_residual_is_the_angle_left(rng):
    rotations = angles_to_rotations(inside(rng), AXIS)
    # about the bone's own axis, which a finger's MCP cannot represent: the residual is the whole rotation
    bone = np.cross(AXIS[8], AXIS[7])
    rotations[3] = rotations[3] @ Rotation.from_rotvec(0.3 * bone).as_matrix()
    _, residual = rotations_to_angles(rotations, AXIS)
    assert 0.2 < residual[3] <= 0.3
    np.testing.assert_allclose(np.delete(residual, 3), 0, atol=1e-7)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gradients(rng, convention):
    axis = torch.tensor(AXIS)
    for at in (np.zeros(23), inside(rng)):
        angles = torch.tensor(at, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: angles_to_rotations(x, axis, convention), angles)
        rotations = angles_to_rotations(angles.detach(), axis, convention).requires_grad_()
        jacobian = torch.autograd.functional.jacobian(lambda x: rotations_to_angles(x, axis, convention)[0], rotations)
        forward = torch.autograd.functional.jacobian(lambda x: angles_to_rotations(x, axis, convention), angles)
        both = torch.einsum("aijk,ijkb->ab", jacobian, forward)
        torch.testing.assert_close(both, torch.eye(23, dtype=torch.float64), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=40)
@given(arrays(np.float64, (23,), elements=st.floats(-1.4, 1.4)))
def test_any_angles_come_back(angles):
    back, residual = rotations_to_angles(angles_to_rotations(angles, AXIS), AXIS)
    np.testing.assert_allclose(back, angles, atol=1e-6)
    assert residual.max() < 1e-6


def test_float32(rng):
    angles = inside(rng, (50,)).astype(np.float32)
    axis = AXIS.astype(np.float32)
    back, _ = rotations_to_angles(angles_to_rotations(angles, axis), axis)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, angles, atol=2e-5)


def test_limits_and_violations(to_array):
    for preset in LIMITS_DEGREES:
        limits = angle_limits(preset)
        assert (limits[:, 0] < 0).all()
        assert (limits[:, 1] > 0).all()
    degrees = dict(zip(ANGLE_NAMES, LIMITS_DEGREES["default"], strict=True))
    assert degrees["ring_mcp_flexion"] == (-45, 100)
    assert degrees["index_pip_flexion"] == (-10, 120)
    assert degrees["little_dip_flexion"] == (-15, 95)
    assert dict(zip(ANGLE_NAMES, LIMITS_DEGREES["s4"], strict=True))["little_mcp_abduction"] == (-30, 20)
    low, high = angle_limits().T
    angles = np.stack([low - 0.1, low, 0 * low, high, high + 0.2])
    expected = np.array([-0.1, 0, 0, 0, 0.2])[:, None] * np.ones(23)
    np.testing.assert_allclose(np.asarray(violations(to_array(angles))), expected, atol=1e-12)
    np.testing.assert_allclose(np.asarray(violations(to_array(angles), to_array(angle_limits()))), expected, atol=1e-12)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="angles must be"):
        angles_to_rotations(np.zeros(25), AXIS)
    with pytest.raises(ValueError, match="preset must be"):
        angle_limits("none")
