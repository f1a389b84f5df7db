"""Decoding of the detector's maps into boxes, and the letterbox that fits a picture into its input."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Pixels of the detector's input along one side of a cell of its maps.
STRIDE = 8
# Padding around the joints' bounding box for the flesh, relative to its longer side.
PADDING = 0.08


@dataclass(frozen=True)
class Detection:
    """One detected hand.

    Attributes:
        box: (x0, y0, x1, y1) around the hand without its arm, pixels.
        score: probability that it is a hand.
        left: probability that it is a left hand; not used, as the hand network's is far more accurate.
        direction: (2,) from the wrist to the knuckles, of length 1 or shorter; the shorter, the less certain.
    """

    box: Float[np.ndarray, "4"]
    score: float
    left: float
    direction: Float[np.ndarray, "2"]


def letterbox(width: int, height: int, size: int) -> Float[np.ndarray, "2 3"]:
    """The affine map that scales a whole picture to fit a square of `size`, centred."""
    scale = size / max(width, height)
    offset_x = (size - scale * width) / 2 + scale / 2 - 0.5
    offset_y = (size - scale * height) / 2 + scale / 2 - 0.5
    return np.array([[scale, 0.0, offset_x], [0.0, scale, offset_y]])


def box_of_joints(uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "4"]:
    """The box around a hand (x0, y0, x1, y1): the bounding box of its joints, padded."""
    low, high = uv.min(0), uv.max(0)
    pad = PADDING * float((high - low).max())
    return np.concatenate([low - pad, high + pad])


def overlap(box: Float[np.ndarray, "4"], others: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Intersection over union of a box with each of the others."""
    both, mine, theirs = _areas(box, others)
    return both / np.maximum(mine + theirs - both, 1e-9)


def nested(box: Float[np.ndarray, "4"], others: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Intersection over the smaller area, of a box with each of the others."""
    both, mine, theirs = _areas(box, others)
    return both / np.maximum(np.minimum(mine, theirs), 1e-9)


def covered(boxes: Float[np.ndarray, "n 4"], by: Float[np.ndarray, "4"]) -> Float[np.ndarray, " n"]:
    """The fraction of each box that the box `by` covers."""
    both, _, theirs = _areas(by, boxes)
    return both / np.maximum(theirs, 1e-9)


def _areas(box: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Areas of the intersections of a box with each of the others (n,), of the box, and of the others (n,)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    both = np.prod(np.maximum(sides, 0.0), axis=1)
    return both, float(np.prod(box[2:] - box[:2])), np.prod(others[:, 2:] - others[:, :2], axis=1)


def read_maps(
    maps: Float[np.ndarray, "8 h w"], threshold: float, maximum: int, overlap_limit: float = 0.3
) -> list[Detection]:
    """Peaks of the centre map, best first, after non-maximum suppression.

    Args:
        maps: the detector's output for one picture, for each cell: probability that it is a hand's centre; the
            hand's box as (left, top, right, bottom) distances from the cell's centre in pixels; direction; probability
            of a left hand.
        threshold: minimum probability of a hand.
        maximum: number of hands.
        overlap_limit: intersection over union above which the box with the lower score is suppressed.

    Returns:
        Detections in pixels of the detector's input.
    """
    probability = maps[0]
    rows, columns = probability.shape
    padded = np.pad(probability, 1, constant_values=-1.0)
    neighbours = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    peaks = np.argwhere((probability >= np.max(neighbours, axis=0)) & (probability >= threshold))
    order = np.argsort(-probability[tuple(peaks.T)], kind="stable")
    found: list[Detection] = []
    for row, column in peaks[order]:
        cell = maps[:, row, column]
        middle = STRIDE * (np.array([column, row]) + 0.5) - 0.5
        box = np.concatenate([middle - cell[1:3], middle + cell[3:5]])
        if found and overlap(box, np.array([d.box for d in found])).max() > overlap_limit:
            continue
        found.append(Detection(box, float(cell[0]), float(cell[7]), cell[5:7].astype(float)))
        if len(found) == maximum:
            break
    return found
