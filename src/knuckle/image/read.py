"""Reading picture files from untrusted sources.

The size in the header is checked before anything is decoded, so that a small file that would decompress to gigabytes
is refused; a truncated file is an error rather than half a picture.
"""

import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

# 100 megapixels: more than almost every camera has, and 300 MB when decoded.
MAX_PIXELS = 100_000_000

_PNG = b"\x89PNG\r\n\x1a\n"


class PictureError(ValueError):
    """A file that cannot be read as a picture; the message is one line with the cause and what to do."""


def read_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture as 8-bit RGB, rotated upright by its EXIF orientation.

    Greyscale, 16-bit and CMYK pictures are converted; transparent pictures are composited on mid grey.

    Args:
        path: a JPEG, PNG, WebP or BMP file.
        max_pixels: maximum of width times height.

    Raises:
        PictureError: the file cannot be read, is not a picture, is truncated, or is larger than `max_pixels`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from None
    try:
        return decode_picture(data, max_pixels)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w 3"]:
    """As `read_picture`, from the bytes of the file."""
    width, height = picture_size(data)
    if width * height > max_pixels:
        raise PictureError(f"must have at most {max_pixels} pixels but got {width} x {height}; shrink it first")
    if not _is_complete(data):
        raise PictureError("is truncated; copy or download it again")
    transparent = data.startswith(_PNG) and data[25] in (4, 6)
    flags = cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_COLOR
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PictureError(f"cannot be decoded ({error.err}); save it again as JPEG or PNG") from None
    if picture is None:
        raise PictureError("cannot be decoded; save it again as JPEG or PNG")
    picture = np.asarray(picture)
    if picture.dtype == np.uint16:
        picture = (picture // 256).astype(np.uint8)
    if picture.ndim == 3 and picture.shape[2] == 4:
        picture = _on_grey(picture)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a JPEG, PNG, WebP or BMP file, before any EXIF rotation.

    Raises:
        PictureError: the bytes are empty or of another format.
    """
    if not data:
        raise PictureError("is empty; copy or download it again")
    if data.startswith(_PNG) and len(data) >= 26:
        return struct.unpack(">II", data[16:24])
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp_size(data)
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    raise PictureError("must be a JPEG, PNG, WebP or BMP picture but its first bytes are of none; convert it")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        # The frame headers are C0..CF without the three tables that share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise PictureError("is truncated within its header; copy or download it again")


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise PictureError("must be a WebP picture but its first chunk is unknown; convert it to JPEG or PNG")


def _is_complete(data: bytes) -> bool:
    """Whether the end marker of the file exists; decoders fill the missing part of a truncated file with grey."""
    if data.startswith(b"\xff\xd8"):
        # Cameras append thumbnails and padding, so the marker need not be at the very end.
        return data.rfind(b"\xff\xd9") > len(data) // 2
    if data.startswith(_PNG):
        return b"IEND" in data[-64:]
    if data[:4] == b"RIFF":
        return len(data) >= struct.unpack("<I", data[4:8])[0]
    return True


def _on_grey(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 128 * (255 - alpha)) // 255).astype(np.uint8)
