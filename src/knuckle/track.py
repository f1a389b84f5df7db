"""Temporal smoothing of tracked hands (the One-Euro filter) and greedy association of detections with tracks."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class FilterSettings:
    """Parameters of the One-Euro filter, with the names of its paper.

    Attributes:
        min_cutoff: Hz, at rest; lower reduces jitter.
        beta: increase of the cutoff in Hz per unit of speed (units per second); higher reduces lag.
        derivative_cutoff: Hz, of the low-pass filter of the derivative.
    """

    min_cutoff: float = 1.5
    beta: float = 8.0
    derivative_cutoff: float = 1.0


class OneEuroFilter:
    """Low-pass filter of an array of points, the cutoff of each increasing with its speed.

    Source: Casiez, Roussel and Vogel, CHI 2012. The speed is the norm over the last axis, so that the result is
    equivariant to rotations.
    """

    def __init__(self, settings: FilterSettings | None = None) -> None:
        self._settings = settings or FilterSettings()
        self._value: np.ndarray | None = None
        self._speed = np.zeros(())

    def __call__(self, value: Float[np.ndarray, "*n d"], seconds: float) -> Float[np.ndarray, "*n d"]:
        """Filter the next value.

        Args:
            value: (..., D) measurement.
            seconds: time since the last call; positive.

        Returns:
            (..., D) filtered value; the first one unchanged.

        Raises:
            ValueError: seconds is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0 but got {seconds}; give the time between two frames")
        if self._value is None:
            self._value, self._speed = value, np.zeros_like(value)
            return value
        s = self._settings
        self._speed = self._speed + _smoothing_factor(s.derivative_cutoff, seconds) * (
            (value - self._value) / seconds - self._speed
        )
        cutoff = s.min_cutoff + s.beta * np.linalg.norm(self._speed, axis=-1, keepdims=True)
        filtered = self._value + _smoothing_factor(cutoff, seconds) * (value - self._value)
        self._value = filtered
        return filtered


def _smoothing_factor(cutoff, seconds: float):
    """Smoothing factor of a first-order low-pass filter for a time step."""
    return 1.0 - np.exp(-2.0 * math.pi * cutoff * seconds)


def match(cost: Float[np.ndarray, "a b"], limit: float) -> list[tuple[int, int]]:
    """Greedy matching of rows and columns by increasing cost, each used at most once, up to the cost `limit`."""
    pairs: list[tuple[int, int]] = []
    rows, columns = np.unravel_index(np.argsort(cost, axis=None, kind="stable"), cost.shape)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] > limit:
            break
        if all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    return pairs
