"""`knuckle synth`: renders labelled pictures of hands."""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def synth(
    out: str | Path,  # a URL as a Path would lose a slash
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
        "people",
        "grasp",
        "hop",
    ] = "crop",
    size: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    ray: str | None = None,
    backgrounds: Path | None = None,
    hdri: Path | None = None,
    objects: Path | None = None,
    sheet: bool = False,
    poses: int = 0,
    without: str = "",
    renderer: Literal["opengl", "traced"] = "opengl",
    samples: int | None = None,
) -> int:
    """Render labelled pictures of hands and write them as WebDataset shards.

    Every picture comes with its camera, 21 joints, 23 angles, shape, boxes and masks. The same seed gives the same
    bytes with any number of workers, on one machine or many. An interrupted call resumes after the last complete shard
    when repeated; with more images it extends the set.

    Examples:

        knuckle synth pictures --images 10000

        knuckle synth frames -n 5000 --preset detector --size 320 --backgrounds ~/photos --hdri ~/panoramas

        knuckle synth look -n 24 --sheet

        knuckle synth poses --poses 100000

        knuckle synth s3://bucket/pictures -n 1000000 --ray auto

    Parameters
    ----------
    out
        Folder for the shards and manifest.json; or a URL that fsspec knows, as s3://bucket/pictures, which takes `pip
        install 'knuckle[remote]'` and the package of that kind (s3fs, gcsfs, ...).
    images
        Number of pictures; 1,000, or the whole set of presets that are sets of a paper.
    preset
        crop: one hand fills the picture, at times with a second beside it; central: the same in the middle of the
        camera's picture; gesture: crop with more finger gestures; detector: whole frames with zero to three hands;
        plain: one bare hand without occluders; frontal: the same from the palm or the back; bare: that of a few
        people's smooth, open hands; held: hands that hold objects; two-hands: the two hands of a person, which touch;
        angrender: bare, upright hands from 2,232 positions of the camera, 71,424 pictures; manorender: 895 poses with
        fingers swapped between them, 64 views of each, 57,280 pictures; motion: clips of 120 frames in which one or two
        hands move, cross and leave the picture; people: whole people, with hands at the face, on a table, at a phone
        and so on; grasp: sequences of 60 frames in which a hand comes near an object, closes on it and holds it; hop:
        such sequences as HOP has them, ten subjects with thirty objects of four categories before 600 backgrounds,
        11,820 pictures, the last 800 for testing.
    size
        Pixels along each side; 256, and where the preset has a size of its own that: hop 320, motion 480.
    seed
        Random seed.
    workers
        Number of processes; 2, or with --ray as many as the cluster has CPUs.
    ray
        Render on a Ray cluster: local starts one on this machine, auto joins the one this machine is part of, HOST:PORT
        another; needs `pip install 'knuckle[ray]'`. This machine writes the shards, the others render: a worker that
        dies costs its shard, which is rendered again.
    backgrounds
        A folder of photographs (without hands in them) for the backgrounds, which are procedural otherwise.
    hdri
        A folder of .hdr panoramas for light and background; light is procedural otherwise.
    objects
        For the preset grasp: a folder of closed meshes in metres (.obj, .ply, .glb, .stl) to hold instead of the
        objects that come with knuckle; takes `pip install 'knuckle[datasets]'`.
    sheet
        Also write OUT/sheet.png: the first pictures (at most 64), overlaid with their labels.
    poses
        Instead of pictures this many random hands, a thousand a second: OUT/joints.npy, angles.npy and shape.npy, the
        data set arrays:OUT for `knuckle train ik`. Only --seed counts of the other options.
    without
        Parts of the preset to leave out, to measure what they bring, separated by commas: people, pairs (hands that
        touch), random-poses (all but named poses and their fingers swapped), poses (every angle by itself, anywhere
        within its limits), soft-skin, folds, contact-shadows, mixed-light, lens, sensor, or realism for the last six
        together.
    renderer
        opengl, or traced: the same scenes, labels and masks, path-traced, which takes a hundred times as long; needs
        `pip install 'knuckle[traced]'`.
    samples
        Paths a pixel of traced pictures; 32.
    """
    if poses:
        return _write_poses(Path(out), poses, seed)
    # Here, so that `knuckle --help` does not wait for OpenCV.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.cli.workers import chosen_workers
    from knuckle.synth import PRESETS, Settings, write_shards, write_sheet
    from knuckle.synth.traced import SAMPLES

    if images is None:
        images = PRESETS[preset].images or 1000
    scenery, light, held = (None if folder is None else str(folder) for folder in (backgrounds, hdri, objects))
    left_out = tuple(sorted({name.strip() for name in without.split(",")} - {""}))
    if samples is not None and renderer != "traced":
        raise ValueError(f"samples can be given with --renderer traced but the renderer is {renderer}; leave it out")
    settings = Settings(
        preset=preset,
        size=PRESETS[preset].size if size is None else size,
        seed=seed,
        backgrounds=scenery,
        hdri=light,
        objects=held,
        without=left_out,
        renderer=renderer,
        samples=SAMPLES if samples is None else samples,
    )
    who = chosen_workers(workers, ray, default=2)
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

            manifest = write_shards(out, settings, images, who, progress=report)
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
