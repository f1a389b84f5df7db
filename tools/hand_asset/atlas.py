"""Stage 8: texture coordinates.

The seams are the source's: one island contains palm and back, another the forearm. Both are parameterised again with
low distortion (as rigid as possible), the forearm at a smaller scale, and then packed into the unit square without
overlap, the hand as large as possible.
"""

import cv2
import numpy as np
from scipy import sparse
from scipy.signal import fftconvolve
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

ARAP_ROUNDS = 3
FOREARM_SCALE = 0.45
CAP_SCALE = 0.3
MARGIN = 0.008
ROTATIONS = 90
PACK_CELLS = 512


def islands(faces_uv: np.ndarray) -> np.ndarray:
    """(F,) the island of each face, numbered by first appearance, largest first."""
    count = int(faces_uv.max()) + 1
    a, b = faces_uv.ravel(), np.roll(faces_uv, -1, axis=1).ravel()
    links = sparse.coo_matrix((np.ones(len(a)), (a, b)), shape=(count, count))
    label = connected_components(links, directed=False)[1][faces_uv[:, 0]]
    names, sizes = np.unique(label, return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(names), dtype=int)
    rank[order] = np.arange(len(names))
    return rank[np.searchsorted(names, label)]


def flat_corners(points: np.ndarray) -> np.ndarray:
    """(F, 3, 2) every triangle (F, 3, 3) mapped isometrically to the plane, its first corner at the origin."""
    first, second = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    length = np.linalg.norm(first, axis=1)
    x = np.sum(first * second, axis=1) / length
    y = np.linalg.norm(np.cross(first, second), axis=1) / length
    flat = np.zeros((len(points), 3, 2))
    flat[:, 1, 0] = length
    flat[:, 2] = np.stack([x, y], axis=1)
    return flat


def half_cotangents(flat: np.ndarray) -> np.ndarray:
    """(F, 3) half the cotangent of the angle opposite each edge (k, k + 1), clamped to be positive for stability."""
    result = np.zeros((len(flat), 3))
    for k in range(3):
        apex = flat[:, (k + 2) % 3]
        a, b = flat[:, k] - apex, flat[:, (k + 1) % 3] - apex
        sine = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
        result[:, k] = 0.5 * np.sum(a * b, axis=1) / np.maximum(sine, 1e-12)
    return np.clip(result, 0.02, 20.0)


def parameterise(points: np.ndarray, faces: np.ndarray, start: np.ndarray, rounds: int = ARAP_ROUNDS) -> np.ndarray:
    """As-rigid-as-possible parameterisation of one island.

    Args:
        points: (F, 3, 3) the corners of its triangles in space.
        faces: (F, 3) its texture vertices, counted from zero.
        start: (T, 2) initial parameterisation.
        rounds: alternations of the local step (rotations) and the global step (positions).

    Returns:
        (T, 2) in the unit of `points`.

    Source: Liu et al., A Local/Global Approach to Mesh Parameterization, SGP 2008.
    """
    flat = flat_corners(points)
    weight = half_cotangents(flat)
    count = len(start)
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    links = sparse.coo_matrix((weight.ravel(), (tail, head)), shape=(count, count)).tocsr()
    links = links + links.T
    laplacian = sparse.diags(np.asarray(links.sum(axis=1)).ravel()) - links
    solve = splu((laplacian + 1e-9 * sparse.identity(count)).tocsc()).solve
    edges = np.roll(flat, -1, axis=1) - flat
    placed = start * np.sqrt(area(flat) / abs(area(start[faces])))
    for _ in range(rounds):
        now = placed[faces]
        moved = np.roll(now, -1, axis=1) - now
        covariance = np.einsum("fk,fki,fkj->fij", weight, moved, edges)
        turn = nearest_rotation(covariance)
        pull = weight[:, :, None] * np.einsum("fij,fkj->fki", turn, edges)
        right = np.zeros((count, 2))
        np.add.at(right, head, pull.reshape(-1, 2))
        np.add.at(right, tail, -pull.reshape(-1, 2))
        placed = solve(right)
    return placed


