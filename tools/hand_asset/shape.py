"""Stage 9: ten shape directions, linear in their coefficients.

One unit is about one standard deviation among adults. Each direction defines the growth of the palm,
and of each finger along and across its bones; the surface follows the skinning weights, so that joints and surface
stay consistent and the fingers keep their directions.
"""

from typing import NamedTuple

import numpy as np

from .pivots import unit
from .proportions import FINGER_BASES, FINGER_NAMES
from .weights import FOREARM


class Direction(NamedTuple):
    """Growth per unit, as fractions: of the palm along x, y, z; of the fingers along and across; of the forearm."""

    palm: tuple[float, ...]
    length: tuple[float, ...]
    girth: tuple[float, ...]
    forearm: tuple[float, ...]
    limits: tuple[float, ...]


NONE = (0.0,) * 5
FLAT = (0.0,) * 3
# Adults' hand lengths vary by 6 % (men and women together). Small hands are broader and thicker relative to their
# length: at a three-year-old's 10.6 cm, seven units down, breadth is 0.48 of the length against an adult's 0.45.
LENGTH_SPREAD = 0.060
BREADTH_SPREAD = 0.055
DIRECTIONS = {
    "size": Direction(
        (BREADTH_SPREAD, LENGTH_SPREAD, BREADTH_SPREAD),
        (LENGTH_SPREAD,) * 5,
        (BREADTH_SPREAD,) * 5,
        (BREADTH_SPREAD, LENGTH_SPREAD, BREADTH_SPREAD),
        (-8.0, 4.0),
    ),
    "palm_length": Direction((0.0, 0.040, 0.0), NONE, NONE, FLAT, (-4.0, 4.0)),
    "palm_width": Direction((0.045, 0.0, 0.0), NONE, NONE, (0.030, 0.0, 0.0), (-4.0, 4.0)),
    "thickness": Direction((0.0, 0.0, 0.070), NONE, NONE, (0.0, 0.0, 0.060), (-3.0, 3.0)),
    "finger_girth": Direction(FLAT, NONE, (0.060,) * 5, FLAT, (-3.0, 3.0)),
    **{
        f"{name}_length": Direction(FLAT, tuple(0.045 * (k == finger) for k in range(5)), NONE, FLAT, (-4.0, 4.0))
        for finger, name in enumerate(FINGER_NAMES)
    },
}


def directions(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(10, V, 3) and (10, 21, 3) metres per unit, for the surface and the joints."""
    moved_vertices = np.zeros((len(DIRECTIONS), *vertices.shape))
    moved_joints = np.zeros((len(DIRECTIONS), *joints.shape))
    for row, direction in enumerate(DIRECTIONS.values()):
        moved_vertices[row] = weights[:, :1] * (vertices * direction.palm)
        moved_vertices[row] += weights[:, FOREARM:] * (vertices * direction.forearm)
        for finger, base in enumerate(FINGER_BASES):
            root = joints[base] * direction.palm
            along = unit(joints[base + 1] - joints[base])
            offset = vertices - joints[base]
            lengthwise = (offset @ along)[:, None] * along
            grown = root + direction.length[finger] * lengthwise + direction.girth[finger] * (offset - lengthwise)
            share = weights[:, 1 + 3 * finger : 4 + 3 * finger].sum(axis=1, keepdims=True)
            moved_vertices[row] += share * grown
            own = slice(base, base + 4)
            moved_joints[row, own] = root + direction.length[finger] * (joints[own] - joints[base])
    return moved_vertices, moved_joints


def limits() -> np.ndarray:
    """(10, 2) minimum and maximum coefficient of each direction."""
    return np.array([direction.limits for direction in DIRECTIONS.values()])
