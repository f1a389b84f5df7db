"""One shape for many pictures of one hand, by variable projection: poses are always fitted, the shape is searched."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from knuckle.fit.inputs import Problem
from knuckle.fit.search import SearchOptions, SearchResult, chunks, search
from knuckle.fit.solver import NormalEquations, Estimate, bounded_step
from knuckle.fit.start import initial_shape

ROUNDS = 20
HALVINGS = 4


def search_shared(problem: Problem, warm: tuple[Estimate, Float[np.ndarray, "N S"]] | None, options: SearchOptions) -> SearchResult:
    """Fit all hands of a problem with one shape; the regularisation counts once a hand, as when each has its own.

    Every round fits the poses with the shape held, takes the Gauss-Newton step of the shape that lets the poses
    follow (Schur complement), and halves it until the total is less.
    """
    shape = _initial_shared_shape(problem) if warm is None else warm[1].mean(axis=0)
    shape = np.clip(shape, *problem.shape_limits.T)
    found = search(problem, _repeated(problem, shape), warm, options)
    total = _total(problem, found, shape)
    scale = sum(t.weights.sum() for t in (problem.joints, problem.vertices) if t is not None)
    iterations = found.iterations
    for _ in range(ROUNDS):
        gradient, hessian = _reduced_normal_equations(problem, found)
        damped = hessian + np.diag(1e-6 * np.diag(hessian) + 1e-10 * scale)
        gaps = problem.shape_limits - shape[:, None]
        step = bounded_step(damped[None], gradient[None], gaps[None, :, 0], gaps[None, :, 1])[0]
        predicted = -step @ (2 * gradient + hessian @ step)
        if predicted <= options.tolerance**2 * scale + 1e-6 * total:
            break
        for halving in range(HALVINGS):
            trial_shape = np.clip(shape + step / 2**halving, *problem.shape_limits.T)
            trial = search(
                problem, _repeated(problem, trial_shape), (Estimate(found.rotation, found.angles), found.shape), options
            )
            iterations = iterations + trial.iterations
            trial_total = _total(problem, trial, trial_shape)
            if trial_total < total:
                break
        else:
            break
        shape, found, total = trial_shape, trial, trial_total
    return replace(found, iterations=iterations)


def _initial_shared_shape(problem: Problem) -> Float[np.ndarray, " S"]:
    targets = problem.initial_joints(np.arange(problem.count))
    return initial_shape(problem.kin, targets, problem.shape_limits, shared=True)[0]


def _repeated(problem: Problem, shape: Float[np.ndarray, " S"]) -> Float[np.ndarray, "N S"]:
    return np.broadcast_to(shape, (problem.count, len(shape)))


def _total(problem: Problem, found: SearchResult, shape: Float[np.ndarray, " S"]) -> float:
    return float(found.cost.sum() + problem.count * problem.shape_weight * np.sum((shape - problem.shape_mean) ** 2))


def _reduced_normal_equations(problem: Problem, found: SearchResult) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S S"]]:
    """Gradient and Hessian of the total by the shape where every pose follows it."""
    each = replace(problem, shape_weight=0.0)
    weight = problem.count * problem.shape_weight
    gradient = weight * (found.shape[0] - problem.shape_mean)
    hessian = weight * np.eye(len(gradient))
    for index in chunks(problem):
        objective = each.objective(index, None)
        values = np.concatenate([found.angles[index], found.shape[index]], axis=1)
        normal = objective.evaluate(np.arange(len(index)), Estimate(found.rotation[index], values))
        by_shape, curved = _without_pose(normal, found.angles[index], problem.limits)
        gradient = gradient + by_shape.sum(axis=0)
        hessian = hessian + curved.sum(axis=0)
    return gradient, hessian


def _without_pose(normal: NormalEquations, angles: Float[np.ndarray, "n A"], limits: Float[np.ndarray, "A 2"]):
    """(n, S) gradient and (n, S, S) Hessian by shape, the pose eliminated but for angles held by a limit."""
    count = 3 + angles.shape[1]
    slope = normal.gradient[:, 3:count]
    held = np.zeros((len(angles), count), dtype=bool)
    held[:, 3:] = ((angles <= limits[:, 0]) & (slope > 0)) | ((angles >= limits[:, 1]) & (slope < 0))
    free = ~held
    pose_block = normal.hessian[:, :count, :count] * (free[:, :, None] & free[:, None, :])
    diagonal = np.einsum("bii->bi", pose_block)
    diagonal += 1e-9 * (diagonal + normal.scale[:, None])
    diagonal[held] = 1.0
    mixed = normal.hessian[:, :count, count:] * free[..., None]
    right = np.concatenate([mixed, (normal.gradient[:, :count] * free)[..., None]], axis=2)
    solved = np.linalg.solve(pose_block, right)
    reduced = normal.hessian[:, count:, count:] - mixed.transpose(0, 2, 1) @ solved[..., :-1]
    by_shape = normal.gradient[:, count:] - (mixed.transpose(0, 2, 1) @ solved[..., -1:])[..., 0]
    return by_shape, reduced
