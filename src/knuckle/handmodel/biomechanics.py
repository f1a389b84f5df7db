"""Biomechanical quantities measured from the 21 joints alone; used by losses, checks and metrics.

After Spurr et al., ECCV 2020 (S1): bone lengths, the curvature and the angles of the palm's root bones, and each
bone's flexion and abduction relative to its parent. Root bones run from the wrist to the thumb's CMC and the fingers'
MCP joints, b_1 thumb to b_5 little finger. All but lengths and curvature are invariant to scale; all are invariant to
rigid motions. Signs are those of a right hand: where `side` is left, the joints are mirrored first.

The flexion and abduction here are not the model's 23 angles: they are measured in frames derived from the joints,
and knuckle.handmodel.limits does not apply to them.
"""

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.handmodel.placement import Side, apply_placement, placement
from knuckle.skeleton import BONES

# Vectors with a squared sine below this count as parallel: the direction of their cross product is rounding error.
_PARALLEL = 1e-14


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
        Undefined where two neighbouring root bones end at the same point.

    Source: Spurr et al., ECCV 2020, section 3.3.
    """
    xp = namespace(joints)
    roots = _as_right(bone_vectors(joints), side)[..., ::4, :]
    normals = _palm_normals(roots)
    inner = _unit(normals[..., 1:, :] + normals[..., :-1, :])
    edges = xp.concat([normals[..., :1, :], inner, normals[..., 3:, :]], axis=-2)
    step = roots[..., 1:, :] - roots[..., :-1, :]
    return xp.sum((edges[..., 1:, :] - edges[..., :-1, :]) * step, axis=-1) / xp.sum(step**2, axis=-1)


def palm_angles(joints: Float[Array, "*batch j 3"]) -> Float[Array, "*batch 4"]:
    """The angles between neighbouring root bones, thumb-index to ring-little, in [0, pi] radians."""
    xp = namespace(joints)
    roots = bone_vectors(joints)[..., ::4, :]
    one, other = roots[..., :-1, :], roots[..., 1:, :]
    return xp.atan2(_length(xp.linalg.cross(one, other, axis=-1)), xp.sum(one * other, axis=-1))


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
    return _root_frames(_as_right(bone_vectors(joints), side)[..., ::4, :])


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
    xp = namespace(bone_joint)
    x, y, z = bone_joint[..., 0], bone_joint[..., 1], bone_joint[..., 2]
    squared = x**2 + z**2
    across = squared <= _PARALLEL * y**2
    # Double where: the branch not taken must not evaluate 0 / 0 either.
    across_z = xp.where(across, xp.ones_like(z), z)
    flexion = xp.atan2(xp.where(across, xp.zeros_like(x), x), across_z)
    reach = xp.where(across, xp.zeros_like(z), xp.sqrt(xp.where(across, xp.ones_like(z), squared)))
    zero = across & (y == 0)
    abduction = xp.atan2(y, xp.where(zero, xp.ones_like(reach), reach))
    return xp.stack([flexion, abduction], axis=-1)


def finger_angles(joints: Float[Array, "*batch j 3"], side: Side = "right") -> Float[Array, "*batch 15 2"]:
    """Flexion and abduction of the 15 finger bones relative to their parents.

    Each bone is measured in its parent's frame, which is its parent's frame rotated by the parent's own angles:
    F_next = F R_y(flexion) R_x(-abduction). Public code often uses the shortest rotation instead; from the
    second bone on its angles differ from these by up to 0.2 radians, so limits must use the same definition.

    Args:
        joints: (..., 21, 3).
        side: "left", "right" or a boolean array, True for a left hand.

    Returns:
        (..., 15, 2) flexion and abduction in radians, in the order of knuckle.handmodel.angles.ROTATING_JOINTS:
        thumb to little finger, base to tip. Flexion is positive towards the palm.

    Source: Spurr et al., ECCV 2020, section 3.4.
    """
    xp = namespace(joints)
    bones = _as_right(bone_vectors(joints), side)
    chains = xp.reshape(bones, (*bones.shape[:-2], 5, 4, 3))
    frames = _root_frames(chains[..., 0, :])
    measured = []
    for level in (1, 2, 3):
        local = (xp.matrix_transpose(frames) @ chains[..., level, :, None])[..., 0]
        angles = flexion_abduction(local)
        measured.append(angles)
        frames = frames @ flexion_abduction_to_matrix(angles)
    angles = xp.stack(measured, axis=-2)  # (..., 5 fingers, 3 levels, 2)
    return xp.reshape(angles, (*bones.shape[:-2], 15, 2))


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
    cross = xp.linalg.cross
    return xp.sum(cross(distal, middle, axis=-1) * cross(middle, proximal, axis=-1), axis=-1)


def _as_right(vectors: Array, side: Side) -> Array:
    """(..., N, 3) vectors, those of left hands mirrored."""
    return apply_placement(vectors, *placement(vectors, None, None, side))


def _length(vectors: Array) -> Array:
    """Euclidean norm over the last axis, with zero gradient at the zero vector."""
    xp = namespace(vectors)
    squared = xp.sum(vectors**2, axis=-1)
    zero = squared == 0
    return xp.where(zero, xp.zeros_like(squared), xp.sqrt(xp.where(zero, xp.ones_like(squared), squared)))


def _unit(vectors: Array) -> Array:
    """Unit vectors; vectors shorter than 1e-7 become zero, with zero gradient."""
    xp = namespace(vectors)
    squared = xp.sum(vectors**2, axis=-1, keepdims=True)
    short = squared < _PARALLEL
    return xp.where(short, xp.zeros_like(vectors), vectors / xp.sqrt(xp.where(short, xp.ones_like(squared), squared)))


def _palm_normals(roots: Array) -> Array:
    """(..., 4, 3) unit normals of neighbouring root bones, out of the back of a right hand."""
    directions = _unit(roots)
    return _unit(namespace(roots).linalg.cross(directions[..., 1:, :], directions[..., :-1, :], axis=-1))


def _root_frames(roots: Array) -> Array:
    xp = namespace(roots)
    normals = _palm_normals(roots)
    # Thumb and index use the first normal, the little finger the last; middle and ring the mean of their neighbours'.
    between = _unit(normals[..., 2:, :] + normals[..., 1:3, :])
    x = -xp.concat([normals[..., :2, :], between, normals[..., 3:, :]], axis=-2)
    z = _unit(roots)
    y = _unit(xp.linalg.cross(z, x, axis=-1))
    return xp.stack([x, y, z], axis=-1)
