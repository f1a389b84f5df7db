"""Results of finished parts, kept in a folder until all are done: a call that was interrupted goes on from there."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from knuckle.files import MAX_BYTES, atomic_write, read_bytes, remove_leftovers

_SUFFIX = ".part"


def digest(*things: Any) -> str:
    """A short name for things that JSON can say, and for bytes: other things have another one."""
    hashed = hashlib.sha256()
    for thing in things:
        data = thing if isinstance(thing, bytes) else json.dumps(thing, sort_keys=True).encode()
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.hexdigest()[:32]


class KeptParts:
    """The results of parts as files of a folder, named by all that determines them.

    Args:
        folder: for nothing else; made when the first result is kept, and removed by `clear`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path | None:
        """The file of a result, None where it is not kept."""
        path = self.folder / (name + _SUFFIX)
        return path if path.exists() else None

    def load(self, name: str) -> bytes | None:
        """A result, None where it is not kept."""
        path = self.path(name)
        return None if path is None else read_bytes(path, MAX_BYTES)

    def save(self, name: str, result: bytes) -> None:
        """Keeps a result. Raises OSError where it cannot be written."""
        with atomic_write(self.folder / (name + _SUFFIX)) as unfinished:
            unfinished.write_bytes(result)

    def remove(self, name: str) -> None:
        """Forgets a result, and the folder with the last of them."""
        (self.folder / (name + _SUFFIX)).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in it, or there is none
            self.folder.rmdir()

    def clear(self) -> None:
        """Removes what was kept; other people's files in the folder stay."""
        if not self.folder.is_dir():
            return
        remove_leftovers(self.folder)
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other people's files are in it
            self.folder.rmdir()
