"""GANeratedHands: rendered left hands made to look real by a GAN (Mueller et al., CVPR 2018)."""

from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import choice, read_numbers, require
from knuckle.datasets.reader import Reader
from knuckle.sample import Sample

_SIZE = (256, 256)
_FOCAL, _CENTRE = 617.173, np.array([315.453, 242.259])  # of the 640 x 480 picture the crops were cut from
_ENDING = "_color_composed.png"


class GaneratedHands(Reader):
    """GANeratedHands, a set for training.

    Args:
        root: the folder that holds noObject/ and withObject/ (GANeratedHands_Release/data).
        split: "all", "noObject" or "withObject".
        images: read pictures.
    """

    source = "ganerated"
    training_split = "all"
    layout = (
        "  noObject/0001/0001_color_composed.png   (also withObject)\n"
        "  noObject/0001/0001_joint_pos_global.txt 63 numbers, mm\n"
        "  noObject/0001/0001_joint2D.txt          42 numbers, pixels of the crop\n"
        "  noObject/0001/0001_crop_params.txt      u, v, scale of the crop"
    )

    def __init__(self, root: Path | str, split: str = "all", images: bool = True):
        super().__init__(root, choice("split", split, ("all", "noObject", "withObject")), images)
        kinds = ("noObject", "withObject") if split == "all" else (split,)
        self._pictures = [
            p for kind in kinds for p in sorted(require(self.root / kind, self.layout).glob(f"*/*{_ENDING}"))
        ]
        if not self._pictures:
            raise FileNotFoundError(
                f"{self.root} must hold {kinds[0]}/0001/0001{_ENDING} but does not; see\n{self.layout}"
            )

    def __len__(self) -> int:
        return len(self._pictures)

    def picture(self, index: int) -> Path:
        return self._pictures[index]

    def group(self, index: int) -> str:
        # No sequence is named anywhere: the numbered folder is the finest part in which frames may follow one another.
        return "/".join(self._pictures[index].parts[-3:-1])

    def labels(self, index: int) -> Sample:
        picture = self._pictures[index]
        name = picture.name.removesuffix(_ENDING)

        def numbers(kind: str, count: int) -> np.ndarray:
            return read_numbers(picture.with_name(f"{name}_{kind}.txt"), count, self.layout)

        u, v, scale = numbers("crop_params", 3)
        cx, cy = scale * (_CENTRE - [u, v])
        focal = scale * _FOCAL
        return Sample(
            camera=Camera(np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]]), _SIZE),
            side="left",
            joints_camera=numbers("joint_pos_global", 63).reshape(21, 3) / 1000.0,
            joints_image=numbers("joint2D", 42).reshape(21, 2),
            source=self.source,
            id=f"{picture.parent.parent.name}/{picture.parent.name}/{name}",
        )
