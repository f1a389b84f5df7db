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
    for i in range(len(points)):
        near_points, near_target = _within(points[i], target[i], thresholds)
        shares[i, 0] = np.count_nonzero(near_points, axis=1) / points.shape[1]
        shares[i, 1] = np.count_nonzero(near_target, axis=1) / target.shape[1]
    both = shares.sum(1)
    return np.where(both > 0, 2 * shares.prod(1) / np.where(both > 0, both, 1.0), 0.0)


def _within(points: np.ndarray, target: np.ndarray, thresholds: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which points have a target nearer than each threshold (T, V), and the other way round (T, W)."""
    # float64 before the shift: coordinates of half a metre in float32 would already have lost the last digits.
    centre = target.mean(0, dtype=np.float64)
    a, b = points - centre, target - centre
    a_norm, b_norm = np.square(a).sum(1), np.square(b).sum(1)

    blocks = -(-len(a) // _ROWS)
    left = np.empty((blocks * _ROWS, 5), np.float32)
    left[: len(a), :3], left[: len(a), 3], left[: len(a), 4] = a, a_norm, 1.0
    left[len(a) :] = left[0]  # padding repeats a point, which changes no minimum
    right = np.empty((5, len(b)), np.float32)
    right[:3], right[3], right[4] = -2.0 * b.T, 1.0, b_norm
    squared = np.matmul(left.reshape(blocks, _ROWS, 5), right).reshape(blocks * _ROWS, len(b))
    nearest_a, nearest_b = squared.min(1)[: len(a)], squared.min(0)

    reach = np.asarray(thresholds)
    return _decide(nearest_a, reach, a, a_norm, b), _decide(nearest_b, reach, b, b_norm, a)


def _decide(
    nearest: np.ndarray, thresholds: np.ndarray, a: np.ndarray, a_norm: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """(T, V) nearest < threshold^2, with the doubtful ones measured exactly."""
    reach = thresholds[:, None]
    gap = nearest - reach**2
    near = gap < 0
    # A point within reach of a is no farther from the origin than |a| + reach, which bounds its rounding; those
    # beyond are so much farther than reach that no rounding brings them near.
    rounding = _ROUNDING * (a_norm + (np.sqrt(a_norm) + reach) ** 2)
    which, doubtful = np.nonzero(np.abs(gap) <= rounding)
    if len(doubtful):
        exact = np.sqrt(np.square(a[doubtful, None] - b).sum(-1)).min(1)
        near[which, doubtful] = exact < thresholds[which]
    return near
