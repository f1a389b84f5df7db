"""Viewpoints of a hand: all directions, but most often those in which people film hands."""

from collections.abc import Sequence

import numpy as np

from knuckle.synth.body import cross

# Directions from hand to camera, in a right hand's frame: x to the thumb, y to the fingertips, z out of the palm.
# name: (direction, spread in radians, weight)
VIEWS: dict[str, tuple[tuple[float, float, float], float, float]] = {
    "palm": ((0.0, 0.1, 1.0), 0.45, 0.22),  # shown to a webcam, gestures, signs
    "back": ((0.0, 0.0, -1.0), 0.45, 0.16),  # on a desk, from above
    "egocentric_back": ((0.15, -0.75, -0.75), 0.4, 0.12),  # one's own hand reaching away
    "egocentric_palm": ((0.2, -0.8, 0.6), 0.4, 0.05),  # looking into one's own palm
    "thumb_side": ((1.0, 0.0, 0.1), 0.4, 0.1),  # holding, thumbs up, pinching
    "little_side": ((-1.0, 0.1, 0.1), 0.4, 0.05),
    "pointing": ((0.0, 1.0, -0.1), 0.35, 0.05),  # fingers towards the camera
    "anywhere": ((0.0, 0.0, 1.0), 9.0, 0.25),
}


def random_view(rng: np.random.Generator, among: Sequence[str] = (), spread: float = 1.0) -> tuple[str, np.ndarray]:
    """A random view: its name and the unit direction (3,) from the hand to the camera, in a right hand's frame.

    Args:
        rng: source of randomness. among: names of VIEWS; all of them if empty. spread: factor on their spread.
    """
    names = list(among or VIEWS)
    weights = np.array([VIEWS[name][2] for name in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    axis, usual, _ = VIEWS[name]
    if usual > np.pi:
        direction = rng.normal(size=3)
    else:
        direction = np.array(axis) / np.linalg.norm(axis) + rng.normal(0, spread * usual / np.sqrt(2), 3)
    return name, direction / np.linalg.norm(direction)


def look_from(
    direction: np.ndarray, side: str, roll: float, ray: np.ndarray, up: np.ndarray | None = None
) -> np.ndarray:
    """The rotation (3, 3) of T_camera_hand under which the camera sees a hand from a direction.

    Args:
        direction: (3,) unit, hand to camera, in a right hand's frame; a left hand is seen mirrored.
        side: "left" or "right". roll: angle of the fingers from pointing up, clockwise in the picture, radians (of a
            hand that points at the camera: of its palm or back instead).
        ray: (3,) unit, camera to hand, in the camera frame.
        up: (3,) what points up in the picture at roll 0 instead of the fingers, in a right hand's frame.
    """
    mirror = np.array([-1.0, 1.0, 1.0]) if side == "left" else np.ones(3)
    # In the hand frame: the viewing direction, and the direction that is up in the picture at roll 0.
    forward = -direction * mirror
    if up is None:
        up = np.array([0.0, 1.0, 0.0])
        if abs(up @ forward) > 0.97:
            up = np.array([0.0, 0.0, np.sign(up @ forward) or 1.0])
    else:
        up = up * mirror
    hand_axes = _frame(forward, up)
    camera_up = np.array([np.sin(roll), -np.cos(roll), 0.0])
    return _frame(ray, camera_up) @ hand_axes.T


def _frame(forward: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Look-at frame (3, 3): columns right, up, forward, with up orthogonalised against forward."""
    forward = forward / np.linalg.norm(forward)
    up = up - forward * (up @ forward)
    up = up / np.linalg.norm(up)
    return np.stack([cross(up, forward), up, forward], -1)
