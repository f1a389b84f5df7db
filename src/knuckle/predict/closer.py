"""A closer look: the detector on overlapping parts of a picture, in which small hands are as large as it needs them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from knuckle.predict.detect import Detection, overlap
from knuckle.predict.network import HandDetector

# A box that comes so close to a part's edge, in parts of its side, is of a hand that another part shows whole.
_EDGE = 0.01


def parts(width: int, height: int) -> list[tuple[int, int, int]]:
    """Squares (left, top, side) of half the longer side, each half over the next, which together cover a picture."""
    side = min((max(width, height) + 1) // 2, width, height)

    def starts(length: int) -> list[int]:
        steps = int(np.ceil((length - side) / (side / 2)))
        return [round(start) for start in np.linspace(0, length - side, steps + 1)]

    return [(left, top, side) for top in starts(height) for left in starts(width)]


def detect_closer(
    detector: HandDetector,
    image: UInt8[np.ndarray, "h w 3"],
    threshold: float,
    maximum: int,
    overlap_limit: float = 0.5,
) -> list[Detection]:
    """At most `maximum` detections in the parts of a picture, best first, in pixels of the picture.

    Args:
        detector: as `Predictor` has it.
        image: RGB.
        threshold: minimum probability of a hand.
        maximum: number of detections, in each part and in all.
        overlap_limit: intersection over union above which the box with the lower score is dropped.
    """
    height, width = image.shape[:2]
    everything: list[Detection] = []
    for left, top, side in parts(width, height):
        part = np.ascontiguousarray(image[top : top + side, left : left + side])
        everything += _whole(detector(part, threshold, maximum), (left, top, side), (width, height))
    kept: list[Detection] = []
    for found in sorted(everything, key=lambda detection: -detection.score):
        if not kept or overlap(found.box, np.array([other.box for other in kept])).max() <= overlap_limit:
            kept.append(found)
    return kept[:maximum]


def _whole(found: list[Detection], part: tuple[int, int, int], size: tuple[int, int]) -> Iterator[Detection]:
    """A part's detections, in the picture's pixels, without those that an edge cuts which is not the picture's."""
    left, top, side = part
    corner = np.array([left, top])
    margin = _EDGE * side
    for detection in found:
        low, high = detection.box[:2], detection.box[2:]
        cut_low = (low < margin) & (corner > 0)
        cut_high = (high > side - 1 - margin) & (corner + side < np.array(size))
        if not (cut_low | cut_high).any():
            box = detection.box + np.tile(corner, 2)
            yield Detection(box, detection.score, detection.left, detection.direction)
