"""The 23 anatomical angles: names, and conversion to and from the rotations of the 15 finger joints.

Angles are in radians about axes given in the rest pose (HandModel.angle_axis). Flexion is positive
towards the palm. Abduction of a finger is positive towards the thumb, for every finger, so that spreading the
fingers makes the index's positive and the little finger's negative. Thumb: abduction is positive away from the palm's
plane, rotation is positive in pronation, that is when the pad turns towards the fingers.

Conventions, by name:
- "composed", the free hand's: a joint's rotation is the product of its angles' rotations in the listed order,
  for a finger's MCP abduction and then flexion about the axis rotated by the abduction.
- "summed", MANO's (Fan & Wang's 23x45 map): the rotation vector is the sum of the angles times their axes.
A third, Spurr et al.'s (flexion, abduction) of a bone relative to its parent, is measured from joints alone and
implemented in knuckle.handmodel.biomechanics; its values are not comparable with limits of these.
"""

from typing import Literal, TypeAlias

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.geometry.rotation import axis_angle_to_matrix, cross_matrix, matrix_to_axis_angle, rotation_about

ANGLE_NAMES: tuple[str, ...] = (
    *("thumb_cmc_flexion", "thumb_cmc_abduction", "thumb_cmc_rotation"),
    *("thumb_mcp_flexion", "thumb_mcp_abduction", "thumb_mcp_rotation"),
    "thumb_ip_flexion",
    *("index_mcp_abduction", "index_mcp_flexion", "index_pip_flexion", "index_dip_flexion"),
    *("middle_mcp_abduction", "middle_mcp_flexion", "middle_pip_flexion", "middle_dip_flexion"),
    *("ring_mcp_abduction", "ring_mcp_flexion", "ring_pip_flexion", "ring_dip_flexion"),
    *("little_mcp_abduction", "little_mcp_flexion", "little_pip_flexion", "little_dip_flexion"),
)
# The 15 rotating joints, thumb to little finger, base to tip; and the index of the joint of each angle.
ROTATING_JOINTS: tuple[str, ...] = (
    *("thumb_cmc", "thumb_mcp", "thumb_ip"),
    *("index_mcp", "index_pip", "index_dip"),
    *("middle_mcp", "middle_pip", "middle_dip"),
    *("ring_mcp", "ring_pip", "ring_dip"),
    *("little_mcp", "little_pip", "little_dip"),
)
ANGLE_JOINT: tuple[int, ...] = tuple(ROTATING_JOINTS.index(name.rsplit("_", 1)[0]) for name in ANGLE_NAMES)

Convention: TypeAlias = Literal["composed", "summed"]

# Three slots per joint, in order of composition: the angle in each, or -1. Gives all joints one layout.
_SLOTS: tuple[tuple[int, int, int], ...] = tuple(
    (*(found := tuple(a for a in range(23) if ANGLE_JOINT[a] == joint)), *(-1,) * (3 - len(found)))  # type: ignore[misc]
    for joint in range(15)
)


