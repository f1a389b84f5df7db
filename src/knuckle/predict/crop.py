"""The square crop around a hand, by the rule of a network's contract."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.image.cut import square
from knuckle.predict.contract import CropRule

# Side of the crop over the extent of the joints: room for the flesh around them and for an imprecise detection.
MARGIN = 1.3
UPRIGHT = CropRule(orientation="upright", margin=MARGIN)

_WRIST = 0
_KNUCKLES = (5, 9, 13)


class Square(NamedTuple):
    """A square in a picture: centre and side in pixels, and the angle (radians, from x towards y) that rotates
    directions of the picture to those of the crop.
    """

    centre: tuple[float, float]
    side: float
    angle: float

    @property
    def box(self) -> Float[np.ndarray, "4"]:
        """(x0, y0, x1, y1) in the picture, of the square before rotation."""
        (u, v), half = self.centre, self.side / 2
        return np.array([u - half, v - half, u + half, v + half])

    def affine(self, size: int, mirrored: bool = False) -> Float[np.ndarray, "2 3"]:
        """The affine map from pixels of the picture to those of a crop of `size`."""
        return square(self.centre, self.side, self.angle, size, mirrored)


def turn_upright(direction: Float[np.ndarray, "2"]) -> float:
    """The angle (radians) that rotates a direction in the picture to point up, (0, -1)."""
    return -math.pi / 2 - math.atan2(direction[1], direction[0])


def hand_direction(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "2"]:
    """From the wrist to the mean of three knuckles, relative to the extent of the joints.

    Short where the hand points at the camera; the shorter, the less certain is the direction.
    """
    extent = max(float(np.ptp(uv, axis=0).max()), 1e-6)
    return (uv[list(_KNUCKLES)].mean(0) - uv[_WRIST]) / extent


def square_of_joints(
    uv: Float[np.ndarray, "21 2"], direction: Float[np.ndarray, "2"] | None = None, rule: CropRule = UPRIGHT
) -> Square:
    """The square around joints.

    Args:
        uv: 21 joints in the picture.
        direction: that points up in an upright crop; the hand's own if None.
        rule: orientation and margin; its other entries are not used.
    """
    angle = 0.0
    if rule.orientation == "upright":
        angle = turn_upright(hand_direction(uv) if direction is None else direction)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    turned = uv @ turn.T
    low, high = turned.min(0), turned.max(0)
    centre = turn.T @ ((low + high) / 2)
    return Square((float(centre[0]), float(centre[1])), rule.margin * float((high - low).max()), angle)


def square_of_box(box: Float[np.ndarray, "4"], direction: Float[np.ndarray, "2"], rule: CropRule = UPRIGHT) -> Square:
    """The square around a detector's box (x0, y0, x1, y1), before any joint is known.

    An axis-aligned box around a tilted hand is larger than the hand: the side is reduced by the tilt, for a hand of
    typical proportions (3 to 4).
    """
    x0, y0, x1, y1 = box
    side = float(max(x1 - x0, y1 - y0)) * (rule.margin / MARGIN)
    angle, room = 0.0, 1.2
    if rule.orientation == "upright":
        angle = turn_upright(direction)
        room = 1.0 + 0.2 * (1.0 - abs(math.sin(2 * angle)))
    return Square((float(x0 + x1) / 2, float(y0 + y1) / 2), side * room, angle)


def direction_of_labels(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "2"]:
    """`hand_direction` of labelled joints; (0, -1), up in the picture, if the wrist or a knuckle is unlabelled."""
    return hand_direction(_filled(uv)) if np.isfinite(uv[[_WRIST, *_KNUCKLES]]).all() else np.array([0.0, -1.0])


def square_of_labels(
    uv: Float[np.ndarray, "21 2"], rule: CropRule, direction: Float[np.ndarray, "2"] | None = None
) -> Square | None:
    """The square around labelled joints, some of which may be missing (NaN); None where too few are labelled.

    Args:
        uv: 21 joints in the picture.
        rule: orientation and margin.
        direction: that points up in an upright crop; `direction_of_labels` if None.
    """
    known = np.asarray(np.isfinite(uv).all(axis=1))
    if known.sum() < 2 or not np.ptp(uv[known], axis=0).max() > 0:
        return None
    return square_of_joints(_filled(uv), direction_of_labels(uv) if direction is None else direction, rule)


def _filled(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "21 2"]:
    """Joints without a label are put where a labelled one is, which leaves the bounding box unchanged."""
    known = np.asarray(np.isfinite(uv).all(axis=1))
    return np.where(known[:, None], uv, uv[known][0])
