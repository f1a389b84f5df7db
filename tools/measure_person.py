"""What a known hand is worth: size and pose of hands in generated clips, with and without the person's shape.

    knuckle synth clips -n 1440 --preset motion --size 400 --seed 77
    python tools/measure_person.py clips [--every 6] [--frames 12] [--json OUT]

Each clip shows one person. The shape is measured from a few frames of it (`knuckle person`), without and with the
length of the hand from wrist to the tip of the middle finger, or it is the label's. The other frames are scored: error
of the size (wrist to middle MCP), PA-MPJPE, MPJPE relative to the wrist, which the size counts in, and distance.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.datasets.shards import read_pictures, samples_of
from knuckle.metrics import align_procrustes
from knuckle.predict import Predictor
from knuckle.predict.person import measure_shape
from knuckle.sample import Hand, Sample

_LENGTH = [0, 9, 10, 11, 12]
_FAR = 40.0  # pixels, mean over the joints: farther from the label another hand was found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of `knuckle synth --preset motion`")
    parser.add_argument("--every", type=int, default=6, help="only every so many frames are looked at")
    parser.add_argument("--frames", type=int, default=12, help="of each clip to measure the person from")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args(arguments)
    predictor = Predictor()
    errors = defaultdict(list)
    pictures = (p for i, p in enumerate(read_pictures(options.clips, masks=False)) if i % options.every == 0)
    for clip, shown in groupby(pictures, key=lambda picture: picture.label["clip"]):
        frames = [samples for picture in shown if (samples := samples_of(picture, "all"))]
        for way, values in _score(predictor, frames, options.frames).items():
            errors[way] += values
        print(f"clip {clip}: {len(frames)} frames", file=sys.stderr)
    names = ("size, %", "PA-MPJPE, mm", "MPJPE from the wrist, mm", "distance, %")
    table = Table(title=f"{len(next(iter(errors.values())))} hands")
    for name in ("shape", *names):
        table.add_column(name)
    results = {way: dict(zip(names, np.mean(values, 0).tolist(), strict=True)) for way, values in errors.items()}
    for way, numbers in results.items():
        table.add_row(way, *(f"{value:.2f}" for value in numbers.values()))
    Console(width=120).print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def _score(predictor: Predictor, frames: list[list[Sample]], count: int) -> dict[str, list[np.ndarray]]:
    """Errors (size, aligned, from the wrist, distance) of each hand that is found, by where its shape is from."""
    measured = set(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int).tolist())
    seen: list[Hand] = []
    for i in sorted(measured):
        seen += [hand for _, hand in _pairs(predictor, frames[i])]
    truth = frames[0][0]
    assert truth.joints_camera is not None
    shape = np.asarray(truth.shape)
    flat = np.asarray(predictor.model.joints(shape=shape))
    length = float(np.linalg.norm(np.diff(flat[_LENGTH], axis=0), axis=-1).sum())
    ways = {"unknown": predictor}
    if seen:
        ways["measured"] = Predictor(shape=measure_shape(predictor.model, seen))
        ways["measured, with its length"] = Predictor(shape=measure_shape(predictor.model, seen, length))
    ways["the label's"] = Predictor(shape=shape)
    found: dict[str, dict[tuple, np.ndarray]] = {way: {} for way in ways}
    for i, samples in enumerate(frames):
        if i in measured:
            continue
        for way, one in ways.items():
            for sample, hand in _pairs(one, samples):
                found[way][i, sample.side] = _errors(sample, hand)
    both = set.intersection(*(set(values) for values in found.values()))
    return {way: [values[key] for key in sorted(both)] for way, values in found.items()}


def _pairs(predictor: Predictor, samples: list[Sample]) -> list[tuple[Sample, Hand]]:
    """The labelled hands of a frame with the nearest hand that is found, if it is near."""
    image = samples[0].image
    assert image is not None
    hands, pairs = predictor(image, samples[0].camera), []
    for sample in samples:
        distance = [np.linalg.norm(h.joints_image - sample.joints_image, axis=-1).mean() for h in hands]
        if distance and min(distance) < _FAR:
            pairs.append((sample, hands[int(np.argmin(distance))]))
    return pairs


def _errors(sample: Sample, hand: Hand) -> np.ndarray:
    truth, found = np.asarray(sample.joints_camera), hand.joints_camera
    size = np.linalg.norm(found[9] - found[0]) / np.linalg.norm(truth[9] - truth[0]) - 1
    aligned = align_procrustes(found[None], truth[None])[0]
    placed = found - found[0] + truth[0]
    mean = [1e3 * np.linalg.norm(joints - truth, axis=-1).mean() for joints in (aligned, placed)]
    away = np.linalg.norm(found[9]) / np.linalg.norm(truth[9]) - 1
    return np.array([100 * abs(size), *mean, 100 * abs(away)])


if __name__ == "__main__":
    raise SystemExit(main())
