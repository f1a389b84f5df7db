"""Limits of hands learned from joints, such as the labels of a data set's training split or a person's recording."""

import numpy as np
from jaxtyping import Bool, Float

from knuckle.geometry.hull import convex_hull_2d, dilate_hull_2d, simplify_hull_2d
from knuckle.handmodel.biomechanics import Convention, HandMeasures, hand_measures
from knuckle.handmodel.ranges import HandLimits, normalised, pad_hulls
from knuckle.skeleton import MIDDLE_MCP

# The next hand is outside a range that n hands span with a probability of 2 / (n + 1): with 100, two of a hundred
# possible hands for each of the quantities. Fewer say little about what is possible.
MINIMUM_HANDS = 100
# The bone that is 1 has a range of no width: in single precision rounding alone would be outside it.
_ROUNDING = 1e-5
_MINIMUM_WIDTH = 1e-3  # of a hull, radians


def learn_limits(
    joints: Float[np.ndarray, "n 21 3"],
    left: Bool[np.ndarray, " n"] | bool = False,
    *,
    bone: tuple[int, int] = (0, MIDDLE_MCP),
    convention: Convention = "paper",
    percentiles: tuple[float, float] = (0.05, 99.95),
    share: float = 0.9995,
    source: str = "",
) -> HandLimits:
    """The ranges in which hands are, without the few that are farthest out.

    Args:
        joints: (N, 21, 3) any unit and frame; hands with joints that are not finite, or without that bone, are left
            out. At least MINIMUM_HANDS must remain.
        left: (N,) which are left hands, or the same for all.
        bone: the joints (parent, child) between which the length is 1 in the limits.
        convention: of the frames; see biomechanics.finger_angles.
        percentiles: lowest and highest of lengths, curvature and spread that are within the limits. (0, 100) takes
            all, outliers in labels too.
        share: of the pairs of angles, 0 to 1, that stay inside a hull as it is simplified.
        source: what the hands are, for people.

    Returns:
        HandLimits. A hull without area, such as of joints that never abduct, is made 0.001 radians wide.

    Raises:
        ValueError: there are too few hands, or an option is out of range.

    Source: Spurr et al., ECCV 2020; public code takes the smallest and the largest for ranges, which one wrong label
        decides.
    """
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must be low < high from 0 to 100 but got {low} and {high}")
    if joints.ndim != 3 or joints.shape[1:] != (21, 3):
        raise ValueError(f"joints must be (N, 21, 3) but got the shape {joints.shape}")
    usable = np.isfinite(joints).all(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        usable &= np.linalg.norm(joints[:, bone[1]] - joints[:, bone[0]], axis=-1) > 0
    if usable.sum() < MINIMUM_HANDS:
        raise ValueError(
            f"limits need at least {MINIMUM_HANDS} hands with 3D joints but got {int(usable.sum())}"
            f"{f' of {len(joints)}' if usable.sum() < len(joints) else ''}; give more"
        )
    sides = np.broadcast_to(np.asarray(left, bool), joints.shape[:1])[usable]
    measures = measure_for_limits(joints[usable], sides, bone, convention)
    ranges = [
        np.percentile(values, [low, high], axis=0).T
        for values in (measures.lengths, measures.curvature, measures.spread)
    ]
    pairs = np.moveaxis(measures.angles, 1, 0)
    hulls = pad_hulls([_hull(points, share) for points in pairs])
    lengths, curvature, spread = ranges
    return HandLimits(
        lengths * [1 - _ROUNDING, 1 + _ROUNDING], curvature, spread, hulls, bone, convention, source, int(usable.sum())
    )


def measure_for_limits(
    joints: Float[np.ndarray, "n 21 3"],
    left: Bool[np.ndarray, " n"],
    bone: tuple[int, int] = (0, MIDDLE_MCP),
    convention: Convention = "paper",
) -> HandMeasures:
    """What limits are learned from: the measures of hands in lengths of the bone, as those of right hands."""
    return HandMeasures(*map(np.asarray, hand_measures(normalised(joints, bone), left, convention)))


def _hull(points: Float[np.ndarray, "n 2"], share: float) -> Float[np.ndarray, "m 2"]:
    """A simple hull that contains the share of the points, with an area even where they are on one line."""
    hull = convex_hull_2d(points)
    width = np.linalg.svd(hull - hull.mean(0), compute_uv=False)[-1] / np.sqrt(len(hull)) if len(hull) > 2 else 0.0
    return simplify_hull_2d(hull, points, share) if width > _MINIMUM_WIDTH else dilate_hull_2d(hull, _MINIMUM_WIDTH)
