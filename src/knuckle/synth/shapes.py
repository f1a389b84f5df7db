"""Closed shapes that objects are made of: each a mesh to render and its signed distance.

Distances are negative inside. Those of single shapes are exact, except along tubes whose radius changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

# Points (N, 3) in metres to signed distances (N,).
Distance: TypeAlias = Callable[[np.ndarray], np.ndarray]
# As they are written down: one point, and several.
Coordinates: TypeAlias = np.ndarray | Sequence[float | int]
Points: TypeAlias = np.ndarray | Sequence[Coordinates]

_AROUND = 32  # vertices around a lathed shape
_TUBE_AROUND = 12
_FILLET_STEPS = 3


@dataclass(frozen=True, eq=False)
class Shape:
    """A closed mesh and its signed distance.

    Attributes:
        vertices: (N, 3) metres. normals: (N, 3) unit. faces: (F, 3), counter-clockwise seen from outside.
        distance: signed distance, points (N, 3) to (N,) metres.
        finish: what it is made of, a name of finishes.FINISHES.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    distance: Distance
    finish: str = "plastic"

    def moved(self, offset: Coordinates, rotation: np.ndarray | None = None) -> "Shape":
        """The shape rotated by (3, 3), then moved by (3,) metres."""
        shift, turn = np.asarray(offset, float), np.eye(3) if rotation is None else rotation
        distance = self.distance
        return replace(
            self,
            vertices=self.vertices @ turn.T + shift,
            normals=self.normals @ turn.T,
            distance=lambda points: distance((points - shift) @ turn),
        )

    def of(self, finish: str) -> "Shape":
        """The shape of another material."""
        return replace(self, finish=finish)


def lathe(profile: Points, fillet: float = 0.001) -> Shape:
    """A solid of revolution about x.

    Args:
        profile: (P, 2) of x and radius in metres along its outline, from one end to the other, where the first and the
            last radius are zero; solid on the right of the outline as seen with x to the right and the radius up.
        fillet: radius to which the outline's corners are rounded, metres.
    """
    outline = _filleted(np.asarray(profile, float), fillet)
    x, radius = outline[1:-1].T
    around = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    rings = np.stack(
        [
            np.broadcast_to(x[:, None], (len(x), _AROUND)),
            radius[:, None] * np.cos(around),
            radius[:, None] * np.sin(around),
        ],
        -1,
    )
    poles = np.array([[outline[0, 0], 0, 0], [outline[-1, 0], 0, 0]])
    vertices = np.concatenate([rings.reshape(-1, 3), poles])
    faces = _swept_faces(len(x), _AROUND, closed=False)
    return _oriented(vertices, faces, _revolved_distance(outline))


def ball(radius: float, stretch: float = 1.0, stretch_end: float | None = None) -> Shape:
    """A ball, its halves stretched along x by factors: an egg where they differ."""
    angle = np.linspace(np.pi, 0, 25)
    factor = np.where(angle > np.pi / 2, stretch, stretch if stretch_end is None else stretch_end)
    outline = np.stack([radius * factor * np.cos(angle), radius * np.sin(angle)], -1)
    outline[[0, -1], 1] = 0.0
    return lathe(outline, fillet=0.0)


