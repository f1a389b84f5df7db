"""Contact between a hand and a body."""

import numpy as np


def separation(points: np.ndarray, skin: np.ndarray, normals: np.ndarray) -> tuple[float, np.ndarray]:
    """How far the nearest of points (N, 3) is outside a skin, metres, negative inside; and the direction out of it.

    Args:
        points: (N, 3). skin: (V, 3) vertices and normals: (V, 3) of the skin.

    Note:
        A point's distance is that from the tangent plane at its nearest vertex; where no vertex is within 12 cm of the
        points, the distance is large and the direction zero.
    """
    middle = (points.max(0) + points.min(0)) / 2
    reach = float(np.linalg.norm(points - middle, axis=1).max()) + 0.12
    near = ((skin - middle) ** 2).sum(1) < reach**2
    if not near.any():
        return 1.0, np.zeros(3)
    skin, normals = skin[near].astype(np.float32), normals[near].astype(np.float32)
    points = points.astype(np.float32)
    squared = (points * points).sum(1)[:, None] - 2 * points @ skin.T + (skin * skin).sum(1)
    nearest = squared.argmin(1)
    offset = points - skin[nearest]
    height = (offset * normals[nearest]).sum(1)
    beside = np.sqrt(np.maximum((offset * offset).sum(1) - height**2, 0))
    # Beyond the edge of a mesh the tangent plane says nothing.
    distance = np.where((beside > 0.035) & (height > -0.05), np.maximum(height, beside), height)
    # A point that deep is on the far side of a thin part, like a hand, or behind the edge of an open one.
    distance = np.where((height < 0) & ((offset * offset).sum(1) > 0.045**2), 1.0, distance)
    deepest = np.argsort(distance, kind="stable")[:12]
    outward = normals[nearest[deepest]].mean(0)
    return float(distance[deepest[0]]), outward / max(float(np.linalg.norm(outward)), 1e-6)
