"""The focal length in EXIF data, which gives the field of view."""

import math
import struct

_EXIF_POINTER = 0x8769
_FOCAL_35MM = 0xA405
# The diagonal of the 36 x 24 mm frame that "35 mm equivalent" refers to (CIPA DCG-001).
_DIAGONAL_35MM = math.hypot(36.0, 24.0)


def focal_length_pixels(data: bytes, width: int, height: int) -> float | None:
    """The focal length in pixels, from the EXIF tag FocalLengthIn35mmFilm.

    Args:
        data: the bytes of a JPEG file.
        width, height: of the whole, uncropped picture.

    Returns:
        Pixels; None where the file has no such tag or an implausible value.
    """
    tiff = _tiff_block(data)
    if tiff is None:
        return None
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        first = _entries(tiff, order, struct.unpack(order + "I", tiff[4:8])[0])
        if _EXIF_POINTER not in first:
            return None
        focal = _entries(tiff, order, first[_EXIF_POINTER]).get(_FOCAL_35MM, 0)
    except (KeyError, struct.error):
        return None  # a damaged block is ignored: the picture itself may be intact
    if not 4 <= focal <= 2000:
        return None
    return focal / _DIAGONAL_35MM * math.hypot(width, height)


def _tiff_block(data: bytes) -> bytes | None:
    """The TIFF part of a JPEG's APP1 segment."""
    at = 2
    while data.startswith(b"\xff\xd8") and at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0x01 or 0xD0 <= data[at + 1] <= 0xD7:  # the markers without a length
            at += 2
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return data[at + 10 : at + 2 + length]
        at += 2 + length
    return None


def _entries(tiff: bytes, order: str, at: int) -> dict[int, int]:
    """{tag: value} of one directory, short and long numbers only."""
    count = struct.unpack(order + "H", tiff[at : at + 2])[0]
    found = {}
    for i in range(count):
        entry = tiff[at + 2 + 12 * i : at + 14 + 12 * i]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if kind == 3:
            found[tag] = struct.unpack(order + "H", entry[8:10])[0]
        elif kind == 4:
            found[tag] = struct.unpack(order + "I", entry[8:12])[0]
    return found
