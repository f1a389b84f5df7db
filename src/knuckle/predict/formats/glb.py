"""A skinned mesh for each hand; in a video each has an animation, in the frames' times. Without hands, no file.

Of a picture also the boxes of held objects, with the points where hands touch them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from knuckle.export.glb import Box, write_glb
from knuckle.predict.formats.recording import HandRecording
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.results import boxes_of


def _picture(result: PictureResult, target: Target) -> None:
    recording = HandRecording()
    recording.add(result)
    _write(recording, target, boxes_of(result.hands))


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
