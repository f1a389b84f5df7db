"""Penetration depth of the fingertips into the rest of a posed hand. NumPy only: used for poses, not in training."""

import numpy as np
from jaxtyping import Float, Int

from knuckle.handmodel.model import HandModel

# A point farther than this from every other vertex is outside: half the thickness of a hand at most.
_REACH = 0.02


def fingertip_depths(model: HandModel, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, " 5"]:
    """Penetration depth of each fingertip into the rest of the hand.

    A fingertip is the surface of its distal bone; the rest of the hand is the surface without that finger.

    Args:
        model: a hand with NumPy constants.
        vertices: (V, 3) its posed mesh, metres; a right hand in any frame.

    Returns:
        (5,) metres, thumb to little finger: depth of the fingertip's deepest vertex below the surface, 0 outside.
    """
    owner = _finger_of(model)
    distal = np.argmax(model.weights, axis=1)
    depths = np.zeros(5)
    for finger in range(5):
        tip = vertices[(distal == 3 + 3 * finger) & (model.weights[:, 3 + 3 * finger] > 0.5)]
        others = model.faces[(owner[model.faces] != finger).all(axis=1)]
        rest = vertices[np.unique(others)]
        nearest = np.sqrt(np.min(np.sum((tip[:, None] - rest) ** 2, axis=-1), axis=1))
        near = tip[nearest < _REACH]
        inside = near[winding_numbers(near, vertices, others) > 0.5]
        if len(inside):
            depths[finger] = mesh_distances(inside, vertices, others).max()
    return depths


def winding_numbers(
    points: Float[np.ndarray, "p 3"], vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " p"]:
    """Generalised winding number of a surface about each point: 1 inside, 0 outside, fractional near holes.

    Args:
        points: (P, 3).
        vertices: (V, 3).
        faces: (F, 3), counter-clockwise seen from outside.

    Source: van Oosterom and Strackee, 1983, for the solid angle of a triangle; Jacobson et al., SIGGRAPH 2013.
    """
    numbers = np.zeros(len(points))
    for start in range(0, len(points), 64):  # in chunks, because P x F vectors do not fit in the cache
        a, b, c = (vertices[faces[:, i]] - points[start : start + 64, None] for i in range(3))
        la, lb, lc = (np.linalg.norm(corner, axis=-1) for corner in (a, b, c))
        triple = np.einsum("pfc,pfc->pf", a, np.cross(b, c))
        ab, bc, ca = (np.einsum("pfc,pfc->pf", one, other) for one, other in ((a, b), (b, c), (c, a)))
        angle = 2 * np.arctan2(triple, la * lb * lc + ab * lc + bc * la + ca * lb)
        numbers[start : start + 64] = angle.sum(axis=1) / (4 * np.pi)
    return numbers


def mesh_distances(
    points: Float[np.ndarray, "p 3"], vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " p"]:
    """Distance from each point to the nearest point of a triangle mesh.

    Args:
        points: (P, 3).
        vertices: (V, 3).
        faces: (F, 3), at least one.
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    nearest = np.full(len(points), np.inf)
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-30)
    for i, point in enumerate(points):
        height = np.einsum("fc,fc->f", point - a, normal)
        foot = point - height[:, None] * normal
        inside = np.ones(len(faces), bool)
        best = np.full(len(faces), np.inf)
        for start, end in ((a, b), (b, c), (c, a)):
            edge = end - start
            inside &= np.einsum("fc,fc->f", np.cross(edge, foot - start), normal) >= 0
            along = np.einsum("fc,fc->f", point - start, edge) / np.maximum(np.einsum("fc,fc->f", edge, edge), 1e-30)
            gap = point - start - np.clip(along, 0, 1)[:, None] * edge
            best = np.minimum(best, np.linalg.norm(gap, axis=-1))
        nearest[i] = np.where(inside, np.minimum(np.abs(height), best), best).min()
    return nearest


def _finger_of(model: HandModel) -> Int[np.ndarray, " v"]:
    """For each vertex the finger, 0 to 4, with the largest skinning weight; -1 for palm and forearm."""
    bone = np.argmax(model.weights, axis=1)
    return np.where((bone >= 1) & (bone <= 15), (bone - 1) // 3, -1)
