"""The object held by a hand: its bounding box, pose and category, and their form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from knuckle.sample.validate import check_array, check_finite, check_rigid
from knuckle.skeleton import BOX_CORNERS

_KEYS = ("corners_camera", "T_camera_object", "category", "category_probability")
# As for a hand: micrometres, and rotations as precise at a lever arm of a metre.
_DECIMALS = {"corners_camera": 6, "T_camera_object": 8}


@dataclass(frozen=True, eq=False)
class HeldObject:
    """A held object, in metres, in the frame of the camera that took the picture.

    Attributes:
        corners_camera: (8, 3) of its bounding box, in the order of skeleton.BOX_CORNERS; None where only its category
            is predicted.
        T_camera_object: (4, 4) proper, from the box's own frame: origin in its centre, axes along its edges. None
            where the corners do not determine it.
        category: its name; None where it is not predicted.
        category_probability: 0 to 1, of that category.

    Raises:
        ValueError: a field has another shape, type or range than described here, or is not finite.
    """

    corners_camera: np.ndarray | None = None
    T_camera_object: np.ndarray | None = None
    category: str | None = None
    category_probability: float | None = None

    def __post_init__(self) -> None:
        if self.corners_camera is not None:
            check_array("corners_camera", self.corners_camera, (8, 3))
            check_finite("corners_camera", self.corners_camera)
        elif self.category is None or self.T_camera_object is not None:
            raise ValueError("an object must have corners_camera, or a category alone, but has neither")
        if self.T_camera_object is not None:
            check_rigid("T_camera_object", self.T_camera_object)
        if self.category is not None and not (isinstance(self.category, str) and self.category):
            raise ValueError(f"category must be a name or None but got {self.category!r}")
        probability = self.category_probability
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"category_probability must be between 0 and 1 but got {probability}")
        if probability is not None and self.category is None:
            raise ValueError(f"category must be named where its probability ({probability}) is given but is None")

    @classmethod
    def from_corners(
        cls,
        corners_camera: Float[np.ndarray, "8 3"],
        category: str | None = None,
        category_probability: float | None = None,
    ) -> "HeldObject":
        """The object with the pose of the box that fits its corners best; the corners are kept unchanged."""
        return cls(corners_camera, box_pose(corners_camera), category, category_probability)

    def to_json(self) -> dict[str, Any]:
        """corners_camera (8 x 3 m), T_camera_object (4 x 4), category, category_probability; null where missing."""
        arrays = {
            name: None if value is None else (np.round(value.astype(np.float64), _DECIMALS[name]) + 0.0).tolist()
            for name, value in (("corners_camera", self.corners_camera), ("T_camera_object", self.T_camera_object))
        }
        probability = self.category_probability
        return arrays | {
            "category": self.category,
            "category_probability": None if probability is None else round(float(probability), 4),
        }

    @classmethod
    def from_json(cls, data: Any) -> "HeldObject":
        """Read what to_json wrote.

        Raises:
            ValueError: a key is missing or unknown, or a value does not fit.
        """
        if not isinstance(data, Mapping) or set(data) != set(_KEYS):
            came = sorted(data) if isinstance(data, Mapping) else data
            raise ValueError(f"object must be null or have the keys {', '.join(_KEYS)} but got {came!r}")
        try:
            corners = data["corners_camera"]
            corners = None if corners is None else np.asarray(corners, dtype=np.float64)
            pose = data["T_camera_object"]
            pose = None if pose is None else np.asarray(pose, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"object must hold lists of numbers but does not ({error})") from error
        return cls(corners, pose, data["category"], data["category_probability"])


def box_pose(corners: Float[np.ndarray, "8 3"]) -> Float[np.ndarray, "4 4"] | None:
    """The pose of the box that fits eight corners best.

    Args:
        corners: (8, 3) in the order of skeleton.BOX_CORNERS, any unit, possibly noisy.

    Returns:
        (4, 4) proper: origin in the corners' mean, axes along the edges. None where the corners are collinear: the
        rotation about their line is undetermined.
    """
    middle = corners.mean(0)
    # Columns: the mean of the four parallel edges in each direction.
    edges = (corners - middle).T @ np.array(BOX_CORNERS) / 2
    rotation = np.eye(3)
    # The directions of long edges are most accurate: the nearest rotation, with edges weighted by their lengths along
    # the axes of the previous iteration.
    lengths = np.linalg.norm(edges, axis=0)
    if np.linalg.svd(edges, compute_uv=False)[1] < 1e-6 * max(float(lengths.max()), 1e-12):
        return None
    for _ in range(2):
        u, _, v = np.linalg.svd(edges * lengths)
        rotation = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
        lengths = np.abs((rotation * edges).sum(0))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, middle
    return T
