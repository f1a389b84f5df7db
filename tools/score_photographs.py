"""The scores of docs/weights.md: predictions on photographs, against a truth.json.

python tools/score_photographs.py joints TRUTH_FOLDER PREDICTIONS
python tools/score_photographs.py boxes TRUTH_FOLDER PREDICTIONS

TRUTH_FOLDER holds truth.json. For joints: a list of {"image", "side", "K" (3 x 3), "joints_camera" (21 x 3, metres, x
right, y down, z forward)}, one hand a picture. For boxes: a list of {"image", "boxes": [[x0, y0, x1, y1], ...]}.
PREDICTIONS is what `knuckle predict PICTURES --out PREDICTIONS` writes: one .json a picture, named after it.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.metrics import OFFICIAL_50MM, align_procrustes, align_root, pck, point_errors, project
from knuckle.predict.detect import overlap

MISSED = 50.0  # millimetres and pixels that every joint of a missed hand costs
IOU = 0.5
THRESHOLDS_MM = tuple(1e3 * np.asarray(OFFICIAL_50MM))


@dataclass(frozen=True)
class JointScores:
    """Scores of the joints of one hand a picture.

    pa_mm, root_mm, pixels: (N, 21) errors after similarity alignment without reflection, with the wrists brought
    together, and in the picture. sides_right: for each hand that was found.
    """

    pa_mm: np.ndarray
    root_mm: np.ndarray
    pixels: np.ndarray
    sides_right: tuple[bool, ...]

    def lines(self) -> list[str]:
        # The mean height of the curve, not the area by the trapezium rule that `knuckle eval` gives.
        auc = pck(self.pa_mm, THRESHOLDS_MM).mean()
        missed = len(self.pa_mm) - len(self.sides_right)
        side = np.mean(self.sides_right or (False,))
        return [
            f"pictures {len(self.pa_mm)}, missed {missed}, side right {side:.1%}",
            f"PA-MPJPE {self.pa_mm.mean():.2f} mm (median {np.median(self.pa_mm):.2f}), AUC 0-50 mm {auc:.3f}",
            f"root-relative MPJPE {self.root_mm.mean():.2f} mm, "
            f"2D {self.pixels.mean():.2f} px mean, {np.median(self.pixels):.2f} median",
        ]


@dataclass(frozen=True)
class BoxScores:
    """Counts of boxes.

    wanted: labelled boxes; recalled: those that a given box meets at the IoU. given: boxes given; right: those that
    were paired with a labelled box of their own, so that a second box on the same hand is wrong.
    """

    wanted: int
    recalled: int
    given: int
    right: int

    def lines(self) -> list[str]:
        precision = self.right / self.given if self.given else 0.0
        return [
            f"recall {self.recalled / self.wanted:.1%} of {self.wanted} hands at IoU {IOU}, "
            f"{self.given} boxes given, precision {precision:.1%}"
        ]


def read_truth(folder: Path) -> list[dict[str, Any]]:
    """The entries of a folder's truth.json."""
    path = folder / "truth.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a list of labelled pictures but is missing; name the folder it is in")
    entries = json.loads(path.read_text())
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} must be a list of labelled pictures but is not, or is empty")
    return entries


def read_hands(folder: Path, entries: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The hands found in each entry's picture; a picture without a file has none."""
    paths = [folder / f"{Path(entry['image']).stem}.json" for entry in entries]
    if not any(path.is_file() for path in paths):
        raise FileNotFoundError(f"{folder} must hold predictions such as {paths[0].name} but has none; see --help")
    return [json.loads(path.read_text())["hands"] if path.is_file() else [] for path in paths]


def score_joints(truth: list[dict[str, Any]], found: list[list[dict[str, Any]]]) -> JointScores:
    """Scores of the hand with the highest score in each picture."""
    pa_mm, root_mm, pixels = (np.full((len(truth), 21), MISSED) for _ in range(3))
    sides = []
    for i, (entry, hands) in enumerate(zip(truth, found, strict=True)):
        if not hands:
            continue
        best = max(hands, key=lambda hand: hand["score"])
        joints, guess = (np.asarray(hand["joints_camera"], np.float64) for hand in (entry, best))
        pa_mm[i] = 1e3 * point_errors(align_procrustes(guess, joints), joints)
        root_mm[i] = 1e3 * point_errors(align_root(guess, joints), joints)
        true_pixels = project(np.asarray(entry["K"], np.float64), joints)
        pixels[i] = point_errors(np.asarray(best["joints_image"], np.float64), true_pixels)
        sides.append(best["side"] == entry["side"])
    return JointScores(pa_mm, root_mm, pixels, tuple(sides))


def score_boxes(truth: list[dict[str, Any]], found: list[list[dict[str, Any]]]) -> BoxScores:
    """Counts over all pictures; given boxes choose their labelled box in the order of their scores."""
    wanted = recalled = given = right = 0
    for entry, hands in zip(truth, found, strict=True):
        labelled = np.asarray(entry["boxes"], np.float64).reshape(-1, 4)
        ranked = sorted(hands, key=lambda hand: -hand["score"])
        ious = np.array([overlap(np.asarray(h["box"], np.float64), labelled) for h in ranked])
        ious = ious.reshape(len(ranked), len(labelled))
        wanted, given = wanted + len(labelled), given + len(ranked)
        recalled += int((ious >= IOU).any(axis=0).sum())
        for row in ious:
            if row.size and row.max() >= IOU:
                right += 1
                ious[:, row.argmax()] = 0.0
    return BoxScores(wanted, recalled, given, right)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("joints", "boxes"))
    parser.add_argument("truth", type=Path, metavar="TRUTH_FOLDER")
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS")
    options = parser.parse_args(arguments)
    try:
        truth = read_truth(options.truth)
        found = read_hands(options.predictions, truth)
        scores = score_joints(truth, found) if options.what == "joints" else score_boxes(truth, found)
    except (OSError, ValueError) as error:
        print(f"score_photographs: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"score_photographs: an entry must have {error} to score {options.what} but has not", file=sys.stderr)
        return 2
    print("\n".join(scores.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
