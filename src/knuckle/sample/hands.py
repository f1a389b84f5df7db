"""The hands of one picture: a list that can be drawn, saved and turned into a table."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from knuckle.sample.hand import Hand

if TYPE_CHECKING:
    import pandas


class Hands(list[Hand]):
    """A list of `Hand`, of one picture, best first; of a frame of a video in the order of their ids."""

    def draw(self, image: UInt8[np.ndarray, "h w 3"], mesh: bool = True) -> UInt8[np.ndarray, "h w 3"]:
        """A copy of the picture with the hands drawn over it, the nearest last.

        Args:
            image: (H, W, 3) uint8 RGB, the one in which they were found.
            mesh: the meshes too, below the skeletons; takes some milliseconds a hand.
        """
        from knuckle.results import draw_hands

        return draw_hands(image, self, mesh=mesh)

    def save(self, path: Path | str) -> Path:
        """Write the hands to one file; its suffix selects the format.

        Args:
            path: .glb (skinned meshes), .obj (meshes), .json (every field, see docs/results.md) or .npz (arrays).

        Returns:
            The path.

        Raises:
            ValueError: the suffix is another one, or there is no hand to make a mesh of.
            OSError: the file cannot be written.
        """
        from knuckle.results import save_hands

        return save_hands(self, path)

    @classmethod
    def load(cls, path: Path | str) -> "Hands":
        """The hands in a .json file that `save` or `knuckle predict` wrote of a picture, without their meshes.

        Raises:
            ValueError: it is another file, or damaged.
            OSError: it cannot be read.
        """
        from knuckle.results import load_hands

        return load_hands(path)

    def to_frame(self) -> "pandas.DataFrame":
        """A table with a row for each hand: id, side, score, plausibility, gesture, box, joints, angles.

        Returns:
            Columns `wrist_x` to `little_tip_z` in metres, `wrist_u` to `little_tip_v` in pixels,
            `wrist_uncertainty_mm` and so on, and the angles by name in radians.

        Raises:
            ModuleNotFoundError: pandas is not installed; `pip install 'knuckle[table]'`.
        """
        from knuckle.results import to_frame

        return to_frame(self)