def box(half_extents: Coordinates, rounding: float = 0.002) -> Shape:
    """A box with rounded edges. half_extents: (3,) metres, the rounding within."""
    half = np.asarray(half_extents, float)
    rounding = float(min(rounding, 0.999 * half.min()))
    inner = half - rounding
    # Along each axis: a fan of directions over either rounded edge, and the flat middle between.
    bend = np.tan(np.linspace(-np.pi / 4, np.pi / 4, 5))
    points, faces = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            # Directions of a grid on this face of the cube, and the corner of the inner box each belongs to.
            u, v = np.meshgrid(np.concatenate([bend, bend]), np.concatenate([bend, bend]), indexing="ij")
            low = np.arange(10) < 5
            corner_u, corner_v = np.meshgrid(np.where(low, -1.0, 1.0), np.where(low, -1.0, 1.0), indexing="ij")
            direction = np.zeros((10, 10, 3))
            direction[..., axis] = sign
            direction[..., (axis + 1) % 3] = np.where(corner_u * u > 0, u, 0.0)
            direction[..., (axis + 2) % 3] = np.where(corner_v * v > 0, v, 0.0)
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            corner = np.zeros((10, 10, 3))
            corner[..., axis], corner[..., (axis + 1) % 3], corner[..., (axis + 2) % 3] = sign, corner_u, corner_v
            grid = corner * inner + rounding * direction
            start = 100 * (2 * axis + (sign > 0))
            i, j = np.mgrid[:9, :9]
            a = start + 10 * i + j
            quads = np.stack([a, a + 10, a + 11, a + 1], -1).reshape(-1, 4)
            quads = quads if sign > 0 else quads[:, ::-1]
            faces.append(np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
            points.append(grid.reshape(-1, 3))
    vertices, faces = weld(np.concatenate(points), np.concatenate(faces))

    def distance(points: np.ndarray) -> np.ndarray:
        q = np.abs(points) - inner
        outside = np.linalg.norm(np.maximum(q, 0), axis=-1)
        return outside + np.minimum(q.max(-1), 0) - rounding

    return _oriented(vertices, faces, distance)


def tube(path: Points, radius: float | Sequence[float], closed: bool = False) -> Shape:
    """A round tube along a path, with round ends or closed to a ring.

    Args:
        path: (P, 3) metres, with gentle bends.
        radius: metres, of the whole tube or (P,) at each point.
        closed: the last point is joined to the first.
    """
    points = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), len(points)).copy()
    along = np.roll(points, -1, 0) - np.roll(points, 1, 0) if closed else np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    # Bends lie in a plane or nearly so: one direction stays across all of them.
    across = _across(along)
    centres, widths = points, radii
    if not closed:
        cap = np.linspace(np.pi / 2, 0, 4)[1:-1]  # from the pole to the first ring
        first = points[0] - radii[0] * np.sin(cap)[:, None] * along[0]
        last = points[-1] + radii[-1] * np.sin(cap[::-1])[:, None] * along[-1]
        centres = np.concatenate([first, points, last])
        widths = np.concatenate([radii[0] * np.cos(cap), radii, radii[-1] * np.cos(cap[::-1])])
        along = np.concatenate([along[[0] * len(cap)], along, along[[-1] * len(cap)]])
        across = np.concatenate([across[[0] * len(cap)], across, across[[-1] * len(cap)]])
    other = np.cross(along, across)
    around = np.linspace(0, 2 * np.pi, _TUBE_AROUND, endpoint=False)[:, None]
    rings = centres[:, None] + widths[:, None, None] * (
        np.cos(around) * across[:, None] + np.sin(around) * other[:, None]
    )
    vertices = rings.reshape(-1, 3)
    if not closed:
        poles = [points[0] - radii[0] * along[0], points[-1] + radii[-1] * along[-1]]
        vertices = np.concatenate([vertices, poles])
    faces = _swept_faces(len(centres), _TUBE_AROUND, closed)
    return _oriented(vertices, faces, _tube_distance(points, radii, closed))


