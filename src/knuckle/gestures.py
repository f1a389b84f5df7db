"""Names of poses: nearest in angles, with a threshold; the 100 named poses, or a person's own from a few examples."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from knuckle.files import InputError, atomic_write, load_json, number_array
from knuckle.handmodel import ANGLE_NAMES, named_pose, pose_names

# Standard deviation of an angle between a person's pose and its name's, before any example is seen; it counts as much
# as so many examples. Over ten gestures of 200 people the deviations are 4 to 14 degrees.
_PRIOR_SPREAD, _PRIOR_EXAMPLES = np.radians(8.0), 10
# That of all names together counts as much as so many examples of a name: its own are too few to tell 23 deviations.
_SHARED_EXAMPLES = 20
# The poses of the bank are drafts, nobody's own: they are given more room.
_BANK_SPREAD = np.radians(10.0)
# In standard deviations, root mean square over the angles. Of ten learned gestures it lets 97 in 100 pass, and of a
# gesture that was not learned 4 in 100 (tools/measure_gestures.py).
_THRESHOLD = 1.7
_MAX_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Gestures:
    """Names of poses of a hand.

        mine = Gestures.learn({"stop": [hand.angles, ...], "go": [...]})
        mine.name(hand.angles)  # "stop", "go" or None

    Attributes:
        names: K names.
        means: (K, 23) radians, the angles of each.
        spread: (K, 23) radians, by how much each angle varies within each gesture.
        threshold: the largest distance of a pose that still has the name; see `distances`.
    """

    names: tuple[str, ...]
    means: Float[np.ndarray, "K 23"]
    spread: Float[np.ndarray, "K 23"]
    threshold: float = _THRESHOLD

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count or len(set(self.names)) < count:
            raise ValueError(f"names must be different ones, at least one, but got {', '.join(self.names) or 'none'}")
        for name in ("means", "spread"):
            if getattr(self, name).shape != (count, 23):
                raise ValueError(f"{name} must be of the shape ({count}, 23) but got {getattr(self, name).shape}")
        if not (np.isfinite(self.means).all() and (self.spread > 0).all() and self.threshold > 0):
            raise ValueError("means must be finite, and spread and threshold above 0, but are not; learn them again")

    @classmethod
    def learn(cls, examples: Mapping[str, Any], threshold: float = _THRESHOLD) -> "Gestures":
        """Names from examples: one is enough to begin with, ten are good.

        Args:
            examples: for each name a sequence of `hand.angles`, or an array (N, 23) of radians; left and right alike.
            threshold: the largest distance of a pose that still has the name.

        Raises:
            ValueError: there is no name, or a name without examples.
        """
        empty = [name for name, poses in examples.items() if len(poses) == 0]
        if empty or not examples:
            raise ValueError(f"examples must be one or more for each name but got none for {', '.join(empty) or 'any'}")
        poses = {name: np.array([_checked(one) for one in given]) for name, given in examples.items()}
        means = np.stack([one.mean(axis=0) for one in poses.values()])
        squares = np.stack([np.square(one - mean).sum(axis=0) for one, mean in zip(poses.values(), means, strict=True)])
        free = np.array([len(one) - 1 for one in poses.values()])[:, None]
        shared = (squares.sum(axis=0) + _PRIOR_EXAMPLES * _PRIOR_SPREAD**2) / (free.sum() + _PRIOR_EXAMPLES)
        spread = np.sqrt((squares + _SHARED_EXAMPLES * shared) / (free + _SHARED_EXAMPLES))
        return cls(tuple(poses), means, spread, threshold)

    def distances(self, angles: Any) -> Float[np.ndarray, " K"]:
        """How far a pose is from each name: root mean square over the angles, in units of their spread.

        Args:
            angles: `hand.angles`, or (23,) radians.
        """
        return np.sqrt(np.square((_checked(angles) - self.means) / self.spread).mean(axis=-1))

    def name(self, angles: Any) -> str | None:
        """The nearest name of a pose; None where none is within the threshold.

        Args:
            angles: `hand.angles`, or (23,) radians.
        """
        distances = self.distances(angles)
        nearest = int(distances.argmin())
        return self.names[nearest] if distances[nearest] <= self.threshold else None

    def save(self, path: Path | str) -> None:
        """Write a JSON file, atomically: for each name its angles, and by how much each varies, in degrees by name."""
        gestures = {
            name: {"mean": _named_degrees(mean), "spread": _named_degrees(spread)}
            for name, mean, spread in zip(self.names, self.means, self.spread, strict=True)
        }
        content = {"format": "knuckle-gestures", "threshold": self.threshold, "gestures": gestures}
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> "Gestures":
        """Read what `save` wrote.

        Raises:
            InputError: it is another file, or damaged.
            OSError: it cannot be read.
        """
        content = load_json(path, _MAX_BYTES)
        try:
            names = tuple(content["gestures"])
            means, spread = (
                np.stack([_radians(content["gestures"][name][part]) for name in names]) for part in ("mean", "spread")
            )
            return cls(names, means, spread, float(content["threshold"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} must be a file that `knuckle gestures --learn` wrote but cannot be used ({error})"
            ) from None


@cache
def named_gestures() -> Gestures:
    """The 100 named poses of `knuckle pose`; what `hand.gesture` asks."""
    names = pose_names()
    return Gestures(names, np.stack([named_pose(name) for name in names]), np.full((len(names), 23), _BANK_SPREAD))


def _checked(angles: Any) -> Float[np.ndarray, "23"]:
    values = np.asarray(angles, dtype=float)
    if values.shape != (23,) or not np.isfinite(values).all():
        raise ValueError(f"angles must be 23 finite radians, such as hand.angles, but got the shape {values.shape}")
    return values


def _named_degrees(angles: Float[np.ndarray, "23"]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in zip(ANGLE_NAMES, np.degrees(angles).tolist(), strict=True)}


def _radians(named: Mapping[str, float]) -> Float[np.ndarray, "23"]:
    return np.radians(number_array([named[name] for name in ANGLE_NAMES], "angles"))
