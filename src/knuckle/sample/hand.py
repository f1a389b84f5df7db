"""A hand as prediction returns it, and its form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.handmodel import ANGLE_NAMES, HandLimits
from knuckle.handmodel.ranges import Excess, excess
from knuckle.sample.hand_masks import HandMasks
from knuckle.sample.held_object import HeldObject
from knuckle.sample.validate import check_array, check_box, check_finite, check_rigid, check_side

# Decimals in JSON: micrometres, thousandths of a pixel and of a millimetre, microradians. Anything finer is noise,
# and differs between machines.
_DECIMALS = {
    "box": 3,
    "joints_image": 3,
    "joints_camera": 6,
    "joint_uncertainty_mm": 3,
    "shape": 5,
    "T_camera_hand": 8,
}
_JSON_KEYS = ("id", "side", "score", *_DECIMALS, "angles", "plausibility", "object")


def _rounded(name: str, value: np.ndarray) -> list:
    # + 0.0 turns -0.0 into 0.0
    return (np.round(value.astype(np.float64), _DECIMALS[name]) + 0.0).tolist()


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand found in a picture, in metres, in the frame of the camera that took it.

    Attributes:
        side: "left" or "right".
        score: 0 to 1, confidence that this is a hand.
        box: (4,) x0, y0, x1, y1 in pixels of the picture.
        joints_camera: (21, 3) metres.
        angles: radians by name, all of handmodel.ANGLE_NAMES; a sequence of 23 in that order is taken too.
        shape: (10,) of the open hand.
        T_camera_hand: (4, 4) proper for both sides.
        joint_uncertainty_mm: (21,) expected distance of each joint from the truth, millimetres.
        plausibility: 0 to 1, how well the fitted hand explains the network's joints, times how near those are to the
            limits of human hands by themselves (1 within them; see handmodel.ranges.plausibility).
        camera: that took the picture; its frame is that of joints_camera.
        vertices_camera: (V, 3) metres; None if read from JSON.
        joints_network: (21, 3) metres, the network's own output in the camera's frame, before the fit.
        vertices_network: (V, 3) metres, likewise the network's own mesh, in its own topology.
        object: the held object; None where there is none, or the network does not predict one.
        masks: of the picture, as the network predicts them; None where it does not, and if read from JSON.
        id: of the track in a video, from 0; None in a picture.

    Raises:
        ValueError: a field has another shape, type or range than described here, or is not finite.
    """

    side: Literal["left", "right"]
    score: float
    box: np.ndarray
    joints_camera: np.ndarray
    angles: Any
    shape: np.ndarray
    T_camera_hand: np.ndarray
    joint_uncertainty_mm: np.ndarray
    plausibility: float
    camera: Camera = field(repr=False)
    vertices_camera: np.ndarray | None = field(default=None, repr=False)
    joints_network: np.ndarray | None = field(default=None, repr=False)
    vertices_network: np.ndarray | None = field(default=None, repr=False)
    object: HeldObject | None = None
    masks: HandMasks | None = field(default=None, repr=False)
    id: int | None = None

    def __post_init__(self) -> None:
        check_side(self.side)
        for name in ("score", "plausibility"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be between 0 and 1 but got {value}")
        check_box("box", self.box)
        check_rigid("T_camera_hand", self.T_camera_hand)
        required = {"joints_camera": (21, 3), "shape": (10,), "joint_uncertainty_mm": (21,)}
        optional = {"vertices_camera": ("V", 3), "joints_network": (21, 3), "vertices_network": ("V", 3)}
        given = required | {name: shape for name, shape in optional.items() if getattr(self, name) is not None}
        for name, shape in given.items():
            check_array(name, getattr(self, name), shape)
            check_finite(name, getattr(self, name))
        if self.joints_camera[:, 2].min() <= 0:
            raise ValueError(
                f"joints_camera must lie in front of the camera but got the depth {self.joints_camera[:, 2].min()}"
            )
        if self.joint_uncertainty_mm.min() < 0:
            raise ValueError(f"joint_uncertainty_mm must not be negative but got {self.joint_uncertainty_mm.min()}")
        if not isinstance(self.camera, Camera) or self.camera.K.shape != (3, 3):
            raise ValueError(f"camera must be a Camera with K (3, 3) but got {self.camera!r}")
        if self.object is not None and not isinstance(self.object, HeldObject):
            raise ValueError(f"object must be a HeldObject or None but got {type(self.object).__name__}")
        if self.id is not None and (type(self.id) is not int or self.id < 0):
            raise ValueError(f"id must be an integer from 0, or None in a picture, but got {self.id!r}")
        object.__setattr__(self, "angles", _named_angles(self.angles))

    def __reduce__(self) -> tuple:
        # pickle, and with it every process pool, does not support read-only mappings
        values = [getattr(self, f.name) for f in fields(self)]
        return type(self), tuple(dict(v) if isinstance(v, MappingProxyType) else v for v in values)

    @property
    def joints_image(self) -> np.ndarray:
        """(21, 2) pixels: the projection of joints_camera."""
        return self.camera.project(self.joints_camera)

    def excess(self, limits: HandLimits | None = None) -> Excess:
        """By how much the hand is outside limits of bones, palm and angles; all zero for a possible hand.

        Args:
            limits: such as a person's own; human_limits where None.

        Returns:
            lengths (20,) in lengths of the limits' bone, curvature (4,), spread (4,) and angles (15,) radians, of the
            network's own joints where there are any: the fitted ones keep the limits of their angles.
        """
        joints = self.joints_camera if self.joints_network is None else self.joints_network
        return excess(joints, limits, self.side)

    def to_json(self) -> dict[str, Any]:
        """The hand as rounded numbers, lists and strings; a test fixes keys and units by a golden file.

        Returns:
            id (null in a picture), side, score, box, joints_image (21 x 2 px), joints_camera (21 x 3 m),
            joint_uncertainty_mm (21), angles (23 names: rad), shape (10), T_camera_hand (4 x 4), plausibility, object
            (null, or see HeldObject). Never NaN or infinity.
        """
        arrays = {name: _rounded(name, getattr(self, name)) for name in _DECIMALS}
        return {
            "id": self.id,
            "side": self.side,
            "score": round(float(self.score), 4),
            "box": arrays["box"],
            "joints_image": arrays["joints_image"],
            "joints_camera": arrays["joints_camera"],
            "joint_uncertainty_mm": arrays["joint_uncertainty_mm"],
            "angles": {name: round(value, 6) + 0.0 for name, value in self.angles.items()},
            "shape": arrays["shape"],
            "T_camera_hand": arrays["T_camera_hand"],
            "plausibility": round(float(self.plausibility), 4),
            "object": None if self.object is None else self.object.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], camera: Camera) -> "Hand":
        """Read what to_json wrote, without meshes and the network's own joints, which it does not write.

        Args:
            data: as to_json gives it.
            camera: of the picture; stored once per picture, not with each hand.

        Raises:
            ValueError: a key is missing or unknown, a value does not fit, or joints_image is more than half a pixel
                from the projection of joints_camera, which shows a wrong camera.
        """
        missing, unknown = set(_JSON_KEYS) - set(data), set(data) - set(_JSON_KEYS)
        if missing or unknown:
            raise ValueError(
                f"a hand must have the keys {', '.join(_JSON_KEYS)} but got {sorted(unknown)} too many "
                f"and {sorted(missing)} missing"
            )
        arrays = {}
        for name in _DECIMALS:
            try:
                arrays[name] = np.asarray(data[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} must be a list of numbers but got {data[name]!r}") from error
        joints_image = arrays.pop("joints_image")
        check_array("joints_image", joints_image, (21, 2))
        check_finite("joints_image", joints_image)
        others = {name: data[name] for name in ("id", "side", "score", "angles", "plausibility")}
        held = None if data["object"] is None else HeldObject.from_json(data["object"])
        hand = cls(**arrays, **others, camera=camera, object=held)
        distance = float(np.abs(hand.joints_image - joints_image).max())
        if not distance < 0.5:
            raise ValueError(
                f"joints_image must be the projection of joints_camera but is {distance:.2f} px from it; "
                "give the camera that is stored with the picture"
            )
        return hand


def _named_angles(angles: Any) -> Mapping[str, float]:
    if not isinstance(angles, Mapping):
        if len(angles) != len(ANGLE_NAMES):
            raise ValueError(f"angles must be {len(ANGLE_NAMES)} but got {len(angles)}")
        angles = dict(zip(ANGLE_NAMES, angles, strict=True))
    if set(angles) != set(ANGLE_NAMES):
        wrong = sorted(set(angles) ^ set(ANGLE_NAMES))
        raise ValueError(f"angles must be named as handmodel.ANGLE_NAMES but differ in {', '.join(wrong)}")
    named = {name: float(angles[name]) for name in ANGLE_NAMES}
    for name, value in named.items():
        if not np.isfinite(value):
            raise ValueError(f"angles must be finite but got {value} for {name}")
    return MappingProxyType(named)
