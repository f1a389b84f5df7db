"""Rigid motions as 4x4 matrices: `point_a = T_a_b @ point_b`."""

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace


def make_rigid(
    rotation: Float[Array, "*#batch 3 3"], translation: Float[Array, "*#batch 3"]
) -> Float[Array, "... 4 4"]:
    """A rigid motion from its rotation and translation.

    Args:
        rotation: (..., 3, 3) rotation matrix; not checked.
        translation: (..., 3), leading axes broadcast against the rotation's.

    Returns:
        (..., 4, 4) T with `T @ (p, 1) = (rotation @ p + translation, 1)`.
    """
    xp = namespace(rotation, translation)
    rotation, column = xp.broadcast_arrays(rotation, translation[..., None])[0], translation[..., None]
    column = xp.broadcast_to(column, (*rotation.shape[:-1], 1))
    bottom = xp.asarray([[0.0, 0.0, 0.0, 1.0]], dtype=rotation.dtype, device=array_api_compat.device(rotation))
    bottom = xp.broadcast_to(bottom, (*rotation.shape[:-2], 1, 4))
    return xp.concat([xp.concat([rotation, column], axis=-1), bottom], axis=-2)


def transform_points(
    transform: Float[Array, "*#batch 4 4"], points: Float[Array, "*#batch n 3"]
) -> Float[Array, "... n 3"]:
    """Points moved by a rigid (or any affine) motion.

    Args:
        transform: (..., 4, 4).
        points: (..., N, 3), leading axes broadcast against the transform's.

    Returns:
        (..., N, 3).
    """
    xp = namespace(transform, points)
    return points @ xp.matrix_transpose(transform[..., :3, :3]) + transform[..., None, :3, 3]


def invert_rigid(transform: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 4 4"]:
    """The inverse of a rigid motion, by transposing its rotation.

    Args:
        transform: (..., 4, 4) rigid, not checked: the inverse of a scaled motion is wrong.

    Returns:
        (..., 4, 4).
    """
    xp = namespace(transform)
    inverse = xp.matrix_transpose(transform[..., :3, :3])
    return make_rigid(inverse, -(inverse @ transform[..., :3, 3:])[..., 0])