def area(corners: np.ndarray) -> float:
    """Summed signed area of plane triangles (F, 3, 2)."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return float(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2)


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """(F, 2, 2) the proper rotations nearest to the matrices."""
    c = matrices[:, 0, 0] + matrices[:, 1, 1]
    s = matrices[:, 1, 0] - matrices[:, 0, 1]
    norm = np.maximum(np.hypot(c, s), 1e-30)
    c, s = c / norm, s / norm
    return np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)


def rotated(points: np.ndarray, angle: float) -> np.ndarray:
    """Plane points rotated by an angle and translated so that their minimum coordinates are zero."""
    c, s = np.cos(angle), np.sin(angle)
    result = points @ np.array([[c, s], [-s, c]])
    return result - result.min(axis=0)


def minimal_square(points: np.ndarray) -> np.ndarray:
    """The points rotated so that their bounding square is smallest."""
    angles = np.linspace(0, np.pi / 2, ROTATIONS, endpoint=False)
    sides = [rotated(points, angle).max() for angle in angles]
    return rotated(points, angles[int(np.argmin(sides))])


def footprint(corners: np.ndarray, cells: int, grow: int) -> np.ndarray:
    """(cells, cells) true where covered by triangles (F, 3, 2) in the unit square, dilated by `grow` cells."""
    picture = np.zeros((cells, cells), dtype=np.uint8)
    for triangle in np.round(corners * (cells - 1)).astype(np.int32):
        cv2.fillConvexPoly(picture, triangle, 1)
    return cv2.dilate(picture, np.ones((2 * grow + 1, 2 * grow + 1), dtype=np.uint8)) > 0


def free_place(taken: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    """(2,) the lowest shift at which triangles (F, 3, 2) do not overlap taken cells; None if there is none."""
    cells = len(taken)
    extent = np.ceil(corners.reshape(-1, 2).max(axis=0) * cells).astype(int) + 2
    if extent.max() >= cells:
        return None
    stamp = footprint(corners, cells, 1)[: extent[1], : extent[0]]
    overlap = fftconvolve(taken.astype(float), stamp[::-1, ::-1].astype(float), mode="valid")
    rows, columns = np.nonzero(overlap < 0.5)
    return None if len(rows) == 0 else np.array([columns[0], rows[0]]) / cells


def pack(charts: list[tuple[np.ndarray, np.ndarray]], scales: tuple[float, ...]) -> list[np.ndarray]:
    """Pack charts into the unit square without overlap.

    Args:
        charts: (points (T, 2), faces (F, 3)) of each chart, metres; the first one sets the scale.
        scales: maximum scale of each chart relative to the first; a chart that does not fit is scaled down
            until it does.

    Returns:
        The charts' points (T, 2) in the unit square.

    Raises:
        ValueError: a chart fits nowhere.
    """
    first = minimal_square(charts[0][0])
    unit_scale = (1 - 2 * MARGIN) / first.max()
    placed = [first * unit_scale + MARGIN]
    grow = int(np.ceil(MARGIN * PACK_CELLS))
    taken = footprint(placed[0][charts[0][1]], PACK_CELLS, grow)
    taken[: grow + 1] = taken[-grow - 1 :] = taken[:, : grow + 1] = taken[:, -grow - 1 :] = True
    for (points, faces), scale in zip(charts[1:], scales[1:], strict=True):
        placed.append(place(points, faces, scale * unit_scale, taken))
        taken |= footprint(placed[-1][faces], PACK_CELLS, grow)
    return placed


def place(points: np.ndarray, faces: np.ndarray, scale: float, taken: np.ndarray) -> np.ndarray:
    """One chart placed in the free area, as large as possible up to `scale`."""
    while scale > 0:
        for angle in np.arange(8) * np.pi / 4:
            candidate = rotated(points, angle) * scale
            shift = free_place(taken, candidate[faces])
            if shift is not None:
                return candidate + shift
        scale *= 0.95
    raise ValueError("a chart must fit beside the others but does not; lower its scale")


def make_atlas(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, faces_uv: np.ndarray, cap: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of the whole surface.

    Args:
        vertices: (V, 3) rest, metres.
        faces: (F, 3) with the cap's faces last.
        uv: (T, 2) the source's coordinates.
        faces_uv: (F - C, 3) the source's texture vertices of all faces but the cap's.
        cap: (C, 3) the cap's faces.

    Returns:
        (T', 2) coordinates in the unit square and (F, 3) the texture vertices of all faces.
    """
    open_faces = faces[: len(faces_uv)]
    label = islands(faces_uv)
    charts, columns = [], np.zeros((len(faces), 3), dtype=int)
    offset = 0
    for island in range(label.max() + 1):
        mine = np.nonzero(label == island)[0]
        used, local = np.unique(faces_uv[mine], return_inverse=True)
        local = local.reshape(-1, 3)
        charts.append((parameterise(vertices[open_faces[mine]], local, uv[used]), local))
        columns[mine] = local + offset
        offset += len(used)
    used, local = np.unique(cap, return_inverse=True)
    local = local.reshape(-1, 3)
    # Projected as seen from the elbow, so that the cap's faces keep their winding.
    charts.append((vertices[used][:, [0, 2]], local))
    columns[len(faces_uv) :] = local + offset
    scales = (1.0, *([FOREARM_SCALE] * (len(charts) - 2)), CAP_SCALE)
    return np.concatenate(pack(charts, scales)), columns
