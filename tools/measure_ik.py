"""Accuracy and speed of inverse kinematics by a network, of fits that start from it, and of S4's refinement.

    python tools/measure_ik.py ik.onnx [--count 10000] [--noise 0.005] [--json OUT]

Hands are random: angles and shape uniform within their limits, as in measure_fit.py, and the poses that pictures are
rendered of. Times are processor time of one thread: the minimum over repeats.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.fit import Fit, FitConstants, fit_hand
from knuckle.handmodel import HandModel
from knuckle.predict.ik import IKGraph
from knuckle.synth.pose_arrays import random_hands
from measure_fit import random_joints

BATCH = 256
_FREE: dict[str, Any] = {"shape_regularisation": 0.0, "angle_regularisation": 0.0, "restart_above": np.inf}
# S4's refinement: 20 iterations on joints and vertices, without priors, and the penalty of S-bends.
_REFINEMENT: dict[str, Any] = {**_FREE, "iterations": 20, "bend_weight": 10.0}

Way = Callable[[np.ndarray], Fit]


def ways(hand: FitConstants, ik: IKGraph) -> dict[str, Way]:
    """From joints (N, 21, 3) to fits."""
    return {
        "network": lambda joints: ik(joints),
        "network, 3 steps of fit": lambda joints: fit_hand(hand, joints, initial=ik(joints), iterations=3, **_FREE),
        "network, fit": lambda joints: fit_hand(hand, joints, initial=ik(joints)),
        "closed form, 3 steps of fit": lambda joints: fit_hand(hand, joints, iterations=3, **_FREE),
        "closed form, fit": lambda joints: fit_hand(hand, joints),
    }


def observed_hands(model: HandModel, kind: str, count: int) -> np.ndarray:
    if kind == "uniform":
        return random_joints(model, count, seed=0)
    angles, shape = random_hands(model, count, seed=12345)
    return np.asarray(model.joints(angles, shape=shape)) + np.array([0.0, 0.0, 0.6])


def in_batches(way: Way, joints: np.ndarray) -> np.ndarray:
    """(N, 21, 3) joints of the fits."""
    return np.concatenate([way(joints[at : at + BATCH]).joints for at in range(0, len(joints), BATCH)])


def milliseconds(run: Callable[[], object], repeats: int = 30) -> float:
    best = np.inf
    for _ in range(repeats):
        begun = time.process_time()
        run()
        best = min(best, time.process_time() - begun)
    return 1e3 * float(best)


def measure_joints(model: HandModel, ik: IKGraph, count: int, noise: float) -> list[dict]:
    """Mean distance of the fitted joints from the true ones, and time, for one hand and for 256."""
    hand, rows = FitConstants.of(model), []
    for kind in ("uniform", "poses"):
        truth = observed_hands(model, kind, count)
        for std in (0.0, noise):
            seen = truth + np.random.default_rng(1).normal(size=truth.shape) * std
            for name, way in ways(hand, ik).items():
                distance = 1e3 * np.linalg.norm(in_batches(way, seen) - truth, axis=-1).mean(axis=1)
                one = np.mean([milliseconds(partial(way, seen[i : i + 1]), 10) for i in range(10)])
                many = milliseconds(partial(way, seen[:BATCH]), 3) / BATCH
                rows.append(
                    {
                        "hands": kind,
                        "noise_mm": 1e3 * std,
                        "way": name,
                        "mean_mm": float(distance.mean()),
                        "worst_mm": float(distance.max()),
                        "ms_one": float(one),
                        "ms_of_256": many,
                    }
                )
    return rows


def measure_refinement(model: HandModel, ik: IKGraph, count: int, noise: float) -> list[dict]:
    """Refinement on S4's terms beside `fit`: noisy joints and noisy vertices, as a mesh network gives them."""
    hand = FitConstants.of(model)
    angles, shape = random_hands(model, count, seed=777)
    posed = model(angles, shape=shape)
    rng = np.random.default_rng(2)
    joints = posed.joints + rng.normal(size=posed.joints.shape) * noise
    # Neighbouring vertices err alike: each takes the errors of the joints, blended as its skinning is.
    pivots = np.array([0, *(1 + 4 * f + level for f in range(5) for level in range(3)), 0])[: model.weights.shape[1]]
    vertices = posed.vertices + np.asarray(model.weights) @ (joints - posed.joints)[:, pivots]
    known = {"joint_uncertainty": noise, "vertex_uncertainty": 3 * noise}
    found: dict[str, Way] = {
        "network": lambda rows: ik(joints[rows]),
        "network, 20 steps on joints and vertices": lambda rows: fit_hand(
            hand, joints[rows], vertices[rows], initial=ik(joints[rows]), **known, **_REFINEMENT
        ),
        "network, 20 steps on joints": lambda rows: fit_hand(
            hand, joints[rows], initial=ik(joints[rows]), joint_uncertainty=noise, **_REFINEMENT
        ),
        "fit to joints": lambda rows: fit_hand(hand, joints[rows], joint_uncertainty=noise, shape_regularisation=1.0),
        "fit to joints, shape known": lambda rows: fit_hand(
            hand, joints[rows], joint_uncertainty=noise, shape=shape[rows]
        ),
    }
    table = []
    for name, way in found.items():
        fit = way(np.arange(count))
        mesh = model(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand).vertices
        table.append(
            {
                "way": name,
                "noise_mm": 1e3 * noise,
                "joints_mm": 1e3 * float(np.linalg.norm(fit.joints - posed.joints, axis=-1).mean()),
                "vertices_mm": 1e3 * float(np.linalg.norm(mesh - posed.vertices, axis=-1).mean()),
                "angles_deg": float(np.degrees(np.abs(fit.angles - angles)).mean()),
                "ms_one": float(np.mean([milliseconds(partial(way, np.array([i])), 5) for i in range(5)])),
            }
        )
    return table


def print_rows(console: Console, title: str, rows: list[dict]) -> None:
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--meshes", type=int, default=200, help="hands of the comparison with refinement")
    parser.add_argument("--noise", type=float, default=0.005, help="metres, of each coordinate of the noisy joints")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    console = Console(width=140)
    model = HandModel.open()
    ik = IKGraph(options.network, model)
    figures = {
        "joints": measure_joints(model, ik, options.count, options.noise),
        "refinement": measure_refinement(model, ik, options.meshes, options.noise),
    }
    print_rows(console, "From joints", figures["joints"])
    print_rows(console, "From joints and vertices", figures["refinement"])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
