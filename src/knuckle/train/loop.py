"""The training loop: all of it, on one page."""

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.losses.mean import Mean
from knuckle.systems.config import differences, to_json
from knuckle.systems.system import Moment, Source, Stage, System
from knuckle.train import checkpoint
from knuckle.train.examples import make_batch, prefetched
from knuckle.train.optimise import prepare_stage, set_modes, set_rates, update_average
from knuckle.train.order import Order
from knuckle.train.ranks import Alone, Ranks, require_same
from knuckle.train.replicas import Maker, Replicas, mean_errors
from knuckle.train.stop import Stop

# Held-out examples that are looked at, over all data sets together.
_HELD_OUT = 512


@dataclass(frozen=True)
class TrainConfig:
    """How a run is carried out. What it trains, and how, is the system's configuration.

    Attributes:
        name: the system's, in knuckle.systems.SYSTEMS; written into checkpoints.
        data: names of the data sets, written into checkpoints and compared when the run goes on.
        minutes: length of all stages together by the clock, over all sessions of the run; 0 takes their steps.
        seed: of all randomness.
        threads: of a CPU; see `Replicas`.
        workers: processes that make examples ahead, for a GPU; 0 makes them on the threads.
        dtype: torch.bfloat16 or torch.float32.
        log_every, save_every: steps.
    """

    name: str = "shipped"
    data: tuple[str, ...] = ()
    minutes: float = 0.0
    seed: int = 0
    threads: int = 2
    workers: int = 0
    dtype: torch.dtype = torch.float32
    log_every: int = 50
    save_every: int = 1000


@dataclass
class _Position:
    """How far a run is: steps in all, the stage, steps of it, seconds."""

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    seconds: float = 0.0


