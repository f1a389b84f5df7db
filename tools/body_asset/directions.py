"""Linear directions in which bodies, heads and faces vary, as sums of the source's targets.

Each is about the average adult. `sex` runs from -1 (female) to 1 (male); the others from 0 to 1, or from -1 to 1 where
a target of the opposite exists, which is then the negative of the same direction.
"""

import zipfile
from collections.abc import Sequence

import numpy as np

from hand_asset.source import ANCESTRIES, SEXES, read_target

Sum = Sequence[tuple[str, float]]


def _macro(
    sexes: Sequence[str], ancestries: Sequence[str], age: str, build: str = "averagemuscle-averageweight"
) -> Sum:
    """The source's average over sexes and ancestries at an age and build."""
    share = 1 / len(sexes)
    universal = [(f"macrodetails/universal-{sex}-{age}-{build}", share) for sex in sexes]
    origin = [(f"macrodetails/{a}-{sex}-{age}", share / len(ancestries)) for a in ancestries for sex in sexes]
    return [*universal, *origin]


def _minus(first: Sum, second: Sum, factor: float = 1.0) -> Sum:
    return [(name, factor * w) for name, w in first] + [(name, -factor * w) for name, w in second]


def _both(folder: str, name: str) -> Sum:
    """The same target on the left and on the right."""
    return [(f"{folder}/l-{name}", 1.0), (f"{folder}/r-{name}", 1.0)]


_AVERAGE = _macro(SEXES, ANCESTRIES, "young")


def _of_build(build: str) -> Sum:
    return _minus(_macro(SEXES, ANCESTRIES, "young", build), _AVERAGE)


def _of_height(end: str) -> Sum:
    return [(f"macrodetails/height/{sex}-young-averagemuscle-averageweight-{end}height", 0.5) for sex in SEXES]


DIRECTIONS: dict[str, Sum] = {
    "sex": _minus(_macro(("male",), ANCESTRIES, "young"), _macro(("female",), ANCESTRIES, "young"), 0.5),
    "child": _minus(_macro(SEXES, ANCESTRIES, "child"), _AVERAGE),
    "old": _minus(_macro(SEXES, ANCESTRIES, "old"), _AVERAGE),
    "heavy": _of_build("averagemuscle-maxweight"),
    "thin": _of_build("averagemuscle-minweight"),
    "muscular": _of_build("maxmuscle-averageweight"),
    "tall": _of_height("max"),
    "short": _of_height("min"),
    "african": _minus(_macro(SEXES, ("african",), "young"), _AVERAGE),
    "asian": _minus(_macro(SEXES, ("asian",), "young"), _AVERAGE),
    "caucasian": _minus(_macro(SEXES, ("caucasian",), "young"), _AVERAGE),
    "head_round": [("head/head-round", 1.0)],
    "head_oval": [("head/head-oval", 1.0)],
    "head_square": [("head/head-square", 1.0)],
    "head_wide": [("head/head-scale-horiz-incr", 1.0)],
    "head_high": [("head/head-scale-vert-incr", 1.0)],
    "head_fat": [("head/head-fat-incr", 1.0)],
    "head_aged": [("head/head-age-incr", 1.0)],
    "neck_thick": [("neck/neck-scale-horiz-incr", 1.0), ("neck/neck-scale-depth-incr", 1.0)],
    "double_chin": [("neck/neck-double-incr", 1.0)],
    "chin_wide": [("chin/chin-width-incr", 1.0)],
    "chin_high": [("chin/chin-height-incr", 1.0)],
    "chin_prominent": [("chin/chin-prominent-incr", 1.0)],
    "cheek_bones": _both("cheek", "cheek-bones-incr"),
    "cheek_volume": _both("cheek", "cheek-volume-incr"),
    "forehead_back": [("forehead/forehead-trans-backward", 1.0)],
    "brows_down": [("eyebrows/eyebrows-trans-down", 1.0)],
    "eyes_large": _both("eyes", "eye-scale-incr"),
    "eyes_apart": _both("eyes", "eye-trans-out"),
    "ears_large": _both("ears", "ear-scale-incr"),
    "ears_out": _both("ears", "ear-wing-incr"),
    "nose_wide": [("nose/nose-scale-horiz-incr", 1.0)],
    "nose_long": [("nose/nose-scale-vert-incr", 1.0)],
    "nose_deep": [("nose/nose-scale-depth-incr", 1.0)],
    "nose_hump": [("nose/nose-hump-incr", 1.0)],
    "mouth_wide": [("mouth/mouth-scale-horiz-incr", 1.0)],
    "lips_full": [("mouth/mouth-upperlip-volume-incr", 1.0), ("mouth/mouth-lowerlip-volume-incr", 1.0)],
    "belly": [("stomach/stomach-pregnant-incr", 1.0)],
    # Expressions.
    "mouth_open": [("expression/units/caucasian/mouth-open", 1.0)],
    "smile": [("expression/units/caucasian/mouth-corner-puller", 1.0)],
    "frown": [("expression/units/caucasian/mouth-depression", 1.0)],
    "eyes_closed": [(f"expression/units/caucasian/eye-{side}-closure", 1.0) for side in ("left", "right")],
    "brows_up": [(f"expression/units/caucasian/eyebrows-{side}-up", 1.0) for side in ("left", "right")],
}


def displacements(wheel: zipfile.ZipFile, count: int) -> np.ndarray:
    """(D, count, 3) of DIRECTIONS at the source's vertices, decimetres."""
    total = np.zeros((len(DIRECTIONS), count, 3))
    cache: dict[str, np.ndarray] = {}
    for row, parts in zip(total, DIRECTIONS.values(), strict=True):
        for name, factor in parts:
            if name not in cache:
                cache[name] = read_target(wheel, name, count)
            row += factor * cache[name]
    return total
