"""FPHA: egocentric right hands with magnetic sensors and objects (Garcia-Hernando et al., CVPR 2018)."""

from functools import cached_property
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.boxes import box_or_none, read_vertices
from knuckle.datasets.layout import BrokenDataset, choice, read_lines, require
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample
from knuckle.skeleton import to_common

_SIZE = (1920, 1080)
_K = np.array([[1395.749023, 0, 935.732544], [0, 1395.749268, 540.681030], [0, 0, 1]])
# World (the magnetic base) to colour camera, mm.
_ROTATION = np.array(
    [
        [0.999988496304, -0.00468848412856, 0.000982563360594],
        [0.00469115935266, 0.999985218048, -0.00273845880292],
        [-0.000969709653873, 0.00274303671904, 0.99999576807],
    ]
)
_TRANSLATION = np.array([25.7, 1.22, 3.902])

OBJECTS = ("juice_bottle", "liquid_soap", "milk", "salt")
TRAIN_SUBJECTS = (1, 3, 4)
_BROKEN = {("Subject_2", "close_milk", "4"), ("Subject_2", "put_tea_bag", "2"), ("Subject_4", "flip_sponge", "2")}
SPLITS = ("all", "ho-train", "ho-val", "ho-test", "subjects-train", "subjects-test")


class Fpha(Reader):
    """FPHA by one of two splits.

    "ho-train", "ho-val", "ho-test": the frames with an object's pose, sequences named 1 for validation, 3 for testing
    and the rest for training, as in Zhuang & Mu 2021. "subjects-train", "subjects-test": subjects 1, 3, 4 against
    2, 5, 6. "all": everything.

    Args:
        root: the folder that holds the four folders of the layout.
        split: one of SPLITS.
        images: read pictures.
        skeletons: name of the folder of hand annotations; copies differ in the suffix.
        poses: name of the folder of object annotations; copies end in _v1 or _v1_1.
    """

    source = "fpha"
    training_split = "ho-train"
    layout = (
        "  Video_files/Subject_1/ACTION/1/color/color_0000.jpeg ...\n"
        "  Hand_pose_annotation_v1/Subject_1/ACTION/1/skeleton.txt          frame, 63 numbers, world mm\n"
        "  Object_6D_pose_annotation_v1/Subject_1/ACTION/1/object_pose.txt  frame, 16 numbers, column by column\n"
        "  Object_models/juice_bottle_model/juice_bottle_model.ply ...      metres"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "ho-test",
        images: bool = True,
        skeletons: str = "Hand_pose_annotation_v1",
        poses: str = "Object_6D_pose_annotation_v1",
    ):
        super().__init__(root, choice("split", split, SPLITS), images)
        self._poses_root = self.root / poses
        self._rows: list[tuple[tuple[str, str, str], int]] = []
        self._joints: list[np.ndarray] = []
        self._poses: list[np.ndarray | None] = []
        for path in sorted(require(self.root / skeletons, self.layout).glob("Subject_*/*/*/skeleton.txt")):
            sequence = (path.parts[-4], path.parts[-3], path.parts[-2])
            if sequence not in _BROKEN and self._wanted(sequence):
                self._add(sequence, path)
        if not self._rows:
            raise FileNotFoundError(
                f"{self.root / skeletons} must hold Subject_N/ACTION/N/skeleton.txt for the split {split!r} but does "
                f"not; the data set is laid out as\n{self.layout}"
            )

    def _wanted(self, sequence: tuple[str, str, str]) -> bool:
        subject, _, number = sequence
        match self.split:
            case "subjects-train":
                return int(subject.removeprefix("Subject_")) in TRAIN_SUBJECTS
            case "subjects-test":
                return int(subject.removeprefix("Subject_")) not in TRAIN_SUBJECTS
            case "ho-val":
                return number == "1"
            case "ho-test":
                return number == "3"
            case "ho-train":
                return number not in ("1", "3")
        return True

    def _add(self, sequence: tuple[str, str, str], path: Path) -> None:
        poses_path = self._poses_root.joinpath(*sequence, "object_pose.txt")
        poses = _table(poses_path, 16) if poses_path.exists() else {}
        if self.split.startswith("ho-") and not poses:
            return
        for frame, numbers in _table(path, 63).items():
            if self.split.startswith("ho-") and frame not in poses:
                continue
            world = numbers.reshape(21, 3)
            self._rows.append((sequence, frame))
            self._joints.append(np.asarray(to_common((world @ _ROTATION.T + _TRANSLATION) / 1000.0, "fpha")))
            # Stored column by column.
            self._poses.append(poses[frame].reshape(4, 4).T if frame in poses else None)

    def __len__(self) -> int:
        return len(self._rows)

    def picture(self, index: int) -> Path:
        sequence, frame = self._rows[index]
        return self.root.joinpath("Video_files", *sequence, "color", f"color_{frame:04d}.jpeg")

    @cached_property
    def _corners(self) -> dict[str, np.ndarray]:
        """(8, 3) metres in the object's own frame, computed once per object; none of a model without volume."""
        folder = self.root / "Object_models"
        names = [n for n in OBJECTS if (folder / f"{n}_model" / f"{n}_model.ply").exists()]
        files = {n: folder / f"{n}_model" / f"{n}_model.ply" for n in names}
        boxes = {n: box_or_none(read_vertices(path, self.layout)) for n, path in files.items()}
        return {n: box for n, box in boxes.items() if box is not None}

    def group(self, index: int) -> str:
        return self._rows[index][0][0]

    def labels(self, index: int) -> Sample:
        sequence, frame = self._rows[index]
        stored = self._poses[index]
        action = sequence[1]
        # "juice_bottle" in open_juice_bottle; "liquid_soap" also in pour_liquid_soap.
        name = next((n for n in OBJECTS if n in action), None)
        pose = corners = None
        if stored is not None:
            pose = np.eye(4)
            pose[:3, :3] = _orthonormal(_ROTATION @ stored[:3, :3])
            pose[:3, 3] = (_ROTATION @ stored[:3, 3] + _TRANSLATION) / 1000.0
            if name in self._corners:
                corners = self._corners[name] @ pose[:3, :3].T + pose[:3, 3]
        return Sample(
            camera=Camera(_K, _SIZE),
            side="right",
            joints_camera=self._joints[index],
            object_category=name,
            T_camera_object=pose,
            object_corners_camera=corners,
            source=self.source,
            id=f"{'/'.join(sequence)}/{frame:04d}",
        )


def _table(path: Path, count: int) -> dict[int, np.ndarray]:
    """A text file with lines of a frame number and `count` numbers, by frame."""
    rows = {}
    for number, line in enumerate(read_lines(path, ""), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != count + 1:
            raise BrokenDataset(
                f"{path}, line {number}, must hold {count + 1} numbers but holds {len(words)}; truncated?"
            )
        try:
            rows[int(float(words[0]))] = np.array([float(w) for w in words[1:]])
        except ValueError as error:
            raise BrokenDataset(f"{path}, line {number}, must hold numbers only but has {error}") from error
    return rows


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """The nearest rotation: the annotations are rounded."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
