"""How a prediction is laid over the truth before errors are taken: the ways of the field, each by its own name.

All of them are NumPy, in any length unit, and take any leading axes. `points` is the prediction, `target` the
truth; what comes back are the points, moved.
"""

import numpy as np
from jaxtyping import Float

from knuckle.geometry.align import align_similarity, apply_similarity


def align_root(
    points: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"], root: int = 0
) -> Float[np.ndarray, "*batch n 3"]:
    """Points, moved so that their root joint is the target's ("root-relative").

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth.
        root: index of the root joint.

    Returns:
        (..., N, 3) points + (target_root - points_root).
    """
    return points + (target[..., root : root + 1, :] - points[..., root : root + 1, :])


def align_root_scale(
    points: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    root: int = 0,
    bone: tuple[int, int] = (0, 9),
) -> Float[np.ndarray, "*batch n 3"]:
    """Points, scaled so that one bone is as long as the target's, then moved so that the roots meet.

    With the bone (0, 9), wrist to middle MCP, this is HO-3D's scale-translation alignment; with (9, 10), middle
    MCP to PIP, it is what Zimmermann & Brox, and all who score RHD and STB after them, do by giving the true scale.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth.
        root: index of the root joint.
        bone: the two joints whose distance sets the scale.

    Returns:
        (..., N, 3). Points whose bone has no length stay unscaled, as in the official script.
    """
    a, b = bone
    length = np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1)
    wanted = np.linalg.norm(target[..., a, :] - target[..., b, :], axis=-1)
    # A collapsed prediction is kept collapsed (the official script skips the division) but still meets the scale.
    scale = wanted / np.where(length > 0, length, 1.0)
    moved = (points - points[..., root : root + 1, :]) * scale[..., None, None]
    return moved + target[..., root : root + 1, :]


def align_scale_translation(
    points: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"]
) -> Float[np.ndarray, "*batch n 3"]:
    """Points under the scale and translation that bring them nearest to the target; no rotation.

    "Best root and scale", as Dexter+Object is scored, where neither is known and only fingertips are labelled.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth; points that are NaN there are moved with the rest.

    Returns:
        (..., N, 3), least squares over the labelled points; the scale is never negative.
    """
    target, weights = _labelled(target)
    share = weights[..., None] / np.maximum(weights.sum(-1), 1.0)[..., None, None]
    centre = (share * points).sum(-2, keepdims=True)
    wanted = (share * target).sum(-2, keepdims=True)
    a, b = points - centre, target - wanted
    spread = (share * np.square(a)).sum((-2, -1), keepdims=True)
    scale = np.maximum((share * a * b).sum((-2, -1), keepdims=True), 0.0) / np.where(spread > 0, spread, 1.0)
    return a * scale + wanted


def align_procrustes(
    points: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    allow_reflection: bool = False,
) -> Float[np.ndarray, "*batch n 3"]:
    """Points under the similarity (rotation, scale, translation) that brings them nearest to the target.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth; points that are NaN there do not count, and are moved with the rest.
        allow_reflection: as the official scripts of FreiHAND, HO-3D and DexYCB have it, where a mirror image
            of the truth scores zero. False asks for a proper rotation.

    Returns:
        (..., N, 3). Points that coincide all land on the target's mean.
    """
    return apply_similarity(*similarity(points, target, allow_reflection), points)


def similarity(
    points: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    allow_reflection: bool = False,
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch 3 3"], Float[np.ndarray, "*batch 3"]]:
    """Scale, rotation and translation of align_procrustes; also for points that coincide (scale 0).

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth; points that are NaN there do not count.
        allow_reflection: accept a rotation with determinant -1.

    Returns:
        scale (...), rotation (..., 3, 3), translation (..., 3): target ~ scale * rotation @ point + translation.
    """
    target, weights = _labelled(target)
    weights = None if np.all(weights) else weights
    collapsed = np.asarray((points == points[..., :1, :]).all((-2, -1)))
    if not collapsed.any():
        return align_similarity(points, target, weights, allow_reflection)
    # A predictor that gives the same point 21 times has no rotation: the truth stands in for it, at scale 0.
    stand_in = np.where(np.expand_dims(collapsed, (-2, -1)), target, points)
    scale, rotation, translation = align_similarity(stand_in, target, weights, allow_reflection)
    share = np.ones(target.shape[:-1]) if weights is None else weights
    total = np.maximum(share.sum(-1, keepdims=True), 1.0)
    middle = (share[..., None] * target).sum(-2) / total
    return np.where(collapsed, 0.0, scale), rotation, np.where(np.expand_dims(collapsed, -1), middle, translation)


def _labelled(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The target with zeros where it is NaN, and weights (..., N) that are zero there."""
    known = np.asarray(np.isfinite(target).all(-1))
    weights = known.astype(target.dtype)
    return (target if known.all() else np.where(np.expand_dims(known, -1), target, 0.0)), weights


def align_by_keypoints_official(
    vertices: Float[np.ndarray, "*batch v 3"],
    joints: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
) -> Float[np.ndarray, "*batch v 3"]:
    """A mesh that is not in the truth's topology, moved by its joints' alignment exactly as the official scripts do.

    The scripts of FreiHAND and HO-3D turn and scale such a mesh about its own mean, and apply the scale that
    belongs to joints divided by their norm to vertices that were not: aligned F-scores of such meshes come out near
    zero there. Kept to report the official number; align_by_keypoints is the alignment that was meant.

    Args:
        vertices: (..., V, 3) predicted mesh.
        joints: (..., N, 3) predicted joints.
        target: (..., N, 3) true joints.

    Returns:
        (..., V, 3).
    """
    scale, rotation, _ = similarity(joints, target, allow_reflection=True)
    centre, wanted = joints.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    norm = np.linalg.norm(joints - centre, axis=(-2, -1))
    middle = vertices.mean(-2, keepdims=True)
    turned = (vertices - middle) @ np.swapaxes(rotation, -1, -2) * (scale * norm)[..., None, None]
    return turned + (wanted - centre) + middle


def align_by_keypoints(
    vertices: Float[np.ndarray, "*batch v 3"],
    joints: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    allow_reflection: bool = False,
) -> Float[np.ndarray, "*batch v 3"]:
    """A mesh of any topology, moved by the similarity that lays its joints over the true joints.

    Args:
        vertices: (..., V, 3) predicted mesh.
        joints: (..., N, 3) predicted joints.
        target: (..., N, 3) true joints.
        allow_reflection: accept a rotation with determinant -1.

    Returns:
        (..., V, 3).
    """
    return apply_similarity(*similarity(joints, target, allow_reflection), vertices)
