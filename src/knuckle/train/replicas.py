"""One step's gradient from several copies of a network, each on a thread and a part of the batch of its own.

On a CPU this is as fast as letting every operation run on all cores, and does not break down when other work takes
a core away: the threads wait for each other once a step and not several hundred times.
"""

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.systems.system import Records, System
from knuckle.train.batches import make_batch


class Replicas:
    """Copies of a network that share its weights at the start of every step.

    Args:
        system: makes the examples and judges the output.
        network: the one whose gradients are wanted; on the CPU it is copied, once for each further thread.
        threads: on a CPU as many copies; elsewhere so many threads make the examples.
    """

    def __init__(self, system: System, network: nn.Module, threads: int, bfloat16: bool) -> None:
        self._system = system
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device
        copies = threads if self._device.type == "cpu" else 1
        self._networks = [network, *(copy.deepcopy(network) for _ in range(copies - 1))]
        self._parts = ThreadPoolExecutor(copies)
        self._pool = ThreadPoolExecutor(threads) if copies == 1 else None

    def gradient(self, records: Records, indices: np.ndarray, seed: tuple[int, ...]) -> dict[str, float]:
        """Leaves the mean gradient of the losses over a batch in the network, and returns losses and errors."""
        self._share_weights()
        count = len(self._networks)
        jobs = [(n, records, indices[k::count], (*seed, k)) for k, n in enumerate(self._networks)]
        numbers = list(self._parts.map(lambda job: self._part(*job), jobs))
        self._collect()
        return {name: float(np.mean([n[name] for n in numbers])) for name in numbers[0]}

    def close(self) -> None:
        """Ends the threads."""
        self._parts.shutdown()
        if self._pool is not None:
            self._pool.shutdown()

    def _part(
        self, network: nn.Module, records: Records, indices: np.ndarray, seed: tuple[int, ...]
    ) -> dict[str, float]:
        batch = make_batch(self._system, records, indices, seed, self._pool)
        batch = {name: values.to(self._device, non_blocking=True) for name, values in batch.items()}
        network.train()
        for parameter in network.parameters():
            parameter.grad = None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            output: Any = network(batch["picture"])
        losses: Mapping[str, Tensor] = self._system.losses(output, batch)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        with torch.no_grad():
            numbers = {f"loss/{n}": v for n, v in losses.items()} | self._system.errors(output, batch)
        return {name: float(value.detach()) for name, value in (numbers | {"loss": total}).items()}

    @torch.no_grad()
    def _share_weights(self) -> None:
        first = self._networks[0]
        for other in self._networks[1:]:
            for mine, theirs in zip(other.state_dict().values(), first.state_dict().values(), strict=True):
                mine.copy_(theirs)

    @torch.no_grad()
    def _collect(self) -> None:
        first, count = self._networks[0], len(self._networks)
        for other in self._networks[1:]:
            for mine, theirs in zip(first.parameters(), other.parameters(), strict=True):
                if mine.grad is not None and theirs.grad is not None:
                    mine.grad.add_(theirs.grad)
        for mine in first.parameters():
            if mine.grad is not None and count > 1:
                mine.grad.div_(count)
