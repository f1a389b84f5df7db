"""Intermediate results: a hand as estimated from one crop, and placed in the camera's frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from knuckle.predict.crop import Square
from knuckle.sample import HandMasks, HeldObject


@dataclass(frozen=True)
class CropEstimate:
    """The outputs of the network for one crop, mapped back to the picture.

    Attributes:
        square: the crop.
        joints: (21, 3) u, v in pixels of the picture, and a depth by the contract's coordinates: in pixels of the
            picture along the line of sight ("sight"), in lengths of the bone behind the root ("2.5d"), or z in metres
            ("metric") or in lengths of the bone ("normalised").
        uncertainty: (21,) expected absolute error of each coordinate, pixels of the picture.
        relative_uncertainty: its mean, relative to the extent of the hand.
        left_log_odds: log-odds of a left hand; 0 where the network does not predict the side.
        presence: probability of a hand; 1 where the network does not predict it.
        vertices: (V, 3) in the coordinates of the joints, where the network predicts them.
        corners: (8, 3) of the held object's box, likewise, in the order of skeleton.BOX_CORNERS.
        category: (C,) probabilities of the held object's categories.
        corner_uncertainty: (8,) of the corners, as uncertainty; None where the network does not predict it.
        holds: probability that the hand holds an object; 1 where the network does not predict it.
        masks: of the picture, where the network predicts them.
    """

    square: Square
    joints: Float[np.ndarray, "21 3"]
    uncertainty: Float[np.ndarray, "21"]
    relative_uncertainty: float
    left_log_odds: float
    presence: float
    vertices: Float[np.ndarray, "v 3"] | None = None
    corners: Float[np.ndarray, "8 3"] | None = None
    category: Float[np.ndarray, " c"] | None = None
    corner_uncertainty: Float[np.ndarray, "8"] | None = None
    holds: float = 1.0
    masks: HandMasks | None = None

    @property
    def uv(self) -> Float[np.ndarray, "21 2"]:
        """(21, 2) pixels of the picture."""
        return self.joints[:, :2]


@dataclass(frozen=True)
class HandEstimate:
    """The network's estimate of a hand in the camera's frame, before the fit.

    Attributes:
        side: "left" or "right".
        score: 0 to 1.
        uv: (21, 2) pixels of the picture.
        joints_camera: (21, 3) metres; scaled to an average adult's hand where the network predicts no size.
        uncertainty: (21,) metres, expected distance of each joint from the truth.
        left_log_odds: log-odds of a left hand, summed over all passes; 0 where the side is not predicted.
        vertices_camera: (V, 3) metres, the network's own mesh, where it predicts one.
        object: the held object, where the network predicts one.
        masks: of the picture, where the network predicts them.
    """

    side: Literal["left", "right"]
    score: float
    uv: Float[np.ndarray, "21 2"]
    joints_camera: Float[np.ndarray, "21 3"]
    uncertainty: Float[np.ndarray, "21"]
    left_log_odds: float = 0.0
    vertices_camera: Float[np.ndarray, "v 3"] | None = None
    object: HeldObject | None = None
    masks: HandMasks | None = None
