"""Damped Gauss-Newton within a box, for a whole batch at once.

Every problem of the batch has its own damping and its own end; those that ended take no further part. The unknowns
of a problem are a rotation, changed by `R @ exp(omega)`, and values that stay within their limits at every step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.geometry.rotation import axis_angle_to_matrix

INITIAL_DAMPING = 1e-3
MIN_DAMPING = 1e-7
MAX_DAMPING = 1e6
MAX_STALLED_STEPS = 2  # a problem has also ended after so many steps in a row that gained too little
MAX_PIVOTING_PASSES = 8  # how often a step is worked out anew because values ran into their limits or left them


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """A sum of squares at one point and its Gauss-Newton model, for every problem of a batch.

    Attributes:
        cost: (B,) sum of weighted squares.
        gradient: (B, P) half the gradient of the cost, unknowns in the order rotation (3), values.
        hessian: (B, P, P) half the Gauss-Newton Hessian.
        scale: (B,) sum of the weights; cost / scale is the mean square residual, m^2.
    """

    cost: Float[np.ndarray, " B"]
    gradient: Float[np.ndarray, "B P"]
    hessian: Float[np.ndarray, "B P P"]
    scale: Float[np.ndarray, " B"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where every problem of a batch stands.

    Attributes:
        rotation: (B, 3, 3).
        values: (B, N) angles, then shape where it is an unknown.
    """

    rotation: Float[np.ndarray, "B 3 3"]
    values: Float[np.ndarray, "B N"]

    def take(self, index: Int[np.ndarray, " n"] | Bool[np.ndarray, " B"]) -> "Estimate":
        return Estimate(self.rotation[index], self.values[index])


@dataclass(frozen=True, eq=False)
class Solution:
    """Attributes: point; cost, iterations and converged (B,); see `minimise`."""

    point: Estimate
    cost: Float[np.ndarray, " B"]
    iterations: Int[np.ndarray, " B"]
    converged: Bool[np.ndarray, " B"]


def minimise(
    evaluate: Callable[[Int[np.ndarray, " n"], Estimate], NormalEquations],
    start: Estimate,
    lower: Float[np.ndarray, " N"],
    upper: Float[np.ndarray, " N"],
    *,
    iterations: int,
    tolerance: float,
    relative_tolerance: float = 1e-3,
) -> Solution:
    """Levenberg-Marquardt with an active set, from a start within the limits.

    Args:
        evaluate: the sum of squares of the problems with the given indices, at the given point.
        start: where to begin; values within [lower, upper].
        lower, upper: (N,) limits of the values; infinite where there is none.
        iterations: the most steps tried for a problem.
        tolerance: a problem has converged when a step promises to lessen its root mean square residual by less than
            sqrt(r^2 - tolerance^2), metres,
        relative_tolerance: or its cost by less than this part of it.

    Returns:
        The best point found for every problem; `lower <= values <= upper` holds exactly.
    """
    batch = len(start.values)
    rotation, values = start.rotation.copy(), start.values.copy()
    live = np.arange(batch)
    cost = np.zeros(batch)
    count = np.zeros(batch, dtype=np.int64)
    converged = np.zeros(batch, dtype=bool)
    if batch == 0:
        return Solution(start, cost, count, converged)
    normal = evaluate(live, start)
    cost[:] = normal.cost
    damping, stalled = np.full(batch, INITIAL_DAMPING), np.zeros(batch, dtype=np.int64)
    here = start
    for _ in range(iterations):
        damped = normal.hessian.copy()
        diagonal = np.einsum("bii->bi", damped)
        # The small constant keeps directions that nothing observes (a girth, seen through joints) where they are.
        diagonal += damping[:, None] * (diagonal + 1e-8 * normal.scale[:, None])
        gap_low = np.concatenate([np.full((len(live), 3), -np.inf), lower - here.values], axis=1)
        gap_high = np.concatenate([np.full((len(live), 3), np.inf), upper - here.values], axis=1)
        step = bounded_step(damped, normal.gradient, gap_low, gap_high)
        predicted = -np.sum(step * (2 * normal.gradient + np.matmul(normal.hessian, step[..., None])[..., 0]), axis=1)
        trial = Estimate(
            here.rotation @ axis_angle_to_matrix(step[:, :3]),
            np.clip(here.values + step[:, 3:], lower, upper),
        )
        reached = evaluate(live, trial)
        gained = normal.cost - reached.cost
        count[live] += 1
        better = gained >= 0
        least = tolerance**2 * normal.scale + relative_tolerance * normal.cost
        small = np.abs(predicted) <= least
        stalled = np.where(better, np.where(gained <= least, stalled + 1, 0), stalled)
        ended = ((small | (stalled >= MAX_STALLED_STEPS)) & better) | (~better & (damping >= MAX_DAMPING))
        ended |= ~better & (np.abs(predicted) <= 1e-12 * normal.cost)
        accepted = live[better]
        rotation[accepted], values[accepted] = trial.rotation[better], trial.values[better]
        cost[accepted] = reached.cost[better]
        quality = gained / np.maximum(predicted, 1e-300)
        damping = np.where(
            better,
            np.where(quality > 0.75, damping * 0.1, np.where(quality < 0.25, damping * 4, damping)),
            damping * 10,
        )
        damping = np.clip(damping, MIN_DAMPING, MAX_DAMPING)
        converged[live[ended]] = True
        going = ~ended
        if not np.any(going):
            break
        if np.all(better) and np.all(going):
            normal, here = reached, trial
            continue
        normal = NormalEquations(
            *(
                np.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)[going]
                for new, old in (
                    (reached.cost, normal.cost),
                    (reached.gradient, normal.gradient),
                    (reached.hessian, normal.hessian),
                    (reached.scale, normal.scale),
                )
            )
        )
        live, damping, stalled = live[going], damping[going], stalled[going]
        here = Estimate(rotation[live], values[live])
    return Solution(Estimate(rotation, values), cost, count, converged)


