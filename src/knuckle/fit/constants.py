"""What a fit has to know of a hand, worked out once for many calls."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from knuckle.fit.inputs import checked_limits
from knuckle.fit.kinematics import Kinematics, kinematics_of
from knuckle.fit.skinning import LinearSkinning, linear_skinning_of
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.model import HandModel


@dataclass(frozen=True, eq=False)
class FitConstants:
    """A hand as `fit_hand` needs it. Make one and pass it in place of the model wherever hands are fitted one by one.

    Attributes:
        model: the hand, with NumPy constants; neither it nor its arrays may change.
        kin: its joints.
        tip_skinning: of the fingertips where these are vertices (MANO), else None.

    Raises:
        TypeError: the model is none, or its constants are not NumPy arrays.
    """

    model: HandModel
    kin: Kinematics
    tip_skinning: LinearSkinning | None

    @classmethod
    def of(cls, model: HandModel) -> "FitConstants":
        if not isinstance(model, HandModel):
            raise TypeError(
                f"model must be the hand to fit, knuckle.HandModel.open(), but got {type(model).__name__}; the joints "
                "come second"
            )
        tips = model.tip_vertices
        return cls(model, kinematics_of(model), None if tips is None else linear_skinning_of(model, tips))

    @cached_property
    def skinning(self) -> LinearSkinning:
        """Of the whole mesh."""
        return linear_skinning_of(self.model)

    @cached_property
    def default_limits(self) -> Float[np.ndarray, "a 2"]:
        """The preset "default", tightened; none for a model whose angles are summed, which it is not defined for."""
        summed = self.model.angle_convention == "summed"
        return checked_limits(None if summed else angle_limits(), self.kin.angle_count, "limits")

    @cached_property
    def shape_limits(self) -> Float[np.ndarray, "s 2"]:
        """The model's own, tightened."""
        return checked_limits(self.model.shape_limits, self.kin.shape_count, "shape_limits")
