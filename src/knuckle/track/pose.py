"""Smoothing of a hand's pose: of angles, of the wrist's rotation, of the place in the picture and of the distance, each
by itself, as their noise differs.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from knuckle.track.filters import FilterSettings, OneEuroFilter, RotationFilter


@dataclass(frozen=True)
class Smoothing:
    """Parameters of the filters of a `PoseFilter`.

    Attributes:
        angles: each of the 23; speeds in radians a second.
        rotation: of the hand; speeds in radians a second.
        place: in the picture; speeds in hands' lengths a second.
        distance: from the camera; speeds in parts of it a second.
        usual_uncertainty: of joints, relative to the palm's length: a look, or a finger in it, is trusted less by the
            square of how much more uncertain it is.
    """

    angles: FilterSettings = field(default_factory=lambda: FilterSettings(3.0, 0.5))
    rotation: FilterSettings = field(default_factory=lambda: FilterSettings(3.0, 0.5))
    place: FilterSettings = field(default_factory=lambda: FilterSettings(3.0, 8.0))
    distance: FilterSettings = field(default_factory=lambda: FilterSettings(2.0, 1.0))
    usual_uncertainty: float = 0.13


class PoseFilter:
    """Smooths angles and pose of one hand; call it once a frame.

    The place is that of a point of the palm, as no angle moves it: what it and the distance do to the picture is then
    nearly independent of the rotation.

    Args:
        smoothing: its parameters.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._usual = smoothing.usual_uncertainty
        self._angles = OneEuroFilter(smoothing.angles, apart=True)
        self._rotation = RotationFilter(smoothing.rotation)
        self._place = OneEuroFilter(smoothing.place)
        self._distance = OneEuroFilter(smoothing.distance)
        self._palm = np.zeros(3)

    def __call__(
        self,
        angles: Float[np.ndarray, " a"],
        T_camera_hand: Float[np.ndarray, "4 4"],
        palm: Float[np.ndarray, "3"],
        length: float,
        seconds: float,
        uncertainty: Float[np.ndarray, "21"] | None = None,
    ) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, "4 4"]]:
        """The smoothed angles and pose.

        Args:
            angles: radians.
            T_camera_hand: measured pose.
            palm: a point of the palm in the hand's frame, metres.
            length: of the palm, metres.
            seconds: since the last call; positive.
            uncertainty: of the joints, metres; the usual one if None.
        """
        trust, of_angles = self._trust(uncertainty, length, len(angles))
        self._palm = palm
        x, y, z = T_camera_hand[:3, :3] @ palm + T_camera_hand[:3, 3]
        z = max(float(z), 1e-3)
        direction = self._place(np.array([x, y]) / z, seconds, length / z, trust)
        distance = self._distance(np.array([math.log(z)]), seconds, 1.0, trust)
        rotation = self._rotation(T_camera_hand[:3, :3], seconds, trust)
        return self._angles(angles, seconds, 1.0, of_angles), _pose_of(direction, distance, rotation, palm)

    def before(self) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, "4 4"]]:
        """Angles and pose of the call before the last, corrected by the last (see `OneEuroFilter`)."""
        pose = _pose_of(self._place.before, self._distance.before, self._rotation.before, self._palm)
        return self._angles.before, pose

    def _trust(self, uncertainty: np.ndarray | None, length: float, count: int) -> tuple[float, np.ndarray]:
        """Of the pose, and (A,) of the angles, by the fingers that they are of."""
        if uncertainty is None:
            return 1.0, np.ones(count)
        relative = np.maximum(uncertainty / length, 1e-6)
        fingers = relative[1:].reshape(5, 4).mean(1)
        each = np.minimum(1.0, self._usual / fingers) ** 2
        # The thumb has what the four angles of each finger leave.
        return min(1.0, self._usual / float(relative.mean())) ** 2, np.repeat(each, [count - 16, 4, 4, 4, 4])


def _pose_of(direction: np.ndarray, log_distance: np.ndarray, rotation: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """T_camera_hand of a hand whose palm lies in a direction (x / z, y / z) and at a distance z."""
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = math.exp(float(log_distance[0])) * np.array([*direction, 1.0]) - rotation @ palm
    return T
