"""F-scores of point sets: the share of a mesh that lies within a distance of the other, both ways.

Exact, and fast enough for a data set: all distances of a pair of meshes come from one float32 matrix product, and
only the points whose nearest distance is too close to the threshold to call are measured again in float64.
"""

import numpy as np
from jaxtyping import Float

F_THRESHOLDS = (0.005, 0.015)

# Rows of one matrix product. So few that the BLAS libraries stay on one thread (they would fight with the threads
# that evaluate chunks beside each other), and that the distances stay in the processor's cache.
_ROWS = 60
# Pairs whose small arrays are prepared together.
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

    precision = share of the points with a target point nearer than the threshold (strictly, as the official scripts
    have it), recall = the same the other way round. The scripts swap the two names, which changes no F-score.

    Args:
        points: (N, V, 3) predicted vertices.
        target: (N, W, 3) true vertices, same unit.
        thresholds: T distances in that unit; the field's are 5 and 15 mm.

    Returns:
        (N, T) in [0, 1]; 0 where nothing is within reach.

    Raises:
        ValueError: the numbers of pairs differ.
    """
    if len(points) != len(target):
        raise ValueError(f"points and target must hold as many meshes but got {len(points)} and {len(target)}")
    shares = np.zeros((len(points), 2, len(thresholds)))  # precision and recall
    if points.shape[1] == 0 or target.shape[1] == 0:
        return shares[:, 0]
    for start in range(0, len(points), _PAIRS):
        rows = slice(start, start + _PAIRS)
        near_points, near_target = _within(points[rows], target[rows], np.asarray(thresholds, np.float64))
        shares[rows, 0] = np.count_nonzero(near_points, axis=2).T / points.shape[1]
        shares[rows, 1] = np.count_nonzero(near_target, axis=2).T / target.shape[1]
    both = shares.sum(1)
    return np.where(both > 0, 2 * shares.prod(1) / np.where(both > 0, both, 1.0), 0.0)


def _within(points: np.ndarray, target: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points have a target nearer than each threshold (T, N, V), and the other way round (T, N, W)."""
    # float64 before the shift: coordinates of half a metre in float32 would already have lost the last digits.
    centre = target.mean(1, keepdims=True, dtype=np.float64)
    a, b = points - centre, target - centre
    a_norm, b_norm = np.square(a).sum(2), np.square(b).sum(2)
    n, v, w = len(a), a.shape[1], b.shape[1]

    blocks = -(-v // _ROWS)
    left = np.empty((n, blocks * _ROWS, 5), np.float32)
    left[:, :v, :3], left[:, :v, 3], left[:, :v, 4] = a, a_norm, 1.0
    left[:, v:] = left[:, :1]  # padding repeats a point, which changes no minimum
    right = np.empty((n, 5, w), np.float32)
    right[:, :3], right[:, 3], right[:, 4] = -2.0 * b.transpose(0, 2, 1), 1.0, b_norm
    nearest_a, nearest_b = np.empty((n, blocks * _ROWS), np.float32), np.empty((n, w), np.float32)
    squared = np.empty((blocks, _ROWS, w), np.float32)
    for i in range(n):
        np.matmul(left[i].reshape(blocks, _ROWS, 5), right[i], out=squared)
        table = squared.reshape(blocks * _ROWS, w)
        table.min(1, out=nearest_a[i])
        table.min(0, out=nearest_b[i])
    return _decide(nearest_a[:, :v], reach, a, a_norm, b), _decide(nearest_b, reach, b, b_norm, a)


def _decide(nearest: np.ndarray, reach: np.ndarray, a: np.ndarray, a_norm: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T, N, V) nearest (N, V) < threshold^2, with the doubtful ones measured exactly."""
    reach = reach[:, None, None]
    gap = nearest - reach**2
    near = gap < 0
    # A point within reach of a is no farther from the origin than |a| + reach, which bounds its rounding; those
    # beyond are so much farther than reach that no rounding brings them near.
    rounding = _ROUNDING * (a_norm + (np.sqrt(a_norm) + reach) ** 2)
    doubtful = np.nonzero(np.abs(gap) <= rounding)
    for t, pair, point in zip(*doubtful, strict=True):
        exact = np.sqrt(np.square(a[pair, point] - b[pair]).sum(-1)).min()
        near[t, pair, point] = exact < reach[t, 0, 0]
    return near
