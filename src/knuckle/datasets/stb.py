"""STB: left hands in front of a stereo and a depth camera (Zhang et al., ICIP 2017)."""

from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, require
from knuckle.datasets.matlab import read_mat
from knuckle.datasets.reader import Reader
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.sample import Sample
from knuckle.skeleton import PALM_RECIPES, palm_to_wrist, to_common

_SIZE = (640, 480)
_BB = np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]])
_BASELINE = 120.054  # mm, from the left to the right stereo camera
_SK = np.array([[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1]])
# From the SK colour camera to its depth camera, in which the SK labels are.
_SK_ROTATION = np.array([0.00531, -0.01196, 0.00301])
_SK_TRANSLATION = np.array([-24.0381, -0.4563, -1.2326])  # mm

_SEQUENCES = {
    "train": tuple(f"B{i}{kind}" for i in range(2, 7) for kind in ("Counting", "Random")),
    "test": ("B1Counting", "B1Random"),
}
VIEWS = ("BB_left", "BB_right", "SK_color")


class Stb(Reader):
    """STB's training (B2 to B6) or test (B1) split, from one of three cameras.

    Args:
        root: the folder that holds images/ and labels/.
        split: "train" or "test".
        images: read pictures.
        view: one of VIEWS: the left or right stereo camera, or the depth sensor's colour camera.
        wrist: the set stores the palm's centre. A key of PALM_RECIPES converts it to a wrist (report which one: it
            changes scores by millimetres), "palm" keeps it as joint 0.
    """

    source = "stb"
    training_split = "train"
    layout = (
        "  images/B1Counting/BB_left_0.png BB_right_0.png SK_color_0.png ...\n"
        "  labels/B1Counting_BB.mat labels/B1Counting_SK.mat ...       with handPara (3, 21, 1500)"
    )

    def __init__(
        self,
        root: Path | str,
        split: str = "test",
        images: bool = True,
        view: str = "BB_left",
        wrist: str = "ring_2",
    ):
        super().__init__(root, choice("split", split, tuple(_SEQUENCES)), images)
        self.view = choice("view", view, VIEWS)
        self.wrist = choice("wrist", wrist, ("palm", *PALM_RECIPES))
        self._joints: list[np.ndarray] = []
        self._frames: list[tuple[str, int]] = []
        for sequence in _SEQUENCES[split]:
            path = self.root / "labels" / f"{sequence}_{view[:2]}.mat"
            stored = read_mat(require(path, self.layout), ("handPara",))["handPara"]
            if stored.ndim != 3 or stored.shape[:2] != (3, 21):
                raise BrokenDataset(f"{path}: handPara must be (3, 21, frames) but got {stored.shape}; fetch it again")
            self._joints.append(self._in_view(stored.transpose(2, 1, 0).astype(np.float64)))
            self._frames += [(sequence, i) for i in range(stored.shape[2])]
        self._all = np.concatenate(self._joints)
        self.official_count = 1500 * len(_SEQUENCES[split])

    def _in_view(self, stored: np.ndarray) -> np.ndarray:
        """(N, 21, 3) from mm as stored to metres in the common order, in the frame of the chosen camera."""
        if self.view == "SK_color":
            rotation = np.asarray(axis_angle_to_matrix(_SK_ROTATION))
            stored = (stored - _SK_TRANSLATION) @ rotation  # the inverse of depth = R colour + t, on rows
        elif self.view == "BB_right":
            stored = stored - [_BASELINE, 0.0, 0.0]
        joints = np.asarray(to_common(stored, "stb")) / 1000.0
        return joints if self.wrist == "palm" else np.asarray(palm_to_wrist(joints, self.wrist))

    def __len__(self) -> int:
        return len(self._frames)

    def picture(self, index: int) -> Path:
        sequence, frame = self._frames[index]
        return self.root / "images" / sequence / f"{self.view}_{frame}.png"

    def group(self, index: int) -> str:
        return self._frames[index][0]

    def labels(self, index: int) -> Sample:
        sequence, frame = self._frames[index]
        return Sample(
            camera=Camera(_SK if self.view == "SK_color" else _BB, _SIZE),
            side="left",
            joints_camera=self._all[index],
            source=self.source,
            id=f"{sequence}/{self.view}_{frame}",
        )
