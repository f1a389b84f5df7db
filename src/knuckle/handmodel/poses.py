"""Named poses of the hand as 23 angles: gestures, numbers, the static letters of a manual alphabet, grasps.

The bank is poses.json beside this file, in whole degrees, made by tools/tune_poses.py: approximate drafts, fitted so
that contacts hold and no fingertip penetrates the hand by more than 2 mm, then inspected in four views. The alphabet
and the digits are the American ones, letters without the moving J and Z and without the rotation of the hand that
distinguishes P from K and Q from G. The six grasps of daily life are Schlesinger's (1919), the other grasps a
selection from Feix et al., The GRASP Taxonomy of Human Grasp Types, 2016.
"""

import difflib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class NamedPose(NamedTuple):
    """An entry of the bank: description, and the 23 angles in the order of ANGLE_NAMES, degrees."""

    about: str
    degrees: tuple[int, ...]


@cache
def pose_bank() -> Mapping[str, NamedPose]:
    """All named poses, in the order of the file; cached."""
    text = (resources.files("knuckle.handmodel") / "poses.json").read_text(encoding="utf-8")
    entries = json.loads(text)
    return MappingProxyType({name: NamedPose(pose["about"], tuple(pose["degrees"])) for name, pose in entries.items()})


def pose_names() -> tuple[str, ...]:
    """The names of all poses that named_pose accepts."""
    return tuple(pose_bank())


def named_pose(name: str) -> Float[np.ndarray, "23"]:
    """The 23 angles of a named pose.

    Args:
        name: one of pose_names().

    Returns:
        (23,) radians in the order of ANGLE_NAMES, NumPy float64.

    Raises:
        ValueError: there is no such pose; the message names the closest.
    """
    bank = pose_bank()
    if name not in bank:
        close = difflib.get_close_matches(name, bank, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "`knuckle pose --list` prints them all"
        raise ValueError(f"name must be one of the {len(bank)} named poses but got {name!r}; {hint}")
    return np.radians(np.array(bank[name].degrees, dtype=np.float64))
