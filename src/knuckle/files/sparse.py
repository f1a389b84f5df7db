"""Dense arrays of sparse matrices and selections that come from files, bounded before they are allocated."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from knuckle.files.reading import RefusedFile

SPARSE_KINDS = ("csc", "csr", "coo", "bsr", "dia")

# Takes a number of bytes and raises RefusedFile where they are too many.
Charge = Callable[[int], None]


def selected(state: Mapping[str, Any], charge: Charge) -> np.ndarray:
    """The entries that a chumpy Select picks: the same one as often as it likes, so they are charged first."""
    values, indices = np.asarray(state["a"]).ravel(), np.asarray(state["idxs"])
    if indices.dtype.kind not in "iu":
        raise RefusedFile(f"a selection must have whole numbers as indices but has {indices.dtype}")
    charge(indices.size * values.itemsize)
    picked = values[indices]
    return picked.reshape(state.get("preferred_shape") or picked.shape)


def dense_matrix(kind: str, state: Mapping[str, Any], charge: Charge) -> np.ndarray:
    """The dense array of a matrix as scipy.sparse pickles it.

    Args:
        kind: one of SPARSE_KINDS.
        state: its attributes.
        charge: called with its size before it is allocated.

    Raises:
        RefusedFile: indices are negative, not in order, or do not fit the entries.
    """
    rows, columns = (int(size) for size in state.get("_shape") or state["shape"])
    data = np.asarray(state["data"])
    if rows < 0 or columns < 0 or data.dtype.kind not in "biufc":
        raise RefusedFile(
            f"a sparse matrix must hold numbers in rows and columns but holds {data.dtype}, {rows} x {columns}"
        )
    charge(rows * columns * data.itemsize)
    dense = np.zeros((rows, columns), data.dtype)
    if kind == "coo":
        row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
        np.add.at(dense, (_indices(row), _indices(column)), data)
    elif kind == "dia":
        for values, offset in zip(data, _whole(state["offsets"]).tolist(), strict=True):
            column = np.arange(max(0, offset), min(columns, rows + offset, len(values)))
            dense[column - offset, column] = values[column]
    else:
        _add_compressed(dense, kind, data, state)
    return dense


def _add_compressed(dense: np.ndarray, kind: str, data: np.ndarray, state: Mapping[str, Any]) -> None:
    """Entries of rows (csr), columns (csc) or blocks (bsr), of which `indptr` says where each begins."""
    starts, minor = _indices(state["indptr"]), _indices(state["indices"])
    if len(starts) == 0 or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] != len(minor):
        raise RefusedFile(
            "a sparse matrix must have rows that begin one after the other, "
            f"from 0 to {len(minor)} indices, but has others"
        )
    major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if kind == "csc":
        np.add.at(dense, (minor, major), data)
    elif kind == "csr":
        np.add.at(dense, (major, minor), data)
    else:
        (rows, columns), (height, width) = dense.shape, data.shape[1:]
        blocks = dense.reshape(rows // height, height, columns // width, width).transpose(0, 2, 1, 3)
        np.add.at(blocks, (major, minor), data)  # a view of dense


def _indices(values: Any) -> np.ndarray:
    indices = _whole(values)
    if indices.size and indices.min() < 0:  # numpy would index from the end
        raise RefusedFile("a sparse matrix must have indices from 0 on but has a negative one")
    return indices


def _whole(values: Any) -> np.ndarray:
    """As signed numbers: differences of unsigned ones wrap around."""
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise RefusedFile(
            f"a sparse matrix must have lists of whole numbers as indices but has {values.dtype}, {values.shape}"
        )
    if values.size and values.max() > np.iinfo(np.int64).max:
        raise RefusedFile("a sparse matrix must have indices below 2^63 but has a larger one")
    return values.astype(np.int64)
