"""Objects from mesh files that a user gives: closed meshes in metres, of a size that hands hold."""

from pathlib import Path

import numpy as np

from knuckle.files import MESH_SUFFIXES, InputError, load_mesh
from knuckle.synth.holds import usual_holds
from knuckle.synth.shapes import Distance, Shape, vertex_normals, volume
from knuckle.synth.things import Category, Thing

_MAX_FACES = 50_000
_SIZES = (0.005, 0.6)  # metres, of an object's longest side
_CELLS = 56  # of the grid of distances, along each axis
_NEAR = 0.006  # metres from the surface within which distances are exact
_PAD = 0.012  # metres by which the grid is larger than the object
_SAMPLES = 40_000  # points of the surface that distances are measured to


def mesh_paths(folder: Path) -> list[Path]:
    """The mesh files of a folder, sorted by name.

    Raises:
        ValueError: there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MESH_SUFFIXES)
    if not paths:
        raise ValueError(f"objects must be a folder with meshes ({', '.join(MESH_SUFFIXES)}) but {folder} has none")
    return paths


def load_things(folder: Path) -> tuple[Thing, ...]:
    """The objects of a folder, one of each mesh file; see load_thing."""
    return tuple(load_thing(path) for path in mesh_paths(folder))


def load_thing(path: Path) -> Thing:
    """An object from a mesh file. Its category is guessed from its box and volume, its holds from those.

    Raises:
        InputError: it is no closed mesh, or not of a size that hands hold.
        ImportError: trimesh is not installed.
    """
    vertices, faces = _read(path)
    vertices = _in_its_box(vertices, path)
    inside = volume(vertices, faces)
    if inside < 0:
        faces, inside = faces[:, ::-1], -inside
    half = np.ptp(vertices, axis=0) / 2
    if inside < 1e-3 * float(np.prod(2 * half)):
        raise InputError(f"{path} must enclose a volume but encloses {1e6 * inside:.3g} cm³; close or thicken the mesh")
    category = _category(half, inside / float(np.prod(2 * half)))
    shape = Shape(vertices, vertex_normals(vertices, faces), faces, grid_distance(vertices, faces))
    x, y, z = (float(value) for value in half)
    return Thing(path.stem, category, (shape,), tuple(usual_holds(category, (x, y, z))), half)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (F, 3) of a closed mesh of usual size."""
    vertices, faces = load_mesh(path)
    if len(faces) > _MAX_FACES:
        raise InputError(f"{path} must have at most {_MAX_FACES} faces but has {len(faces)}; simplify the mesh")
    if not len(faces):
        raise InputError(f"{path} must hold faces but holds none; write it again")
    import trimesh  # load_mesh says so where it is not installed

    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    if not mesh.is_watertight:
        raise InputError(f"{path} must be a closed mesh but has holes; fill them")
    longest = float(np.ptp(vertices, axis=0).max())
    if not _SIZES[0] <= longest <= _SIZES[1]:
        raise InputError(
            f"{path} must be {_SIZES[0]} to {_SIZES[1]} m long but is {longest:.3g}; scale the mesh to metres"
        )
    return vertices, faces


def _in_its_box(vertices: np.ndarray, path: Path) -> np.ndarray:
    """Vertices (N, 3) in the frame of their smallest box: origin in its middle, x its longest, z its shortest side."""
    import trimesh

    try:
        to_box, extents = trimesh.bounds.oriented_bounds(vertices)
    except (RuntimeError, ValueError, IndexError):  # Qhull, of points in a plane
        raise InputError(f"{path} must enclose a volume but is flat; thicken the mesh") from None
    order = np.argsort(-np.asarray(extents), kind="stable")
    placed = (vertices @ to_box[:3, :3].T + to_box[:3, 3])[:, order]
    # An odd permutation of the axes would mirror the object.
    if np.linalg.det(np.eye(3)[order]) < 0:
        placed[:, 2] *= -1
    return placed - (placed.min(0) + placed.max(0)) / 2


