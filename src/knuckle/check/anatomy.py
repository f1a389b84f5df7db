"""Anatomical plausibility of poses: fit a hand within the limits of shape and angles, and find violated limits."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.fit import Fit, fit_hand
from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths
from knuckle.handmodel.limits import angle_limits

_BATCH = 256
# A frame violates a limit where fitting without limits reduces the root mean square residual by this many metres,
_MIN_REDUCTION = 0.0004
# and by a third: angles without limits also overfit noise, but that reduces the residual by a tenth at most.
_MAX_RESIDUAL_RATIO = 0.67
# A single angle is reported where widening its limits alone achieves this fraction of that reduction.
_MIN_EXPLAINED = 0.5
# Radians from a limit at which an angle counts as being at it.
_AT_LIMIT = 1e-3
# Joints are not a hand's where the mean residual exceeds this fraction of their size (root mean square distance from
# their centre): the worst in the recordings is 0.09, and with 5 mm of noise 3 % of the frames exceed it. The minimum,
# in metres, is for the smallest hands: 3 mm of noise is a large fraction of a toddler's.
_MAX_RELATIVE_RESIDUAL, _MIN_RESIDUAL = 0.15, 0.005
# Radians by which the limits of a single angle are widened to test whether it is the cause.
_WIDENING = np.pi


@dataclass(frozen=True)
class LimitViolation:
    """An angle that is outside its limits in one frame.

    Attributes:
        frame: index.  angle: index into ANGLE_NAMES.  value: radians, fitted without its limits.
    """

    frame: int
    angle: int
    value: float


@dataclass(frozen=True)
class Anatomy:
    """Result of fitting N frames.

    Attributes:
        error: (N,) metres, mean residual of the fit within the limits.
        noise: (N,) metres, mean residual of the best fit, with the limits or without.
        lengths, fitted_lengths: (N, 20) metres, bone lengths of the given joints and of the fitted hand.
        outside_limits: (N,) true where the pose is outside the limits.
        violations: the angles that explain a violation alone; none for a frame where it takes several together.
        not_a_hand: (N,) true where the hand does not fit the joints even without angle limits.
    """

    error: Float[np.ndarray, " N"]
    noise: Float[np.ndarray, " N"]
    lengths: Float[np.ndarray, "N 20"]
    fitted_lengths: Float[np.ndarray, "N 20"]
    outside_limits: Bool[np.ndarray, " N"]
    violations: tuple[LimitViolation, ...]
    not_a_hand: Bool[np.ndarray, " N"]


def examine(
    joints: Float[np.ndarray, "N 21 3"],
    side: str,
    model: HandModel,
    progress: Callable[[int], None] = lambda done: None,
) -> Anatomy:
    """Fit every frame with and without angle limits and compare the residuals.

    Args:
        joints: (N, 21, 3) metres, common order, finite, no two joints of a bone coincident.
        side: "left" or "right".
        model: the hand.
        progress: called with the number of frames completed.
    """
    parts = []
    for start in range(0, len(joints), _BATCH):
        parts.append(_examine_batch(joints[start : start + _BATCH], side, model, start))
        progress(min(start + _BATCH, len(joints)))
    return Anatomy(
        error=np.concatenate([part.error for part in parts]),
        noise=np.concatenate([part.noise for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        fitted_lengths=np.concatenate([part.fitted_lengths for part in parts]),
        outside_limits=np.concatenate([part.outside_limits for part in parts]),
        violations=tuple(limit for part in parts for limit in part.violations),
        not_a_hand=np.concatenate([part.not_a_hand for part in parts]),
    )


def max_residual(joints: Float[np.ndarray, "N 21 3"]) -> Float[np.ndarray, " N"]:
    """Metres: the mean residual of a fit above which joints are not a hand's."""
    centred = joints - joints.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=-1).mean(axis=-1))
    return np.maximum(_MAX_RELATIVE_RESIDUAL * size, _MIN_RESIDUAL)


def _examine_batch(joints: Float[np.ndarray, "N 21 3"], side: str, model: HandModel, start: int) -> Anatomy:
    limits = angle_limits()
    within = fit_hand(model, joints, side=side)
    free = fit_hand(model, joints, side=side, limits=None)
    held, freed = _rms(within, joints), _rms(free, joints)
    not_a_hand = np.minimum(within.error, free.error) > max_residual(joints)
    outside_limits = _explained_without_limits(held, freed) & ~not_a_hand
    if outside_limits.any():
        # The fit without limits is without a prior of the angles too, and finds its way around local minima. A thumb
        # twisted nearly as far as its limits allow is found within them from another start.
        frames = np.flatnonzero(outside_limits)
        exact = fit_hand(model, joints[frames], side=side, angle_regularisation=0.0, restart_above=0.0)
        held[frames] = np.minimum(held[frames], _rms(exact, joints[frames]))
        outside_limits &= _explained_without_limits(held, freed)
    violations = _single_violations(joints, side, model, within, np.flatnonzero(outside_limits), held, freed, limits)
    return Anatomy(
        error=within.error,
        noise=np.minimum(within.error, free.error),
        lengths=bone_lengths(joints),
        fitted_lengths=bone_lengths(within.joints),
        outside_limits=outside_limits,
        violations=tuple(LimitViolation(start + limit.frame, limit.angle, limit.value) for limit in violations),
        not_a_hand=not_a_hand,
    )


def _single_violations(
    joints: Float[np.ndarray, "N 21 3"],
    side: str,
    model: HandModel,
    within: Fit,
    frames: Int[np.ndarray, " M"],
    held: Float[np.ndarray, " N"],
    freed: Float[np.ndarray, " N"],
    limits: Float[np.ndarray, "23 2"],
) -> list[LimitViolation]:
    """Widen the limits of each angle that is at one and report those that explain the residual alone."""
    found = []
    room = np.minimum(within.angles - limits[:, 0], limits[:, 1] - within.angles)
    for angle in range(len(limits)):
        stopped = frames[room[frames, angle] < _AT_LIMIT]
        if len(stopped) == 0:
            continue
        opened = limits.copy()
        opened[angle] += [-_WIDENING, _WIDENING]
        again = fit_hand(model, joints[stopped], side=side, limits=opened, initial=within[stopped])
        gained = (held[stopped] - _rms(again, joints[stopped])) / (held[stopped] - freed[stopped])
        for frame, share, value in zip(stopped, gained, again.angles[:, angle], strict=True):
            if share > _MIN_EXPLAINED:
                found.append(LimitViolation(int(frame), angle, float(value)))
    return found


def _explained_without_limits(held: Float[np.ndarray, " N"], freed: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    return (held - freed > _MIN_REDUCTION) & (freed < _MAX_RESIDUAL_RATIO * held)


def _rms(fit: Fit, joints: Float[np.ndarray, "N 21 3"]) -> Float[np.ndarray, " N"]:
    return np.sqrt(((fit.joints - joints) ** 2).sum(axis=-1).mean(axis=-1))
