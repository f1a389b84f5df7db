"""What is written of a picture or a video, and what a format of it must be able to do."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from knuckle.fit.to_mano import ManoFitter
from knuckle.handmodel import HandModel
from knuckle.predict.cameras import SourcedCamera
from knuckle.sample import Hand


@dataclass(frozen=True)
class PictureResult:
    """One picture or one frame of a video, the camera it was taken with, and the hands found in it.

    Attributes:
        name: of the file.
        image: (H, W, 3) uint8 RGB.
        camera: of this picture.
        hands: in it.
        frame: number in the video, from 0; None for a picture.
        time: seconds from the beginning of the video; None for a picture.
    """

    name: str
    image: np.ndarray
    camera: SourcedCamera
    hands: Sequence[Hand]
    frame: int | None = None
    time: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as it is written; frame and time of a video only."""
        moment = {} if self.time is None else {"frame": self.frame, "time": round(self.time, 6)}
        return moment | {
            "image": self.name,
            "size": [self.image.shape[1], self.image.shape[0]],
            "camera": self.camera.to_json(),
            "hands": [hand.to_json() for hand in self.hands],
        }


@dataclass(frozen=True)
class Target:
    """Where results go, and what they are drawn and posed with.

    Attributes:
        out: folder and name of the result, without a suffix.
        model: the hand that the results' angles and shapes are of.
        overlay: what overlays show; None: meshes over pictures, skeletons over videos, which must not take long.
        mano: for each side of which there is a MANO file.
    """

    out: Path
    model: HandModel
    overlay: Literal["skeleton", "mesh"] | None = None
    mano: Sequence[ManoFitter] = ()

    def named(self, suffix: str) -> Path:
        """The path of the result with this suffix; `with_suffix` would cut a name that has a dot in it."""
        return self.out.parent / (self.out.name + suffix)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its first frame.

    Attributes:
        path: of the file.
        fps: mean frames per second.
        report: takes one line for each thing that could not be done.
    """

    path: Path
    fps: float
    report: Callable[[str], None] = lambda line: None


AddFrame = Callable[[PictureResult], None]


class Format(NamedTuple):
    """One of the formats of results.

    Attributes:
        picture: writes the result of a picture.
        video: a context that takes the frames of a video in order; its files are whole when it ends, and where it
            ends with an exception there are none.
    """

    picture: Callable[[PictureResult, Target], None]
    video: Callable[[VideoInfo, Target], AbstractContextManager[AddFrame]]


def format_of_frames(written: Callable[[Target], AbstractContextManager[AddFrame]]) -> Format:
    """The format in which a picture is written as a video of one frame.

    Args:
        written: a context that takes the frames in order, as `Format.video`.
    """

    def picture(result: PictureResult, target: Target) -> None:
        with written(target) as add:
            add(result)

    return Format(picture, lambda video, target: written(target))
