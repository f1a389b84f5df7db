"""Reading picture files from untrusted sources.

The size in the header is checked before anything is decoded, so that a small file that would decompress to gigabytes
is refused, and the decoded size is held against it afterwards; a truncated file is an error rather than half a picture.
`decode_pixels` is the only place where pictures of files are decoded.
"""

import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from knuckle.files import InputError, RefusedFile, read_bytes
from knuckle.image.tiff import is_tiff, read_tiff_header

# 100 megapixels: more than almost every camera has, and 300 MB when decoded.
MAX_PIXELS = 100_000_000
# Such a picture as a PNG of noise has 300 MB; photographs have a tenth of it.
MAX_PICTURE_BYTES = 2**28
# Progressive JPEG files are decoded as often as they have scans; encoders write about ten.
_MAX_SCANS = 100

# Bits of a pixel that OpenCV's TIFF decoder reads: four channels of 64-bit numbers.
_MAX_TIFF_BITS = 256
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")


class PictureError(InputError):
    """A file that cannot be read as a picture; the message is one line with the cause and what to do."""


def read_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture as 8-bit RGB, rotated upright by its EXIF orientation.

    Greyscale, 16-bit and CMYK pictures are converted; transparent pictures are composited on mid grey. Of several
    pictures in a TIFF or GIF file the first is taken.

    Args:
        path: a JPEG, PNG, WebP, BMP, TIFF or GIF file.
        max_pixels: maximum of width times height.

    Raises:
        PictureError: the file cannot be read, is not a picture, is truncated, or is larger than `max_pixels`.
    """
    data = picture_bytes(path)
    try:
        return decode_picture(data, max_pixels)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None


def picture_bytes(path: str | Path) -> bytes:
    """The bytes of a picture file, at most MAX_PICTURE_BYTES.

    Raises:
        PictureError: it cannot be read, is larger, or is no regular file.
    """
    try:
        return read_bytes(path, MAX_PICTURE_BYTES)
    except RefusedFile as error:
        raise PictureError(str(error)) from None
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from None


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w 3"]:
    """As `read_picture`, from the bytes of the file."""
    transparent = (data.startswith(_PNG) and data[25:26] in (b"\4", b"\6")) or data.startswith(_GIF)
    picture = decode_pixels(data, cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_COLOR, max_pixels)
    if picture.dtype == np.uint16:
        picture = (picture // 256).astype(np.uint8)
    if picture.ndim == 3 and picture.shape[2] == 4:
        picture = _on_grey(picture)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def decode_pixels(data: bytes, flags: int, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The pixels of a picture file as OpenCV has them: BGR, or one channel.

    Args:
        data: the bytes of the file.
        flags: of cv2.imdecode.
        max_pixels: maximum of width times height.

    Raises:
        PictureError: it is not a picture, is truncated, or is larger than `max_pixels`.
    """
    width, height = picture_size(data)
    if width < 1 or height < 1 or width * height > max_pixels:
        raise PictureError(
            f"must have one pixel, and at most {max_pixels}, but got {width} x {height}; shrink it first"
        )
    _check_complete(data, width * height)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise PictureError(
            f"cannot be decoded ({' '.join(str(error).split())[:120]}); save it again as JPEG or PNG"
        ) from None
    if picture is None:
        raise PictureError("cannot be decoded; save it again as JPEG or PNG")
    if {*picture.shape[:2]} != {width, height}:
        raise PictureError(
            f"must decode to {width} x {height} pixels, as its header says, but decodes to {picture.shape[1]} x "
            f"{picture.shape[0]}; save it again"
        )
    return np.asarray(picture)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a JPEG, PNG, WebP, BMP, TIFF or GIF file, before any rotation.

    Raises:
        PictureError: the bytes are empty, or of another format.
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
        if data[14:18] == struct.pack("<I", 12):  # the header of OS/2, with shorter numbers
            return struct.unpack("<HH", data[18:22])
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    if is_tiff(data):
        return _tiff_size(data)
    if data.startswith(_GIF) and len(data) >= 13:
        return struct.unpack("<HH", data[6:10])
    raise PictureError(
        "must be a JPEG, PNG, WebP, BMP, TIFF or GIF picture but its first bytes are of none; convert it"
    )


def _tiff_size(data: bytes) -> tuple[int, int]:
    try:
        header = read_tiff_header(data)
    except ValueError as error:
        raise PictureError(str(error)) from None
    if header.tile > MAX_PIXELS or header.bits > _MAX_TIFF_BITS:
        raise PictureError(
            f"must have tiles of at most {MAX_PIXELS} pixels and pixels of at most {_MAX_TIFF_BITS} bits but got "
            f"{header.tile} and {header.bits}; convert it to PNG"
        )
    return header.width, header.height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # the markers without a length
            at += 2
            continue
        # The frame headers are C0..CF without the three tables that share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0x00 or 0xD8 <= marker <= 0xDA or length < 2:  # no segment, or pixels before their frame
            break
        at += 2 + length
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


def _check_complete(data: bytes, pixels: int) -> None:
    """Raises PictureError where the end is missing: decoders fill what a truncated file lacks with grey.

    And where a file claims what it cannot hold, which decoders allocate before they notice, or decode for minutes.
    """
    if data.startswith(b"\xff\xd8"):
        # Cameras append thumbnails and padding, so the marker need not be at the very end. Every block of 8 x 8 pixels
        # takes a bit or more.
        complete = data.rfind(b"\xff\xd9") > len(data) // 2 and len(data) >= pixels // 512
        if data.count(b"\xff\xda") > _MAX_SCANS:
            raise PictureError(f"must be stored in at most {_MAX_SCANS} scans but has more; save it again")
    elif data.startswith(_PNG):
        complete = _png_is_complete(data)
    elif is_tiff(data):
        complete = len(data) >= read_tiff_header(data).end
    elif data.startswith(_GIF):
        complete = data.rstrip(b"\0").endswith(b";")
    else:
        complete = data[:4] != b"RIFF" or len(data) >= struct.unpack("<I", data[4:8])[0]
    if not complete:
        raise PictureError("is truncated; copy or download it again")


def _png_is_complete(data: bytes) -> bool:
    """Whether each chunk is as long as it says, up to the last; OpenCV allocates what it says."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        at += 12 + length
        if kind == b"IEND":
            return at <= len(data)
    return False


def _on_grey(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 128 * (255 - alpha)) // 255).astype(np.uint8)
