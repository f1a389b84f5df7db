"""Smoothing of a hand's pose: of angles, of the wrist's rotation, and of the place in the picture and the distance, each
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
    """

    angles: FilterSettings = field(default_factory=lambda: FilterSettings(1.0, 0.5))
    rotation: FilterSettings = field(default_factory=lambda: FilterSettings(1.0, 0.5))
    place: FilterSettings = field(default_factory=lambda: FilterSettings(1.0, 4.0))
    distance: FilterSettings = field(default_factory=lambda: FilterSettings(0.5, 1.0))


class PoseFilter:
    """Smooths angles and pose of one hand; call it once a frame.

    The place is that of a point of the palm, as no angle moves it: what it and the distance do to the picture is then
    nearly independent of the rotation.

    Args:
        smoothing: its parameters.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._angles = OneEuroFilter(smoothing.angles, apart=True)
        self._rotation = RotationFilter(smoothing.rotation)
        self._place = OneEuroFilter(smoothing.place)
        self._distance = OneEuroFilter(smoothing.distance)

    def __call__(
        self,
        angles: Float[np.ndarray, "a"],
        T_camera_hand: Float[np.ndarray, "4 4"],
        palm: Float[np.ndarray, "3"],
        length: float,
        seconds: float,
    ) -> tuple[Float[np.ndarray, "a"], Float[np.ndarray, "4 4"]]:
        """The smoothed angles and pose.

        Args:
            angles: radians.
            T_camera_hand: measured pose.
            palm: a point of the palm in the hand's frame, metres.
            length: of the hand, metres.
            seconds: since the last call; positive.
        """
        x, y, z = T_camera_hand[:3, :3] @ palm + T_camera_hand[:3, 3]
        z = max(float(z), 1e-3)
        direction = self._place(np.array([x, y]) / z, seconds, unit=length / z)
        distance = math.exp(float(self._distance(np.array([math.log(z)]), seconds)[0]))
        T = np.eye(4)
        T[:3, :3] = self._rotation(T_camera_hand[:3, :3], seconds)
        T[:3, 3] = distance * np.array([*direction, 1.0]) - T[:3, :3] @ palm
        return self._angles(angles, seconds), T
