"""Stage 5b: restore the local shape of the surface where several bones are blended.

Where bones rotate relative to each other, as at the web of the thumb, their blend folds and thins the surface. There it
is deformed again, as rigidly as possible, between the regions that follow a single bone.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from .weights import smoothstep

ROUNDS = 40
# A vertex whose largest weight is above the second value keeps its position; below the first it is nearly free.
HELD_FROM, HELD_AT = 0.55, 0.95
MIN_HOLD = 0.02


def edge_list(faces: np.ndarray) -> np.ndarray:
    """(E, 2) unique edges in both directions."""
    pairs = np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1)
    return np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)


def relax(shape: np.ndarray, placed: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The placed surface, deformed as rigidly as possible where bones are blended.

    Args:
        shape: (V, 3) the surface before posing, whose local shape is preserved.
        placed: (V, 3) the surface after skinning.
        faces: (F, 3) triangles.
        weights: (V, B) skinning weights.

    Returns:
        (V, 3).

    Source: Sorkine and Alexa, As-Rigid-As-Possible Surface Modeling, SGP 2007, with soft position constraints.
    """
    edges = edge_list(faces)
    count = len(shape)
    tail, head = edges.T
    links = sparse.coo_matrix((np.ones(len(edges)), (tail, head)), shape=(count, count))
    hold = MIN_HOLD + smoothstep((weights.max(axis=1) - HELD_FROM) / (HELD_AT - HELD_FROM)) * 4
    degree = np.asarray(links.sum(axis=1)).ravel()
    solve = splu((sparse.diags(degree + hold) - links).tocsc()).solve
    arms = shape[tail] - shape[head]
    result = placed
    for _ in range(ROUNDS):
        covariance = np.zeros((count, 3, 3))
        np.add.at(covariance, tail, (result[tail] - result[head])[:, :, None] * arms[:, None, :])
        u, _, vt = np.linalg.svd(covariance)
        flip = np.ones((count, 3))
        flip[:, 2] = np.sign(np.linalg.det(u @ vt))
        turn = (u * flip[:, None, :]) @ vt
        pull = np.einsum("eij,ej->ei", 0.5 * (turn[tail] + turn[head]), arms)
        right = hold[:, None] * placed
        np.add.at(right, tail, pull)
        result = solve(right)
    return result
