"""Masks of hands: two PNG for each hand in a picture, one for each hand in each frame of a video."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def _write(pixels: np.ndarray, path: Path) -> None:
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"the mask of {pixels.shape[1]} x {pixels.shape[0]} pixels could not be encoded")
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


def _picture(result: PictureResult, target: Target) -> None:
    """STEM.hand-0.visible.png and STEM.hand-0.complete.png of the first hand in the JSON, and so on; 255: hand."""
    for number, packed in enumerate(mask_bytes(result, target)):
        for name, bit in (("visible", VISIBLE), ("complete", COMPLETE)):
            pixels = np.where(packed & bit, np.uint8(255), np.uint8(0))
            _write(pixels, target.named(f".hand-{number}.{name}.png"))


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    """STEM.masks/FRAME-ID.png for each hand in each frame: bit 1 of a pixel is visible, bit 2 complete."""
    folder = target.named(".masks")
    folder.mkdir(parents=True, exist_ok=True)

    def add(result: PictureResult) -> None:
        for hand, packed in zip(result.hands, mask_bytes(result, target), strict=True):
            _write(packed, folder / f"{result.frame:06d}-{hand.id or 0}.png")

    yield add


MASK = Format(_picture, _video)
