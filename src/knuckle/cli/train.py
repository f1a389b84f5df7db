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

    Called again with the same OUT, it resumes where it was stopped, with the same results.

    Examples:

        knuckle train shipped --data pictures --out runs/hand --minutes 60

        knuckle train detector --data frames --out runs/detector --steps 6000

        knuckle train shipped --data pictures --data freihand:FreiHAND_pub_v2@0.3 --data weak:photographs:2d@0.2
        --out runs/mixed --set crop.size=96 --set augment.blur=0

        knuckle train shipped --data pictures --out runs/gpus --device cuda --devices 4 --workers 8

    Parameters
    ----------
    system
        shipped: the hand network; detector: the detector; biomechanical, biomechanical-small: depth from 2D labels;
        joint-groups, joint-groups-small: joints in learned groups; lite-mesh, lite-mesh-small: a mesh from heatmaps;
        object-aware, object-aware-small: masks, poses and a latent space that knows the held object; hand-object,
        hand-object-small: the hand and its object's box;
        ik: angles from joints, on poses alone.
    data
        A folder of `knuckle synth`, or NAME:ROOT[:SPLIT] with NAME a data set's (freihand, rhd, stb, ho3d-v2, ho3d-v3,
        dexycb, fpha, obman, interhand, ganerated, hop, coco, truth, weak, ...); :2d at its end uses only its labels in
        the picture, @0.3 makes it three tenths of each batch. Repeat the option to mix data sets.
    out
        Folder for checkpoints, the log and the cache of decoded pictures.
    set
        name=value, for any entry of the system's configuration; a checkpoint's config.json lists them.
    steps
        Number of steps of all stages together; the system's own if 0.
    minutes
        Duration of all stages together instead, in minutes.
    batch
        Batch size, over all processes; the system's own if 0.
    rate
        Peak learning rate; the system's own if 0.
    seed
        Random seed.
    device
        cpu or cuda.
    devices
        Processes on each machine; one for each GPU.
    nodes
        Machines; start the command on each (torchrun, Slurm, or MASTER_ADDR and NODE_RANK).
    threads
        On a CPU: copies of the network, each on a thread and a part of the batch.
    workers
        Processes that prepare examples in advance, for a GPU.
    precision
        auto: bfloat16 where the hardware has instructions for it, else float32.
    save_every
        Steps between checkpoints.
    log_every
        Steps between lines of the log.
    from_checkpoint
        A checkpoint whose weights to start from, with a new schedule.
    pretrained
        Start from the pretrained backbone of a system that has one; it is downloaded.
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


def export(checkpoint: Path, *, out: Path | None = None, half: bool = False, int8: str | None = None) -> int:
    """Turn a checkpoint into an ONNX file with a contract: metadata that describe its inputs and outputs.

    Examples:

        knuckle export runs/hand

        knuckle export runs/hand/step-0010000 --out hand.onnx --int8 pictures

    Parameters
    ----------
    checkpoint
        A folder step-... that `knuckle train` wrote; of the folder of a whole run, the last of them.
    out
        The file to write, ending in .onnx; if not given, step-....onnx beside the checkpoint.
    half
        Store the weights as float16, in half the space; joints then move by some hundredths of a pixel.
    int8
        Quantise to 8-bit integers, with ranges from some 500 examples of this data set (as --data of `knuckle train`):
        about twice as fast; joints then move by about half a percent of the crop's side.
    """
    from knuckle.train.checkpoint import checkpoint_of
    from knuckle.train.job import export_checkpoint

    folder = checkpoint_of(checkpoint)
    if folder != checkpoint:
        print(f"the last checkpoint of {checkpoint} is {folder}")
    for path in export_checkpoint(folder, out or folder.with_name(f"{folder.name}.onnx"), half, int8):
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0
