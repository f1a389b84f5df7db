"""Errors of a whole data set, accumulated in chunks in bounded memory, and their summary statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from knuckle.metrics.curves import areas_from, auc, counts_of, first_within, mean_curve, nan_mean

# Up to here errors are kept in float64. Beyond it (meshes) only the median reads the kept errors, and float32
# (1e-7 of an error) halves 1.6 GB; means and curves are summed in float64 as the errors come in.
_EXACT_COLUMNS = 64
_COLUMNS_AT_ONCE = 16


@dataclass(frozen=True)
class ErrorSummary:
    """Summary statistics of a set of errors, in the errors' unit.

    mean, median: means over points of each point's mean and median over samples (as in EvalUtil; with every point
    labelled the mean is the plain mean). aucs: by name. curve: (T,) at `thresholds`. point_means: (K,).
    """

    mean: float
    median: float
    aucs: Mapping[str, float]
    thresholds: tuple[float, ...]
    curve: Float[np.ndarray, " t"]
    point_means: Float[np.ndarray, " k"]


class Tally:
    """Accumulates errors of N samples at K points each, in any order, from several threads on disjoint rows.

    Args:
        samples: N.
        points: K.
        thresholds: of the AUCs, by name. The first is also that of the PCK curve; the others must be a contiguous part
            of it (as "20-50" is of "0-50").

    Raises:
        ValueError: no thresholds, or one set is not a contiguous part of the first.
    """

    def __init__(self, samples: int, points: int, thresholds: Mapping[str, Sequence[float]]):
        if not thresholds:
            raise ValueError("thresholds must name at least one set but got none")
        self._names = {name: tuple(steps) for name, steps in thresholds.items()}
        self.thresholds = next(iter(self._names.values()))
        for name, steps in self._names.items():
            if not _is_contiguous_part(steps, self.thresholds):
                raise ValueError(f"thresholds {name!r} must be a contiguous part of the first set's but got {steps}")
        self.errors = np.full((samples, points), np.nan, np.float64 if points <= _EXACT_COLUMNS else np.float32)
        self.sample_means = np.full(samples, np.nan)
        self.sample_areas = {name: np.full(samples, np.nan) for name in self._names}

    def add(
        self, start: int, errors: Float[np.ndarray, "n k"], never_within: Bool[np.ndarray, " n"] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keep the errors of samples start, start + 1, ...

        Args:
            start: the first sample's index.
            errors: (n, K) float64; NaN where a point has no label.
            never_within: (n,) samples that count as incorrect at every threshold, whatever their errors.

        Returns:
            Sums, counts and threshold counts of these rows, for `summary`.
        """
        stop = start + len(errors)
        self.errors[start:stop] = errors
        self.sample_means[start:stop] = nan_mean(errors)
        known = np.isfinite(errors)
        first = first_within(errors, self.thresholds)
        if never_within is not None:
            first[never_within] = len(self.thresholds)
        for name, steps in self._names.items():
            # An error below this part is within its first threshold, one beyond it within none.
            inside = np.clip(first - self.thresholds.index(steps[0]), 0, len(steps))
            areas = areas_from(steps)[inside]
            self.sample_areas[name][start:stop] = nan_mean(np.where(known, areas, np.nan))
        return np.where(known, errors, 0.0).sum(0), known.sum(0), counts_of(first, len(self.thresholds))

    def summary(self, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> ErrorSummary:
        """Summary statistics of all samples.

        Args:
            parts: what `add` returned for every chunk.

        Returns:
            ErrorSummary; its numbers are NaN where nothing is labelled.
        """
        points = self.errors.shape[1]
        sums = sum((p[0] for p in parts), np.zeros(points))
        totals = sum((p[1] for p in parts), np.zeros(points, np.int64))
        counts = sum((p[2] for p in parts), np.zeros((points, len(self.thresholds)), np.int64))
        labelled = totals > 0
        means = np.where(labelled, sums / np.maximum(totals, 1), np.nan)
        curve = mean_curve(counts, totals)
        areas = {}
        for name, steps in self._names.items():
            first = self.thresholds.index(steps[0])
            areas[name] = auc(curve[first : first + len(steps)], steps)
        some = labelled.any()
        return ErrorSummary(
            mean=float(means[labelled].mean()) if some else float("nan"),
            median=float(self._medians(labelled).mean()) if some else float("nan"),
            aucs=areas,
            thresholds=self.thresholds,
            curve=curve,
            point_means=means,
        )

    def pooled_median(self) -> float:
        """The plain median of all errors together; NaN where there are none."""
        known = np.isfinite(self.errors)
        if not known.any():
            return float("nan")
        return float(np.median(self.errors if known.all() else self.errors[known]))

    def _medians(self, labelled: np.ndarray) -> np.ndarray:
        """Median over samples of every labelled point, a few columns at a time."""
        medians = np.full(len(labelled), np.nan)
        for a in range(0, len(labelled), _COLUMNS_AT_ONCE):
            block = np.ascontiguousarray(self.errors[:, a : a + _COLUMNS_AT_ONCE].T)
            for row, column in enumerate(block, start=a):
                if labelled[row]:
                    known = np.isfinite(column)
                    medians[row] = np.median(column if known.all() else column[known])
        return medians[labelled]


def summarise(errors: Float[np.ndarray, "n k"], thresholds: Mapping[str, Sequence[float]]) -> ErrorSummary:
    """Summary statistics of errors that fit in memory: a Tally of one chunk.

    Args:
        errors: (N, K) error of every point of every sample; NaN where a point has no label.
        thresholds: of the AUCs, by name; see Tally.

    Returns:
        ErrorSummary.
    """
    tally = Tally(len(errors), errors.shape[1], thresholds)
    return tally.summary([tally.add(0, errors)])


def _is_contiguous_part(steps: tuple[float, ...], whole: tuple[float, ...]) -> bool:
    if not steps or steps[0] not in whole:
        return False
    first = whole.index(steps[0])
    return whole[first : first + len(steps)] == steps
