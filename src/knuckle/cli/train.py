"""`knuckle train` and `knuckle export`: from labelled pictures to a checkpoint, and from there to an ONNX file."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def train(
    system: Literal["shipped", "detector"],
    *,
    data: Annotated[list[Path], Parameter(negative="")],
    out: Path,
    steps: int = 10000,
    minutes: float = 0.0,
    batch: int = 64,
    rate: float = 2e-3,
    size: int = 0,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 2,
    save_every: int = 500,
    from_checkpoint: Path | None = None,
    board: bool = False,
) -> int:
    """Train a system on generated pictures.

    Called again with the same OUT it goes on where it was stopped, with the same results.

    Examples:

        knuckle train shipped --data pictures --out runs/hand --minutes 60

        knuckle train detector --data frames --out runs/detector --steps 6000

    Parameters
    ----------
    system
        shipped: the hand network; detector: the detector.
    data
        Folders with the shards of `knuckle synth`.
    out
        Folder for checkpoints, the log and what is kept of the pictures.
    steps
        Length of the schedule.
    minutes
        Length of the schedule by the clock instead.
    batch
        Examples a step.
    rate
        Highest learning rate.
    size
        Side of the network's input in pixels; 0 for the usual one.
    seed
        Of all randomness.
    device
        cpu or cuda.
    threads
        On a CPU: as many copies of the network, each with a part of the batch.
    save_every
        Steps between checkpoints.
    from_checkpoint
        A checkpoint whose weights to begin with, with a schedule of its own.
    board
        Also write TensorBoard's files into OUT (needs the extra "board").
    """
    import cv2

    from knuckle.systems.choose import choose_system
    from knuckle.train.checkpoint import checkpoints
    from knuckle.train.loop import TrainConfig
    from knuckle.train.loop import train as run_training
    from knuckle.train.records import join_records, labelled_pictures, open_records, records_folder, write_records
    from knuckle.train.report import Report

    # The examples are made on threads already.
    cv2.setNumThreads(1)
    chosen = choose_system(system, {"size": size} if size else {})
    folders = []
    for folder in data:
        records = records_folder(out / "records", chosen, folder)
        if not records.exists():
            print(f"keeping what {system} needs of {folder}", file=sys.stderr)
            write_records(records, chosen, labelled_pictures(folder))
        folders.append(records)
    config = TrainConfig(
        steps=steps, minutes=minutes, batch=batch, rate=rate, seed=seed, device=device, threads=threads,
        save_every=save_every,
    )  # fmt: skip
    report = Report(out if board else None)
    records = join_records([open_records(f) for f in folders])
    try:
        last = run_training(chosen, records, out, config, from_checkpoint, report)
    except KeyboardInterrupt:
        if kept := checkpoints(out):
            print(f"the last checkpoint is {kept[-1]}; the same command goes on from there", file=sys.stderr)
        raise
    print(f"trained; the checkpoint is {last}")
    return 0


def export(checkpoint: Path, *, out: Path, half: bool = False, int8: Path | None = None) -> int:
    """Turn a checkpoint into one ONNX file, from uint8 pixels to joints or boxes.

    Examples:

        knuckle export runs/hand/step-0010000 --out hand.onnx

        knuckle export runs/hand/step-0010000 --out hand.onnx --int8 pictures

    Parameters
    ----------
    checkpoint
        A folder step-... that `knuckle train` left.
    out
        The file to write, ending in .onnx.
    half
        Keep the weights as float16, in half the space; joints then move by some hundredths of a pixel.
    int8
        A folder of knuckle synth, of whose pictures some 500 are taken to turn the network into 8-bit integers: about
        twice as fast; joints then move by about half a percent of the crop's side.
    """
    if half and int8:
        raise ValueError("half and int8 are two ways to hold the weights but got both; give one of them")

    from knuckle.systems.choose import choose_system
    from knuckle.train.checkpoint import load
    from knuckle.train.export import export_onnx, trained_network
    from knuckle.train.quantise import network_inputs, quantise_onnx
    from knuckle.train.records import labelled_pictures

    about = load(checkpoint).about
    system = choose_system(about["system"], about["config"])
    network = trained_network(system, checkpoint)
    if int8:
        pictures = network_inputs(system, labelled_pictures(int8))
        with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
            export_onnx(system, network, Path(folder) / "float.onnx")
            quantise_onnx(Path(folder) / "float.onnx", pictures, out)
    else:
        export_onnx(system, network, out, half)
    print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0
