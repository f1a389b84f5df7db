"""Errors of points: 2D and 3D distances, depth, scale, acceleration. NumPy, any leading axes."""

import numpy as np
from jaxtyping import Float


def point_errors(
    points: Float[np.ndarray, "*batch n c"], target: Float[np.ndarray, "*batch n c"]
) -> Float[np.ndarray, "*batch n"]:
    """Euclidean distance of every point from its own target.

    Args:
        points: (..., N, C) prediction: C = 3 for 3D, C = 2 for 2D points.
        target: (..., N, C) truth, same unit; NaN where a point has no label.

    Returns:
        (..., N) in that unit; NaN where the target is.
    """
    return np.sqrt(np.square(points - target).sum(-1))


def depth_errors(
    joints: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"], root: int | None = 0
) -> Float[np.ndarray, "*batch n"]:
    """Absolute depth error of every joint: the Z column of Spurr et al. 2020, Table 2.

    Args:
        joints: (..., N, 3) prediction in the camera frame.
        target: (..., N, 3) truth.
        root: depths are relative to this joint (as in the paper); None: to the camera.

    Returns:
        (..., N) absolute differences; with a root, zero at the root.
    """
    a, b = joints[..., 2], target[..., 2]
    if root is not None:
        a, b = a - a[..., root : root + 1], b - b[..., root : root + 1]
    return np.abs(a - b)


def scale_errors(
    joints: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"], bone: tuple[int, int] = (0, 9)
) -> Float[np.ndarray, "*batch"]:
    """Relative error of the hand's scale, measured by the length of one bone.

    Args:
        joints: (..., N, 3) prediction.
        target: (..., N, 3) truth.
        bone: the two joints whose distance is measured; wrist to middle MCP by default.

    Returns:
        (...) |length - true length| / true length; NaN where the true bone has no length.
    """
    a, b = bone
    length = np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1)
    target_length = np.linalg.norm(target[..., a, :] - target[..., b, :], axis=-1)
    return np.abs(length - target_length) / np.where(target_length > 0, target_length, np.nan)


def project(
    K: Float[np.ndarray, "*batch 3 3"], points: Float[np.ndarray, "*batch n 3"]
) -> Float[np.ndarray, "*batch n 2"]:
    """Pixels of points in the camera frame.

    Args:
        K: (..., 3, 3) camera matrix.
        points: (..., N, 3) in front of the camera.

    Returns:
        (..., N, 2) pixels; NaN for points that are not in front of the camera.
    """
    rays = points @ np.swapaxes(K, -1, -2)
    depth = np.where(rays[..., 2:] > 0, rays[..., 2:], np.nan)
    return rays[..., :2] / depth


def acceleration_errors(
    joints: Float[np.ndarray, "frames n 3"], target: Float[np.ndarray, "frames n 3"], fps: float = 1.0
) -> Float[np.ndarray, "frames_2 n"]:
    """Error of the joints' accelerations in a video.

    Args:
        joints: (F, N, 3) predictions in consecutive frames.
        target: (F, N, 3) truth.
        fps: frames per second; 1 gives the usual unit, length per frame squared.

    Returns:
        (F - 2, N) norms of the difference of second differences; (0, N) for fewer than three frames.
    """
    return np.linalg.norm(_second_difference(joints - target), axis=-1) * fps**2


def jitter(joints: Float[np.ndarray, "frames n 3"], fps: float = 1.0) -> Float[np.ndarray, "frames_3 n"]:
    """Jitter of joints in a video, without a truth: the norm of the third difference (jerk).

    Args:
        joints: (F, N, 3) predictions in consecutive frames.
        fps: frames per second; 1 gives length per frame cubed.

    Returns:
        (F - 3, N); 0 for joints that move with constant acceleration; (0, N) for fewer than four frames.
    """
    return np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1) * fps**3


def _second_difference(x: np.ndarray) -> np.ndarray:
    return np.diff(x, n=2, axis=0)


def corner_errors(
    corners: Float[np.ndarray, "*batch 8 3"], target: Float[np.ndarray, "*batch 8 3"]
) -> Float[np.ndarray, "*batch 8"]:
    """Distance of every corner of an object's box from the true corner (Zhuang & Mu 2021), same corner order.

    Args:
        corners: (..., 8, 3) prediction.
        target: (..., 8, 3) truth.

    Returns:
        (..., 8) in their unit.
    """
    return point_errors(corners, target)


def projected_box_errors(
    corners: Float[np.ndarray, "*batch 8 3"],
    target: Float[np.ndarray, "*batch 8 3"],
    K: Float[np.ndarray, "*batch 3 3"],
) -> Float[np.ndarray, "*batch"]:
    """Mean 2D projection error of an object's box; below t pixels an object pose counts as correct.

    Args:
        corners: (..., 8, 3) prediction in the camera frame.
        target: (..., 8, 3) truth.
        K: (..., 3, 3) camera matrix of the whole picture.

    Returns:
        (...) mean over the corners, pixels of the whole picture (1920x1080 for FPHA).
    """
    return point_errors(project(K, corners), project(K, target)).mean(-1)
