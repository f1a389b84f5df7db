"""A fitted recording as .npz arrays or .json."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from knuckle.files import InputError, atomic_write, load_npz


@dataclass(frozen=True, eq=False)
class FittedHands:
    """N frames of one hand, as fit.npz holds them.

    Attributes:
        side: "left" or "right".
        angles: (N, 23) radians, columns named by angle_names.
        angle_names: (23,).
        shape: (N, S) columns named by shape_names.
        shape_names: (S,).
        rotation, translation: (N, 3, 3) and (N, 3) metres, the parts of T_camera_hand. A left hand's joints are
            rotation @ (diag(-1, 1, 1) joints_hand) + translation.
        joints: (N, 21, 3) metres, of the fitted hand, in the frame the recording was in.
        error_mm: (N,) mean distance of the fitted joints from the recorded ones, millimetres.
    """

    side: str
    angles: Float[np.ndarray, "N A"]
    angle_names: Shaped[np.ndarray, " A"]
    shape: Float[np.ndarray, "N S"]
    shape_names: Shaped[np.ndarray, " S"]
    rotation: Float[np.ndarray, "N 3 3"]
    translation: Float[np.ndarray, "N 3"]
    joints: Float[np.ndarray, "N 21 3"]
    error_mm: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.angles)

    def write_npz(self, path: Path | str) -> None:
        """Write the arrays under the attributes' names, atomically."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        with atomic_write(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    @classmethod
    def read_npz(cls, path: Path | str) -> "FittedHands":
        """Read what write_npz wrote.

        Raises:
            InputError: the file lacks one of these arrays.
            OSError: it cannot be read.
        """
        arrays = load_npz(path)
        missing = [field.name for field in fields(cls) if field.name not in arrays]
        if missing:
            raise InputError(f"{path} must be a fit.npz but lacks {', '.join(missing)}; make it with `knuckle fit`")
        values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
        return cls(**{**values, "side": str(values["side"])})

    def write_json(self, path: Path | str) -> None:
        """Write one object with the frames as a list, angles and shape by name, atomically; metres and radians."""
        frames = [
            {
                "angles": _named(self.angle_names, self.angles[i]),
                "shape": _named(self.shape_names, self.shape[i]),
                "rotation": self.rotation[i].tolist(),
                "translation": self.translation[i].tolist(),
                "joints": self.joints[i].tolist(),
                "error_mm": float(self.error_mm[i]),
            }
            for i in range(len(self))
        ]
        text = json.dumps({"format": "knuckle-fit", "version": 1, "side": self.side, "frames": frames}, allow_nan=False)
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="ascii")


def _named(names: Shaped[np.ndarray, " K"], values: Float[np.ndarray, " K"]) -> dict[str, float]:
    return dict(zip((str(name) for name in names), values.tolist(), strict=True))
