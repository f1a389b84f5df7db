"""A closer look: the detector on overlapping parts of a picture, in which small hands are as large as it needs them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from knuckle.predict.detect import Detection, overlap
from knuckle.predict.network import HandDetector

# A box that comes so close to a part's edge, in parts of its side, is of a hand that another part shows whole.
_EDGE = 0.01


def parts(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Boxes (x0, y0, x1, y1) of half the longer side, or the whole shorter one: 9 at most, each half over the next."""
    half = (max(width, height) + 1) // 2

    def spans(length: int) -> list[tuple[int, int]]:
        side = min(half, length)
        steps = int(np.ceil((length - side) / (side / 2)))
        return [(round(start), round(start) + side) for start in np.linspace(0, length - side, steps + 1)]

    return [(x0, y0, x1, y1) for y0, y1 in spans(height) for x0, x1 in spans(width)]


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
    for x0, y0, x1, y1 in parts(width, height):
        found = detector(np.ascontiguousarray(image[y0:y1, x0:x1]), threshold, maximum)
        everything += _whole(found, np.array([x0, y0]), np.array([x1, y1]), np.array([width, height]))
    kept: list[Detection] = []
    for one in sorted(everything, key=lambda detection: -detection.score):
        if not kept or overlap(one.box, np.array([other.box for other in kept])).max() <= overlap_limit:
            kept.append(one)
    return kept[:maximum]


def _whole(found: list[Detection], start: np.ndarray, end: np.ndarray, size: np.ndarray) -> Iterator[Detection]:
    """A part's detections, in the picture's pixels, without those that an edge cuts which is not the picture's."""
    margin = _EDGE * (end - start).max()
    for detection in found:
        box = detection.box + np.tile(start, 2)
        cut_low = (box[:2] < start + margin) & (start > 0)
        cut_high = (box[2:] > end - 1 - margin) & (end < size)
        if not (cut_low | cut_high).any():
            yield Detection(box, detection.score, detection.left, detection.direction)
