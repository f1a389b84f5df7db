"""From a problem to its solution, hand by hand: starts, and further ones for the hands that ended badly."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.fit.inputs import Problem
from knuckle.fit.solver import Estimate, Solution, minimise
from knuckle.fit.start import initial_estimate, initial_shape

JOINTS_AT_ONCE = 256
MESHES_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class SearchOptions:
    """How long to try.

    Attributes:
        iterations: the most steps from one start.
        tolerance: metres; see `minimise`.
        restart_above: metres; a hand whose root mean square residual ended above it is tried from other starts.
    """

    iterations: int
    tolerance: float
    restart_above: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The solution of a problem, right hands about its centre.

    Attributes:
        rotation: (N, 3, 3). angles: (N, A). shape: (N, S).
        iterations: (N,) steps tried in all.
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
    """Fit every hand of a problem by itself.

    Args:
        shape: held fixed, or None to find one for every hand.
        warm: rotation and angles, and shape, to begin from in place of a cold start.
    """
    parts = [_search_chunk(problem, index, shape, warm, options) for index in chunks(problem)]
    return SearchResult(*(np.concatenate([getattr(part, name) for part in parts]) for name in SearchResult.__dataclass_fields__))


def chunks(problem: Problem) -> list[Int[np.ndarray, " n"]]:
    """Indices of the hands, as many at once as the caches hold."""
    size = JOINTS_AT_ONCE if problem.vertices is None else MESHES_AT_ONCE
    return [np.arange(at, min(at + size, problem.count)) for at in range(0, max(problem.count, 1), size)]


def _search_chunk(problem, index, shape, warm, options: SearchOptions) -> SearchResult:
    fixed = None if shape is None else shape[index]
    objective = problem.objective(index, fixed)
    lower, upper = _limits(problem, fixed is None)

    def run(rows: Int[np.ndarray, " n"], start: Estimate) -> Solution:
        values = np.clip(start.values, lower, upper)
        return minimise(
            lambda live, point: objective.evaluate(rows[live], point),
            Estimate(start.rotation, values),
            lower,
            upper,
            iterations=options.iterations,
            tolerance=options.tolerance,
        )

    all_rows = np.arange(len(index))
    default_angles = _default_angles(problem)
    if warm is None:
        solution = run(all_rows, _cold_start(problem, index, fixed, default_angles[0]))
        later = default_angles[1:]
    else:
        point, warm_shape = warm
        solution = run(all_rows, _with_shape(point.take(index), warm_shape[index], fixed))
        later = default_angles
    weight = sum(t.weights[index].sum(axis=1) for t in (problem.joints, problem.vertices) if t is not None)
    for rest in later:
        bad = np.flatnonzero(solution.cost > options.restart_above**2 * weight)
        if not len(bad):
            break
        again = run(bad, _cold_start(problem, index[bad], None if fixed is None else fixed[bad], rest))
        solution = _merge_better(solution, bad, again)
    angles, found_shape = objective.split(all_rows, solution.point.values)
    return SearchResult(solution.point.rotation, angles, found_shape, solution.iterations, solution.converged, solution.cost)


def _merge_better(solution: Solution, rows: Int[np.ndarray, " n"], again: Solution) -> Solution:
    """The better of two solutions of the given rows; iterations add up."""
    won = again.cost < solution.cost[rows]
    merged = [
        solution.point.rotation.copy(),
        solution.point.values.copy(),
        solution.cost.copy(),
        solution.converged.copy(),
    ]
    for old, new in zip(merged, (again.point.rotation, again.point.values, again.cost, again.converged), strict=True):
        old[rows[won]] = new[won]
    iterations = solution.iterations.copy()
    iterations[rows] += again.iterations
    return Solution(Estimate(merged[0], merged[1]), merged[2], iterations, merged[3])


def _limits(problem: Problem, free_shape: bool) -> tuple[np.ndarray, np.ndarray]:
    limits = np.concatenate([problem.limits, problem.shape_limits]) if free_shape else problem.limits
    return limits[:, 0], limits[:, 1]


def _default_angles(problem: Problem) -> list[Float[np.ndarray, "R A"]]:
    """Values for the angles that the closed form leaves open: those of the first start, then of further ones."""
    bounded = np.where(np.isfinite(problem.limits), problem.limits, np.array([-1.0, 1.0]))
    flat = np.clip(0.0, bounded[:, 0], bounded[:, 1])
    part = [bounded @ np.array([1 - share, share]) for share in (0.2, 0.4, 0.6, 0.8)]
    return [np.stack([flat, part[0], part[3]]), part[1][None], part[2][None]]


def _cold_start(problem, index, fixed, default_angles) -> Estimate:
    targets = problem.initial_joints(index)
    shape = initial_shape(problem.kin, targets, problem.shape_limits) if fixed is None else fixed
    return _with_shape(initial_estimate(problem.kin, targets, shape, problem.limits, default_angles), shape, fixed)


def _with_shape(point: Estimate, shape: Float[np.ndarray, "n S"], fixed: Float[np.ndarray, "n S"] | None) -> Estimate:
    if fixed is not None:
        return point
    return Estimate(point.rotation, np.concatenate([point.values, shape], axis=1))
