"""What two hands do together: their poses, how the left one lies to the right one, and where they touch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Directions = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """One way in which hands meet; in the right hand's frame (x to the thumb, y to the fingers, z out of the palm).

    Attributes:
        right, left: names of poses, one of which is chosen.
        lie: from a generator the directions of the left hand's fingers and palm.
        touches: (right, left) landmarks that touch.
        gap: largest distance, metres, at which they may stay apart, as before a clap.
        first: poses (right, left) from which the fingers are closed, for hands that must interlock while open.
        count: variants in the bank.
    """

    right: tuple[str, ...]
    left: tuple[str, ...]
    lie: Callable[[np.random.Generator], Directions]
    touches: tuple[tuple[str, str], ...]
    gap: float = 0.0
    first: tuple[str, str] | None = None
    count: int = 8


def _degrees(function):
    return lambda angle: function(np.radians(angle))


_cos, _sin = _degrees(np.cos), _degrees(np.sin)


def facing(low: float, high: float, lean: tuple[float, float] = (0, 0)):
    """Palm on palm; the left fingers turned by low to high degrees about the palms' normal, and the hands leaning over
    each other's fingers by `lean` degrees."""

    def lie(rng: np.random.Generator) -> Directions:
        turn, a = rng.uniform(low, high) * rng.choice([-1, 1]), rng.uniform(*lean)
        fingers = np.array([0.0, _cos(a), -_sin(a)])
        palm = np.array([0.0, -_sin(a), -_cos(a)])
        about = np.array([[_cos(turn), _sin(turn), 0], [-_sin(turn), _cos(turn), 0], [0, 0, 1]])
        return about @ fingers, about @ palm

    return lie


def over(low: float, high: float, palm: float = 1.0, tilt: float = 0.0):
    """Both palms in one direction (palm 1) or in opposite ones (-1), the left fingers turned by low to high degrees
    from the right ones away from the thumb; tilt: degrees about the fingers."""

    def lie(rng: np.random.Generator) -> Directions:
        turn, t = rng.uniform(low, high), tilt * rng.uniform(0.75, 1.25)
        fingers = np.array([-_sin(turn), _cos(turn), 0.0])
        across = np.array([_cos(turn), _sin(turn), 0.0])
        return fingers, palm * (_cos(t) * np.array([0.0, 0.0, 1.0]) + _sin(t) * across)

    return lie


def against(low: float, high: float):
    """The right fingers point into the left palm, whose fingers are turned by low to high degrees from the side away
    from the right thumb to the back of the right hand."""

    def lie(rng: np.random.Generator) -> Directions:
        turn = rng.uniform(low, high)
        return np.array([-_cos(turn), 0.0, -_sin(turn)]), np.array([0.0, -1.0, 0.0])

    return lie


_PADS = tuple((f"{finger}_pad", f"{finger}_pad") for finger in ("thumb", "index", "middle", "ring", "little"))
_POINTED = ("point", "count_one", "letter_d")

