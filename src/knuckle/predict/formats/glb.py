"""A skinned mesh for each hand; in a video each has an animation, in the frames' times. Without hands, no file.

Of a picture also the boxes of held objects, with the points where hands touch them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from knuckle.export.glb import Box, write_glb
from knuckle.predict.formats.recording import HandRecording
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo


def _picture(result: PictureResult, target: Target) -> None:
    recording = HandRecording()
    recording.add(result)
    held = [hand.object for hand in result.hands if hand.object is not None]
    boxes = [Box(o.corners_camera, np.reshape(list(o.contacts_camera.values()), (-1, 3))) for o in held]
    _write(recording, target, boxes)


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    recording = HandRecording()
    yield recording.add
    _write(recording, target)


def _write(recording: HandRecording, target: Target, boxes: Sequence[Box] = ()) -> None:
    hands = [(hand.mesh, hand.motion) for hand in recording.hands(target.model)]
    if hands:
        write_glb(target.named(".glb"), hands, boxes)


GLB = Format(_picture, _video)
