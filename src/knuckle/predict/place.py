"""Between a network's joints (two pixels and a depth) and joints in the camera's frame, in metres.

The depth of the network that ships ("sight" coordinates) is counted along the line of sight of the hand, not along the
camera's axis, and in pixels: a step along the line of sight and a step across it that are equally long in metres are
equally many pixels. So what the network has to say does not depend on where in the picture the hand is, how far away,
or how large.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from knuckle.camera import Camera
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.predict.contract import Contract
from knuckle.predict.estimate import CropEstimate, HandEstimate
from knuckle.sample import HeldObject
from knuckle.skeleton import BONES

# The joint that depths are counted from: the knuckle of the middle finger, near the middle of the hand.
ROOT = 9


def place_hand(
    contract: Contract,
    camera: Camera,
    estimate: CropEstimate,
    bone_lengths: Float[np.ndarray, "20"],
    score: float,
    side: Literal["left", "right"] | None = None,
) -> HandEstimate:
    """A hand in the camera's frame.

    Args:
        contract: says what the depths are.
        camera: of the picture.
        estimate: pixels of the picture and depths.
        bone_lengths: metres, of an average adult; the size of a hand whose coordinates say none.
        score: of the hand.
        side: where it is known; None takes the network's word.
    """
    parts = [part for part in (estimate.joints, estimate.vertices, estimate.corners) if part is not None]
    # The joints come first, so that their numbers stay.
    seen = np.concatenate(parts) if len(parts) > 1 else parts[0]
    focal = focal_length(camera.K)
    if contract.coordinates == "metric":
        placed = camera.unproject(seen[:, :2], seen[:, 2])
        metres_per_pixel = float(placed[contract.root, 2]) / focal
    else:
        if contract.coordinates == "sight":
            placed, distance = from_sight(camera.K, seen), 1.0
        else:
            placed, _ = camera.lift_25d(seen[:, :2], seen[:, 2], bone=contract.bone)
            distance = float(placed[contract.root, 2])
        scale = scale_to_size(placed[:21], bone_lengths, estimate.uncertainty)
        placed, metres_per_pixel = scale * placed, scale * distance / focal
    # Absolute errors of three coordinates to a distance in space: twice, where they are normal and alike.
    uncertainty = 2.0 * metres_per_pixel * estimate.uncertainty
    if side is None:
        side = "left" if estimate.left_log_odds > 0 else "right"
    return HandEstimate(
        side,
        score,
        estimate.uv,
        placed[:21],
        np.maximum(uncertainty, 1e-3),
        estimate.left_log_odds,
        None if estimate.vertices is None else placed[21 : 21 + len(estimate.vertices)],
        None if estimate.corners is None else _held_object(placed[-8:], estimate.category, contract.categories),
    )


def _held_object(corners: Float[np.ndarray, "8 3"], category: np.ndarray | None, names: tuple[str, ...]) -> HeldObject:
    if category is None:
        return HeldObject.from_corners(corners)
    best = int(np.argmax(category))
    return HeldObject.from_corners(corners, names[best], float(np.clip(category[best], 0.0, 1.0)))


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
    return np.column_stack([uv, (along / along[ROOT] - 1.0) * focal_length(intrinsics) * np.linalg.norm(sight)])


def from_sight(intrinsics: Float[np.ndarray, "3 3"], sighted: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The way back, up to the one thing a picture does not say: joints at a root depth (z) of 1.

    Args:
        intrinsics: of the picture's camera.
        sighted: (N, 3) the 21 joints, and further points after them.
    """
    lines = sight_lines(intrinsics, sighted[:, :2])
    sight = lines[ROOT]
    along = 1.0 + sighted[:, 2] / (focal_length(intrinsics) * np.linalg.norm(sight))
    # No joint may come to lie behind the camera, whatever the network says.
    along = np.maximum(along, 0.2)
    return lines * (along * (sight @ sight) / (lines @ sight))[:, None]


def scale_to_size(
    joints: Float[np.ndarray, "21 3"], lengths: Float[np.ndarray, "20"], uncertainty: Float[np.ndarray, "21"]
) -> float:
    """The factor that gives a hand's bones the wanted lengths, all in all.

    Args:
        joints: in any unit.
        lengths: metres, of each bone.
        uncertainty: of each joint, in any unit; bones between uncertain joints count less.
    """
    parents, children = np.array(BONES).T
    found = np.linalg.norm(joints[children] - joints[parents], axis=1)
    weights = 1.0 / (uncertainty[children] ** 2 + uncertainty[parents] ** 2 + 1e-12)
    return float((weights * lengths).sum() / np.maximum((weights * found).sum(), 1e-12))


def focal_length(intrinsics: Float[np.ndarray, "3 3"]) -> float:
    """One focal length for a camera whose two differ a little; a turned camera's matrix has them mixed."""
    return float(np.sqrt(abs(np.linalg.det(intrinsics[:2, :2]))))


def settle(
    camera: Camera,
    joints: Float[np.ndarray, "21 3"],
    uv: Float[np.ndarray, "21 2"],
    uncertainty: Float[np.ndarray, "21"],
    steps: int = 3,
    stiffness: float = 0.1,
) -> Float[np.ndarray, "4 4"]:
    """A small rigid motion after which a hand projects as closely as it can to where its joints were seen.

    A fit weighs depth, of which a network is unsure, like the picture's two directions, of which it is sure. This
    gives the picture the last word on where the hand is and how it is turned, and leaves its pose alone.

    Args:
        camera: of the picture.
        joints: (21, 3) metres, the fitted hand.
        uv: (21, 2) pixels where the network saw them.
        uncertainty: (21,) metres; only their ratios count.
        steps: of Gauss-Newton.
        stiffness: radians by which a hand may turn for an error as large as its uncertainty.

    Returns:
        T: (4, 4), to be applied from the left in the camera's frame.
    """
    lines = camera.rays(uv)
    weights = 1.0 / np.maximum(uncertainty, 1e-6)
    weights = weights / np.sqrt((weights**2).mean())
    centre = joints.mean(0)
    rotation, translation = np.eye(3), np.zeros(3)
    spread = float(np.linalg.norm(joints - centre, axis=1).mean())
    # (x, y, z) lies on the line (a, b, 1) if x - a z = 0 and y - b z = 0.
    fronts = np.zeros((21, 2, 3))
    fronts[:, 0, 0] = fronts[:, 1, 1] = 1.0
    fronts[:, :, 2] = -lines[:, :2]
    fronts *= weights[:, None, None]
    damping = np.full(6, 1e-12)
    damping[:3] += 21 * (0.05 * spread / stiffness) ** 2
    turns = np.zeros((21, 3, 3))
    for _ in range(steps):
        arms = (joints - centre) @ rotation.T
        # A turn by w moves an arm a by w x a; its matrix is minus the cross matrix of a.
        turns[:, 0, 1], turns[:, 1, 2], turns[:, 2, 0] = arms[:, 2], arms[:, 0], arms[:, 1]
        turns[:, 1, 0], turns[:, 2, 1], turns[:, 0, 2] = -arms[:, 2], -arms[:, 0], -arms[:, 1]
        rows = np.concatenate([fronts @ turns, fronts], axis=-1).reshape(-1, 6)
        values = (fronts @ (arms + centre + translation)[:, :, None]).reshape(-1)
        step = np.linalg.solve(rows.T @ rows + np.diag(damping), -rows.T @ values)
        rotation = axis_angle_to_matrix(step[:3]) @ rotation
        translation = translation + step[3:]
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = centre + translation - rotation @ centre
    return T
