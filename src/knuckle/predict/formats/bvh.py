"""A skeleton for each hand, in a file of its own: the format has one skeleton and one frame rate.

All files of a video begin with its first frame, so that they fit together: a hand rests in its first pose until it is
seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from knuckle.export.bvh import write_bvh
from knuckle.export.skinned_mesh import resampled
from knuckle.predict.formats.recording import HandRecording
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo


def _picture(result: PictureResult, target: Target) -> None:
    recording = HandRecording()
    recording.add(result)
    _write(recording, target, 30.0)


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    recording = HandRecording()
    yield recording.add
    _write(recording, target, video.fps)


def _write(recording: HandRecording, target: Target, stated_fps: float) -> None:
    fps = recording.fps(stated_fps)
    for hand in recording.hands(target.model):
        write_bvh(target.named(f".hand-{hand.id}.bvh"), hand.mesh, resampled(hand.motion, fps, recording.begin))


BVH = Format(_picture, _video)
