"""Where a hand network looks: the square around a hand that its contract asks for."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.image.cut import square
from knuckle.predict.contract import CropRule

# Sides of the crop to the extent of the joints in it: room for the flesh around them and for a wrong first guess.
MARGIN = 1.3
UPRIGHT = CropRule(orientation="upright", margin=MARGIN)

_WRIST = 0
_KNUCKLES = (5, 9, 13)


class Square(NamedTuple):
    """A square in a picture: centre and side in its pixels; `angle` turns picture directions into the crop's, such as
    a hand's direction to point up; radians, x towards y.
    """

    centre: tuple[float, float]
    side: float
    angle: float

    @property
    def box(self) -> Float[np.ndarray, "4"]:
        """x0, y0, x1, y1 in the picture before it is turned."""
        (u, v), half = self.centre, self.side / 2
        return np.array([u - half, v - half, u + half, v + half])

    def affine(self, size: int, mirrored: bool = False) -> Float[np.ndarray, "2 3"]:
        """Picture pixels to pixels of a crop of `size`."""
        return square(self.centre, self.side, self.angle, size, mirrored)


def turn_upright(direction: Float[np.ndarray, "2"]) -> float:
    """The angle (radians) that turns a direction in the picture to point up, (0, -1)."""
    return -math.pi / 2 - math.atan2(direction[1], direction[0])


def hand_direction(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "2"]:
    """From the wrist to the middle of three knuckles, in sides of the joints' extent.

    Short where the hand points at the camera, and then as unsure as its length says.
    """
    extent = max(float(np.ptp(uv, axis=0).max()), 1e-6)
    return (uv[list(_KNUCKLES)].mean(0) - uv[_WRIST]) / extent


def square_of_joints(
    uv: Float[np.ndarray, "21 2"], direction: Float[np.ndarray, "2"] | None = None, rule: CropRule = UPRIGHT
) -> Square:
    """The square that shows these joints.

    Args:
        uv: 21 joints in the picture.
        direction: which way is up in an upright crop; the hand's own direction if None.
        rule: orientation and margin of the square; size and side are for whoever cuts it.
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
    """The same from a detector's box (x0, y0, x1, y1) and direction, before any joint is known.

    An upright box around a tilted hand is larger than the hand; the side is shrunk for the tilt by what a hand of
    typical proportions (3 to 4) would need.
    """
    x0, y0, x1, y1 = box
    side = float(max(x1 - x0, y1 - y0)) * (rule.margin / MARGIN)
    angle, room = 0.0, 1.2
    if rule.orientation == "upright":
        angle = turn_upright(direction)
        room = 1.0 + 0.2 * (1.0 - abs(math.sin(2 * angle)))
    return Square((float(x0 + x1) / 2, float(y0 + y1) / 2), side * room, angle)


def direction_of_labels(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "2"]:
    """`hand_direction` of true joints; (0, -1), the picture's own, where the wrist or a knuckle has no label (NaN)."""
    return hand_direction(_filled(uv)) if np.isfinite(uv[[_WRIST, *_KNUCKLES]]).all() else np.array([0.0, -1.0])


def square_of_labels(
    uv: Float[np.ndarray, "21 2"], rule: CropRule, direction: Float[np.ndarray, "2"] | None = None
) -> Square | None:
    """The square of true joints, of which some may have no label (NaN); None where too few have one.

    Args:
        uv: 21 joints in the picture.
        rule: orientation and margin.
        direction: which way is up in an upright crop; `direction_of_labels` if None.
    """
    known = np.asarray(np.isfinite(uv).all(axis=1))
    if known.sum() < 2 or not np.ptp(uv[known], axis=0).max() > 0:
        return None
    return square_of_joints(_filled(uv), direction_of_labels(uv) if direction is None else direction, rule)


def _filled(uv: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "21 2"]:
    """A joint without a label takes up no room where another one is."""
    known = np.asarray(np.isfinite(uv).all(axis=1))
    return np.where(known[:, None], uv, uv[known][0])
