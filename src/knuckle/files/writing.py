"""Atomic writing: under its own name a file is complete or not there."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove or replace an open file anyway
    fcntl = None

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TEMPORARY = re.compile(r"\.(.{1,40})\.[0-9a-f]{12}\.unfinished(\..{0,15})?", re.DOTALL)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file atomically: `path` holds either the old content or the complete new one.

    Args:
        path: the file to write; its folder is created when missing.

    Yields:
        A path beside it, with the same suffix, for the body to write. When the body ends it is moved to `path`;
        when the body raises it is removed and `path` is left as it was. A process that is killed leaves it behind,
        until `remove_leftovers`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder because os.replace is atomic only within a file system; same suffix because np.savez adds one;
    # not longer than file systems allow, whatever the name. Forty characters take at most 160 bytes.
    suffix = path.suffix if len(path.suffix) <= 16 else ""
    temporary = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(6)}.unfinished{suffix}")
    with _held(temporary):
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
        except OSError as error:
            if error.errno in _FULL and error.filename is None:  # the system does not say of which file
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes have left of `atomic_write` in a folder; what is still being written stays."""
    if fcntl is None:
        return
    for path in folder.glob(".*.unfinished*"):
        if not _TEMPORARY.fullmatch(path.name) or not path.is_file() or path.is_symlink():
            continue
        try:
            number = os.open(path, os.O_RDWR)
        except OSError:  # somebody else removed it, or it is somebody else's
            continue
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except OSError:  # its writer holds it
            pass
        finally:
            os.close(number)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk: a crash of the machine loses neither."""
    if path.is_dir() and os.name == "nt":  # which opens no folders
        return
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """The new file exists, and is locked, so that `remove_leftovers` sees that its writer lives."""
    if fcntl is None:
        yield
        return
    while True:
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
        except OSError:  # a file system without locks, where nothing is ever swept
            break
        if temporary.exists():  # not swept between the two calls
            break
        os.close(number)
    try:
        yield
    finally:
        os.close(number)
