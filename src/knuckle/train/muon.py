"""AdamW for vectors and Muon for matrices, in one optimiser.

Muon takes the momentum of a weight matrix to the nearest semi-orthogonal matrix, so that all directions of a layer
learn alike. Source: Jordan et al., Muon, 2024 (five Newton-Schulz steps with their coefficients); scaled to the
step length of AdamW as in Liu et al., arXiv 2502.16982, Eq. 4.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor


def orthogonalise(matrix: Tensor, steps: int = 5, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """The semi-orthogonal matrix near a (rows, columns) matrix, roughly: singular values end between 0.7 and 1.2.

    Computed in `dtype`; bfloat16 is precise enough, and fast where the hardware has it.
    """
    x = matrix.to(dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


def is_matrix(parameter: Tensor) -> bool:
    """Whether Muon is meant for it: linear layers, and convolutions seen as matrices."""
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 16


class MuonAdamW(torch.optim.Optimizer):
    """Muon for what `is_matrix`, AdamW for the rest; one learning rate for both.

    Args:
        threads: matrices differ too much in size for every product to be spread over cores, so each thread takes
            whole matrices. The result does not depend on it.
        dtype: of the matrix products.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        threads: int = 1,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": (0.9, 0.99), "eps": 1e-8}
        super().__init__(parameters, defaults)
        self._pool, self._dtype = ThreadPoolExecutor(threads), dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step by the gradients that are there."""
        jobs = [(p, p.grad, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        jobs.sort(key=lambda job: -job[0].numel())
        # Asking for the results lets an error through.
        list(self._pool.map(lambda job: self._update(*job), jobs))

    @torch.no_grad()
    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
        change = self._muon if is_matrix(parameter) else self._adam
        parameter.sub_(change(parameter, gradient, group), alpha=group["lr"])

    def _muon(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"])
        matrix = ahead.flatten(1)
        return (0.2 * max(matrix.shape) ** 0.5 * orthogonalise(matrix, dtype=self._dtype)).view_as(parameter)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["count"] = torch.zeros(())
        first, second = group["betas"]
        # A resumed state comes back on the parameter's device; a count is read in every step, and belongs to the CPU.
        state["count"] = state["count"].cpu() + 1
        mean = state["mean"].lerp_(gradient, 1.0 - first)
        square = state["square"].lerp_(gradient.square(), 1.0 - second)
        count = float(state["count"])
        root = (square / (1.0 - second**count)).sqrt_().add_(group["eps"])
        return mean / (1.0 - first**count) / root
