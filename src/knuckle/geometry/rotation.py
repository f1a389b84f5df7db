"""Rotations as axis-angle vectors, matrices, quaternions (w, x, y, z) and the 6D form; NumPy and torch alike.

A matrix acts on column vectors: `point_a = R_a_b @ point_b`.
"""

import array_api_compat
import numpy as np
from jaxtyping import Float

from knuckle.arrays import Array, namespace

# Below this squared angle Taylor series are used. Their truncation error is below float64's epsilon there, while the
# closed forms divide by the angle, so one threshold serves both precisions.
_SMALL = 1e-4


def _identity(like: Array) -> Array:
    # Not xp.eye: torch's does not export to ONNX.
    rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    return namespace(like).asarray(rows, dtype=like.dtype, device=array_api_compat.device(like))


def cross_product(one: Float[Array, "*#batch 3"], other: Float[Array, "*#batch 3"]) -> Float[Array, "... 3"]:
    """The cross product of vectors (..., 3); of NumPy arrays several times faster than numpy.cross."""
    xp = namespace(one, other)
    if array_api_compat.is_torch_array(one):
        return xp.linalg.cross(one, other, axis=-1)
    ax, ay, az = one[..., 0], one[..., 1], one[..., 2]
    bx, by, bz = other[..., 0], other[..., 1], other[..., 2]
    out = np.empty(np.broadcast_shapes(one.shape, other.shape), dtype=np.result_type(one, other))
    out[..., 0] = ay * bz - az * by
    out[..., 1] = az * bx - ax * bz
    out[..., 2] = ax * by - ay * bx
    return out


