"""Properties of triangle meshes. NumPy only: used for pictures and files, not in training."""

import numpy as np
from jaxtyping import Float, Int


def vertex_normals(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Float[np.ndarray, "V 3"]:
    """Outward unit normals, each the area-weighted mean of the normals of the faces around a vertex.

    A vertex without faces, or whose faces have no area, gets (0, 0, 1).
    """
    corners = vertices[faces.astype(np.int64)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = faces.astype(np.int64).ravel()
    summed = np.stack(
        [np.bincount(flat, np.repeat(normal[:, axis], 3), minlength=len(vertices)) for axis in range(3)], axis=-1
    )
    length = np.linalg.norm(summed, axis=-1, keepdims=True)
    return np.where(length > 0, summed / np.where(length > 0, length, 1.0), np.asarray([0.0, 0.0, 1.0]))
