"""`knuckle synth`: renders labelled pictures of hands."""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def synth(
    out: Path,
    *,
    images: Annotated[int | None, Parameter(name=["--images", "-n"])] = None,
    preset: Literal[
        "crop",
        "central",
        "gesture",
        "detector",
        "plain",
        "bare",
        "frontal",
        "held",
        "two-hands",
        "angrender",
        "manorender",
        "motion",
    ] = "crop",
    size: int = 256,
    seed: int = 0,
    workers: int = 2,
    backgrounds: Path | None = None,
    hdri: Path | None = None,
    sheet: bool = False,
    poses: int = 0,
    without: str = "",
) -> int:
    """Render labelled pictures of hands and write them as WebDataset shards.

    Every picture comes with its camera, 21 joints, 23 angles, shape, boxes and masks. The same seed gives the same
    bytes with any number of workers. An interrupted call resumes after the last complete shard when repeated; with
    more images it extends the set.

    Examples:

        knuckle synth pictures --images 10000

        knuckle synth frames -n 5000 --preset detector --size 320 --backgrounds ~/photos --hdri ~/panoramas

        knuckle synth look -n 24 --sheet

        knuckle synth poses --poses 100000

    Parameters
    ----------
    out
        Folder for the shards and manifest.json.
    images
        Number of pictures; 1,000, or the whole set of presets that are sets of a paper.
    preset
        crop: one hand fills the picture, at times with a second beside it; central: the same in the middle of the
        camera's picture; gesture: crop with more finger gestures; detector: whole frames with zero to three hands;
        plain: one bare hand without occluders; frontal: the same from the palm or the back; bare: that of a few
        people's smooth, open hands; held: hands that hold objects; two-hands: the two hands of a person, which touch;
        angrender: bare, upright hands from 2,232 positions of the camera, 71,424 pictures; manorender: 895 poses with
        fingers swapped between them, 64 views of each, 57,280 pictures; motion: clips of 120 frames in which one or two
        hands move, cross and leave the picture.
    size
        Pixels along each side.
    seed
        Random seed.
    workers
        Number of processes.
    backgrounds
        A folder of photographs (without hands in them) for the backgrounds, which are procedural otherwise.
    hdri
        A folder of .hdr panoramas for light and background; light is procedural otherwise.
    sheet
        Also write OUT/sheet.png: the first pictures (at most 64), overlaid with their labels.
    poses
        Instead of pictures this many random hands, a thousand a second: OUT/joints.npy, angles.npy and shape.npy, the
        data set arrays:OUT for `knuckle train ik`. Only --seed counts of the other options.
    without
        Parts of the preset to leave out, to measure what they bring, separated by commas: pairs (hands that touch),
        soft-skin, folds, contact-shadows, mixed-light, lens, sensor, or realism for the last six together.
    """
    if poses:
        return _write_poses(out, poses, seed)
    # Here, so that `knuckle --help` does not wait for OpenCV.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.synth import PRESETS, Settings, write_shards, write_sheet

    if images is None:
        images = PRESETS[preset].images or 1000
    settings = Settings(
        preset,
        size,
        seed,
        None if backgrounds is None else str(backgrounds),
        None if hdri is None else str(hdri),
        tuple(sorted({name.strip() for name in without.split(",")} - {""})),
    )
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    started, first = time.monotonic(), None
    try:
        with Progress(*columns, TimeRemainingColumn(), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("", total=images, rate="")

            def report(done: int) -> None:
                nonlocal first
                first = done if first is None else first
                rate = (done - first) / max(time.monotonic() - started, 1e-3)
                progress.update(task, completed=done, rate=f"{rate:.0f}/s")

            manifest = write_shards(out, settings, images, workers, progress=report)
    except KeyboardInterrupt:
        print(f"stopped; the complete shards in {out} are kept, the same command resumes from there", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    if sheet:
        print(f"{write_sheet(out, settings, min(images, 64))}: the first {min(images, 64)} with their labels")
    print(f"{out}: {manifest['images']} pictures in {len(manifest['shards'])} shards, {seconds:.0f} s")
    return 0


def _write_poses(out: Path, count: int, seed: int) -> int:
    from knuckle.cli.progress import progress_bar
    from knuckle.synth.pose_arrays import write_poses

    with progress_bar() as progress:
        task = progress.add_task("posing", total=count)
        write_poses(out, count, seed, lambda done: progress.update(task, completed=done))
    print(f"{out}: {count} poses; train on them with --data arrays:{out}")
    return 0
