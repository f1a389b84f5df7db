"""Predicting one video: frames are read, predicted and written one after the other, so its length takes no memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from knuckle.image.video import DamagedVideo, VideoFrame, open_video
from knuckle.predict.cameras import SourcedCamera, camera_of
from knuckle.predict.output import Format, PictureResult, Target, VideoInfo
from knuckle.predict.predictor import Predictor
from knuckle.predict.video import Frame, VideoPredictor


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
        # Frames whose hands are not known yet.
        waiting: deque[tuple[VideoFrame, SourcedCamera]] = deque()

        def read() -> Iterator[Frame]:
            try:
                for frame in video:
                    camera = camera_of((frame.image.shape[1], frame.image.shape[0]), b"", K, fov)
                    waiting.append((frame, camera))
                    yield Frame(frame.image, camera.camera, frame.time)
            except DamagedVideo as error:
                problems.append(str(error))

        for found in VideoPredictor(predictor, video.fps).over(read(), max_hands):
            frame, camera = waiting.popleft()
            for add in writers:
                add(PictureResult(path.name, frame.image, camera, found, frames, frame.time))
            frames, hands = frames + 1, hands + len(found)
            on_frame(frames, video.expected)
    return VideoSummary(frames, hands, problems)
