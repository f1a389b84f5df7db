"""Training runs and exports by name: data sets, folders and a few numbers."""

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch

from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.systems import open_system
from knuckle.systems.config import from_json, to_json
from knuckle.systems.system import Source, Stage, System
from knuckle.train import checkpoint
from knuckle.train.export import export_onnx, open_checkpoint
from knuckle.train.loop import TrainConfig, train
from knuckle.train.precision import Precision, choose_precision
from knuckle.train.quantise import network_inputs, quantise_onnx
from knuckle.train.ranks import Ranks, first_then_others, join_ranks
from knuckle.train.terminal import TerminalLog

# Read at most for the ranges of 8-bit integers, for which some 500 examples are enough.
_MAX_THREADS = 512  # more than any processor computes at once
_CALIBRATION_PICTURES = 1000


@dataclass(frozen=True)
class TrainJob:
    """What to train, on what, and where.

    Attributes:
        system: a name in knuckle.systems.SYSTEMS.
        data: data sets as knuckle.datasets.sets reads them.
        out: folder for checkpoints, the log, and what is decoded of the data.
        settings: entries of the system's configuration, `name=value`.
        steps: of all stages together, each in proportion to its own; 0 takes the stages' own.
        minutes: by the clock instead.
        batch, rate: of every stage, in place of its own; the rates of a stage keep their ratios. 0 takes the stage's.
        seed: of all randomness.
        device, devices, nodes: see `knuckle.train.ranks.join_ranks`.
        threads: of each process on a CPU.
        workers: processes that make examples ahead for a GPU, of each process.
        precision: "auto" is bfloat16 where the hardware has it.
        save_every, log_every: steps.
        from_checkpoint: whose weights to begin with.
        pretrained: begin with a backbone's pretrained weights.
        board: write TensorBoard's files.
    """

    system: str
    data: Sequence[str]
    out: Path
    settings: Sequence[str] = ()
    steps: int = 0
    minutes: float = 0.0
    batch: int = 0
    rate: float = 0.0
    seed: int = 0
    device: str = "cpu"
    devices: int = 1
    nodes: int = 1
    threads: int = 2
    workers: int = 0
    precision: Precision = "auto"
    save_every: int = 500
    log_every: int = 50
    from_checkpoint: Path | None = None
    pretrained: bool = False
    board: bool = False


def run_job(job: TrainJob) -> Path:
    """Trains, or goes on where a job of the same folder was stopped; the last checkpoint.

    Raises:
        ValueError: the job asks for what does not exist, or the folder holds a run with other settings.
        KeyboardInterrupt: interrupted; a checkpoint has been written.
    """
    _check_numbers(job)
    specs = [parse_spec(text) for text in job.data]
    if not specs:
        raise ValueError("data must name a data set at least, such as a folder of `knuckle synth`, but names none")
    system = with_lengths(open_system(job.system, settings=list(job.settings)), job)
    ranks = join_ranks(job.device, job.devices, job.nodes)
    try:
        last = _trained(system, [DataSet(spec) for spec in specs], job, ranks)
    finally:
        ranks.close()
    return last


def _trained(system: System, sets: Sequence[DataSet], job: TrainJob, ranks: Ranks) -> Path:
    # Examples are made on threads already.
    cv2.setNumThreads(1)
    dtype = choose_precision(ranks.device, job.precision)
    if ranks.rank == 0:
        print(_opening(job, ranks, dtype), file=sys.stderr)
    source = _source(system, sets, job.out / "records", ranks)
    config = TrainConfig(
        name=job.system,
        data=tuple(f"{s.spec.text}@{s.spec.share:g}" if s.spec.share else s.spec.text for s in sets),
        minutes=job.minutes,
        seed=job.seed,
        threads=job.threads,
        workers=job.workers,
        dtype=dtype,
        log_every=job.log_every,
        save_every=job.save_every,
    )
    board = job.out if job.board and ranks.rank == 0 else None
    try:
        last = train(
            system,
            source,
            job.out,
            config,
            ranks=ranks,
            start_from=job.from_checkpoint,
            pretrained=job.pretrained,
            report=TerminalLog(board),
        )
    except KeyboardInterrupt:
        if ranks.rank == 0 and (kept := checkpoint.newest(job.out)):
            print(f"the last checkpoint is {kept}; the same command goes on from there", file=sys.stderr)
        if ranks.rank != 0:
            # Fabric kills the first process where another ends with any other status, before it has said this.
            raise SystemExit(0) from None
        raise
    if ranks.rank == 0:
        print(f"trained; the checkpoint is {last}")
    return last


