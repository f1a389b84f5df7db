"""How sure a score is: percentile intervals from resampled samples."""

import numpy as np
from jaxtyping import Float, Int

_DRAWS_AT_ONCE = 1 << 23


def bootstrap_means(
    values: Float[np.ndarray, "n m"],
    generator: np.random.Generator,
    groups: Int[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Float[np.ndarray, "m 2"]:
    """Intervals of the means of M scores over the same N samples, resampled together.

    Args:
        values: (N, M) a score per sample; NaN where a sample has none.
        generator: where the draws come from; the same state gives the same intervals.
        groups: (N,) a number per video or capture. Frames of one video are alike, so whole groups are drawn where
            this is given; without it every sample stands for itself, which is too sure of video.
        resamples: how many times the set is drawn again.
        level: the share of resampled means that lies within the interval.

    Returns:
        (M, 2) lower and upper end; NaN where a score has no sample.
    """
    known = np.isfinite(values)
    unit = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit.max()) + 1 if len(unit) else 0
    if units == 0:
        return np.full((values.shape[1], 2), np.nan)
    # Sums and counts per group: a resampled mean is then one weighted sum.
    sums = np.stack([np.bincount(unit, np.where(k, v, 0.0), units) for v, k in zip(values.T, known.T, strict=True)], 1)
    counts = np.stack([np.bincount(unit, k, units) for k in known.T], 1)
    means = []
    batch = max(1, min(resamples, _DRAWS_AT_ONCE // units))
    for start in range(0, resamples, batch):
        n = min(batch, resamples - start)
        drawn = generator.integers(0, units, (n, units)) + np.arange(n)[:, None] * units
        weight = np.bincount(drawn.ravel(), minlength=n * units).reshape(n, units).astype(np.float64)
        total = weight @ counts
        means.append(weight @ sums / np.where(total > 0, total, np.nan))
    tail = 50 * (1 - level)
    drawn_means = np.concatenate(means)
    interval = np.full((values.shape[1], 2), np.nan)
    for m in np.flatnonzero(known.any(0)):
        interval[m] = np.nanpercentile(drawn_means[:, m], [tail, 100 - tail])
    return interval
