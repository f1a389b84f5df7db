"""RHD v2: rendered people, both hands labelled (Zimmermann & Brox, ICCV 2017)."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, entry, read_picture, require
from knuckle.datasets.reader import Reader
from knuckle.files import load_pickle
from knuckle.sample import Sample
from knuckle.skeleton import to_common

_SIZE = (320, 320)
# Values of the mask: 0 background, 1 the person, 2-17 the left hand's parts, 18-33 the right's.
_PARTS = {"left": (2, 17), "right": (18, 33)}


class Rhd(Reader):
    """RHD's training or evaluation split.

    Args:
        root: the folder that holds training/ and evaluation/ (RHD_published_v2).
        split: "training" or "evaluation".
        images: read pictures and masks.
        hand: which hand of a picture: "mask" the one with more mask pixels, as in the authors' code (the mask is then
            read for the labels too); "visible" the one with more visible joints, as in other code, which differs on
            some pictures; "left", "right"; or "both", two samples per picture.
    """

    source = "rhd"
    training_split = "training"
    layout = (
        "  training/color/00000.png training/mask/00000.png training/anno_training.pickle\n"
        "  evaluation/color/00000.png evaluation/mask/00000.png evaluation/anno_evaluation.pickle"
    )

    def __init__(self, root: Path | str, split: str = "evaluation", images: bool = True, hand: str = "mask"):
        super().__init__(root, choice("split", split, ("training", "evaluation")), images)
        self.hand = choice("hand", hand, ("mask", "visible", "left", "right", "both"))
        self._path = self.root / split / f"anno_{split}.pickle"
        self._records = load_pickle(require(self._path, self.layout))
        if not isinstance(self._records, dict) or not self._records:
            raise BrokenDataset(f"{self._path} must be a dict by picture number; is it another data set's file?")
        self._numbers = sorted(self._records)
        self.official_count = {"training": 41258, "evaluation": 2728}[split] * (2 if hand == "both" else 1)

    def __len__(self) -> int:
        return len(self._numbers) * (2 if self.hand == "both" else 1)

    def _number(self, index: int) -> int:
        return self._numbers[index // 2 if self.hand == "both" else index]

    def _file(self, kind: str, index: int) -> Path:
        return self.root / self.split / kind / f"{self._number(index):05d}.png"

    def picture(self, index: int) -> Path:
        return self._file("color", index)

    def _mask(self, index: int) -> np.ndarray:
        return read_picture(self._file("mask", index), self.layout, grey=True)

    def _side(self, index: int, visible: np.ndarray) -> Literal["left", "right"]:
        if self.hand == "left" or self.hand == "right":
            return self.hand
        if self.hand == "both":
            return "right" if index % 2 else "left"
        if self.hand == "visible":
            return "left" if visible[:21].sum() > visible[21:].sum() else "right"
        mask = self._mask(index)
        left, right = ((low <= mask) & (mask <= high) for low, high in _PARTS.values())
        return "left" if left.sum() > right.sum() else "right"

    def labels(self, index: int) -> Sample:
        number = self._number(index)
        record = self._records[number]
        uv_vis = entry(record, "uv_vis", (42, 3), self._path)
        side = self._side(index, uv_vis[:, 2])
        rows = slice(0, 21) if side == "left" else slice(21, 42)
        joints = entry(record, "xyz", (42, 3), self._path)[rows]
        return Sample(
            camera=Camera(entry(record, "K", (3, 3), self._path), _SIZE),
            side=side,
            joints_camera=to_common(joints, "rhd"),
            joints_image=to_common(uv_vis[rows, :2], "rhd"),
            visibility=to_common(uv_vis[rows, 2], "rhd", axis=-1) == 1,
            source=self.source,
            id=f"{number:05d}" + (f":{side}" if self.hand == "both" else ""),
        )

    def with_images(self, index: int, sample: Sample) -> Sample:
        low, high = _PARTS[sample.side or "left"]
        mask = self._mask(index)
        return replace(super().with_images(index, sample), mask_visible=(low <= mask) & (mask <= high))
