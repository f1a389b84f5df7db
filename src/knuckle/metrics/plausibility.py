"""Anatomical plausibility of joints: bones, angles and palm against the limits of human hands.

The quantities are those of Spurr et al. (ECCV 2020), which depend neither on the hand's position and rotation nor on
its overall size; the limits are the ones that losses and `knuckle check` use.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from knuckle.handmodel.ranges import HandLimits, excess


def plausibility(
    joints: Float[np.ndarray, "n 21 3"], left: Bool[np.ndarray, " n"], limits: HandLimits
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """The fraction of each hand that is outside human limits, and by how much.

    Args:
        joints: (N, 21, 3), any unit and frame, finite.
        left: (N,) which are left hands.
        limits: of hands; `human_limits().widened(**MEASURED_MARGINS)` for joints that are not quite exact.

    Returns:
        (N,) arrays: "bones", "angles", "palm", the fractions of 20 bones, 15 finger joints and 8 palm quantities
        outside the limits; "bones_excess" the mean excess over all bones (in lengths of the limits' bone),
        "angles_excess" the same for joints (radians), "palm_excess" for the palm's spread angles (radians).
    """
    over = excess(joints, limits, left)
    return {
        "bones": (over.lengths > 0).mean(1),
        "angles": (over.angles > 0).mean(1),
        "palm": (np.concatenate([over.curvature, over.spread], axis=1) > 0).mean(1),
        "bones_excess": over.lengths.mean(1),
        "angles_excess": over.angles.mean(1),
        "palm_excess": over.spread.mean(1),
    }
