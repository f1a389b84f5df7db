"""Accuracy and speed of `fit_hand`: on random hands with known ground truth, and on recordings of real ones.

    python tools/measure_fit.py [RECORDING ...] [--count 10000] [--json OUT]

A recording is .npy (N, 21, 3) of right hands, or .json: {"left"|"right": {name: 21 x 3}} or a list of
{"side", "joints_camera"}; metres, common joint order. Random hands and noise come from fixed seeds.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.fit import fit_hand
from knuckle.geometry.rotation import quaternion_to_matrix
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import JOINT_NAMES

BATCH = 256


def random_joints(model: HandModel, count: int, seed: int) -> np.ndarray:
    """(count, 21, 3) joints of randomly placed hands with angles and shape sampled uniformly within limits."""
    rng = np.random.default_rng(seed)
    limits, shape_limits = angle_limits(), np.asarray(model.shape_limits)
    angles = rng.uniform(limits[:, 0], limits[:, 1], size=(count, len(limits)))
    shape = rng.uniform(shape_limits[:, 0], shape_limits[:, 1], size=(count, len(shape_limits)))
    quaternion = rng.normal(size=(count, 4))
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = quaternion_to_matrix(quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True))
    T[:, :3, 3] = rng.normal(size=(count, 3)) * 0.2 + [0, 0, 0.6]
    return model.joints(angles, shape=shape, T_camera_hand=T)


def broken_limits(angles: np.ndarray) -> int:
    """Number of angles outside their limits, in radians or after conversion to degrees."""
    limits = angle_limits()
    degrees, table = np.degrees(angles), np.degrees(limits)
    outside = (angles < limits[:, 0]) | (angles > limits[:, 1])
    return int(np.sum(outside | (degrees < table[:, 0]) | (degrees > table[:, 1])))


def measure_random(model: HandModel, count: int, noise: float) -> dict:
    """Fit random hands in batches, from a cold start and without regularisation."""
    observed = random_joints(model, count, seed=0)
    observed = observed + np.random.default_rng(1).normal(size=observed.shape) * noise
    errors, seconds, broken, steps = [], [], 0, []
    for at in range(0, count, BATCH):
        started = time.perf_counter()
        fit = fit_hand(model, observed[at : at + BATCH], shape_regularisation=0.0, angle_regularisation=0.0)
        seconds.append((time.perf_counter() - started) / len(fit.error))
        errors.append(1e3 * np.linalg.norm(fit.joints - observed[at : at + BATCH], axis=-1))
        broken += broken_limits(fit.angles)
        steps.append(fit.iterations)
    error = np.concatenate(errors)
    return {
        "hands": count,
        "noise_mm": 1e3 * noise,
        "mean_mm": float(error.mean()),
        "joints_under_1mm": float(np.mean(error < 1)),
        "hands_under_1mm": float(np.mean(error.mean(axis=1) < 1)),
        "worst_hand_mm": float(error.mean(axis=1).max()),
        "limits_broken": broken,
        "steps_mean": float(np.concatenate(steps).mean()),
        "ms_a_hand_in_batch": 1e3 * float(np.median(seconds)),
    }


def measure_single(model: HandModel, runs: int) -> dict:
    """Milliseconds of a call for one hand, cold start, regularisation off."""
    observed = random_joints(model, runs, seed=2)
    seconds = []
    for joints in observed:
        started = time.perf_counter()
        fit_hand(model, joints, shape_regularisation=0.0, angle_regularisation=0.0)
        seconds.append(time.perf_counter() - started)
    low, middle, high = 1e3 * np.percentile(seconds, [10, 50, 90])
    return {"ms_p10": float(low), "ms_median": float(middle), "ms_p90": float(high)}


def read_recording(path: Path) -> dict[str, np.ndarray]:
    """{side: (N, 21, 3)}."""
    if path.suffix == ".npy":
        return {"right": np.load(path)}
    content = json.loads(path.read_text())
    if isinstance(content, dict):
        return {side: np.array(list(poses.values())) for side, poses in content.items()}
    sides = sorted({entry["side"] for entry in content})
    return {side: np.array([e["joints_camera"] for e in content if e["side"] == side]) for side in sides}


def measure_recording(model: HandModel, joints: np.ndarray, side: str) -> dict:
    """Residuals of a recording, with one shape per frame and with one for all; per joint in the hand frame."""
    found = {}
    for shape in ("free", "shared"):
        fit = fit_hand(model, joints, side=side, shape=shape)
        mirror = np.array([-1.0 if side == "left" else 1.0, 1.0, 1.0])
        residual = 1e3 * (joints - fit.joints) @ fit.T_camera_hand[:, :3, :3] * mirror
        limits = angle_limits()
        at_limit = np.minimum(fit.angles - limits[:, 0], limits[:, 1] - fit.angles) < 1e-5
        found[shape] = {
            "frames": len(joints),
            "mean_mm": 1e3 * float(fit.error.mean()),
            "worst_frame_mm": 1e3 * float(fit.error.max()),
            "limits_broken": broken_limits(fit.angles),
            "joint_mm": np.linalg.norm(residual, axis=-1).mean(axis=0).round(2).tolist(),
            "joint_offset_mm": residual.mean(axis=0).round(2).tolist(),
            "shape_mean": fit.shape.mean(axis=0).round(2).tolist(),
            "at_limit": {ANGLE_NAMES[a]: round(float(s), 3) for a, s in enumerate(at_limit.mean(axis=0)) if s > 0.03},
        }
    return found


def print_random(console: Console, rows: list[dict], single: dict) -> None:
    table = Table(title="Random hands within limits: cold start, regularisation off")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.5g}" for value in row.values()))
    console.print(table)
    console.print("one hand, ms: " + ", ".join(f"{name} {value:.2f}" for name, value in single.items()))


def print_recording(console: Console, title: str, found: dict) -> None:
    for shape, row in found.items():
        console.print(
            f"{title}, shape {shape}: {row['frames']} frames, mean {row['mean_mm']:.2f} mm, worst frame "
            f"{row['worst_frame_mm']:.2f} mm, limits broken {row['limits_broken']}"
        )
        console.print(f"  shape {row['shape_mean']}")
        console.print(f"  angles at a limit in over 3 % of frames {row['at_limit']}")
    table = Table(title=f"{title}: observed minus fitted, mm (shape free)")
    for name in ("joint", "distance", "radial", "distal", "palmar"):
        table.add_column(name, justify="left" if name == "joint" else "right")
    row = found["free"]
    for name, distance, offset in zip(JOINT_NAMES, row["joint_mm"], row["joint_offset_mm"], strict=True):
        table.add_row(name, f"{distance:.1f}", *(f"{value:.1f}" for value in offset))
    console.print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    console = Console(width=140)
    model = HandModel.open()
    rows = [measure_random(model, options.count, noise) for noise in (0.0, 0.003)]
    single = measure_single(model, min(options.count, 300))
    print_random(console, rows, single)
    figures: dict = {"random": rows, "single": single, "recordings": {}}
    for path in options.recordings:
        for side, joints in read_recording(path).items():
            found = measure_recording(model, joints, side)
            figures["recordings"][f"{path.name} {side}"] = found
            print_recording(console, f"{path.name} {side}", found)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