def with_lengths(system: System, job: TrainJob) -> System:
    """The system with the job's steps, batch and rate in its stages: its configuration says how it is trained."""
    every = sum(stage.steps for stage in system.stages)
    stages = tuple(_stage(stage, job, every) for stage in system.stages)
    if stages == tuple(system.stages):
        return system
    changed = from_json(system.config, to_json(replace(system.config, stages=stages)))
    return type(system)(changed)  # pyright: ignore[reportCallIssue]


def export_checkpoint(folder: Path, out: Path, half: bool = False, int8: str | None = None) -> list[Path]:
    """Writes the graphs of a checkpoint: the main one as `out`, others beside it as `out-NAME.onnx`.

    Args:
        half: hold the weights as float16.
        int8: a data set from which to take the ranges of 8-bit integers.

    Returns:
        The files.
    """
    if half and int8:
        raise ValueError("half and int8 are two ways to hold the weights but got both; give one of them")
    if out.suffix != ".onnx":
        raise ValueError(f"out must end in .onnx but got {out}")
    system, network = open_checkpoint(folder)
    graphs = system.graphs(network)
    paths = [out, *(out.with_name(f"{out.stem}-{name}.onnx") for name in list(graphs)[1:])]
    if int8 is None:
        for graph, path in zip(graphs.values(), paths, strict=True):
            export_onnx(graph, path, half)
        return paths
    with tempfile.TemporaryDirectory(prefix="knuckle-") as temporary:
        work = Path(temporary)
        data = DataSet(parse_spec(int8), limit=_CALIBRATION_PICTURES)
        source = system.source([data], work / "records", lambda name, count: None)
        for graph, path in zip(graphs.values(), paths, strict=True):
            export_onnx(graph, work / "float.onnx")
            quantise_onnx(work / "float.onnx", graph, network_inputs(graph, source), path)
    return paths


def _check_numbers(job: TrainJob) -> None:
    """Before anything is decoded for an hour."""
    minima = dict.fromkeys(("steps", "minutes", "batch", "rate", "seed", "workers"), 0)
    for name, minimum in (minima | dict.fromkeys(("threads", "save_every", "log_every"), 1)).items():
        value = getattr(job, name)
        if not minimum <= value < math.inf:
            raise ValueError(f"{name} must be {minimum} or more, and finite, but got {value}")
    for name in ("threads", "workers"):
        if getattr(job, name) > _MAX_THREADS:
            raise ValueError(f"{name} must be at most {_MAX_THREADS} but got {getattr(job, name)}")


def _stage(stage: Stage, job: TrainJob, every: int) -> Stage:
    highest = max(stage.rates.values())
    factor = job.rate / highest if job.rate and highest else 1.0
    return replace(
        stage,
        steps=max(1, round(stage.steps * job.steps / every)) if job.steps else stage.steps,
        batch=job.batch or stage.batch,
        rates={prefix: rate * factor for prefix, rate in stage.rates.items()},
    )


def _source(system: System, sets: Sequence[DataSet], cache: Path, ranks: Ranks) -> Source:
    """The source; rank 0 fills the cache, and the other ranks read it."""
    last = [time.monotonic()]

    def advance(name: str, count: int) -> None:
        if time.monotonic() - last[0] > 5:
            last[0] = time.monotonic()
            print(f"caching {name}: {count} so far", file=sys.stderr)

    return first_then_others(ranks, lambda: system.source(sets, cache, advance))


def _opening(job: TrainJob, ranks: Ranks, dtype: torch.dtype) -> str:
    """One line on what will compute, and how."""
    where = f"{ranks.count} processes on {job.device}" if ranks.count > 1 else job.device
    if ranks.device.type == "cuda":
        where += f" ({torch.cuda.get_device_name(ranks.device)})"
    kind = str(dtype).removeprefix("torch.")
    reason = (
        ""
        if job.precision != "auto"
        else ", which the hardware multiplies"
        if kind == "bfloat16"
        else (", as the hardware has no bfloat16")
    )
    return f"training {job.system} on {where} in {kind}{reason}"
