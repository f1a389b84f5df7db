"""From a network's estimate to a `Hand` that explains it: consistent joints, mesh, angles and pose."""

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from knuckle.camera import Camera
from knuckle.fit import Fit, FitConstants, fit_hand
from knuckle.handmodel import HandModel, human_limits
from knuckle.handmodel.ranges import MEASURED_MARGINS, plausibility
from knuckle.predict.config import PredictorConfig
from knuckle.predict.detect import box_of_joints
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.place import settle
from knuckle.sample import Hand


@runtime_checkable
class Explain(Protocol):
    """Turns a network's estimate into a `Hand`."""

    def __call__(self, estimate: HandEstimate, camera: Camera, initial: Any = None) -> tuple[Hand, Any]:
        """The hand, and the `initial` for the same hand in the next frame of a video.

        Args:
            estimate: of the network, in the camera's frame.
            camera: that took the picture.
            initial: from the previous frame; None if there is none.
        """
        ...


class FitExplain:
    """Fits the angles and the shape of the hand model to the network's joints, within human limits.

    Args:
        model: the open hand, or another with its interface.
        config: for fit_uncertainty_share and min_depth.
        shape: (S,) of all hands, where it is known.
    """

    def __init__(self, model: HandModel, config: PredictorConfig, shape: np.ndarray | None = None) -> None:
        self._model = model
        self._constants = FitConstants.of(model)
        self._config = config
        self._shape = shape
        self._limits = human_limits().widened(**MEASURED_MARGINS)

    def __call__(self, estimate: HandEstimate, camera: Camera, initial: Fit | None = None) -> tuple[Hand, Fit]:
        """See `Explain`."""
        fitted = fit_hand(
            self._constants,
            estimate.joints_camera,
            side=estimate.side,
            joint_uncertainty=self._config.fit_uncertainty_share * estimate.uncertainty,
            initial=initial,
            shape="free" if self._shape is None else self._shape,
            shape_regularisation=1.0,
            iterations=20,
            # A millimetre is far below the network's error; further steps change nothing measurable.
            tolerance=1e-3,
            # Restarts doubled the time of the worst hands and improved none of them.
            restart_above=math.inf,
        )
        residual = float(fitted.error)
        pose = settle(camera, fitted.joints, estimate.uv, estimate.uncertainty) @ fitted.T_camera_hand
        posed = self._model(fitted.angles, shape=fitted.shape, T_camera_hand=pose, side=estimate.side)
        joints, vertices = np.asarray(posed.joints), posed.vertices
        too_near = self._config.min_depth - float(joints[:, 2].min())
        if too_near > 0:
            # A wrong pose close to the lens: nothing visible lies behind the camera.
            offset = too_near * camera.rays(estimate.uv).mean(0)
            pose[:3, 3] += offset
            joints, vertices = joints + offset, vertices + offset
        hand = Hand(
            side=estimate.side,
            score=min(estimate.score, 1.0),
            box=box_of_joints(camera.project(joints)),
            joints_camera=joints,
            angles=fitted.angles,
            shape=fitted.shape,
            T_camera_hand=pose,
            joint_uncertainty_mm=1e3 * estimate.uncertainty,
            # The residual of the fit relative to the expected error of the joints, and the joints by themselves.
            plausibility=math.exp(-residual / max(2.0 * float(estimate.uncertainty.mean()), 1e-6))
            * float(plausibility(estimate.joints_camera, self._limits, estimate.side)),
            camera=camera,
            vertices_camera=vertices,
            joints_network=estimate.joints_camera,
            vertices_network=estimate.vertices_camera,
            object=estimate.object,
        )
        return hand, fitted
