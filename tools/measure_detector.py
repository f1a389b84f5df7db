"""A detector by itself, on labelled pictures: hands found, boxes, directions and sides, by the size of the hand.

    knuckle synth frames -n 1000 --preset detector --size 320
    python tools/measure_detector.py frames weak:FOLDER:2d ... [--detector FILE] [--limit 1000]

Data sets are named as for `knuckle train --data`. `Predictor` takes the side from the hand network and drops boxes in
which that sees no hand; here neither is done. A hand counts where 19 of its 21 joints lie in the picture. "side" is the
share of correct sides among the hands found: 50 % is chance.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.datasets.sets import DataSet, LabelledPicture, parse_spec
from knuckle.predict.crop import hand_direction
from knuckle.predict.detect import Detection, box_of_joints, overlap
from knuckle.predict.network import DetectorGraph
from knuckle.weights import weights_path

IOU = 0.5
_MIN_INSIDE = 0.9
_MAX_HANDS = 10
# Longer sides of hands' boxes, of the picture's longer side.
SIZES = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.35), (0.35, 0.6), (0.6, np.inf), (0.0, np.inf))


@dataclass(frozen=True)
class Measured:
    """One array entry a labelled hand; overlap, degrees and side of the box that overlaps it most.

    size: longer side of its box, of the picture's longer side. overlap: intersection over union, 0 where there is no
    box. degrees: between its direction and the box's. side_right: whether the box has its side. false_boxes: boxes in
    all pictures together that overlap no labelled hand by IOU.
    """

    size: np.ndarray
    overlap: np.ndarray
    degrees: np.ndarray
    side_right: np.ndarray
    pictures: int
    false_boxes: int


def measure(pictures: Iterable[LabelledPicture], detect: Callable[[np.ndarray], list[Detection]]) -> Measured:
    """Holds a detector against the labels; pictures with an unlabelled hand are left out."""
    rows, count, false_boxes = [], 0, 0
    for picture in pictures:
        hands = [(np.asarray(hand.joints_image, float), hand.side) for hand in picture.hands]
        if any(uv.shape != (21, 2) or not np.isfinite(uv).all() or side is None for uv, side in hands):
            continue
        found = detect(picture.image)
        boxes = np.array([detection.box for detection in found]).reshape(-1, 4)
        size = np.array(picture.image.shape[1::-1])
        labelled = np.array([_visible_box(uv, size) for uv, _ in hands]).reshape(-1, 4)
        count += 1
        false_boxes += sum(not (overlap(box, labelled) >= IOU).any() for box in boxes)
        for (uv, side), box in zip(hands, labelled, strict=True):
            if ((uv > -0.5) & (uv < size - 0.5)).all(1).mean() < _MIN_INSIDE:
                continue
            extent = float((box[2:] - box[:2]).max() / size.max())
            overlaps = overlap(box, boxes)
            if not overlaps.any():
                rows.append((extent, 0.0, 180.0, False))
                continue
            best = found[int(overlaps.argmax())]
            apart = _degrees(hand_direction(uv), best.direction)
            rows.append((extent, float(overlaps.max()), apart, (best.left > 0.5) == (side == "left")))
    columns = np.array(rows, float).reshape(-1, 4).T
    return Measured(columns[0], columns[1], columns[2], columns[3].astype(bool), count, false_boxes)


def _visible_box(uv: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.clip(box_of_joints(uv).reshape(2, 2), -0.5, size - 0.5).reshape(4)


def _degrees(one: np.ndarray, other: np.ndarray) -> float:
    cosine = one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def table(name: str, measured: Measured) -> Table:
    """A line for each of SIZES that has hands."""
    title = f"{name}: {measured.pictures} pictures, {measured.false_boxes} boxes on no hand"
    result = Table(title=title, min_width=80)
    for column in ("size", "hands", f"found at IoU {IOU}, %", "IoU, %", "direction, degrees", "side, %"):
        result.add_column(column, justify="left" if column == "size" else "right")
    for low, high in SIZES:
        hands = (measured.size >= low) & (measured.size < high)
        found = hands & (measured.overlap >= IOU)
        if not hands.any():
            continue
        label = "all" if (low, high) == SIZES[-1] else f"{100 * low:.0f} to {100 * high:.0f} %" if high < 1 else "more"
        shown = ["-"] * 3
        if found.any():
            shown = [
                f"{100 * measured.overlap[found].mean():.1f}",
                f"{np.median(measured.degrees[found]):.1f}",
                f"{100 * measured.side_right[found].mean():.1f}",
            ]
        result.add_row(label, str(hands.sum()), f"{100 * found.sum() / hands.sum():.1f}", *shown)
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--detector", type=Path, help="an ONNX file; the package's without it")
    parser.add_argument("--limit", type=int, default=1000, help="pictures of each set")
    parser.add_argument("--threshold", type=float, default=0.3, help="minimum probability of a hand")
    options = parser.parse_args(arguments)
    detector = DetectorGraph(options.detector or weights_path("detector"), 1)
    for spec in options.data:
        pictures = DataSet(parse_spec(spec), options.limit).pictures()
        measured = measure(pictures, lambda image: detector(image, options.threshold, _MAX_HANDS))
        Console().print(table(spec, measured))


if __name__ == "__main__":
    main()
