"""A person's body: its shape, its posture, and the skin over them.

Body frame: metres, x to the body's left, y up, z to the front. The body has no hands; each forearm ends at the wrist,
where the free hand continues it. The asset and its licence are described in data/PROVENANCE.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from itertools import pairwise

import numpy as np

SIDES = ("right", "left")
# The layers of the mesh; see data/PROVENANCE.md.
LAYERS = ("skin", "mouth", "eyes", "shirt", "trousers", "hair")
_SPINE = ("spine_01", "spine_02", "spine_03")
_UPPER_ARM, _FOREARM = 3, 4  # bones, which share the twist


@dataclass(frozen=True)
class Posture:
    """How the trunk, the head and the legs are held; radians, zero is upright.

    spine, head: (3,) forward, to the left, turned to the left. clavicles: (2, 2) of the right and left shoulder, raised
    and brought forward. thighs: (2, 2) raised to the front and spread. knees: (2,) bent.
    """

    spine: np.ndarray = field(default_factory=lambda: np.zeros(3))
    head: np.ndarray = field(default_factory=lambda: np.zeros(3))
    clavicles: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    thighs: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    knees: np.ndarray = field(default_factory=lambda: np.zeros(2))


@dataclass(frozen=True)
class Skeleton:
    """Where each bone is: rotations (B, 3, 3) from the rest pose, and places (B, 3) of the joints that they turn about,
    in the body frame."""

    rotations: np.ndarray
    places: np.ndarray

    def point(self, bone: int, rest: np.ndarray, rest_joint: np.ndarray) -> np.ndarray:
        """Where a point (..., 3) that is fixed to a bone is now, given the bone's joint at rest (3,)."""
        return (rest - rest_joint) @ self.rotations[bone].T + self.places[bone]


@dataclass(frozen=True)
class ShapedBody:
    """A body of a certain shape at rest: vertices (V, 3), joints by name, metres."""

    vertices: np.ndarray
    joints: Mapping[str, np.ndarray]

    def scaled(self, factor: float) -> "ShapedBody":
        """The same body, larger by a factor."""
        return ShapedBody(factor * self.vertices, {name: factor * joint for name, joint in self.joints.items()})

    def forearm_frame(self, side: str) -> np.ndarray:
        """(3, 3) columns: to the thumb's side, from elbow to wrist, and their cross product, at rest."""
        along = self.joints[f"{side}_wrist"] - self.joints[f"{side}_elbow"]
        return frame_along(along, self.joints[f"{side}_index_base"] - self.joints[f"{side}_little_base"])

    def lengths(self, side: str) -> tuple[float, float]:
        """Metres from the shoulder to the elbow and from the elbow to the wrist."""
        shoulder, elbow, wrist = (self.joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        return float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))


