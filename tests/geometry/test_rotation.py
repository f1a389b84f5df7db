import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from knuckle.geometry.rigid import invert_rigid, make_rigid, transform_points
from knuckle.geometry.rotation import (
    axis_angle_to_matrix,
    cross_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    quaternion_to_matrix,
    rotation_6d_to_matrix,
    rotation_about,
)


def vectors(rng, n=50):
    """Rotation vectors of every kind: uniform, near and at the identity, near and at pi."""
    axis = rng.normal(size=(n, 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    axis[:3] = np.eye(3)
    lengths = [rng.uniform(0, np.pi, (n, 1)), 1e-9, 1e-4, 0.01, 0.0, np.pi - 1e-6, np.pi]
    return np.concatenate([axis * length for length in lengths])


def test_against_scipy(to_array, rng):
    v = vectors(rng)
    expected = Rotation.from_rotvec(v)
    matrix = axis_angle_to_matrix(to_array(v))
    np.testing.assert_allclose(np.asarray(matrix), expected.as_matrix(), atol=1e-15)
    back = np.asarray(matrix_to_axis_angle(to_array(expected.as_matrix())))
    # at pi the sign of the axis is free: compare the rotations, and the angle
    np.testing.assert_allclose(Rotation.from_rotvec(back).as_matrix(), expected.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(back, axis=-1), np.linalg.norm(v, axis=-1), atol=1e-14)
    wxyz = np.asarray(matrix_to_quaternion(matrix))
    assert np.all(wxyz[:, 0] >= 0)
    np.testing.assert_allclose(Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]).as_matrix(), expected.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(np.asarray(quaternion_to_matrix(to_array(3 * wxyz))), expected.as_matrix(), atol=1e-14)
    six = matrix_to_rotation_6d(matrix)
    np.testing.assert_allclose(np.asarray(rotation_6d_to_matrix(2 * six)), expected.as_matrix(), atol=1e-14)


def test_float32_stays_float32(to_array, rng):
    v = vectors(rng).astype(np.float32)
    matrix = axis_angle_to_matrix(to_array(v))
    assert matrix.dtype == to_array(v).dtype
    for back in (
        axis_angle_to_matrix(matrix_to_axis_angle(matrix)),
        quaternion_to_matrix(matrix_to_quaternion(matrix)),
        rotation_6d_to_matrix(matrix_to_rotation_6d(matrix)),
    ):
        assert back.dtype == matrix.dtype
        np.testing.assert_allclose(np.asarray(back), np.asarray(matrix), atol=2e-6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3))
def test_round_trip_below_pi(values):
    v = np.array(values)
    np.testing.assert_allclose(matrix_to_axis_angle(axis_angle_to_matrix(v)), v, atol=1e-8)


def test_rotation_about_is_axis_angle(to_array, rng):
    axis = rng.normal(size=(7, 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = rng.uniform(-4, 4, size=(5, 7))
    np.testing.assert_allclose(
        np.asarray(rotation_about(to_array(axis), to_array(angle))),
        np.asarray(axis_angle_to_matrix(to_array(axis * angle[..., None]))),
        atol=1e-14,
    )


def test_cross_matrix(to_array, rng):
    a, b = rng.normal(size=(2, 4, 3))
    np.testing.assert_allclose((np.asarray(cross_matrix(to_array(a))) @ b[..., None])[..., 0], np.cross(a, b))


@pytest.mark.parametrize("batch", [(), (0,), (1,), (3,), (2, 0), (3, 3)])
def test_batches(batch, to_array, rng):
    v = rng.normal(size=(*batch, 3))
    matrix = axis_angle_to_matrix(to_array(v))
    assert matrix.shape == (*batch, 3, 3)
    flat = v.reshape(-1, 3)
    for i in range(len(flat)):
        np.testing.assert_allclose(
            np.asarray(matrix).reshape(-1, 3, 3)[i], Rotation.from_rotvec(flat[i]).as_matrix(), atol=1e-14
        )
    assert matrix_to_axis_angle(matrix).shape == (*batch, 3)
    assert quaternion_to_matrix(matrix_to_quaternion(matrix)).shape == (*batch, 3, 3)
    assert rotation_6d_to_matrix(matrix_to_rotation_6d(matrix)).shape == (*batch, 3, 3)
    assert rotation_about(to_array(v), to_array(v[..., 0])).shape == (*batch, 3, 3)


SINGULAR = torch.tensor(
    [[0, 0, 0], [0.01, 0, 0], [0.3, -0.2, 0.4], [0, np.pi, 0], [0, 0.6 * np.pi, 0.8 * np.pi]], dtype=torch.float64
)


def test_gradients_also_at_the_singular_points():
    """At 0 and at pi for the vector; up to just before pi, where the inverse jumps, for the matrix."""
    assert torch.autograd.gradcheck(axis_angle_to_matrix, SINGULAR.requires_grad_())
    assert torch.autograd.gradgradcheck(axis_angle_to_matrix, SINGULAR.requires_grad_())
    matrix = axis_angle_to_matrix(SINGULAR.detach() * 0.9999).requires_grad_()
    assert torch.autograd.gradcheck(matrix_to_axis_angle, matrix)
    assert torch.autograd.gradcheck(matrix_to_quaternion, matrix)
    quaternion = matrix_to_quaternion(matrix).detach().requires_grad_()
    assert torch.autograd.gradcheck(quaternion_to_matrix, quaternion)
    assert torch.autograd.gradcheck(rotation_6d_to_matrix, matrix_to_rotation_6d(matrix).detach().requires_grad_())
    axis = torch.eye(3, dtype=torch.float64)[:2].requires_grad_()
    angle = torch.tensor([0.0, np.pi], dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(rotation_about, (axis, angle))


def test_degenerate_6d_stays_finite():
    six = torch.tensor([[1.0, 0, 0, 2, 0, 0], [0, 0, 0, 1, 0, 0]], dtype=torch.float64, requires_grad=True)
    matrix = rotation_6d_to_matrix(six)
    matrix.sum().backward()
    assert torch.isfinite(matrix).all()
    assert six.grad is not None
    assert torch.isfinite(six.grad).all()


@pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])
def test_rigid(batch, to_array, rng):
    rotation = axis_angle_to_matrix(to_array(rng.normal(size=(*batch, 3))))
    translation = to_array(rng.normal(size=(*batch, 3)))
    points = to_array(rng.normal(size=(*batch, 5, 3)))
    transform = make_rigid(rotation, translation)
    moved = transform_points(transform, points)
    expected = np.einsum("...ij,...nj->...ni", np.asarray(rotation), np.asarray(points))
    np.testing.assert_allclose(np.asarray(moved), expected + np.asarray(translation)[..., None, :], atol=1e-14)
    np.testing.assert_allclose(
        np.asarray(transform_points(invert_rigid(transform), moved)), np.asarray(points), atol=1e-13
    )
    np.testing.assert_array_equal(np.asarray(transform)[..., 3, :], np.broadcast_to([0.0, 0.0, 0.0, 1.0], (*batch, 4)))


def test_rigid_broadcasts(to_array, rng):
    one = make_rigid(axis_angle_to_matrix(to_array(rng.normal(size=(3,)))), to_array(rng.normal(size=(4, 3))))
    assert one.shape == (4, 4, 4)
    assert transform_points(one, to_array(rng.normal(size=(5, 3)))).shape == (4, 5, 3)
    assert transform_points(one[0], to_array(rng.normal(size=(2, 4, 5, 3)))).shape == (2, 4, 5, 3)
