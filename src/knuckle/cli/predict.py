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
    threads: int = 2,
) -> int:
    """Find the hands in pictures and videos: joints, mesh, angles, in metres and in the camera's frame.

    A picture gives OUT/STEM.json, a video OUT/STEM.jsonl with one line a frame. What cannot be read is named in
    one line and passed over; the exit status is then 1.

    Examples:

        knuckle predict photo.jpg --out hands

        knuckle predict pictures/ "holiday/*.jpg" clip.mp4 --out hands --save json,overlay,glb --fov 65

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
    threads
        For the networks.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import cv2
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.predict import Predictor
    from knuckle.predict.cameras import read_camera
    from knuckle.predict.run import RunOptions, predict_files
    from knuckle.predict.sources import expand

    cv2.setNumThreads(threads)
    # OpenCV tells of every file it stumbles over; the summary does so once, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        kinds = tuple(kind.strip() for kind in save.split(",") if kind.strip())
        K = None if camera is None else read_camera(camera)
        options = RunOptions(kinds, K, math.radians(fov), max_hands)
    except ValueError as error:
        print(f"knuckle predict: {error}", file=sys.stderr)
        return 2
    files, problems = expand(list(sources))
    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=len(files))
        summary = predict_files(
            Predictor(threads=threads), files, out, options, on_file=lambda path: progress.advance(task)
        )
    problems += summary.problems
    for line in problems:
        print(f"knuckle predict: {line}", file=sys.stderr)
    trouble = f", {len(problems)} of the sources could not be used" if problems else ""
    print(f"{summary.hands} hands in {summary.pictures} pictures, written to {out}{trouble}")
    return 1 if problems or not files else 0
