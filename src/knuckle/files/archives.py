"""Members of .zip files (and so of .npz), read in bounded memory whatever their headers claim."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from knuckle.files.reading import RefusedFile, open_regular

_STEP = 2**20
_MAX_DIRECTORY = 2**22  # bytes of the list of members: some 60 thousand; zipfile takes a kilobyte for each
_ENCRYPTED = 0x1
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


@contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """An archive, open for `read_member`.

    Raises:
        RefusedFile: it is not a .zip file, or a damaged one, also where the body finds that out.
        OSError: it cannot be read.
    """
    path = Path(path)
    with open_regular(path) as file:
        _check_directory(file, path)
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        # What zipfile raises of damaged headers and streams.
        except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, struct.error, RuntimeError) as error:
            raise _damaged(path, error) from None


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int, source: str) -> bytes:
    """The content of a member.

    Args:
        archive: of `open_archive`.
        member: one of its infolist().
        max_bytes: maximum of its unpacked size.
        source: for the message.

    Raises:
        RefusedFile: it unpacks to more, is encrypted, or compressed by bzip2 or lzma, which unpack without bound.
    """
    if member.flag_bits & _ENCRYPTED:
        raise RefusedFile(f"{source} must not be encrypted but is; unpack it and pack it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RefusedFile(f"{source} must be stored or deflated but is compressed by another method; pack it again")
    if member.file_size > max_bytes:
        raise RefusedFile(
            f"{source} must unpack to at most {max_bytes} bytes but claims {member.file_size}; raise max_bytes if you "
            "trust the file"
        )
    parts = []
    # In steps, as a read of everything inflates all there is before it is cut to the size that the header states.
    with archive.open(member) as stream:
        while part := stream.read(_STEP):
            parts.append(part)
    return b"".join(parts)


def _check_directory(file: BinaryIO, path: Path) -> None:
    """Refuses a list of members that would fill the memory; zipfile reads all of it when it opens the file."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 2**16 - 22))
    tail = file.read()
    # As zipfile looks for it: at the very end, else the last one before a comment.
    at = len(tail) - 22
    if at < 0 or tail[at : at + 4] != _END or tail[-2:] != b"\0\0":
        at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise _damaged(path, "it has no list of members")
    size = struct.unpack("<L", tail[at + 12 : at + 16])[0]
    if at >= 76 and tail[at - 20 : at - 16] == _LOCATOR64 and tail[at - 76 : at - 72] == _END64:
        size = struct.unpack("<Q", tail[at - 36 : at - 28])[0]
    if size > _MAX_DIRECTORY:
        raise RefusedFile(f"{path} must list its members in {_MAX_DIRECTORY} bytes but takes {size}; get it again")
    file.seek(0)


def _damaged(path: Path, reason: object) -> RefusedFile:
    return RefusedFile(f"{path} must be a .npz file or another .zip but could not be unpacked ({reason}); get it again")
