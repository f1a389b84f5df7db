"""Reading pickles of plain data without running anything in them.

Unpickling can run arbitrary code, and many hand models and data sets are distributed as pickles. `load_pickle` supports
only plain data: every global name a pickle may refer to is replaced by an inert stand-in of this module, so that
neither the pickle's code nor numpy's, scipy's or chumpy's own unpickling code is run.

A pickle can also become far more than it is: one list in a thousand places, one array in a million, a sparse matrix
that is mostly zeros. All that it becomes is charged to one budget, before it is allocated.
"""

import io
import os
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.files.arrays import array_from_bytes
from knuckle.files.reading import MAX_BYTES, RefusedFile, read_bytes
from knuckle.files.sparse import SPARSE_KINDS, dense_matrix, selected

_MAX_DEPTH = 64  # levels of nested containers
# What a pickle may become: several times its size, as small containers take more in memory than in a file.
_FREE, _GROWTH = 2**27, 4
# Bytes that Python takes for what an instruction makes.
_COSTS = {"EMPTY_SET": 216, "FROZENSET": 216, "REDUCE": 300, "NEWOBJ": 500, "INST": 500, "OBJ": 500, "BUILD": 200}
_COSTS |= dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "LIST", "DICT", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), 64)
_OTHER_COST, _ENTRY_COST = 16, 8
_DTYPE_CODE = re.compile(r"\|?([biufc?]\d{0,2}|[SU]\d{1,6})")
_SPARSE_CLASS = re.compile(r"(csc|csr|coo|bsr|dia)_(matrix|array)")


class _Budget:
    """Bytes that a file may still become.

    Args:
        limit: of all together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit

    def charge(self, count: int) -> None:
        """Raises RefusedFile where no `count` bytes are left."""
        self.left -= count
        if self.left < 0:
            raise RefusedFile(f"a pickle of this size must become at most {self.limit} bytes but becomes more")


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
        RefusedFile: the pickle refers to anything else (named in the message), is damaged, is too large, or would
            become far more in memory than it is.
        OSError: it cannot be read.
    """
    path = Path(path)
    data = read_bytes(path, max_bytes)
    budget = _Budget(_FREE + _GROWTH * len(data))
    try:
        _scan(data, budget)
        return _Resolver(budget).resolve(_InertUnpickler(data, budget).load())
    except _Forbidden as error:
        raise RefusedFile(
            f"{path} must be a pickle of plain data but refers to {error}, which could run code when loaded; nothing "
            "was run. Do not open this file with pickle; get it from its publisher, or ask them for an .npz"
        ) from None
    except RefusedFile as error:
        raise RefusedFile(f"{path}: {error}; fetch it again") from None
    except Exception as error:  # a damaged or hostile stream can make the unpickler raise anything
        raise RefusedFile(
            f"{path} must be a readable pickle of plain data but is not ({type(error).__name__}: {str(error)[:120]}); "
            "fetch it again, and check that it is not a web page or an archive"
        ) from error


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
    """numpy.ndarray: made empty by _reconstruct, filled by BUILD with (version, shape, dtype, is_fortran, bytes).

    Only the parts are kept, as a thousand arrays may refer to the same bytes: `value` copies them.
    """

    def __init__(self, data: object = None, dtype: object = None, shape: object = (), order: str = "C") -> None:
        self._data, self._dtype, self._shape, self._order = data, dtype, shape, order

    def __setstate__(self, state: tuple) -> None:
        self._shape, self._dtype, fortran, self._data = state[-4:]
        self._order = "F" if fortran else "C"

    def value(self, budget: _Budget) -> np.ndarray:
        if not isinstance(self._dtype, _Dtype):
            raise _Forbidden("an array without a dtype")
        data = _to_bytes(self._data, budget)
        budget.charge(len(data))
        return array_from_bytes(data, self._dtype.dtype, self._shape, self._order, "an array")


class _State:
    """A class instance reduced to its attributes."""

    kind = ""

    def __init__(self, *arguments: object):
        self.state: object = {}

    def __setstate__(self, state: object) -> None:
        # As it is: a thousand instances may share it.
        self.state = (state[0] or {}) if isinstance(state, tuple) and state else state


# Protocol 2 instantiates classes, so each class of scipy.sparse and chumpy has a stand-in here.
_STATES = {kind: type(kind, (_State,), {"kind": kind}) for kind in (*SPARSE_KINDS, "Ch", "Select")}


