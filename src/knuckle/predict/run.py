"""Predicting lists of files: results are written beside each other; a file that fails does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.files import remove_leftovers
from knuckle.fit.to_mano import ManoFitter
from knuckle.handmodel import HandModel
from knuckle.image.read import PictureError, decode_picture, picture_bytes
from knuckle.predict.cameras import camera_of
from knuckle.predict.formats import FORMATS
from knuckle.predict.output import Format, PictureResult, Target
from knuckle.predict.predictor import Predictor
from knuckle.predict.sources import VIDEOS, expand, stems

# Takes the path of a video, the number of frames that are done, and the expected number or None.
OnFrame = Callable[[Path, int, int | None], None]


@dataclass(frozen=True)
class RunOptions:
    """What to write, with which camera, and how many hands.

    Attributes:
        save: names of `FORMATS`.
        K: intrinsics of the camera of all files, or None.
        fov: its field of view in radians instead, 0 for none.
        max_hands: maximum in one picture.
        overlay: what overlays show; None: meshes over pictures, skeletons over videos.
        mano: MANO files that "mano" in `save` takes, one for each side.
    """

    save: Sequence[str] = ("json",)
    K: np.ndarray | None = None
    fov: float = 0.0
    max_hands: int = 4
    overlay: Literal["skeleton", "mesh"] | None = None
    mano: Sequence[Path] = ()

    def __post_init__(self) -> None:
        unknown = set(self.save) - set(FORMATS)
        if unknown:
            raise ValueError(f"save must be among {', '.join(FORMATS)} but got {', '.join(sorted(unknown))}")
        if self.overlay is not None and "overlay" not in self.save:
            raise ValueError(f"overlay is {self.overlay} but no overlay is to be written; add overlay to save")
        if bool(self.mano) != ("mano" in self.save):
            have, lack = ("--mano FILE", "mano in save") if self.mano else ("mano in save", "--mano FILE")
            raise ValueError(f"{have} must come with {lack} but came without; give both")

    @property
    def formats(self) -> list[Format]:
        """What to write, each once: json and jsonl are two names of one format."""
        return list(dict.fromkeys(format for name, format in FORMATS.items() if name in self.save))


@dataclass
class RunSummary:
    """The result of a run: the number of pictures (or frames) and of hands in them, and one line for each problem.

    Attributes:
        targets: of the files that have a result.
        empty: names of the pictures and videos in which no hand was found.
    """

    pictures: int = 0
    hands: int = 0
    problems: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def add(self, path: Path, pictures: int, hands: int) -> None:
        """Counts a file whose result was written."""
        self.pictures += pictures
        self.hands += hands
        if pictures and not hands:
            self.empty.append(str(path))

    def line(self) -> str:
        """The counts in words."""
        trouble = f", {len(self.problems)} problems" if self.problems else ""
        return f"{self.hands} hands in {self.pictures} pictures{trouble}"


def predict_sources(
    predictor: Predictor,
    sources: Sequence[str],
    out: Path,
    options: RunOptions,
    on_start: Callable[[int], None] = lambda count: None,
    on_file: Callable[[], None] = lambda: None,
    on_frame: OnFrame = lambda path, done, expected: None,
) -> RunSummary:
    """Like predict_files, for files, folders, patterns and videos; a source that matches no file is a problem.

    Args:
        predictor: finds the hands.
        sources: as typed.
        out: the folder for results.
        options: what to write.
        on_start: called with the number of files.
        on_file: called after each file.
        on_frame: called after each frame of a video.
    """
    files, problems = expand(list(sources))
    on_start(len(files))
    summary = predict_files(predictor, files, out, options, lambda path: on_file(), on_frame)
    summary.problems[:0] = problems
    return summary


def predict_files(
    predictor: Predictor,
    files: Sequence[Path],
    out: Path,
    options: RunOptions,
    on_file: Callable[[Path], None] = lambda path: None,
    on_frame: OnFrame = lambda path, done, expected: None,
) -> RunSummary:
    """Predicts every file that can be read and writes `out/<stem>.json` (`.jsonl` for a video) and the other formats.

    Args:
        predictor: finds the hands.
        files: pictures and videos.
        out: the folder for results.
        options: what to write.
        on_file: called after each file.
        on_frame: called after each frame of a video.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    summary = RunSummary()
    fitters = [ManoFitter.of(HandModel.load(file), predictor.model) for file in options.mano]
    for path, stem in zip(files, stems(list(files)), strict=True):
        target = Target(out / stem, predictor.model, options.overlay, fitters)
        try:
            if path.suffix.lower() in VIDEOS:
                _predict_video(predictor, path, target, options, summary, partial(on_frame, path))
            else:
                _predict_picture(predictor, path, target, options, summary)
            summary.targets.append(target)
        except (PictureError, OSError, ValueError) as error:
            line = " ".join(str(error).split())
            summary.problems.append(line if line.startswith(str(path)) else f"{path}: {line}")
        on_file(path)
    return summary


def _predict_picture(
    predictor: Predictor, path: Path, target: Target, options: RunOptions, summary: RunSummary
) -> None:
    data = picture_bytes(path)
    image = decode_picture(data)
    camera = camera_of((image.shape[1], image.shape[0]), data, options.K, options.fov)
    result = PictureResult(
        path.name, image, camera, predictor(image, camera.camera, options.max_hands, check_channels=False)
    )
    for format in options.formats:
        format.picture(result, target)
    # What could not be written is no result.
    summary.add(path, 1, len(result.hands))


def _predict_video(
    predictor: Predictor,
    path: Path,
    target: Target,
    options: RunOptions,
    summary: RunSummary,
    on_frame: Callable[[int, int | None], None],
) -> None:
    try:
        # Here, as PyAV is an extra.
        from knuckle.predict.run_video import predict_video
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise PictureError("is a video, which takes PyAV; install it with `pip install 'knuckle[video]'`") from None
    frames, hands, problems = predict_video(
        predictor, path, target, options.formats, options.K, options.fov, options.max_hands, on_frame
    )
    summary.add(path, frames, hands)
    summary.problems += [f"{path}: {problem}" for problem in problems]
