"""FreiHAND: right hands on a green screen, with MANO meshes (Zimmermann et al., ICCV 2019)."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import choice, read_number_list, read_picture, same_length
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample

VERSIONS = ("gs", "hom", "sample", "auto")
_SIZE = (224, 224)


class FreiHand(Reader):
    """FreiHAND's training or evaluation split.

    Args:
        root: the folder that holds training_K.json and so on.
        split: "training" or "evaluation".
        images: read pictures, and masks in training.
        version: how the green screen was replaced: one of VERSIONS, or "all" for the 130,240 pictures of training.
        vertices: read the meshes too (778 MANO vertices; 600 MB for training).
    """

    source = "freihand"
    training_split = "training"
    layout = (
        "  training/rgb/00000000.jpg ...      four versions, one after another\n"
        "  training/mask/00000000.jpg ...\n"
        "  training_K.json training_xyz.json training_scale.json training_verts.json\n"
        "  evaluation/rgb/00000000.jpg ...\n"
        "  evaluation_K.json evaluation_scale.json evaluation_xyz.json evaluation_verts.json"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "evaluation",
        images: bool = True,
        version: str = "gs",
        vertices: bool = True,
    ):
        super().__init__(root, choice("split", split, ("training", "evaluation")), images)
        choice("version", version, (*VERSIONS, "all"))
        if split == "evaluation" and version not in ("gs", "all"):
            raise ValueError(f"version must be 'gs' for the evaluation split, which has no other, but got {version!r}")
        self._K = read_number_list(self.root / f"{split}_K.json", (3, 3), self.layout)
        # The evaluation labels were published years after the set: older copies lack them.
        self._joints = self._read("xyz", (21, 3), required=split == "training")
        self._want_vertices = vertices
        every = version == "all" and split == "training"
        self._first = 0 if version == "all" else VERSIONS.index(version) * len(self._K)
        self._count = len(self._K) * (len(VERSIONS) if every else 1)
        self.official_count = {"training": 32560, "evaluation": 3960}[split] * (len(VERSIONS) if every else 1)

    def _read(self, name: str, shape: tuple[int, ...], required: bool) -> np.ndarray | None:
        path = self.root / f"{self.split}_{name}.json"
        if not required and not path.exists():
            return None
        values = read_number_list(path, shape, self.layout)
        same_length(path, len(values), len(self._K), self.root / f"{self.split}_K.json")
        return values

    @cached_property
    def _vertices(self) -> np.ndarray | None:
        return self._read("verts", (778, 3), required=False) if self._want_vertices else None

    def __len__(self) -> int:
        return self._count

    def picture(self, index: int) -> Path:
        return self.root / self.split / "rgb" / f"{self._first + index:08d}.jpg"

    def _label(self, index: int) -> int:
        """The row of sample `index` in the annotation files: versions share their labels."""
        return (self._first + index) % len(self._K)

    def group(self, index: int) -> str:
        return f"{self._label(index):08d}"  # the versions of a picture are one photograph

    def labels(self, index: int) -> Sample:
        i = self._label(index)
        return Sample(
            camera=Camera(self._K[i], _SIZE),
            side="right",
            joints_camera=None if self._joints is None else self._joints[i],
            vertices_camera=None if self._vertices is None else self._vertices[i],
            source=self.source,
            id=self.picture(index).stem,
        )

    def with_images(self, index: int, sample: Sample) -> Sample:
        sample = super().with_images(index, sample)
        if self.split != "training":
            return sample
        path = self.root / "training" / "mask" / f"{self._label(index):08d}.jpg"
        return replace(sample, mask_visible=read_picture(path, self.layout, grey=True) > 127)
