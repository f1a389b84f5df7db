"""F-scores of point sets: harmonic mean of precision and recall at a distance threshold.

Exact, and fast enough for a data set: all distances of a pair of meshes come from float32 matrix products, and only
points whose nearest distance is within rounding of the threshold are computed again in float64.
"""

import numpy as np
from jaxtyping import Float

F_THRESHOLDS = (0.005, 0.015)

# Rows of one matrix product. So few that BLAS libraries stay on one thread (they would compete with the threads that
# evaluate chunks in parallel), and that the distances stay in the processor's cache.
_ROWS = 60
# Pairs of meshes per batch.
_PAIRS = 64
# Rounding of |a|^2 + |b|^2 - 2ab in float32 is below this times (|a|^2 + |b|^2): ten for five products and sums of
# relative error 2^-24 each, three for the rounding of what goes into them, and a margin.
_ROUNDING = 16 * 2.0**-24


def f_scores(
    points: Float[np.ndarray, "n v 3"],
    target: Float[np.ndarray, "m w 3"],
    thresholds: tuple[float, ...] = F_THRESHOLDS,
) -> Float[np.ndarray, "n t"]:
    """Harmonic mean of precision and recall at each threshold, for N pairs of point sets.

    precision = fraction of the points with a target point nearer than the threshold (strictly, as in the official
    scripts), recall = fraction of the target points with such a point. The scripts swap the names, which changes no
    F-score.

    Args:
        points: (N, V, 3) predicted vertices.
        target: (N, W, 3) true vertices, same unit.
        thresholds: T distances in that unit; 5 and 15 mm are usual.

    Returns:
        (N, T) in [0, 1]; 0 where no point is within the threshold.

    Raises:
        ValueError: the numbers of pairs differ.
    """
    if len(points) != len(target):
        raise ValueError(
            f"points and target must hold the same number of meshes but got {len(points)} and {len(target)}"
        )
    fractions = np.zeros((len(points), 2, len(thresholds)))  # precision and recall
    if points.shape[1] == 0 or target.shape[1] == 0:
        return fractions[:, 0]
    for start in range(0, len(points), _PAIRS):
        rows = slice(start, start + _PAIRS)
        near_points, near_target = _within(points[rows], target[rows], np.asarray(thresholds, np.float64))
        fractions[rows, 0] = np.count_nonzero(near_points, axis=2).T / points.shape[1]
        fractions[rows, 1] = np.count_nonzero(near_target, axis=2).T / target.shape[1]
    total = fractions.sum(1)
    return np.where(total > 0, 2 * fractions.prod(1) / np.where(total > 0, total, 1.0), 0.0)


def _within(points: np.ndarray, target: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points have a target nearer than each threshold (T, N, V), and which targets a point (T, N, W)."""
    # float64 before the shift: coordinates of half a metre in float32 would already have lost the last digits.
    centre = target.mean(1, keepdims=True, dtype=np.float64)
    a, b = points - centre, target - centre
    a_norm, b_norm = np.square(a).sum(2), np.square(b).sum(2)
    n, v, w = len(a), a.shape[1], b.shape[1]

    blocks = -(-v // _ROWS)
    left = np.empty((n, blocks * _ROWS, 5), np.float32)
    left[:, :v, :3], left[:, :v, 3], left[:, :v, 4] = a, a_norm, 1.0
    left[:, v:] = left[:, :1]  # padding by repetition changes no minimum
    right = np.empty((n, 5, w), np.float32)
    right[:, :3], right[:, 3], right[:, 4] = -2.0 * b.transpose(0, 2, 1), 1.0, b_norm
    nearest_a, nearest_b = np.empty((n, blocks * _ROWS), np.float32), np.empty((n, w), np.float32)
    squared = np.empty((blocks, _ROWS, w), np.float32)
    for i in range(n):
        np.matmul(left[i].reshape(blocks, _ROWS, 5), right[i], out=squared)
        table = squared.reshape(blocks * _ROWS, w)
        table.min(1, out=nearest_a[i])
        table.min(0, out=nearest_b[i])
    return _below(nearest_a[:, :v], thresholds, a, a_norm, b), _below(nearest_b, thresholds, b, b_norm, a)


def _below(nearest: np.ndarray, thresholds: np.ndarray, a: np.ndarray, a_norm: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T, N, V) squared distances nearest (N, V) < threshold^2, with ambiguous ones computed exactly."""
    thresholds = thresholds[:, None, None]
    gap = nearest - thresholds**2
    near = gap < 0
    # A point within the threshold of a is no farther from the origin than |a| + threshold, which bounds its rounding
    # error; for points beyond it the rounding error is too small to bring them below the threshold.
    rounding = _ROUNDING * (a_norm + (np.sqrt(a_norm) + thresholds) ** 2)
    ambiguous = np.nonzero(np.abs(gap) <= rounding)
    for t, pair, point in zip(*ambiguous, strict=True):
        exact = np.sqrt(np.square(a[pair, point] - b[pair]).sum(-1)).min()
        near[t, pair, point] = exact < thresholds[t, 0, 0]
    return near
