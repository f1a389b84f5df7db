"""One shape for many poses of one hand, by variable projection: the poses are optimised for every trial shape."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from knuckle.fit.inputs import Problem
from knuckle.fit.search import SearchOptions, SearchResult, chunks, search
from knuckle.fit.solver import Estimate, NormalEquations, bounded_step
from knuckle.fit.start import initial_shape

MAX_ROUNDS = 20
MAX_HALVINGS = 4


def search_shared(
    problem: Problem, warm: tuple[Estimate, Float[np.ndarray, "N S"]] | None, options: SearchOptions
) -> SearchResult:
    """Fit all hands of a problem with one shape; the regularisation counts once per hand, as with individual shapes.

    Every round takes the Gauss-Newton step of the shape with the poses eliminated (Schur complement), refits the
    poses at the new shape, and halves the step until the total cost decreases.
    """
    shape = _initial_shared_shape(problem) if warm is None else warm[1].mean(axis=0)
    shape = np.clip(shape, *problem.shape_limits.T)
    result = search(problem, _repeated(problem, shape), warm, options)
    total = _total(problem, result, shape)
    scale = sum(t.weights.sum() for t in (problem.joints, problem.vertices) if t is not None)
    iterations = result.iterations
    for _ in range(MAX_ROUNDS):
        gradient, hessian = _reduced_normal_equations(problem, result)
        damped = hessian + np.diag(1e-6 * np.diag(hessian) + 1e-10 * scale)
        gaps = problem.shape_limits - shape[:, None]
        step = bounded_step(damped[None], gradient[None], gaps[None, :, 0], gaps[None, :, 1])[0]
        predicted = -step @ (2 * gradient + hessian @ step)
        if predicted <= options.tolerance**2 * scale + 1e-6 * total:
            break
        for halving in range(MAX_HALVINGS):
            trial_shape = np.clip(shape + step / 2**halving, *problem.shape_limits.T)
            trial = search(
                problem,
                _repeated(problem, trial_shape),
                (Estimate(result.rotation, result.angles), result.shape),
                options,
            )
            iterations = iterations + trial.iterations
            trial_total = _total(problem, trial, trial_shape)
            if trial_total < total:
                break
        else:
            break
        shape, result, total = trial_shape, trial, trial_total
    return replace(result, iterations=iterations)


def _initial_shared_shape(problem: Problem) -> Float[np.ndarray, " S"]:
    targets = problem.initial_joints(np.arange(problem.count))
    return initial_shape(problem.kin, targets, problem.shape_limits, shared=True)[0]


def _repeated(problem: Problem, shape: Float[np.ndarray, " S"]) -> Float[np.ndarray, "N S"]:
    return np.broadcast_to(shape, (problem.count, len(shape)))


def _total(problem: Problem, result: SearchResult, shape: Float[np.ndarray, " S"]) -> float:
    return float(result.cost.sum() + problem.count * problem.shape_weight * np.sum((shape - problem.shape_mean) ** 2))


def _reduced_normal_equations(
    problem: Problem, result: SearchResult
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S S"]]:
    """Gradient and Hessian of the total cost with respect to the shape, the poses eliminated."""
    each = replace(problem, shape_weight=0.0)
    weight = problem.count * problem.shape_weight
    gradient = weight * (result.shape[0] - problem.shape_mean)
    hessian = weight * np.eye(len(gradient))
    for index in chunks(problem):
        objective = each.objective(index, None)
        values = np.concatenate([result.angles[index], result.shape[index]], axis=1)
        normal = objective.evaluate(np.arange(len(index)), Estimate(result.rotation[index], values))
        by_shape, curved = _without_pose(normal, result.angles[index], problem.limits)
        gradient = gradient + by_shape.sum(axis=0)
        hessian = hessian + curved.sum(axis=0)
    return gradient, hessian


def _without_pose(normal: NormalEquations, angles: Float[np.ndarray, "n A"], limits: Float[np.ndarray, "A 2"]):
    """(n, S) gradient and (n, S, S) Hessian of shape, the pose eliminated except for angles held by a limit."""
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
