"""JSON: one object for a picture, one line for each frame of a video."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo


def _picture(result: PictureResult, target: Target) -> None:
    with atomic_write(target.named(".json")) as unfinished:
        unfinished.write_text(_line(result))


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    with atomic_write(target.named(".jsonl")) as unfinished, unfinished.open("w") as lines:

        def add(result: PictureResult) -> None:
            lines.write(_line(result))

        yield add


def _line(result: PictureResult) -> str:
    return json.dumps(result.to_json(), allow_nan=False) + "\n"


LINES = Format(_picture, _video)
