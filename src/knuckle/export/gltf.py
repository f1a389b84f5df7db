"""The binary container of glTF 2.0: typed arrays packed into one buffer, described by JSON, in one .glb file.

Source: Khronos glTF 2.0 specification, sections 3.6 (buffers, accessors) and 4.4 (GLB).
"""

import json
import struct
from typing import Any

import numpy as np

_COMPONENT = {
    np.dtype(np.uint8): 5121,
    np.dtype(np.uint16): 5123,
    np.dtype(np.uint32): 5125,
    np.dtype(np.float32): 5126,
}
_SHAPE = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
ARRAY_BUFFER = 34962
ELEMENT_ARRAY_BUFFER = 34963
_MAGIC = 0x46546C67
_JSON_CHUNK = 0x4E4F534A
_BINARY_CHUNK = 0x004E4942


class GltfBuffer:
    """Collects arrays into one little-endian buffer and returns the index of each array's accessor."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, values: np.ndarray, *, target: int | None = None, bounds: bool = False) -> int:
        """Store an array of N elements and return the index of its accessor.

        Args:
            values: (N,), (N, 2), (N, 3), (N, 4) or (N, 4, 4); uint8, uint16, uint32 or float32. Matrices are given
                as usual and stored in column-major order as glTF requires.
            target: ARRAY_BUFFER for vertex attributes, ELEMENT_ARRAY_BUFFER for indices, None for the rest.
            bounds: write the minimum and maximum of each component (required for positions and key times).

        Raises:
            ValueError: glTF does not support the component or element type, or a value is not finite.
        """
        if values.dtype not in _COMPONENT or values.shape[1:] not in _SHAPE:
            raise ValueError(
                f"values must be uint8, uint16, uint32 or float32 scalars, vectors or 4x4 matrices but got "
                f"{values.dtype} of shape {values.shape}; convert them first"
            )
        if not np.isfinite(values).all():
            raise ValueError("values must be finite in 32 bits but some are not; check the recording")
        stored = np.swapaxes(values, -1, -2) if values.ndim == 3 else values
        little = np.ascontiguousarray(stored).astype(values.dtype.newbyteorder("<"))
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": little.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += little.tobytes()
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENT[values.dtype],
            "count": len(values),
            "type": _SHAPE[values.shape[1:]],
        }
        if bounds:
            accessor["min"] = np.atleast_1d(values.min(axis=0)).tolist()
            accessor["max"] = np.atleast_1d(values.max(axis=0)).tolist()
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def pack_glb(document: dict[str, Any], buffer: GltfBuffer) -> bytes:
    """A .glb file's bytes: the document, completed by the buffer's views and accessors, and the buffer itself."""
    binary = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    whole = {
        **document,
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON_CHUNK) + text + struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    return struct.pack("<III", _MAGIC, 2, 12 + len(chunks)) + chunks
