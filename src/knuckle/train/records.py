"""What a system keeps of a data set, in flat files next to each other that are mapped into memory, not read.

Decoding a picture costs more than augmenting the part of it that is needed, so it is done once.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.datasets.shards import read_pictures, samples_of, shard_paths
from knuckle.sample import Sample
from knuckle.systems.system import System


def records_folder(cache: Path, system: System, data: Path) -> Path:
    """Where the records of a data set for a system (and its configuration) belong."""
    said = json.dumps([type(system).__name__, asdict(system.config), str(data.resolve())], sort_keys=True)
    return cache / f"{type(system).__name__.lower()}-{data.name}-{hashlib.sha256(said.encode()).hexdigest()[:10]}"


def labelled_pictures(data: Path) -> Iterator[tuple[np.ndarray, Sequence[Sample]]]:
    """The pictures of a folder of shards, each with the hands in it."""
    # A shard that is still being written has a name that begins with a dot.
    whole = [path for path in shard_paths(data) if not path.name.startswith(".")]
    for picture in read_pictures(whole, masks=False):
        yield picture.image, samples_of(picture, "all")


def write_records(
    folder: Path,
    system: System,
    pictures: Iterable[tuple[np.ndarray, Sequence[Sample]]],
    on_picture: Callable[[int], None] = lambda count: None,
) -> int:
    """Makes the records of all pictures; the folder is there complete or not at all.

    Args:
        folder: to be made.
        system: says what is kept.
        pictures: each with the hands in it.
        on_picture: called with the number of records so far.

    Returns:
        The number of records.

    Raises:
        ValueError: there was nothing to keep.
    """
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    files: dict[str, Any] = {}
    layout: dict[str, tuple[str, tuple[int, ...]]] = {}
    count = 0
    try:
        for picture, samples in pictures:
            for record in system.records(picture, samples):
                for name, values in record.items():
                    values = np.asarray(values)
                    if name not in files:
                        files[name] = (unfinished / f"{name}.bin").open("wb")
                        layout[name] = (values.dtype.str, values.shape)
                    if (values.dtype.str, values.shape) != layout[name]:
                        raise ValueError(f"{name} must always be {layout[name]} but got {values.dtype}, {values.shape}")
                    files[name].write(np.ascontiguousarray(values).tobytes())
                count += 1
            on_picture(count)
    finally:
        for file in files.values():
            file.close()
    if count == 0:
        raise ValueError("the data must hold at least one picture of use to this system but got none; check the folder")
    (unfinished / "layout.json").write_text(json.dumps({"count": count, "arrays": layout}))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return count


def open_records(folder: Path) -> dict[str, np.ndarray]:
    """Maps the records of a folder into memory, read-only."""
    layout = json.loads((folder / "layout.json").read_text())
    return {
        name: np.memmap(folder / f"{name}.bin", dtype=np.dtype(kind), mode="r", shape=(layout["count"], *shape))
        for name, (kind, shape) in layout["arrays"].items()
    }


class Joined:
    """Several memory-mapped arrays, one after the other, indexed by a single number; nothing is copied."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = list(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(p) for p in parts])])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._parts[part][index - self._starts[part]]


def join_records(sets: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """One set of records out of several with the same arrays."""
    return sets[0] if len(sets) == 1 else {name: Joined([s[name] for s in sets]) for name in sets[0]}
