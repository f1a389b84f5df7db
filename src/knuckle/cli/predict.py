"""`knuckle predict`: from pictures and videos to hands."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def predict(
    *sources: str,
    out: Path,
    save: str = "json",
    camera: Path | None = None,
    fov: Annotated[float | None, Parameter(name="--fov")] = None,
    max_hands: int = 4,
    overlay: Literal["skeleton", "mesh"] | None = None,
    show: bool = False,
    model: Path | None = None,
    person: Path | None = None,
    objects: Path | None = None,
    mano: Annotated[list[Path] | None, Parameter(negative="")] = None,
    threads: int = 2,
    workers: int | None = None,
    ray: str | None = None,
    device: Literal["cpu", "cuda", "coreml", "directml"] = "cpu",
) -> int:
    """Find hands in pictures and videos: joints, mesh and angles, in metres, in the camera's frame.

    A picture gives OUT/STEM.json, a video OUT/STEM.jsonl with one line for each frame, a shard a folder of its
    pictures' results. A file that cannot be read is reported in one line and skipped, and of a damaged video what can
    be read is used; the exit status is then 1. Videos need `pip install 'knuckle[video]'`. A run of many files that was
    interrupted goes on when its command is repeated.

    Examples:

        knuckle predict photo.jpg --out hands

        knuckle predict pictures/ "holiday/*.jpg" clip.mp4 --out hands --save json,overlay,glb --fov 65

        knuckle predict clip.mp4 --out hands --save overlay,glb,bvh,csv --overlay mesh

        knuckle predict clip.mp4 --out hands --show

        knuckle predict photo.jpg --out hands --model runs/s3/step-0010000

        knuckle predict clip.mp4 --out hands --person hand.json

        knuckle predict "/shared/pictures/*.jpg" --out /shared/hands --ray auto

        knuckle predict photo.jpg --out hands --save json,overlay,glb --objects objects.onnx
        knuckle predict photo.jpg --out hands --save json,mano --mano MANO_RIGHT.pkl

    Parameters
    ----------
    sources
        Pictures, videos, shards of `knuckle synth` (.tar), folders, or patterns.
    out
        Folder for the results.
    save
        Formats to write, separated by commas. json (of a video jsonl, one line a frame); overlay (.overlay.jpg; of a
        video .overlay.mp4 with its sound); glb (skinned meshes; of a video animated); bvh (an animated skeleton for
        each hand); npz (arrays); csv (one row for each hand and frame); coco (COCO keypoints); mask (PNG for
        each hand of what is visible of it, and of all of it, hidden parts too: the model's where it has them, else the
        mesh's); rrd (for the Rerun viewer; needs `pip install 'knuckle[show]'`); mano (MANO's parameters; needs
        --mano).
    camera
        JSON file with the camera's intrinsics in pixels: fx, fy, cx, cy, or the matrix K.
    fov
        The camera's field of view along the longer side, in degrees. Without --camera and --fov it is taken from EXIF
        data, else 60 degrees are assumed, and distances are estimates.
    max_hands
        Maximum number of hands in a picture.
    overlay
        What overlays show: skeleton, or mesh and skeleton. By default meshes in pictures and skeletons in videos, where
        meshes take longer.
    show
        Also write rrd, and open it in the Rerun viewer: pictures, hands to look at from all sides, angles over time.
    model
        A hand network to use instead of the package's: an .onnx file with a contract, as knuckle export writes it, or a
        checkpoint's folder (which needs knuckle[train]). For a network that cannot tell sides, or whether there is a
        hand, the package's network is run first.
    person
        JSON file with the shape of the one person whose hands are shown, as `knuckle person` writes it: all hands then
        have it, and its size.
    objects
        A network of held objects, an .onnx file or a checkpoint of hand-object, run on each hand that is found: what it
        holds is a box with eight corners, its pose and size, how sure that is, and where the hand's joints touch it.
        Experimental: no such network is in the package. A --model that gives objects needs none.
    mano
        A MANO file of yours, MANO_RIGHT.pkl or MANO_LEFT.pkl; repeat the option for both sides.
    threads
        CPU threads of each network, 512 at most.
    workers
        Processes that share the files; without it and --ray this one does them all.
    ray
        Share the files among the workers of a Ray cluster: local starts one on this machine, auto joins the one this
        machine is part of, HOST:PORT another; needs `pip install 'knuckle[ray]'`. All machines must see the files and
        OUT under the same paths. A worker that dies costs the files it was at, which are done again.
    device
        Where networks run. Others than cpu take an ONNX Runtime that was built for them: onnxruntime-gpu, or
        onnxruntime-directml on Windows, in place of onnxruntime; coreml on a Mac.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import cv2

    from knuckle.cli.options import check_max_hands, check_sources, fov_radians
    from knuckle.cli.progress import FrameBar, progress_bar
    from knuckle.cli.terminal import listed, one_line, quiet_libraries
    from knuckle.cli.viewer import open_viewer, require_viewer
    from knuckle.cli.workers import chosen_workers
    from knuckle.handmodel import HandModel
    from knuckle.models import onnx_file
    from knuckle.predict import Predictor
    from knuckle.predict.cameras import read_camera
    from knuckle.predict.network import check_threads
    from knuckle.predict.parts import PredictorRecipe, predict_sources
    from knuckle.predict.person import read_person
    from knuckle.predict.run import RunOptions
    from knuckle.weights import weights_path

    check_sources(sources)
    check_max_hands(max_hands)
    check_threads(threads)
    who = chosen_workers(workers, ray, cpus=threads)
    if ray is not None and device != "cpu":
        raise ValueError(f"--ray must come with --device cpu but came with {device}; use --workers on one machine")
    cv2.setNumThreads(threads)
    # OpenCV logs every file that it cannot read; the summary reports it once, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    kinds = tuple(kind.strip() for kind in save.split(",") if kind.strip()) + (("rrd",) if show else ())
    if show:
        require_viewer()
    K = None if camera is None else read_camera(camera)
    options = RunOptions(kinds, K, 0.0 if fov is None else fov_radians(fov), max_hands, overlay, tuple(mano or ()))
    shape = None if person is None else read_person(person, HandModel.open())
    with ExitStack() as files:
        hand = files.enter_context(onnx_file(model or weights_path("hand")))
        held = None if objects is None else files.enter_context(onnx_file(objects))
        predictor = Predictor(hand=hand, objects=held, threads=threads, device=device, shape=shape)
        recipe = PredictorRecipe(
            hand.read_bytes(), threads, device, shape, objects=None if held is None else held.read_bytes()
        )
    try:
        with quiet_libraries(), progress_bar() as progress:
            task = progress.add_task("predicting", total=None)
            frames = FrameBar(progress)

            def on_file(done: int) -> None:
                frames.remove()
                progress.update(task, completed=done)

            summary = predict_sources(
                predictor,
                recipe,
                sources,
                out,
                options,
                who,
                on_start=lambda count: progress.update(task, total=count),
                on_file=on_file,
                on_frame=frames.update,
            )
    except KeyboardInterrupt:
        print(f"stopped; what is done in {out} is kept, the same command goes on from there", file=sys.stderr)
        return 130
    for line in summary.problems:
        print(f"knuckle predict: {one_line(line)}", file=sys.stderr)
    print(one_line(f"{summary.line()}, written to {out}"))
    if summary.empty:
        print(one_line(f"no hand in {listed(summary.empty)}"))
    if show and summary.targets:
        open_viewer([target.named(".rrd") for target in summary.targets])
    return 1 if summary.problems else 0
