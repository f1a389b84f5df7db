"""The skin of a hand as points, how they move with its angles, and how they touch an object."""

from dataclasses import dataclass

import numpy as np

from knuckle.geometry.rotation import rotation_about
from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_JOINT
from knuckle.synth.poses import FINGER_STARTS
from knuckle.synth.surface import HandSurface

TOUCH = 0.001  # metres from the object within which skin touches it
MAX_PENETRATION = 0.002  # metres, the 95th percentile over the skin that touches
MIN_CONTACTS = 3  # parts of the hand that touch
_OPPOSED = -0.3  # cosine of the normals of two contacts on different sides
MAX_SELF_PENETRATION = 0.004  # metres, of the capsules of a hand


@dataclass(frozen=True)
class Touch:
    """How a grasp touches.

    Attributes:
        penetration: 95th percentile over the skin that touches, metres. deepest: the same, the maximum.
        parts: (N,) bones that touch, ascending. points: (N, 3) of each the deepest point, in the hand's frame.
        normals: (N, 3) of the object there, same frame.
        self_penetration: of the hand's capsules, metres.
    """

    penetration: float
    deepest: float
    parts: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    self_penetration: float

    @property
    def opposed(self) -> bool:
        """Whether there are contacts on two sides of the object."""
        return len(self.normals) > 1 and float((self.normals @ self.normals.T).min()) < _OPPOSED

    @property
    def holds(self) -> bool:
        """Whether it is a grasp: little penetration, and three contacts on two sides."""
        return (
            self.penetration <= MAX_PENETRATION
            and len(self.parts) >= MIN_CONTACTS
            and self.opposed
            and self.self_penetration < MAX_SELF_PENETRATION
        )

    def joints(self) -> np.ndarray:
        """(21,) bool: whether the part of the hand at each joint touches: the bone that ends there, of the wrist and
        the fingers' bases the palm."""
        touched = np.zeros(21, bool)
        for part in self.parts:
            # Bone 1 + 3 f + l of finger f runs from its joint l to l + 1, counted from the thumb's CMC or the MCP.
            touched[0 if part == 0 else 4 * ((part - 1) // 3) + (part - 1) % 3 + 2] = True
        return touched


@dataclass(frozen=True)
class PosedSkin:
    """The skin of a hand in a pose.

    Attributes:
        points: (N, 3) in the hand's frame. joints: (21, 3).
        axes: (23, 3) the axes of the angles, and pivots: (23, 3) the points they go through.
    """

    points: np.ndarray
    joints: np.ndarray
    axes: np.ndarray
    pivots: np.ndarray


class Skin:
    """Points on the skin of the hand without the forearm, and what they belong to.

    Args:
        model: the free hand. surface: its mesh.

    Attributes:
        bone: (N,) the bone of each point. pads: of each bone, the points of its palmar side.
        coarse: (M,) some of the points, enough to find out whether a finger touches something thick.
    """

    def __init__(self, model: HandModel, surface: HandSurface) -> None:
        self.model = model
        faces = surface.faces[np.isin(surface.faces, surface.hand_vertices).all(1)]
        bone = np.concatenate([surface.bones[surface.hand_vertices], surface.bones[faces[:, 0]]])
        kept = bone < surface.forearm_bone
        # Vertices are up to 6 mm apart, as much as a pencil is thick: the middles of faces as well.
        corners = np.concatenate([np.repeat(surface.hand_vertices[:, None], 3, axis=1), faces])[kept]
        self._corners = corners.T.copy()
        self.bone = bone[kept]
        self.coarse = np.arange(0, int(kept[: len(surface.hand_vertices)].sum()), 2)
        self.pads = self._find_pads(self._sampled(surface.rest), self._sampled(surface.normals(surface.rest, False)))
        # How much of a point's weight moves with each angle: that of the bones from the angle's joint to the tip.
        weights = np.asarray(model.weights)
        carried = np.zeros((23, weights.shape[1]))
        for angle, joint in enumerate(ANGLE_JOINT):
            carried[angle, 1 + joint : 1 + 3 * (joint // 3 + 1)] = 1.0
        self._carried = self._sampled(weights) @ carried.T

    def _sampled(self, of_vertices: np.ndarray) -> np.ndarray:
        """Values (V, D) of the mesh's vertices at the points of the skin, (N, D)."""
        a, b, c = self._corners
        return (of_vertices[a] + of_vertices[b] + of_vertices[c]) / 3

    def posed(self, angles: np.ndarray, shape: np.ndarray) -> PosedSkin:
        """The skin with angles (23,) of a hand of shape (S,)."""
        posed = self.model(angles, shape=shape)
        turns = posed.bone_transforms[:, :3, :3]
        axes = np.asarray(self.model.angle_axis).copy()
        for angle, joint in enumerate(ANGLE_JOINT):
            # Of a joint with several angles each turns the axes of those after it.
            for earlier in range(angle - 1, -1, -1):
                if ANGLE_JOINT[earlier] != joint:
                    break
                axes[angle] = rotation_about(self.model.angle_axis[earlier], angles[earlier]) @ axes[angle]
            if joint % 3:
                axes[angle] = turns[joint] @ axes[angle]
        pivots = posed.joints[[1 + 4 * (joint // 3) + joint % 3 for joint in ANGLE_JOINT]]
        return PosedSkin(self._sampled(posed.vertices), posed.joints, axes, pivots)

    def velocities(self, skin: PosedSkin, which: np.ndarray) -> np.ndarray:
        """How the points (M,) move with each angle, (M, 23, 3) metres per radian.

        To first order in how much the bones that move a point differ, which is enough to descend.
        """
        arms = skin.points[which][:, None] - skin.pivots
        return np.cross(skin.axes, arms) * self._carried[which][..., None]

    def _find_pads(self, rest: np.ndarray, normals: np.ndarray) -> dict[int, np.ndarray]:
        """For each bone of the hand the points of its palmar side, away from its ends."""
        pads = {0: np.flatnonzero((self.bone == 0) & (normals[:, 2] > 0.5) & (rest[:, 1] > 0.02))}
        flexion = [0, 3, 6, *(s + i for s in FINGER_STARTS for i in (1, 2, 3))]
        for bone in range(1, 16):
            joint = 1 + 4 * ((bone - 1) // 3) + (bone - 1) % 3
            start, end = self.model.joints_rest[joint], self.model.joints_rest[joint + 1]
            palmar = np.cross(self.model.angle_axis[flexion[bone - 1]], end - start)
            palmar /= np.linalg.norm(palmar)
            share = (rest - start) @ (end - start) / ((end - start) @ (end - start))
            pads[bone] = np.flatnonzero((self.bone == bone) & (normals @ palmar > 0.45) & (share > 0.2) & (share < 0.9))
        return pads