@dataclass(frozen=True)
class BodyModel:
    """The asset: the average adult and the directions in which bodies vary.

    Attributes:
        vertices: (V, 3) of the average adult. layers: name -> (F, 3) faces. weights: (V, B) rows of sum one.
        bone_names, joint_names, shape_names: of the B bones, J joints and D directions.
        joints: (J, 3). shape_vertices: (D, V, 3) and shape_joints: (D, J, 3) metres per unit.
    """

    vertices: np.ndarray
    layers: Mapping[str, np.ndarray]
    weights: np.ndarray
    bone_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    shape_names: tuple[str, ...]
    joints: np.ndarray
    shape_vertices: np.ndarray
    shape_joints: np.ndarray

    @classmethod
    def open(cls) -> "BodyModel":
        """The body of the package."""
        with resources.as_file(resources.files("knuckle.synth") / "data" / "open_body.npz") as path, np.load(path) as a:
            weights = a["weights"].astype(np.float32)
            return cls(
                vertices=a["vertices"].astype(np.float64),
                layers={name: a[f"faces_{name}"].astype(np.int64) for name in LAYERS},
                weights=weights / weights.sum(1, keepdims=True),
                bone_names=tuple(map(str, a["bone_names"])),
                joint_names=tuple(map(str, a["joint_names"])),
                shape_names=tuple(map(str, a["shape_names"])),
                joints=a["joints"].astype(np.float64),
                shape_vertices=a["shape_vertices"].astype(np.float32) * a["shape_step"],
                shape_joints=a["shape_joints"].astype(np.float64),
            )

    def shaped(self, coefficients: Mapping[str, float], scale: float = 1.0) -> ShapedBody:
        """A body of a shape.

        Args:
            coefficients: by names of shape_names; the others are zero. scale: factor on its size.

        Raises:
            ValueError: there is no direction of a name.
        """
        unknown = set(coefficients) - set(self.shape_names)
        if unknown:
            raise ValueError(
                f"directions must be of {', '.join(self.shape_names)} but got {', '.join(sorted(unknown))}"
            )
        row = np.array([coefficients.get(name, 0.0) for name in self.shape_names])
        vertices = self.vertices + np.tensordot(row.astype(np.float32), self.shape_vertices, 1)
        joints = self.joints + np.tensordot(row, self.shape_joints, 1)
        return ShapedBody(scale * vertices, dict(zip(self.joint_names, scale * joints, strict=True)))

    def bone(self, name: str) -> int:
        """The index of a bone."""
        return self.bone_names.index(name)

    @cached_property
    def _bone_joints(self) -> tuple[str, ...]:
        """The joint about which each bone turns; the parts of an arm about the shoulder and the elbow."""
        ends = {"upper_arm": "shoulder", "forearm": "elbow", "calf": "knee", "foot": "ankle"}
        names = []
        for bone in self.bone_names:
            side, _, part = bone.partition("_")
            base = part.rsplit("_", 1)[0] if part.startswith(("upper_arm", "forearm")) else part
            names.append(f"{side}_{ends.get(base, base)}" if side in SIDES else bone)
        return tuple(names)

    def trunk(self, body: ShapedBody, posture: Posture) -> Skeleton:
        """The skeleton of a posture, with the arms still as at rest, carried along by their clavicles."""
        rotations = np.tile(np.eye(3), (len(self.bone_names), 1, 1))
        places = np.stack([body.joints[name] for name in self._bone_joints])
        chain = ["pelvis", *_SPINE, "neck", "head"]
        for parent, name in pairwise(chain):
            share = posture.spine / 3 if name in _SPINE else posture.head / 2
            self._attach(rotations, places, body, parent, name, rotation_of(*share))
        for side, clavicle, thigh, knee in zip(SIDES, posture.clavicles, posture.thighs, posture.knees, strict=True):
            out = 1.0 if side == "left" else -1.0
            raised = rotation_of(0.0, -out * clavicle[0], 0.0) @ rotation_of(0.0, 0.0, -out * clavicle[1])
            self._attach(rotations, places, body, "spine_03", f"{side}_clavicle", raised)
            for part in self._arm_parts(side):
                self._attach(rotations, places, body, f"{side}_clavicle", part, np.eye(3))
            spread = rotation_of(-thigh[0], 0.0, 0.0) @ rotation_of(0.0, out * thigh[1], 0.0)
            self._attach(rotations, places, body, "pelvis", f"{side}_thigh", spread)
            self._attach(rotations, places, body, f"{side}_thigh", f"{side}_calf", rotation_of(knee, 0.0, 0.0))
            self._attach(rotations, places, body, f"{side}_calf", f"{side}_foot", np.eye(3))
        return Skeleton(rotations, places)

    def _arm_parts(self, side: str) -> list[str]:
        parts = [f"upper_arm_{k}" for k in range(_UPPER_ARM)] + [f"forearm_{k}" for k in range(_FOREARM)]
        return [f"{side}_{part}" for part in parts]

    def _attach(
        self,
        rotations: np.ndarray,
        places: np.ndarray,
        body: ShapedBody,
        parent: str,
        name: str,
        rotation: np.ndarray,
    ) -> None:
        """Sets a bone's rotation and place from its parent's, in place; rotation (3, 3) is its own."""
        p, i = self.bone(parent), self.bone(name)
        rest = body.joints[self._bone_joints[i]] - body.joints[self._bone_joints[p]]
        places[i] = places[p] + rotations[p] @ rest
        rotations[i] = rotations[p] @ rotation

    def with_arm(
        self, skeleton: Skeleton, body: ShapedBody, side: str, elbow: np.ndarray, wrist: np.ndarray, thumb: np.ndarray
    ) -> Skeleton:
        """The skeleton with an arm whose elbow and wrist are at points (3,) of the body frame, and whose thumb is on
        the side of the direction (3,).

        The distances between shoulder, elbow and wrist must be the body's lengths; the skin is stretched otherwise.
        """
        first = self.bone(f"{side}_upper_arm_0")
        shoulder, swing_from = skeleton.places[first], skeleton.rotations[self.bone(f"{side}_clavicle")]
        rest_upper = body.joints[f"{side}_elbow"] - body.joints[f"{side}_shoulder"]
        rest_lower = body.joints[f"{side}_wrist"] - body.joints[f"{side}_elbow"]
        hinge = elbow_hinge(elbow - shoulder, wrist - elbow, thumb)
        rest_hinge = cross(rest_upper, rest_lower)
        upper = frame_along(elbow - shoulder, hinge) @ frame_along(rest_upper, rest_hinge).T
        swing = shortest_arc(swing_from @ rest_upper, elbow - shoulder) @ swing_from
        lower = frame_along(wrist - elbow, hinge) @ frame_along(rest_lower, rest_hinge).T
        at_wrist = frame_along(wrist - elbow, thumb) @ body.forearm_frame(side).T
        rotations, places = skeleton.rotations.copy(), skeleton.places.copy()
        rotations[first : first + _UPPER_ARM] = _twists(swing, upper, elbow - shoulder, _UPPER_ARM)
        second = first + _UPPER_ARM
        rotations[second : second + _FOREARM] = _twists(lower, at_wrist, wrist - elbow, _FOREARM)
        places[second : second + _FOREARM] = elbow
        return Skeleton(rotations, places)

    def skin(self, body: ShapedBody, skeleton: Skeleton, *offsets: np.ndarray) -> np.ndarray:
        """The vertices (V, 3) of a posed body, by linear blend skinning; with offsets (V, 3) from its vertices at rest,
        those points as well: (1 + number of offsets, V, 3)."""
        rest = np.stack([body.joints[name] for name in self._bone_joints])
        shift = skeleton.places - np.einsum("bij,bj->bi", skeleton.rotations, rest)
        maps = np.concatenate([skeleton.rotations, shift[:, :, None]], axis=2).astype(np.float32)
        blended = (self.weights @ maps.reshape(len(maps), 12)).reshape(-1, 3, 4)
        vertices = body.vertices.astype(np.float32)
        if offsets:
            vertices = np.stack([vertices, *(vertices + offset.astype(np.float32) for offset in offsets)])
        return np.einsum("vij,...vj->...vi", blended[:, :, :3], vertices) + blended[:, :, 3]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product (..., 3); for single vectors many times faster than numpy.cross."""
    a0, a1, a2, b0, b1, b2 = a[..., 0], a[..., 1], a[..., 2], b[..., 0], b[..., 1], b[..., 2]
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0], out[..., 1], out[..., 2] = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    return out


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length one, in the directions of vectors (..., 3)."""
    return vector / np.sqrt((vector * vector).sum(-1, keepdims=True))


