"""What is fuzzed: a reader, what it is given to begin with, and how it is called; and parts of healthy files."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.handmodel import HandModel


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        file: the name that the damaged file gets, maybe in folders; readers go by suffixes.
        seeds: healthy files.
        read: reads the file as a command does, to the end.
        beside: healthy files of the same folder, by names as `file`.
    """

    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    beside: Callable[[], dict[str, bytes]] = dict

    def prepare(self, folder: Path) -> Path:
        """Writes the healthy files into a folder; where the damaged one belongs is returned."""
        for name, data in {self.file: b"", **self.beside()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder / self.file


def joints() -> np.ndarray:
    """(2, 21, 3) metres, in front of the camera."""
    rest = HandModel.open().joints_rest
    return rest + np.array([[[0.0, 0.0, 0.5]], [[0.1, 0.0, 0.6]]])


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def as_json(*contents: object) -> list[bytes]:
    return [json.dumps(content).encode() for content in contents]
