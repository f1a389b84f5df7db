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
    threads: int = 2,
) -> int:
    """Find the hands in pictures and videos: joints, mesh, angles, in metres and in the camera's frame.

    A picture gives OUT/STEM.json, a video OUT/STEM.jsonl with one line a frame. What cannot be read is named in
    one line and passed over; the exit status is then 1.

    Examples:

        knuckle predict photo.jpg --out hands

        knuckle predict pictures/ "holiday/*.jpg" clip.mp4 --out hands --save json,overlay,glb --fov 65

        knuckle predict photo.jpg --out hands --model runs/s3/step-0010000

    Parameters
    ----------
    sources
        Pictures, folders of them, patterns, or videos.
    out
        Folder for the results.
    save
        What to write, with commas: json, overlay, glb, npz.
    camera
        JSON file with the camera's fx, fy, cx, cy in pixels, or its matrix as K.
    fov
        The camera's angle of view along the longer side, in degrees, where nothing better is known. Without either,
        EXIF is asked, and then 60 degrees are assumed; distances are estimates then.
    max_hands
        In one picture.
    model
        Another hand network than the package's: an .onnx file of knuckle export, or a checkpoint's folder (with
        knuckle[train]). Where it cannot say the side or needs a good crop, the package's looks first.
    threads
        For each network.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import cv2

    from knuckle.cli.progress import progress_bar
    from knuckle.models import onnx_file
    from knuckle.predict import Predictor
    from knuckle.predict.cameras import read_camera
    from knuckle.predict.run import RunOptions, predict_sources
    from knuckle.weights import weights_path

    cv2.setNumThreads(threads)
    # OpenCV tells of every file it stumbles over; the summary does so once, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    kinds = tuple(kind.strip() for kind in save.split(",") if kind.strip())
    options = RunOptions(kinds, None if camera is None else read_camera(camera), math.radians(fov), max_hands)
    with onnx_file(model or weights_path("hand")) as file:
        predictor = Predictor(hand=file, threads=threads)
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
