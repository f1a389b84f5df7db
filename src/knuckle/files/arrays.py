"""NumPy's .npy and .npz files: plain numbers and text, checked against their size before anything is allocated."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.files.archives import open_archive, read_member
from knuckle.files.reading import MAX_BYTES, RefusedFile, open_regular, read_bytes

_MAX_HEADER = 2**14  # NumPy reads no longer ones either


def load_npy(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read a .npy file of plain numbers or text.

    Raises:
        RefusedFile: it is not a .npy file, holds Python objects, or its size does not match its header.
        OSError: it cannot be read.
    """
    return _parse_npy(read_bytes(path, max_bytes), str(path))


def map_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """A .npy file of plain numbers or text as a read-only map of the file, of any size.

    Raises:
        RefusedFile, OSError: as of `load_npy`.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        shape, fortran, dtype, start = _read_header(file.read(_MAX_HEADER), str(path))
    count = checked_count(shape, dtype, size - start, str(path))
    order = "F" if fortran else "C"
    if not count:
        return np.zeros(shape, dtype, order=order)
    return np.memmap(Path(path), dtype, "r", start, shape, order)


def load_npz(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read all arrays of a .npz file, plain numbers and text only.

    Args:
        path: the file.
        max_bytes: maximum total size of the unpacked arrays.

    Raises:
        RefusedFile: it is not an .npz file, unpacks to more than max_bytes, or holds Python objects.
        OSError: it cannot be read.
    """
    arrays: dict[str, np.ndarray] = {}
    left = max_bytes
    with open_archive(path) as archive:
        for member in archive.infolist():
            name = member.filename
            if not name.endswith(".npy"):
                raise RefusedFile(f"{path} must hold .npy arrays only but holds {name!r}; save it with numpy.savez")
            data = read_member(archive, member, left, f"{path}[{name}]")
            left -= len(data)
            arrays[name.removesuffix(".npy")] = _parse_npy(data, f"{path}[{name}]")
    return arrays


def array_from_bytes(data: bytes | memoryview, dtype: np.dtype, shape: Any, order: str, source: str) -> np.ndarray:
    """A writable array of the bytes, which must be as many as the shape takes.

    Raises:
        RefusedFile: they are not, or the shape is none.
    """
    checked_count(shape, dtype, len(data), source)
    if not len(data):
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C").copy(order="C")


def checked_count(shape: Any, dtype: np.dtype, size: int, source: str) -> int:
    """The number of entries of an array that takes `size` bytes; checked before anything is allocated.

    Raises:
        RefusedFile: it takes more or fewer bytes, or an entry takes none, so that any number of them fits.
    """
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side < 2**48 for side in shape):
        raise RefusedFile(f"{source} must have a shape of whole numbers but has {str(shape)[:80]}")
    if len(shape) > 32:
        raise RefusedFile(f"{source} must have at most 32 axes but has {len(shape)}")
    count = 1
    for side in shape:
        count *= side
    if dtype.itemsize == 0 and count:
        raise RefusedFile(f"{source} must hold numbers or text but has {count} entries of no width ({dtype})")
    if count * dtype.itemsize != size:
        raise RefusedFile(
            f"{source} must hold {count * dtype.itemsize} bytes for shape {shape} of {dtype} but holds {size}"
        )
    return count


def _parse_npy(data: bytes, source: str) -> np.ndarray:
    shape, fortran, dtype, start = _read_header(data[:_MAX_HEADER], source)
    return array_from_bytes(memoryview(data)[start:], dtype, shape, "F" if fortran else "C", source)


def _read_header(data: bytes, source: str) -> tuple[Any, bool, np.dtype, int]:
    """Shape, order and dtype of a .npy file, and where its numbers begin."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except Exception as error:  # the header is a Python literal, and its parser raises anything of a hostile one
        reason = " ".join(str(error).split())[:120]
        raise RefusedFile(
            f"{source} must be a .npy array but its header is not readable ({reason}); save it again"
        ) from None
    if dtype.hasobject:
        raise RefusedFile(
            f"{source} must hold numbers or text but holds Python objects (dtype {dtype}), which could run code when "
            "loaded; save it with plain arrays"
        )
    return shape, fortran, dtype, stream.tell()