RECIPES: dict[str, Recipe] = {
    "palms together": Recipe(
        ("flat_together", "flat"), ("flat_together", "flat"), facing(0, 8),
        (("palm", "palm"), ("middle_pad", "middle_pad"), ("index_root", "index_root")),
    ),
    "applause": Recipe(
        ("flat", "flat_together", "relaxed"), ("flat", "spread", "relaxed"), facing(10, 60),
        (("palm", "palm"),), gap=0.03, count=12,
    ),
    "clasped": Recipe(
        ("cup", "grasp_large_diameter"), ("cup", "grasp_large_diameter"), facing(60, 95),
        (("high_palm", "high_palm"),),
        first=("flat", "flat"), count=11,
    ),
    "interlaced": Recipe(
        ("half_closed", "tabletop", "cup"), ("half_closed", "tabletop", "cup"), facing(0, 6, (60, 100)),
        (("index_ulnar", "index_radial"), ("middle_radial", "index_ulnar"), ("middle_ulnar", "middle_radial"),
         ("ring_radial", "middle_ulnar"), ("ring_ulnar", "ring_radial"), ("little_radial", "ring_ulnar"),
         ("little_ulnar", "little_radial")),
        first=("spread", "spread"), count=14,
    ),
    "steepled": Recipe(
        ("spread", "relaxed", "cup"), ("spread", "relaxed", "cup"), facing(0, 5, (5, 45)), _PADS, count=11,
    ),
    "fingertips together": Recipe(
        ("claw", "half_closed", "grasp_spherical"), ("claw", "half_closed", "grasp_spherical"), facing(0, 5, (30, 80)),
        tuple((a.replace("pad", "tip"), b.replace("pad", "tip")) for a, b in _PADS[1:]),
    ),
    "heart": Recipe(
        ("cup", "half_closed"), ("cup", "half_closed"), facing(0, 4, (70, 100)),
        (("thumb_tip", "thumb_tip"), ("index_tip", "index_tip"), ("index_middle_back", "index_middle_back")), count=6,
    ),
    "one on the other": Recipe(
        ("flat", "relaxed", "rest_on_table", "flat_together"), ("flat_together", "relaxed", "cup"), over(15, 95),
        (("knuckles", "palm"),), count=13,
    ),
    "cupped together": Recipe(
        ("cup", "relaxed"), ("cup", "relaxed"), over(-12, 12, tilt=35),
        (("little_edge", "little_edge"), ("little_side", "little_side")),
    ),
    "side by side": Recipe(
        ("rest_on_table", "relaxed", "flat", "grasp_mouse"), ("rest_on_table", "relaxed", "flat"), over(-25, 40),
        (("index_edge", "index_edge"),), gap=0.03,
    ),
    "finger to palm": Recipe(
        (*_POINTED, "peace"), ("flat", "relaxed", "spread"), against(-30, 110), (("index_tip", "palm"),), count=12,
    ),
    "fingers to palm": Recipe(
        ("flat_together", "bunch", "flat"), ("flat_together", "relaxed"), against(-20, 110), (("middle_tip", "palm"),),
    ),
    "fist in palm": Recipe(
        ("fist", "loose_fist", "letter_s"), ("cup", "relaxed", "grasp_spherical"), against(0, 110),
        (("middle_root_back", "palm"), ("ring_root_back", "palm")), count=11,
    ),
    "fist on palm": Recipe(
        ("fist", "thumbs_up", "letter_a"), ("flat_together", "flat"), over(-30, 60, tilt=90),
        (("little_edge", "palm"),),
    ),
    "fist on fist": Recipe(
        ("fist", "letter_s", "grasp_small_diameter"), ("fist", "letter_s", "grasp_small_diameter"), facing(0, 25),
        (("little_side", "index_side"), ("little_edge", "index_edge")),
    ),
    "around the fist": Recipe(
        ("fist", "loose_fist", "thumbs_up"), ("cup", "grasp_large_diameter"), over(20, 95),
        (("middle_root_back", "palm"),), first=("fist", "flat"),
    ),
    "holding the wrist": Recipe(
        ("grasp_large_diameter", "grasp_cylindrical", "cup"), ("relaxed", "flat", "fist"), over(65, 120),
        (("high_palm", "wrist_back"),), first=("grasp_large_diameter", "relaxed"), count=11,
    ),
    "holding the pulse": Recipe(
        ("grasp_large_diameter", "cup", "relaxed"), ("relaxed", "flat", "fist"), over(65, 120, palm=-1.0),
        (("high_palm", "wrist"),), count=7,
    ),
    "hand on forearm": Recipe(
        ("relaxed", "cup", "flat"), ("relaxed", "loose_fist", "flat"), over(50, 120),
        (("high_palm", "forearm_back"),), count=7,
    ),
    "crossed wrists": Recipe(
        ("relaxed", "flat", "fist", "spread"), ("relaxed", "flat", "fist", "spread"), over(50, 110),
        (("wrist", "wrist_back"),),
    ),
    "holding the fingers": Recipe(
        ("cup", "grasp_lateral", "half_closed"), ("flat_together", "relaxed"), over(60, 120),
        (("index_root", "middle_root_back"),), first=("flat", "flat_together"), count=7,
    ),
    "holding a finger": Recipe(
        ("grasp_small_diameter", "grasp_lateral", "fist"), (*_POINTED, "relaxed"), over(60, 120),
        (("index_root", "index_root_back"), ("index_middle", "index_root")), first=("half_closed", "point"), count=7,
    ),
    "finger to finger": Recipe(
        (*_POINTED, "pinch_open"), (*_POINTED, "relaxed"), over(140, 200), (("index_tip", "index_tip"),),
    ),
    "finger to thumb": Recipe(
        _POINTED, ("spread", "flat"), against(0, 110), (("index_tip", "thumb_tip"),), count=6,
    ),
    "finger to middle finger": Recipe(
        _POINTED, ("spread", "count_three"), against(0, 110), (("index_tip", "middle_tip"),), count=6,
    ),
    "finger to little finger": Recipe(
        _POINTED, ("spread", "letter_i"), against(0, 110), (("index_tip", "little_tip"),), count=6,
    ),
    "crossed fingers": Recipe(
        _POINTED, _POINTED, over(50, 110), (("index_middle_back", "index_middle"),), count=7,
    ),
    "two on two": Recipe(
        ("letter_h", "letter_u", "peace"), ("letter_h", "letter_u", "peace"), over(50, 110),
        (("index_middle", "index_middle_back"), ("middle_middle", "middle_middle_back")), count=6,
    ),
    "picking at a nail": Recipe(
        ("pinch_index", "grasp_tip", "pinch_open"), ("relaxed", "half_closed", "pinch_open"), over(120, 200),
        (("thumb_pad", "index_middle_back"), ("index_pad", "index_pad")), count=7,
    ),
}  # fmt: skip
