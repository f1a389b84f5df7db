"""`knuckle predict`: from pictures and videos to hands."""

import math
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def predict(
    *sources: str,
    out: Path,
    save: str = "json",
    camera: Path | None = None,
    fov: Annotated[float, Parameter(name="--fov")] = 0.0,
    max_hands: int = 4,
    model: Path | None = None,
    person: Path | None = None,
    threads: int = 2,
) -> int:
    """Find hands in pictures and videos: joints, mesh and angles, in metres, in the camera's frame.

    A picture gives OUT/STEM.json, a video OUT/STEM.jsonl with one line for each frame. A file that cannot be read is
    reported in one line and skipped; the exit status is then 1.

    Examples:

        knuckle predict photo.jpg --out hands

        knuckle predict pictures/ "holiday/*.jpg" clip.mp4 --out hands --save json,overlay,glb --fov 65

        knuckle predict photo.jpg --out hands --model runs/s3/step-0010000

        knuckle predict clip.mp4 --out hands --person hand.json

    Parameters
    ----------
    sources
        Pictures, videos, folders, or patterns.
    out
        Folder for the results.
    save
        Formats to write, separated by commas: json, overlay, glb, npz.
    camera
        JSON file with the camera's intrinsics in pixels: fx, fy, cx, cy, or the matrix K.
    fov
        The camera's field of view along the longer side, in degrees. Without --camera and --fov it is taken from EXIF
        data, else 60 degrees are assumed, and distances are estimates.
    max_hands
        Maximum number of hands in a picture.
    model
        A hand network to use instead of the package's: an .onnx file with a contract, as knuckle export writes it, or a
        checkpoint's folder (which needs knuckle[train]). For a network that cannot tell sides, or whether there is a
        hand, the package's network is run first.
    person
        JSON file with the shape of the one person whose hands are shown, as `knuckle person` writes it: all hands then
        have it, and its size.
    threads
        CPU threads of each network.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import cv2

    from knuckle.cli.progress import progress_bar
    from knuckle.handmodel import HandModel
    from knuckle.models import onnx_file
    from knuckle.predict import Predictor
    from knuckle.predict.cameras import read_camera
    from knuckle.predict.person import read_person
    from knuckle.predict.run import RunOptions, predict_sources
    from knuckle.weights import weights_path

    cv2.setNumThreads(threads)
    # OpenCV logs every file that it cannot read; the summary reports it once, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    kinds = tuple(kind.strip() for kind in save.split(",") if kind.strip())
    options = RunOptions(kinds, None if camera is None else read_camera(camera), math.radians(fov), max_hands)
    shape = None if person is None else read_person(person, HandModel.open())
    with onnx_file(model or weights_path("hand")) as file:
        predictor = Predictor(hand=file, threads=threads, shape=shape)
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=None)
        summary = predict_sources(
            predictor,
            sources,
            out,
            options,
            on_start=lambda count: progress.update(task, total=count),
            on_file=lambda: progress.advance(task),
        )
    for line in summary.problems:
        print(f"knuckle predict: {line}", file=sys.stderr)
    print(f"{summary.line()}, written to {out}")
    return 1 if summary.problems or not sources else 0
