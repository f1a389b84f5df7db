"""Dexter+Object: left hands with objects, five fingertips labelled (Sridhar et al., ECCV 2016)."""

from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, choice, read_lines, require
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample
from knuckle.skeleton import TIPS

SEQUENCES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
_SIZE = (640, 480)
_K = np.array([[587.45209, 0, 325], [0, 600.67456, 249], [0, 0, 1]])
# Depth camera to colour camera, mm; its rotation is published to four digits, so it is not quite orthonormal.
_ROTATION = np.array([[0.9999, 0.0034, 0.0161], [-0.0033, 1.0000, -0.0079], [-0.0162, 0.0079, 0.9998]])
_TRANSLATION = np.array([19.0473, -1.8514, -4.7501])
_UNLABELLED = 32001  # depth of a fingertip without a label


class DexterObject(Reader):
    """All six sequences of Dexter+Object, a test set.

    joints_camera holds the five fingertips; the other sixteen joints are NaN.

    Args:
        root: the folder that holds data/.
        split: "test", all there is.
        images: read pictures.
    """

    source = "dexter-object"
    layout = (
        "  data/Grasp1/color/*.jpg|png ...              (also Grasp2, Occlusion, Rigid, Pinch, Rotate)\n"
        "  data/Grasp1/annotations/Grasp13D.txt         a line a frame: x, y, z; five times, mm, depth camera"
    )

    def __init__(self, root: Path | str, split: str = "test", images: bool = True):
        super().__init__(root, choice("split", split, ("test",)), images)
        self._tips: list[np.ndarray] = []
        self._pictures: list[Path] = []
        for sequence in SEQUENCES:
            folder = self.root / "data" / sequence
            tips = self._annotations(folder / "annotations", sequence)
            pictures = sorted(p for p in require(folder / "color", self.layout).iterdir() if p.suffix != ".txt")
            if len(pictures) != len(tips):
                raise BrokenDataset(
                    f"{folder}/color must hold a picture per labelled frame, {len(tips)}, but holds {len(pictures)}"
                )
            self._tips += list(tips)
            self._pictures += pictures

    def _annotations(self, folder: Path, sequence: str) -> np.ndarray:
        # A corrected copy goes by "my_" in some mirrors of the set.
        names = (f"{sequence}3D.txt", f"my_{sequence}3D.txt")
        path = next((folder / n for n in names if (folder / n).exists()), folder / names[0])
        rows = []
        for number, line in enumerate(read_lines(path, self.layout), start=1):
            if not line.strip():
                continue
            try:
                tips = np.array([[float(v) for v in tip.split(",")] for tip in line.split(";")[:5]])
            except ValueError as error:
                raise BrokenDataset(f"{path}, line {number}, must be 'x, y, z;' five times but got {line!r}") from error
            if tips.shape != (5, 3):
                raise BrokenDataset(f"{path}, line {number}, must hold five tips but is truncated: {line!r}")
            rows.append(tips)
        stored = np.array(rows).reshape(-1, 5, 3)
        # Stored with x and y reversed, in the depth camera.
        points = (stored * [-1.0, -1.0, 1.0]) @ _ROTATION.T + _TRANSLATION
        return np.where(stored[..., 2:] == _UNLABELLED, np.nan, points / 1000.0)

    def __len__(self) -> int:
        return len(self._tips)

    def picture(self, index: int) -> Path:
        return self._pictures[index]

    def group(self, index: int) -> str:
        return self._pictures[index].parents[1].name

    def labels(self, index: int) -> Sample:
        joints = np.full((21, 3), np.nan)
        joints[list(TIPS)] = self._tips[index]
        path = self._pictures[index]
        return Sample(
            camera=Camera(_K, _SIZE),
            side="left",
            joints_camera=joints,
            source=self.source,
            id=f"{path.parent.parent.name}/{path.stem}",
        )
