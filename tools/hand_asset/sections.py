"""Plane sections of a triangle surface, for the centres of fingers."""

import numpy as np


def triangulate(quads: np.ndarray) -> np.ndarray:
    """(2 Q, 3) each quad split along its first diagonal; sufficient for sections."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def plane_basis(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors that span the plane perpendicular to `normal`, right-handed with it."""
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    first = np.cross(normal, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(normal, first)


def section_loops(
    vertices: np.ndarray, triangles: np.ndarray, point: np.ndarray, normal: np.ndarray
) -> list[np.ndarray]:
    """Closed polylines (K, 3) in which the plane through `point` intersects the surface; open ones are left out."""
    side = (vertices - point) @ normal
    side = np.where(side == 0, 1e-12, side)
    follow: dict[tuple[int, int], tuple[int, int]] = {}
    place: dict[tuple[int, int], np.ndarray] = {}
    for triangle in triangles[np.ptp(np.sign(side[triangles]), axis=1) > 0]:
        ends: dict[bool, tuple[int, int]] = {}
        for a, b in zip(triangle, np.roll(triangle, -1), strict=True):
            if (side[a] > 0) != (side[b] > 0):
                key = (int(min(a, b)), int(max(a, b)))
                share = side[a] / (side[a] - side[b])
                place[key] = vertices[a] + share * (vertices[b] - vertices[a])
                ends[bool(side[a] > 0)] = key
        follow[ends[True]] = ends[False]
    loops = []
    while follow:
        first, at = next(iter(follow.items()))
        del follow[first]
        loop = [first]
        while at != first and at in follow:
            loop.append(at)
            at = follow.pop(at)
        if at == first:
            loops.append(np.array([place[key] for key in loop]))
    return loops


def loop_centroid(loop: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, float]:
    """Centroid (3,) of the area enclosed by a plane loop, and that area (unsigned)."""
    first, second = plane_basis(normal)
    origin = loop.mean(axis=0)
    flat = np.stack([(loop - origin) @ first, (loop - origin) @ second], axis=1)
    ahead = np.roll(flat, -1, axis=0)
    cross = flat[:, 0] * ahead[:, 1] - flat[:, 1] * ahead[:, 0]
    area = cross.sum() / 2
    centre = ((flat + ahead) * cross[:, None]).sum(axis=0) / (6 * area)
    return origin + centre[0] * first + centre[1] * second, abs(area)


def section_centre(vertices: np.ndarray, triangles: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(3,) the centroid of the section whose centroid lies nearest to `point`. Raises ValueError if none is closed."""
    normal = normal / np.linalg.norm(normal)
    centres = [loop_centroid(loop, normal)[0] for loop in section_loops(vertices, triangles, point, normal)]
    if not centres:
        raise ValueError(f"the plane through {point} must cut the surface in a closed loop but does not")
    return min(centres, key=lambda centre: float(np.linalg.norm(centre - point)))
