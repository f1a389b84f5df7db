"""MATLAB files of versions 5 to 7: numeric arrays, whole or compressed, in either byte order.

Read here and not by SciPy, whose parser crashes the process on some damaged files and unpacks whatever they claim.

Source: MAT-File Format, MathWorks, 2019: elements of a type, a length, and content padded to 8 bytes; up to 4 bytes are
packed beside their type.
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.files import RefusedFile, read_bytes

_MAX_BYTES = 2**27  # of a file, and of what it unpacks to; the largest known one has ten million
_STEP = 2**20
_HEADER = 128
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
# mxDOUBLE_CLASS to mxUINT64_CLASS. The others are cells, structures, objects, text and sparse matrices.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x800


def read_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Numeric arrays of a .mat file.

    Args:
        path: the file.
        names: of the variables.

    Returns:
        The arrays by name.

    Raises:
        OSError: it cannot be read.
        BrokenDataset: the file is damaged or of another version, or lacks a variable; the message lists those it has.
    """
    try:
        found = _arrays(read_bytes(path, _MAX_BYTES))
    except (RefusedFile, struct.error, zlib.error, ValueError) as error:
        raise BrokenDataset(f"{path} must be a MATLAB file but cannot be read ({error}); fetch it again") from None
    missing = [name for name in names if found.get(name) is None]
    if missing:
        holds = ", ".join([name for name, array in found.items() if array is not None][:20]) or "nothing"
        raise BrokenDataset(f"{path} must hold {', '.join(missing)} but holds {holds} as numbers")
    return {name: np.asarray(found[name]) for name in names}


def _arrays(data: bytes) -> dict[str, np.ndarray | None]:
    """The variables by name; None where one is not numeric."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or data[124:126] not in (b"\0\1", b"\1\0"):
        raise RefusedFile("it is not of version 5, 6 or 7; save it in MATLAB with -v7")
    left = _MAX_BYTES
    found = {}
    for kind, content in _elements(data, _HEADER, order):
        if kind == _COMPRESSED:
            content = _inflated(content, left)
            left -= len(content)
            inner = _elements(content, 0, order)
            kind, content = inner[0] if inner else (0, b"")
        if kind == _MATRIX:
            name, array = _matrix(content, order)
            found[name] = array
    return found


def _elements(data: bytes, at: int, order: str) -> list[tuple[int, bytes]]:
    """Type and content of each element."""
    found = []
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # the short form: the length is in the upper half of the type
            kind, length, begin, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if length > 4:
                raise RefusedFile(f"a short element must have at most 4 bytes but has {length}")
        else:
            begin = at + 8
            # Compressed elements are not padded.
            after = begin + length + (-length % 8 if kind != _COMPRESSED else 0)
        if begin + length > len(data):
            raise RefusedFile(f"an element must have {length} bytes but has {len(data) - begin}: it is truncated")
        found.append((kind, data[begin : begin + length]))
        at = after
    return found


def _inflated(data: bytes, most: int) -> bytes:
    """In steps, up to a limit: the stream does not say what it unpacks to."""
    inflater, parts = zlib.decompressobj(), []
    while data and not inflater.eof:
        parts.append(inflater.decompress(data, _STEP))
        most -= len(parts[-1])
        if most < 0:
            raise RefusedFile(f"it must unpack to at most {_MAX_BYTES} bytes but unpacks to more")
        data = inflater.unconsumed_tail
    return b"".join(parts)


def _matrix(data: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Name and numbers of a variable."""
    parts = _elements(data, 0, order)
    if len(parts) < 3 or [kind for kind, _ in parts[:3]] != [_UINT32, _INT32, _INT8] or len(parts[0][1]) != 8:
        raise RefusedFile("a variable must begin with flags, sizes and a name but does not")
    flags = struct.unpack(order + "I", parts[0][1][:4])[0]
    shape = tuple(int(side) for side in np.frombuffer(parts[1][1], order + "i4"))
    name = parts[2][1].decode("ascii", "replace")
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX:
        return name, None
    if len(parts) < 4 or parts[3][0] not in _TYPES or min(shape, default=-1) < 0:
        raise RefusedFile(f"{name} must have sizes and numbers but has not")
    # Small numbers may be stored shorter than the class they are of.
    stored = np.frombuffer(parts[3][1], order + _TYPES[parts[3][0]])
    if math.prod(shape) != stored.size:
        raise RefusedFile(f"{name} must hold {math.prod(shape)} numbers for the size {shape} but holds {stored.size}")
    return name, stored.astype(_CLASSES[flags & 0xFF]).reshape(shape, order="F")
