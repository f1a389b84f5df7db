"""Cropping a rotated, scaled part of a picture, without aliasing."""

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from knuckle.camera import crop_affine

# Padding outside the picture: mid grey, which is zero at the networks' input.
OUTSIDE = (128, 128, 128)


def square(
    centre: tuple[float, float], side: float, angle: float, size: int, mirrored: bool = False
) -> Float[np.ndarray, "2 3"]:
    """The affine map from picture pixels to the pixels of an upright square crop.

    Args:
        centre: (u, v) in the picture, of the crop.
        side: pixels of the picture along one side of the crop.
        angle: radians by which directions of the picture are rotated, from (1, 0) towards (0, 1).
        size: pixels along one side of the crop.
        mirrored: swap left and right afterwards.

    Returns:
        (2, 3): crop = A @ (u, v, 1), pixel centres at integers in both.
    """
    scale = size / side
    a, b, x, c, d, y = crop_affine(
        # Directions of the picture rotate by the angle, the box of the crop by its negative.
        (float(centre[0]), float(centre[1])),
        (-scale if mirrored else scale, scale),
        math.cos(angle),
        -math.sin(angle),
        (size, size),
    )
    return np.array([[a, b, x], [c, d, y]])


def apply_affine(affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*b n 2"]) -> Float[np.ndarray, "*b n 2"]:
    """Maps (..., N, 2) pixels by one affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def invert_affine(affine: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The inverse map, from crop pixels to picture pixels."""
    (a, b, x), (c, d, y) = affine.tolist()
    scale = a * d - b * c
    if scale == 0:
        raise ValueError(f"affine must be invertible but got {affine.tolist()}")
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
    return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])


def _scale(affine: Float[np.ndarray, "2 3"]) -> float:
    (a, b, _), (c, d, _) = affine.tolist()
    return math.sqrt(abs(a * d - b * c))


def cut(
    picture: UInt8[np.ndarray, "h w 3"], affine: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Warps a picture into a crop of `size` (width, height).

    Where the crop has less than half the resolution of the picture, the relevant part is first downsampled by
    averaging, as bilinear lookups alone would skip pixels.

    Args:
        picture: RGB.
        affine: (2, 3) picture pixels to crop pixels, as `square` or a camera's warp gives it.
    """
    width, height = size
    shrink = int(1.0 / max(_scale(affine), 1e-6) + 0.25)
    if shrink >= 2:
        corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
        reach = apply_affine(invert_affine(affine), corners)
        x0, y0 = np.maximum(np.floor(reach.min(0)).astype(int) - shrink, 0)
        x1, y1 = np.ceil(reach.max(0)).astype(int) + shrink
        part = picture[y0:y1, x0:x1]
        rows, columns = part.shape[0] // shrink, part.shape[1] // shrink
        if rows < 1 or columns < 1:
            return np.full((height, width, 3), OUTSIDE, np.uint8)
        part = cv2.resize(part[: rows * shrink, : columns * shrink], (columns, rows), interpolation=cv2.INTER_AREA)
        # Pixel i of the small picture has its centre at shrink * i + (shrink - 1) / 2 of the part.
        offset = np.array([x0, y0]) + (shrink - 1) / 2
        affine = np.column_stack([affine[:, :2] * shrink, affine[:, :2] @ offset + affine[:, 2]])
        picture = part
    return cv2.warpAffine(
        picture, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE
    )
