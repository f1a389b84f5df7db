"""Folders to write sets of files into: on this machine, or wherever an fsspec file system goes (s3://, gs://, sftp://).

Under its own name a file is complete or not there, as with `atomic_write`.
"""

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from knuckle.files.reading import MAX_BYTES, RefusedFile, read_bytes
from knuckle.files.writing import atomic_write, remove_leftovers

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)")  # "s3://", and fsspec's chains: "simplecache::s3://"
_FILE = "file://"
# Stores whose objects appear when their upload is complete: a move there would be a copy.
_WHOLE_OBJECTS = frozenset({"memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci"})


@runtime_checkable
class Folder(Protocol):
    """Where a set of files is written."""

    def prepare(self) -> None:
        """Makes the folder, and removes what killed processes have left in it. Raises OSError where it cannot be."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none. Raises OSError, or RefusedFile for more than a gigabyte."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Writes a whole file, in place of one that is there. Raises OSError; then the old one is there, or none."""
        ...

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether there is a file of this size and, as far as that can be told without a download, content."""
        ...

    def tidy(self) -> None:
        """Removes what was left unfinished."""
        ...


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether a place is not on this machine's own file system: `file://` is."""
    text = os.fspath(place)
    return _URL.match(text) is not None and not text.startswith(_FILE)


def open_folder(place: str | os.PathLike[str]) -> Folder:
    """A folder by its path, or by its URL, which takes `pip install 'knuckle[remote]'`.

    Args:
        place: "pictures", "file:///data/pictures", "s3://bucket/pictures", "memory://pictures", ...

    Raises:
        ImportError: fsspec, or the package of that kind of file system, is not installed.
        ValueError: there is no such kind of file system.
        OSError: it cannot be reached.
    """
    if is_url(place):
        return RemoteFolder(os.fspath(place))
    return LocalFolder(Path(os.fspath(place).removeprefix(_FILE)))


class LocalFolder:
    """A `Folder` of this machine's file system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def prepare(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        self.tidy()

    def read(self, name: str) -> bytes | None:
        path = self._path / name
        return read_bytes(path) if path.exists() else None

    def write(self, name: str, data: bytes) -> None:
        with atomic_write(self._path / name) as unfinished:
            unfinished.write_bytes(data)

    def holds(self, name: str, size: int, sha256: str) -> bool:
        path = self._path / name
        if not path.is_file() or path.stat().st_size != size:
            return False
        # A disk that was full can keep the size alone.
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def tidy(self) -> None:
        remove_leftovers(self._path)


class RemoteFolder:
    """A `Folder` of an fsspec file system.

    Stores of objects take whole ones; elsewhere a file is written under another name and moved, which is as atomic as
    that file system's own move. What a killed process has left under the other name stays: nobody can tell there
    whether its writer lives.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            import fsspec
        except ModuleNotFoundError as error:
            if error.name != "fsspec":
                raise
            raise ImportError(f"{url} needs fsspec; install it with `pip install 'knuckle[remote]'`") from None
        try:
            self._files, self._path = fsspec.core.url_to_fs(self._url)
        except ImportError as error:  # "Install s3fs to access S3"
            raise ImportError(f"{url} needs another package: {error}") from error
        except ValueError as error:
            raise ValueError(f"{url} must be a path, or a URL that fsspec knows, but is not ({error})") from error
        except Exception as error:
            raise self._failure("opened", "", error) from error
        kinds = self._files.protocol
        self._takes_whole = not _WHOLE_OBJECTS.isdisjoint({kinds} if isinstance(kinds, str) else kinds)

    def __str__(self) -> str:
        return self._url

    def prepare(self) -> None:
        try:
            self._files.makedirs(self._path, exist_ok=True)
        except Exception as error:
            raise self._failure("made", "", error) from error

    def read(self, name: str) -> bytes | None:
        try:
            about = self._about(name)
            if about is None:
                return None
            if about["size"] > MAX_BYTES:
                raise RefusedFile(f"{self._url}/{name} must be at most {MAX_BYTES} bytes but has {about['size']}")
            return bytes(self._files.cat_file(self._place(name)))
        except RefusedFile:
            raise
        except Exception as error:
            raise self._failure("read", name, error) from error

    def write(self, name: str, data: bytes) -> None:
        place = self._place(name)
        try:
            if self._takes_whole:
                self._files.pipe_file(place, data)
            else:
                self._write_and_move(place, data)
        except Exception as error:
            raise self._failure("written", name, error) from error

    def _write_and_move(self, place: str, data: bytes) -> None:
        folder, _, name = place.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(6)}.unfinished"
        try:
            self._files.pipe_file(temporary, data)
            self._files.mv(temporary, place)
        except BaseException:  # Ctrl-C too
            with contextlib.suppress(Exception):  # the first failure is the one to tell of
                self._files.rm_file(temporary)
            raise

    def holds(self, name: str, size: int, sha256: str) -> bool:
        # Not downloaded again: what these hold was whole when it appeared, and they keep checksums themselves.
        try:
            about = self._about(name)
        except Exception as error:
            raise self._failure("looked up", name, error) from error
        return about is not None and about["size"] == size

    def tidy(self) -> None:
        pass

    def _place(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    def _about(self, name: str) -> dict[str, Any] | None:
        try:
            return self._files.info(self._place(name))
        except FileNotFoundError:
            return None

    def _failure(self, what: str, name: str, error: Exception) -> OSError:
        # Their packages raise exceptions of their own, which have nothing in common.
        place = f"{self._url}/{name}" if name else self._url
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return OSError(f"{place} could not be {what} ({reason}); check the address, and what you may do there")
