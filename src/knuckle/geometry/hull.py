"""Convex hulls in the plane: construction in NumPy, distances in any array library."""

import numpy as np
from jaxtyping import Bool, Float

from knuckle.arrays import Array, namespace


def convex_hull_2d(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """The corners of the convex hull, anticlockwise in a frame with x right and y up.

    Args:
        points: (N, 2) finite, N at least 1.

    Returns:
        (M, 2) corners, beginning with the lowest x (then y); collinear and repeated points are left out, so
        points on one line give its two ends, and equal points one corner.

    Raises:
        ValueError: there are no points, or they are not finite.

    Source: Andrew, Another efficient algorithm for convex hulls in two dimensions, 1979 (monotone chain).
    """
    if points.shape[0] == 0:
        raise ValueError("points must be at least one but got none")
    if not np.isfinite(points).all():
        raise ValueError(f"points must be finite but got {(~np.isfinite(points)).any(axis=1).sum()} that are not")
    ordered = np.unique(points, axis=0)
    if len(ordered) < 3:
        return ordered
    rows = [(float(x), float(y)) for x, y in ordered]

    def chain(rows: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in rows:
            while len(kept) >= 2:
                (x0, y0), (x1, y1) = kept[-2], kept[-1]
                if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.asarray(chain(rows) + chain(rows[::-1]), dtype=points.dtype)


def _edges(points: Array, hull: Array) -> tuple[Array, Array, Array]:
    """Start of every edge, its direction, and the points relative to its start."""
    xp = namespace(points, hull)
    start = hull
    along = xp.concat([hull[..., 1:, :], hull[..., :1, :]], axis=-2) - start
    return start, along, points[..., None, :] - start


def inside_hull_2d(points: Float[Array, "*#batch 2"], hull: Float[Array, "*#batch m 2"]) -> Bool[Array, "..."]:
    """Whether each point lies in the hull or on its edge.

    Args:
        points: (..., 2).
        hull: (..., M, 2) corners in either sense of rotation; leading axes broadcast against the points'. Repeating
            a corner changes nothing, so hulls of different sizes can share an array.

    Returns:
        (...) bool; False for a hull without area.
    """
    xp = namespace(points, hull)
    start, along, offset = _edges(points, hull)
    towards = start - hull[..., :1, :]
    area = xp.sum(towards[..., 0] * along[..., 1] - towards[..., 1] * along[..., 0], axis=-1)
    side = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
    return xp.all(side * xp.sign(area)[..., None] >= 0, axis=-1) & (area != 0)


def project_to_hull_edges_2d(
    points: Float[Array, "*#batch 2"], hull: Float[Array, "*#batch m 2"]
) -> Float[Array, "... m 2"]:
    """The nearest point to each point on every edge of the hull.

    Args:
        points: (..., 2).
        hull: (..., M, 2) corners; leading axes broadcast against the points'.

    Returns:
        (..., M, 2); the i-th is on the edge from corner i to the next.
    """
    xp = namespace(points, hull)
    start, along, offset = _edges(points, hull)
    squared = xp.sum(along**2, axis=-1)
    # A repeated corner is an edge of zero length: any fraction is valid, but 0 / 0 must be avoided.
    fraction = xp.sum(offset * along, axis=-1) / xp.where(squared > 0, squared, xp.ones_like(squared))
    return start + xp.clip(fraction, 0.0, 1.0)[..., None] * along


def distance_to_hull_2d(
    points: Float[Array, "*#batch 2"], hull: Float[Array, "*#batch m 2"], signed: bool = False
) -> Float[Array, "..."]:
    """Distance from each point to the hull: zero inside, or with `signed` negative.

    Args:
        points: (..., 2).
        hull: (..., M, 2) corners in either sense of rotation; leading axes broadcast against the points'. One corner
            is a point, two are a segment; repeated corners change nothing.
        signed: give minus the distance to the nearest edge inside, instead of zero.

    Returns:
        (...) in the unit of the points.

    Note:
        Outside, the negative gradient points to the nearest point of the hull. The gradient is zero inside (unless
        signed) and on the edge.
    """
    xp = namespace(points, hull)
    nearest = project_to_hull_edges_2d(points, hull)
    squared = xp.min(xp.sum((points[..., None, :] - nearest) ** 2, axis=-1), axis=-1)
    inside = inside_hull_2d(points, hull)
    zero = xp.zeros_like(squared)
    usable = squared > 0 if signed else (squared > 0) & ~inside
    # Double where: the square root has no gradient at 0.
    distance = xp.where(usable, xp.sqrt(xp.where(usable, squared, xp.ones_like(squared))), zero)
    return xp.where(inside, -distance, distance) if signed else distance
