"""The object held by a hand: its bounding box, pose and category, and their form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from knuckle.sample.validate import check_array, check_finite, check_rigid
from knuckle.skeleton import BOX_CORNERS, JOINT_NAMES

_KEYS = (
    *("corners_camera", "T_camera_object", "category", "category_probability"),
    *("probability", "corner_uncertainty_mm", "contacts_camera"),
)
# As for a hand: micrometres, and rotations as precise at a lever arm of a metre.
_DECIMALS = {"corners_camera": 6, "T_camera_object": 8, "corner_uncertainty_mm": 3}
_NO_CONTACTS: Mapping[str, np.ndarray] = MappingProxyType({})


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
        probability: 0 to 1, that the hand holds an object at all; None where it is not predicted.
        corner_uncertainty_mm: (8,) expected distance of each corner from the truth, millimetres, where it is predicted.
        contacts_camera: (3,) metres, where joints of the hand touch the box, by their names.

    Raises:
        ValueError: a field has another shape, type or range than described here, or is not finite.
    """

    corners_camera: np.ndarray | None = None
    T_camera_object: np.ndarray | None = None
    category: str | None = None
    category_probability: float | None = None
    probability: float | None = None
    corner_uncertainty_mm: np.ndarray | None = None
    contacts_camera: Mapping[str, np.ndarray] = field(default_factory=lambda: _NO_CONTACTS)

    def __post_init__(self) -> None:
        if self.corners_camera is not None:
            check_array("corners_camera", self.corners_camera, (8, 3))
            check_finite("corners_camera", self.corners_camera)
        elif self.category is None:
            raise ValueError("an object must have corners_camera, or a category alone, but has neither")
        elif self.T_camera_object is not None or self.corner_uncertainty_mm is not None or self.contacts_camera:
            raise ValueError("an object must have corners_camera with its pose, uncertainty or contacts but has none")
        if self.T_camera_object is not None:
            check_rigid("T_camera_object", self.T_camera_object)
        if self.category is not None and not (isinstance(self.category, str) and self.category):
            raise ValueError(f"category must be a name or None but got {self.category!r}")
        for name in ("category_probability", "probability"):
            probability = getattr(self, name)
            if probability is not None and not 0 <= probability <= 1:
                raise ValueError(f"{name} must be between 0 and 1 but got {probability}")
        probability = self.category_probability
        if probability is not None and self.category is None:
            raise ValueError(f"category must be named where its probability ({probability}) is given but is None")
        if self.corner_uncertainty_mm is not None:
            check_array("corner_uncertainty_mm", self.corner_uncertainty_mm, (8,))
            check_finite("corner_uncertainty_mm", self.corner_uncertainty_mm)
        for name, point in self.contacts_camera.items():
            if name not in JOINT_NAMES:
                raise ValueError(f"contacts_camera must be named as skeleton.JOINT_NAMES but got {name!r}")
            check_array("contacts_camera", point, (3,))
            check_finite("contacts_camera", point)
        object.__setattr__(self, "contacts_camera", MappingProxyType(dict(self.contacts_camera)))

    def __reduce__(self) -> tuple:
        # pickle, and with it every process pool, does not support read-only mappings
        values = [getattr(self, f.name) for f in fields(self)]
        return type(self), tuple(dict(v) if isinstance(v, MappingProxyType) else v for v in values)

    @property
    def size(self) -> np.ndarray | None:
        """(3,) metres: the mean lengths of the box's edges along its x, y and z axis; None where there is no box."""
        if self.corners_camera is None:
            return None
        ends = np.array([[(i, i | bit) for i in range(8) if not i & bit] for bit in (4, 2, 1)])
        edges = self.corners_camera[ends[..., 1]] - self.corners_camera[ends[..., 0]]
        return np.linalg.norm(edges, axis=-1).mean(-1)

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
        """Numbers, lists and texts.

        Returns:
            corners_camera (8 x 3 m), T_camera_object (4 x 4), category, category_probability, probability,
            corner_uncertainty_mm (8), each of them null where it is missing, contacts_camera (names of joints: 3 m).
        """

        def rounded(name: str, value: np.ndarray | None) -> list | None:
            return None if value is None else (np.round(value.astype(np.float64), _DECIMALS[name]) + 0.0).tolist()

        def share(value: float | None) -> float | None:
            return None if value is None else round(float(value), 4)

        return {
            "corners_camera": rounded("corners_camera", self.corners_camera),
            "T_camera_object": rounded("T_camera_object", self.T_camera_object),
            "category": self.category,
            "category_probability": share(self.category_probability),
            "probability": share(self.probability),
            "corner_uncertainty_mm": rounded("corner_uncertainty_mm", self.corner_uncertainty_mm),
            "contacts_camera": {name: rounded("corners_camera", p) for name, p in self.contacts_camera.items()},
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
            uncertainty = data["corner_uncertainty_mm"]
            uncertainty = None if uncertainty is None else np.asarray(uncertainty, dtype=np.float64)
            contacts = {name: np.asarray(p, dtype=np.float64) for name, p in dict(data["contacts_camera"]).items()}
        except (TypeError, ValueError) as error:
            raise ValueError(f"object must hold lists of numbers but does not ({error})") from error
        shares = (data["category"], data["category_probability"], data["probability"])
        return cls(corners, pose, *shares, uncertainty, contacts)


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
