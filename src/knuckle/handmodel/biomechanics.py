"""Biomechanical quantities measured from the 21 joints alone; used by losses, checks and metrics.

After Spurr et al., ECCV 2020 (S1): bone lengths, the curvature and the angles of the palm's root bones, and each
bone's flexion and abduction relative to its parent. Root bones run from the wrist to the thumb's CMC and the fingers'
MCP joints, b_1 thumb to b_5 little finger. All but lengths and curvature are invariant to scale; all are invariant to
rigid motions. Signs are those of a right hand: where `side` is left, the joints are mirrored first.

The flexion and abduction here are not the model's 23 angles: they are measured in frames derived from the joints,
and knuckle.handmodel.limits does not apply to them; knuckle.handmodel.ranges does.
"""

from typing import Literal, NamedTuple, TypeAlias

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.geometry.rotation import cross_product
from knuckle.handmodel.placement import Side, apply_placement, placement
from knuckle.skeleton import BONES

# How a bone's frame follows from its parent's; see finger_angles.
Convention: TypeAlias = Literal["paper", "shortest"]
CONVENTIONS: tuple[Convention, ...] = ("paper", "shortest")

# Vectors with a squared sine below this count as parallel: the direction of their cross product is rounding error.
_PARALLEL = 1e-14


class HandMeasures(NamedTuple):
    """What `hand_measures` returns: lengths (..., 20), curvature (..., 4), spread (..., 4), angles (..., 15, 2)."""

    lengths: Array
    curvature: Array
    spread: Array
    angles: Array


def hand_measures(
    joints: Float[Array, "*batch j 3"], side: Side = "right", convention: Convention = "paper"
) -> HandMeasures:
    """All quantities that limits of hands are about, with what they share computed once.

    Args:
        joints: (..., 21, 3) any unit and frame.
        side: "left", "right" or a boolean array, True for a left hand.
        convention: of the frames; see finger_angles.

    Returns:
        bone_lengths, palm_curvature, palm_angles and finger_angles of the joints.
    """
    xp = namespace(joints)
    bones = _as_right(bone_vectors(joints), side)
    chains = xp.reshape(bones, (*bones.shape[:-2], 5, 4, 3))
    directions = _unit(chains)
    roots = chains[..., 0, :]
    normals = _palm_normals(directions[..., 0, :])
    between = _unit(normals[..., 1:, :] + normals[..., :-1, :])
    x = _palm_axes(normals, between[..., 1:, :])
    return HandMeasures(
        _length(bones),
        _palm_curvature(roots, normals, between),
        _palm_angles(roots),
        _finger_angles(chains, directions, x, convention),
    )


def bone_vectors(joints: Float[Array, "*batch j 3"]) -> Float[Array, "*batch 20 3"]:
    """The 20 bones, parent to child, in the order of skeleton.BONES.

    Args:
        joints: (..., 21, 3) any unit and frame.

    Raises:
        ValueError: there are not 21 joints of three coordinates.
    """
    if joints.ndim < 2 or tuple(joints.shape[-2:]) != (21, 3):
        raise ValueError(f"joints must be (..., 21, 3) but got the shape {tuple(joints.shape)}")
    xp = namespace(joints)
    parents = xp.asarray([parent for parent, _ in BONES], device=array_api_compat.device(joints))
    return joints[..., 1:, :] - xp.take(joints, parents, axis=-2)


def bone_lengths(joints: Float[Array, "*batch j 3"]) -> Float[Array, "*batch 20"]:
    """The lengths of the 20 bones, in the joints' unit; the gradient at a bone without length is zero."""
    return _length(bone_vectors(joints))


def palm_curvature(joints: Float[Array, "*batch j 3"], side: Side = "right") -> Float[Array, "*batch 4"]:
    """How the palm arches between neighbouring root bones, thumb-index to ring-little.

    c_i = (e_{i+1} - e_i) . (b_{i+1} - b_i) / |b_{i+1} - b_i|^2 with e_i the palm's normal at root bone i

    Args:
        joints: (..., 21, 3).
        side: "left", "right" or a boolean array, True for a left hand.

    Returns:
        (..., 4) in one over the joints' unit: zero for a flat palm, positive where the palm is concave on its palmar
        side.

    Note:
        Where two neighbouring root bones end at the same point the curvature is undefined: zero is returned, with
        zero gradient.

    Source: Spurr et al., ECCV 2020, section 3.1.
    """
    roots = _as_right(bone_vectors(joints), side)[..., ::4, :]
    normals = _palm_normals(_unit(roots))
    return _palm_curvature(roots, normals, _unit(normals[..., 1:, :] + normals[..., :-1, :]))


