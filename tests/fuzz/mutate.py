"""Damage: of bytes, of text, and of what is inside of archives and chunks, whose checksums are then right again."""

import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_TOKENS = (
    "null",
    "true",
    '"1.5"',
    "1e999",
    "-0",
    "NaN",
    "9" * 40,
    "9" * 5000,
    "[]",
    "{}",
    "[[[[",
    '"' + "\x1b[2J" + '"',
)
_TOKENS += ('"\x1b[2J"', "1e150", "-1", "[" * 600, '{"a":' * 200, "0.5, 0.5", "Infinity", '"../../x"')


def damaged(seeds: list[bytes], rng: np.random.Generator) -> bytes:
    """One of the seeds, damaged in one to six ways."""
    data = seeds[rng.integers(len(seeds))]
    inside = _inside(data)
    if inside is not None and rng.random() < 0.5:
        return inside(lambda part: _changed(part, seeds, rng), rng)
    return _changed(data, seeds, rng)


def _changed(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 7)):
        kinds = [_flip, _number, _cut, _repeat, _drop, _insert, _splice, _flip, _number]
        if data[:1] in b"[{#" or b"\n" in data[:200]:
            kinds += [_token] * 8
        data = kinds[rng.integers(len(kinds))](data, seeds, rng)
        if not data:
            return data
    return data[: 2**22]


def _span(data: bytes, rng: np.random.Generator, longest: int = 4096) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    # Headers are at the beginning: half of the damage is there.
    start = start if rng.random() < 0.5 else start % min(len(data), 256)
    return start, min(len(data), start + int(2 ** rng.uniform(0, np.log2(longest))))


def _flip(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    start, _ = _span(data, rng)
    return data[:start] + bytes([data[start] ^ (1 << int(rng.integers(8)))]) + data[start + 1 :]


def _number(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    start, _ = _span(data, rng)
    width = int(rng.choice([1, 2, 4, 8]))
    value = _NUMBERS[rng.integers(len(_NUMBERS))] % 256**width
    return data[:start] + value.to_bytes(width, "little" if rng.random() < 0.5 else "big") + data[start + width :]


def _cut(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))] if rng.random() < 0.3 else data


def _repeat(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    start, stop = _span(data, rng)
    return data[:start] + data[start:stop] * int(rng.choice([2, 3, 50])) + data[stop:]


def _drop(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    start, stop = _span(data, rng, 256)
    return data[:start] + data[stop:]


def _insert(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    start, stop = _span(data, rng, 64)
    return data[:start] + rng.bytes(stop - start) + data[start:]


def _splice(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    other = seeds[rng.integers(len(seeds))]
    start, stop = _span(other, rng)
    at = int(rng.integers(len(data)))
    return data[:at] + other[start:stop] + data[at + (stop - start) * int(rng.integers(2)) :]


def _token(data: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    words = list(re.finditer(rb"-?\d[\d.eE+-]*|\"[^\"]*\"|\[|\]", data[: 2**16]))
    if not words:
        return data
    word = words[rng.integers(len(words))]
    return data[: word.start()] + _TOKENS[rng.integers(len(_TOKENS))].encode() + data[word.end() :]


Change = Callable[[bytes], bytes]


def _inside(data: bytes) -> Callable[[Change, np.random.Generator], bytes] | None:
    """How to change a part of a container."""
    if data.startswith(b"PK\x03\x04"):
        return lambda change, rng: _zip(data, change, rng)
    if data.startswith(b"\x89PNG"):
        return lambda change, rng: _png(data, change, rng)
    if data[257:262] == b"ustar":
        return lambda change, rng: _tar(data, change, rng)
    return None


def _zip(data: bytes, change: Change, rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        chosen = rng.integers(len(old.namelist()))
        for number, name in enumerate(old.namelist()):
            part = old.read(name)
            kind = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            new.writestr(name, change(part) if number == chosen else part, int(kind))
    return out.getvalue()


def _tar(data: bytes, change: Change, rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        members = old.getmembers()
        chosen = rng.integers(len(members))
        for number, member in enumerate(members):
            stream = old.extractfile(member)
            part = b"" if stream is None else stream.read()
            part = change(part) if number == chosen else part
            member.size = len(part)
            new.addfile(member, io.BytesIO(part))
    return out.getvalue()


def _png(data: bytes, change: Change, rng: np.random.Generator) -> bytes:
    chunks, at = [], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    chosen = rng.integers(len(chunks))
    out = data[:8]
    for number, (kind, part) in enumerate(chunks):
        part = change(part) if number == chosen and part else part
        out += struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
    return out
