"""The camera of a picture: given, from the file's EXIF data, or assumed."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.files import InputError, RefusedFile, load_json, number_array
from knuckle.image.exif import focal_length_pixels
from knuckle.predict.config import ASSUMED_FOV

_MAX_BYTES = 2**20


@dataclass(frozen=True)
class SourcedCamera:
    """A camera and its source; distances are estimates where it is assumed."""

    camera: Camera
    source: Literal["given", "exif", "assumed"]

    def to_json(self) -> dict[str, Any]:
        """fx, fy, cx, cy in pixels, and source."""
        K = np.asarray(self.camera.K)
        numbers = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
        return {name: round(float(value), 4) for name, value in numbers.items()} | {"source": self.source}


def read_camera(path: Path) -> np.ndarray:
    """The intrinsics in a camera file: JSON with fx, fy, cx, cy, or with K as three rows of three.

    Raises:
        InputError: the file has neither.
        OSError: it cannot be read.
    """
    try:
        data = load_json(path, _MAX_BYTES)
        if not isinstance(data, dict):
            raise ValueError("is no object with names")
        missing = [] if "K" in data else [name for name in ("fx", "fy", "cx", "cy") if name not in data]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        rows = data["K"] if "K" in data else [[data["fx"], 0, data["cx"]], [0, data["fy"], data["cy"]], [0, 0, 1]]
        K = number_array(rows, "K")
        Camera(K)  # raises where it is no matrix of intrinsics
    except RefusedFile:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} must be JSON with fx, fy, cx, cy in pixels, or with K, but cannot be used ({error}); mend it"
        ) from None
    return K


def camera_of(size: tuple[int, int], data: bytes = b"", K: np.ndarray | None = None, fov: float = 0.0) -> SourcedCamera:
    """The camera of one picture.

    Args:
        size: (width, height) of the picture.
        data: bytes of its file, for EXIF; empty for a video.
        K: given intrinsics, or None.
        fov: given field of view along the longer side in radians, 0 for none.
    """
    if K is not None:
        return SourcedCamera(Camera(K, size), "given")
    if fov:
        return SourcedCamera(Camera.from_fov(size, fov), "given")
    focal = focal_length_pixels(data, *size)
    if focal is not None:
        return SourcedCamera(Camera.from_fov(size, 2 * math.atan(max(size) / 2 / focal)), "exif")
    return SourcedCamera(Camera.from_fov(size, ASSUMED_FOV), "assumed")
