"""The hands drawn over what they were found in: a JPEG picture, or a video that browsers play."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.results import draw_hands
from knuckle.view.labels import accent, draw_label


def _picture(result: PictureResult, target: Target) -> None:
    drawn = draw_hands(result.image, result.hands, mesh=target.overlay != "skeleton")
    done, encoded = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        height, width = result.image.shape[:2]
        raise ValueError(f"the overlay of {width} x {height} pixels could not be encoded; shrink the picture")
    with atomic_write(target.named(".overlay.jpg")) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    # Here, so that pictures need no PyAV.
    from knuckle.export.mp4 import mp4_writer

    with mp4_writer(target.named(".overlay.mp4"), video.fps, video.path) as writer:

        def add(result: PictureResult) -> None:
            assert result.time is not None
            drawn = draw_hands(result.image, result.hands, mesh=target.overlay == "mesh")
            for hand in result.hands:
                number = 0 if hand.id is None else hand.id
                drawn = draw_label(drawn, hand.box, f"{number} {hand.side} {hand.score:.2f}", accent(number))
            writer.add(drawn, result.time)

        yield add
    if writer.sound_problem:
        video.report(writer.sound_problem)


OVERLAY = Format(_picture, _video)
