"""The contract of an exported network: its inputs and outputs, written into its ONNX file, so that any system runs.

The metadata of the file has one entry, `knuckle`, with the JSON of a `Contract`. Inputs and outputs have the names
listed here; the first axis of each is the batch.

    input       shape             what
    image       (B, H, W, 3)      uint8 RGB, the crop
    K           (B, 3, 3)         float32, intrinsics of the crop, mirrored where the crop is
    box         (B, 4)            float32, the crop's square x0, y0, x1, y1 in the picture, before it is rotated
    side        (B, 2)            float32, (1, 0) for a left hand and (0, 1) for a right one, as the crop shows it
    joints_image (B, 21, 2)       float32, joints in pixels of the crop, NaN for those that are not known: those of the
                                  network that guides this one, or true ones
    points      (B, 29, 2)        float32, the true joints and corners in pixels of the crop, in place of image: of a
                                  network that only lifts points into space, where the truth is known (knuckle eval)

    output      shape             what, of a hand network
    joints      (B, 21, 3)        in the contract's `coordinates`; required
    uncertainty (B, 21)           expected absolute error of each coordinate, in the unit of the first coordinate:
                                  pixels of the crop, metres, or lengths of the bone
    left        (B,)              probability that the crop, mirrored or not, shows a left hand
    presence    (B,)              probability that it shows a hand at all
    vertices    (B, V, 3)         of a mesh, in the same coordinates
    corners     (B, 8, 3)         of the held object's box (skeleton.BOX_CORNERS), in the same coordinates
    corner_uncertainty (B, 8)     of the corners, as uncertainty
    holds       (B,)              probability that the hand holds an object: its corners are left out where it does not
    category    (B, C)            probabilities of the held object's categories
    mask        (B, h, w)         probability that a cell of the crop shows the hand
    mask_complete (B, h, w)       probability that it lies on the hand, whatever is in front of that

    output      shape             what, of a detector
    maps        (B, 8, h, w)      see knuckle.predict.detect

An inverse-kinematics network takes joints in place of a picture; see knuckle.predict.ik.

    input       shape             what
    joints      (B, 21, 3)        float32 metres, of right hands; required
    shape       (B, S)            float32, where the shape is known

    output      shape             what
    angles      (B, 23)           radians, within their limits; these or the next are required
    vectors     (B, 15, 3)        rotation vectors of the finger joints, of a network without the 23 angles
    shape       (B, S)
    turn        (B, 6)            rotation of the hand, of a network that takes joints in any frame; without it they are
                                  to be in the hand's frame, their palm aligned with the average adult's

All outputs for a mirrored crop describe the mirrored scene: a left hand is a right hand there, and the corners of its
object's box are numbered as there (knuckle.skeleton.MIRRORED_BOX_CORNERS).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from knuckle.files import InputError, parse_json
from knuckle.skeleton import BONES

METADATA_KEY = "knuckle"
VERSION = 1
LARGEST_CROP = 4096  # pixels a side; more is a damaged file's, and would fill the memory
INPUTS = {
    "hand": ("image", "K", "box", "side", "joints_image", "points"),
    "detector": ("image", "K", "box"),
    "ik": ("joints", "shape"),
}
OUTPUTS = {
    "hand": (
        *("joints", "uncertainty", "left", "presence", "vertices", "mask", "mask_complete"),
        *("corners", "corner_uncertainty", "holds", "category"),
    ),
    "detector": ("maps",),
    "ik": ("angles", "vectors", "shape", "turn"),
}
REQUIRED_INPUT = {"hand": ("image", "points"), "detector": ("image",), "ik": ("joints",)}
REQUIRED_OUTPUT = {"hand": ("joints",), "detector": ("maps",), "ik": ("angles", "vectors")}


class ContractError(InputError):
    """An ONNX file has no usable contract; the message says what to do."""


@dataclass(frozen=True)
class CropRule:
    """How the square input of a network is cropped from a picture.

    Attributes:
        size: pixels along one side of the network's input.
        orientation: "upright": rotated so that the hand points up; "picture": along the axes of the picture.
        margin: side of the square over the longer side of the joints' bounding box.
        hands: "either": of both sides, not mirrored; "right": left hands are mirrored.
    """

    size: int = 128
    orientation: Literal["upright", "picture"] = "upright"
    margin: float = 1.3
    hands: Literal["either", "right"] = "either"

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or not 1 <= self.size <= LARGEST_CROP or not 0.1 <= self.margin <= 10:
            raise ValueError(
                f"crop must have a whole size of 1 to {LARGEST_CROP} and a margin of 0.1 to 10 but got {self}"
            )
        if self.orientation not in ("upright", "picture") or self.hands not in ("either", "right"):
            raise ValueError(f'crop must be "upright" or "picture", of "either" or "right" hands, but got {self}')


@dataclass(frozen=True)
class Contract:
    """See the module.

    Attributes:
        system: the name of the system it was exported from.
        kind: "hand", for crops, "detector", for whole pictures, or "ik", for joints.
        crop: of a hand network; only the size of a detector's counts.
        coordinates: of joints, vertices and corners. "sight": u, v in pixels of the crop and the depth along
            the line of sight of joint 9 in such pixels (knuckle.predict.place). "2.5d": u, v in pixels of the crop and
            the depth behind `root` in lengths of `bone`. "metric": metres in the frame of the crop's camera.
            "normalised": the same in lengths of `bone`, which is taken to be an average adult's where it is not known.
        root, bone: of 2.5D and normalised coordinates.
        inputs, outputs: names, in the graph's order.
        categories: names of the held object's categories.
    """

    system: str
    kind: Literal["hand", "detector", "ik"] = "hand"
    crop: CropRule = field(default_factory=CropRule)
    coordinates: Literal["sight", "2.5d", "metric", "normalised"] = "sight"
    root: int = 9
    bone: tuple[int, int] = (0, 9)
    inputs: tuple[str, ...] = ("image",)
    outputs: tuple[str, ...] = ("joints",)
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in OUTPUTS:
            raise ValueError(f'kind must be "hand", "detector" or "ik" but got {self.kind!r}')
        if self.coordinates not in ("sight", "2.5d", "metric", "normalised"):
            raise ValueError(
                f'coordinates must be "sight", "2.5d", "metric" or "normalised" but got {self.coordinates!r}'
            )
        for what, given, known, needed in (
            ("inputs", self.inputs, INPUTS[self.kind], REQUIRED_INPUT[self.kind]),
            ("outputs", self.outputs, OUTPUTS[self.kind], REQUIRED_OUTPUT[self.kind]),
        ):
            if not set(needed) & set(given) or not set(given) <= set(known) or len(set(given)) < len(given):
                one = " or ".join(needed)
                raise ValueError(f"{what} must be {one} and others of {', '.join(known)} but got {given}")
        joints = (self.root, *self.bone)
        if not all(isinstance(j, int) and 0 <= j < 21 for j in joints) or len(self.bone) != 2:
            raise ValueError(f"root and bone must name joints 0 to 20 but got {self.root} and {self.bone}")
        if self.coordinates == "normalised" and self.bone not in BONES:
            raise ValueError(f"bone must join a joint to its parent, as (0, 9) and (9, 10) do, but got {self.bone}")
        if {"image", "points"} <= set(self.inputs):
            raise ValueError("inputs must have an image or points but have both")
        if "corners" not in self.outputs and {"corner_uncertainty", "holds"} & set(self.outputs):
            raise ValueError("outputs must have corners where they have corner_uncertainty or holds but have none")
        if "category" in self.outputs and not self.categories:
            raise ValueError("categories must name the classes of the output category but is empty")

    @property
    def in_space(self) -> bool:
        """Whether coordinates are points in the frame of the crop's camera, not pixels and a depth."""
        return self.coordinates in ("metric", "normalised")

    @property
    def needs_guide(self) -> bool:
        """Whether another network must first give the place and the side of a hand."""
        told = self.crop.hands == "right" or {"side", "joints_image"} & set(self.inputs)
        return bool(told) or not {"left", "presence"} <= set(self.outputs)

    @property
    def predicts_side(self) -> bool:
        """Whether the network predicts the side: it has that output, and its crops are not mirrored by side."""
        return self.crop.hands == "either" and "left" in self.outputs

    def to_metadata(self) -> dict[str, str]:
        """The entry for the file's metadata."""
        return {METADATA_KEY: json.dumps({"version": VERSION, **asdict(self)})}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Contract":
        """Read the entry that to_metadata wrote.

        Raises:
            ContractError: the file has no contract, one of another version, or a damaged one.
        """
        if METADATA_KEY not in metadata:
            raise ContractError(
                f"must have a contract in its metadata, under {METADATA_KEY!r}, but has none; export its checkpoint "
                "with `knuckle export`, or add one as docs/training.md shows"
            )
        try:
            data = parse_json(metadata[METADATA_KEY], "the contract")
            version = data.pop("version")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ContractError(f"has damaged metadata ({error}); export it again") from None
        if version != VERSION:
            raise ContractError(f"must have metadata of version {VERSION} but has version {version}; export it again")
        try:
            return cls(**_entries(data))
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise ContractError(f"has metadata that cannot be used ({error}); export it again") from None


def _entries(data: dict[str, Any]) -> dict[str, Any]:
    unknown = set(data) - {f.name for f in fields(Contract)}
    if unknown:
        raise ValueError(f"unknown entries {', '.join(sorted(unknown))}")
    entries: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    if "crop" in entries:
        entries["crop"] = CropRule(**entries["crop"])
    return entries
