"""Photographs with 2D joints and no more: weak supervision, such as another network's predictions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.datasets.layout import BrokenDataset, choice, entry, read_json, records_of
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample

_PICTURE_KEYS = ("image", "size", "group", "hands")


class WeakLabels(Reader):
    """A list of pictures with 2D hands in labels.json; a sample per hand, none for a picture without hands.

    Each picture: "image" (path below the root), "size" ([width, height]), "group" (to hold out together, see
    Reader.group), "hands". Each hand: "box" (x0, y0, x1, y1) or "joints_image" (21 x 2, common order; null for an
    unlabelled joint) or both, in pixels with centres at integers, and where known "side" and "score" (0 to 1, the
    confidence of the labels). A hand with a box only is in the picture but has no joint labels.

    Args:
        root: the folder that holds labels.json.
        split: "all", all there is.
        images: read pictures.
    """

    source = "weak"
    training_split = "all"
    layout = (
        '  labels.json    [{"image": "day1/0001.jpg", "size": [480, 360], "group": "day1", "hands": [\n'
        '                   {"box": [x0, y0, x1, y1], "side": "left", "score": 0.9, "joints_image": 21x2}, ...]}]\n'
        "  day1/0001.jpg ..."
    )

    def __init__(self, root: Path | str, split: str = "all", images: bool = True):
        super().__init__(root, choice("split", split, ("all",)), images)
        self._path = self.root / "labels.json"
        pictures = read_json(self._path, self.layout)
        if not isinstance(pictures, list):
            raise BrokenDataset(f"{self._path} must be a list of pictures but is not; see\n{self.layout}")
        self._hands: list[tuple[dict[str, Any], dict[str, Any], str]] = []
        seen: set[str] = set()
        for number, picture in enumerate(pictures):
            with records_of(self._path):
                self._check(number, picture)
                name = Path(picture["image"]).with_suffix("").as_posix()
            if name in seen:
                raise BrokenDataset(
                    f"{self._path} must list every picture once, whatever its suffix, but has {name!r} twice"
                )
            seen.add(name)
            hands = picture["hands"]
            # An id names the hand only where its picture has several.
            self._hands += [(picture, h, name if len(hands) == 1 else f"{name}:{k}") for k, h in enumerate(hands)]

    def _check(self, number: int, picture: Any) -> None:
        missing = [k for k in _PICTURE_KEYS if k not in picture] if isinstance(picture, dict) else _PICTURE_KEYS
        if missing:
            raise BrokenDataset(f"{self._path}, picture {number}, must have {', '.join(missing)}; see\n{self.layout}")
        if not isinstance(picture["size"], list) or len(picture["size"]) != 2:
            raise BrokenDataset(
                f"{self._path}: 'size' of {picture['image']} must be [width, height] but got {picture['size']!r}"
            )
        for hand in picture["hands"]:
            if hand.get("box") is None and hand.get("joints_image") is None:
                raise BrokenDataset(
                    f"{self._path}: a hand of {picture['image']} must have 'box' or 'joints_image' but has "
                    f"{', '.join(hand) or 'nothing'}; see\n{self.layout}"
                )
            if hand.get("side") not in ("left", "right", None):
                raise BrokenDataset(
                    f"{self._path}: 'side' of {picture['image']} must be left or right but got {hand['side']!r}"
                )

    def __len__(self) -> int:
        return len(self._hands)

    def picture(self, index: int) -> Path:
        return self.root / self._hands[index][0]["image"]

    def group(self, index: int) -> str:
        return str(self._hands[index][0]["group"])

    def score(self, index: int) -> float | None:
        """Confidence of the joint labels of sample `index`.

        Args:
            index: a sample.

        Returns:
            0 to 1, None where the file has no score.
        """
        score = self._hands[index][1].get("score")
        return None if score is None else float(score)

    def labels(self, index: int) -> Sample:
        _, hand, name = self._hands[index]

        def array(key: str, shape: tuple[int, ...]) -> np.ndarray | None:
            return None if hand.get(key) is None else entry(hand, key, shape, self._path)

        return Sample(
            side=hand.get("side"),
            joints_image=array("joints_image", (21, 2)),
            box=array("box", (4,)),
            source=self.source,
            id=name,
        )

    def with_images(self, index: int, sample: Sample) -> Sample:
        sample = super().with_images(index, sample)
        assert sample.image is not None
        size, found = np.array(self._hands[index][0]["size"], float), np.array(sample.image.shape[1::-1])
        scale = found / size
        if abs(scale[0] / scale[1] - 1) > 0.02:
            raise BrokenDataset(
                f"{self.picture(index)} must have the shape of {tuple(size.astype(int))} pixels (width, height) that "
                f"{self._path.name} measures its labels in but is {tuple(found)}; take the picture that was labelled"
            )
        if (found == size).all():
            return sample

        # The same picture in another resolution; pixel centres are at integers.
        def scaled(points: np.ndarray) -> np.ndarray:
            return ((points.reshape(-1, 2) + 0.5) * scale - 0.5).reshape(points.shape)

        changed = {n: scaled(v) for n in ("joints_image", "box") if (v := getattr(sample, n)) is not None}
        return replace(sample, **changed)
