"""HO-3D versions 2 and 3: right hands holding YCB objects (Hampali et al., CVPR 2020)."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.boxes import binary_order
from knuckle.datasets.layout import BrokenDataset, choice, entry, read_lines, read_number_list, require, same_length
from knuckle.datasets.reader import Reader
from knuckle.files import load_pickle
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.mano import mano_to_rigid, pose_to_rotations
from knuckle.sample import Sample
from knuckle.skeleton import to_common

_SIZE = (640, 480)
# Stored in OpenGL camera axes (y up, z backward); ours are y down, z forward.
OPENGL = np.array([1.0, -1.0, -1.0])
_CAMERA_DIGIT = re.compile(r"(?<=\d)\d$")
_COUNTS = {("v2", "train"): 66034, ("v2", "evaluation"): 11524, ("v3", "train"): 78297, ("v3", "evaluation"): 20137}


class Ho3d(Reader):
    """HO-3D's training or evaluation split.

    Frames without annotations have no joints (or no object); in the evaluation split only the wrist is
    labelled, unless the folder has the joints and meshes that were published later.

    Args:
        root: the folder that holds train/, evaluation/, train.txt and evaluation.txt.
        split: "train" or "evaluation".
        images: read pictures.
        version: "v2" (pictures are .png) or "v3" (.jpg).
        model: HandModel.load of the user's MANO_RIGHT file, to pose the training meshes with; None leaves them out.
    """

    source = "ho3d"
    training_split = "train"
    layout = (
        "  train.txt evaluation.txt                                     lines SEQUENCE/0000\n"
        "  train/SEQUENCE/rgb/0000.png (v3: .jpg) train/SEQUENCE/meta/0000.pkl ...\n"
        "  evaluation/SEQUENCE/rgb/0000.png (v3: .jpg) evaluation/SEQUENCE/meta/0000.pkl ...\n"
        "  evaluation_xyz.json evaluation_verts.json                    where published"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "evaluation",
        images: bool = True,
        version: str = "v2",
        model: HandModel | None = None,
    ):
        super().__init__(root, choice("split", split, ("train", "evaluation")), images)
        self.version = choice("version", version, ("v2", "v3"))
        if model is not None and model.mano is None:
            raise ValueError(f"model must be loaded from a MANO file, as HO-3D is posed, but is {model.name!r}")
        self._model = model
        lines = " ".join(read_lines(self.root / f"{split}.txt", self.layout)).split()
        bad = next((line for line in lines if line.count("/") != 1), None)
        if bad is not None or not lines:
            raise BrokenDataset(f"{self.root}/{split}.txt must hold lines SEQUENCE/NUMBER but has {bad!r}")
        self._names = lines
        self.official_count = _COUNTS[version, split]

    def __len__(self) -> int:
        return len(self._names)

    def picture(self, index: int) -> Path:
        sequence, number = self._names[index].split("/")
        return self.root / self.split / sequence / "rgb" / f"{number}.{'png' if self.version == 'v2' else 'jpg'}"

    def _published(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        path = self.root / f"evaluation_{name}.json"
        if self.split != "evaluation" or not path.exists():
            return None
        values = read_number_list(path, shape, self.layout)
        same_length(path, len(values), len(self), self.root / "evaluation.txt")
        return values * OPENGL

    @cached_property
    def _joints(self) -> np.ndarray | None:
        stored = self._published("xyz", (21, 3))
        return None if stored is None else np.asarray(to_common(stored, "ho3d"))

    @cached_property
    def _vertices(self) -> np.ndarray | None:
        return self._published("verts", (778, 3))

    def group(self, index: int) -> str:
        # "ABF10" to "ABF14" are five cameras of one recording; the published splits divide such recordings.
        return _CAMERA_DIGIT.sub("", self._names[index].split("/")[0])

    def labels(self, index: int) -> Sample:
        sequence, number = self._names[index].split("/")
        path = self.root / self.split / sequence / "meta" / f"{number}.pkl"
        meta = load_pickle(require(path, self.layout))
        box = meta.get("handBoundingBox") if isinstance(meta, dict) else None
        pose, corners = self._object(meta, path)
        name = meta.get("objName")
        return Sample(
            camera=Camera(entry(meta, "camMat", (3, 3), path), _SIZE),
            side="right",
            joints_camera=self._hand(meta, path, index),
            vertices_camera=self._mesh(meta, path, index),
            box=None if box is None else np.asarray(box, np.float64),
            object_category=None if name is None else str(name),
            T_camera_object=pose,
            object_corners_camera=corners,
            source=f"{self.source}-{self.version}",
            id=self._names[index],
        )

    def _hand(self, meta: dict[str, Any], path: Path, index: int) -> np.ndarray | None:
        if self._joints is not None:
            return self._joints[index]
        if meta.get("handJoints3D") is None:
            return None
        stored = entry(meta, "handJoints3D", None, path)
        if stored.size == 3:  # the evaluation split has only the wrist
            joints = np.full((21, 3), np.nan)
            joints[0] = stored.reshape(3) * OPENGL
            return joints
        return np.asarray(to_common(entry(meta, "handJoints3D", (21, 3), path) * OPENGL, "ho3d"))

    def _mesh(self, meta: dict[str, Any], path: Path, index: int) -> np.ndarray | None:
        if self._vertices is not None:
            return self._vertices[index]
        if self._model is None or meta.get("handPose") is None:
            return None
        pose = entry(meta, "handPose", (48,), path)
        shape = entry(meta, "handBeta", (10,), path)
        placed = np.asarray(mano_to_rigid(self._model, pose[:3], entry(meta, "handTrans", (3,), path), shape))
        placed[:3] *= OPENGL[:, None]
        rotations = np.asarray(pose_to_rotations(self._model, pose[3:], flat_hand_mean=True))
        return np.asarray(self._model(rotations=rotations, shape=shape, T_camera_hand=placed).vertices)

    def _object(self, meta: dict[str, Any], path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
        pose = corners = None
        if meta.get("objRot") is not None and meta.get("objTrans") is not None:
            pose = np.eye(4)
            rotation = np.asarray(axis_angle_to_matrix(entry(meta, "objRot", (3,), path)))
            pose[:3, :3] = np.diag(OPENGL) @ rotation
            pose[:3, 3] = OPENGL * entry(meta, "objTrans", (3,), path)
        if pose is not None and meta.get("objCorners3D") is not None and meta.get("objCorners3DRest") is not None:
            _, indices = binary_order(entry(meta, "objCorners3DRest", (8, 3), path))
            corners = (entry(meta, "objCorners3D", (8, 3), path) * OPENGL)[list(indices)]
        return pose, corners
