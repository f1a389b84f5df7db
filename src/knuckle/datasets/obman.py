"""ObMan: rendered hands that grasp ShapeNet objects (Hasson et al., CVPR 2019)."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.boxes import box_or_none, read_vertices
from knuckle.datasets.layout import BrokenDataset, choice, entry, require
from knuckle.datasets.reader import Reader
from knuckle.files import load_pickle
from knuckle.sample import Sample

_SIZE = (256, 256)
_K = np.array([[480.0, 0, 128], [0, 480, 128], [0, 0, 1]])
_FLIP = np.array([1.0, -1.0, -1.0])
_COUNTS = {"train": 141550, "val": 6463, "test": 6285}


class ObMan(Reader):
    """ObMan's train, val or test split.

    Args:
        root: the folder that holds train/, val/ and test/.
        split: "train", "val" or "test".
        images: read pictures.
        shapenet_root: folder of ShapeNetCore.v2, for the object's box; None for ROOT/ShapeNetCore.v2, and no boxes
            where there is none. A mesh without volume has no box either.
    """

    source = "obman"
    training_split = "train"
    layout = (
        "  test/rgb/00000000.jpg ...   (also train, val)\n  test/meta/00000000.pkl ...\n"
        "  ShapeNetCore.v2/CLASS/MODEL/models/model_normalized.obj ...   for the objects' boxes, if wanted"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "test",
        images: bool = True,
        shapenet_root: Path | str | None = None,
    ):
        super().__init__(root, choice("split", split, tuple(_COUNTS)), images)
        self._metas = sorted(require(self.root / split / "meta", self.layout).glob("*.pkl"))
        if not self._metas:
            raise FileNotFoundError(
                f"{self.root / split / 'meta'} must hold .pkl files but has none; see\n{self.layout}"
            )
        beside = self.root / "ShapeNetCore.v2"
        shapenet_root = beside if shapenet_root is None and beside.is_dir() else shapenet_root
        self._shapenet = None if shapenet_root is None else require(Path(shapenet_root), self.layout)
        self.official_count = _COUNTS[split]

    def __len__(self) -> int:
        return len(self._metas)

    def picture(self, index: int) -> Path:
        return self.root / self.split / "rgb" / f"{self._metas[index].stem}.jpg"

    def labels(self, index: int) -> Sample:
        path = self._metas[index]
        meta = load_pickle(path)
        joints = entry(meta, "coords_3d", (21, 3), path) * _FLIP
        side = str(meta.get("side", "right"))
        if side not in ("left", "right"):
            raise BrokenDataset(f"{path}: 'side' must be left or right but got {side!r}")
        return Sample(
            camera=Camera(_K, _SIZE),
            side="left" if side == "left" else "right",
            joints_camera=joints,
            joints_image=entry(meta, "coords_2d", (21, 2), path),
            vertices_camera=entry(meta, "verts_3d", (778, 3), path) * _FLIP,
            object_category=None if meta.get("class_id") is None else str(meta["class_id"]),
            object_corners_camera=self._corners(meta, path),
            source=self.source,
            id=path.stem,
        )

    def _corners(self, meta: dict, path: Path) -> np.ndarray | None:
        if self._shapenet is None or meta.get("obj_path") is None:
            return None
        # The stored path is that of the authors' machine; the part below the data set's name is the same everywhere.
        parts = Path(str(meta["obj_path"])).parts
        class_id, sample_id = str(meta.get("class_id", parts[-4])), str(meta.get("sample_id", parts[-3]))
        mesh = self._shapenet / class_id / sample_id / "models" / "model_normalized.obj"
        placed = entry(meta, "affine_transform", (4, 4), path)
        corners = _box_of(mesh, self.layout)
        if corners is None:
            return None
        return (corners @ placed[:3, :3].T + placed[:3, 3]) * _FLIP


@lru_cache(maxsize=512)
def _box_of(path: Path, layout: str) -> np.ndarray | None:
    return box_or_none(read_vertices(path, layout))
