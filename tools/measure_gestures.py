"""How many gestures get their name back, of folders of pictures called NAME_anything.jpg.

    python tools/measure_gestures.py FOLDER ... [--examples 10] [--trials 10]

Of all pictures together so many examples of each name are learned, drawn at random, and the rest are named; a hand that
is not found, or gets no name, counts as wrong. Also: how often a gesture gets a name that was not among those learned.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from knuckle.gestures import Gestures
from knuckle.predict import Predictor, predict
from knuckle.predict.sources import PICTURES


def angles_of(predictor: Predictor, path: Path) -> np.ndarray | None:
    """(23,) radians of the best hand; None where there is none."""
    hands = predict(path, max_hands=1, predictor=predictor)
    return np.asarray(hands[0].angles) if hands else None


def named(known: Gestures, angles: np.ndarray | None) -> str | None:
    return None if angles is None else known.name(angles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--examples", type=int, default=10, help="of each name")
    parser.add_argument("--trials", type=int, default=10)
    arguments = parser.parse_args()
    paths = [path for folder in arguments.folders for path in sorted(folder.iterdir()) if path.suffix in PICTURES]
    labels = [path.stem.partition("_")[0] for path in paths]
    predictor = Predictor(threads=1)
    angles = [angles_of(predictor, path) for path in paths]
    report(paths, labels, angles, arguments.examples, arguments.trials)


def report(paths: list[Path], labels: list[str], angles: list[np.ndarray | None], examples: int, trials: int) -> None:
    """Prints the shares that are right, by folder, and the confusion table of the first trial."""
    names, console = sorted(set(labels)), Console()
    right: dict[str, list[bool]] = {}
    strangers = []
    for trial in range(trials):
        chosen = drawn(labels, angles, examples, np.random.default_rng(trial))
        mine = Gestures.learn({name: [angles[i] for i in chosen[name]] for name in names})
        rest = sorted(set(range(len(paths))) - {i for found in chosen.values() for i in found})
        given = [named(mine, angles[i]) for i in rest]
        for i, name in zip(rest, given, strict=True):
            right.setdefault(str(paths[i].parent), []).append(name == labels[i])
        if trial == 0:
            columns = [*names, None]
            console.print("| | " + " | ".join(str(name or "none") for name in columns) + " |")
            for true in names:
                of_name = [name for i, name in zip(rest, given, strict=True) if labels[i] == true]
                console.print(f"| {true} | " + " | ".join(str(of_name.count(name)) for name in columns) + " |")
        for left_out in names:
            others = Gestures.learn({name: [angles[i] for i in chosen[name]] for name in names if name != left_out})
            strangers += [named(others, angles[i]) is not None for i in rest if labels[i] == left_out]
    for folder, hits in right.items():
        console.print(f"{folder}: {100 * np.mean(hits):.1f} % of {len(hits) // trials} right")
    console.print(f"gestures that were not learned get a name in {100 * np.mean(strangers):.1f} %")


def drawn(
    labels: list[str], angles: list[np.ndarray | None], examples: int, rng: np.random.Generator
) -> dict[str, list[int]]:
    """For each name the numbers of so many pictures in which a hand was found."""
    usable = {name: [i for i, label in enumerate(labels) if label == name and angles[i] is not None] for name in labels}
    return {name: rng.choice(found, examples, replace=False).tolist() for name, found in usable.items()}


if __name__ == "__main__":
    main()