def palm_angles(joints: Float[Array, "*batch j 3"]) -> Float[Array, "*batch 4"]:
    """The angles between neighbouring root bones, thumb-index to ring-little, in [0, pi] radians."""
    return _palm_angles(bone_vectors(joints)[..., ::4, :])


def root_frames(joints: Float[Array, "*batch j 3"], side: Side = "right") -> Float[Array, "*batch 5 3 3"]:
    """The frames in which the first bone of each finger is measured.

    Args:
        joints: (..., 21, 3).
        side: "left", "right" or a boolean array; a left hand's frames are those of its mirror image.

    Returns:
        (..., 5, 3, 3) with the axes as columns: x out of the palm, y the flexion axis, z along the root bone.

    Note:
        Where neighbouring root bones are parallel, or the palm is folded, the normal is undefined: x and y are
        then zero, with a finite gradient.

    Source: Spurr et al., ECCV 2020, Eq. 4.
    """
    z = _unit(_as_right(bone_vectors(joints), side)[..., ::4, :])
    normals = _palm_normals(z)
    x = _palm_axes(normals, _unit(normals[..., 2:, :] + normals[..., 1:3, :]))
    xp = namespace(joints)
    return xp.stack([x, _unit(cross_product(z, x)), z], axis=-1)


def flexion_abduction(bone_joint: Float[Array, "*batch d"]) -> Float[Array, "*batch 2"]:
    r"""Flexion and abduction of a bone relative to its parent's direction.

    flexion = atan2(b_x, b_z), abduction = atan2(b_y, hypot(b_x, b_z))

    Args:
        bone_joint: (..., 3) proximal to distal end, in the joint frame: z is the direction of the parent bone, x points
            out of the palm, y is the flexion axis. Any length unit.

    Returns:
        (..., 2) flexion in (-pi, pi] and abduction in [-pi/2, pi/2], radians; a straight finger is (0, 0).

    Raises:
        ValueError: the last axis does not hold three coordinates.

    Note:
        Smooth at the straight finger, where an arccos has no gradient. With the bone along y flexion is
        undefined: zero is returned, with a finite gradient.

    Source: Spurr et al., ECCV 2020, Eq. 5, with atan2 in place of the octant lookup.
    """
    if bone_joint.ndim < 1 or bone_joint.shape[-1] != 3:
        raise ValueError(f"bone_joint must be (..., 3) but got the shape {tuple(bone_joint.shape)}")
    angles = _flexion_abduction(bone_joint[..., 0], bone_joint[..., 1], bone_joint[..., 2])
    return namespace(bone_joint).stack(angles, axis=-1)


def finger_angles(
    joints: Float[Array, "*batch j 3"], side: Side = "right", convention: Convention = "paper"
) -> Float[Array, "*batch 15 2"]:
    """Flexion and abduction of the 15 finger bones relative to their parents.

    Each bone is measured in its parent's frame, which is its parent's frame rotated so that z follows the parent bone.
    That leaves the twist about the bone open, hence the conventions. They agree on each finger's first bone and differ
    by up to 0.2 radians from the second bone on, so limits must be of the convention that the angles are of.

    Args:
        joints: (..., 21, 3).
        side: "left", "right" or a boolean array, True for a left hand.
        convention: "paper": rotated by the parent's own angles, F_next = F R_y(flexion) R_x(-abduction).
            "shortest": rotated by the smallest rotation from z to the bone, as the public code does; the identity for a
            straight finger, and undefined for a bone folded back on its parent, where the frame is left as it is.

    Returns:
        (..., 15, 2) flexion and abduction in radians, in the order of knuckle.handmodel.angles.ROTATING_JOINTS:
        thumb to little finger, base to tip. Flexion is positive towards the palm.

    Raises:
        ValueError: the convention is unknown, or there are not 21 joints of three coordinates.

    Source: Spurr et al., ECCV 2020, section 3.1, Eq. 4 to 6.
    """
    xp = namespace(joints)
    bones = _as_right(bone_vectors(joints), side)
    chains = xp.reshape(bones, (*bones.shape[:-2], 5, 4, 3))
    directions = _unit(chains)
    normals = _palm_normals(directions[..., 0, :])
    x = _palm_axes(normals, _unit(normals[..., 2:, :] + normals[..., 1:3, :]))
    return _finger_angles(chains, directions, x, convention)


