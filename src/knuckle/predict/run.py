"""Predicting lists of files: results are written beside each other; a file that fails does not stop the others."""

import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.files import number_array, remove_leftovers
from knuckle.fit.to_mano import ManoFitter
from knuckle.handmodel import HandModel
from knuckle.image.read import PictureError, decode_picture, picture_bytes
from knuckle.predict.cameras import SourcedCamera, camera_of
from knuckle.predict.formats import FORMATS
from knuckle.predict.output import Format, PictureResult, Target
from knuckle.predict.predictor import Predictor
from knuckle.predict.sources import SHARDS, VIDEOS, stems

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of a label, that can name a file
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
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

    def count(self, path: Path, pictures: int, hands: int) -> None:
        """Counts a file whose result was written."""
        self.pictures += pictures
        self.hands += hands
        if pictures and not hands:
            self.empty.append(str(path))

    def add(self, other: "RunSummary") -> None:
        """Adds the files of another run."""
        self.pictures += other.pictures
        self.hands += other.hands
        self.problems += other.problems
        self.targets += other.targets
        self.empty += other.empty

    def line(self) -> str:
        """The counts in words."""
        trouble = f", {_counted(len(self.problems), 'problem')}" if self.problems else ""
        return f"{_counted(self.hands, 'hand')} in {_counted(self.pictures, 'picture')}{trouble}"


def mano_fitters(options: RunOptions, model: HandModel) -> list[ManoFitter]:
    """What "mano" in `save` takes, of each of the options' MANO files.

    Raises:
        ValueError, OSError: a file is none of MANO's, or cannot be read.
    """
    return [ManoFitter.of(HandModel.load(file), model) for file in options.mano]


def predict_files(
    predictor: Predictor,
    files: Sequence[Path],
    out: Path,
    options: RunOptions,
    on_file: Callable[[Path], None] = lambda path: None,
    on_frame: OnFrame = lambda path, done, expected: None,
) -> RunSummary:
    """Predicts every file that can be read and writes `out/<stem>.json` (`.jsonl` for a video) and the other formats.

    A shard of `knuckle synth` has a folder of its own, `out/<stem>/`, with the results of each of its pictures.

    Args:
        predictor: finds the hands.
        files: pictures, videos and shards.
        out: the folder for results.
        options: what to write.
        on_file: called after each file.
        on_frame: called after each frame of a video.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    summary = RunSummary()
    fitters = mano_fitters(options, predictor.model)
    for path, stem in zip(files, stems(list(files)), strict=True):
        target = Target(out / stem, predictor.model, options.overlay, fitters)
        summary.add(predict_file(predictor, path, target, options, on_frame))
        on_file(path)
    return summary


def predict_file(
    predictor: Predictor,
    path: Path,
    target: Target,
    options: RunOptions,
    on_frame: OnFrame = lambda path, done, expected: None,
) -> RunSummary:
    """Predicts one file and writes its results; where it cannot be read or written that is a problem of the summary.

    Args:
        predictor: finds the hands.
        path: of a picture, a video or a shard.
        target: where to write.
        options: what to write.
        on_frame: called after each frame of a video.

    Raises:
        OSError: the disk is full, which other files would find too.
    """
    summary = RunSummary()
    try:
        if path.suffix.lower() in SHARDS:
            _predict_shard(predictor, path, target, options, summary, partial(on_frame, path))
            return summary
        if path.suffix.lower() in VIDEOS:
            _predict_video(predictor, path, target, options, summary, partial(on_frame, path))
        else:
            _predict_picture(predictor, path, target, options, summary)
        summary.targets.append(target)
    except (PictureError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        line = " ".join(str(error).split())
        summary.problems.append(line if line.startswith(str(path)) else f"{path}: {line}")
    return summary


def _predict_picture(
    predictor: Predictor, path: Path, target: Target, options: RunOptions, summary: RunSummary
) -> None:
    data = picture_bytes(path)
    image = decode_picture(data)
    camera = camera_of((image.shape[1], image.shape[0]), data, options.K, options.fov)
    _write_picture(predictor, path, path.name, image, camera, target, options, summary)


def _write_picture(
    predictor: Predictor,
    path: Path,
    name: str,
    image: np.ndarray,
    camera: SourcedCamera,
    target: Target,
    options: RunOptions,
    summary: RunSummary,
) -> None:
    hands = predictor(image, camera.camera, options.max_hands, check_channels=False)
    result = PictureResult(name, image, camera, hands)
    for format in options.formats:
        format.picture(result, target)
    # What could not be written is no result.
    summary.count(path, 1, len(hands))


def _predict_shard(
    predictor: Predictor,
    path: Path,
    target: Target,
    options: RunOptions,
    summary: RunSummary,
    on_frame: Callable[[int, int | None], None],
) -> None:
    """Each picture's results are in a folder named after the shard, and named after the picture's label."""
    # Here, as most people have none.
    from knuckle.datasets.shards import read_pictures

    remove_leftovers(target.out)
    for number, picture in enumerate(read_pictures(path, masks=False)):
        label = picture.label
        size = (picture.image.shape[1], picture.image.shape[0])
        # The labels know the camera.
        K = (
            options.K
            if options.K is not None or options.fov
            else number_array(label.get("K"), f"K of a label of {path}")
        )
        name = str(label.get("id"))
        name = name if _NAME.fullmatch(name) else f"{number:06d}"
        inside = replace(target, out=target.out / name)
        camera = camera_of(size, b"", K, options.fov)
        name = f"{name}.jpg"
        _write_picture(predictor, path / name, name, picture.image, camera, inside, options, summary)
        on_frame(number + 1, None)


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
    summary.count(path, frames, hands)
    summary.problems += [f"{path}: {problem}" for problem in problems]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
