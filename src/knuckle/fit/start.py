"""Initial estimate in closed form: shape from lengths, rotation from the palm, angles from the bones' directions."""

import numpy as np
from jaxtyping import Float, Int

from knuckle.fit.kinematics import CHAINS, LEVELS, Kinematics, pose
from knuckle.fit.objective import Targets
from knuckle.fit.solver import Estimate
from knuckle.geometry.align import align_rigid
from knuckle.geometry.rotation import cross_product

PALM = np.array([0, 1, 5, 9, 13, 17])  # joints that no angle moves


def initial_shape(
    kin: Kinematics,
    targets: Targets,
    limits: Float[np.ndarray, "S 2"],
    shared: bool = False,
    uncertainty: float = 0.003,
) -> Float[np.ndarray, "B S"]:
    """Maximum a posteriori shape from the distances that do not depend on pose: within the palm, and bone lengths.

    Lengths are linearised in shape about the mean hand and have independent errors with standard deviation
    `uncertainty` (metres); the prior of shape is standard normal. `shared`: one shape for the whole batch.
    """
    one, other = _rigid_pairs()
    rest = kin.joints[one] - kin.joints[other]
    length = np.sqrt(np.sum(rest**2, axis=-1))
    slope = np.sum((kin.shape_joints[:, one] - kin.shape_joints[:, other]) * (rest / length[:, None]), axis=-1)
    seen = targets.points[:, one] - targets.points[:, other]
    excess = np.sqrt(np.sum(seen**2, axis=-1)) - length
    known = targets.weights > 0
    weighted = slope * ((known[:, one] & known[:, other]) / uncertainty**2)[:, None, :]
    matrix, right = weighted @ slope.T, np.matmul(weighted, excess[..., None])
    if shared:
        matrix, right = (
            np.broadcast_to(matrix.sum(axis=0), matrix.shape),
            np.broadcast_to(right.sum(axis=0), right.shape),
        )
    shape = np.linalg.solve(matrix + np.eye(kin.shape_count), right)[..., 0]
    return np.clip(shape, limits[:, 0], limits[:, 1])


def _rigid_pairs() -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    first, second = np.triu_indices(len(PALM), 1)
    along = np.array([j for j in range(1, 21) if j not in PALM])
    return np.concatenate([PALM[first], along - 1]), np.concatenate([PALM[second], along])