def _category(half: np.ndarray, filled: float) -> Category:
    """The category by the box and the share of it that is filled: pi/6 for a ball, pi/4 for a cylinder."""
    x, y, z = half
    if z > 0.7 * x and 0.42 < filled < 0.65:
        return "sphere"
    if z < 0.018 and x > 3 * y:
        return "bar"
    return "cylinder" if z > 0.8 * y and filled < 0.87 else "cube"


def grid_distance(vertices: np.ndarray, faces: np.ndarray) -> Distance:
    """The signed distance of a closed mesh, interpolated in a grid around it: within some tenths of a millimetre of a
    thing that a hand holds, and more at sharp edges."""
    from scipy.spatial import KDTree

    low = vertices.min(0) - _PAD
    cell = (np.ptp(vertices, axis=0) + 2 * _PAD) / _CELLS
    shape = np.full(3, _CELLS + 1)
    axes = [low[i] + cell[i] * np.arange(shape[i]) for i in range(3)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    samples, normals = _surface_samples(vertices, faces)
    tree = KDTree(samples)
    # Far from the surface a rough distance will do: in the middle of a ball every sample is the nearest.
    distance = tree.query(nodes, eps=0.2)[0]
    near = np.flatnonzero(distance < 1.5 * _NEAR)
    exact, nearest = tree.query(nodes[near])
    # Samples are some tenths of a millimetre apart: the distance to the plane of the nearest one is closer.
    off = np.abs(((nodes[near] - samples[nearest]) * normals[nearest]).sum(1))
    distance[near] = np.maximum(off, 0.7 * exact)
    inside = _inside(vertices, faces, low, cell, shape).reshape(-1)
    values = np.where(inside, -distance, distance).reshape(shape)

    def interpolated(points: np.ndarray) -> np.ndarray:
        at = np.clip((points - low) / cell, 0, shape - 1.001)
        index = at.astype(int)
        share = at - index
        total = np.zeros(len(points))
        for corner in range(8):
            offset = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
            weight = np.where(offset == 1, share, 1 - share).prod(1)
            i, j, k = (index + offset).T
            total += weight * values[i, j, k]
        return total

    return interpolated


def _surface_samples(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) spread over the faces by area, and the faces' unit normals there; the same on every call."""
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(faces), _SAMPLES, p=area / area.sum())
    u, v = rng.random((2, _SAMPLES, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    a, b, c = (corners[chosen, i] for i in range(3))
    points = np.concatenate([a + u * (b - a) + v * (c - a), corners.reshape(-1, 3)])
    normals = cross / np.maximum(area, 1e-18)[:, None]
    return points, np.concatenate([normals[chosen], np.repeat(normals, 3, axis=0)])


def _inside(
    vertices: np.ndarray, faces: np.ndarray, low: np.ndarray, cell: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    """Which nodes of a grid are inside a closed mesh: where rays along z have entered more often than left."""
    entered = np.zeros(shape + np.array([0, 0, 1]), np.int16)
    # Nodes moved by odd fractions of a cell, so that rays pass beside vertices and edges.
    points = (vertices - low) / cell - [0.000317, 0.000271, 0.0]
    for a, b, c in points[faces]:
        twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(twice) < 1e-12:
            continue
        start = np.ceil(np.minimum(np.minimum(a, b), c)[:2]).astype(int)
        end = np.floor(np.maximum(np.maximum(a, b), c)[:2]).astype(int) + 1
        i, j = np.mgrid[start[0] : end[0], start[1] : end[1]]
        wb = ((i - a[0]) * (c[1] - a[1]) - (j - a[1]) * (c[0] - a[0])) / twice
        wc = ((b[0] - a[0]) * (j - a[1]) - (b[1] - a[1]) * (i - a[0])) / twice
        hit = (wb >= 0) & (wc >= 0) & (wb + wc <= 1)
        height = np.ceil(a[2] + wb * (b[2] - a[2]) + wc * (c[2] - a[2])).astype(int)
        np.add.at(entered, (i[hit], j[hit], height[hit]), -1 if twice > 0 else 1)
    return np.cumsum(entered, axis=2)[..., :-1] > 0
