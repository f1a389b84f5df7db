"""The hands drawn over what they were found in: a JPEG picture, or a video that browsers play."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np

from knuckle.files import atomic_write
from knuckle.handmodel import HandModel
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.sample import Hand
from knuckle.view.bones import draw_box, draw_skeleton
from knuckle.view.labels import accent, draw_label
from knuckle.view.mesh import overlay_mesh


def draw_hands(image: np.ndarray, hands: Sequence[Hand], model: HandModel, mesh: bool = True) -> np.ndarray:
    """A copy of the picture with the hands' skeletons and held objects' boxes, the nearest hand last.

    Args:
        image: (H, W, 3) uint8 RGB.
        hands: found in it.
        model: that their meshes are of.
        mesh: also the meshes, below the skeletons.
    """
    for hand in sorted(hands, key=lambda h: -h.joints_camera[:, 2].mean()):
        if mesh and hand.vertices_camera is not None:
            faces = np.asarray(model.faces_of(hand.side)).astype(np.int64)
            image = overlay_mesh(image, hand.vertices_camera, faces, hand.camera, alpha=0.45)
        image = draw_skeleton(image, hand.joints_image)
        if hand.object is not None and hand.object.corners_camera is not None:
            image = draw_box(image, hand.camera.project(hand.object.corners_camera))
    return image


def _picture(result: PictureResult, target: Target) -> None:
    drawn = draw_hands(result.image, result.hands, target.model, target.overlay != "skeleton")
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
            drawn = draw_hands(result.image, result.hands, target.model, target.overlay == "mesh")
            for hand in result.hands:
                number = 0 if hand.id is None else hand.id
                drawn = draw_label(drawn, hand.box, f"{number} {hand.side} {hand.score:.2f}", accent(number))
            writer.add(drawn, result.time)

        yield add
    if writer.sound_problem:
        video.report(writer.sound_problem)


OVERLAY = Format(_picture, _video)
