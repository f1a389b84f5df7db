"""Whether joints could be a human hand's: bones, angles and palm against what a human hand can do.

The limits are not another data set's: they are measured on hands of the free model, drawn over its whole shape space
and over its anatomical angles, the extremes included. Everything is measured as Spurr et al. (ECCV 2020) do, and so
does not depend on where a hand is or, but for its proportions, how large.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths, finger_angles, palm_angles, palm_curvature
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import MIDDLE_MCP

# Real labels scatter by some millimetres around a hand that the model can make: what is within these is human.
_LENGTH_MARGIN = 0.15
_ANGLE_MARGIN = np.radians(10.0)
_CURVATURE_MARGIN = 0.5
# A convex region of (flexion, abduction) is kept as how far it reaches in these directions: 64 lines around it, where
# its own corners would be a thousand.
_TURNS = np.linspace(0.0, 2 * np.pi, 64, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)


@dataclass(frozen=True)
class HumanLimits:
    """What human hands do. Lengths are in units of the wrist to middle MCP distance, angles in radians.

    lengths: (20, 2) of the bones, as in skeleton.BONES. reach: (15, 64) how far the convex region of each finger
    joint's (flexion, abduction) goes in 64 directions around. curvature: (4, 2) of the palm, times the unit length.
    spread:
    (4, 2) of the angles between root bones.
    """

    lengths: Float[np.ndarray, "20 2"]
    reach: Float[np.ndarray, "15 64"]
    curvature: Float[np.ndarray, "4 2"]
    spread: Float[np.ndarray, "4 2"]


def human_limits(model: HandModel, generator: np.random.Generator, samples: int = 4096) -> HumanLimits:
    """Limits measured on drawn hands.

    Args:
        model: the free hand, NumPy.
        generator: where the draws come from.
        samples: how many hands.

    Returns:
        HumanLimits, with a margin for labels that are not quite exact.
    """
    low, high = angle_limits().T
    angles = generator.uniform(low, high, (samples, len(low)))
    # Half of all angles stand at an end: uniform draws alone would seldom meet two ends at once.
    end = generator.random(angles.shape)
    angles = np.where(end < 0.25, low, np.where(end < 0.5, high, angles))
    shape_low, shape_high = np.asarray(model.shape_limits).T
    shapes = generator.uniform(shape_low, shape_high, (samples, len(shape_low)))
    joints = np.asarray(model.joints(angles, shape=shapes))
    lengths, pairs, curvature, spread = _measure(joints, np.zeros(samples, bool))
    return HumanLimits(
        lengths=_range(lengths) * np.array([1 - _LENGTH_MARGIN, 1 + _LENGTH_MARGIN]),
        reach=(pairs @ _DIRECTIONS.T).max(0) + _ANGLE_MARGIN,
        curvature=_range(curvature) + np.array([-_CURVATURE_MARGIN, _CURVATURE_MARGIN]),
        spread=_range(spread) + np.array([-_ANGLE_MARGIN, _ANGLE_MARGIN]),
    )


def plausibility(
    joints: Float[np.ndarray, "n 21 3"], left: Bool[np.ndarray, " n"], limits: HumanLimits
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """How much of each hand is outside human limits, and by how much.

    Args:
        joints: (N, 21, 3), any unit and frame, finite.
        left: (N,) which are left hands.
        limits: from human_limits.

    Returns:
        (N,) arrays: "bones", "angles", "palm", the shares of 20 bones, 15 finger joints and 8 palm quantities that are
        outside; "bones_excess" the mean over all bones of how far outside (in hand lengths), "angles_excess" the same
        for joints (radians), "palm_excess" for the palm's spread angles (radians).
    """
    lengths, pairs, curvature, spread = _measure(joints, left)
    bones = _outside(lengths, limits.lengths)
    bends = np.maximum((pairs @ _DIRECTIONS.T - limits.reach).max(-1), 0.0)
    arch, fan = _outside(curvature, limits.curvature), _outside(spread, limits.spread)
    return {
        "bones": (bones > 0).mean(1),
        "angles": (bends > 0).mean(1),
        "palm": (np.concatenate([arch, fan], axis=1) > 0).mean(1),
        "bones_excess": bones.mean(1),
        "angles_excess": bends.mean(1),
        "palm_excess": fan.mean(1),
    }


def _measure(joints: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lengths (N, 20), angle pairs (N, 15, 2), palm curvature (N, 4) and spread (N, 4), in units of the hand."""
    size = np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, 0], axis=-1)
    unit = joints / np.where(size > 0, size, 1.0)[:, None, None]
    # Joints that coincide have no curvature; how much they are outside is then said by their bones.
    with np.errstate(invalid="ignore", divide="ignore"):
        curvature = np.nan_to_num(np.asarray(palm_curvature(unit, left)))
    return (
        np.asarray(bone_lengths(unit)),
        np.asarray(finger_angles(unit, left)),
        curvature,
        np.asarray(palm_angles(unit)),
    )


def _range(values: np.ndarray) -> np.ndarray:
    return np.stack([values.min(0), values.max(0)], axis=1)


def _outside(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """How far values (N, K) are outside limits (K, 2); zero within."""
    return np.maximum(limits[:, 0] - values, 0.0) + np.maximum(values - limits[:, 1], 0.0)
