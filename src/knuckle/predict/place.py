"""From a network's joints (two pixels and a depth) to joints in the camera's frame, in metres, and back.

The depth of the shipped network ("sight" coordinates) is measured along the line of sight of the hand, not along the
camera's axis, and in pixels: equal steps in metres along the line of sight and across it are equally many pixels. So
the outputs do not depend on the hand's position in the picture, its distance, or its size.
"""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.camera import Camera, viewing_rays
from knuckle.predict.contract import Contract
from knuckle.predict.estimate import CropEstimate, HandEstimate
from knuckle.sample import HeldObject
from knuckle.skeleton import BONES

# The root of depths: the knuckle of the middle finger, near the centre of the hand.
ROOT = 9


def place_hand(
    contract: Contract,
    camera: Camera,
    estimate: CropEstimate,
    bone_lengths: Float[np.ndarray, "20"],
    score: float,
    side: Literal["left", "right"] | None = None,
    known_length: float | None = None,
    known_depth: float | None = None,
) -> HandEstimate:
    """A hand in the camera's frame.

    Args:
        contract: for the kind of coordinates.
        camera: of the picture.
        estimate: pixels of the picture and depths.
        bone_lengths: metres, of an average adult; the size of the hand where the coordinates are not metric.
        score: of the hand.
        side: where it is known; the network's if None.
        known_length: true length in metres of the contract's bone, where it is known; gives the hand its size instead.
        known_depth: true depth in metres of the contract's root, where it is known with that length; of 2.5D
            coordinates alone, whose own is estimated from the bone otherwise.

    Raises:
        ValueError: known_length is given, but the coordinates are metric: the network has said the size itself. Or
            known_depth is given without it, or for other coordinates than 2.5D.
    """
    if known_depth is not None and (known_length is None or contract.coordinates != "2.5d"):
        raise ValueError(
            f"the root's depth must come with a known scale, for 2.5d coordinates, but {contract.system!r} has "
            f"{contract.coordinates} ones and the scale is {known_length}"
        )
    if known_length is not None and contract.coordinates == "metric":
        raise ValueError(f"the scale must be left to {contract.system!r}, whose coordinates are metric, but was given")
    parts = [part for part in (estimate.joints, estimate.vertices, estimate.corners) if part is not None]
    # The joints come first, so that the root keeps its index.
    points = np.concatenate(parts) if len(parts) > 1 else parts[0]
    focal = focal_length(camera.K)
    if contract.in_space:
        scale = 1.0
        if contract.coordinates == "normalised":
            scale = float(bone_lengths[BONES.index(contract.bone)]) if known_length is None else known_length
        placed = scale * camera.unproject(points[:, :2], points[:, 2])
        metres_per_pixel = float(placed[contract.root, 2]) / focal
    else:
        if contract.coordinates == "sight":
            placed, distance = from_sight(camera.K, points), 1.0
        elif known_length is not None and known_depth is not None:
            distance = known_depth / known_length
            placed = (points[:, 2:] + distance) * camera.rays(points[:, :2])
        else:
            placed, _ = camera.lift_25d(points[:, :2], points[:, 2], bone=contract.bone)
            distance = float(placed[contract.root, 2])
        if known_length is None:
            scale = scale_to_size(placed[:21], bone_lengths, estimate.uncertainty)
        elif known_depth is not None:
            scale = known_length
        else:
            start, end = contract.bone
            scale = known_length / max(float(np.linalg.norm(placed[end] - placed[start])), 1e-12)
        placed, metres_per_pixel = scale * placed, scale * distance / focal
    # From the absolute error of a coordinate to a distance in space: a factor of 2 for three equal, normal errors.
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
        _held_object(contract, estimate, None if estimate.corners is None else placed[-8:], metres_per_pixel),
        estimate.masks,
    )


def _held_object(
    contract: Contract, estimate: CropEstimate, corners: Float[np.ndarray, "8 3"] | None, metres_per_pixel: float
) -> HeldObject | None:
    """None of networks that give neither a box nor a category."""
    category = probability = None
    if estimate.category is not None:
        best = int(np.argmax(estimate.category))
        category, probability = contract.categories[best], float(np.clip(estimate.category[best], 0.0, 1.0))
    if corners is not None:
        held = HeldObject.from_corners(corners, category, probability)
    elif category is not None:
        held = HeldObject(category=category, category_probability=probability)
    else:
        return None
    if "holds" in contract.outputs:
        held = replace(held, probability=float(np.clip(estimate.holds, 0.0, 1.0)))
    if estimate.corner_uncertainty is not None:
        # As that of the joints.
        held = replace(held, corner_uncertainty_mm=2e3 * metres_per_pixel * estimate.corner_uncertainty)
    return held


