"""How well the uncertainty of joints is calibrated: the share of joints within once and twice of it.

    knuckle synth pictures -n 300
    python tools/measure_doubt.py pictures truth:FOLDER ... [--limit 300]

Data sets are named as for `knuckle train --data`. `Hand.joint_uncertainty_mm` is an expected distance: of joints whose
three coordinates err independently and normally, 53 % would be within it and 98 % within twice of it. Where the hand is
as a whole, and how large, a picture does not show, so three errors are held against it: of the joints aligned to the
truth by rotation, place and size; by size and the wrist; and by the wrist alone.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.geometry.align import align_similarity, apply_similarity
from knuckle.predict import Predictor

ALIGNMENTS = ("rotation, place, size", "size, wrist", "wrist")
# Of a picture's longer side: a hand that was found farther than that from a labelled one is another.
_SAME_HAND = 0.1


def hands(predictor: Predictor, spec: str, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Predicted joints, true joints (21, 3), metres, and uncertainties (21,), millimetres, of hands that were found."""
    for picture in DataSet(parse_spec(spec), limit).pictures():
        found = None
        for sample in picture.hands:
            if sample.joints_camera is None or sample.joints_image is None or sample.camera is None:
                continue
            if found is None:
                found = predictor(picture.image, sample.camera)
            off = [np.linalg.norm(hand.joints_image - sample.joints_image, axis=-1).mean() for hand in found]
            if off and min(off) < _SAME_HAND * max(picture.image.shape[:2]):
                hand = found[int(np.argmin(off))]
                yield hand.joints_camera, np.asarray(sample.joints_camera), hand.joint_uncertainty_mm


def errors(predicted: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    """(N, 21) millimetres under each of ALIGNMENTS, from (N, 21, 3) metres."""
    aligned = apply_similarity(*align_similarity(predicted, truth), predicted)
    from_wrist, true = predicted - predicted[:, :1], truth - truth[:, :1]
    size = np.linalg.norm(true, axis=-1).sum(-1) / np.linalg.norm(from_wrist, axis=-1).sum(-1)
    pairs = ((aligned, truth), (size[:, None, None] * from_wrist, true), (from_wrist, true))
    return [1000 * np.linalg.norm(one - other, axis=-1) for one, other in pairs]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    first, second = (np.argsort(np.argsort(values.ravel())) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--limit", type=int, default=300, help="pictures of each set")
    arguments = parser.parse_args()
    predictor = Predictor(threads=1)
    for spec in arguments.data:
        predicted, truth, uncertainty = (
            np.array(part) for part in zip(*hands(predictor, spec, arguments.limit), strict=True)
        )
        table = Table(title=f"{spec}: {len(truth)} hands, mean uncertainty {uncertainty.mean():.1f} mm", min_width=90)
        for column in ("aligned by", "mean error, mm", "within 1x, %", "within 2x, %", "rank correlation"):
            table.add_column(column, justify="left" if column == "aligned by" else "right")
        for name, error in zip(ALIGNMENTS, errors(predicted, truth), strict=True):
            within = [f"{100 * (error <= factor * uncertainty).mean():.0f}" for factor in (1, 2)]
            table.add_row(name, f"{error.mean():.1f}", *within, f"{rank_correlation(error, uncertainty):.2f}")
        Console().print(table)


if __name__ == "__main__":
    main()
