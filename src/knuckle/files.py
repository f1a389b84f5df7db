"""Safe reading of untrusted files, and atomic writing.

Unpickling can run arbitrary code, and many hand models and data sets are distributed as pickles. `load_pickle` supports
only plain data: every global name a pickle may refer to is replaced by an inert stand-in of this module, so that
neither the pickle's code nor numpy's, scipy's or chumpy's own unpickling code is run.
"""

import io
import os
import pickle
import pickletools
import re
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 2**30  # larger than any known model or annotation file; a larger size is an attack or an error
_MAX_DENSE = 2**26  # entries of a sparse matrix in dense form; MANO's regressor has 16 x 778
_MAX_DEPTH = 64  # levels of nested containers
_DTYPE_CODE = re.compile(r"\|?([biufc?]\d{0,2}|[SU]\d{1,6})")
_SPARSE_CLASS = re.compile(r"(csc|csr|coo|bsr|dia)_(matrix|array)")


class RefusedFile(ValueError):
    """A file that is damaged, too large, or contains code; the message states which and what to do."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file atomically: `path` holds either the old content or the complete new one.

    Args:
        path: the file to write; its folder is created when missing.

    Yields:
        A path beside it, with the same suffix, for the body to write. When the body ends it is moved to `path`;
        when the body raises it is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder because os.replace is atomic only within a file system; same suffix because np.savez adds one.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_npy(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read a .npy file of plain numbers or text.

    Raises:
        RefusedFile: it is not a .npy file, holds Python objects, or its size does not match its header.
        OSError: it cannot be read.
    """
    return _parse_npy(_read_bounded(Path(path), max_bytes), str(path))


