"""Between the network's joints (two pixels and a depth, all in the crop) and joints in the camera's frame, in metres.

The depth is counted along the line of sight of the hand, not along the camera's axis, and in pixels: a step along
the line of sight and a step across it that are equally long in metres are equally many pixels. So what the network
has to say does not depend on where in the picture the hand is, how far away, or how large.
"""

import numpy as np
from jaxtyping import Float

from knuckle.skeleton import BONES

# The joint that depths are counted from: the knuckle of the middle finger, near the middle of the hand.
ROOT = 9


def sight_lines(intrinsics: Float[np.ndarray, "3 3"], uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Directions (x, y, 1) of pixels, by the camera's matrix."""
    return np.column_stack([uv, np.ones(len(uv))]) @ np.linalg.inv(intrinsics).T


def to_sight(
    intrinsics: Float[np.ndarray, "3 3"], joints_camera: Float[np.ndarray, "21 3"]
) -> Float[np.ndarray, "21 3"]:
    """Joints in the camera's frame -> (u, v, depth) in pixels of the picture.

    depth = (distance along the root's line of sight / the root's distance - 1) * focal length in that direction
    """
    rays = joints_camera @ intrinsics.T
    uv = rays[:, :2] / rays[:, 2:]
    sight = joints_camera[ROOT] / joints_camera[ROOT, 2]
    along = joints_camera @ sight
    return np.column_stack([uv, (along / along[ROOT] - 1.0) * _focal(intrinsics) * np.linalg.norm(sight)])


def from_sight(intrinsics: Float[np.ndarray, "3 3"], sighted: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "21 3"]:
    """The way back, up to the one thing a picture does not say: joints at a root depth (z) of 1."""
    lines = sight_lines(intrinsics, sighted[:, :2])
    sight = lines[ROOT]
    along = 1.0 + sighted[:, 2] / (_focal(intrinsics) * np.linalg.norm(sight))
    # No joint may come to lie behind the camera, whatever the network says.
    along = np.maximum(along, 0.2)
    return lines * (along * (sight @ sight) / (lines @ sight))[:, None]


def scale_to_size(
    joints: Float[np.ndarray, "21 3"], lengths: Float[np.ndarray, "20"], doubt: Float[np.ndarray, "21"]
) -> float:
    """The factor that gives a hand's bones the wanted lengths, all in all.

    Args:
        joints: in any unit.
        lengths: metres, of each bone.
        doubt: of each joint; bones between doubtful joints count less.
    """
    parents, children = np.array(BONES).T
    found = np.linalg.norm(joints[children] - joints[parents], axis=1)
    weights = 1.0 / (doubt[children] ** 2 + doubt[parents] ** 2 + 1e-12)
    return float((weights * lengths).sum() / np.maximum((weights * found).sum(), 1e-12))


def _focal(intrinsics: Float[np.ndarray, "3 3"]) -> float:
    """One focal length for a camera whose two differ a little; a turned camera's matrix has them mixed."""
    return float(np.sqrt(abs(np.linalg.det(intrinsics[:2, :2]))))