def joints_from_finger_angles(
    roots: Float[Array, "*batch 5 3"],
    lengths: Float[Array, "*batch 15"],
    angles: Float[Array, "*batch 15 2"],
    side: Side = "right",
    convention: Convention = "paper",
) -> Float[Array, "*batch 21 3"]:
    """The hand whose finger bones have the given lengths, flexion and abduction: the inverse of finger_angles.

    Args:
        roots: (..., 5, 3) root bones, wrist to thumb CMC and to the fingers' MCP joints, of the hand itself (a left
            hand's are not mirrored). Neighbours must not be parallel.
        lengths: (..., 15) of the finger bones, in the roots' unit.
        angles: (..., 15, 2) flexion and abduction, radians; order and sign as in finger_angles.
        side: "left", "right" or a boolean array.
        convention: of the angles.

    Returns:
        (..., 21, 3) joints, the wrist at the origin.
    """
    _check_convention(convention)
    xp = namespace(roots, lengths, angles)
    palm = _as_right(roots, side)
    z = _unit(palm)
    normals = _palm_normals(z)
    x = _palm_axes(normals, _unit(normals[..., 2:, :] + normals[..., 1:3, :]))
    bent = xp.reshape(angles, (*angles.shape[:-2], 5, 3, 2))
    reach = xp.reshape(lengths, (*lengths.shape[:-1], 5, 3))
    chain = [palm]
    for level in range(3):
        flexion, abduction = bent[..., level, 0, None], bent[..., level, 1, None]
        flat = xp.sin(flexion) * x + xp.cos(flexion) * z
        along = xp.cos(abduction) * flat + xp.sin(abduction) * cross_product(z, x)
        chain.append(chain[-1] + reach[..., level, None] * along)
        x, z = _next_axes(x, z, along, flexion, convention)
    fingers = xp.stack(chain, axis=-2)  # (..., 5 fingers, 4 joints, 3)
    joints = xp.reshape(fingers, (*fingers.shape[:-3], 20, 3))
    wrist = xp.zeros_like(joints[..., :1, :])
    return _as_right(xp.concat([wrist, joints], axis=-2), side)


def flexion_abduction_to_matrix(angles: Float[Array, "*batch 2"]) -> Float[Array, "*batch 3 3"]:
    """R_y(flexion) R_x(-abduction): the rotation of a joint frame's z to the direction of a bone with these angles.

    Args:
        angles: (..., 2) flexion and abduction, radians.

    Returns:
        (..., 3, 3) whose last column is (sin f cos a, sin a, cos f cos a).
    """
    xp = namespace(angles)
    f, a = angles[..., 0], angles[..., 1]
    cos_f, sin_f, cos_a, sin_a = xp.cos(f), xp.sin(f), xp.cos(a), xp.sin(a)
    rows = (
        [cos_f, -sin_f * sin_a, sin_f * cos_a],
        [xp.zeros_like(f), cos_a, sin_a],
        [-sin_f, -cos_f * sin_a, cos_f * cos_a],
    )
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def bend_consistency(joints: Float[Array, "*batch j 3"]) -> Float[Array, "*batch 4"]:
    """Whether the PIP and DIP joints bend in the same direction, for index, middle, ring and little finger.

    (t x m) . (m x p) with p, m, t the finger's unit proximal, middle and distal bones: the product of the sines of the
    two bends where both are about the same axis. A human finger has no S-bend, so it should not be negative.

    Args:
        joints: (..., 21, 3).

    Returns:
        (..., 4) in [-1, 1]: zero where either joint is straight, negative for an S-bend.

    Source: Fan & Wang, post-optimisation, with bones normalised so that the value does not depend on their length.
    """
    xp = namespace(joints)
    bones = bone_vectors(joints)
    chains = _unit(xp.reshape(bones, (*bones.shape[:-2], 5, 4, 3)))[..., 1:, 1:, :]
    proximal, middle, distal = (chains[..., i, :] for i in range(3))
    return xp.sum(cross_product(distal, middle) * cross_product(middle, proximal), axis=-1)


def _as_right(vectors: Array, side: Side) -> Array:
    """(..., N, 3) vectors, those of left hands mirrored."""
    return apply_placement(vectors, *placement(vectors, None, None, side))


def _length(vectors: Array) -> Array:
    """Euclidean norm over the last axis, with zero gradient at the zero vector."""
    xp = namespace(vectors)
    # The arrays' own sum here and below: by way of the namespace it takes twice the time for one hand.
    squared = (vectors * vectors).sum(-1)
    zero = squared == 0
    return xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, squared)))


