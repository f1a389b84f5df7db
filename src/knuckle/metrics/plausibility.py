"""Anatomical plausibility of joints: bones, angles and palm against the limits of human hands.

The limits are measured on hands sampled from the free model, over its whole shape space and its anatomical angles,
including the extremes. The quantities are those of Spurr et al. (ECCV 2020), which depend neither on the hand's
position and rotation nor on its overall size.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths, finger_angles, palm_angles, palm_curvature
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import MIDDLE_MCP

# Real labels deviate by some millimetres from any hand of the model: the limits are widened by these margins.
_LENGTH_MARGIN = 0.15
_ANGLE_MARGIN = np.radians(10.0)
_CURVATURE_MARGIN = 0.5
# A convex region of (flexion, abduction) is stored as its support function in 64 directions; its hull would have a
# thousand corners.
_BEARINGS = np.linspace(0.0, 2 * np.pi, 64, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_BEARINGS), np.sin(_BEARINGS)], axis=1)


@dataclass(frozen=True)
class HumanLimits:
    """Limits of human hands. Lengths are in units of the wrist to middle MCP distance, angles in radians.

    lengths: (20, 2) of the bones, as in skeleton.BONES. support: (15, 64) support function of the convex region of each
    finger joint's (flexion, abduction), in 64 directions. curvature: (4, 2) of the palm, times the unit length.
    spread: (4, 2) of the angles between root bones.
    """

    lengths: Float[np.ndarray, "20 2"]
    support: Float[np.ndarray, "15 64"]
    curvature: Float[np.ndarray, "4 2"]
    spread: Float[np.ndarray, "4 2"]


def human_limits(model: HandModel, generator: np.random.Generator, samples: int = 4096) -> HumanLimits:
    """Limits measured on sampled hands.

    Args:
        model: the free hand, NumPy.
        generator: source of randomness.
        samples: number of hands.

    Returns:
        HumanLimits, with a margin for labels that are not quite exact.
    """
    low, high = angle_limits().T
    angles = generator.uniform(low, high, (samples, len(low)))
    # Half of all angles are at a limit: uniform sampling would rarely put two at their limits at once.
    choice = generator.random(angles.shape)
    angles = np.where(choice < 0.25, low, np.where(choice < 0.5, high, angles))
    shape_low, shape_high = np.asarray(model.shape_limits).T
    shapes = generator.uniform(shape_low, shape_high, (samples, len(shape_low)))
    joints = np.asarray(model.joints(angles, shape=shapes))
    lengths, pairs, curvature, spread = _measure(joints, np.zeros(samples, bool))
    return HumanLimits(
        lengths=_range(lengths) * np.array([1 - _LENGTH_MARGIN, 1 + _LENGTH_MARGIN]),
        support=(pairs @ _DIRECTIONS.T).max(0) + _ANGLE_MARGIN,
        curvature=_range(curvature) + np.array([-_CURVATURE_MARGIN, _CURVATURE_MARGIN]),
        spread=_range(spread) + np.array([-_ANGLE_MARGIN, _ANGLE_MARGIN]),
    )


def plausibility(
    joints: Float[np.ndarray, "n 21 3"], left: Bool[np.ndarray, " n"], limits: HumanLimits
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """The fraction of each hand that is outside human limits, and by how much.

    Args:
        joints: (N, 21, 3), any unit and frame, finite.
        left: (N,) which are left hands.
        limits: from human_limits.

    Returns:
        (N,) arrays: "bones", "angles", "palm", the fractions of 20 bones, 15 finger joints and 8 palm quantities
        outside the limits; "bones_excess" the mean excess over all bones (in hand lengths), "angles_excess" the same
        for joints (radians), "palm_excess" for the palm's spread angles (radians).
    """
    lengths, pairs, curvature, spread = _measure(joints, left)
    bones = _outside(lengths, limits.lengths)
    angles = np.maximum((pairs @ _DIRECTIONS.T - limits.support).max(-1), 0.0)
    arch, fan = _outside(curvature, limits.curvature), _outside(spread, limits.spread)
    return {
        "bones": (bones > 0).mean(1),
        "angles": (angles > 0).mean(1),
        "palm": (np.concatenate([arch, fan], axis=1) > 0).mean(1),
        "bones_excess": bones.mean(1),
        "angles_excess": angles.mean(1),
        "palm_excess": fan.mean(1),
    }


def _measure(joints: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lengths (N, 20), angle pairs (N, 15, 2), palm curvature (N, 4) and spread (N, 4), in units of the hand."""
    size = np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, 0], axis=-1)
    unit = joints / np.where(size > 0, size, 1.0)[:, None, None]
    # Joints that coincide have no curvature; their bones are outside the limits anyway.
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
    """Excess of values (N, K) over limits (K, 2); zero within."""
    return np.maximum(limits[:, 0] - values, 0.0) + np.maximum(values - limits[:, 1], 0.0)