def ring(half_width: float, half_height: float, thickness: float) -> Shape:
    """An elliptical ring in the x-y plane about the origin, of round section; metres."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    path = np.stack([half_width * np.cos(angle), half_height * np.sin(angle), np.zeros(24)], -1)
    return tube(path, thickness, closed=True)


def weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that lie within a hundredth of a millimetre joined, and the faces that are left."""
    _, first, number = np.unique(
        np.round(vertices / 1e-5).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    faces = number.reshape(-1)[faces]
    kept = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return vertices[first], faces[kept]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3), the mean of those of the faces around each vertex by area."""
    corners = vertices[faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(total, faces[:, i], face)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-15)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume of a closed mesh, cubic metres; positive where its faces are wound outward."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def _oriented(vertices: np.ndarray, faces: np.ndarray, distance: Distance) -> Shape:
    if volume(vertices, faces) < 0:
        faces = faces[:, ::-1]
    return Shape(vertices, vertex_normals(vertices, faces), faces, distance)


def _swept_faces(rings: int, around: int, closed: bool) -> np.ndarray:
    """Faces (F, 3) between rings of vertices, and of the two ends, whose poles are the two vertices after the rings."""
    i, j = np.meshgrid(np.arange(rings if closed else rings - 1), np.arange(around), indexing="ij")
    a, b = i * around + j, i * around + (j + 1) % around
    c, d = (i + 1) % rings * around + j, (i + 1) % rings * around + (j + 1) % around
    faces = [np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    if not closed:
        j = np.arange(around)
        last = (rings - 1) * around
        faces.append(np.stack([np.full(around, rings * around), (j + 1) % around, j], -1))
        faces.append(np.stack([np.full(around, rings * around + 1), last + j, last + (j + 1) % around], -1))
    return np.concatenate(faces)


def _filleted(outline: np.ndarray, radius: float) -> np.ndarray:
    """An outline (P, 2) with its inner corners rounded."""
    if radius <= 0:
        return outline
    points = [outline[:1]]
    for before, corner, after in zip(outline[:-2], outline[1:-1], outline[2:], strict=True):
        arms = [end - corner for end in (before, after)]
        lengths = [float(np.linalg.norm(arm)) for arm in arms]
        reach = min(radius, 0.45 * min(lengths))
        t = np.linspace(0, 1, _FILLET_STEPS + 1)[:, None]
        start, end = (corner + reach * arm / length for arm, length in zip(arms, lengths, strict=True))
        points.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    points.append(outline[-1:])
    return np.concatenate(points)


def _across(along: np.ndarray) -> np.ndarray:
    """Unit vectors (P, 3) across directions (P, 3), turning as little as possible from one to the next."""
    across = np.empty_like(along)
    previous = np.eye(3)[np.argmin(np.abs(along).max(0))]
    for i, direction in enumerate(along):
        previous = previous - (previous @ direction) * direction
        previous = previous / np.linalg.norm(previous)
        across[i] = previous
    return across


def _revolved_distance(outline: np.ndarray) -> Distance:
    start, edge = outline[:-1], np.diff(outline, axis=0)
    squared = np.maximum((edge * edge).sum(1), 1e-18)

    def distance(points: np.ndarray) -> np.ndarray:
        x, radius = points[:, 0, None], np.hypot(points[:, 1], points[:, 2])[:, None]
        dx, dr = x - start[:, 0], radius - start[:, 1]
        t = np.clip((dx * edge[:, 0] + dr * edge[:, 1]) / squared, 0, 1)
        nearest = np.sqrt(((dx - t * edge[:, 0]) ** 2 + (dr - t * edge[:, 1]) ** 2).min(1))
        # Inside where a ray away from the axis crosses the outline an odd number of times.
        end = start[:, 0] + edge[:, 0]
        spans = (start[:, 0] <= x) != (end <= x)
        with np.errstate(divide="ignore", invalid="ignore"):
            height = start[:, 1] + dx / edge[:, 0] * edge[:, 1]
        inside = (spans & (height > radius)).sum(1) % 2 == 1
        return np.where(inside, -nearest, nearest)

    return distance


def _tube_distance(path: np.ndarray, radii: np.ndarray, closed: bool) -> Distance:
    start, end = (path, np.roll(path, -1, 0)) if closed else (path[:-1], path[1:])
    first, last = (radii, np.roll(radii, -1)) if closed else (radii[:-1], radii[1:])
    edge = end - start
    squared = (edge * edge).sum(1)

    def distance(points: np.ndarray) -> np.ndarray:
        off = points[:, None] - start
        t = np.clip((off * edge).sum(-1) / squared, 0, 1)
        gap = np.linalg.norm(off - t[..., None] * edge, axis=-1)
        return (gap - (first + t * (last - first))).min(1)

    return distance
