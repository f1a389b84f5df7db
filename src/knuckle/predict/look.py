"""One look of the hand network at a place in a picture, and what follows from it: where to look next, and means."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from knuckle.image.cut import apply_affine, invert_affine
from knuckle.predict.crop import Square, square_of_joints
from knuckle.predict.network import HandGraph

# How much smaller or larger a crop may be than the one before it.
_SMALLEST_STEP, _LARGEST_STEP = 0.85, 1.4
# Crops that differ by less than this show a hand as well as each other: shift in sides, zoom, turn in radians.
_SAME_CROP = (0.06, 0.1, 0.15)


@dataclass(frozen=True)
class Look:
    """What was seen in one crop, in pixels of the picture.

    Attributes:
        square: the crop.
        uv: (21, 2) joints.
        depth: (21,) as `knuckle.predict.place` counts it.
        doubt: (21,) mean absolute error to expect in each coordinate.
        vagueness: mean doubt in extents of the hand.
        odds: logarithmic, of a left hand.
        presence: chance of a hand.
    """

    square: Square
    uv: Float[np.ndarray, "21 2"]
    depth: Float[np.ndarray, "21"]
    doubt: Float[np.ndarray, "21"]
    vagueness: float
    odds: float
    presence: float


def look_at(graph: HandGraph, picture: np.ndarray, places: list[tuple[Square, bool]]) -> list[Look]:
    """One look at each place; True looks at its mirror image."""
    affines = [square.affine(graph.size, mirrored) for square, mirrored in places]
    looks = []
    for (square, mirrored), affine, reading in zip(places, affines, graph(picture, affines), strict=True):
        scale = square.side / graph.size
        uv = apply_affine(invert_affine(affine), reading.joints[:, :2])
        extent = max(float(np.ptp(reading.joints[:, :2], axis=0).max()), 1e-6)
        odds = _log_odds(reading.left)
        looks.append(
            Look(
                square,
                uv,
                scale * reading.joints[:, 2],
                scale * reading.doubt,
                float(reading.doubt.mean()) / extent,
                -odds if mirrored else odds,
                reading.presence,
            )
        )
    return looks


def look_again(graph: HandGraph, picture: np.ndarray, looked: list[Look]) -> list[Look]:
    """Through the crops that the joints suggest: a detector's box may have cut fingers off."""
    again = look_at(graph, picture, [(_suggested(look), False) for look in looked])
    return [replace(new, odds=new.odds + old.odds) for new, old in zip(again, looked, strict=True)]


def look_around(graph: HandGraph, picture: np.ndarray, looked: list[Look]) -> list[Look]:
    """Through the crop that the joints suggest, as it is and mirrored, and the mean of what is seen in both.

    A crop that was as good as the one now suggested is not looked at again, only mirrored.
    """
    suggested = [_suggested(look) for look in looked]
    kept = [_nearly_same(look.square, square) for look, square in zip(looked, suggested, strict=True)]
    wanted: list[tuple[Square, bool]] = []
    for look, square, keep in zip(looked, suggested, kept, strict=True):
        wanted += [(look.square, True)] if keep else [(square, False), (square, True)]
    seen = iter(look_at(graph, picture, wanted))
    return [
        _mean_look([look, next(seen)], 0.0) if keep else _mean_look([next(seen), next(seen)], look.odds)
        for look, keep in zip(looked, kept, strict=True)
    ]


def _mean_look(looks: list[Look], earlier_odds: float) -> Look:
    return Look(
        looks[0].square,
        *(np.mean([getattr(look, name) for look in looks], axis=0) for name in ("uv", "depth", "doubt")),
        vagueness=float(np.mean([look.vagueness for look in looks])),
        odds=earlier_odds + sum(look.odds for look in looks),
        presence=float(np.mean([look.presence for look in looks])),
    )


def _suggested(look: Look) -> Square:
    """The crop that the joints of a look suggest, in steps: a network that is lost would otherwise run away, into a
    fingertip or out of the picture.
    """
    square = square_of_joints(look.uv)
    side = float(np.clip(square.side, _SMALLEST_STEP * look.square.side, _LARGEST_STEP * look.square.side))
    return square._replace(side=side)


def _nearly_same(one: Square, other: Square) -> bool:
    shift, zoom, turn = _SAME_CROP
    apart = math.hypot(one.centre[0] - other.centre[0], one.centre[1] - other.centre[1])
    turned = abs((one.angle - other.angle + math.pi) % (2 * math.pi) - math.pi)
    return apart < shift * one.side and abs(math.log(one.side / other.side)) < zoom and turned < turn


def _log_odds(chance: float) -> float:
    chance = min(max(chance, 1e-4), 1.0 - 1e-4)
    return math.log(chance / (1.0 - chance))
