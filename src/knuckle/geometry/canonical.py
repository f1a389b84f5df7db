"""The canonical frame of a hand: the same for a pose however the hand is turned, and for its mirror image."""

from jaxtyping import Bool, Float

from knuckle.arrays import Array, namespace

# Knuckles of the middle and the little finger, in the common joint order.
_MIDDLE, _LITTLE = 9, 17


def to_canonical(
    joints: Float[Array, "*batch 21 3"], right: Bool[Array, "*batch"]
) -> tuple[Float[Array, "*batch 21 3"], Float[Array, "*batch 3 3"]]:
    """Joints in the canonical frame, and the rotation that brings them back.

    The wrist is the origin, the middle finger's knuckle lies at (0, -d, 0), the little finger's at (x > 0, y, 0). A
    right hand's z is flipped then, so that a hand and its mirror image have the same canonical joints.

    Args:
        joints: (..., 21, 3) any unit, any frame that is not mirrored.
        right: (...) True for right hands.

    Returns:
        (..., 21, 3) canonical joints, and a proper rotation R (..., 3, 3) for points as ROWS:
        `joints - joints[0] == from_canonical(canonical, R, right)`.

    Note:
        Undefined (NaN) where the middle finger's knuckle lies at the wrist, or the little finger's on the line of both.

    Source: Zimmermann and Brox, ICCV 2017; there as three rotations, Rz(atan2(x, y)) Rx(pi - atan2(z, y)) of the middle
    finger's knuckle and Ry(atan2(z, x)) of the little finger's.
    """
    xp = namespace(joints)
    points = joints - joints[..., :1, :]
    up = -_unit(points[..., _MIDDLE, :])
    little = points[..., _LITTLE, :]
    aside = _unit(little - xp.sum(little * up, axis=-1)[..., None] * up)
    back = xp.stack(
        [
            aside[..., 1] * up[..., 2] - aside[..., 2] * up[..., 1],
            aside[..., 2] * up[..., 0] - aside[..., 0] * up[..., 2],
            aside[..., 0] * up[..., 1] - aside[..., 1] * up[..., 0],
        ],
        axis=-1,
    )
    rotation = xp.stack([aside, up, back], axis=-2)
    return _flipped(points @ xp.matrix_transpose(rotation), right), rotation


def from_canonical(
    canonical: Float[Array, "*batch 21 3"], rotation: Float[Array, "*batch 3 3"], right: Bool[Array, "*batch"]
) -> Float[Array, "*batch 21 3"]:
    """The inverse of `to_canonical`: joints about the wrist.

    Args:
        canonical: (..., 21, 3) any unit.
        rotation: (..., 3, 3) for points as rows.
        right: (...) True for right hands.
    """
    return _flipped(canonical, right) @ rotation


def _flipped(points: Array, right: Array) -> Array:
    xp = namespace(points)
    z = xp.where(right[..., None], -points[..., 2], points[..., 2])
    return xp.stack([points[..., 0], points[..., 1], z], axis=-1)


def _unit(vectors: Array) -> Array:
    xp = namespace(vectors)
    return vectors / xp.sqrt(xp.sum(vectors**2, axis=-1))[..., None]
