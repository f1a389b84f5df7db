"""Levenberg-Marquardt with box constraints, for a batch of problems at once.

Every problem of the batch has its own damping and its own convergence; those that have converged are not evaluated
again. The unknowns of a problem are a rotation, updated by `R @ exp(omega)`, and values that satisfy their limits at
every step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.fit.kinematics import rotation_of

INITIAL_DAMPING = 1e-3
MIN_DAMPING = 1e-7
MAX_DAMPING = 1e6
MAX_STALLED_STEPS = (
    2  # a problem has also converged after so many consecutive steps whose reduction is below the tolerance
)
MAX_PIVOTING_PASSES = 8  # changes of the active set while solving for one step


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """A sum of squares at one estimate and its Gauss-Newton model, for every problem of a batch.

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
    """Current values of the unknowns, for every problem of a batch.

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
    """Attributes: estimate, the best found; cost, iterations and converged (B,); see `minimise`."""

    estimate: Estimate
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
    cost_of: Callable[[Int[np.ndarray, " n"], Estimate], Float[np.ndarray, " n"]] | None = None,
) -> Solution:
    """Levenberg-Marquardt with an active set, from an initial estimate within the limits.

    Args:
        evaluate: the sum of squares of the problems with the given indices, at the given estimate.
        start: initial estimate; values within [lower, upper].
        lower, upper: (N,) limits of the values; infinite where there is none.
        iterations: maximum number of steps tried per problem.
        tolerance: metres; a problem has converged when the predicted reduction of its cost is at most
            tolerance^2 * scale + relative_tolerance * cost.
        relative_tolerance: see `tolerance`.
        cost_of: `evaluate(...).cost` alone, which takes less time: a last step needs no more.

    Returns:
        The best estimate found for every problem; `lower <= values <= upper` holds exactly.
    """
    batch = len(start.values)
    rotation, values = start.rotation.copy(), start.values.copy()
    cost = np.zeros(batch)
    count = np.zeros(batch, dtype=np.int64)
    converged = np.zeros(batch, dtype=bool)
    if batch == 0:
        return Solution(start, cost, count, converged)
    active = np.arange(batch)
    bounds = np.full((2, 3 + values.shape[1]), np.array([[-np.inf], [np.inf]]))  # of a step: rotations have none
    bounds[:, 3:] = lower, upper
    current, normal = start, evaluate(active, start)
    cost[:] = normal.cost
    damping, stalled = np.full(batch, INITIAL_DAMPING), np.zeros(batch, dtype=np.int64)
    for _ in range(iterations):
        step, predicted = _damped_step(normal, damping, current.values, bounds)
        trial = Estimate(
            current.rotation @ rotation_of(step[:, :3]),
            np.minimum(np.maximum(current.values + step[:, 3:], lower), upper),
        )
        threshold = tolerance**2 * normal.scale + relative_tolerance * normal.cost
        small = np.abs(predicted) <= threshold
        if cost_of is not None and small.all():
            # Whether these steps are accepted or not, the derivatives there are not needed.
            trial_normal = NormalEquations(cost_of(active, trial), normal.gradient, normal.hessian, normal.scale)
        else:
            trial_normal = evaluate(active, trial)
        reduction = normal.cost - trial_normal.cost
        count[active] += 1
        accepted = reduction >= 0
        stalled = np.where(accepted, np.where(reduction <= threshold, stalled + 1, 0), stalled)
        done = ((small | (stalled >= MAX_STALLED_STEPS)) & accepted) | (~accepted & (damping >= MAX_DAMPING))
        done |= ~accepted & (np.abs(predicted) <= 1e-12 * normal.cost)
        improved = active[accepted]
        rotation[improved], values[improved] = trial.rotation[accepted], trial.values[accepted]
        cost[improved] = trial_normal.cost[accepted]
        damping = _next_damping(damping, accepted, reduction / np.maximum(predicted, 1e-300))
        converged[active[done]] = True
        remaining = ~done
        if not remaining.any():
            break
        if accepted.all() and remaining.all():
            normal, current = trial_normal, trial
            continue
        normal = _select(accepted, trial_normal, normal, remaining)
        active, damping, stalled = active[remaining], damping[remaining], stalled[remaining]
        current = Estimate(rotation[active], values[active])
    return Solution(Estimate(rotation, values), cost, count, converged)


def _damped_step(
    normal: NormalEquations,
    damping: Float[np.ndarray, " B"],
    values: Float[np.ndarray, "B N"],
    bounds: Float[np.ndarray, "2 P"],
) -> tuple[Float[np.ndarray, "B P"], Float[np.ndarray, " B"]]:
    """The Levenberg-Marquardt step within the limits, and the reduction of the cost that the model predicts for it."""
    damped = normal.hessian.copy()
    diagonal = np.einsum("bii->bi", damped)
    position = np.zeros((len(values), bounds.shape[1]))
    position[:, 3:] = values
    # The small constant keeps directions that no observation determines (the girth, from joints alone) where they are.
    diagonal += damping[:, None] * (diagonal + 1e-8 * normal.scale[:, None])
    step = bounded_step(damped, normal.gradient, bounds[0] - position, bounds[1] - position)
    predicted = -(step * (2 * normal.gradient + np.matmul(normal.hessian, step[..., None])[..., 0])).sum(axis=1)
    return step, predicted


def _next_damping(
    damping: Float[np.ndarray, " B"], accepted: Bool[np.ndarray, " B"], gain_ratio: Float[np.ndarray, " B"]
) -> Float[np.ndarray, " B"]:
    """Damping of the next step, from the ratio of actual to predicted reduction of the last one."""
    after_success = np.where(gain_ratio > 0.75, damping * 0.1, np.where(gain_ratio < 0.25, damping * 4, damping))
    return np.minimum(np.maximum(np.where(accepted, after_success, damping * 10), MIN_DAMPING), MAX_DAMPING)


def _select(
    accepted: Bool[np.ndarray, " B"], new: NormalEquations, old: NormalEquations, rows: Bool[np.ndarray, " B"]
) -> NormalEquations:
    """The new normal equations where the step was accepted, else the old ones; only the given rows."""
    pairs = (
        (new.cost, old.cost),
        (new.gradient, old.gradient),
        (new.hessian, old.hessian),
        (new.scale, old.scale),
    )
    return NormalEquations(
        *(np.where(accepted.reshape(-1, *(1,) * (after.ndim - 1)), after, before)[rows] for after, before in pairs)
    )


def bounded_step(
    damped: Float[np.ndarray, "B P P"],
    gradient: Float[np.ndarray, "B P"],
    gap_low: Float[np.ndarray, "B P"],
    gap_high: Float[np.ndarray, "B P"],
) -> Float[np.ndarray, "B P"]:
    """The step that minimises `step @ damped @ step / 2 + gradient @ step` subject to gap_low <= step <= gap_high.

    Unknowns that the step would move past a limit are fixed at it, those whose gradient points inwards are freed, and
    the rest solved again until the active set is stable, at most MAX_PIVOTING_PASSES times; then the step is clipped.

    Source: block principal pivoting, Portugal, Judice & Vicente, Mathematics of Computation 63 (1994).
    """
    held = ((gap_low >= 0) & (gradient > 0)) | ((gap_high <= 0) & (gradient < 0))
    nothing_held = not held.any()
    step = _solve_held(damped, gradient, held, np.zeros_like(gradient))
    if nothing_held and ((step >= gap_low) & (step <= gap_high)).all():
        return step
    rows = np.arange(len(gradient))
    for _ in range(MAX_PIVOTING_PASSES):
        trial, low, high, fixed = step[rows], gap_low[rows], gap_high[rows], held[rows]
        outside = ((trial < low) | (trial > high)) & ~fixed
        slope = gradient[rows] + np.matmul(damped[rows], trial[..., None])[..., 0]
        freed = fixed & np.where(trial <= low, slope < 0, slope > 0) & (low < high)
        changed = (outside | freed).any(axis=1)
        if not changed.any():
            break
        rows = rows[changed]
        fixed = (fixed ^ freed | outside)[changed]
        held[rows] = fixed
        clipped = np.where(fixed, np.clip(trial[changed], low[changed], high[changed]), 0.0)
        step[rows] = _solve_held(damped[rows], gradient[rows], fixed, clipped)
    return np.minimum(np.maximum(step, gap_low), gap_high)


def _solve_held(
    damped: Float[np.ndarray, "B P P"],
    gradient: Float[np.ndarray, "B P"],
    held: Bool[np.ndarray, "B P"],
    values: Float[np.ndarray, "B P"],
) -> Float[np.ndarray, "B P"]:
    """Solve for the unknowns that are not held; held ones take theirs from `values`, which is zero elsewhere."""
    if not held.any():
        return np.linalg.solve(damped, -gradient[..., None])[..., 0]
    free = ~held
    matrix = damped * (free[:, :, None] & free[:, None, :])
    np.einsum("bii->bi", matrix)[held] = 1.0
    right = np.where(held, values, -gradient - np.matmul(damped, values[..., None])[..., 0])
    return np.linalg.solve(matrix, right[..., None])[..., 0]
