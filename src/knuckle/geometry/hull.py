"""Convex hulls in the plane: construction in NumPy, distances in any array library."""

import numpy as np
from jaxtyping import Bool, Float

from knuckle.arrays import Array, namespace

# A cross product this small is rounding error: of coordinates of the order of one.
_ROUNDING = 1e-12


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


def dilate_hull_2d(hull: Float[np.ndarray, "m 2"], margin: float, sides: int = 16) -> Float[np.ndarray, "k 2"]:
    """A hull that contains every point within `margin` of another: its sum with a regular polygon around that circle.

    Args:
        hull: (M, 2) corners, M at least 1: a point or a segment gets an area too.
        margin: at least 0, in the unit of the corners.
        sides: of the polygon; it reaches 1 / cos(pi / sides) times the margin at its corners.

    Returns:
        (K, 2) corners, anticlockwise, as from convex_hull_2d.

    Raises:
        ValueError: the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"margin must be at least 0 but got {margin}")
    bearings = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
    circle = margin / np.cos(np.pi / sides) * np.stack([np.cos(bearings), np.sin(bearings)], axis=1)
    return convex_hull_2d((hull[:, None] + circle).reshape(-1, 2))


def reduce_hull_2d(hull: Float[np.ndarray, "m 2"], tolerance: float) -> Float[np.ndarray, "k 2"]:
    """A hull without the corners that are within the tolerance of the line between their neighbours.

    Args:
        hull: (M, 2) corners, anticlockwise.
        tolerance: in the unit of the corners; no point of the hull is farther than this from the result.

    Returns:
        (K, 2), some of the corners: it lies within the hull.

    Source: Ramer, 1972; Douglas and Peucker, 1973.
    """
    return hull[_douglas_peucker(hull, tolerance)]


def simplify_hull_2d(
    hull: Float[np.ndarray, "m 2"],
    points: Float[np.ndarray, "n 2"],
    share: float = 0.9995,
    tolerance: float = 5e-4,
) -> Float[np.ndarray, "k 2"]:
    """A hull with fewer corners that still contains most of the points.

    Ramer-Douglas-Peucker first, by a smaller tolerance where it would leave out too many; then the corner whose removal
    leaves out the fewest points goes, as long as the share stays inside.
    Every corner is one of the given hull's, so the result is convex and lies within it.

    Args:
        hull: (M, 2) corners, anticlockwise, as from convex_hull_2d.
        points: (N, 2) that the share is counted of.
        share: of the points, 0 to 1, that stays inside.
        tolerance: largest distance of a corner that Ramer-Douglas-Peucker leaves out, in the unit of the corners.

    Returns:
        (K, 2) corners, K >= 3, anticlockwise; the hull itself where it has three corners or fewer.

    Raises:
        ValueError: the share is not between 0 and 1.

    Source: Spurr et al., ECCV 2020, appendix, as in public code.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1 but got {share}")
    if len(hull) <= 3:
        return hull
    kept = _douglas_peucker(hull, tolerance)
    inside = points[_within(points, hull[kept])]
    # Among few points even a thin strip along the edge can hold more than may be left out.
    while len(kept) < len(hull) and (len(kept) < 3 or len(inside) < share * len(points)):
        tolerance = tolerance / 2 if tolerance > _ROUNDING else -1.0
        kept = _douglas_peucker(hull, tolerance)
        inside = points[_within(points, hull[kept])]
    allowed = len(inside) - share * len(points)
    # What a corner's removal costs changes only for its two neighbours.
    lost = [_in_ear(inside, hull, kept, i) for i in range(len(kept))]
    while len(kept) > 3:
        counts = [(int(ear.sum()), _ear_area(hull, kept, i)) for i, ear in enumerate(lost)]
        i = min(range(len(kept)), key=counts.__getitem__)
        if counts[i][0] > allowed:
            break
        allowed -= counts[i][0]
        remaining = ~lost[i]
        inside, lost = inside[remaining], [ear[remaining] for ear in lost]
        del kept[i], lost[i]
        for j in (i - 1, i % len(kept)):
            lost[j] = _in_ear(inside, hull, kept, j)
    return hull[kept]


def _within(points: np.ndarray, corners: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Which points are in the hull of anticlockwise corners; a corner is, in spite of rounding."""
    within = np.ones(len(points), bool)
    for start, along in zip(corners, np.roll(corners, -1, axis=0) - corners, strict=True):
        offset = points - start
        within &= along[0] * offset[:, 1] - along[1] * offset[:, 0] >= -_ROUNDING
    return within


def _douglas_peucker(hull: np.ndarray, tolerance: float) -> list[int]:
    """Indices of the corners of a closed polygon that stay, in order."""
    # A closed line is two open ones between its first corner and the one farthest from it.
    far = int(np.argmax(((hull - hull[0]) ** 2).sum(1)))
    closed = np.concatenate([hull, hull[:1]])
    kept, spans = {0, far}, [(0, far), (far, len(hull))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        along = closed[last] - closed[first]
        offset = closed[first + 1 : last] - closed[first]
        distance = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / np.hypot(*along)
        middle = first + 1 + int(np.argmax(distance))
        if distance.max() > tolerance:
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return sorted(kept)


def _ear(hull: np.ndarray, kept: list[int], i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corner i with the ones before and after it."""
    return hull[kept[i - 1]], hull[kept[i]], hull[kept[(i + 1) % len(kept)]]


def _in_ear(points: np.ndarray, hull: np.ndarray, kept: list[int], i: int) -> Bool[np.ndarray, " n"]:
    """Which points, all inside the hull, are no longer inside once corner i is removed."""
    before, _, after = _ear(hull, kept, i)
    along, offset = after - before, points - before
    return along[0] * offset[:, 1] - along[1] * offset[:, 0] < -_ROUNDING


def _ear_area(hull: np.ndarray, kept: list[int], i: int) -> float:
    before, corner, after = _ear(hull, kept, i)
    one, other = corner - before, after - before
    return 0.5 * abs(float(one[0] * other[1] - one[1] * other[0]))