def elbow_hinge(upper: np.ndarray, lower: np.ndarray, thumb: np.ndarray) -> np.ndarray:
    """The axis (..., 3) about which the forearm flexes, not normalised.

    Args:
        upper: (..., 3) from shoulder to elbow. lower: (..., 3) from elbow to wrist. thumb: (..., 3) to the thumb's
            side; an arm that is stretched out has no other hinge than that of a forearm in neutral rotation.
    """
    upper, lower = unit(upper), unit(lower)
    bent = cross(upper, lower)
    neutral = unit(cross(lower, thumb))
    stretched = np.clip(1 - np.sqrt((bent * bent).sum(-1, keepdims=True)) / 0.2, 0, 1)
    return bent + 0.2 * stretched * neutral


def frame_along(along: np.ndarray, side: np.ndarray) -> np.ndarray:
    """A rotation (..., 3, 3) whose columns are: side made perpendicular, the unit vector along, their cross product."""
    y = unit(along)
    x = unit(side - y * (side * y).sum(-1, keepdims=True))
    out = np.empty((*x.shape, 3))
    out[..., 0], out[..., 1], out[..., 2] = x, y, cross(x, y)
    return out


def rotation_of(forward: float, left: float, turned: float) -> np.ndarray:
    """The rotation (3, 3) in the body frame that turns to the left, then leans to the left, then forward; radians."""
    cf, sf, cl, sl, ct, st = (f(a) for a in (forward, left, turned) for f in (np.cos, np.sin))
    lean = np.array([[1, 0, 0], [0, cf, -sf], [0, sf, cf]])
    bend = np.array([[cl, sl, 0], [-sl, cl, 0], [0, 0, 1]])
    return lean @ bend @ np.array([[ct, 0, st], [0, 1, 0], [-st, 0, ct]])


def shortest_arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation (..., 3, 3) that turns the direction start (..., 3) into end (..., 3).

    Undefined for opposite directions, where it is clamped to a large rotation about some axis.
    """
    a, b = unit(start), unit(end)
    axis = cross(a, b)
    turn = np.zeros((*axis.shape, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        turn[..., i, j], turn[..., j, i] = -axis[..., k], axis[..., k]
    factor = 1 / np.maximum(1 + (a * b).sum(-1), 1e-6)
    return np.eye(3) + turn + factor[..., None, None] * (turn @ turn)


def _twists(start: np.ndarray, end: np.ndarray, axis: np.ndarray, count: int) -> np.ndarray:
    """(count, 3, 3) rotations from start to end, which differ by a twist about the axis (3,)."""
    axis = axis / np.linalg.norm(axis)
    between = end @ start.T
    sine = (
        np.array([between[2, 1] - between[1, 2], between[0, 2] - between[2, 0], between[1, 0] - between[0, 1]]) @ axis
    )
    angle = np.arctan2(sine, np.trace(between) - 1)
    x, y, z = axis
    about = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turns = []
    for share in np.linspace(0, 1, count):
        s, c = np.sin(share * angle), np.cos(share * angle)
        turns.append((np.eye(3) + s * about + (1 - c) * about @ about) @ start)
    return np.stack(turns)
