"""Masks of hands: of a picture two PNG for each hand, of a video one compressed .npz."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.masks import hand_masks
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo

# The bits of a pixel's byte; eight hands would take more than a byte of two bits each.
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


def _picture(result: PictureResult, target: Target) -> None:
    """STEM.mask-1.visible.png and STEM.mask-1.complete.png of the first hand in the JSON, and so on; 255 on the hand."""
    for number, packed in enumerate(mask_bytes(result, target), start=1):
        for name, bit in (("visible", VISIBLE), ("complete", COMPLETE)):
            done, encoded = cv2.imencode(".png", np.where(packed & bit, np.uint8(255), np.uint8(0)))
            if not done:
                raise ValueError(f"the mask of {packed.shape[1]} x {packed.shape[0]} pixels could not be encoded")
            with atomic_write(target.named(f".mask-{number}.{name}.png")) as unfinished:
                unfinished.write_bytes(encoded.tobytes())


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    """One PNG for each hand in each frame, STEM.masks/FRAME-ID.png: bit 1 of a pixel is visible, bit 2 complete."""
    folder = target.named(".masks")
    folder.mkdir(parents=True, exist_ok=True)

    def add(result: PictureResult) -> None:
        for hand, packed in zip(result.hands, mask_bytes(result, target), strict=True):
            done, encoded = cv2.imencode(".png", packed)
            if not done:
                raise ValueError(f"the mask of {packed.shape[1]} x {packed.shape[0]} pixels could not be encoded")
            with atomic_write(folder / f"{result.frame:06d}-{hand.id or 0}.png") as unfinished:
                unfinished.write_bytes(encoded.tobytes())

    yield add


MASK = Format(_picture, _video)
