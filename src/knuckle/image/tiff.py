"""The header of a TIFF file: what its picture takes when decoded, and where its pixels lie.

Source: TIFF revision 6.0 (Adobe, 1992), sections 2, 8 and 15.
"""

import struct
from typing import NamedTuple

_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
# Offsets and byte counts of strips, or of tiles.
_PIECES = ((273, 279), (324, 325))
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# Type of a field -> the format of its numbers.
_NUMBERS = {1: "B", 3: "H", 4: "I"}
# Strips of one row in the tallest picture, or tiles.
_MAX_PIECES = 1_000_000


class TiffHeader(NamedTuple):
    """Of the first picture in a file.

    Attributes:
        width, height: in pixels, before the orientation is applied.
        tile: pixels of one tile, 0 where the picture is stored in strips.
        bits: of one pixel.
        end: number of bytes that the file must have for all pixels to be in it.
    """

    width: int
    height: int
    tile: int
    bits: int
    end: int


def is_tiff(data: bytes) -> bool:
    """Whether a file's bytes begin as those of TIFF; BigTIFF, which has 64-bit offsets, is another format."""
    return data[:4] in (b"II*\0", b"MM\0*")


def read_tiff_header(data: bytes) -> TiffHeader:
    """The header of a file that is_tiff.

    Raises:
        ValueError: it is truncated, or lacks width, height or the place of the pixels.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        fields = _fields(data, order)
        numbers = {tag: _values(data, order, *fields[tag]) for tag in fields.keys() & _WANTED}
    except struct.error:
        raise ValueError("is truncated within its header; copy or download it again") from None
    places = next(((numbers[at], numbers[size]) for at, size in _PIECES if at in numbers and size in numbers), None)
    if places is None or not all(numbers.get(tag) for tag in (_WIDTH, _HEIGHT)):
        raise ValueError("must be a TIFF picture with a size and pixels but its header lacks them; save it again")
    bits = sum(numbers.get(_BITS, (1,)))
    if len(numbers.get(_BITS, (1,))) == 1:
        bits *= numbers.get(_SAMPLES, (1,))[0]
    tile = numbers.get(_TILE_WIDTH, (0,))[0] * numbers.get(_TILE_HEIGHT, (0,))[0]
    end = max(at + size for at, size in zip(*places, strict=False))
    return TiffHeader(numbers[_WIDTH][0], numbers[_HEIGHT][0], tile, bits, end)


_WANTED = {_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, *(tag for pair in _PIECES for tag in pair)}


def _fields(data: bytes, order: str) -> dict[int, tuple[int, int, int]]:
    """Type, number of values and place of the values, by tag, of the file's first directory."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    found = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, at)
        size = struct.calcsize(_NUMBERS.get(kind, "I")) * values
        # Values that fit into four bytes lie in the field itself.
        found[tag] = (kind, values, at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0])
    return found


def _values(data: bytes, order: str, kind: int, count: int, at: int) -> tuple[int, ...]:
    if kind not in _NUMBERS or not 1 <= count <= _MAX_PIECES:
        raise ValueError("must be a TIFF picture whose header holds whole numbers but does not; save it again")
    return struct.unpack_from(f"{order}{count}{_NUMBERS[kind]}", data, at)
