"""Stage 2: a triangle mesh with fewer vertices, all of them vertices of the original.

Half-edge collapse by quadric error (Garland and Heckbert, SIGGRAPH 1997): what belongs to a vertex (skinning weights,
shape directions) stays exact, since no vertex moves.
"""

import heapq
from collections import defaultdict

import numpy as np

# A triangle's normal may turn by less than this (a cosine) when a neighbour vanishes.
MIN_TURN = 0.3
# Prefers short edges where the surface is flat: metres of plane error per metre of edge.
LENGTH_WEIGHT = 0.003
BOUNDARY_WEIGHT = 4.0


def triangulate(quads: np.ndarray) -> np.ndarray:
    """(2 Q, 3) triangles of quads (Q, 4)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


class _Mesh:
    """A triangle mesh that vertices are taken from, with the quadric of each vertex as a symmetric 4x4 matrix."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, importance: np.ndarray) -> None:
        self.vertices, self.importance = vertices, importance
        self.faces = {i: tuple(map(int, face)) for i, face in enumerate(triangles)}
        self.around: dict[int, set[int]] = defaultdict(set)
        for i, face in self.faces.items():
            for v in face:
                self.around[v].add(i)
        a, b, c = (vertices[triangles[:, k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal, axis=1)
        normal /= np.maximum(area, 1e-15)[:, None]
        plane = np.concatenate([normal, -(normal * a).sum(1, keepdims=True)], axis=1)
        quadric = plane[:, :, None] * plane[:, None, :] * (area / 2)[:, None, None]
        self.quadrics = np.zeros((len(vertices), 4, 4))
        for k in range(3):
            np.add.at(self.quadrics, triangles[:, k], quadric)
        self.boundary: set[int] = set()
        self._hold_boundary(triangles, normal)

    def _hold_boundary(self, triangles: np.ndarray, normal: np.ndarray) -> None:
        """Adds planes through boundary edges, at right angles to the surface, so that the boundary keeps its shape."""
        edges = {(int(f[k]), int(f[(k + 1) % 3])): i for i, f in enumerate(triangles) for k in range(3)}
        for (a, b), i in edges.items():
            if (b, a) in edges:
                continue
            self.boundary |= {a, b}
            along = self.vertices[b] - self.vertices[a]
            side = np.cross(along, normal[i])
            side /= max(float(np.linalg.norm(side)), 1e-15)
            plane = np.append(side, -(side @ self.vertices[a]))
            for v in (a, b):
                self.quadrics[v] += BOUNDARY_WEIGHT * float(along @ along) * np.outer(plane, plane)

    def neighbours(self, v: int) -> set[int]:
        return {w for i in self.around[v] for w in self.faces[i]} - {v}

    def cost(self, removed: int, kept: int) -> float:
        """The error of moving one vertex onto another."""
        at = np.append(self.vertices[kept], 1.0)
        error = float(at @ (self.quadrics[removed] + self.quadrics[kept]) @ at)
        edge = self.vertices[kept] - self.vertices[removed]
        length = float(edge @ edge)
        return float(self.importance[removed]) * (max(error, 0.0) + LENGTH_WEIGHT**2 * length + 1e-4 * length * length)

    def allowed(self, removed: int, kept: int) -> bool:
        """Whether the collapse keeps the surface a manifold and turns no triangle over."""
        shared = self.around[removed] & self.around[kept]
        if len(self.neighbours(removed) & self.neighbours(kept)) != len(shared):
            return False
        if removed in self.boundary and (kept not in self.boundary or len(shared) != 1):
            return False
        target = self.vertices[kept]
        for i in self.around[removed] - shared:
            old = np.array([self.vertices[v] for v in self.faces[i]])
            new = np.array([target if v == removed else self.vertices[v] for v in self.faces[i]])
            before, after = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (old, new))
            if before @ after <= MIN_TURN * np.linalg.norm(before) * np.linalg.norm(after):
                return False
        return True

    def collapse(self, removed: int, kept: int) -> None:
        for i in list(self.around[removed]):
            face = self.faces[i]
            for v in face:
                self.around[v].discard(i)
            if kept in face:
                del self.faces[i]
                continue
            self.faces[i] = tuple(kept if v == removed else v for v in face)
            for v in self.faces[i]:
                self.around[v].add(i)
        self.quadrics[kept] += self.quadrics[removed]


def reduce_mesh(vertices: np.ndarray, triangles: np.ndarray, importance: np.ndarray, count: int) -> np.ndarray:
    """(F, 3) triangles between `count` of the vertices (V, 3), metres.

    Args:
        vertices: (V, 3). triangles: (T, 3). importance: (V,) factor on the error at a vertex.
        count: how many vertices are left.
    """
    mesh = _Mesh(vertices, triangles, importance)
    heap = [(mesh.cost(v, w), v, w, 0, 0) for v in sorted(mesh.around) for w in sorted(mesh.neighbours(v))]
    heapq.heapify(heap)
    version = dict.fromkeys(mesh.around, 0)
    left = len(version)
    while left > count and heap:
        _, removed, kept, *stamp = heapq.heappop(heap)
        if version.get(removed) != stamp[0] or version.get(kept) != stamp[1] or not mesh.allowed(removed, kept):
            continue
        near = mesh.neighbours(removed)
        mesh.collapse(removed, kept)
        del version[removed]
        left -= 1
        version[kept] += 1
        for v in near & mesh.neighbours(kept) | {kept}:
            for w in mesh.neighbours(v) if v == kept else {kept}:
                heapq.heappush(heap, (mesh.cost(v, w), v, w, version[v], version[w]))
    return np.array([mesh.faces[i] for i in sorted(mesh.faces)])
