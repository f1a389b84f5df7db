"""From a network's joints, or its mesh, to the pose and shape of the hand model: by a fit, by a network, or by both."""

import math
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from knuckle.fit import Fit, FitConstants, fit_hand
from knuckle.predict.config import PredictorConfig
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.ik import IKGraph

# S4's refinement is without priors. Of its penalty of S-bends the weight is unknown; this one is mild, see `fit_hand`.
_REFINEMENT_STEPS = 20
_BEND_WEIGHT = 10.0
# A vertex says less about the pose than a joint: neighbours err together.
_VERTEX_UNCERTAINTY = 3.0


@runtime_checkable
class Solve(Protocol):
    """Finds the pose and shape of a hand."""

    def __call__(self, estimate: HandEstimate, initial: Fit | None, shape: Float[np.ndarray, " s"] | None) -> Fit:
        """The hand.

        Args:
            estimate: of the network, in the camera's frame.
            initial: of the same hand in the frame before; None if there is none.
            shape: (S,) of the hand where it is known.
        """
        ...


class FitToJoints:
    """Fits angles and shape to the network's joints, within human limits.

    Args:
        hand: the model.
        config: for fit_uncertainty_share and ik_share.
        ik: an inverse-kinematics network of the same hand, from which the fit starts; in closed form without it. Where
            it comes close to the joints, for how uncertain they are, nothing is fitted.
    """

    def __init__(self, hand: FitConstants, config: PredictorConfig, ik: IKGraph | None = None) -> None:
        self._hand, self._config, self._ik = hand, config, ik

    def __call__(self, estimate: HandEstimate, initial: Fit | None, shape: np.ndarray | None) -> Fit:
        """See `Solve`."""
        if initial is None and self._ik is not None:
            initial = self._ik(estimate.joints_camera, estimate.side, shape)
            if shape is None and initial.error < self._config.ik_share * estimate.uncertainty.mean():
                return initial
        return fit_hand(
            self._hand,
            estimate.joints_camera,
            side=estimate.side,
            joint_uncertainty=self._config.fit_uncertainty_share * estimate.uncertainty,
            initial=initial,
            shape="free" if shape is None else shape,
            shape_regularisation=1.0,
            iterations=20,
            # A millimetre is far below the network's error; further steps change nothing measurable.
            tolerance=1e-3,
            # Restarts doubled the time of the worst hands and improved none of them.
            restart_above=math.inf,
        )


class IKAlone:
    """What an inverse-kinematics network gives, unchanged: S4's results without post-optimisation.

    Args:
        ik: the network. One for known shapes needs the shape.
    """

    def __init__(self, ik: IKGraph) -> None:
        self._ik = ik

    def __call__(self, estimate: HandEstimate, initial: Fit | None, shape: np.ndarray | None) -> Fit:
        """See `Solve`."""
        return self._ik(estimate.joints_camera, estimate.side, shape)


class Refinement:
    """S4's post-optimisation: 20 steps from an inverse-kinematics network's hand towards the network's joints and mesh.

    Without priors on angles and shape, within human limits, with the penalty of fingers that bend to both sides
    (Fan & Wang, 2022, Eq. 3). Where the network predicts no mesh, or one of another topology, joints alone count.

    Args:
        hand: the model.
        ik: the network that it starts from.
    """

    def __init__(self, hand: FitConstants, ik: IKGraph) -> None:
        self._hand, self._ik = hand, ik

    def __call__(self, estimate: HandEstimate, initial: Fit | None, shape: np.ndarray | None) -> Fit:
        """See `Solve`."""
        seen = estimate.vertices_camera
        if seen is not None and len(seen) != len(self._hand.model.vertices):
            seen = None
        start = self._ik(estimate.joints_camera, estimate.side, shape)
        return fit_hand(
            self._hand,
            estimate.joints_camera,
            seen,
            side=estimate.side,
            joint_uncertainty=estimate.uncertainty,
            vertex_uncertainty=None if seen is None else _VERTEX_UNCERTAINTY * float(estimate.uncertainty.mean()),
            initial=start,
            shape="free" if shape is None else shape,
            shape_regularisation=0.0,
            angle_regularisation=0.0,
            bend_weight=_BEND_WEIGHT,
            iterations=_REFINEMENT_STEPS,
            restart_above=math.inf,
        )
