"""Confidence intervals of scores by the percentile bootstrap."""

import numpy as np
from jaxtyping import Float, Int

_MAX_BATCH = 1 << 23  # indices drawn at once, to bound memory


def bootstrap_means(
    values: Float[np.ndarray, "n m"],
    generator: np.random.Generator,
    groups: Int[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Float[np.ndarray, "m 2"]:
    """Bootstrap intervals of the means of M scores over the same N samples, resampled jointly.

    Args:
        values: (N, M) a score per sample; NaN where a sample has none.
        generator: source of randomness; the same state gives the same intervals.
        groups: (N,) a number per video or capture. Frames of one video are correlated, so whole groups are resampled
            (cluster bootstrap); None resamples single samples, whose intervals are too narrow for video.
        resamples: number of bootstrap samples.
        level: confidence level.

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
    batch = max(1, min(resamples, _MAX_BATCH // units))
    for start in range(0, resamples, batch):
        n = min(batch, resamples - start)
        chosen = generator.integers(0, units, (n, units)) + np.arange(n)[:, None] * units
        weight = np.bincount(chosen.ravel(), minlength=n * units).reshape(n, units).astype(np.float64)
        total = weight @ counts
        means.append(weight @ sums / np.where(total > 0, total, np.nan))
    tail = 50 * (1 - level)
    resampled_means = np.concatenate(means)
    interval = np.full((values.shape[1], 2), np.nan)
    for m in np.flatnonzero(known.any(0)):
        interval[m] = np.nanpercentile(resampled_means[:, m], [tail, 100 - tail])
    return interval
