"""COCO keypoints: one category with 21 keypoints; a video's frames are its images.

Source: the data format page of cocodataset.org. Its keypoints are, as here, at pixel centres that are integers;
its boxes begin at the corner of the first pixel, which is half a pixel before.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.sample import Hand
from knuckle.skeleton import BONES, JOINT_NAMES
from knuckle.version import __version__

_VISIBLE, _OUTSIDE = 2, 1  # COCO's "labelled and visible", and "labelled but not visible"


def _picture(result: PictureResult, target: Target) -> None:
    with atomic_write(target.named(".coco.json")) as unfinished, unfinished.open("w") as file:
        writer = _CocoWriter(file)
        writer.add(result)
        writer.finish()


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    with atomic_write(target.named(".coco.json")) as unfinished, unfinished.open("w") as file:
        writer = _CocoWriter(file)
        yield writer.add
        writer.finish()


class _CocoWriter:
    """Writes the annotations as they come and the images, of which little is to be kept, at the end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._images: list[str] = []
        self._annotations = 0
        category = {
            "id": 1,
            "name": "hand",
            "supercategory": "person",
            "keypoints": list(JOINT_NAMES),
            "skeleton": [[parent + 1, child + 1] for parent, child in BONES],
        }
        info = {"description": "hands", "version": f"knuckle {__version__}"}
        file.write(f'{{"info": {json.dumps(info)},\n"categories": [{json.dumps(category)}],\n"annotations": [')

    def add(self, result: PictureResult) -> None:
        height, width = result.image.shape[:2]
        number = len(self._images) + 1
        image = {"id": number, "file_name": result.name, "width": width, "height": height}
        if result.time is not None:
            image |= {"frame": result.frame, "time": round(result.time, 6)}
        self._images.append(json.dumps(image))
        for hand in result.hands:
            annotation = _annotation(hand, self._annotations + 1, number, width, height)
            self._file.write(("," if self._annotations else "") + "\n" + json.dumps(annotation, allow_nan=False))
            self._annotations += 1

    def finish(self) -> None:
        self._file.write('],\n"images": [\n' + ",\n".join(self._images) + "]}\n")


def _annotation(hand: Hand, number: int, image: int, width: int, height: int) -> dict[str, Any]:
    joints = hand.joints_image
    inside = ((joints > -0.5) & (joints < [width - 0.5, height - 0.5])).all(axis=1)
    flags = np.where(inside, _VISIBLE, _OUTSIDE)
    x0, y0, x1, y1 = hand.box.tolist()
    box = [round(value, 3) for value in (x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0)]
    keypoints = [[round(x, 3), round(y, 3), flag] for (x, y), flag in zip(joints.tolist(), flags.tolist(), strict=True)]
    annotation = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "keypoints": [value for keypoint in keypoints for value in keypoint],
        "num_keypoints": len(keypoints),
        "bbox": box,
        "area": round(box[2] * box[3], 3),
        "iscrowd": 0,
        "score": round(float(hand.score), 4),
        "side": hand.side,
    }
    return annotation if hand.id is None else annotation | {"track_id": hand.id}


COCO = Format(_picture, _video)
