"""The training loop: all of it, on one page."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.systems.system import Records, System
from knuckle.train import checkpoint
from knuckle.train.batches import held_out, indices_of_step, make_batch
from knuckle.train.muon import MuonAdamW
from knuckle.train.replicas import Replicas
from knuckle.train.stop import Stop


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the system has a configuration of its own.

    Attributes:
        steps: length of the schedule, where `minutes` is 0.
        minutes: length of the schedule by the clock, over all sessions of the run.
        batch: examples a step.
        rate: highest learning rate.
        optimiser: "muon" (for matrices, AdamW for the rest) or "adamw".
        warmup: part of the schedule over which the rate rises.
        average: decay of the averaged weights, a step.
        log_every, save_every: steps.
        threads: copies of the network on a CPU, each with a part of the batch (see `Replicas`).
    """

    steps: int = 10000
    minutes: float = 0.0
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.02
    optimiser: str = "muon"
    warmup: float = 0.03
    clip: float = 2.0
    average: float = 0.998
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool = True
    log_every: int = 50
    save_every: int = 1000
    threads: int = 2


def train(
    system: System,
    records: Records,
    run: Path,
    config: TrainConfig,
    start_from: Path | None = None,
    report: Callable[[dict[str, float]], None] = lambda numbers: None,
    stop_after: int | None = None,
) -> Path:
    """Trains, or goes on with a run that was broken off.

    Args:
        system: what to train.
        records: of its examples.
        run: folder for checkpoints and the log (`log.jsonl`); where it holds a checkpoint the run goes on from there,
            with the same results as if it had never stopped (schedules by the clock excepted).
        start_from: a checkpoint whose weights to begin with, with a schedule of its own.
        report: is given the numbers of every `log_every` steps.
        stop_after: steps of this call, for tests of going on.

    Returns:
        The last checkpoint.

    Raises:
        KeyboardInterrupt: the process was told to end; the step at hand was finished and a checkpoint written.
    """
    torch.manual_seed(config.seed)
    # Threads are used by the copies of the network; see `Replicas` for why no operation is spread over cores.
    torch.set_num_threads(1)
    device = torch.device(config.device)
    network = system.network().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = system.network().to(device).eval()
    optimiser = make_optimiser(network, config)
    step, elapsed = 0, 0.0
    found = checkpoint.checkpoints(run)
    if found:
        step, elapsed = _restore(found[-1], network, average, optimiser)
    elif start_from is not None:
        checkpoint.load_weights(network, checkpoint.load(start_from).weights)
    if not found:
        average.load_state_dict(network.state_dict())

    run.mkdir(parents=True, exist_ok=True)
    replicas = Replicas(system, network, config.threads, config.bfloat16)
    sums: dict[str, float] = {}
    began, first, saved = time.monotonic() - elapsed, step, None
    logged = (time.monotonic(), step)
    with Stop() as stop:
        while (progress := _progress(config, step, time.monotonic() - began)) < 1.0:
            if stop.asked or (stop_after is not None and step - first >= stop_after):
                break
            for group in optimiser.param_groups:
                group["lr"] = config.rate * schedule(progress, config.warmup)
            indices = indices_of_step(records, config.seed, step, config.batch)
            numbers = replicas.gradient(records, indices, (config.seed, 2, step))
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"the gradient became {norm.item()} at step {step}; lower the rate")
            optimiser.step()
            step += 1
            update_average(average, network, min(config.average, (1 + step) / (10 + step)))

            for name, value in (numbers | {"gradient": float(norm)}).items():
                sums[name] = sums.get(name, 0.0) + value
            if step % config.log_every == 0:
                now = time.monotonic()
                means = {name: value / (step - logged[1]) for name, value in sums.items()}
                rate = config.batch * (step - logged[1]) / (now - logged[0])
                _log(run, {"step": float(step), "progress": progress, "examples_per_second": rate, **means}, report)
                sums, logged = {}, (now, step)
            if step % config.save_every == 0:
                saved = _save(run, step, time.monotonic() - began, system, config, network, average, optimiser)
                _log(run, {"step": float(step), **validate(system, average, records, config)}, report)
    if saved is None or step % config.save_every:
        saved = _save(run, step, time.monotonic() - began, system, config, network, average, optimiser)
    replicas.close()
    if stop.asked:
        raise KeyboardInterrupt
    return saved


def make_optimiser(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Weight decay is for matrices and kernels; biases, scales and embeddings go without."""
    decayed = [p for p in network.parameters() if p.ndim >= 2]
    free = [p for p in network.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    if config.optimiser == "muon":
        return MuonAdamW(groups, lr=config.rate, threads=config.threads)
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.99))
    raise ValueError(f'optimiser must be "muon" or "adamw" but got "{config.optimiser}"')


def schedule(progress: float, warmup: float) -> float:
    """A straight rise, then a cosine down to nearly nothing; in parts of the highest rate."""
    if progress < warmup:
        return max(progress, 1e-3 * warmup) / warmup
    return 0.005 + 0.995 * 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the averaged weights, and the statistics of the normalisation, a little towards the current ones."""
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1.0 - decay)
        else:
            mine.copy_(theirs)


@torch.no_grad()
def validate(system: System, average: nn.Module, records: Records, config: TrainConfig) -> dict[str, float]:
    """Errors of the averaged weights on the records held out, augmented always in the same way."""
    indices = held_out(records)[:512]
    sums: dict[str, float] = {}
    for at in range(0, len(indices), config.batch):
        part = indices[at : at + config.batch]
        batch = make_batch(system, records, part, (0, 3, at))
        batch = {name: values.to(config.device) for name, values in batch.items()}
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bfloat16):
            output = average(batch["picture"])
        for name, value in system.errors(output, batch).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part) / len(indices)
    return {f"held_out/{name}": value for name, value in sums.items()}


def _progress(config: TrainConfig, step: int, elapsed: float) -> float:
    return elapsed / (60.0 * config.minutes) if config.minutes else step / config.steps


def _log(run: Path, numbers: Mapping[str, float], report: Callable[[dict[str, float]], None]) -> None:
    rounded = {name: float(np.format_float_positional(value, 5, fractional=False)) for name, value in numbers.items()}
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps(rounded) + "\n")
    report(rounded)


def _save(
    run: Path,
    step: int,
    elapsed: float,
    system: System,
    config: TrainConfig,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> Path:
    about: dict[str, Any] = {
        "system": type(system).__name__.lower(),
        "step": step,
        "elapsed": elapsed,
        "config": asdict(system.config),
        "train": asdict(config),
    }
    state: dict[str, Tensor] = {f"network.{n}": t for n, t in network.state_dict().items()}
    state |= checkpoint.optimiser_tensors(optimiser)
    return checkpoint.save(run, step, about, average.state_dict(), state)


def _restore(
    folder: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    saved = checkpoint.load(folder)
    if not saved.state:
        raise ValueError(f"{folder} must hold the optimiser's state to go on but has none; start from it in a new run")
    network.load_state_dict({n.removeprefix("network."): t for n, t in saved.state.items() if n.startswith("network.")})
    average.load_state_dict(saved.weights)
    checkpoint.restore_optimiser(optimiser, saved.state)
    return saved.about["step"], saved.about["elapsed"]
