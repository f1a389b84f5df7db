"""Evaluation of meshes under FreiHAND's protocol, and a loop over hands as its baseline."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import KDTree

from knuckle.evaluate import PROTOCOLS, Predictions, Truth, evaluate
from knuckle.handmodel import HandModel
from timings.timing import Task

HANDS = 1024
NAIVE_HANDS = 8
# 130,240 hands in 120 seconds.
GOAL_MS = 120e3 / 130_240


def write_arrays(folder: Path, hands: int) -> None:
    """Truth and predictions as .npy files: joints (N, 21, 3) and meshes of 778 vertices (N, 778, 3), float32.

    The predictions are the truth, scaled, translated by a few centimetres, and with noise of some millimetres on every
    point: F-scores and curves are then in their middle range, as for a network.
    """
    model = HandModel.open()
    chosen = np.linspace(0, len(model.vertices) - 1, 778).astype(int)
    rest = np.concatenate([model.joints_rest, model.vertices[chosen]])
    rng = np.random.default_rng(0)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (hands, count, 3))
        for name, count in (("true_joints", 21), ("true_meshes", 778), ("joints", 21), ("meshes", 778))
    }
    for start in range(0, hands, 1000):
        n = min(1000, hands - start)
        rotation = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
        rotation *= np.linalg.det(rotation)[:, None, None]
        truth = rest @ rotation + rng.normal(size=(n, 1, 3)) * 0.05 + np.array([0, 0, 0.7])
        shift = rng.normal(size=(n, 1, 3)) * 0.02
        predicted = truth * rng.uniform(0.95, 1.05, (n, 1, 1)) + shift + rng.normal(size=truth.shape) * 0.005
        rows = slice(start, start + n)
        arrays["true_joints"][rows], arrays["true_meshes"][rows] = truth[:, :21], truth[:, 21:]
        arrays["joints"][rows], arrays["meshes"][rows] = predicted[:, :21], predicted[:, 21:]
    for array in arrays.values():
        array.flush()


def read_arrays(folder: Path) -> tuple[Truth, Predictions]:
    """The files of write_arrays, meshes memory-mapped."""
    mapped = {p.stem: np.load(p, mmap_mode="r") for p in folder.glob("*.npy")}
    n = len(mapped["joints"])
    ids = tuple(f"{i:08d}" for i in range(n))
    truth = Truth(ids, np.asarray(mapped["true_joints"], np.float64), np.zeros(n, bool), vertices=mapped["true_meshes"])
    return truth, Predictions(np.ones(n, bool), mapped["joints"], mapped["meshes"])


@cache
def small_set() -> tuple[Truth, Predictions]:
    """The files of write_arrays in memory: a benchmark must not time the disk."""
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder), HANDS)
        truth, predicted = read_arrays(Path(folder))
        return (
            Truth(truth.ids, truth.joints, truth.left, vertices=np.array(truth.vertices)),
            Predictions(predicted.present, np.array(predicted.joints), np.array(predicted.vertices)),
        )


def freihand() -> Task:
    """Joints and meshes, absolute and aligned, F-scores, curves, medians, intervals: all of `knuckle eval`."""
    truth, predicted = small_set()
    return Task(
        lambda _: evaluate(truth, predicted, PROTOCOLS["freihand"]),
        items=HANDS,
        goal_ms=GOAL_MS,
        against="evaluation, meshes, a hand at a time",
    )


def freihand_naive() -> Task:
    """Errors and F-scores alone, as the official script computes them: lists, trees, loops; without curves."""
    truth, predicted = small_set()
    stored = (truth.joints, truth.vertices, predicted.joints, predicted.vertices)
    rows = tuple(np.array(array, np.float64)[:NAIVE_HANDS] for array in stored)

    def run(_: int) -> object:
        lists: dict[str, list[list[float]]] = {}
        scores: list[float] = []
        for true_joints, true_mesh, joints, mesh in zip(*rows, strict=True):
            pairs = {"joints": (true_joints, joints), "mesh": (true_mesh, mesh)}
            for name, (truth, predicted) in list(pairs.items()):
                pairs[f"{name} aligned"] = (truth, procrustes(truth, predicted))
            for name, (truth, predicted) in pairs.items():
                errors = lists.setdefault(name, [[] for _ in truth])
                for point, distance in enumerate(np.linalg.norm(truth - predicted, axis=1)):
                    errors[point].append(distance)
            for threshold in (0.005, 0.015):
                scores += [f_score(*pairs["mesh"], threshold), f_score(*pairs["mesh aligned"], threshold)]
        means = {name: float(np.mean([np.mean(point) for point in errors])) for name, errors in lists.items()}
        return means, np.mean(scores)

    return Task(run, items=NAIVE_HANDS)


def procrustes(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    a, b = truth - truth.mean(0), predicted - predicted.mean(0)
    a_norm, b_norm = np.linalg.norm(a), np.linalg.norm(b)
    rotation, scale = orthogonal_procrustes(a / a_norm, b / b_norm)
    return b / b_norm @ rotation.T * scale * a_norm + truth.mean(0)


def f_score(truth: np.ndarray, predicted: np.ndarray, threshold: float) -> float:
    precision = np.mean(KDTree(truth).query(predicted)[0] < threshold)
    recall = np.mean(KDTree(predicted).query(truth)[0] < threshold)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
