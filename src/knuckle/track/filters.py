"""The One-Euro filter of points, of independent quantities and of rotations.

Source: Casiez, Roussel and Vogel, CHI 2012. Time steps may vary.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from knuckle.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle


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

    def __post_init__(self) -> None:
        if not (self.min_cutoff > 0 and self.beta >= 0 and self.derivative_cutoff > 0):
            raise ValueError(f"cutoffs must be above 0 Hz, and beta 0 or more, but got {self}")


class OneEuroFilter:
    """Low-pass filter of an array, the cutoff increasing with the speed.

    Args:
        settings: its parameters; the defaults if None.
        apart: a cutoff for each number by its own speed; else one for each point (..., D) by the norm of its velocity,
            which makes the result equivariant to rotations.

    Attributes:
        before: the result of the call before the last, corrected by what the last one was given; the first one's own
            until there are two. At constant speed it does not lag where the filter lags by no more than a time step.
    """

    def __init__(self, settings: FilterSettings | None = None, apart: bool = False) -> None:
        self._settings = settings or FilterSettings()
        self._apart = apart
        self.before = np.zeros(())
        self._value: np.ndarray | None = None
        self._velocity = np.zeros(())

    def __call__(
        self,
        value: Float[np.ndarray, "*n d"],
        seconds: float,
        unit: float = 1.0,
        trust: float | Float[np.ndarray, "*n d"] = 1.0,
    ) -> Float[np.ndarray, "*n d"]:
        """Filter the next value.

        Args:
            value: (..., D) measurement.
            seconds: time since the last call; positive.
            unit: what speeds are measured in, in the value's unit: of a hand far away, say, its length in the picture.
            trust: factor on the cutoff, 0 to 1: less for a measurement that is less certain than usual.

        Returns:
            (..., D) filtered value; the first one unchanged.

        Raises:
            ValueError: seconds is not positive.
        """
        _check_seconds(seconds)
        if self._value is None:
            self.before, self._value, self._velocity = value, value, np.zeros_like(value)
            return value
        before = self._value
        s = self._settings
        change = value - before
        share = trust * _share(s.derivative_cutoff, seconds)
        self._velocity = self._velocity + share * (change / seconds - self._velocity)
        speed = np.abs(self._velocity) if self._apart else np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        share = _share(trust * (s.min_cutoff + s.beta * speed / unit), seconds)
        self.before = before + _correction(share) * change
        now = before + share * change
        self._value = now
        return now


class RotationFilter:
    """The same for a rotation, along the shortest way, with speeds in radians a second.

    Args:
        settings: its parameters; the defaults if None.

    Attributes:
        before: as of `OneEuroFilter`.
    """

    def __init__(self, settings: FilterSettings | None = None) -> None:
        self.before = np.eye(3)
        self._settings = settings or FilterSettings()
        self._value: np.ndarray | None = None
        self._velocity = np.zeros(3)

    def __call__(
        self, rotation: Float[np.ndarray, "3 3"], seconds: float, trust: float = 1.0
    ) -> Float[np.ndarray, "3 3"]:
        """Filter the next rotation matrix.

        Args:
            rotation: measurement.
            seconds: time since the last call; positive.
            trust: as of `OneEuroFilter`.

        Raises:
            ValueError: seconds is not positive.
        """
        _check_seconds(seconds)
        if self._value is None:
            self.before = self._value = rotation
            return rotation
        before = self._value
        s = self._settings
        turn = matrix_to_axis_angle(before.T @ rotation)
        share = trust * _share(s.derivative_cutoff, seconds)
        self._velocity = self._velocity + share * (turn / seconds - self._velocity)
        share = _share(trust * (s.min_cutoff + s.beta * float(np.linalg.norm(self._velocity))), seconds)
        self.before = before @ axis_angle_to_matrix(_correction(share) * turn)
        now = before @ axis_angle_to_matrix(share * turn)
        self._value = now
        return now


def _share(cutoff, seconds: float):
    """Of the way to a new value, what a first-order low-pass filter goes in a time step; implicit, as in the paper."""
    way = 2.0 * math.pi * cutoff * seconds
    return way / (1.0 + way)


def _correction(share):
    """Of the way to the newest value, how far the value before goes.

    A filter that goes the share s lags by (1 - s) / s time steps behind what moves at constant speed, the value before
    by as many behind its own time: that share of the step that the filter has made, s of the way, makes up for it.
    """
    return np.minimum(share, 1.0 - share)


def _check_seconds(seconds: float) -> None:
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0 but got {seconds}; give the time between two frames")
