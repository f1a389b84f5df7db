"""Placement of a hand: mirroring of left hands and the transform to the camera frame."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import array_api_compat

from knuckle.arrays import Array, namespace

# "left", "right", or a boolean array, True for a left hand
Side: TypeAlias = Any


def placement(
    like: Array, root: Array | None, T_camera_hand: Array | None, side: Side
) -> tuple[Array | None, Array | None]:
    """The affine map of a right hand's points that applies, in order, root, mirror and T_camera_hand.

    Args:
        like: any array of the library, dtype and device to use.
        root: (..., 3, 3) rotation of the whole hand about its wrist, or None.
        T_camera_hand: (..., 4, 4) or None.
        side: "left", "right", or a boolean array (...), True for a left hand.

    Returns:
        (..., 3, 3) matrix and (..., 1, 3) offset; None in place of an identity.

    Raises:
        ValueError: side is something else.
    """
    xp = namespace(like)
    device = array_api_compat.device(like)
    linear = root
    mirror = None
    if not isinstance(side, str):
        side = xp.asarray(side, dtype=xp.bool, device=device)
        one = xp.ones_like(side, dtype=like.dtype)
        mirror = xp.stack([xp.where(side, -one, one), one, one], axis=-1)[..., None]
    elif side == "left":
        mirror = xp.asarray([[-1.0], [1.0], [1.0]], dtype=like.dtype, device=device)
    elif side != "right":
        raise ValueError(f"side must be 'left', 'right' or a boolean array (True for left) but got {side!r}")
    if mirror is not None:
        linear = mirror * (xp.eye(3, dtype=like.dtype, device=device) if linear is None else linear)
    if T_camera_hand is None:
        return linear, None
    turn, offset = T_camera_hand[..., :3, :3], T_camera_hand[..., :3, 3]
    return (turn if linear is None else turn @ linear), offset[..., None, :]


def apply_placement(points: Array, linear: Array | None, offset: Array | None) -> Array:
    """(..., N, 3) points under the map that `placement` returned."""
    if linear is not None:
        points = points @ namespace(points, linear).matrix_transpose(linear)
    return points if offset is None else points + offset


def take_points(points: Array, indices: Sequence[int]) -> Array:
    """(..., N, 3) points, only those of the indices."""
    xp = namespace(points)
    return xp.take(points, xp.asarray(indices, device=array_api_compat.device(points)), axis=-2)


def to_square(transforms: Array) -> Array:
    """(..., 3, 4) transforms as (..., 4, 4), with the homogeneous row."""
    xp = namespace(transforms)
    row = xp.asarray([[0.0, 0.0, 0.0, 1.0]], dtype=transforms.dtype, device=array_api_compat.device(transforms))
    return xp.concat([transforms, xp.broadcast_to(row, (*transforms.shape[:-2], 1, 4))], axis=-2)
