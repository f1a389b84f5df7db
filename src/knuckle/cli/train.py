"""`knuckle train` and `knuckle export`: from labelled pictures to a checkpoint, and from there to ONNX files."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def train(
    system: str,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    out: Path,
    set: Annotated[list[str] | None, Parameter(negative="")] = None,
    steps: int = 0,
    minutes: float = 0.0,
    batch: int = 0,
    rate: float = 0.0,
    seed: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
    devices: int = 1,
    nodes: int = 1,
    threads: int = 2,
    workers: int = 0,
    precision: Literal["auto", "bfloat16", "float32"] = "auto",
    save_every: int = 500,
    log_every: int = 50,
    from_checkpoint: Path | None = None,
    pretrained: bool = False,
    board: bool = False,
) -> int:
    """Train a system on generated pictures, on data sets, or on both.

    Called again with the same OUT it goes on where it was stopped, with the same results.

    Examples:

        knuckle train shipped --data pictures --out runs/hand --minutes 60

        knuckle train detector --data frames --out runs/detector --steps 6000

        knuckle train shipped --data pictures --data freihand:FreiHAND_pub_v2@0.3 --data weak:photographs:2d@0.2
        --out runs/mixed --set crop.size=96 --set augment.blur=0

        knuckle train shipped --data pictures --out runs/gpus --device cuda --devices 4 --workers 8

    Parameters
    ----------
    system
        shipped: the hand network; detector: the detector.
    data
        A folder of `knuckle synth`, or NAME:ROOT[:SPLIT] with NAME a data set's (freihand, rhd, stb, ho3d-v2, ho3d-v3,
        dexycb, fpha, obman, interhand, ganerated, hop, coco, truth, weak, ...); :2d at its end uses only its labels in
        the picture, @0.3 takes three of ten examples from it. Given several times, all are mixed.
    out
        Folder for checkpoints, the log and what is decoded of the pictures.
    set
        name=value for any entry of the system's configuration, as config.json of a checkpoint shows them.
    steps
        Length of the schedule, over all stages; the system's own where it is 0.
    minutes
        Length of the schedule by the clock instead.
    batch
        Examples a step, over all processes; the system's own where it is 0.
    rate
        Highest learning rate; the system's own where it is 0.
    seed
        Of all randomness.
    device
        cpu or cuda.
    devices
        Processes on each machine, one a GPU.
    nodes
        Machines; the command is started on each (torchrun, Slurm, or MASTER_ADDR and NODE_RANK).
    threads
        On a CPU: as many copies of the network, each with a part of the batch.
    workers
        Processes that make examples ahead, for a GPU.
    precision
        auto: bfloat16 where the hardware multiplies it, else float32.
    save_every
        Steps between checkpoints.
    log_every
        Steps between lines of the log.
    from_checkpoint
        A checkpoint whose weights to begin with, with a schedule of its own.
    pretrained
        Begin with the pretrained backbone of a system that has one; it is fetched.
    board
        Also write TensorBoard's files into OUT (needs the extra "board").
    """
    from knuckle.train.job import TrainJob, run_job

    job = TrainJob(
        system, data, out, set or (), steps, minutes, batch, rate, seed, device, devices, nodes, threads, workers,
        precision, save_every, log_every, from_checkpoint, pretrained, board,
    )  # fmt: skip
    run_job(job)
    return 0


def export(checkpoint: Path, *, out: Path, half: bool = False, int8: str | None = None) -> int:
    """Turn a checkpoint into one ONNX file that says in its metadata how to use it.

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
        A data set, as for `knuckle train`, of which some 500 examples are taken to turn the network into 8-bit
        integers: about twice as fast; joints then move by about half a percent of the crop's side.
    """
    from knuckle.train.job import export_checkpoint

    for path in export_checkpoint(checkpoint, out, half, int8):
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0
