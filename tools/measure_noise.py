"""Noise on joints, before and after `knuckle fit`: the error, and how many hands `knuckle check` finds impossible.

    python tools/measure_noise.py [RECORDING ...] [--noise 0 3 5 10] [--hands 400]

Hands of the free model in random poses of the generator and adults' shapes, and each recording (as for
tools/measure_fit.py), with Gaussian noise of so many millimetres on every coordinate, from fixed seeds.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from build_human_limits import model_hands
from knuckle.check import check_poses
from knuckle.fit import fit_hand, fit_human_hand
from knuckle.handmodel import HandModel
from knuckle.metrics import align_procrustes
from measure_fit import read_recording


def impossible(joints: np.ndarray, side: str, model: HandModel) -> int:
    """How many of the hands `knuckle check` finds something about, as one recording."""
    report = check_poses(joints, side, model)
    return len({frame for finding in report.findings for frame in finding.frames})


def mean_errors(joints: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean distance of the joints from the truth in millimetres: as they are, and after a similarity transform."""
    aligned = align_procrustes(joints, truth)
    plain, moved = (1e3 * float(np.linalg.norm(found - truth, axis=-1).mean()) for found in (joints, aligned))
    return plain, moved


def rows_of(name: str, truth: np.ndarray, side: str, noise_mm: float, model: HandModel) -> list[tuple[str, ...]]:
    noisy = truth + 1e-3 * noise_mm * np.random.default_rng(1).normal(size=truth.shape)
    ways = {
        "noisy": noisy,
        "fit_hand": fit_hand(model, noisy, side=side).joints,
        "knuckle fit": fit_human_hand(model, noisy, side=side).joints,
    }
    rows = []
    for way, joints in ways.items():
        plain, aligned = mean_errors(joints, truth)
        found = f"{impossible(joints, side, model)} of {len(joints)}"
        rows.append((name, f"{noise_mm:g}", way, f"{plain:.2f}", f"{aligned:.2f}", found))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0, 3.0, 5.0, 10.0], help="millimetres")
    parser.add_argument("--hands", type=int, default=400)
    options = parser.parse_args()
    model, console = HandModel.open(), Console(width=120)
    sets = [("random poses", model_hands(model, options.hands, np.random.default_rng(5), shape_spread=1.0), "right")]
    sets += [
        (f"{path.stem}, {side}", joints, side)
        for path in options.recordings
        for side, joints in read_recording(path).items()
    ]
    table = Table(title="Noise, and what fitting makes of it")
    for column in ("hands", "noise, mm", "joints", "error, mm", "aligned, mm", "with findings"):
        table.add_column(column, justify="left" if column in ("hands", "joints") else "right")
    with console.status("fitting"):
        for name, truth, side in sets:
            for noise_mm in options.noise:
                for row in rows_of(name, truth, side, noise_mm, model):
                    table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
