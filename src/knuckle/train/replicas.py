"""One step's gradient from several copies of a network, each on a thread and a part of the batch of its own.

On a CPU this is as fast as letting every operation run on all cores, and does not break down when other work takes
a core away: the threads wait for each other twice a step and not several hundred times.

However a batch is divided, between copies or processes, losses are weighted over the whole of it: each part adds up
its sums and weights (`knuckle.losses.mean.Mean`), the weights are summed over all parts, and only then is divided.
"""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from knuckle.losses.mean import Mean
from knuckle.systems.system import Moment, Stage, System
from knuckle.train.ranks import Ranks

# What a part of a batch is made from: a function of the places in the batch that are its own.
Maker = Callable[[Sequence[int]], Any]


@dataclass
class _Forward:
    """A part after its forward: losses that still have their graphs, and what is logged."""

    losses: dict[str, Mean]
    errors: dict[str, Mean]


class Replicas:
    """Copies of a network that share its weights at the start of every step.

    Args:
        system: of the network.
        network: the one whose gradients are wanted; on a CPU it is copied, once for each further thread.
        ranks: the processes that train together; each has replicas of its own.
        threads: copies on a CPU. A network that draws from torch's global generator, as one with dropout does, is not
            copied: threads would take turns at the generator by chance. Its operations are spread over threads instead.
        dtype: torch.bfloat16 for mixed precision, torch.float32 for none.
        seed: of the run.
        whole: a process's part of a batch comes in one piece, as worker processes make it: there are no copies then.
    """

    def __init__(
        self,
        system: System,
        network: nn.Module,
        ranks: Ranks,
        threads: int,
        dtype: torch.dtype,
        seed: int,
        whole: bool = False,
    ) -> None:
        self._system, self._ranks, self._dtype, self._seed, self._whole = system, ranks, dtype, seed, whole
        self._network, self._threads = network, threads
        self._networks = [network]
        self._pool: ThreadPoolExecutor | None = None
        self._stage = Stage()

    def begin(self, stage: Stage, batch: Any) -> None:
        """Makes the copies for a stage, whose frozen parts are set already.

        Args:
            batch: any one, to see whether the network draws random numbers of its own.

        Raises:
            ValueError: the stage weighs no loss, or its batch is too small for the processes.
        """
        if not any(stage.losses.values()):
            raise ValueError(f"stage {stage.name} must weigh a loss but weighs none; set its losses")
        if stage.batch < self._ranks.count:
            raise ValueError(f"batch must be at least {self._ranks.count}, the processes, but got {stage.batch}")
        self._stage = stage
        self._share_buffers()
        copies = 1 if self._whole or self._ranks.device.type != "cpu" else self._threads
        if copies > 1 and self._draws(batch):
            copies = 1
        # With one copy operations are spread over the threads, with several none is.
        torch.set_num_threads(self._threads if copies == 1 else 1)
        self._networks = [self._network, *(copy.deepcopy(self._network) for _ in range(copies - 1))]
        self.close()
        self._pool = ThreadPoolExecutor(copies)

    def gradient(self, make: Maker, size: int, step: int, progress: float) -> dict[str, Mean]:
        """Leaves the gradient of a batch's losses in the network, and returns losses and errors of the whole batch.

        Args:
            make: makes the part of the batch at the given places.
            size: of the batch, over all processes.
            step, progress: see Moment.
        """
        assert self._pool is not None, "begin comes first"
        self._share_weights()
        mine = range(self._ranks.rank, size, self._ranks.count)
        jobs = []
        for k, network in enumerate(self._networks):
            if places := mine[k :: len(self._networks)]:
                number = self._ranks.rank * len(self._networks) + k
                jobs.append((network, make, places, step, progress, number))
        parts = list(self._pool.map(lambda job: self._forward(*job), jobs))
        numbers = self._summed(parts)
        list(self._pool.map(lambda part: self._backward(part, numbers), parts))
        self._collect()
        return numbers

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _forward(
        self, network: nn.Module, make: Maker, places: Sequence[int], step: int, progress: float, number: int
    ) -> _Forward:
        batch = make(places).to(self._ranks.device)
        for parameter in network.parameters():
            parameter.grad = None
        now = self._moment(step, progress, number)
        if len(self._networks) == 1:
            torch.manual_seed(now.generator.initial_seed())
        with torch.autocast(self._ranks.device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            output = self._system.forward(network, batch, now)
        losses = self._system.losses(output, batch, now)
        unknown = set(self._stage.losses) - set(losses)
        if unknown:
            raise ValueError(f"stage {self._stage.name} weighs losses that there are not: {', '.join(sorted(unknown))}")
        with torch.no_grad():
            errors = self._system.errors(output, batch)
        return _Forward({n: losses[n] for n, weight in self._stage.losses.items() if weight}, errors)

    def _backward(self, part: _Forward, numbers: dict[str, Mean]) -> None:
        terms = []
        for name, loss in part.losses.items():
            if loss.total.requires_grad:
                weight = self._stage.losses[name]
                terms.append(weight * loss.total / numbers[f"loss/{name}"].weight.clamp(min=1.0).to(loss.total.device))
        if terms:
            torch.stack([term.float() for term in terms]).sum().backward()

    def _summed(self, parts: list[_Forward]) -> dict[str, Mean]:
        """Losses and errors over all copies and processes."""
        given = [{f"loss/{n}": v for n, v in part.losses.items()} | part.errors for part in parts]
        names = list(given[0])
        with torch.no_grad():
            rows = [
                [torch.stack([m[n].total.detach().double(), m[n].weight.detach().double()]) for n in names]
                for m in given
            ]
            table = self._ranks.sum(torch.stack([torch.stack(row) for row in rows]).sum(0))
        return {name: Mean(*pair) for name, pair in zip(names, table, strict=True)}

    def _moment(self, step: int, progress: float, number: int) -> Moment:
        # Splitmix-like: neighbouring steps and parts get unrelated seeds.
        mixed = (self._seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + number * 0x94D049BB133111EB) % 2**63
        generator = torch.Generator(self._ranks.device).manual_seed(mixed ^ (mixed >> 31))
        return Moment(step, progress, self._stage, generator)

    def _draws(self, batch: Any) -> bool:
        """Whether a forward takes numbers from torch's global generator; leaves everything as it was."""
        before, probe = torch.get_rng_state(), copy.deepcopy(self._network)
        with torch.no_grad():
            self._system.forward(probe, batch.to(self._ranks.device), self._moment(0, 0.0, 0))
        drawn = not torch.equal(before, torch.get_rng_state())
        torch.set_rng_state(before)
        return drawn

    @torch.no_grad()
    def _share_buffers(self) -> None:
        """Gives all processes the first one's statistics of normalisation.

        Each gathers its own while it trains. Those of a part that a stage freezes are used, and would differ between
        processes, and from those of a run that went on from the first one's checkpoint.
        """
        if self._ranks.count == 1:
            return
        for buffer in self._network.buffers():
            if buffer.dtype.is_floating_point:
                buffer.copy_(self._ranks.sum(buffer.clone() if self._ranks.rank == 0 else torch.zeros_like(buffer)))

    @torch.no_grad()
    def _share_weights(self) -> None:
        first = self._networks[0]
        for other in self._networks[1:]:
            for mine, theirs in zip(other.state_dict().values(), first.state_dict().values(), strict=True):
                mine.copy_(theirs)

    @torch.no_grad()
    def _collect(self) -> None:
        """Sums the gradients of all copies, and of all processes, into the network."""
        for other in self._networks[1:]:
            for mine, theirs in zip(self._network.parameters(), other.parameters(), strict=True):
                if theirs.grad is not None:
                    mine.grad = theirs.grad.clone() if mine.grad is None else mine.grad.add_(theirs.grad)
        if self._ranks.count == 1:
            return
        trained = [p for p in self._network.parameters() if p.requires_grad]
        # A parameter that no process has used must stay without a gradient, as in a single process.
        used = torch.tensor([float(p.grad is not None) for p in trained], device=self._ranks.device)
        flat = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained]
        summed = self._ranks.sum(torch.cat([used, *flat]))
        at = len(trained)
        for i, parameter in enumerate(trained):
            piece = summed[at : at + parameter.numel()].view_as(parameter)
            parameter.grad = piece.clone() if summed[i] > 0 else None
            at += parameter.numel()


def mean_errors(numbers: Sequence[dict[str, Mean]]) -> dict[str, float]:
    """Means over several batches, by their weights; without those that nothing was labelled for."""
    found: dict[str, list[Mean]] = {}
    for one in numbers:
        for name, mean in one.items():
            found.setdefault(name, []).append(mean)
    joined = {name: _joined(means) for name, means in found.items()}
    return {name: float(mean.value) for name, mean in joined.items() if mean.weight > 0}


def _joined(means: Sequence[Mean]) -> Mean:
    totals: list[Tensor] = [m.total.double() for m in means]
    return Mean(torch.stack(totals).sum(), torch.stack([m.weight.double() for m in means]).sum())