@dataclass
class _Learner:
    """What a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer | None = None


def train(
    system: System,
    source: Source,
    run: Path,
    config: TrainConfig,
    *,
    ranks: Ranks | None = None,
    start_from: Path | None = None,
    pretrained: bool = False,
    report: Callable[[dict[str, float]], None] = lambda numbers: None,
    stop_after: int | None = None,
) -> Path:
    """Trains, or goes on with a run that was interrupted.

    Args:
        system: what to train.
        source: of its examples.
        run: folder for checkpoints and the log (`log.jsonl`); where it holds a checkpoint the run goes on from there,
            with the same results as if it had never stopped (schedules by the clock excepted).
        ranks: the processes that train together; this one alone where None.
        start_from: a checkpoint whose weights to begin with, with a schedule of its own.
        pretrained: begin with a pretrained backbone.
        report: is given the numbers of every `log_every` steps, in the first process.
        stop_after: steps of this call, for tests of going on.

    Returns:
        The last checkpoint.

    Raises:
        ValueError: the run in that folder was begun with another configuration; the message says what differs.
        KeyboardInterrupt: a process of the run was interrupted; the step at hand was finished and a checkpoint written.
        RankLost: another process of the run has ended.
        FloatingPointError: the gradient is no longer finite.
    """
    ranks = ranks or Alone()
    about, learner, at, saved = _begin(system, run, config, ranks, start_from, pretrained)
    run.mkdir(parents=True, exist_ok=True)
    order = Order(source, config.seed)
    whole = config.workers > 0
    replicas = Replicas(system, learner.network, ranks, config.threads, config.dtype, config.seed, whole)
    log = _Log(run if ranks.rank == 0 else None, report, at.step)
    began, first = time.monotonic() - at.seconds, at.step
    interrupted = stopped = False
    with Stop() as stop:
        for number in range(at.stage, len(system.stages)):
            if stopped:
                break
            stage = system.stages[number]
            at = at if number == at.stage else replace(at, stage=number, stage_step=0)
            learner.optimiser = prepare_stage(learner.network, stage, config.threads, config.dtype)
            if saved is not None and at.stage_step:
                checkpoint.restore_optimiser(learner.optimiser, checkpoint.load(saved).state)
            set_modes(learner.network)
            batches = _batches(source, order, stage, number, at, config, ranks)
            few = range(min(2, stage.batch))
            replicas.begin(stage, make_batch(source, order.indices(stage, number, 0), few, (config.seed, 5)))
            while True:
                interrupted, at.seconds = _agreed(ranks, stop.asked, time.monotonic() - began)
                progress = _progress(system.stages, config, at)
                stopped = interrupted or (stop_after is not None and at.step - first >= stop_after)
                if stopped or progress >= 1.0:
                    break
                set_rates(learner.optimiser, stage, progress)
                numbers = replicas.gradient(next(batches), stage.batch, at.step, progress)
                _clip_and_step(learner, stage, at.step, numbers)
                at.step, at.stage_step = at.step + 1, at.stage_step + 1
                log.add(numbers, stage)
                if at.step % config.log_every == 0:
                    log.write(at.step, progress, stage.batch)
                if at.step % config.save_every == 0:
                    saved = _save(run, at, about, learner, ranks)
                    log.write_held_out(at.step, held_out_errors(system, learner.average, source, order, config, ranks))
    if saved is None or checkpoint.step_of(saved) != at.step:
        saved = _save(run, at, about, learner, ranks)
    replicas.close()
    if interrupted:
        raise KeyboardInterrupt
    return saved


def held_out_errors(
    system: System, network: nn.Module, source: Source, order: Order, config: TrainConfig, ranks: Ranks
) -> dict[str, float]:
    """Errors of a network on the examples held out, augmented always in the same way; {} where there are none.

    With several data sets each one's are given too, as `NAME/error`.
    """
    parts = [(part.name, indices) for part, indices in zip(order.parts, order.held_out, strict=True) if len(indices)]
    if not parts or ranks.rank != 0:
        return {}
    stage, every, found = system.stages[-1], [], {}
    for name, indices in parts:
        chosen = indices[
            np.linspace(0, len(indices) - 1, min(len(indices), max(_HELD_OUT // len(parts), 1))).astype(int)
        ]
        numbers = []
        for begin in range(0, len(chosen), stage.batch):
            rows = chosen[begin : begin + stage.batch]
            batch = make_batch(source, rows, range(len(rows)), (0, 3, begin)).to(ranks.device)
            now = Moment(0, 1.0, stage, torch.Generator(ranks.device).manual_seed(begin))
            with (
                torch.no_grad(),
                torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.dtype == torch.bfloat16),
            ):
                output = system.forward(network, batch, now)
            with torch.no_grad():
                numbers.append(system.errors(output, batch))
        every += numbers
        if len(parts) > 1:
            found |= {f"{name}/{error}": value for error, value in mean_errors(numbers).items()}
    return mean_errors(every) | found


class _Log:
    """Numbers of some steps, as lines of log.jsonl and to the report; on rank 0 only."""

    def __init__(self, run: Path | None, report: Callable[[dict[str, float]], None], step: int) -> None:
        self._run, self._report = run, report
        self._numbers: list[dict[str, Mean]] = []
        self._since = (time.monotonic(), step)

    def add(self, numbers: dict[str, Mean], stage: Stage) -> None:
        losses = [stage.losses[n.removeprefix("loss/")] * m.value for n, m in numbers.items() if n.startswith("loss/")]
        one = torch.ones((), dtype=torch.float64)
        self._numbers.append(numbers | {"loss": Mean(torch.stack(losses).sum(), one)})

    def write(self, step: int, progress: float, batch: int) -> None:
        now = time.monotonic()
        speed = batch * (step - self._since[1]) / max(now - self._since[0], 1e-9)
        self._line(
            {"step": float(step), "progress": progress, "examples_per_second": speed, **mean_errors(self._numbers)}
        )
        self._numbers, self._since = [], (now, step)

    def write_held_out(self, step: int, errors: dict[str, float]) -> None:
        if errors:
            self._line({"step": float(step), **{f"held_out/{name}": value for name, value in errors.items()}})

    def _line(self, numbers: dict[str, float]) -> None:
        if self._run is None:
            return
        rounded = {name: v if name == "step" else float(f"{v:.5g}") for name, v in numbers.items()}
        with (self._run / "log.jsonl").open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        self._report(rounded)


def _batches(
    source: Source, order: Order, stage: Stage, number: int, at: _Position, config: TrainConfig, ranks: Ranks
) -> Iterator[Maker]:
    """Functions that make the parts of each batch of a stage, from the current step on."""
    seeds = ((config.seed, 2, step) for step in itertools.count(at.step))
    if config.workers:
        ahead = prefetched(source, order, stage, number, at.stage_step, seeds, config.workers, ranks.rank, ranks.count)
        for batch in ahead:
            yield lambda places, batch=batch: batch
        return
    for step, seed in zip(itertools.count(at.stage_step), seeds, strict=False):
        indices = order.indices(stage, number, step)
        yield lambda places, indices=indices, seed=seed: make_batch(source, indices, places, seed)


def _clip_and_step(learner: _Learner, stage: Stage, step: int, numbers: dict[str, Mean]) -> None:
    assert learner.optimiser is not None
    trained = [p for p in learner.network.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(trained, stage.clip or float("inf"))
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient became {norm.item()} at step {step}; lower the rate of {stage.name}")
    learner.optimiser.step()
    update_average(learner.average, learner.network, min(stage.average, (2 + step) / (11 + step)))
    numbers["gradient"] = Mean(norm.double().cpu(), torch.ones((), dtype=torch.float64))


def _progress(stages: Sequence[Stage], config: TrainConfig, at: _Position) -> float:
    """The part of the stage that is done."""
    stage = stages[at.stage]
    if not config.minutes:
        return at.stage_step / stage.steps
    every = sum(s.steps for s in stages)
    before, share = sum(s.steps for s in stages[: at.stage]) / every, stage.steps / every
    return (at.seconds / (60.0 * config.minutes) - before) / share


def _agreed(ranks: Ranks, stop: bool, seconds: float) -> tuple[bool, float]:
    """Whether any process was asked to stop, and the clock of rank 0."""
    if ranks.count == 1:
        return stop, seconds
    summed = ranks.sum(
        torch.tensor([float(stop), seconds * (ranks.rank == 0)], dtype=torch.float64, device=ranks.device)
    )
    return bool(summed[0] > 0), float(summed[1])


def _begin(
    system: System, run: Path, config: TrainConfig, ranks: Ranks, start_from: Path | None, pretrained: bool
) -> tuple[dict[str, Any], _Learner, _Position, Path | None]:
    """What describes the run, the networks, where the run stands, and the checkpoint it resumes from."""
    about = {"system": config.name, "config": to_json(system.config), "run": _run_json(config)}
    at, saved = _Position(), checkpoint.newest(run)
    # The checkpoint is compared too: a process that begins anew would spoil the gradients of the others unnoticed.
    view = json.dumps(about | {"checkpoint": None if saved is None else saved.name})
    require_same(ranks, view, lambda one, other: differences(json.loads(one), json.loads(other)))
    torch.manual_seed(config.seed)
    learner = _new_learner(system, ranks.device, pretrained and saved is None)
    if saved is not None:
        at = _restored(saved, learner, about)
    elif start_from is not None:
        for line in checkpoint.begin_with(learner.network, checkpoint.load(start_from).weights):
            if ranks.rank == 0:
                print(line, file=sys.stderr)
        learner.average.load_state_dict(learner.network.state_dict())
    return about, learner, at, saved


def _new_learner(system: System, device: torch.device, pretrained: bool) -> _Learner:
    network = system.network(pretrained).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = system.network().to(device).eval()
    average.load_state_dict(network.state_dict())
    return _Learner(network, average.requires_grad_(False))


def _run_json(config: TrainConfig) -> dict[str, Any]:
    """What of the run a later session must not change."""
    return {"data": list(config.data), "minutes": config.minutes, "seed": config.seed}


def _save(run: Path, at: _Position, about: dict[str, Any], learner: _Learner, ranks: Ranks) -> Path:
    assert learner.optimiser is not None
    folder = checkpoint.folder_of(run, at.step)
    if ranks.rank == 0:
        state: dict[str, Tensor] = {f"network.{n}": t for n, t in learner.network.state_dict().items()}
        state |= checkpoint.optimiser_tensors(learner.optimiser)
        checkpoint.save(run, at.step, about | {"position": asdict(at)}, learner.average.state_dict(), state)
    ranks.wait()
    return folder


def _restored(folder: Path, learner: _Learner, about: dict[str, Any]) -> _Position:
    saved = checkpoint.load(folder)
    if not saved.state:
        raise ValueError(f"{folder} must hold the optimiser's state to go on but has none; start from it in a new run")
    then = {name: saved.about.get(name) for name in about}
    if lines := differences(then, about):
        more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
        raise ValueError(
            f"{folder.parent} holds a run with other settings: {'; '.join(lines[:5])}{more}; "
            "give the same ones to go on, or another folder"
        )
    network = {n.removeprefix("network."): t for n, t in saved.state.items() if n.startswith("network.")}
    checkpoint.load_weights(learner.network, network)
    checkpoint.load_weights(learner.average, saved.weights)
    try:
        return _Position(**saved.about["position"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder} must say where the run stands but does not ({error}); start a new run") from None
