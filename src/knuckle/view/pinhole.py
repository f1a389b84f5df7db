"""The least a picture needs of a camera."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Camera(NamedTuple):
    """K (3, 3) intrinsics, pixel centres at integers; size (width, height)."""

    K: Float[np.ndarray, "3 3"]
    size: tuple[int, int] | None = None

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """Pixels of points in the camera frame."""
        image = points @ self.K.T
        return image[..., :2] / image[..., 2:]
