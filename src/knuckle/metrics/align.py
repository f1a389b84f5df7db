"""Alignments of a prediction to the truth before errors are computed, each under the name that the field uses.

NumPy, in any length unit, with any leading axes. `points` is the prediction, `target` the truth; the result is the
aligned points.
"""

import numpy as np
from jaxtyping import Float

from knuckle.geometry.align import align_similarity, apply_similarity


def align_root(
    points: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"], root: int = 0
) -> Float[np.ndarray, "*batch n 3"]:
    """Translate points so that the root joints coincide ("root-relative").

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
    """Scale points so that one bone is as long as the target's, then translate them so that the roots coincide.

    With the bone (0, 9), wrist to middle MCP, this is HO-3D's scale-translation alignment; with (9, 10), middle
    MCP to PIP, it is the ground-truth scale of Zimmermann & Brox, and of later scores on RHD and STB.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth.
        root: index of the root joint.
        bone: the two joints whose distance determines the scale.

    Returns:
        (..., N, 3). Points whose bone has no length stay unscaled, as in the official script.
    """
    a, b = bone
    length = np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1)
    target_length = np.linalg.norm(target[..., a, :] - target[..., b, :], axis=-1)
    # A bone without length: the official script skips the division but multiplies by the true length.
    scale = target_length / np.where(length > 0, length, 1.0)
    scaled = (points - points[..., root : root + 1, :]) * scale[..., None, None]
    return scaled + target[..., root : root + 1, :]


def align_scale_translation(
    points: Float[np.ndarray, "*batch n 3"], target: Float[np.ndarray, "*batch n 3"]
) -> Float[np.ndarray, "*batch n 3"]:
    """Scale and translate points to the least-squares fit to the target; no rotation.

    The "best root and scale" of Dexter+Object, where only fingertips are labelled.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth; points that are NaN there do not count, and are transformed with the rest.

    Returns:
        (..., N, 3), aligned points; the scale is never negative.
    """
    target, weights = _labelled(target)
    share = weights[..., None] / np.maximum(weights.sum(-1), 1.0)[..., None, None]
    centre = (share * points).sum(-2, keepdims=True)
    target_centre = (share * target).sum(-2, keepdims=True)
    a, b = points - centre, target - target_centre
    variance = (share * np.square(a)).sum((-2, -1), keepdims=True)
    scale = np.maximum((share * a * b).sum((-2, -1), keepdims=True), 0.0) / np.where(variance > 0, variance, 1.0)
    return a * scale + target_centre


def align_procrustes(
    points: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    allow_reflection: bool = False,
) -> Float[np.ndarray, "*batch n 3"]:
    """Transform points by the similarity (rotation, scale, translation) that fits the target best.

    Args:
        points: (..., N, 3) prediction.
        target: (..., N, 3) truth; points that are NaN there do not count, and are transformed with the rest.
        allow_reflection: as in the official scripts of FreiHAND, HO-3D and DexYCB, under which a mirror image of
            the truth has zero error. False restricts the rotation to a proper one.

    Returns:
        (..., N, 3). Points that all coincide are mapped to the target's mean.
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
    # Points that coincide have no rotation: the truth replaces them, at scale 0.
    substitute = np.where(np.expand_dims(collapsed, (-2, -1)), target, points)
    scale, rotation, translation = align_similarity(substitute, target, weights, allow_reflection)
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
    """Align a mesh of another topology by its joints, exactly as the official scripts do.

    The scripts of FreiHAND and HO-3D rotate and scale such a mesh about its own mean, and apply the scale of joints
    divided by their norm to vertices that are not divided by it: aligned F-scores of such meshes are near zero there.
    Kept to report the official number; align_by_keypoints is the intended alignment.

    Args:
        vertices: (..., V, 3) predicted mesh.
        joints: (..., N, 3) predicted joints.
        target: (..., N, 3) true joints.

    Returns:
        (..., V, 3).
    """
    scale, rotation, _ = similarity(joints, target, allow_reflection=True)
    centre, target_centre = joints.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    norm = np.linalg.norm(joints - centre, axis=(-2, -1))
    mesh_centre = vertices.mean(-2, keepdims=True)
    rotated = (vertices - mesh_centre) @ np.swapaxes(rotation, -1, -2) * (scale * norm)[..., None, None]
    return rotated + (target_centre - centre) + mesh_centre


def align_by_keypoints(
    vertices: Float[np.ndarray, "*batch v 3"],
    joints: Float[np.ndarray, "*batch n 3"],
    target: Float[np.ndarray, "*batch n 3"],
    allow_reflection: bool = False,
) -> Float[np.ndarray, "*batch v 3"]:
    """Align a mesh of any topology by the similarity from its joints to the true joints.

    Args:
        vertices: (..., V, 3) predicted mesh.
        joints: (..., N, 3) predicted joints.
        target: (..., N, 3) true joints.
        allow_reflection: accept a rotation with determinant -1.

    Returns:
        (..., V, 3).
    """
    return apply_similarity(*similarity(joints, target, allow_reflection), vertices)