class _Function:
    """A function that a pickle may call, wrapped so that a pickle's BUILD cannot set attributes on it."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., object]):
        self._run = run

    def __call__(self, *arguments: object) -> object:
        return self._run(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _Forbidden("a change to one of its own functions")


def _to_bytes(data: object, budget: _Budget) -> bytes:
    if isinstance(data, str):  # a byte string of Python 2, read as latin-1
        budget.charge(len(data))
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


def _scalar(dtype: object, data: object) -> _Array:
    return _Array(data, dtype)


def _frombuffer(data: object, dtype: object, shape: tuple, order: str) -> _Array:
    return _Array(data, dtype, shape, order)


def _empty_bytes(*arguments: object) -> bytes:
    if arguments:  # bytes(10**12) would exhaust the memory
        raise _Forbidden("a call of bytes()")
    return b""


def _copying(budget: _Budget) -> dict[tuple[str, str], Any]:
    """Functions that copy their argument, which may be the same in a thousand calls; by module and name."""

    def copied(container: Callable[..., object]) -> Callable[..., object]:
        def copy(items: Iterable[object] = ()) -> object:
            if not isinstance(items, list | tuple | set | frozenset | dict):
                raise _Forbidden("a container made of something else than a list")
            budget.charge(216 + 72 * len(items))
            return container(items)

        return copy

    def encode(text: object, encoding: object = "latin1") -> bytes:
        if encoding != "latin1" or not isinstance(text, str):
            raise _Forbidden(f"the text encoding {encoding!r}")
        return _to_bytes(text, budget)

    functions = {("builtins", "set"): copied(set), ("builtins", "frozenset"): copied(frozenset)}
    functions |= {("collections", "OrderedDict"): copied(dict), ("_codecs", "encode"): encode}
    return functions


def _stand_in(module: str, name: str, copying: dict[tuple[str, str], Any]) -> Any:
    """The inert stand-in for module.name, or None where there is none."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    if (module, name) in copying:
        found = copying[module, name]
    elif module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
        found = {"ndarray": _Array, "dtype": _Dtype, "_reconstruct": _reconstruct, "scalar": _scalar}.get(name)
    elif module in ("numpy.core.numeric", "numpy._core.numeric"):
        found = {"_frombuffer": _frombuffer}.get(name)
    elif module.split(".")[:2] == ["scipy", "sparse"] and (match := _SPARSE_CLASS.fullmatch(name)):
        found = _STATES[match[1]]
    elif module in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        found = _STATES[name] if name in ("Ch", "Select") else None
    else:
        found = {
            ("builtins", "object"): object,
            ("builtins", "complex"): complex,
            ("builtins", "bytes"): _empty_bytes,
            ("copyreg", "_reconstructor"): _reconstruct_object,
        }.get((module, name))
    return found if found is None or isinstance(found, type) else _Function(found)


class _InertUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, budget: _Budget) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._copying = _copying(budget)

    def find_class(self, module_name: str, global_name: str) -> Any:
        found = _stand_in(module_name, global_name, self._copying)
        if found is None:
            raise _Forbidden(f"{module_name}.{global_name}")
        return found

    def persistent_load(self, pid: object) -> Any:
        raise _Forbidden(f"an object outside the file ({pid!r})")


def _scan(data: bytes, budget: _Budget) -> None:
    """Reads the instructions before any is run.

    Memo indices beyond the number of instructions so far are refused: they would make the unpickler allocate memory.
    So are more objects than the budget has room for.
    """
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        budget.charge(_COSTS.get(name, _OTHER_COST))
        if name in ("PUT", "BINPUT", "LONG_BINPUT") and argument is not None and int(argument) > count:
            raise _Forbidden(f"memo number {argument} after {count} instructions")


class _Resolver:
    """Converts stand-ins to builtin containers and arrays; shared objects are converted once.

    Args:
        budget: charged for every array, and for the whole as it is when nothing is shared: readers make arrays of
            lists, in which a list of a thousand references to one list has a thousand lists.
    """

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def resolve(self, value: Any) -> Any:
        result, size = self._resolve(value, 0)
        if size > self._budget.limit:
            raise RefusedFile(
                f"a pickle of this size must become at most {self._budget.limit} bytes but refers to the same objects "
                f"so often that it would become {size:.2g}"
            )
        return result

    def _resolve(self, value: Any, depth: int) -> tuple[Any, int]:
        """The result, and its size where nothing of it is shared."""
        if depth > _MAX_DEPTH:
            raise RefusedFile(f"a pickle must nest at most {_MAX_DEPTH} containers but this one goes deeper")
        if isinstance(value, type | _Function):
            raise _Forbidden(f"a bare name, {getattr(value, '__name__', 'of a function')}")
        if not isinstance(value, list | tuple | set | frozenset | dict | _Array | _Dtype | _State):
            return value, _ENTRY_COST
        if id(value) in self._done:
            return self._done[id(value)]
        if id(value) in self._open:
            raise RefusedFile("a pickle must not hold a container that contains itself but does")
        self._open.add(id(value))
        self._done[id(value)] = self._converted(value, depth)
        self._open.remove(id(value))
        return self._done[id(value)]

    def _converted(self, value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, _Array):
            array = value.value(self._budget)
            return (array if array.ndim else array[()]), array.nbytes + _ENTRY_COST
        if isinstance(value, _Dtype):
            return value.dtype, _ENTRY_COST
        if isinstance(value, _State):
            state, size = self._resolve(value.state, depth + 1)
            result = self._of_state(value.kind, state)
            return result, size + result.nbytes
        if isinstance(value, dict):
            keys, values = self._all(value.keys(), depth), self._all(value.values(), depth)
            size = _COSTS["DICT"] + sum(size for _, size in (*keys, *values))
            return dict(zip((key for key, _ in keys), (value for value, _ in values), strict=True)), size
        items = self._all(value, depth)
        kind = type(value) if isinstance(value, tuple | set | frozenset) else list
        return kind(item for item, _ in items), _COSTS["LIST"] + sum(size for _, size in items)

    def _all(self, values: Iterable[Any], depth: int) -> list[tuple[Any, int]]:
        return [self._resolve(value, depth + 1) for value in values]

    def _of_state(self, kind: str, state: Any) -> np.ndarray:
        """The dense array of a sparse matrix or a chumpy object."""
        if not isinstance(state, dict):
            raise RefusedFile(f"a {kind} must have named attributes but has {type(state).__name__}")
        if kind == "Ch":
            return np.asarray(state["x"])
        if kind == "Select":
            return selected(state, self._budget.charge)
        return dense_matrix(kind, state, self._budget.charge)