def angles_to_rotations(
    angles: Float[Array, "*batch a"], angle_axis: Float[Array, "23 3"], convention: Convention = "composed"
) -> Float[Array, "*batch 15 3 3"]:
    """Rotations of the 15 finger joints from the 23 angles.

    Args:
        angles: (..., 23) radians, in the order of ANGLE_NAMES.
        angle_axis: (23, 3) unit axes in the hand frame at rest; HandModel.angle_axis.
        convention: "composed" or "summed", see the module's docstring.

    Returns:
        (..., 15, 3, 3) rotation of each bone relative to its parent, thumb to little finger, base to tip, in
        the axes of the hand frame at rest; the identity is the rest pose.

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
            "pass the two wrist angles as wrist_angles"
        )


def composed_rotations(
    angles: Float[Array, "*batch 23"], cross: Float[Array, "23 3 3"], cross_squared: Float[Array, "23 3 3"]
) -> Float[Array, "*batch 15 3 3"]:
    """angles_to_rotations for "composed", with precomputed cross-product matrices of the axes.

    Args:
        angles: (..., 23) radians.
        cross: (23, 3, 3) cross matrices of the angles' axes.
        cross_squared: (23, 3, 3) their squares.

    Returns:
        (..., 15, 3, 3).
    """
    xp = namespace(angles, cross)
    # 1 - cos by the half angle, to avoid cancellation near zero
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


def rotations_to_angles(
    rotations: Float[Array, "*batch 15 3 3"],
    angle_axis: Float[Array, "23 3"],
    convention: Convention = "composed",
    steps: int = 10,
) -> tuple[Float[Array, "*batch 23"], Float[Array, "*batch 15"]]:
    """The 23 angles closest to given rotations of the finger joints, and the residual rotation angles.

    Args:
        rotations: (..., 15, 3, 3) of each bone relative to its parent, as angles_to_rotations returns them.
        angle_axis: (23, 3) unit axes in the hand frame at rest.
        convention: as for angles_to_rotations.
        steps: Gauss-Newton steps after the closed form, which is exact for rotations that angles can represent;
            for others each step reduces the error by a factor of about the residual in radians.

    Returns:
        (..., 23) radians in (-pi, pi], and (..., 15) the angle between each given rotation and the closest that its
        joint can represent, radians.

    Note:
        A joint with three angles has two solutions for the same rotation; the one with the smaller second angle is
        returned. At a second angle of 90 degrees the other two are not determined (gimbal lock).
    """
    xp = namespace(rotations, angle_axis)
    check_rotations(rotations)
    zero = xp.zeros_like(angle_axis[0])
    axes = xp.stack([xp.stack([angle_axis[a] if a >= 0 else zero for a in slots]) for slots in _SLOTS])
    if convention == "composed":
        slots = _closed_form(rotations, axes)
        for _ in range(steps):
            slots = slots + _gauss_newton_step(rotations, axes, slots)
        slots = xp.atan2(xp.sin(slots), xp.cos(slots))
    elif convention == "summed":
        slots = _least_squares(xp.matrix_transpose(axes), matrix_to_axis_angle(rotations), damping=0.0)
    else:
        raise ValueError(f"convention must be 'composed' or 'summed' but got {convention!r}")
    places = [3 * joint + slot for joint in range(15) for slot in range(3) if _SLOTS[joint][slot] >= 0]
    flat = xp.reshape(slots, (*rotations.shape[:-3], 45))
    angles = xp.take(flat, xp.asarray(places, device=array_api_compat.device(flat)), axis=-1)
    return angles, _angle_between(angles_to_rotations(angles, angle_axis, convention), rotations)


def check_rotations(rotations: Array) -> None:
    """Raise ValueError where the last axes do not hold the 15 finger joints' matrices."""
    if rotations.ndim < 3 or tuple(rotations.shape[-3:]) != (15, 3, 3):
        raise ValueError(
            f"rotations must be (..., 15, 3, 3), thumb to little finger, base to tip, but got the shape "
            f"{tuple(rotations.shape)}; leave out the rotation of the whole hand"
        )


