"""Sets that go through viewpoints, or through poses, one by one: AngRender and ManoRender of Fan and Wang (2022).

A picture's index decides which viewpoint or pose it has, so that the first N pictures of a set cover them evenly.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from knuckle.synth.poses import FINGER_STARTS

# AngRender: the camera's positions on the unit sphere about an upright hand, every 5 degrees.
ELEVATIONS = tuple(range(-60, 91, 5))
AZIMUTHS = tuple(range(0, 360, 5))
POSITIONS = len(ELEVATIONS) * len(AZIMUTHS)
PER_POSITION = 32
# ManoRender: poses of a bank, and views of each.
POSES = 895
PER_POSE = 64

# A random pose (23,), radians, from a source of randomness.
PoseSampler: TypeAlias = Callable[[np.random.Generator], np.ndarray]

_BANK_SEED = 20230213
_GOLDEN = (1 + np.sqrt(5)) / 2
_SWAPPED = 0.5  # of the fingers of a pose


class View(NamedTuple):
    """Where a camera stands, in a right hand's frame: direction (3,) unit, hand to camera; up (3,), up in the
    picture."""

    name: str
    direction: np.ndarray
    up: np.ndarray


def sphere_view(index: int) -> View:
    """AngRender's view of a picture: every `POSITIONS` pictures in a row have each position once, in mixed order."""
    # The stride has no divisor in common with the number of positions: neighbours in the set are far apart.
    place = index * _coprime(POSITIONS) % POSITIONS
    elevation, azimuth = ELEVATIONS[place // len(AZIMUTHS)], AZIMUTHS[place % len(AZIMUTHS)]
    e, a = np.deg2rad([elevation, azimuth])
    # The camera's own up, which is defined at the pole too, where it stands over the fingertips.
    direction = np.array([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)])
    up = np.array([-np.sin(e) * np.sin(a), np.cos(e), -np.sin(e) * np.cos(a)])
    return View(f"elevation {elevation} azimuth {azimuth}", direction, up)


def even_view(index: int) -> View:
    """ManoRender's view of a picture: one of `PER_POSE` directions that are spread evenly.

    Every pose has each of them once, and neighbours in the set have different ones.
    """
    number = (index // POSES + index % POSES) * _coprime(PER_POSE) % PER_POSE
    height = 1 - (2 * number + 1) / PER_POSE
    turn = 2 * np.pi * number / _GOLDEN
    radius = np.sqrt(1 - height**2)
    direction = np.array([radius * np.sin(turn), height, radius * np.cos(turn)])
    up = np.array([0.0, 1.0, 0.0]) - height * direction
    return View(f"view {number}", direction, up / np.linalg.norm(up))


@dataclass
class SwappedPoses:
    """ManoRender's poses: a bank of `POSES`, the same in every set, with fingers swapped between them.

    Attributes:
        sample: a random pose (23,), radians, from a generator of random numbers.
    """

    sample: PoseSampler
    _bank: dict[int, np.ndarray] = field(default_factory=dict)

    def angles(self, index: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """The pose of a picture: its name and angles (23,), radians; about half of its fingers are of other poses."""
        number = index % POSES
        angles = self._pose(number).copy()
        for start, count in ((0, 7), *((start, 4) for start in FINGER_STARTS)):
            if rng.random() < _SWAPPED:
                angles[start : start + count] = self._pose(int(rng.integers(POSES)))[start : start + count]
        return f"pose {number}", angles

    def _pose(self, number: int) -> np.ndarray:
        if number not in self._bank:
            self._bank[number] = self.sample(np.random.default_rng([_BANK_SEED, number]))
        return self._bank[number]


def _coprime(count: int) -> int:
    """A stride near count / golden ratio without a common divisor: index * stride % count takes every value once."""
    stride = round(count / _GOLDEN)
    while np.gcd(stride, count) > 1:
        stride += 1
    return stride
