"""Oriented boxes of objects: from meshes, and from corners in another order."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.datasets.layout import BrokenDataset, require
from knuckle.files import InputError, RefusedFile, load_mesh
from knuckle.skeleton import BOX_CORNERS

_MAX_BYTES = 2**28  # of a mesh; ShapeNet's largest have a hundred million


def read_vertices(path: Path, layout: str) -> Float[np.ndarray, "v 3"]:
    """Vertices of a mesh file, through trimesh.

    Args:
        path: the file.
        layout: how the data set is laid out, for the message.

    Returns:
        (V, 3) float64, in the file's unit.

    Raises:
        FileNotFoundError: the file is missing.
        ImportError: trimesh is not installed.
        BrokenDataset: it does not hold a mesh.
    """
    try:
        vertices, _ = load_mesh(require(path, layout), _MAX_BYTES)
    except RefusedFile as error:
        raise BrokenDataset(f"{error}; or fetch it again") from None
    if len(vertices) == 0:
        raise BrokenDataset(f"{path} must be a mesh but has no vertices; fetch it again")
    return vertices


def oriented_corners(vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "8 3"]:
    """Corners of the smallest oriented box around points, in the binary order of BOX_CORNERS, x along its longest side.

    Args:
        vertices: (V, 3), not all in one plane.

    Returns:
        (8, 3) in their unit and frame.

    Raises:
        ImportError: trimesh is not installed.
        InputError: they have no box, as points in a plane and some of huge coordinates have none.
    """
    import trimesh

    try:
        to_origin, extents = trimesh.bounds.oriented_bounds(vertices)
        corners = np.array(BOX_CORNERS) * extents
        to_object = np.linalg.inv(to_origin)
        # The order of a box's axes is arbitrary: sorting makes the result independent of the algorithm.
        return binary_order(corners @ to_object[:3, :3].T + to_object[:3, 3])[0]
    # RuntimeError: Qhull, of points in a plane.
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().partition("\n")[0][:120]
        raise InputError(f"points must have a box around them but {len(vertices)} have none ({reason})") from error


def box_or_none(vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "8 3"] | None:
    """`oriented_corners`, or None for points without volume: a sheet, a line or a point has no axes to tell apart.

    Args:
        vertices: (V, 3).

    Raises:
        ImportError: trimesh is not installed.
    """
    # By the extent across the third direction, in which a sheet has none.
    extent = np.linalg.svd(vertices - vertices.mean(0), compute_uv=False) / max(len(vertices), 1) ** 0.5
    if len(extent) < 3 or extent[2] <= 1e-6 * extent[0]:
        return None
    return oriented_corners(vertices)


def binary_order(
    corners: Float[np.ndarray, "8 3"],
) -> tuple[Float[np.ndarray, "8 3"], tuple[int, ...]]:
    """Corners of a box in the binary order, x along the longest side, z along the shortest.

    Args:
        corners: (8, 3) of a box, in any order.

    Returns:
        (8, 3) in the order of BOX_CORNERS, and the indices that put them there: ordered = corners[list(indices)].

    Raises:
        ValueError: the eight points are not a box.
    """
    centre = corners.mean(0)
    distances = np.linalg.norm(corners[:, None] - corners, axis=-1)
    # The three edges at corner 0 are the three nearest corners whose directions are at right angles.
    order = np.argsort(distances[0], kind="stable")[1:]
    edges = _right_angled(corners, order)
    size = float(distances.max())
    lengths = np.linalg.norm(edges, axis=1)
    if size == 0 or lengths.min() <= 1e-6 * size:
        raise ValueError(f"corners must be a box's but got {corners.round(4).tolist()}, which is flat")
    axes = edges[np.argsort(-lengths, kind="stable")]
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    # Signs towards the frame's own axes, then right-handed: the same box always gets the same order.
    for i in range(2):
        axes[i] *= np.sign(axes[i][np.abs(axes[i]).argmax()])
    axes[2] = np.cross(axes[0], axes[1])
    signs = ((corners - centre) @ axes.T > 0).astype(int)
    number = signs @ [4, 2, 1]
    if sorted(number) != list(range(8)):
        raise ValueError(f"corners must be a box's but got {corners.round(4).tolist()}")
    indices = tuple(int(i) for i in np.argsort(number))
    return corners[list(indices)], indices


def _right_angled(corners: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(3, 3) edges from corner 0: the nearest corners, skipping those across a face."""
    edges: list[np.ndarray] = []
    for i in order:
        edge = corners[i] - corners[0]
        length = np.linalg.norm(edge)
        if all(abs(edge @ e) <= 1e-2 * length * np.linalg.norm(e) for e in edges):
            edges.append(edge)
        if len(edges) == 3:
            break
    if len(edges) < 3:
        raise ValueError(f"corners must be a box's but got {corners.round(4).tolist()}")
    return np.array(edges)
