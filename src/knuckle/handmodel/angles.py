"""The 23 anatomical angles: names, to the rotations of the 15 finger joints and back, in two conventions.

Angles are radians and turn a bone about axes that rest with the hand (HandModel.angle_axis). Flexion is positive
towards the palm. Abduction of a finger is positive towards the thumb, for every finger, so that spreading the hand
makes the index's positive and the little finger's negative. Thumb: abduction is positive away from the palm's
plane, rotation is positive as pronation, that is when the pad turns towards the fingers.

Conventions, by name:
- "composed", the free hand's: a joint's rotation is the product of its angles' rotations in the listed order,
  for a finger's MCP abduction and then flexion about the axis that abduction has carried along.
- "summed", MANO's (Fan & Wang's 23x45 map): the rotation vector is the sum of the angles times their axes.
A third, Spurr et al.'s (flexion, abduction) of a bone against its parent, is measured from joints alone and
lives in knuckle.handmodel.biomechanics; its numbers are not to be compared with limits of these.
"""

from typing import Literal, TypeAlias

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.geometry.rotation import axis_angle_to_matrix, cross_matrix

ANGLE_NAMES: tuple[str, ...] = (
    *("thumb_cmc_flexion", "thumb_cmc_abduction", "thumb_cmc_rotation"),
    *("thumb_mcp_flexion", "thumb_mcp_abduction", "thumb_mcp_rotation"),
    "thumb_ip_flexion",
    *("index_mcp_abduction", "index_mcp_flexion", "index_pip_flexion", "index_dip_flexion"),
    *("middle_mcp_abduction", "middle_mcp_flexion", "middle_pip_flexion", "middle_dip_flexion"),
    *("ring_mcp_abduction", "ring_mcp_flexion", "ring_pip_flexion", "ring_dip_flexion"),
    *("little_mcp_abduction", "little_mcp_flexion", "little_pip_flexion", "little_dip_flexion"),
)
# The 15 joints that turn, thumb to little finger, base to tip; which of them each angle turns.
ROTATING_JOINTS: tuple[str, ...] = (
    *("thumb_cmc", "thumb_mcp", "thumb_ip"),
    *("index_mcp", "index_pip", "index_dip"),
    *("middle_mcp", "middle_pip", "middle_dip"),
    *("ring_mcp", "ring_pip", "ring_dip"),
    *("little_mcp", "little_pip", "little_dip"),
)
ANGLE_JOINT: tuple[int, ...] = tuple(ROTATING_JOINTS.index(name.rsplit("_", 1)[0]) for name in ANGLE_NAMES)

Convention: TypeAlias = Literal["composed", "summed"]

# Three slots a joint, in the order of composition: the angle in each, or -1. Used to treat all joints alike.
_SLOTS: tuple[tuple[int, int, int], ...] = tuple(
    (*(found := tuple(a for a in range(23) if ANGLE_JOINT[a] == joint)), *(-1,) * (3 - len(found)))  # type: ignore[misc]
    for joint in range(15)
)


def angles_to_rotations(
    angles: Float[Array, "*batch a"], angle_axis: Float[Array, "23 3"], convention: Convention = "composed"
) -> Float[Array, "*batch 15 3 3"]:
    """Rotations of the 15 finger joints that the 23 angles make.

    Args:
        angles: (..., 23) radians, in the order of ANGLE_NAMES.
        angle_axis: (23, 3) unit axes in the hand frame at rest; HandModel.angle_axis.
        convention: "composed" or "summed", see the module's docstring.

    Returns:
        (..., 15, 3, 3) rotation of each bone against its parent, thumb to little finger, base to tip; the
        identity is the rest pose. Axes are those of the hand frame at rest.

    Raises:
        ValueError: the last axis does not hold 23 angles, or the convention is unknown.
    """
    check_angles(angles)
    if convention == "composed":
        cross = cross_matrix(angle_axis)
        return composed_rotations(angles, cross, cross @ cross)
    if convention == "summed":
        xp = namespace(angles, angle_axis)
        vectors = angles[..., None] * angle_axis
        joints = [sum(vectors[..., a, :] for a in slots if a >= 0) for slots in _SLOTS]
        return axis_angle_to_matrix(xp.stack(joints, axis=-2))
    raise ValueError(f"convention must be 'composed' or 'summed' but got {convention!r}")


def check_angles(angles: Array) -> None:
    """Raise ValueError where the last axis does not hold the 23 angles."""
    if angles.ndim < 1 or angles.shape[-1] != 23:
        raise ValueError(
            f"angles must be (..., 23), in the order of ANGLE_NAMES, but got the shape {tuple(angles.shape)}; "
            "the two wrist angles are an argument of their own"
        )


def composed_rotations(
    angles: Float[Array, "*batch 23"], cross: Float[Array, "23 3 3"], cross_squared: Float[Array, "23 3 3"]
) -> Float[Array, "*batch 15 3 3"]:
    """What angles_to_rotations does for "composed", with the axes' matrices at hand.

    Args:
        angles: (..., 23) radians.
        cross: (23, 3, 3) cross matrices of the angles' axes.
        cross_squared: (23, 3, 3) their squares.

    Returns:
        (..., 15, 3, 3).
    """
    xp = namespace(angles, cross)
    # 1 - cos by the half angle: exact near zero
    half = xp.sin(angles / 2)
    identity = xp.eye(3, dtype=cross.dtype, device=array_api_compat.device(cross))
    turn = xp.sin(angles)[..., None, None] * cross + (2 * half * half)[..., None, None] * cross_squared + identity
    batch = tuple(angles.shape[:-1])
    cmc, mcp, ip = (turn[..., i : i + 1, :, :] for i in (0, 3, 6))
    cmc = cmc @ turn[..., 1:2, :, :] @ turn[..., 2:3, :, :]
    mcp = mcp @ turn[..., 4:5, :, :] @ turn[..., 5:6, :, :]
    fingers = xp.reshape(turn[..., 7:, :, :], (*batch, 4, 4, 3, 3))
    base = fingers[..., 0:1, :, :] @ fingers[..., 1:2, :, :]
    fingers = xp.reshape(xp.concat([base, fingers[..., 2:, :, :]], axis=-3), (*batch, 12, 3, 3))
    return xp.concat([cmc, mcp, ip, fingers], axis=-3)