def initial_estimate(
    kin: Kinematics,
    targets: Targets,
    shape: Float[np.ndarray, "B S"],
    limits: Float[np.ndarray, "A 2"],
    default_angles: Float[np.ndarray, "R A"],
) -> Estimate:
    """Rotation by aligning the palm, then every bone's first two angles from its direction, from base to tip.

    Where the direction does not determine an angle (the thumb's rotations), or a bone was not observed, the angle is
    taken from one of the rows of `default_angles`: for every finger from the one of lowest residual.
    """
    batch, count = len(shape), len(default_angles)
    palm = np.broadcast_to(kin.joints, (batch, 21, 3))[:, PALM] + np.tensordot(shape, kin.shape_joints[:, PALM], 1)
    rotation, _ = align_rigid(palm, targets.points[:, PALM], targets.weights[:, PALM])
    chains = (targets.points @ rotation)[:, 1:].reshape(batch, CHAINS, LEVELS + 1, 3)
    known = targets.weights[:, 1:].reshape(batch, CHAINS, LEVELS + 1) > 0
    reach = chains[:, :, 1:] - chains[:, :, :1]
    reached = known[:, :, 1:] & known[:, :, :1]
    if count > 1:
        chains, known, shape = (np.concatenate([array] * count) for array in (chains, known, shape))
    angles = _follow_bones(kin, chains, known, shape, limits, np.repeat(default_angles, batch, axis=0))
    if count == 1:
        return Estimate(rotation, angles)
    posed = pose(kin, angles, shape).joints[:, 1:].reshape(count, batch, CHAINS, LEVELS + 1, 3)
    squared_error = np.sum((posed[:, :, :, 1:] - posed[:, :, :, :1] - reach) ** 2, axis=-1)
    best = np.argmin(np.sum(squared_error * reached, axis=-1), axis=0)
    chosen = best[:, kin.bone // LEVELS]
    angles = np.take_along_axis(angles.reshape(count, batch, kin.angle_count), chosen[None], axis=0)[0]
    return Estimate(rotation, angles)


def _follow_bones(kin, chains, known, shape, limits, default_angles) -> Float[np.ndarray, "B A"]:
    """Angles that align the bones with those of `chains` (B, 5, 4, 3), hand frame, starting from `default_angles`."""
    batch = len(chains)
    angles = default_angles.copy()
    seen = known[:, :, 1:] & known[:, :, :-1]
    directions = chains[:, :, 1:] - chains[:, :, :-1]
    for level in range(LEVELS):
        target = directions[:, :, level]
        if level > 0:
            before = pose(kin, angles, shape).bones.reshape(batch, CHAINS, LEVELS, 3, 3)[:, :, level - 1]
            target = np.matmul(target[:, :, None, :], before)[:, :, 0]
        segments = np.broadcast_to(kin.segments[:, level], target.shape)
        _set_level(kin, angles, level, segments, target, seen[:, :, level], limits)
    return angles


def _set_level(kin, angles, level, segments, target, seen, limits) -> None:
    """Set the angles of one level's bones so that the rest `segments` (B, 5, 3) point along `target` (B, 5, 3)."""
    first = kin.slots[0][kin.bone[kin.slots[0]] % LEVELS == level]
    second = {int(kin.bone[a]): int(a) for a in kin.slots[1]} if len(kin.slots) > 1 else {}
    single = np.array([a for a in first if int(kin.bone[a]) not in second], dtype=np.int64)
    double = np.array([a for a in first if int(kin.bone[a]) in second], dtype=np.int64)
    if len(single):
        chain = kin.bone[single] // LEVELS
        angle = angle_about(kin.axes[single], segments[:, chain], target[:, chain])
        angle = _wrap_and_clip(angle, limits[single])
        angles[:, single] = np.where(seen[:, chain], angle, angles[:, single])
    if len(double):
        chain = kin.bone[double] // LEVELS
        other = np.array([second[int(kin.bone[a])] for a in double])
        pair = angles_about_two(kin.axes[double], kin.axes[other], segments[:, chain], target[:, chain])
        turned = [_wrap_near_limits(p, limits[which]) for p, which in zip(pair, (double, other), strict=True)]
        clipped = [np.clip(p, *limits[which].T) for p, which in zip(turned, (double, other), strict=True)]
        # Of two solutions the one within the limits, and of two within the limits the smaller rotation.
        excess = np.sum([np.abs(t - c) + 1e-3 * np.abs(t) for t, c in zip(turned, clipped, strict=True)], axis=0)
        second_better = excess[1] < excess[0]
        for which, value in zip((double, other), clipped, strict=True):
            angles[:, which] = np.where(seen[:, chain], np.where(second_better, value[1], value[0]), angles[:, which])


def angle_about(
    axis: Float[np.ndarray, "n 3"], start: Float[np.ndarray, "*b n 3"], goal: Float[np.ndarray, "*b n 3"]
) -> Float[np.ndarray, "*b n"]:
    """The angle about a unit axis that rotates `start` closest to the direction of `goal`."""
    across = np.sum(axis * cross_product(start, goal), axis=-1)
    along = np.sum(start * goal, axis=-1) - np.sum(axis * start, axis=-1) * np.sum(axis * goal, axis=-1)
    return np.arctan2(across, along)


def angles_about_two(
    first: Float[np.ndarray, "n 3"],
    second: Float[np.ndarray, "n 3"],
    start: Float[np.ndarray, "b n 3"],
    goal: Float[np.ndarray, "b n 3"],
) -> tuple[Float[np.ndarray, "2 b n"], Float[np.ndarray, "2 b n"]]:
    """Angles with R(first) R(second) start along goal: both solutions, or twice the closest approach where none exists.

    Source: Paden and Kahan's second subproblem (Murray, Li & Sastry, A Mathematical Introduction to Robotic
    Manipulation, 1994, section 3.3).
    """
    p = start / np.maximum(np.sqrt(np.sum(start**2, axis=-1, keepdims=True)), 1e-12)
    q = goal / np.maximum(np.sqrt(np.sum(goal**2, axis=-1, keepdims=True)), 1e-12)
    c = np.sum(first * second, axis=-1)
    normal = cross_product(first, second)
    square = 1 - c * c
    on_second, on_first = np.sum(second * p, axis=-1), np.sum(first * q, axis=-1)
    alpha = (on_first - c * on_second) / square
    beta = (on_second - c * on_first) / square
    rest = 1 - alpha**2 - beta**2 - 2 * alpha * beta * c
    gamma = np.sqrt(np.maximum(rest, 0.0) / square)
    plane = alpha[..., None] * first + beta[..., None] * second
    between = np.stack([plane + gamma[..., None] * normal, plane - gamma[..., None] * normal])
    return angle_about(first, between, np.stack([q, q])), angle_about(second, np.stack([p, p]), between)


def _wrap_near_limits(angle: Float[np.ndarray, "*b n"], limits: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "*b n"]:
    """The angle, wrapped to within pi of the middle of its limits."""
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isfinite(limits).all(axis=1), limits.mean(axis=1), 0.0)
    return middle + np.mod(angle - middle + np.pi, 2 * np.pi) - np.pi


def _wrap_and_clip(angle: Float[np.ndarray, "*b n"], limits: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "*b n"]:
    return np.clip(_wrap_near_limits(angle, limits), limits[:, 0], limits[:, 1])