def _unit(vectors: Array) -> Array:
    """Unit vectors; vectors shorter than 1e-7 become zero, with zero gradient."""
    xp = namespace(vectors)
    squared = (vectors * vectors).sum(-1)[..., None]
    short = squared < _PARALLEL
    return xp.where(short, 0.0, vectors / xp.sqrt(xp.where(short, 1.0, squared)))


def _palm_normals(directions: Array) -> Array:
    """(..., 4, 3) unit normals of neighbouring root bones, given as unit vectors; out of the back of a right hand."""
    return _unit(cross_product(directions[..., 1:, :], directions[..., :-1, :]))


def _palm_curvature(roots: Array, normals: Array, between: Array) -> Array:
    """Curvature of the palm from its root bones, their normals, and the means of neighbouring normals (..., 3, 3)."""
    xp = namespace(roots)
    edges = xp.concat([normals[..., :1, :], between, normals[..., 3:, :]], axis=-2)
    step = roots[..., 1:, :] - roots[..., :-1, :]
    squared = (step * step).sum(-1)
    # Relative to the bones, so that neither a division by zero nor one that overflows is reached in any unit.
    size = (roots * roots).sum(-1)
    coincident = squared <= _PARALLEL * (size[..., 1:] + size[..., :-1])
    arch = ((edges[..., 1:, :] - edges[..., :-1, :]) * step).sum(-1)
    return xp.where(coincident, 0.0, arch / xp.where(coincident, 1.0, squared))


def _palm_angles(roots: Array) -> Array:
    xp = namespace(roots)
    one, other = roots[..., :-1, :], roots[..., 1:, :]
    return xp.atan2(_length(cross_product(one, other)), xp.sum(one * other, axis=-1))


def _palm_axes(normals: Array, between: Array) -> Array:
    """Axes x of the root frames, out of the palm; `between` are the mean normals at middle and ring finger."""
    # Thumb and index use the first normal, the little finger the last; middle and ring the mean of their neighbours'.
    return -namespace(normals).concat([normals[..., :2, :], between, normals[..., 3:, :]], axis=-2)


def _flexion_abduction(x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """flexion_abduction of bones given by coordinate."""
    xp = namespace(x)
    squared = x**2 + z**2
    across = squared <= _PARALLEL * y**2
    # Double where: the branch not taken must not evaluate 0 / 0 either.
    flexion = xp.atan2(xp.where(across, 0.0, x), xp.where(across, 1.0, z))
    reach = xp.where(across, 0.0, xp.sqrt(xp.where(across, 1.0, squared)))
    abduction = xp.atan2(y, xp.where(across & (y == 0), 1.0, reach))
    return flexion, abduction


def _finger_angles(chains: Array, directions: Array, x: Array, convention: Convention) -> Array:
    """Angles (..., 15, 2) of chains (..., 5, 4, 3) with unit directions, the first bone of each being the root bone.

    x (..., 5, 3) are the axes of the root frames out of the palm.

    The frames are carried along as their x and z: products of many small matrices take twice the time.
    """
    _check_convention(convention)
    xp = namespace(chains)
    measured, z = [], directions[..., 0, :]
    for level in (1, 2, 3):
        bones = chains[..., level, :]
        y = cross_product(z, x)
        flexion, abduction = _flexion_abduction(*((axis * bones).sum(-1) for axis in (x, y, z)))
        measured += [flexion, abduction]
        if level < 3:
            x, z = _next_axes(x, z, directions[..., level, :], flexion[..., None], convention)
    angles = xp.stack(measured, axis=-1)  # (..., 5 fingers, 3 levels x 2)
    return xp.reshape(angles, (*chains.shape[:-3], 15, 2))


def _next_axes(x: Array, z: Array, bone: Array, flexion: Array, convention: Convention) -> tuple[Array, Array]:
    """Axes x and z of the frames that follow unit bones, given the axes these were measured in and their flexion."""
    xp = namespace(x)
    # A bone without length has no direction; it counts as a straight one.
    bone = xp.where(xp.all(bone == 0, axis=-1, keepdims=True), z, bone)
    if convention == "paper":
        return xp.cos(flexion) * x - xp.sin(flexion) * z, bone
    # Smallest rotation from z to the bone, applied to x. A bone along -z has no single one: the frame is left as it is.
    reach = 1 + xp.sum(z * bone, axis=-1, keepdims=True)
    back = reach <= 1e-6
    share = xp.where(back, xp.zeros_like(reach), 1 / xp.where(back, xp.ones_like(reach), reach))
    return x - share * xp.sum(x * bone, axis=-1, keepdims=True) * (z + bone), xp.where(back, z, bone)


def _check_convention(convention: str) -> None:
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)} but got {convention!r}")
