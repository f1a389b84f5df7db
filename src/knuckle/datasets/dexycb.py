"""DexYCB: hands that grasp YCB objects in front of eight cameras (Chao et al., CVPR 2021)."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.boxes import oriented_corners, read_vertices
from knuckle.datasets.layout import BrokenDataset, choice, entry, require
from knuckle.datasets.reader import Reader
from knuckle.files import load_npz, read_text
from knuckle.sample import Sample

_SIZE = (640, 480)
_MAX_YAML = 2**20  # bytes; a calibration has a few hundred, and the parser takes a second for each megabyte
_MAX_FRAMES = 10**5  # of a sequence; the longest has some 80
_HAND = 255  # in the segmentation; 1 to 21 are the objects
SPLITS = ("s0-train", "s0-val", "s0-test", "all")
# fmt: off
OBJECTS = (
    "002_master_chef_can", "003_cracker_box", "004_sugar_box", "005_tomato_soup_can", "006_mustard_bottle",
    "007_tuna_fish_can", "008_pudding_box", "009_gelatin_box", "010_potted_meat_can", "011_banana",
    "019_pitcher_base", "021_bleach_cleanser", "024_bowl", "025_mug", "035_power_drill", "036_wood_block",
    "037_scissors", "040_large_marker", "051_large_clamp", "052_extra_large_clamp", "061_foam_brick",
)
# fmt: on


class DexYcb(Reader):
    """DexYCB's split s0 (seen subjects, cameras and objects), or all of it.

    Args:
        root: the folder that holds the subjects' folders and calibration/.
        split: one of SPLITS. Every fifth sequence of a subject is for validation (subjects 1, 2) or testing (the
            others).
        images: read pictures and segmentations.
        keep_empty: keep the frames without a hand, as samples without joints; leaving them out requires reading
            every label file once.
    """

    source = "dexycb"
    training_split = "s0-train"
    layout = (
        "  20200709-subject-01/20200709_141754/meta.yml\n"
        "  20200709-subject-01/20200709_141754/836212060125/color_000000.jpg labels_000000.npz ...\n"
        "  calibration/intrinsics/836212060125_640x480.yml\n"
        "  models/002_master_chef_can/textured_simple.obj                       (optional, for boxes)"
    )

    def __init__(self, root: Path | str, split: str = "s0-test", images: bool = True, keep_empty: bool = False):
        super().__init__(root, choice("split", split, SPLITS), images)
        subjects = sorted(p for p in self.root.iterdir() if p.is_dir() and "-subject-" in p.name)
        if not subjects:
            raise FileNotFoundError(f"{self.root} must hold DATE-subject-01 ... but does not; see\n{self.layout}")
        self._metas: dict[Path, dict[str, Any]] = {}
        self._labels: list[Path] = []
        for subject, folder in enumerate(subjects):
            sequences = sorted(p for p in folder.iterdir() if p.is_dir())
            for number, sequence in enumerate(sequences):
                if self._wanted(subject, number):
                    self._add(sequence)
        if not keep_empty:
            self._labels = [p for p in self._labels if not _is_empty(p)]
        self._cameras = {p.parent.name: self._intrinsics(p.parent.name) for p in self._labels}

    def _wanted(self, subject: int, number: int) -> bool:
        held_out = number % 5 == 4
        return {
            "all": True,
            "s0-train": not held_out,
            "s0-val": held_out and subject < 2,
            "s0-test": held_out and subject >= 2,
        }[self.split]

    def _add(self, sequence: Path) -> None:
        meta = read_yaml(require(sequence / "meta.yml", self.layout))
        missing = [k for k in ("mano_sides", "ycb_ids", "ycb_grasp_ind", "num_frames") if k not in meta]
        if missing:
            raise BrokenDataset(
                f"{sequence}/meta.yml must hold {', '.join(missing)} but holds {', '.join(map(str, meta))}"
            )
        frames = meta["num_frames"]
        if type(frames) is not int or not 0 <= frames <= _MAX_FRAMES:
            raise BrokenDataset(f"{sequence}/meta.yml must hold num_frames of 0 to {_MAX_FRAMES} but holds {frames!r}")
        self._metas[sequence] = meta
        for camera in sorted(p for p in sequence.iterdir() if p.is_dir()):
            files = [camera / f"labels_{i:06d}.npz" for i in range(frames)]
            require(files[-1], self.layout) if files else None
            self._labels += files

    def _intrinsics(self, serial: str) -> np.ndarray:
        path = self.root / "calibration" / "intrinsics" / f"{serial}_640x480.yml"
        stored = read_yaml(require(path, self.layout)).get("color")
        if not isinstance(stored, dict) or not {"fx", "fy", "ppx", "ppy"} <= set(stored):
            raise BrokenDataset(f"{path} must hold color: fx, fy, ppx, ppy but got {stored!r}")
        fx, fy, cx, cy = (float(stored[k]) for k in ("fx", "fy", "ppx", "ppy"))
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def __len__(self) -> int:
        return len(self._labels)

    def picture(self, index: int) -> Path:
        path = self._labels[index]
        return path.with_name(path.name.replace("labels_", "color_")).with_suffix(".jpg")

    def group(self, index: int) -> str:
        return self._labels[index].parts[-4]

    def labels(self, index: int) -> Sample:
        path = self._labels[index]
        stored = load_npz(require(path, self.layout))
        meta = self._metas[path.parents[1]]
        joints = _or_none(entry(stored, "joint_3d", (21, 3), path))
        pixels = _or_none(entry(stored, "joint_2d", (21, 2), path))
        grasped = int(meta["ycb_grasp_ind"])
        number = int(meta["ycb_ids"][grasped])
        pose = np.vstack([stored["pose_y"][grasped].astype(np.float64), [0.0, 0.0, 0.0, 1.0]])
        mesh = self.root / "models" / OBJECTS[number - 1] / "textured_simple.obj"
        corners = None
        if mesh.exists():
            corners = _box_of(mesh, self.layout) @ pose[:3, :3].T + pose[:3, 3]
        return Sample(
            camera=Camera(self._cameras[path.parent.name], _SIZE),
            side="left" if meta["mano_sides"][0] == "left" else "right",
            joints_camera=joints,
            joints_image=pixels,
            object_category=OBJECTS[number - 1],
            T_camera_object=pose,
            object_corners_camera=corners,
            source=self.source,
            id=f"{'/'.join(path.parts[-4:-1])}/{path.stem.removeprefix('labels_')}",
        )

    def with_images(self, index: int, sample: Sample) -> Sample:
        sample = super().with_images(index, sample)
        path = self._labels[index]
        segmentation = load_npz(path)["seg"]
        number = OBJECTS.index(sample.object_category or "") + 1
        return replace(sample, mask_visible=segmentation == _HAND, object_mask=segmentation == number)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of plain data.

    Args:
        path: the file.

    Returns:
        Its mapping.

    Raises:
        ImportError: PyYAML is not installed.
        BrokenDataset: it is not YAML, or not a mapping.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError(f"{path} is a YAML file, which takes PyYAML: pip install 'knuckle[datasets]'") from error
    text = read_text(path, _MAX_YAML)
    try:
        # A few lines of references to references become billions of entries for whoever walks through them.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("it refers to its own parts")
        content = yaml.safe_load(text)
    # RecursionError of deep nesting, ValueError of damaged numbers and dates.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BrokenDataset(f"{path} must be YAML but cannot be read ({str(error)[:200]}); fetch it again") from error
    if not isinstance(content, dict):
        raise BrokenDataset(f"{path} must be a YAML mapping but holds {type(content).__name__}; fetch it again")
    return content


def _or_none(values: np.ndarray) -> np.ndarray | None:
    """Labels, or None where the set marks a missing hand with -1 everywhere."""
    return None if (values == -1).all() else values


def _is_empty(path: Path) -> bool:
    return path.exists() and bool((load_npz(path)["joint_3d"] == -1).all())


@lru_cache(maxsize=32)
def _box_of(path: Path, layout: str) -> np.ndarray:
    return oriented_corners(read_vertices(path, layout))
