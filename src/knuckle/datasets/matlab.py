"""MATLAB files, through SciPy."""

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.files import RefusedFile, read_bytes

_MAX_BYTES = 2**27  # of a file, and of what it unpacks to; the largest known one has ten million
_MAX_NUMBERS = 2**24
_NUMBERS = frozenset({"double", "single", "logical", *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64))})
_HEADER, _COMPRESSED, _STEP = 128, 15, 2**20


def read_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Numeric arrays of a .mat file.

    Through SciPy: the format has byte orders, compression and four generations.

    Args:
        path: the file.
        names: of the variables.

    Returns:
        The arrays by name.

    Raises:
        ImportError: SciPy is not installed.
        BrokenDataset: the file is damaged, or lacks a variable; the message lists those it has.
    """
    try:
        from scipy.io import loadmat, whosmat
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB file, which takes SciPy: pip install 'knuckle[datasets]'") from error
    try:
        # Plain structured arrays: the file cannot construct objects.
        data = read_bytes(path, _MAX_BYTES)
        _check_inflated(data)
        listed = whosmat(io.BytesIO(data))
        _check_shapes(listed, names)
        content = loadmat(io.BytesIO(data), simplify_cells=False, variable_names=list(names))
    except OSError:
        raise
    except Exception as error:  # SciPy raises any exception of its parser
        raise BrokenDataset(
            f"{path} must be a MATLAB file but cannot be read ({type(error).__name__}: {str(error)[:200]}); fetch it "
            "again"
        ) from error
    missing = [name for name in names if name not in content]
    if missing:
        holds = ", ".join(name for name, _, _ in listed[:20]) or "nothing"
        raise BrokenDataset(f"{path} must hold {', '.join(missing)} but holds {holds}")
    return {name: np.asarray(content[name]) for name in names}


def _check_shapes(listed: list[tuple[str, tuple[int, ...], str]], names: tuple[str, ...]) -> None:
    """Refuses what is larger than any annotation, or other than numbers: a header of a few bytes can claim it."""
    for name, shape, kind in listed:
        if name in names and (kind not in _NUMBERS or math.prod(map(int, shape)) > _MAX_NUMBERS):
            raise RefusedFile(f"{name} must be an array of at most {_MAX_NUMBERS} numbers but is {shape} of {kind}")


def _check_inflated(data: bytes) -> None:
    """Refuses compressed elements that unpack to more than the limit together; SciPy unpacks them whatever they claim.

    Source: MAT-File Format, MathWorks: a header of 128 bytes, then elements of a type, a length, and content.
    """
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        return  # of version 4, which has no compression, or no such file
    order = "<" if data[126:128] == b"IM" else ">"
    at, left = _HEADER, _MAX_BYTES
    while at + 8 <= len(data):
        kind, length = struct.unpack(order + "II", data[at : at + 8])
        if kind == _COMPRESSED:
            inflater, rest = zlib.decompressobj(), data[at + 8 : at + 8 + length]
            while rest and not inflater.eof:
                left -= len(inflater.decompress(rest, _STEP))
                rest = inflater.unconsumed_tail
                if left < 0:
                    raise RefusedFile(f"must unpack to at most {_MAX_BYTES} bytes but unpacks to more")
        at += 8 + length