def to_sight(
    intrinsics: Float[Array, "*#batch 3 3"],
    points_camera: Float[Array, "*#batch n 3"],
    joints_camera: Float[Array, "*#batch 21 3"] | None = None,
) -> Float[Array, "*batch n 3"]:
    """Points in the camera's frame -> (u, v, depth) in pixels of the picture; any array library.

    depth = (distance along the root's line of sight / the root's distance - 1) * focal length in that direction

    Args:
        intrinsics: of the picture's camera.
        points_camera: (..., N, 3), the 21 joints or other points of a hand.
        joints_camera: (..., 21, 3) of the hand, where the points are others.
    """
    xp = namespace(intrinsics, points_camera)
    joints = points_camera if joints_camera is None else joints_camera
    rays = points_camera @ xp.matrix_transpose(intrinsics)
    uv = rays[..., :2] / rays[..., 2:]
    root = joints[..., ROOT : ROOT + 1, :]
    sight = root / root[..., 2:]
    along = xp.sum(points_camera * sight, axis=-1)
    scale = focal_length(intrinsics)[..., None] * xp.sqrt(xp.sum(sight**2, axis=-1))
    depth = (along / xp.sum(root * sight, axis=-1) - 1.0) * scale
    return xp.concat([uv, depth[..., None]], axis=-1)


def from_sight(
    intrinsics: Float[Array, "*#batch 3 3"], sighted: Float[Array, "*#batch n 3"]
) -> Float[Array, "*batch n 3"]:
    """Inverse of `to_sight` up to scale: joints with the root at a depth (z) of 1; any array library.

    Args:
        intrinsics: of the picture's camera.
        sighted: (..., N, 3) the 21 joints, and further points after them.
    """
    xp = namespace(intrinsics, sighted)
    lines = viewing_rays(intrinsics, sighted[..., :2])
    sight = lines[..., ROOT : ROOT + 1, :]
    squared = xp.sum(sight**2, axis=-1)
    along = 1.0 + sighted[..., 2] / (focal_length(intrinsics)[..., None] * xp.sqrt(squared))
    # No joint may lie behind the camera.
    along = xp.clip(along, min=0.2)
    return lines * (along * squared / xp.sum(lines * sight, axis=-1))[..., None]


def scale_to_size(
    joints: Float[np.ndarray, "21 3"], lengths: Float[np.ndarray, "20"], uncertainty: Float[np.ndarray, "21"]
) -> float:
    """The factor that scales a hand's bones to the given lengths on average.

    Args:
        joints: in any unit.
        lengths: metres, of each bone.
        uncertainty: of each joint, in any unit; bones between uncertain joints count less.
    """
    parents, children = np.array(BONES).T
    found = np.linalg.norm(joints[children] - joints[parents], axis=1)
    weights = 1.0 / (uncertainty[children] ** 2 + uncertainty[parents] ** 2 + 1e-12)
    return float((weights * lengths).sum() / np.maximum((weights * found).sum(), 1e-12))


def _rotation(x: float, y: float, z: float) -> Float[np.ndarray, "3 3"]:
    """`axis_angle_to_matrix` of one vector, in a tenth of the time."""
    angle = math.sqrt(x * x + y * y + z * z)
    first = math.sin(angle) / angle if angle > 1e-8 else 1.0
    second = 0.5 * (math.sin(angle / 2) / (angle / 2)) ** 2 if angle > 1e-8 else 0.5
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + first * across + second * (across @ across)


def focal_length(intrinsics: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch"]:
    """The geometric mean of a camera's two focal lengths, which the matrix of a rotated camera mixes."""
    K = intrinsics
    return abs(K[..., 0, 0] * K[..., 1, 1] - K[..., 0, 1] * K[..., 1, 0]) ** 0.5


def settle(
    camera: Camera,
    joints: Float[np.ndarray, "21 3"],
    uv: Float[np.ndarray, "21 2"],
    uncertainty: Float[np.ndarray, "21"],
    steps: int = 3,
    stiffness: float = 0.1,
) -> Float[np.ndarray, "4 4"]:
    """The small rigid motion that minimises the reprojection error of a fitted hand.

    The fit weights depth, which is uncertain, like the two directions of the picture, which are not. This lets the
    picture determine place and orientation of the hand, and leaves its articulation unchanged.

    Args:
        camera: of the picture.
        joints: (21, 3) metres, the fitted hand.
        uv: (21, 2) pixels, as the network predicted them.
        uncertainty: (21,) metres; only their ratios count.
        steps: of Gauss-Newton.
        stiffness: radians by which a hand may rotate for an error as large as its uncertainty.

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
        # A rotation by w moves an arm a by w x a; its matrix is minus the cross-product matrix of a.
        turns[:, 0, 1], turns[:, 1, 2], turns[:, 2, 0] = arms[:, 2], arms[:, 0], arms[:, 1]
        turns[:, 1, 0], turns[:, 2, 1], turns[:, 0, 2] = -arms[:, 2], -arms[:, 0], -arms[:, 1]
        rows = np.concatenate([fronts @ turns, fronts], axis=-1).reshape(-1, 6)
        values = (fronts @ (arms + centre + translation)[:, :, None]).reshape(-1)
        step = np.linalg.solve(rows.T @ rows + np.diag(damping), -rows.T @ values)
        rotation = _rotation(*step[:3].tolist()) @ rotation
        translation = translation + step[3:]
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = centre + translation - rotation @ centre
    return T
