"""What stays the same from frame to frame: a filter that is calm at rest and quick in motion, and who is who."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class FilterSettings:
    """Of the One-Euro filter.

    Attributes:
        cutoff: Hz, for a thing at rest; lower is calmer.
        speed: Hz more for every unit a second; higher is quicker.
        speed_cutoff: Hz, for the speed itself.
    """

    cutoff: float = 1.5
    speed: float = 8.0
    speed_cutoff: float = 1.0


class OneEuroFilter:
    """Low-pass filter of an array whose cutoff rises with its speed, for each point of its own.

    Source: Casiez, Roussel and Vogel, CHI 2012. The speed is the length of the last axis's vector, so that a filtered
    motion does not depend on the axes.
    """

    def __init__(self, settings: FilterSettings | None = None) -> None:
        self._settings = settings or FilterSettings()
        self._value: np.ndarray | None = None
        self._speed = np.zeros(())

    def __call__(self, value: Float[np.ndarray, "*n d"], seconds: float) -> Float[np.ndarray, "*n d"]:
        """The filtered value.

        Args:
            value: measured.
            seconds: since the last call; above 0.

        Raises:
            ValueError: no time has passed.
        """
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0 but got {seconds}; give the time between two frames")
        if self._value is None:
            self._value, self._speed = value, np.zeros_like(value)
            return value
        s = self._settings
        self._speed = self._speed + _share(s.speed_cutoff, seconds) * ((value - self._value) / seconds - self._speed)
        cutoff = s.cutoff + s.speed * np.linalg.norm(self._speed, axis=-1, keepdims=True)
        filtered = self._value + _share(cutoff, seconds) * (value - self._value)
        self._value = filtered
        return filtered


def _share(cutoff, seconds: float):
    """How much of a step a first-order low-pass filter follows."""
    return 1.0 - np.exp(-2.0 * math.pi * cutoff * seconds)


def match(cost: Float[np.ndarray, "a b"], limit: float) -> list[tuple[int, int]]:
    """Pairs of rows and columns, cheapest first, none twice, none dearer than `limit`."""
    pairs: list[tuple[int, int]] = []
    rows, columns = np.unravel_index(np.argsort(cost, axis=None, kind="stable"), cost.shape)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] > limit:
            break
        if all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    return pairs
