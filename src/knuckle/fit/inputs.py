"""The arguments of fit_hand, validated and flattened into one batch of right hands."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.fit.kinematics import Kinematics
from knuckle.fit.objective import Objective, Targets
from knuckle.fit.skinning import LinearSkinning, joints_from_mesh

MIRROR = np.array([-1.0, 1.0, 1.0])
# Limits are tightened by this much (radians, shape units), so that an angle at its limit is still within it after a
# round trip through degrees or float32.
LIMIT_MARGIN = 1e-6


@dataclass(frozen=True, eq=False)
class Problem:
    """A flat batch of N hands to fit, left ones mirrored.

    Attributes:
        kin, tip_skinning, skinning: the hand; see `Objective`.
        joints, vertices: the observations relative to `centre`.
        centre: (N, 3) metres, subtracted from the points after mirroring.
        left: (N,) true where the points were mirrored.
        limits: (A, 2) radians, infinite where there is none.
        shape_limits: (S, 2).
        shape_mean, shape_weight, angle_mean, angle_weights, bend_weight: see `Objective`.
    """

    kin: Kinematics
    tip_skinning: LinearSkinning | None
    skinning: LinearSkinning | None
    joints: Targets | None
    vertices: Targets | None
    centre: Float[np.ndarray, "N 3"]
    left: Bool[np.ndarray, " N"]
    limits: Float[np.ndarray, "A 2"]
    shape_limits: Float[np.ndarray, "S 2"]
    shape_mean: Float[np.ndarray, " S"]
    shape_weight: float
    angle_mean: Float[np.ndarray, " A"]
    angle_weights: Float[np.ndarray, " A"]
    bend_weight: float

    @property
    def count(self) -> int:
        return len(self.centre)

    def objective(self, index: Int[np.ndarray, " n"], shape: Float[np.ndarray, "n S"] | None) -> Objective:
        """The sum of squares of the hands with these indices; `shape` is held fixed, or None where it is an unknown."""
        return Objective(
            kin=self.kin,
            joints=self.joints and self.joints.take(index),
            tip_skinning=self.tip_skinning,
            skinning=self.skinning,
            vertices=self.vertices and self.vertices.take(index),
            shape=shape,
            shape_mean=self.shape_mean,
            shape_weight=self.shape_weight,
            angle_mean=self.angle_mean,
            angle_weights=self.angle_weights,
            bend_weight=self.bend_weight,
        )

    def initial_joints(self, index: Int[np.ndarray, " n"]) -> Targets:
        """The observed joints, and for those not observed joints estimated from the mesh, if there is one."""
        if self.vertices is None or self.skinning is None:
            assert self.joints is not None
            return self.joints.take(index)
        vertices = self.vertices.take(index)
        found = joints_from_mesh(self.skinning, self.kin, vertices.points, vertices.weights)
        everywhere = np.ones(found.shape[:2])
        if self.joints is None:
            return Targets(found, everywhere)
        joints = self.joints.take(index)
        return Targets(np.where(joints.weights[..., None] > 0, joints.points, found), everywhere)


def flat_targets(
    points: Any, uncertainty: Any, default: float, count: int, name: str
) -> tuple[Targets, tuple[int, ...]]:
    """Points (..., N, 3) and their standard deviations as one flat batch of targets, and the leading axes.

    Raises:
        ValueError: a shape does not match, an observed point is not finite, or too few points were observed.
    """
    array = np.asarray(points)
    if array.ndim < 2 or array.shape[-2:] != (count, 3) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must be numbers of shape (..., {count}, 3), metres, but got {array.dtype} of shape "
            f"{array.shape}; give one row per point, in the model's order"
        )
    array = array.astype(np.float64)
    std = np.asarray(default if uncertainty is None else uncertainty, dtype=np.float64)
    if not (std > 0).all():
        raise ValueError(
            f"uncertainty of {name} must be above zero (metres; infinite for a point that was not observed) but got "
            f"{std.min()}; leave it out to use the default for all points"
        )
    try:
        std = std if std.shape == array.shape[:-1] else np.broadcast_to(std, array.shape[:-1])
    except ValueError as error:
        raise ValueError(
            f"uncertainty of {name} must be of shape (..., {count}), one for each point, but got {std.shape} "
            f"for {array.shape}"
        ) from error
    weights = 1 / std**2
    leading, seen = array.shape[:-2], weights > 0
    if seen.all() and np.isfinite(array).all():
        # The usual case, which needs none of what follows.
        return Targets(array.reshape(-1, count, 3), weights.reshape(-1, count)), leading
    bad = ~np.isfinite(array).all(axis=-1) & seen
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must be finite but got {array[where]} at {where} ({int(bad.sum())} such points in all); "
            "leave such hands out, or give points that were not observed an infinite uncertainty"
        )
    array = np.where(seen[..., None], array, 0.0)
    few = seen.sum(axis=-1) < 3
    if few.any():
        where = tuple(int(i) for i in np.argwhere(few)[0])
        raise ValueError(
            f"{name} must have at least three points with a finite uncertainty in every hand but got fewer in hand "
            f"{where}; leave such hands out"
        )
    return Targets(array.reshape(-1, count, 3), weights.reshape(-1, count)), leading


def flat_side(side: Any, leading: tuple[int, ...]) -> Bool[np.ndarray, " N"]:
    """(N,) true where the hand is a left one."""
    if isinstance(side, str):
        if side not in ("left", "right"):
            raise ValueError(f"side must be 'left', 'right' or a boolean array (true for left) but got {side!r}")
        return np.full(math.prod(leading), side == "left")
    left = np.asarray(side)
    if left.dtype != bool:
        raise ValueError(f"side must be 'left', 'right' or a boolean array (true for left) but got {side!r}")
    try:
        return np.broadcast_to(left, leading).reshape(-1)
    except ValueError as error:
        raise ValueError(f"side must be of the hands' leading shape {leading} but got {left.shape}") from error


def checked_limits(limits: Any, count: int, name: str) -> Float[np.ndarray, "n 2"]:
    """(n, 2) lower and upper limits, tightened by LIMIT_MARGIN; infinite for None.

    Raises:
        ValueError: the shape does not match, or a lower limit is above the upper one.
    """
    if limits is None:
        return np.tile([-np.inf, np.inf], (count, 1))
    table = np.array(limits, dtype=np.float64)
    if table.shape != (count, 2) or not np.all(table[:, 0] <= table[:, 1]):
        raise ValueError(
            f"{name} must be of shape ({count}, 2), lower and upper (angles in radians), lower <= upper, but got "
            f"{table.tolist()}"
        )
    margin = np.minimum(LIMIT_MARGIN, (table[:, 1] - table[:, 0]) / 2)
    return table + np.stack([margin, -margin], axis=1)


def angle_prior(limits: Float[np.ndarray, "A 2"], weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (A,) and weights (A,) of the prior on the angles: centred on the flat hand, scaled by half the range.

    Without limits half the range is taken as one radian.
    """
    half = (limits[:, 1] - limits[:, 0]) / 2
    half = np.where(np.isfinite(half) & (half > 0), half, 1.0)
    return np.clip(0.0, limits[:, 0], limits[:, 1]), weight / half**2