def cross_matrix(vector: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """The matrix K with K @ p = vector x p.

    Args:
        vector: (..., 3).

    Returns:
        (..., 3, 3) skew-symmetric.
    """
    xp = namespace(vector)
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = xp.zeros_like(x)
    # In one stack: for a single vector, calls take longer than what they do.
    numbers = xp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    return xp.reshape(numbers, (*vector.shape[:-1], 3, 3))


def axis_angle_to_matrix(axis_angle: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """Rotation matrix of a rotation vector (Rodrigues).

    Args:
        axis_angle: (..., 3) the axis times the angle in radians; any length.

    Returns:
        (..., 3, 3) rotation matrix.

    Note:
        Smooth everywhere, the zero vector included.
    """
    xp = namespace(axis_angle)
    squared = xp.sum(axis_angle**2, axis=-1)
    small = squared < _SMALL
    # Double where: the branch not taken is evaluated too, and its gradient at 0 (inf * 0) would make a NaN.
    safe = xp.where(small, xp.ones_like(squared), squared)
    angle = xp.sqrt(safe)
    sine = xp.where(small, 1 - squared / 6 * (1 - squared / 20), xp.sin(angle) / angle)
    # (1 - cos) / angle^2, by the half angle, to avoid cancellation
    half = xp.sin(angle / 2) / angle
    cosine = xp.where(small, 0.5 - squared / 24 * (1 - squared / 30), 2 * half**2)
    cross = cross_matrix(axis_angle)
    return _identity(axis_angle) + sine[..., None, None] * cross + cosine[..., None, None] * (cross @ cross)


def rotation_about(axis: Float[Array, "*#batch 3"], angle: Float[Array, "*#batch"]) -> Float[Array, "... 3 3"]:
    """Rotation by an angle about a given unit axis.

    Args:
        axis: (..., 3) of length one; not checked.
        angle: (...) radians; broadcast against the axis' leading axes.

    Returns:
        (..., 3, 3) rotation matrix.

    Note:
        Smooth everywhere; cheaper than axis_angle_to_matrix, and the gradient of the angle needs no special case.
    """
    xp = namespace(axis, angle)
    sine, cosine = xp.sin(angle)[..., None, None], xp.cos(angle)[..., None, None]
    outer = axis[..., :, None] * axis[..., None, :]
    return cosine * _identity(axis) + sine * cross_matrix(axis) + (1 - cosine) * outer


def matrix_to_quaternion(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 4"]:
    """Unit quaternion (w, x, y, z) of a rotation matrix, w >= 0.

    Args:
        matrix: (..., 3, 3) rotation matrix.

    Returns:
        (..., 4) unit quaternion with w >= 0.

    Note:
        4 q q^T is linear in the matrix; its longest column, of norm at least 2, is proportional to the quaternion. So
        there is no square root of a difference and every rotation, by pi included, is exact up to rounding. At pi
        the sign is arbitrary: q and -q are the same rotation, and the map is discontinuous there.
    """
    xp = namespace(matrix)
    m00, m01, m02 = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]
    m10, m11, m12 = matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2]
    m20, m21, m22 = matrix[..., 2, 0], matrix[..., 2, 1], matrix[..., 2, 2]
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    xy, xz, yz = m01 + m10, m02 + m20, m12 + m21
    columns = (
        [1 + m00 + m11 + m22, wx, wy, wz],
        [wx, 1 + m00 - m11 - m22, xy, xz],
        [wy, xy, 1 - m00 + m11 - m22, yz],
        [wz, xz, yz, 1 - m00 - m11 + m22],
    )
    outer = xp.stack([xp.stack(column, axis=-1) for column in columns], axis=-2)
    diagonal = xp.stack([columns[i][i] for i in range(4)], axis=-1)
    chosen = xp.arange(4, device=array_api_compat.device(matrix)) == xp.argmax(diagonal, axis=-1)[..., None]
    column = xp.sum(outer * xp.astype(chosen, matrix.dtype)[..., None], axis=-2)
    quaternion = column / xp.sqrt(xp.sum(column**2, axis=-1, keepdims=True))
    return xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def quaternion_to_matrix(quaternion: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3 3"]:
    """Rotation matrix of a quaternion (w, x, y, z).

    Args:
        quaternion: (..., 4) of any non-zero norm; normalised here.

    Returns:
        (..., 3, 3) rotation matrix; NaN for the zero quaternion, which is no rotation.
    """
    xp = namespace(quaternion)
    unit = quaternion / xp.sqrt(xp.sum(quaternion**2, axis=-1, keepdims=True))
    w = unit[..., :1, None]
    vector = unit[..., 1:]
    cross = cross_matrix(vector)
    return _identity(quaternion) + 2 * w * cross + 2 * (cross @ cross)


def matrix_to_axis_angle(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3"]:
    """Rotation vector of a rotation matrix, no longer than pi.

    Args:
        matrix: (..., 3, 3) rotation matrix.

    Returns:
        (..., 3) the axis times the angle, in [0, pi] radians.

    Note:
        Smooth at the identity. At pi the axis is determined up to its sign, and the map is discontinuous there.
    """
    xp = namespace(matrix)
    quaternion = matrix_to_quaternion(matrix)
    w, vector = quaternion[..., :1], quaternion[..., 1:]
    squared = xp.sum(vector**2, axis=-1, keepdims=True)
    small = squared < _SMALL
    # Double where, as in axis_angle_to_matrix: neither branch may be evaluated at its own singular point, where its
    # gradient would be NaN even though the other branch's value is used.
    one = xp.ones_like(squared)
    length = xp.sqrt(xp.where(small, one, squared))
    w_small = xp.where(small, w, one)
    ratio = xp.where(small, squared, 0 * one) / w_small**2
    series = 2 / w_small * (1 - ratio / 3 + ratio**2 / 5 - ratio**3 / 7)
    return vector * xp.where(small, series, 2 * xp.atan2(length, w) / length)


def _normalize(vector: Array) -> Array:
    xp = namespace(vector)
    squared = xp.sum(vector**2, axis=-1, keepdims=True)
    zero = squared == 0
    # Double where: a zero vector stays zero, with a finite gradient, instead of 0 / 0.
    return xp.where(zero, vector, vector / xp.sqrt(xp.where(zero, xp.ones_like(squared), squared)))


def rotation_6d_to_matrix(rotation_6d: Float[Array, "*batch 6"]) -> Float[Array, "*batch 3 3"]:
    """Rotation matrix of the continuous 6D form, by Gram-Schmidt.

    Args:
        rotation_6d: (..., 6) two vectors, the first and second COLUMN of the matrix before orthonormalisation (some
            public code takes rows); any lengths.

    Returns:
        (..., 3, 3) rotation matrix.

    Note:
        Where the vectors are parallel or one is zero the result is finite but singular, not a rotation.

    Source: Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    xp = namespace(rotation_6d)
    first = _normalize(rotation_6d[..., :3])
    second = rotation_6d[..., 3:]
    second = _normalize(second - xp.sum(first * second, axis=-1, keepdims=True) * first)
    third = xp.linalg.cross(first, second, axis=-1)
    return xp.stack([first, second, third], axis=-1)


def matrix_to_rotation_6d(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 6"]:
    """The 6D form of a rotation matrix: its first column, then its second.

    Args:
        matrix: (..., 3, 3) rotation matrix.

    Returns:
        (..., 6).
    """
    return namespace(matrix).concat([matrix[..., :, 0], matrix[..., :, 1]], axis=-1)