def load_npz(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read all arrays of a .npz file, plain numbers and text only.

    Args:
        path: the file.
        max_bytes: maximum total size of the unpacked arrays.

    Raises:
        RefusedFile: it is not an .npz file, unpacks to more than max_bytes, or holds Python objects.
        OSError: it cannot be read.
    """
    path = Path(path)
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # zipfile unpacks no more than the sizes in the directory state.
            total = sum(member.file_size for member in members)
            if total > max_bytes:
                raise RefusedFile(
                    f"{path} must unpack to at most {max_bytes} bytes but claims {total}; "
                    "raise max_bytes if you trust the file"
                )
            for member in members:
                name = member.filename
                if not name.endswith(".npy"):
                    raise RefusedFile(f"{path} must hold .npy arrays only but holds {name!r}; save it with numpy.savez")
                arrays[name.removesuffix(".npy")] = _parse_npy(archive.read(member), f"{path}[{name}]")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise RefusedFile(f"{path} must be a .npz file but could not be unpacked ({error}); fetch it again") from error
    return arrays


def load_pickle(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Any:
    """Read a pickle of plain data, of Python 2 or 3, without running anything in it.

    Supported are None, numbers, text, bytes, lists, tuples, sets and dicts; numpy arrays, scalars and dtypes;
    scipy.sparse matrices (csc, csr, coo, bsr, dia), returned as dense arrays; chumpy's Ch and Select, returned as
    the arrays they hold. Neither scipy nor chumpy needs to be installed.

    Args:
        path: the file. Python 2's byte strings are read as latin-1 text.
        max_bytes: maximum size of the file.

    Returns:
        Builtin containers and numpy arrays.

    Raises:
        RefusedFile: the pickle refers to anything else (named in the message), is damaged, or is too large.
        OSError: it cannot be read.
    """
    path = Path(path)
    data = _read_bounded(path, max_bytes)
    try:
        _check_memo(data)
        return _Resolver().resolve(_InertUnpickler(io.BytesIO(data), encoding="latin1").load())
    except _Forbidden as error:
        raise RefusedFile(
            f"{path} must be a pickle of plain data but refers to {error}, which could run code when loaded; nothing "
            "was run. Do not open this file with pickle; get it from its publisher, or ask them for an .npz"
        ) from None
    except RefusedFile as error:
        raise RefusedFile(f"{path}: {error}; fetch it again") from None
    except Exception as error:  # a damaged or hostile stream can make the unpickler raise anything
        raise RefusedFile(
            f"{path} must be a readable pickle of plain data but is not ({type(error).__name__}: {error}); "
            "fetch it again, and check that it is not a web page or an archive"
        ) from error


def _read_bounded(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if not data:
        raise RefusedFile(f"{path} must hold data but is empty; fetch or write it again")
    if len(data) > max_bytes:
        raise RefusedFile(f"{path} must be at most {max_bytes} bytes but is larger; raise max_bytes if you trust it")
    return data


def _parse_npy(data: bytes, source: str) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except (ValueError, SyntaxError) as error:
        raise RefusedFile(f"{source} must be a .npy array but its header is not readable ({error})") from error
    if dtype.hasobject:
        raise RefusedFile(
            f"{source} must hold numbers or text but holds Python objects (dtype {dtype}), which could run code when "
            "loaded; save it with plain arrays"
        )
    # Checked before allocation: a header of a few bytes can state any shape.
    return _array_from_bytes(data[stream.tell() :], dtype, shape, "F" if fortran else "C", source)


def _array_from_bytes(data: bytes, dtype: np.dtype, shape: tuple, order: str, source: str) -> np.ndarray:
    count = 1
    for size in shape:
        if not isinstance(size, int) or size < 0:
            raise RefusedFile(f"{source} must have a shape of whole numbers but has {shape!r}")
        count *= size
    if count * dtype.itemsize != len(data):
        raise RefusedFile(
            f"{source} must hold {count * dtype.itemsize} bytes for shape {shape} of {dtype} but holds {len(data)}"
        )
    flat = np.frombuffer(data, dtype) if len(data) else np.zeros(count, dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C").copy(order="C")


# ------------------------------------------------------------------------------- what a pickle may refer to


class _Forbidden(Exception):
    """A pickle refers to something other than data; the text is its name."""


class _Dtype:
    """numpy.dtype(code), with the byte order set by BUILD."""

    def __init__(self, code: str = "", align: object = False, copy: object = False):
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise _Forbidden(f"an array of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        # (version, byte order, sub-array, field names, fields, ...): structured dtypes are not supported.
        if any(part is not None for part in state[2:5]):
            raise _Forbidden("an array of records")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """numpy.ndarray: built empty by _reconstruct, filled by BUILD with (version, shape, dtype, is_fortran, bytes)."""

    value: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        shape, dtype, fortran, data = state[-4:]
        self.value = _array_from_bytes(_to_bytes(data), dtype.dtype, shape, "F" if fortran else "C", "an array")


class _State:
    """A class instance reduced to its attributes."""

    kind = ""

    def __init__(self, *arguments: object):
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: dict | tuple) -> None:
        self.state = dict(state[0] or {}) if isinstance(state, tuple) else dict(state)


# Protocol 2 instantiates classes, so each class of scipy.sparse and chumpy has a stand-in here.
_STATES = {kind: type(kind, (_State,), {"kind": kind}) for kind in ("csc", "csr", "coo", "bsr", "dia", "Ch", "Select")}


class _Function:
    """A function that a pickle may call, wrapped so that a pickle's BUILD cannot set attributes on it."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., object]):
        self._run = run

    def __call__(self, *arguments: object) -> object:
        return self._run(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _Forbidden("a change to one of its own functions")


def _to_bytes(data: object) -> bytes:
    if isinstance(data, str):  # a byte string of Python 2, read as latin-1
        return data.encode("latin1")
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise _Forbidden(f"an array whose content is a {type(data).__name__}")


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    return _Array()


def _reconstruct_object(kind: type, base: object, state: object) -> object:
    """copyreg._reconstructor: how protocols 0 and 1 create an instance."""
    if kind not in _STATES.values():
        raise _Forbidden("an instance of a builtin made by copyreg")
    return kind()


def _scalar(dtype: _Dtype, data: object) -> _Array:
    return _frombuffer(data, dtype, (), "C")


def _frombuffer(data: object, dtype: _Dtype, shape: tuple, order: str) -> _Array:
    array = _Array()
    array.value = _array_from_bytes(_to_bytes(data), dtype.dtype, shape, order, "an array")
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _Forbidden(f"the text encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes(*arguments: object) -> bytes:
    if arguments:  # bytes(10**12) would exhaust the memory
        raise _Forbidden("a call of bytes()")
    return b""


def _stand_in(module: str, name: str) -> Any:
    """The inert stand-in for module.name, or None where there is none."""
    if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
        found = {"ndarray": _Array, "dtype": _Dtype, "_reconstruct": _reconstruct, "scalar": _scalar}.get(name)
    elif module in ("numpy.core.numeric", "numpy._core.numeric"):
        found = {"_frombuffer": _frombuffer}.get(name)
    elif module.split(".")[:2] == ["scipy", "sparse"] and (match := _SPARSE_CLASS.fullmatch(name)):
        found = _STATES[match[1]]
    elif module in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        found = _STATES[name] if name in ("Ch", "Select") else None
    elif module in ("builtins", "__builtin__"):
        found = {"set": set, "frozenset": frozenset, "object": object, "complex": complex, "bytes": _empty_bytes}.get(
            name
        )
    else:
        found = {
            ("collections", "OrderedDict"): dict,
            ("_codecs", "encode"): _encode,
            ("copyreg", "_reconstructor"): _reconstruct_object,
            ("copy_reg", "_reconstructor"): _reconstruct_object,
        }.get((module, name))
    return found if found is None or isinstance(found, type) else _Function(found)


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        found = _stand_in(module_name, global_name)
        if found is None:
            raise _Forbidden(f"{module_name}.{global_name}")
        return found

    def persistent_load(self, pid: object) -> Any:
        raise _Forbidden(f"an object outside the file ({pid!r})")


def _check_memo(data: bytes) -> None:
    """Reject memo indices beyond the number of instructions so far: they would make the unpickler allocate memory."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument is not None and int(argument) > count:
            raise _Forbidden(f"memo number {argument} after {count} instructions")


class _Resolver:
    """Converts stand-ins to builtin containers and arrays; shared objects are converted once."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def resolve(self, value: Any, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise RefusedFile(f"a pickle must nest at most {_MAX_DEPTH} containers but this one goes deeper")
        if id(value) in self._done:
            return self._done[id(value)]
        if isinstance(value, list):
            result = self._done[id(value)] = []
            result.extend(self.resolve(item, depth + 1) for item in value)
            return result
        if isinstance(value, dict):
            result = self._done[id(value)] = {}
            result.update((self.resolve(k, depth + 1), self.resolve(v, depth + 1)) for k, v in value.items())
            return result
        if isinstance(value, tuple | set | frozenset):
            result = type(value)(self.resolve(item, depth + 1) for item in value)
        elif isinstance(value, _Array):
            result = value.value if value.value.ndim else value.value[()]
        elif isinstance(value, _Dtype):
            result = value.dtype
        elif isinstance(value, _State):
            result = _to_dense(value, self.resolve(value.state, depth + 1))
        elif isinstance(value, type | _Function):
            raise _Forbidden(f"a bare name, {getattr(value, '__name__', 'of a function')}")
        else:
            return value
        self._done[id(value)] = result
        return result


def _to_dense(holder: _State, state: dict[str, Any]) -> np.ndarray:
    """The dense array of a sparse matrix or a chumpy object."""
    if holder.kind == "Ch":
        return np.asarray(state["x"])
    if holder.kind == "Select":
        picked = np.asarray(state["a"]).ravel()[np.asarray(state["idxs"])]
        return picked.reshape(state.get("preferred_shape") or picked.shape)
    rows, columns = (int(size) for size in state.get("_shape") or state["shape"])
    if not 0 <= rows * columns <= _MAX_DENSE:
        raise RefusedFile(f"a sparse matrix must have at most {_MAX_DENSE} entries but has {rows} x {columns}")
    data = state["data"]
    dense = np.zeros((rows, columns), data.dtype)
    if holder.kind == "coo":
        row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
        np.add.at(dense, (_checked(row), _checked(column)), data)
    elif holder.kind == "dia":
        for values, offset in zip(data, state["offsets"], strict=True):
            column = np.arange(max(0, offset), min(columns, rows + offset, len(values)))
            dense[column - offset, column] = values[column]
    else:
        starts, minor = _checked(state["indptr"]), _checked(state["indices"])
        if starts[-1] != len(minor):  # otherwise np.repeat could exhaust the memory
            raise RefusedFile(f"a sparse matrix must have {starts[-1]} indices but has {len(minor)}")
        major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        if holder.kind == "csc":
            np.add.at(dense, (minor, major), data)
        elif holder.kind == "csr":
            np.add.at(dense, (major, minor), data)
        else:
            height, width = data.shape[1:]
            blocks = dense.reshape(rows // height, height, columns // width, width).transpose(0, 2, 1, 3)
            np.add.at(blocks, (major, minor), data)  # a view of dense
    return dense


def _checked(index: np.ndarray) -> np.ndarray:
    if index.size and index.min() < 0:  # numpy would index from the end
        raise RefusedFile("a sparse matrix must have indices from 0 on but has a negative one")
    return index
