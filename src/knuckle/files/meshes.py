"""Meshes of other programs (.obj, .ply, .stl, .glb), read by trimesh: their surface alone, and no file beside them."""

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.files.jsontext import parse_json
from knuckle.files.reading import RefusedFile, read_bytes

MESH_SUFFIXES = (".obj", ".ply", ".glb", ".stl")
_MAX_NODES = 2**12  # of a .glb
# Vertices and indices of all primitives of a .glb together, and of the placed copies of its meshes.
_MAX_ENTRIES = 2**23


def load_mesh(path: str | os.PathLike[str], max_bytes: int = 2**26) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a mesh file; of several parts, all of them where the file places them.

    Args:
        path: the file, of a suffix of MESH_SUFFIXES. Materials and pictures that it names are not opened.
        max_bytes: maximum of its size.

    Returns:
        (V, 3) float64 in the file's unit, finite, and (F, 3) int64; either may be empty.

    Raises:
        RefusedFile: it is no such mesh, damaged, or larger.
        ImportError: trimesh is not installed.
        OSError: it cannot be read.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in MESH_SUFFIXES:
        raise RefusedFile(f"{path} must be a mesh ({', '.join(MESH_SUFFIXES)}) but ends in {kind!r}; convert it")
    try:
        import trimesh
    except ImportError as error:
        raise ImportError(f"{path} is a mesh file, which takes trimesh: pip install 'knuckle[datasets]'") from error
    data = read_bytes(path, max_bytes)
    if kind == ".glb":
        _check_glb(data, path)
    try:
        # Of bytes, not of the path: without a folder nothing beside the file is opened.
        loaded: Any = trimesh.load(io.BytesIO(data), file_type=kind[1:], process=False, skip_materials=True)
        vertices, faces = _surface(loaded)
    # trimesh raises any exception of its parsers.
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise RefusedFile(f"{path} must be a mesh but cannot be read ({reason}); write it again") from error
    if not np.isfinite(vertices).all():
        raise RefusedFile(f"{path} must be a mesh of finite vertices but is not; write it again")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise RefusedFile(f"{path} must have faces of vertices 0 to {len(vertices) - 1} but has others; write it again")
    return vertices, faces


def _surface(loaded: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a mesh or a scene, each part placed as the scene places it."""
    if not hasattr(loaded, "graph"):
        return _arrays(loaded)
    parts, count, entries = [], 0, 0
    for node in loaded.graph.nodes_geometry:
        T, name = loaded.graph[node]
        vertices, faces = _arrays(loaded.geometry[name])
        entries += len(vertices) + faces.size
        if entries > _MAX_ENTRIES:
            raise RefusedFile(f"its parts have more than {_MAX_ENTRIES} vertices and corners")
        faces = faces[:, ::-1] if np.linalg.det(T[:3, :3]) < 0 else faces
        parts.append((vertices @ T[:3, :3].T + T[:3, 3], faces + count))
        count += len(vertices)
    if not parts:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    return np.concatenate([v for v, _ in parts]), np.concatenate([f for _, f in parts])


def _arrays(mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.asarray(mesh.vertices, np.float64).reshape(-1, 3)
    # A cloud of points, or a path, has no triangles.
    return vertices, np.asarray(getattr(mesh, "faces", np.zeros((0, 3))), np.int64).reshape(-1, 3)


def _check_glb(data: bytes, path: Path) -> None:
    """Refuses what trimesh would follow without end: it believes a .glb's counts, strides and nodes.

    Raises:
        RefusedFile: the numbers do not fit the file, parts are used too often, or nodes are no tree.
    """
    if len(data) < 20 or data[:4] != b"glTF" or data[16:20] != b"JSON":
        raise RefusedFile(f"{path} must be a binary glTF file but its first bytes are of none; export it again")
    length = struct.unpack("<I", data[12:16])[0]
    content = parse_json(data[20 : 20 + length], str(path))
    try:
        _check_accessors(content)
        _check_nodes(content)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, RefusedFile) else f"{type(error).__name__}: {str(error)[:80]}"
        raise RefusedFile(
            f"{path} must be a glTF file with whole buffers but is not ({reason}); export it again"
        ) from None


def _check_accessors(content: Any) -> None:
    views, accessors = content.get("bufferViews", []), content.get("accessors", [])
    for view in views:
        # A stride outside of the format's limits would be followed out of the buffer.
        if any(_whole(view.get(key, 4)) < 0 for key in ("byteOffset", "byteLength")) or not (
            0 <= _whole(view.get("byteStride", 4)) <= 252
        ):
            raise RefusedFile(f"a buffer view has {view}")
    for accessor in accessors:
        if "bufferView" not in accessor or "sparse" in accessor:
            raise RefusedFile("an accessor has no numbers of its own")
        if _whole(accessor["count"]) < 0 or _whole(accessor.get("byteOffset", 0)) < 0:
            raise RefusedFile("an accessor begins before its buffer")
        if not 0 <= _whole(accessor["bufferView"]) < len(views):
            raise RefusedFile("an accessor has no buffer")
    entries = 0
    for mesh in content.get("meshes", []):
        for part in mesh["primitives"]:
            used = [*part["attributes"].values(), *([part["indices"]] if "indices" in part else [])]
            entries += sum(accessors[_whole(index)]["count"] for index in used)
    if entries > _MAX_ENTRIES:
        raise RefusedFile(f"its parts have {entries} vertices and corners, more than {_MAX_ENTRIES}")


def _check_nodes(content: Any) -> None:
    nodes = content.get("nodes", [])
    if len(nodes) > _MAX_NODES:
        raise RefusedFile(f"it has {len(nodes)} nodes, more than {_MAX_NODES}")
    roots = [root for scene in content.get("scenes", []) for root in set(scene.get("nodes", []))]
    below = [child for node in nodes for child in node.get("children", [])]
    if len(set(below)) < len(below) or set(below) & set(roots):
        raise RefusedFile("its nodes are no tree")


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise RefusedFile(f"{str(value)[:40]!r} stands in place of a whole number")
    return value
