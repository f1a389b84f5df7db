"""HOP (SynGraspHand): rendered hands around everyday objects (Gao et al., RA-L 2019)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, read_picture, require
from knuckle.datasets.matlab import read_mat
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample
from knuckle.skeleton import to_common

_SIZE = (320, 320)
CATEGORIES = {"1": "cylinder", "2": "bar", "3": "cube", "4": "sphere"}
# The variables of annotation.mat are undocumented; these are those of RHD, on which the set is modelled.
KEYS: Mapping[str, str] = MappingProxyType({"uv": "uv_vis", "xyz": "xyz", "K": "K"})


class Hop(Reader):
    """HOP, all of it or its last 800 pictures as the test split.

    Args:
        root: the folder that holds color/, mask_hand/, mask_object/ and annotation.mat.
        split: "all", "train" or "test" (the last `test_count` pictures by name).
        images: read pictures and masks.
        keys: names of the variables in annotation.mat: "uv" (N, 21, 2 or 3), "xyz" (N, 21, 3) in metres, "K" (N, 3, 3)
            or (3, 3). They are undocumented; where they differ, the error lists the file's variables.
        order: the joints' order, a key of skeleton.ORDERS.
        side: the hand's side.
        test_count: pictures of the test split; 800 in the paper.
    """

    source = "hop"
    training_split = "train"
    layout = (
        "  color/*.png              the second character of a name is the object's category\n"
        "  mask_hand/*.png mask_object/*.png\n"
        "  annotation.mat"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "test",
        images: bool = True,
        keys: Mapping[str, str] = KEYS,
        order: str = "rhd",
        side: str = "right",
        test_count: int = 800,
    ):
        super().__init__(root, choice("split", split, ("all", "train", "test")), images)
        self._side = choice("side", side, ("left", "right"))
        pictures = sorted(
            p for p in require(self.root / "color", self.layout).iterdir() if p.suffix in (".png", ".jpg")
        )
        path = self.root / "annotation.mat"
        stored = read_mat(require(path, self.layout), (keys["uv"], keys["xyz"], keys["K"]))
        n = len(pictures)
        uv = _first_axis(stored[keys["uv"]], n, path, keys["uv"])
        xyz = _first_axis(stored[keys["xyz"]], n, path, keys["xyz"]).reshape(n, 21, 3)
        K = stored[keys["K"]].astype(np.float64)
        K = np.broadcast_to(K, (n, 3, 3)) if K.shape == (3, 3) else _first_axis(K, n, path, keys["K"]).reshape(n, 3, 3)
        rows = {"all": slice(None), "train": slice(0, max(0, n - test_count)), "test": slice(max(0, n - test_count), n)}
        self._pictures = pictures[rows[split]]
        self._uv = np.asarray(to_common(uv.reshape(n, 21, -1), order))[rows[split]]
        self._xyz = np.asarray(to_common(xyz, order))[rows[split]]
        self._K = K[rows[split]]
        self.official_count = {"all": 11820, "train": 11020, "test": 800}[split]

    def __len__(self) -> int:
        return len(self._pictures)

    def picture(self, index: int) -> Path:
        return self._pictures[index]

    def labels(self, index: int) -> Sample:
        picture = self._pictures[index]
        uv = self._uv[index]
        return Sample(
            camera=Camera(self._K[index], _SIZE),
            side="left" if self._side == "left" else "right",
            joints_camera=self._xyz[index],
            joints_image=np.ascontiguousarray(uv[:, :2]),
            visibility=uv[:, 2] == 1 if uv.shape[1] > 2 else None,
            object_category=CATEGORIES.get(picture.name[1:2]),
            source=self.source,
            id=picture.stem,
        )

    def with_images(self, index: int, sample: Sample) -> Sample:
        sample = super().with_images(index, sample)
        masks = {}
        for field, folder in (("mask_complete", "mask_hand"), ("object_mask", "mask_object")):
            path = self.root / folder / self._pictures[index].name
            masks[field] = read_picture(path, self.layout, grey=True) > 0
        return replace(sample, **masks)


def _first_axis(values: np.ndarray, count: int, path: Path, name: str) -> np.ndarray:
    """The array with the samples along the first axis; MATLAB code often stores them along the last."""
    values = values.astype(np.float64)
    if values.shape[:1] == (count,):
        return values
    if values.shape[-1:] == (count,):
        return np.moveaxis(values, -1, 0).swapaxes(1, 2) if values.ndim == 3 else np.moveaxis(values, -1, 0)
    raise BrokenDataset(f"{path}: {name} must hold {count} entries, one per picture, but is {values.shape}; truncated?")
