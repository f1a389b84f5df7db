"""A hand's skeleton drawn over a picture: a colour per finger, uncertainty as transparency and disc size; and boxes."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from knuckle.skeleton import BONES, BOX_EDGES, FINGER_JOINTS

# RGB; thumb to little finger, distinguishable by lightness alone as well.
FINGER_COLORS: dict[str, tuple[int, int, int]] = {
    "thumb": (230, 57, 70),
    "index": (244, 162, 97),
    "middle": (94, 181, 81),
    "ring": (39, 125, 161),
    "little": (130, 80, 190),
}
WRIST_COLOR = (70, 70, 75)
BOX_COLOR = (255, 214, 10)
_SUBPIXEL_BITS = 4


def draw_skeleton(
    image: UInt8[np.ndarray, "h w 3"],
    joints_image: Float[np.ndarray, "21 2"],
    uncertainty: Float[np.ndarray, "21"] | None = None,
    *,
    thickness: float | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with the hand's bones and joints drawn over it.

    Args:
        image: (h, w, 3) uint8 RGB.
        joints_image: (21, 2) pixels, common order; a joint that is not finite is left out with its bones.
        uncertainty: (21,) expected distance of each joint from its true position, pixels: drawn as a faint disc of that
            radius, and the opacity of the joint and its bones decreases with it. None draws all joints opaque.
        thickness: of a bone in pixels; None: 1/160 of the picture's longer side or 1/50 of the hand's, whichever is
            smaller, at least 1.5.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    drawn = image.copy()
    thickness = _default_thickness(image, joints_image) if thickness is None else thickness
    opacity = np.ones(21) if uncertainty is None else _opacity(uncertainty, thickness)
    if uncertainty is not None:
        for joint in range(21):
            _disc(drawn, joints_image[joint], float(uncertainty[joint]), _color(joint), 0.25)
    for parent, child in BONES:
        if np.isfinite(joints_image[[parent, child]]).all():
            ends = joints_image[parent], joints_image[child]
            _line(drawn, *ends, thickness, _color(child), float(min(opacity[parent], opacity[child])))
    for joint in range(21):
        _disc(drawn, joints_image[joint], 1.5 * thickness, _color(joint), float(opacity[joint]))
    return drawn


def draw_box(
    image: UInt8[np.ndarray, "h w 3"], corners_image: Float[np.ndarray, "8 2"], *, thickness: float | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with the twelve edges of a box drawn over it.

    Args:
        image: (h, w, 3) uint8 RGB.
        corners_image: (8, 2) pixels in the order of skeleton.BOX_CORNERS; an edge of which an end is not finite is
            left out.
        thickness: of an edge in pixels; None takes 1/320 of the picture's longer side, at least 1.5.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    drawn = image.copy()
    thickness = max(1.5, max(image.shape[:2]) / 320) if thickness is None else thickness
    # Corners behind the camera project far outside; what is drawn of their edges must fit into integers.
    corners = np.clip(corners_image, -1e5, 1e5)
    for first, second in BOX_EDGES:
        ends = corners[[first, second]]
        if np.isfinite(ends).all():
            fixed = np.rint(ends * 2**_SUBPIXEL_BITS).astype(int).tolist()
            cv2.line(drawn, fixed[0], fixed[1], BOX_COLOR, round(thickness), cv2.LINE_AA, _SUBPIXEL_BITS)
    return drawn


def draw_contacts(
    image: UInt8[np.ndarray, "h w 3"], points_image: Float[np.ndarray, "n 2"], *, radius: float | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with discs at the points where a hand touches a box.

    Args:
        image: (h, w, 3) uint8 RGB.
        points_image: (N, 2) pixels; points that are not finite are left out.
        radius: of a disc in pixels; None takes 1/160 of the picture's longer side, at least 2.5.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    drawn = image.copy()
    radius = max(2.5, max(image.shape[:2]) / 160) if radius is None else radius
    for point in points_image:
        _disc(drawn, point, 1.4 * radius, (20, 20, 20), 1.0)
        _disc(drawn, point, radius, BOX_COLOR, 1.0)
    return drawn


def _default_thickness(image: UInt8[np.ndarray, "h w 3"], joints_image: Float[np.ndarray, "21 2"]) -> float:
    """A thickness visible in a large picture that does not cover a small hand."""
    seen = joints_image[np.isfinite(joints_image).all(axis=1)]
    extent = float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0
    return max(1.5, min(max(image.shape[:2]) / 160, extent / 50))


def _opacity(uncertainty: Float[np.ndarray, "21"], thickness: float) -> Float[np.ndarray, "21"]:
    """Opacity in 0.15..1: 1/2 where the uncertainty is six bone widths, 1 where it is zero."""
    return np.clip(1.0 / (1.0 + np.nan_to_num(uncertainty, nan=np.inf) / (6.0 * thickness)), 0.15, 1.0)


def _color(joint: int) -> tuple[int, int, int]:
    for finger, joints in FINGER_JOINTS.items():
        if joint in joints:
            return FINGER_COLORS[finger]
    return WRIST_COLOR


def _line(
    image: UInt8[np.ndarray, "h w 3"],
    start: Float[np.ndarray, "2"],
    end: Float[np.ndarray, "2"],
    thickness: float,
    color: tuple[int, int, int],
    opacity: float,
) -> None:
    """Draw a bone: a quadrilateral that tapers towards its far end."""
    along = end - start
    length = float(np.linalg.norm(along))
    if length < 1e-6:
        return
    across = np.asarray([-along[1], along[0]]) / length * thickness
    corners = np.stack([start + 0.9 * across, end + 0.45 * across, end - 0.45 * across, start - 0.9 * across])

    def paint(layer: UInt8[np.ndarray, "H W 3"], origin: Float[np.ndarray, "2"]) -> None:
        fixed = np.rint((corners - origin) * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillConvexPoly(layer, fixed, color, cv2.LINE_AA, _SUBPIXEL_BITS)

    _paint(image, corners.min(axis=0), corners.max(axis=0), opacity, paint)


def _disc(
    image: UInt8[np.ndarray, "h w 3"],
    centre: Float[np.ndarray, "2"],
    radius: float,
    color: tuple[int, int, int],
    opacity: float,
) -> None:
    if not (np.isfinite(centre).all() and np.isfinite(radius)):
        return

    def paint(layer: UInt8[np.ndarray, "H W 3"], origin: Float[np.ndarray, "2"]) -> None:
        fixed = [int(v) for v in np.rint((centre - origin) * 2**_SUBPIXEL_BITS)]
        cv2.circle(layer, fixed, round(radius * 2**_SUBPIXEL_BITS), color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    _paint(image, centre - radius, centre + radius, opacity, paint)


def _paint(
    image: UInt8[np.ndarray, "h w 3"],
    low: Float[np.ndarray, "2"],
    high: Float[np.ndarray, "2"],
    opacity: float,
    paint: Callable[[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "2"]], None],
) -> None:
    """Let `paint(layer, origin)` draw on the part of the picture inside the box, in place, blended by `opacity`."""
    height, width = image.shape[:2]
    x0, y0 = (int(v) for v in np.clip(np.floor(low) - 2, 0, [width, height]))
    x1, y1 = (int(v) for v in np.clip(np.ceil(high) + 3, 0, [width, height]))
    if x1 <= x0 or y1 <= y0:
        return
    part = image[y0:y1, x0:x1]
    layer = np.ascontiguousarray(part).copy()
    paint(layer, np.asarray([x0, y0], np.float64))
    mixed = part.astype(np.float32) * (1 - opacity) + layer.astype(np.float32) * opacity
    image[y0:y1, x0:x1] = np.rint(mixed).astype(np.uint8)
