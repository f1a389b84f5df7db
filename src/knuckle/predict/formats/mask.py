"""Masks of hands: two PNG for each hand in a picture; of a video an archive, one PNG for each hand in each frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from zipfile import ZipFile, ZipInfo

import cv2
import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.masks import hand_masks
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo

# Bits of a pixel.
VISIBLE, COMPLETE = 1, 2


def mask_bytes(result: PictureResult, target: Target) -> list[np.ndarray]:
    """For each hand (H, W) uint8: bit 1 where it is visible, bit 2 where it is, whatever is in front of it."""
    height, width = result.image.shape[:2]
    found = []
    for masks in hand_masks(result.hands, target.model, (width, height)):
        packed = np.zeros((height, width), np.uint8)
        for mask, bit in ((masks.visible, VISIBLE), (masks.complete, COMPLETE)):
            if mask is not None:
                packed |= bit * mask.astype(np.uint8)
        found.append(packed)
    return found


def _encoded(pixels: np.ndarray) -> bytes:
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"the mask of {pixels.shape[1]} x {pixels.shape[0]} pixels could not be encoded")
    return encoded.tobytes()


def _picture(result: PictureResult, target: Target) -> None:
    """STEM.hand-0.visible.png and STEM.hand-0.complete.png of the first hand in the JSON, and so on; 255: hand."""
    for number, packed in enumerate(mask_bytes(result, target)):
        for name, bit in (("visible", VISIBLE), ("complete", COMPLETE)):
            pixels = np.where(packed & bit, np.uint8(255), np.uint8(0))
            with atomic_write(target.named(f".hand-{number}.{name}.png")) as unfinished:
                unfinished.write_bytes(_encoded(pixels))


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    """STEM.masks.zip with FRAME-ID.png for each hand in each frame: bit 1 of a pixel is visible, bit 2 complete."""
    with atomic_write(target.named(".masks.zip")) as unfinished, ZipFile(unfinished, "w") as archive:

        def add(result: PictureResult) -> None:
            for hand, packed in zip(result.hands, mask_bytes(result, target), strict=True):
                # PNG is compressed already. An entry has no date: the same masks are the same bytes.
                archive.writestr(ZipInfo(f"{result.frame:06d}-{hand.id or 0}.png"), _encoded(packed))

        yield add


MASK = Format(_picture, _video)
