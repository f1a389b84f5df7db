"""From a network's estimate to a `Hand` that explains it: consistent joints, mesh, angles and pose."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float

from knuckle.camera import Camera
from knuckle.fit import Fit, FitConstants
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel, human_limits
from knuckle.handmodel.box_contacts import contact_points
from knuckle.handmodel.ranges import MEASURED_MARGINS, plausibility
from knuckle.predict.config import PredictorConfig
from knuckle.predict.detect import box_of_joints
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.place import settle
from knuckle.predict.solve import FitToJoints, Solve
from knuckle.sample import Hand, HeldObject
from knuckle.skeleton import JOINT_NAMES

# Joints that no angle moves.
_PALM = [0, 5, 9, 13, 17]


class Pose(NamedTuple):
    """What the hand model poses.

    Attributes:
        angles: (A,) radians.
        shape: (S,).
        T_camera_hand: (4, 4).
    """

    angles: Float[np.ndarray, " a"]
    shape: Float[np.ndarray, " s"]
    T_camera_hand: Float[np.ndarray, "4 4"]


# From the pose in a frame to that which is shown.
Smooth: TypeAlias = Callable[[Pose], Pose]


@runtime_checkable
class Explain(Protocol):
    """Turns a network's estimate into a `Hand`."""

    def __call__(
        self,
        estimate: HandEstimate,
        camera: Camera,
        initial: Any = None,
        shape: np.ndarray | None = None,
        smooth: Smooth | None = None,
    ) -> tuple[Hand, Any]:
        """The hand, and the `initial` for the same hand in the next frame of a video.

        Args:
            estimate: of the network, in the camera's frame.
            camera: that took the picture.
            initial: from the previous frame; None if there is none.
            shape: (S,) of the hand where it is known.
            smooth: what a track makes of the pose, in a video.
        """
        ...


class FitExplain:
    """Finds the pose and shape of the hand model that the network's joints are those of.

    Args:
        model: the open hand, or another with its interface.
        config: for min_depth, and for the fit where `solve` is None.
        shape: (S,) of all hands, where it is known.
        solve: how; None for a fit to the joints that starts in closed form.
    """

    def __init__(
        self,
        model: HandModel,
        config: PredictorConfig,
        shape: np.ndarray | None = None,
        solve: Solve | None = None,
    ) -> None:
        self._model = model
        self._solve: Solve = solve or FitToJoints(FitConstants.of(model), config)
        self._config = config
        self._shape = shape
        self._limits = human_limits().widened(**MEASURED_MARGINS)

    def __call__(
        self,
        estimate: HandEstimate,
        camera: Camera,
        initial: Fit | None = None,
        shape: np.ndarray | None = None,
        smooth: Smooth | None = None,
    ) -> tuple[Hand, Fit]:
        """See `Explain`."""
        fitted = self._solve(estimate, initial, self._shape if shape is None else shape)
        residual = float(fitted.error)
        pose = settle(camera, fitted.joints, estimate.uv, estimate.uncertainty) @ fitted.T_camera_hand
        seen = Pose(fitted.angles, fitted.shape, pose)
        if smooth is not None:
            seen = smooth(seen)
        joints, vertices, pose = _posed(self._model, seen, estimate.side, self._config.min_depth, fitted.vectors)
        hand = Hand(
            side=estimate.side,
            score=min(estimate.score, 1.0),
            box=box_of_joints(camera.project(joints)),
            joints_camera=joints,
            angles=seen.angles,
            shape=seen.shape,
            T_camera_hand=pose,
            joint_uncertainty_mm=1e3 * estimate.uncertainty,
            # The residual of the fit relative to the expected error of the joints, and the joints by themselves.
            plausibility=math.exp(-residual / max(2.0 * float(estimate.uncertainty.mean()), 1e-6))
            * float(plausibility(estimate.joints_camera, self._limits, estimate.side)),
            camera=camera,
            vertices_camera=vertices,
            joints_network=estimate.joints_camera,
            vertices_network=estimate.vertices_camera,
            object=_touched(estimate.object, joints, self._config.contact_distance),
            masks=estimate.masks,
        )
        return hand, fitted


def reposed(model: HandModel, hand: Hand, pose: Pose, config: PredictorConfig) -> Hand:
    """The same hand in another pose; what it holds stays where it is.

    Args:
        model: that `pose` is of.
        hand: in the picture of `hand.camera`.
        pose: of it.
        config: for min_depth and contact_distance.
    """
    joints, vertices, T = _posed(model, pose, hand.side, config.min_depth)
    return replace(
        hand,
        box=box_of_joints(hand.camera.project(joints)),
        joints_camera=joints,
        vertices_camera=vertices,
        angles=pose.angles,
        shape=pose.shape,
        T_camera_hand=T,
        object=_touched(hand.object, joints, config.contact_distance),
    )


def _touched(held: HeldObject | None, joints: Float[np.ndarray, "21 3"], distance: float) -> HeldObject | None:
    """What is held, with the points where the hand's joints touch its box."""
    if held is None or held.corners_camera is None:
        return held
    points, touching = contact_points(joints, held.corners_camera, np.full(len(joints), distance))
    return replace(held, contacts_camera={JOINT_NAMES[j]: points[j] for j in np.flatnonzero(touching)})


def palm_of(
    model: HandModel, shape: Float[np.ndarray, " s"], side: Literal["left", "right"]
) -> tuple[np.ndarray, float]:
    """A point (3,) of the palm that no angle moves, in the hand's frame, and the length of the palm; metres."""
    joints = np.asarray(model.joints(shape=shape, side=side))
    return joints[_PALM].mean(0), float(np.linalg.norm(joints[9] - joints[0]))


def _posed(
    model: HandModel,
    pose: Pose,
    side: Literal["left", "right"],
    min_depth: float,
    vectors: Float[np.ndarray, "15 3"] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints, vertices and T, moved away from the camera where a joint is nearer than min_depth.

    Where there are rotation vectors of the finger joints, these are posed and not the angles.
    """
    angles, rotations = (pose.angles, None) if vectors is None else (None, axis_angle_to_matrix(vectors))
    posed = model(angles, rotations=rotations, shape=pose.shape, T_camera_hand=pose.T_camera_hand, side=side)
    joints, vertices, T = np.asarray(posed.joints), np.asarray(posed.vertices), pose.T_camera_hand
    too_near = min_depth - float(joints[:, 2].min())
    if too_near > 0:
        # A wrong pose close to the lens: nothing visible lies behind the camera.
        x, y, z = joints.mean(0)
        offset = too_near * np.array([x / max(z, 1e-6), y / max(z, 1e-6), 1.0])
        T = T.copy()
        T[:3, 3] += offset
        joints, vertices = joints + offset, vertices + offset
    return joints, vertices, T
