"""A hand as prediction returns it, and its form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt8

from knuckle.camera import Camera
from knuckle.gestures import named_gestures
from knuckle.handmodel import HandLimits, HandModel
from knuckle.handmodel.ranges import Excess, excess
from knuckle.sample.angles import Angles
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
        angles: `Angles`: 23 radians as an array and by name; a sequence or mapping of 23 is taken too.
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
        if not isinstance(self.angles, Angles):
            object.__setattr__(self, "angles", Angles(self.angles))

    @property
    def faces(self) -> Int[np.ndarray, "F 3"]:
        """(F, 3) indices of vertices_camera, counter-clockwise seen from outside; read-only."""
        return _faces(self.side)

    @property
    def gesture(self) -> str | None:
        """Name of the nearest of the 100 named poses, None where none is near; see `Gestures` for names of yours."""
        return named_gestures().name(self.angles)

    def draw(self, image: UInt8[np.ndarray, "h w 3"], mesh: bool = True) -> UInt8[np.ndarray, "h w 3"]:
        """A copy of the picture with the hand drawn over it; see `Hands.draw`."""
        from knuckle.results import draw_hands

        return draw_hands(image, [self], mesh)

    def save(self, path: Path | str) -> Path:
        """Write the hand to a .glb, .obj, .json or .npz file; see `Hands.save`."""
        from knuckle.results import save_hands

        return save_hands([self], path)

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


@cache
def _faces(side: Literal["left", "right"]) -> Int[np.ndarray, "F 3"]:
    faces = np.asarray(HandModel.open().faces_of(side)).astype(np.int64)
    faces.flags.writeable = False
    return faces
