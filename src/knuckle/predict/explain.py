"""From what a network says of a hand to the hand that explains it: joints, mesh, angles and pose of one body."""

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from knuckle.camera import Camera
from knuckle.fit import Fit, fit_hand
from knuckle.handmodel import HandModel
from knuckle.predict.config import PredictorConfig
from knuckle.predict.detect import box_of_joints
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.place import settle
from knuckle.sample import Hand


@runtime_checkable
class Explain(Protocol):
    """Turns a network's estimate into a `Hand`."""

    def __call__(self, estimate: HandEstimate, camera: Camera, initial: Any = None) -> tuple[Hand, Any]:
        """The hand, and what to give as `initial` for the same hand in a video's next frame.

        Args:
            estimate: as placed in the camera's frame.
            camera: that took the picture.
            initial: from the frame before; None where there is none.
        """
        ...


class FitExplain:
    """The hand that the open hand's angles and shape make of the network's joints, within human limits.

    Args:
        model: the open hand, or another of its interface.
        config: how far the network's uncertainty is trusted.
    """

    def __init__(self, model: HandModel, config: PredictorConfig) -> None:
        self._model = model
        self._config = config

    def __call__(self, estimate: HandEstimate, camera: Camera, initial: Fit | None = None) -> tuple[Hand, Fit]:
        """See `Explain`."""
        fitted = fit_hand(
            self._model,
            estimate.joints_camera,
            side=estimate.side,
            joint_uncertainty=self._config.fit_uncertainty_share * estimate.uncertainty,
            initial=initial,
            shape_regularisation=1.0,
            iterations=20,
            # A millimetre is far below what the network is off; further steps change nothing that can be measured.
            tolerance=1e-3,
            # Further starts doubled the time of the worst hands and made none of them better.
            restart_above=math.inf,
        )
        residual = float(fitted.error)
        pose = settle(camera, fitted.joints, estimate.uv, estimate.uncertainty) @ fitted.T_camera_hand
        posed = self._model(fitted.angles, shape=fitted.shape, T_camera_hand=pose, side=estimate.side)
        joints, vertices = np.asarray(posed.joints), posed.vertices
        behind = self._config.nearest - float(joints[:, 2].min())
        if behind > 0:
            # A pose that makes no sense of what is close to the lens: nothing that was seen lies behind it.
            away = behind * camera.rays(estimate.uv).mean(0)
            pose[:3, 3] += away
            joints, vertices = joints + away, vertices + away
        hand = Hand(
            side=estimate.side,
            score=min(estimate.score, 1.0),
            box=box_of_joints(camera.project(joints)),
            joints_camera=joints,
            angles=fitted.angles,
            shape=fitted.shape,
            T_camera_hand=pose,
            joint_uncertainty_mm=1e3 * estimate.uncertainty,
            # How far the joints had to be moved, against how far off they are expected to be.
            plausibility=math.exp(-residual / max(2.0 * float(estimate.uncertainty.mean()), 1e-6)),
            camera=camera,
            vertices_camera=vertices,
            joints_network=estimate.joints_camera,
            vertices_network=estimate.vertices_camera,
            object=estimate.object,
        )
        return hand, fitted
