"""A static hand as a Wavefront .obj file with texture coordinates, the most widely read mesh format."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from knuckle.files import atomic_write


def write_obj(
    path: Path | str,
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    uv: Float[np.ndarray, "T 2"] | None = None,
    faces_uv: Int[np.ndarray, "F 3"] | None = None,
) -> None:
    """Write a mesh, atomically.

    Args:
        path: the file to write.
        vertices: (V, 3) metres, written with eight decimals.
        faces: (F, 3) vertex indices from 0, wound outwards.
        uv: (T, 2) texture coordinates, v up as the format has it.
        faces_uv: (F, 3) indices into `uv` of the corners of `faces`.

    Raises:
        ValueError: only one of `uv` and `faces_uv` was given, or an index is out of range.
    """
    if (uv is None) != (faces_uv is None):
        raise ValueError("uv and faces_uv must come together but got one of them; give both or neither")
    _check_indices("faces", faces, len(vertices))
    lines = ["# knuckle: one hand, metres"]
    lines += [f"v {x:.8f} {y:.8f} {z:.8f}" for x, y, z in vertices.tolist()]
    if uv is None or faces_uv is None:
        lines += [f"f {a} {b} {c}" for a, b, c in (faces.astype(np.int64) + 1).tolist()]
    else:
        _check_indices("faces_uv", faces_uv, len(uv))
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in uv.tolist()]
        corners = np.stack([faces, faces_uv], axis=-1).astype(np.int64) + 1
        lines += [f"f {a}/{at} {b}/{bt} {c}/{ct}" for (a, at), (b, bt), (c, ct) in corners.tolist()]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def _check_indices(name: str, indices: Int[np.ndarray, "F 3"], count: int) -> None:
    if indices.size > 0 and not (int(indices.min()) >= 0 and int(indices.max()) < count):
        raise ValueError(
            f"{name} must be indices from 0 to {count - 1} but got {int(indices.min())} to {int(indices.max())}; "
            "indices start at 0"
        )
