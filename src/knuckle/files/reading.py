"""Opening files that nobody vouches for: regular files only, and no more bytes than a limit."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 2**30  # larger than any known model or annotation file; a larger size is an attack or an error
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class InputError(ValueError):
    """What came from outside cannot be used; the message is one line: what was expected, what came, what to do."""


class RefusedFile(InputError):
    """A file that is damaged, too large, or contains code; the message states which and what to do."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading: named pipes and devices can block forever, or never end.

    Raises:
        RefusedFile: it is a folder, a named pipe, a device or a socket.
        OSError: it cannot be opened.
    """
    # Without O_NONBLOCK, opening a named pipe waits for its writer. On regular files it does nothing.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)
    try:
        kind = stat.S_IFMT(os.fstat(number).st_mode)
        if kind != stat.S_IFREG:
            raise RefusedFile(
                f"{path} must be a regular file but is {_KINDS.get(kind, 'something else')}; copy it first"
            )
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def regular_file(path: str | os.PathLike[str], max_bytes: int | None = None) -> Path:
    """The path, where it is a regular file; for libraries that open files themselves.

    Args:
        path: the file.
        max_bytes: maximum of its size, None for any.

    Raises:
        RefusedFile: it is something else, or larger.
        OSError: it cannot be opened.
    """
    with open_regular(path) as file:
        if max_bytes is not None:
            _check_size(path, os.fstat(file.fileno()).st_size, max_bytes)
    return Path(path)


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        max_bytes: maximum of its size, which is checked before anything is read.

    Raises:
        RefusedFile: it is no regular file, or larger.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(path, size, max_bytes)
        return file.read(size)


def read_text(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> str:
    """As `read_bytes`, decoded as UTF-8.

    Raises:
        RefusedFile: it is not UTF-8; or as of `read_bytes`.
        OSError: it cannot be read.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFile(f"{path} must be UTF-8 text but has other bytes at {error.start}; write it again") from None


def _check_size(path: str | os.PathLike[str], size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise RefusedFile(f"{path} must be at most {max_bytes} bytes but has {size}; raise max_bytes if you trust it")
