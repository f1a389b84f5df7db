"""PCK curves and the areas under them, with the thresholds of each protocol."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

# Metres and pixels. OFFICIAL: FreiHAND, HO-3D and DexYCB; ZIMMERMANN: Zimmermann & Brox, in 3D and 2D.
OFFICIAL_50MM = tuple(np.linspace(0.0, 0.050, 100))
ZIMMERMANN_50MM = tuple(np.linspace(0.0, 0.050, 20))
# The "AUC 20-50" of papers: the tail of the twenty thresholds, which starts at 21.05 mm and not at 20.
ZIMMERMANN_20_50MM = ZIMMERMANN_50MM[8:]
ZIMMERMANN_30PX = tuple(np.linspace(0.0, 30.0, 20))
HOP_20PX = tuple(np.linspace(0.0, 20.0, 20))
FPHA_80MM = tuple(np.linspace(0.0, 0.080, 81))
OBJECT_50PX = tuple(np.linspace(0.0, 50.0, 51))


def pck(errors: Float[np.ndarray, "n k"], thresholds: Sequence[float]) -> Float[np.ndarray, " t"]:
    """PCK curve: fraction of correct keypoints at each threshold, averaged over joints.

    Args:
        errors: (N, K) error of every joint of every sample; NaN where there is no label.
        thresholds: T ascending distances, in the errors' unit.

    Returns:
        (T,) mean over joints of mean over samples of (error <= threshold). Joints without a label in any sample
        do not count; NaN when none has one.
    """
    return mean_curve(threshold_counts(errors, thresholds), np.isfinite(errors).sum(0))


def threshold_counts(errors: Float[np.ndarray, "n k"], thresholds: Sequence[float]) -> Int[np.ndarray, "k t"]:
    """How many samples have joint k within threshold t; counts of chunks add up.

    Args:
        errors: (N, K); NaN is never within.
        thresholds: T ascending distances.

    Returns:
        (K, T) counts of error <= threshold.
    """
    return counts_of(first_within(errors, thresholds), len(thresholds))


def first_within(errors: Float[np.ndarray, "n k"], thresholds: Sequence[float]) -> Int[np.ndarray, "n k"]:
    """Index of the smallest threshold that an error is within; T where it is within none, or NaN.

    Args:
        errors: (N, K).
        thresholds: T ascending distances.

    Returns:
        (N, K) indices in 0..T.
    """
    return np.searchsorted(np.asarray(thresholds), errors)


def counts_of(first: Int[np.ndarray, "n k"], steps: int) -> Int[np.ndarray, "k t"]:
    """threshold_counts from indices that first_within gave.

    Args:
        first: (N, K) indices in 0..T.
        steps: T.

    Returns:
        (K, T) counts.
    """
    joints = first.shape[1]
    place = first + np.arange(joints) * (steps + 1)
    binned = np.bincount(place.ravel(), minlength=joints * (steps + 1)).reshape(joints, steps + 1)
    return np.cumsum(binned[:, :steps], axis=1)


def mean_curve(counts: Int[np.ndarray, "k t"], totals: Int[np.ndarray, " k"]) -> Float[np.ndarray, " t"]:
    """A PCK curve from counts: each joint's fraction, averaged over the joints that have labels.

    Args:
        counts: (K, T) from threshold_counts, summed over chunks.
        totals: (K,) labelled samples per joint.

    Returns:
        (T,) fractions; NaN when no joint has labels.
    """
    labelled = totals > 0
    if not labelled.any():
        return np.full(counts.shape[1], np.nan)
    return (counts[labelled] / totals[labelled, None]).mean(0)


def auc(curve: Float[np.ndarray, " t"], thresholds: Sequence[float]) -> float:
    """Area under a PCK curve by the trapezoidal rule, relative to that of a perfect curve.

    Args:
        curve: (T,) fractions.
        thresholds: T ascending distances, at least two.

    Returns:
        In [0, 1]. A constant error e within [0, t_max] gives 1 - e / t_max to within half a step.

    Raises:
        ValueError: fewer than two thresholds.
    """
    if len(thresholds) < 2:
        raise ValueError(f"thresholds must be at least two but got {len(thresholds)}")
    return float(np.trapezoid(curve, thresholds) / (thresholds[-1] - thresholds[0]))


def sample_areas(errors: Float[np.ndarray, "n k"], thresholds: Sequence[float]) -> Float[np.ndarray, " n"]:
    """The AUC of every sample alone; where all joints are labelled, their mean is the AUC.

    The area under a PCK curve is linear in the samples, so a bootstrap needs no curves.

    Args:
        errors: (N, K); NaN joints are left out of their sample.
        thresholds: T ascending distances.

    Returns:
        (N,) in [0, 1]; NaN for a sample without labels.
    """
    areas = areas_from(thresholds)[first_within(errors, thresholds)]
    return nan_mean(np.where(np.isfinite(errors), areas, np.nan))


def areas_from(thresholds: Sequence[float]) -> Float[np.ndarray, " t_and_one"]:
    """Relative area under a curve that steps from 0 to 1 at threshold i, for every i; 0 for none.

    Args:
        thresholds: T ascending distances.

    Returns:
        (T + 1,) falling from 1 to 0.
    """
    steps = np.asarray(thresholds)
    half = np.diff(steps) / 2
    weight = np.append(half, 0.0) + np.append(0.0, half)
    return np.append(np.cumsum(weight[::-1])[::-1], 0.0) / (steps[-1] - steps[0])


def nan_mean(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Row means that ignore NaN; NaN, without a warning, for rows of NaN alone.

    Args:
        values: (N, K).

    Returns:
        (N,).
    """
    known = np.isfinite(values)
    count = known.sum(1)
    return np.where(known, values, 0.0).sum(1) / np.where(count > 0, count, np.nan)
