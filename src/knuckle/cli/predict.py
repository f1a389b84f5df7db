"""`knuckle predict`: from pictures and videos to hands."""

import math
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def predict(
    *sources: str,
    out: Path,
    save: str = "json",
    camera: Path | None = None,
    fov: Annotated[float, Parameter(name="--fov")] = 0.0,
    max_hands: int = 4,
    overlay: Literal["skeleton", "mesh"] | None = None,
    show: bool = False,
    model: Path | None = None,
    person: Path | None = None,
    threads: int = 2,
    device: Literal["cpu", "cuda", "coreml", "directml"] = "cpu",
) -> int:
    """Find hands in pictures and videos: joints, mesh and angles, in metres, in the camera's frame.

    A picture gives OUT/STEM.json, a video OUT/STEM.jsonl with one line for each frame. A file that cannot be read is
    reported in one line and skipped, and of a damaged video what can be read is used; the exit status is then 1. Videos
    need `pip install 'knuckle[video]'`.

    Examples:

        knuckle predict photo.jpg --out hands

        knuckle predict pictures/ "holiday/*.jpg" clip.mp4 --out hands --save json,overlay,glb --fov 65

        knuckle predict clip.mp4 --out hands --save overlay,glb,bvh,csv --overlay mesh

        knuckle predict clip.mp4 --out hands --show

        knuckle predict photo.jpg --out hands --model runs/s3/step-0010000

        knuckle predict clip.mp4 --out hands --person hand.json

    Parameters
    ----------
    sources
        Pictures, videos, folders, or patterns.
    out
        Folder for the results.
    save
        Formats to write, separated by commas. json (of a video jsonl, one line a frame); overlay (.overlay.jpg; of a
        video .overlay.mp4 with its sound); glb (skinned meshes; of a video animated); bvh (an animated skeleton for
        each hand); npz (arrays); csv (one row for each hand and frame); coco (COCO keypoints); mask (PNG for
        each hand of what is visible of it, and of all of it, hidden parts too: the model's where it has them, else the
        mesh's); rrd (for the Rerun viewer; needs `pip install 'knuckle[show]'`).
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
    threads
        CPU threads of each network, 512 at most.
    device
        Where networks run. Others than cpu take an ONNX Runtime that was built for them: onnxruntime-gpu, or
        onnxruntime-directml on Windows, in place of onnxruntime; coreml on a Mac.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import cv2

    from knuckle.cli.progress import FrameBar, progress_bar
    from knuckle.cli.terminal import one_line, quiet_libraries
    from knuckle.cli.viewer import open_viewer, require_viewer
    from knuckle.handmodel import HandModel
    from knuckle.models import onnx_file
    from knuckle.predict import Predictor
    from knuckle.predict.cameras import read_camera
    from knuckle.predict.network import check_threads
    from knuckle.predict.person import read_person
    from knuckle.predict.run import RunOptions, predict_sources
    from knuckle.weights import weights_path

    check_threads(threads)
    cv2.setNumThreads(threads)
    # OpenCV logs every file that it cannot read; the summary reports it once, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    kinds = tuple(kind.strip() for kind in save.split(",") if kind.strip()) + (("rrd",) if show else ())
    if show:
        require_viewer()
    K = None if camera is None else read_camera(camera)
    options = RunOptions(kinds, K, math.radians(fov), max_hands, overlay)
    shape = None if person is None else read_person(person, HandModel.open())
    with onnx_file(model or weights_path("hand")) as file:
        predictor = Predictor(hand=file, threads=threads, device=device, shape=shape)
    with quiet_libraries(), progress_bar() as progress:
        task = progress.add_task("predicting", total=None)
        frames = FrameBar(progress)

        def on_file() -> None:
            frames.remove()
            progress.advance(task)

        summary = predict_sources(
            predictor,
            sources,
            out,
            options,
            on_start=lambda count: progress.update(task, total=count),
            on_file=on_file,
            on_frame=frames.update,
        )
    for line in summary.problems:
        print(f"knuckle predict: {one_line(line)}", file=sys.stderr)
    print(one_line(f"{summary.line()}, written to {out}"))
    if show and summary.targets:
        open_viewer([target.named(".rrd") for target in summary.targets])
    return 1 if summary.problems or not sources else 0
