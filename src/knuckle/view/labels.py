"""Boxes with a line of text, in a colour of their own."""

import colorsys

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def accent(number: int) -> tuple[int, int, int]:
    """RGB of a track: always the same for a number, and far from those of the numbers before it."""
    # Steps of the golden section divide the circle of hues evenly, however many there are.
    red, green, blue = colorsys.hsv_to_rgb((0.55 + 0.618034 * number) % 1.0, 0.7, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_label(
    image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"], text: str, color: tuple[int, int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with a box and a line of text above it, moved into the picture where it is outside.

    Args:
        image: (h, w, 3) uint8 RGB.
        box: (4,) x0, y0, x1, y1 in pixels.
        text: ASCII.
        color: RGB, of the box and behind the text.
    """
    drawn = np.ascontiguousarray(image).copy()
    height, width = image.shape[:2]
    # Boxes of hands near the lens reach far out of the picture, farther than OpenCV can count.
    x0, y0, x1, y1 = np.rint(np.clip(box, -1e5, 1e5)).astype(int).tolist()
    line = max(1, round(max(height, width) / 480))
    cv2.rectangle(drawn, (x0, y0), (x1, y1), color, line, cv2.LINE_AA)
    scale = max(0.3, max(height, width) / 1600)
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, line)
    left = min(max(x0, 0), max(width - text_width - 2 * line, 0))
    bottom = min(max(y0, text_height + below), height - 1)
    cv2.rectangle(
        drawn, (left, bottom - text_height - below), (left + text_width + 2 * line, bottom), color, cv2.FILLED
    )
    # Black is readable on all accents, which are light.
    cv2.putText(drawn, text, (left + line, bottom - below // 2), _FONT, scale, (0, 0, 0), line, cv2.LINE_AA)
    return drawn
