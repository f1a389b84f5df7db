"""A picture of the limits of hands: the fifteen regions of flexion and abduction, as small multiples."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from knuckle.files import atomic_write
from knuckle.handmodel.ranges import HandLimits
from knuckle.skeleton import FINGERS
from knuckle.view.bones import FINGER_COLORS

_WIDE, _HIGH, _GAP, _LEFT, _TOP = 250, 210, 14, 76, 58
_INK, _GRID, _PAPER, _POINT = (40, 40, 45), (222, 224, 228), (255, 255, 255), (168, 174, 184)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEVELS = {"thumb": ("MCP", "IP", "tip"), "other": ("PIP", "DIP", "tip")}
_MAX_POINTS = 20000
_SUBPIXEL = 4  # bits


def draw_limits(
    limits: HandLimits, angles: Float[np.ndarray, "n 15 2"] | None = None, title: str = ""
) -> UInt8[np.ndarray, "h w 3"]:
    """The hull of every finger bone's (flexion, abduction), over the pairs it was learned from.

    Args:
        limits: of hands.
        angles: (N, 15, 2) radians, of the limits' convention; at most 20,000 of them are drawn.
        title: a line above the panels.

    Returns:
        (H, W, 3) RGB: a row for each finger, a column for each of its bones, named after the joint at its end; degrees,
        the same scale everywhere. Flexion runs to the right, abduction upward.
    """
    shown = np.degrees(limits.hulls.reshape(-1, 2))
    if angles is not None:
        angles = angles[:: max(1, -(-len(angles) // _MAX_POINTS))]
        shown = np.concatenate([shown, np.degrees(angles.reshape(-1, 2))])
    low, high = _round_range(shown)
    height, width = _TOP + 5 * (_HIGH + _GAP) + 40, _LEFT + 3 * (_WIDE + _GAP) + 10
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    _text(picture, title or limits.source, (12, 20), 0.45)
    for finger, name in enumerate(FINGERS):
        for level in range(3):
            corner = np.array([_LEFT + level * (_WIDE + _GAP), _TOP + finger * (_HIGH + _GAP)])
            i = 3 * finger + level
            panel = _Panel(picture, corner, low, high)
            panel.grid(labels_left=level == 0, labels_below=finger == len(FINGERS) - 1)
            if angles is not None:
                panel.points(np.degrees(angles[:, i]))
            panel.outline(np.degrees(limits.hulls[i]), FINGER_COLORS[name])
            bone = _LEVELS["thumb" if name == "thumb" else "other"][level]
            _text(picture, f"{name}, bone to {bone}", (int(corner[0]) + 6, int(corner[1]) + 15), 0.4)
    _text(picture, "flexion, degrees (right) and abduction (up)", (_LEFT, height - 8), 0.42)
    return picture


def write_limits_plot(
    path: Path, limits: HandLimits, angles: Float[np.ndarray, "n 15 2"] | None = None, title: str = ""
) -> None:
    """Write what draw_limits draws as a .png file."""
    picture = draw_limits(limits, angles, title)
    with atomic_write(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


class _Panel:
    """A part of the picture with axes in degrees."""

    def __init__(self, picture: np.ndarray, corner: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self._picture, self._corner, self._low, self._high = picture, corner, low, high

    def place(self, pairs: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of pairs in degrees."""
        share = (pairs - self._low) / (self._high - self._low)
        return self._corner + np.stack([share[..., 0] * _WIDE, (1 - share[..., 1]) * _HIGH], axis=-1)

    def grid(self, labels_left: bool, labels_below: bool) -> None:
        for axis in (0, 1):
            for value in np.arange(self._low[axis], self._high[axis] + 1, 30):
                ends = np.stack([self._low, self._high])
                ends[:, axis] = value
                one, other = (tuple(int(x) for x in np.round(end)) for end in self.place(ends))
                cv2.line(self._picture, one, other, _POINT if value == 0 else _GRID, 1, cv2.LINE_AA)
                if axis == 0 and labels_below and value % 60 == 0:
                    _text(self._picture, f"{value:.0f}", (one[0] - 10, max(one[1], other[1]) + 14), 0.36)
                if axis == 1 and labels_left:
                    _text(self._picture, f"{value:.0f}", (int(self._corner[0]) - 30, one[1] + 4), 0.36)

    def points(self, pairs: np.ndarray) -> None:
        x, y = np.round(self.place(pairs)).astype(int).T
        self._picture[y, x] = _POINT

    def outline(self, hull: np.ndarray, color: tuple[int, int, int]) -> None:
        corners = np.round(self.place(hull) * 2**_SUBPIXEL).astype(np.int32)
        cv2.polylines(self._picture, [corners], True, color, 2, cv2.LINE_AA, _SUBPIXEL)


def _round_range(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A range of both angles that ends at multiples of 30 degrees."""
    return 30.0 * np.floor(pairs.min(0) / 30), 30.0 * np.ceil(pairs.max(0) / 30)


def _text(picture: np.ndarray, text: str, at: Sequence[int], size: float) -> None:
    cv2.putText(picture, text, (at[0], at[1]), _FONT, size, _INK, 1, cv2.LINE_AA)
