"""Pictures: reading them safely, cutting a camera's view out of them, and what a real camera does to them."""

from knuckle.image.cut import cut
from knuckle.image.exif import focal_length_pixels
from knuckle.image.read import MAX_PIXELS, PictureError, decode_picture, picture_size, read_picture

__all__ = [
    "MAX_PIXELS",
    "PictureError",
    "cut",
    "decode_picture",
    "focal_length_pixels",
    "picture_size",
    "read_picture",
]
