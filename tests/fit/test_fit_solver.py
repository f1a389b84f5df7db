import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from knuckle.fit.solver import Estimate, NormalEquations, bounded_step, minimise


def random_box_problem(seed, count=3, size=12):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, size + 3, size))
    right = rng.normal(size=(count, size + 3)) * 2
    low = -rng.uniform(0, 0.5, size=(count, size)) * rng.integers(0, 2, size=(count, size))
    high = rng.uniform(0, 0.5, size=(count, size)) + (low == 0) * 1e-3
    return rows, right, low, high


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_bounded_step_minimises_within_the_box(seed):
    rows, right, low, high = random_box_problem(seed)
    hessian = rows.swapaxes(1, 2) @ rows
    gradient = -(rows.swapaxes(1, 2) @ right[..., None])[..., 0]
    step = bounded_step(hessian, gradient, low, high)
    assert (step >= low).all()
    assert (step <= high).all()
    for i in range(len(rows)):
        twin = lsq_linear(rows[i], right[i], (low[i], high[i]), method="bvls")
        assert np.abs(step[i] - twin.x).max() < 1e-6


def rosenbrock(values):
    """Residuals and Jacobian of Rosenbrock's function: four residuals in four unknowns."""
    x, y = values[:, 0::2], values[:, 1::2]
    residual = np.concatenate([10 * (y - x**2), 1 - x], axis=1)
    jacobian = np.zeros((len(values), 4, 4))
    for k in range(2):
        jacobian[:, k, 2 * k], jacobian[:, k, 2 * k + 1] = -20 * x[:, k], 10.0
        jacobian[:, 2 + k, 2 * k] = -1.0
    return residual, jacobian


def evaluate(index, estimate):
    residual, jacobian = rosenbrock(estimate.values)
    hessian = np.zeros((len(index), 7, 7))
    hessian[:, :3, :3] = np.eye(3)  # the rotation has no effect
    hessian[:, 3:, 3:] = jacobian.swapaxes(1, 2) @ jacobian
    gradient = np.concatenate(
        [np.zeros((len(index), 3)), (jacobian.swapaxes(1, 2) @ residual[..., None])[..., 0]], axis=1
    )
    return NormalEquations((residual**2).sum(axis=1), gradient, hessian, np.ones(len(index)))


def solve(start, upper=np.inf, iterations=200):
    limits = np.full(4, -np.inf), np.full(4, upper)
    begin = Estimate(np.tile(np.eye(3), (len(start), 1, 1)), start)
    return minimise(evaluate, begin, *limits, iterations=iterations, tolerance=1e-9)


def test_rosenbrock_converges_to_its_minimum():
    start = np.random.default_rng(0).uniform(-2, 2, size=(20, 4))
    solution = solve(start)
    assert solution.converged.all()
    assert np.abs(solution.estimate.values - 1).max() < 1e-4


def test_an_active_limit_holds():
    start = np.random.default_rng(0).uniform(-2, 0.5, size=(20, 4))
    solution = solve(start, upper=0.6)
    assert solution.estimate.values.max() == 0.6
    # with y at its limit 0.6 the best x is near its root
    assert np.abs(solution.estimate.values[:, 1::2] - 0.36).max() < 0.25
    assert np.abs(solution.cost - solution.cost.min()).max() < 1e-3


def test_problems_of_a_batch_are_independent():
    start = np.random.default_rng(1).uniform(-2, 2, size=(5, 4))
    together = solve(start)
    for i in range(5):
        alone = solve(start[i : i + 1])
        assert np.allclose(alone.estimate.values[0], together.estimate.values[i], atol=1e-9)
        assert alone.iterations[0] == together.iterations[i]


@pytest.mark.parametrize("count", [0, 1])
def test_few_problems_and_few_steps(count):
    solution = solve(np.full((count, 4), -1.5), iterations=2)
    assert solution.iterations.tolist() == [2] * count
    assert not solution.converged.any()