def bounded_step(
    damped: Float[np.ndarray, "B P P"],
    gradient: Float[np.ndarray, "B P"],
    gap_low: Float[np.ndarray, "B P"],
    gap_high: Float[np.ndarray, "B P"],
) -> Float[np.ndarray, "B P"]:
    """The step that makes `step @ damped @ step / 2 + gradient @ step` least within gap_low <= step <= gap_high.

    Unknowns that the step would carry past a limit are put on it, those that would rather leave theirs are let go,
    and the rest solved again until nothing changes, or MAX_PIVOTING_PASSES times; what is then still outside is cut off.

    Source: block principal pivoting, Portugal, Judice & Vicente, Mathematics of Computation 63 (1994).
    """
    held = ((gap_low >= 0) & (gradient > 0)) | ((gap_high <= 0) & (gradient < 0))
    step = _solve_held(damped, gradient, held, np.zeros_like(gradient))
    rows = np.arange(len(gradient))
    for _ in range(MAX_PIVOTING_PASSES):
        mine, low, high, fixed = step[rows], gap_low[rows], gap_high[rows], held[rows]
        outside = ((mine < low) | (mine > high)) & ~fixed
        slope = gradient[rows] + np.matmul(damped[rows], mine[..., None])[..., 0]
        leaving = fixed & np.where(mine <= low, slope < 0, slope > 0) & (low < high)
        changed = (outside | leaving).any(axis=1)
        if not changed.any():
            break
        rows = rows[changed]
        fixed = (fixed ^ leaving | outside)[changed]
        held[rows] = fixed
        cut = np.where(fixed, np.clip(mine[changed], low[changed], high[changed]), 0.0)
        step[rows] = _solve_held(damped[rows], gradient[rows], fixed, cut)
    return np.clip(step, gap_low, gap_high)


def _solve_held(
    damped: Float[np.ndarray, "B P P"],
    gradient: Float[np.ndarray, "B P"],
    held: Bool[np.ndarray, "B P"],
    values: Float[np.ndarray, "B P"],
) -> Float[np.ndarray, "B P"]:
    """Solve for the unknowns that are not held; those held keep their value (zero elsewhere in `values`)."""
    if not held.any():
        return np.linalg.solve(damped, -gradient[..., None])[..., 0]
    free = ~held
    matrix = damped * (free[:, :, None] & free[:, None, :])
    np.einsum("bii->bi", matrix)[held] = 1.0
    right = np.where(held, values, -gradient - np.matmul(damped, values[..., None])[..., 0])
    return np.linalg.solve(matrix, right[..., None])[..., 0]
