"""Pictures: safe reading, cropping, and photometric augmentation."""

from knuckle.image.cut import cut
from knuckle.image.example import example_image
from knuckle.image.exif import focal_length_pixels
from knuckle.image.read import (
    MAX_PIXELS,
    PictureError,
    decode_picture,
    decode_pixels,
    picture_bytes,
    picture_size,
    read_picture,
)

__all__ = [
    "MAX_PIXELS",
    "PictureError",
    "cut",
    "decode_picture",
    "decode_pixels",
    "example_image",
    "focal_length_pixels",
    "picture_bytes",
    "picture_size",
    "read_picture",
]
