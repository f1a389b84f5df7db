"""What is decoded of a data set, in flat files next to each other that are mapped into memory, not read.

Decoding a picture costs more than augmenting the part of it that is needed, so it is done once.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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

    Returns:
        The number of records.

    Raises:
        NoRecords: there are none.
        ValueError: they differ in shape.
    """
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
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
            shutil.rmtree(unfinished, ignore_errors=True)
    if count == 0:
        raise NoRecords(f"{folder} must get at least one record but there was none")
    (unfinished / "layout.json").write_text(json.dumps({"count": count, "arrays": layout}))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return count


def open_records(folder: Path) -> dict[str, np.ndarray]:
    """Maps the records of a folder into memory, read-only."""
    layout = json.loads((folder / "layout.json").read_text())
    # As plain arrays: taking a row of a memmap costs several times as much.
    return {
        name: np.asarray(np.memmap(folder / f"{name}.bin", np.dtype(kind), "r", shape=(layout["count"], *shape)))
        for name, (kind, shape) in layout["arrays"].items()
    }


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
