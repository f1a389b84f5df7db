"""What a thing that hands hold consists of: shapes, a category, and the places where people hold it.

Categories are those of HOP (Gao et al., RA-L 2019): cylindrical objects, bars and sticks, cubical objects, spherical
objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from knuckle.synth.shapes import Shape

Category: TypeAlias = Literal["cylinder", "bar", "cube", "sphere"]
CATEGORIES: tuple[Category, ...] = ("cylinder", "bar", "cube", "sphere")
Vector: TypeAlias = tuple[float | int, float | int, float | int]
_NEAR = 0.01  # metres from its box within which an object's own distance counts


@dataclass(frozen=True)
class Hold:
    """A place where people hold an object, and how.

    Attributes:
        pose: the named pose of the hand that it is near to.
        style: "palm": the object lies in the palm; "tips": between the pads of thumb and fingers.
        fingers: those that touch it: 0 thumb to 4 little finger.
        start, end: (3,) the held point lies somewhere between these, metres in the object's frame.
        along: (3,) unit, the direction that goes from the little to the index finger.
        across: (3,) unit, the direction from the palm or the thumb's pad to the fingers; (0, 0, 0) for any direction
            across `along`; `along` (0, 0, 0) for any at all.
    """

    pose: str
    style: Literal["palm", "tips"]
    fingers: tuple[int, ...]
    start: Vector
    end: Vector
    along: Vector
    across: Vector


@dataclass(frozen=True, eq=False)
class Thing:
    """An object to be held.

    Attributes:
        name: what it is called. category: one of CATEGORIES.
        shapes: closed shapes that together are the object, in its frame.
        holds: how it is held.
        half_extents: (3,) of its box, metres.
    """

    name: str
    category: Category
    shapes: tuple[Shape, ...]
    holds: tuple[Hold, ...]
    half_extents: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distances (N,) of points (N, 3) in the object's frame, metres; negative inside."""
        return np.min([shape.distance(points) for shape in self.shapes], axis=0)

    def near_distance(self, points: np.ndarray) -> np.ndarray:
        """As distance, but of points far from the object's box the distance from that: quicker, and never too large."""
        outside = np.maximum(np.abs(points) - self.half_extents, 0)
        bound = np.sqrt((outside * outside).sum(1))
        near = np.flatnonzero(bound < _NEAR)
        bound[near] = self.distance(points[near])
        return bound

    def normal(self, points: np.ndarray) -> np.ndarray:
        """Gradients (N, 3) of the signed distance at points (N, 3): unit, away from the nearest surface."""
        step = 1e-5
        moves = step * np.concatenate([np.eye(3), -np.eye(3)])
        values = self.distance((points[None] + moves[:, None]).reshape(-1, 3)).reshape(6, -1)
        gradient = (values[:3] - values[3:]).T / (2 * step)
        return gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)


def thing(name: str, category: Category, shapes: Sequence[Shape], holds: Sequence[Hold]) -> Thing:
    """An object of shapes and holds in any frame with the axes of its own, moved to the middle of its box."""
    points = np.concatenate([shape.vertices for shape in shapes])
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    moved = tuple(shape.moved(-middle) for shape in shapes)
    held = tuple(replace(h, start=_minus(h.start, middle), end=_minus(h.end, middle)) for h in holds)
    return Thing(name, category, moved, held, (high - low) / 2)


def _minus(point: Vector, middle: np.ndarray) -> Vector:
    x, y, z = (float(a) for a in np.asarray(point) - middle)
    return x, y, z
