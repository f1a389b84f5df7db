"""Forward kinematics and linear blend skinning, as plain functions of arrays.

The five fingers are chains of the same length, so each level of all five is one batched product: three steps
instead of fifteen. Skinning keeps coordinates before vertices, (..., 3, V): then blending the bones' transforms is
one matrix product and applying them is three multiply-adds over long contiguous rows.
"""

from jaxtyping import Float

from knuckle.arrays import Array, namespace


def pose_skeleton(
    rotations: Float[Array, "*#batch 15 3 3"], joints_rest: Float[Array, "*#batch 21 3"]
) -> tuple[Float[Array, "... 15 3 3"], Float[Array, "... 21 3"]]:
    """Forward kinematics: rotations of the bones and positions of the joints, hand frame.

    Args:
        rotations: (..., 15, 3, 3) of each bone relative to its parent, thumb to little finger, base to tip.
        joints_rest: (..., 21, 3) rest joints; the wrist and the five bases do not move.

    Returns:
        (..., 15, 3, 3) rotation of each bone relative to the hand and (..., 21, 3) joints.
    """
    xp = namespace(rotations, joints_rest)
    local = xp.reshape(rotations, (*rotations.shape[:-3], 5, 3, 3, 3))
    first = local[..., 0, :, :]
    second = first @ local[..., 1, :, :]
    third = second @ local[..., 2, :, :]
    turned = xp.stack([first, second, third], axis=-3)  # (..., 5 fingers, 3 levels, 3, 3)
    chain = xp.reshape(joints_rest[..., 1:, :], (*joints_rest.shape[:-2], 5, 4, 3))
    bones = (turned @ (chain[..., 1:, :] - chain[..., :-1, :])[..., None])[..., 0]
    base = chain[..., :1, :]
    one = base + bones[..., :1, :]
    two = one + bones[..., 1:2, :]
    three = two + bones[..., 2:, :]
    batch = tuple(bones.shape[:-3])
    fingers = xp.concat([xp.broadcast_to(base, one.shape), one, two, three], axis=-2)
    wrist = xp.broadcast_to(joints_rest[..., :1, :], (*batch, 1, 3))
    joints = xp.concat([wrist, xp.reshape(fingers, (*batch, 20, 3))], axis=-2)
    return xp.reshape(turned, (*batch, 15, 3, 3)), joints


def joint_transforms(
    turned: Float[Array, "*batch n 3 3"], pivots: Float[Array, "*#batch n 3"], moved: Float[Array, "*#batch n 3"]
) -> Float[Array, "*batch n 3 4"]:
    """Rigid transforms of bones: rotation about the rest joint, then translation of the joint to its posed position.

    Args:
        turned: (..., N, 3, 3) rotation of each bone.
        pivots: (..., N, 3) rest position of its joint.
        moved: (..., N, 3) posed position of its joint.

    Returns:
        (..., N, 3, 4) that maps a rest point p to `[R | t] @ (p, 1)`.
    """
    xp = namespace(turned, pivots, moved)
    return xp.concat([turned, moved[..., None] - turned @ pivots[..., None]], axis=-1)


def skin(
    rest: Float[Array, "*#batch 3 v"], weights: Float[Array, "b v"], transforms: Float[Array, "*#batch b 3 4"]
) -> Float[Array, "... 3 v"]:
    """Linear blend skinning: every vertex moved by the weighted mean of the bones' transforms.

    Args:
        rest: (..., 3, V) rest vertices, coordinates first.
        weights: (B, V) of each bone on each vertex; columns sum to one.
        transforms: (..., B, 3, 4) rest to posed.

    Returns:
        (..., 3, V) posed vertices, coordinates first.
    """
    xp = namespace(rest, weights, transforms)
    batch = tuple(transforms.shape[:-3])
    bones = transforms.shape[-3]
    rows = xp.matrix_transpose(xp.reshape(transforms, (*batch, bones, 12)))
    # Unstack instead of indexing: the gradient of each index would be a full array of zeros.
    x, y, z = (part[..., None, :] for part in xp.unstack(rest, axis=-2))
    blend = xp.unstack(xp.reshape(rows @ weights, (*batch, 3, 4, weights.shape[-1])), axis=-2)
    # In place: with one temporary fewer the C library does not return the memory to the system after every call, and
    # allocating it again costs more than the arithmetic (64 hands in torch: 3.5 ms against 0.9).
    posed = blend[0] * x
    posed += blend[1] * y
    posed += blend[2] * z
    posed += blend[3]
    return posed
