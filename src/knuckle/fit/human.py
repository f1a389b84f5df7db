"""Fits that are possible hands: within the limits measured from joints too, not only within those of each angle."""

from dataclasses import fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from knuckle.fit.constants import FitConstants
from knuckle.fit.hand import Fit, fit_hand
from knuckle.handmodel.model import HandModel
from knuckle.handmodel.placement import Side
from knuckle.handmodel.ranges import HandLimits, excess, human_limits

# How much stronger both priors become in each further attempt. At the last the priors alone decide: the flat hand of
# the average adult, which is possible.
_STRONGER = (3.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e6)


def fit_human_hand(
    model: HandModel | FitConstants,
    joints: Float[np.ndarray, "*batch 21 3"],
    *,
    side: Side = "right",
    shape: Literal["free", "shared"] = "free",
    hand_limits: HandLimits | None = None,
    shape_regularisation: float = 0.03,
    angle_regularisation: float = 0.1,
    **options: Any,
) -> Fit:
    """Fit hands to joints; those that come out impossible are fitted again with stronger priors until they are not.

    Noise of some millimetres is explained best by twisted thumbs and odd proportions, each angle within its limits.
    Hands within the limits at once, as those of clean recordings, are exactly those of `fit_hand`.

    Args:
        model: see fit_hand.
        joints: (..., 21, 3) metres.
        side: "left", "right", or a boolean array of the leading axes, true for a left hand.
        shape: "free", one per hand, or "shared", one for all: it is then kept, and only angles are fitted again.
        hand_limits: that the fitted joints stay within; None for human_limits.
        shape_regularisation: of the first attempt; see fit_hand.
        angle_regularisation: likewise.
        **options: see fit_hand.

    Returns:
        The fits; where the shape is shared and itself outside the limits, so are the fits.
    """
    limits = human_limits() if hand_limits is None else hand_limits
    hand = model if isinstance(model, FitConstants) else FitConstants.of(model)
    fit = fit_hand(
        hand,
        joints,
        side=side,
        shape=shape,
        shape_regularisation=shape_regularisation,
        angle_regularisation=angle_regularisation,
        **options,
    )
    leading = fit.error.shape
    flat = joints.reshape(-1, 21, 3)
    left = np.broadcast_to(side == "left" if isinstance(side, str) else np.asarray(side, bool), leading).reshape(-1)
    # Fits have no vectors: they are of networks alone.
    found = {f.name: getattr(fit, f.name) for f in fields(Fit) if getattr(fit, f.name) is not None}
    parts = {name: value.reshape(-1, *value.shape[len(leading) :]) for name, value in found.items()}
    # A warm start may be what led to an impossible hand; per-joint options go with their hands.
    options.pop("initial", None)
    uncertainty = options.pop("joint_uncertainty", None)
    if uncertainty is not None:
        uncertainty = np.broadcast_to(uncertainty, (*leading, 21)).reshape(-1, 21)
    remaining = np.flatnonzero(_impossible(parts["joints"], limits, left))
    for factor in _STRONGER:
        if len(remaining) == 0:
            break
        again = fit_hand(
            hand,
            flat[remaining],
            side=left[remaining],
            shape=parts["shape"][remaining] if shape == "shared" else "free",
            shape_regularisation=factor * max(shape_regularisation, 1e-3),
            angle_regularisation=factor * max(angle_regularisation, 1e-3),
            joint_uncertainty=None if uncertainty is None else uncertainty[remaining],
            **options,
        )
        for name, values in parts.items():
            values[remaining] = getattr(again, name)
        remaining = remaining[_impossible(parts["joints"][remaining], limits, left[remaining])]
    return Fit(**{name: values.reshape((*leading, *values.shape[1:])) for name, values in parts.items()})


def _impossible(
    joints: Float[np.ndarray, "n 21 3"], limits: HandLimits, left: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    return np.any(np.concatenate(excess(joints, limits, left), axis=-1) > 1e-9, axis=-1)
