"""Predicting one video: frames are read, predicted and written one after the other, so its length takes no memory."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from knuckle.image.video import DamagedVideo, open_video
from knuckle.predict.cameras import camera_of
from knuckle.predict.output import Format, PictureResult, Target, VideoInfo
from knuckle.predict.predictor import Predictor
from knuckle.predict.video import VideoPredictor


class VideoSummary(NamedTuple):
    """What was found in a video, and one line for each thing that could not be read or written."""

    frames: int
    hands: int
    problems: list[str]


def predict_video(
    predictor: Predictor,
    path: Path,
    target: Target,
    formats: Sequence[Format],
    K: np.ndarray | None = None,
    fov: float = 0.0,
    max_hands: int = 4,
    on_frame: Callable[[int, int | None], None] = lambda done, expected: None,
) -> VideoSummary:
    """Writes all formats of a video; where one fails, or the run is interrupted, no unfinished file is left.

    Args:
        predictor: finds the hands.
        path: of the video. Of a damaged one, what can be read is written.
        target: where to write.
        formats: what to write.
        K: intrinsics of the camera, or None.
        fov: its field of view in radians instead, 0 for none.
        max_hands: maximum in one frame.
        on_frame: called after each frame, with their number and the expected one, if that is known.

    Raises:
        PictureError: the file is no video, or has no frames.
    """
    frames = hands = 0
    problems: list[str] = []
    with open_video(path) as video, ExitStack() as stack:
        info = VideoInfo(path, video.fps, problems.append)
        writers = [stack.enter_context(format.video(info, target)) for format in formats]
        tracker = VideoPredictor(predictor, video.fps)
        begin = 0.0
        try:
            for frame in video:
                size = (frame.image.shape[1], frame.image.shape[0])
                camera = camera_of(size, b"", K, fov)
                # The tracker's clock stands at 0 before the first frame.
                begin = frame.time - 1 / video.fps if frames == 0 else begin
                found = tracker(frame.image, camera.camera, max_hands, time=frame.time - begin)
                for add in writers:
                    add(PictureResult(path.name, frame.image, camera, found, frames, frame.time))
                frames, hands = frames + 1, hands + len(found)
                on_frame(frames, video.expected)
        except DamagedVideo as error:
            problems.append(str(error))
    return VideoSummary(frames, hands, problems)
