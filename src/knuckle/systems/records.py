"""What is decoded of a data set, in flat files next to each other that are mapped into memory, not read.

Decoding a picture costs more than augmenting the part of it that is needed, so it is done once.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.files import InputError, load_json

_MAX_LAYOUT = 2**20
_ABANDONED = 3600.0  # seconds without a change after which nobody writes there any more

# Arrays by name; scalars among them.
Record = dict[str, Any]


class NoRecords(ValueError):
    """There was nothing to write."""


def records_folder(cache: Path, key: Mapping[str, Any], name: str) -> Path:
    """Where the records that `key` describes belong: what was decoded, of which files, how.

    Args:
        cache: folder of all records.
        key: as JSON can hold it.
        name: for people; letters, digits and dashes of it are used.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    plain = "".join(c if c.isalnum() else "-" for c in name)[-40:].strip("-")
    return cache / f"{plain}-{digest}"


def write_records(folder: Path, records: Iterable[Record]) -> int:
    """Writes records, all with arrays of the same names, shapes and dtypes; the folder is there complete or not at all.

    Where another process has written the same folder meanwhile, its records are kept.

    Returns:
        The number of records.

    Raises:
        NoRecords: there are none.
        ValueError: they differ in shape.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    # Of a name of its own: two processes that share a cache must not write into each other's files.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        count = _write_files(unfinished, records)
        if not (folder / "layout.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.chmod(0o755)
            # Another process may be first; a folder that is not empty is not replaced.
            with contextlib.suppress(OSError):
                unfinished.rename(folder)
        if not (folder / "layout.json").exists():
            raise OSError(f"{folder} must be writable to keep what was decoded but is not; check its folder")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return count


def _remove_abandoned(folder: Path) -> None:
    """Removes what killed processes have left of these records; what is still written to is another's."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(OSError):  # somebody else removes it
            if time.time() - max(p.stat().st_mtime for p in (left, *left.iterdir())) > _ABANDONED:
                shutil.rmtree(left)


def _write_files(unfinished: Path, records: Iterable[Record]) -> int:
    files: dict[str, Any] = {}
    layout: dict[str, tuple[str, tuple[int, ...]]] = {}
    count = 0
    try:
        for record in records:
            for name, values in record.items():
                values = np.asarray(values)
                if name not in files:
                    files[name] = (unfinished / f"{name}.bin").open("wb")
                    layout[name] = (values.dtype.str, values.shape)
                if (values.dtype.str, values.shape) != layout[name]:
                    raise ValueError(f"{name} must always be {layout[name]} but got {values.dtype}, {values.shape}")
                files[name].write(np.ascontiguousarray(values).tobytes())
            count += 1
    finally:
        for file in files.values():
            file.close()
    if count == 0:
        raise NoRecords("the data must give at least one record but gave none")
    (unfinished / "layout.json").write_text(json.dumps({"count": count, "arrays": layout}))
    return count


def open_records(folder: Path) -> dict[str, np.ndarray]:
    """Maps the records of a folder into memory, read-only.

    Raises:
        InputError: they are damaged.
        OSError: they cannot be read.
    """
    layout = load_json(folder / "layout.json", _MAX_LAYOUT)
    try:
        # As plain arrays: taking a row of a memmap costs several times as much.
        return {
            name: np.asarray(np.memmap(folder / f"{name}.bin", _plain(kind), "r", shape=(layout["count"], *shape)))
            for name, (kind, shape) in layout["arrays"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{folder} must hold records but is damaged ({error}); remove it, and start again") from error


def _plain(kind: str) -> np.dtype:
    """Of numbers or bytes: a map of Python objects would take a file's numbers for addresses in memory."""
    dtype = np.dtype(kind)
    if dtype.kind not in "biufS" or not dtype.itemsize:
        raise ValueError(f"records must be plain numbers but are {dtype}")
    return dtype


class ConcatRecords:
    """Several sets of records, one after the other, indexed by a single number; nothing is copied."""

    def __init__(self, sets: Sequence[Mapping[str, np.ndarray]]) -> None:
        self._sets = list(sets)
        lengths = [len(next(iter(records.values()))) for records in self._sets]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self.lengths = tuple(lengths)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Record:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        row = index - int(self._starts[part])
        return {name: values[row] for name, values in self._sets[part].items()}

    def column(self, name: str, index: int) -> Any:
        """One array of a record."""
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._sets[part][name][index - int(self._starts[part])]