def _closed_form(rotations: Array, axes: Array) -> Array:
    """(..., 15, 3) angles, exact for rotations that perpendicular axes (15 joints, 3 slots, 3) can represent."""
    xp = namespace(rotations)
    # Thumb CMC and MCP: R = Ra Rb Rc. R c depends on Ra and Rb only, and c x a = +-b.
    matrix, a, b, c = rotations[..., :2, :, :], axes[:2, 0], axes[:2, 1], axes[:2, 2]
    image = (matrix @ c[..., None])[..., 0]
    handedness = _dot(xp.linalg.cross(b, c, axis=-1), a)
    second = xp.asin(xp.clip(handedness * _dot(image, a), min=-1.0, max=1.0))
    first = xp.atan2(_dot(image, xp.linalg.cross(a, c, axis=-1)), _dot(image, c))
    before = rotation_about(a, first) @ rotation_about(b, second)
    third = _closest_angle_about(xp.matrix_transpose(before) @ matrix, c)
    thumb = xp.stack([first, second, third], axis=-1)
    # MCP of the fingers: R = Ra Rb, so R b = Ra b.
    matrix, a, b = rotations[..., 3::3, :, :], axes[3::3, 0], axes[3::3, 1]
    image = (matrix @ b[..., None])[..., 0]
    first = xp.atan2(_dot(image, xp.linalg.cross(a, b, axis=-1)), _dot(image, b))
    second = _closest_angle_about(xp.matrix_transpose(rotation_about(a, first)) @ matrix, b)
    mcp = xp.stack([first, second, xp.zeros_like(first)], axis=-1)
    # Hinges: all others. Computed for all 15 joints, which is faster than indexing them.
    hinge = _closest_angle_about(rotations, axes[:, 0])
    hinge = xp.stack([hinge, xp.zeros_like(hinge), xp.zeros_like(hinge)], axis=-1)
    parts = [thumb, hinge[..., 2:3, :]]
    for finger in range(4):
        parts += [mcp[..., finger : finger + 1, :], hinge[..., 4 + 3 * finger : 6 + 3 * finger, :]]
    return xp.concat(parts, axis=-2)


def _dot(first: Array, second: Array) -> Array:
    return namespace(first).sum(first * second, axis=-1)


def _closest_angle_about(matrix: Array, axis: Array) -> Array:
    """The angle about the axis whose rotation is closest to the matrix in the Frobenius norm."""
    xp = namespace(matrix)
    pairs = ((2, 1), (0, 2), (1, 0))
    sine = xp.stack([matrix[..., i, j] - matrix[..., j, i] for i, j in pairs], axis=-1)
    trace = matrix[..., 0, 0] + matrix[..., 1, 1] + matrix[..., 2, 2]
    along = _dot((matrix @ axis[..., None])[..., 0], axis)
    return xp.atan2(_dot(sine, axis), trace - along)


def _gauss_newton_step(rotations: Array, axes: Array, slots: Array) -> Array:
    """(..., 15, 3) Gauss-Newton change of the angles towards the given rotations."""
    xp = namespace(rotations)
    first, second, third = (rotation_about(axes[:, k], slots[..., k]) for k in range(3))
    turned = second @ third
    error = matrix_to_axis_angle(xp.matrix_transpose(first @ turned) @ rotations)
    # Right Jacobian of the composed rotation: R(angles + d) = R(angles) exp(columns @ d).
    columns = [
        (xp.matrix_transpose(turned) @ axes[:, 0, :, None])[..., 0],
        (xp.matrix_transpose(third) @ axes[:, 1, :, None])[..., 0],
        xp.broadcast_to(axes[:, 2], error.shape),
    ]
    # Damped for the gimbal lock of a thumb joint, where two columns are parallel.
    return _least_squares(xp.stack(columns, axis=-1), error, damping=1e-6)


def _least_squares(columns: Array, target: Array, damping: float) -> Array:
    """(..., 15, 3) least-squares solution x of columns @ x = target; zero in slots without an angle."""
    xp = namespace(columns, target)
    unused = [[1.0 if a < 0 else damping for a in slots] for slots in _SLOTS]
    device = array_api_compat.device(columns)
    diagonal = xp.asarray(unused, dtype=columns.dtype, device=device)[..., None] * xp.eye(
        3, dtype=columns.dtype, device=device
    )
    rows = xp.matrix_transpose(columns)
    return xp.linalg.solve(rows @ columns + diagonal, rows @ target[..., None])[..., 0]


def _angle_between(first: Array, second: Array) -> Array:
    """(...) the angle between two rotations, radians, with zero gradient where they are equal."""
    xp = namespace(first, second)
    squared = xp.sum((first - second) ** 2, axis=(-2, -1)) / 8
    zero = squared == 0
    chord = xp.where(zero, xp.zeros_like(squared), xp.sqrt(xp.where(zero, xp.ones_like(squared), squared)))
    return 2 * xp.asin(xp.clip(chord, max=1.0))
