"""Solve a problem for every hand: an initial estimate, and further starts for hands with a large residual."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.fit.inputs import Problem
from knuckle.fit.solver import Estimate, Solution, minimise
from knuckle.fit.start import initial_estimate, initial_shape

# Hands per chunk, so that the working set stays in the processor's cache.
JOINT_CHUNK = 256
MESH_CHUNK = 8


@dataclass(frozen=True, eq=False)
class SearchOptions:
    """Stopping and restart criteria.

    Attributes:
        iterations: maximum number of steps per start.
        tolerance: metres; see `minimise`.
        restart_above: metres; a hand whose root mean square residual exceeds it is refitted from other starts.
    """

    iterations: int
    tolerance: float
    restart_above: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The solution of a problem, as right hands relative to its centre.

    Attributes:
        rotation: (N, 3, 3). angles: (N, A). shape: (N, S).
        iterations: (N,) steps tried, summed over all starts.
        converged: (N,).
        cost: (N,) the sum of squares; see `Objective`.
    """

    rotation: Float[np.ndarray, "N 3 3"]
    angles: Float[np.ndarray, "N A"]
    shape: Float[np.ndarray, "N S"]
    iterations: Int[np.ndarray, " N"]
    converged: Bool[np.ndarray, " N"]
    cost: Float[np.ndarray, " N"]


def search(
    problem: Problem,
    shape: Float[np.ndarray, "N S"] | None,
    warm: tuple[Estimate, Float[np.ndarray, "N S"]] | None,
    options: SearchOptions,
) -> SearchResult:
    """Fit every hand of a problem independently.

    Args:
        shape: held fixed, or None to estimate one per hand.
        warm: initial rotation and angles, and shape, in place of a cold start.
    """
    parts = [_search_chunk(problem, index, shape, warm, options) for index in chunks(problem)]
    if len(parts) == 1:
        return parts[0]
    return SearchResult(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in SearchResult.__dataclass_fields__)
    )


def chunks(problem: Problem) -> list[Int[np.ndarray, " n"]]:
    """Indices of the hands in each chunk."""
    size = JOINT_CHUNK if problem.vertices is None else MESH_CHUNK
    return [np.arange(at, min(at + size, problem.count)) for at in range(0, max(problem.count, 1), size)]


def _search_chunk(problem, index, shape, warm, options: SearchOptions) -> SearchResult:
    fixed = None if shape is None else shape[index]
    objective = problem.objective(index, fixed)
    lower, upper = _limits(problem, fixed is None)

    # Without annotations of shapes, which would be made anew in every call.
    def solve(rows: np.ndarray, start: Estimate) -> Solution:
        return minimise(
            lambda active, estimate: objective.evaluate(rows[active], estimate),
            Estimate(start.rotation, np.minimum(np.maximum(start.values, lower), upper)),
            lower,
            upper,
            iterations=options.iterations,
            tolerance=options.tolerance,
            cost_of=lambda active, estimate: objective.cost(rows[active], estimate),
        )

    all_rows = np.arange(len(index))
    if warm is None:
        solution = solve(all_rows, _cold_start(problem, index, fixed, _default_angles(problem)[0]))
        tried = 1
    else:
        estimate, warm_shape = warm
        solution = solve(all_rows, _with_shape(estimate.take(index), warm_shape[index], fixed))
        tried = 0
    if options.restart_above < np.inf:
        solution = _restarted(problem, index, fixed, solution, solve, options.restart_above, tried)
    angles, found_shape = objective.split(all_rows, solution.estimate.values)
    return SearchResult(
        solution.estimate.rotation, angles, found_shape, solution.iterations, solution.converged, solution.cost
    )


def _restarted(
    problem: Problem,
    index: Int[np.ndarray, " n"],
    fixed: Float[np.ndarray, "n S"] | None,
    solution: Solution,
    solve: Callable[[np.ndarray, Estimate], Solution],
    restart_above: float,
    tried: int,
) -> Solution:
    """The solution, improved where its residual is large by further starts, those not `tried` yet."""
    weight = sum(t.weights[index].sum(axis=1) for t in (problem.joints, problem.vertices) if t is not None)
    for rest in _default_angles(problem)[tried:]:
        bad = np.flatnonzero(solution.cost > restart_above**2 * weight)
        if not len(bad):
            break
        again = solve(bad, _cold_start(problem, index[bad], None if fixed is None else fixed[bad], rest))
        solution = _merge_better(solution, bad, again)
    return solution


def _merge_better(solution: Solution, rows: Int[np.ndarray, " n"], again: Solution) -> Solution:
    """The solution of lower cost for each of the given rows; iterations are summed."""
    won = again.cost < solution.cost[rows]
    merged = [
        solution.estimate.rotation.copy(),
        solution.estimate.values.copy(),
        solution.cost.copy(),
        solution.converged.copy(),
    ]
    for old, new in zip(
        merged, (again.estimate.rotation, again.estimate.values, again.cost, again.converged), strict=True
    ):
        old[rows[won]] = new[won]
    iterations = solution.iterations.copy()
    iterations[rows] += again.iterations
    return Solution(Estimate(merged[0], merged[1]), merged[2], iterations, merged[3])


def _limits(problem: Problem, free_shape: bool) -> tuple[np.ndarray, np.ndarray]:
    limits = np.concatenate([problem.limits, problem.shape_limits]) if free_shape else problem.limits
    return limits[:, 0], limits[:, 1]


def _default_angles(problem: Problem) -> list[Float[np.ndarray, "R A"]]:
    """Values for the angles that the closed form does not determine: for the first start, then for restarts."""
    bounded = np.where(np.isfinite(problem.limits), problem.limits, np.array([-1.0, 1.0]))
    flat = np.clip(0.0, bounded[:, 0], bounded[:, 1])
    part = [bounded @ np.array([1 - share, share]) for share in (0.2, 0.4, 0.6, 0.8)]
    return [np.stack([flat, part[0], part[3]]), part[1][None], part[2][None]]


def _cold_start(problem, index, fixed, default_angles) -> Estimate:
    targets = problem.initial_joints(index)
    shape = initial_shape(problem.kin, targets, problem.shape_limits) if fixed is None else fixed
    return _with_shape(initial_estimate(problem.kin, targets, shape, problem.limits, default_angles), shape, fixed)


def _with_shape(
    estimate: Estimate, shape: Float[np.ndarray, "n S"], fixed: Float[np.ndarray, "n S"] | None
) -> Estimate:
    if fixed is not None:
        return estimate
    return Estimate(estimate.rotation, np.concatenate([estimate.values, shape], axis=1))
