"""How a hand closes on an object: a contact search, and what it is measured by.

The palm is placed by the kind of grasp, each finger joint closes until the finger touches, and then all angles and the
object's pose are refined together: Gauss-Newton with damping on how deep the skin is inside the object, how far the
fingers that take part are from it, and how far the angles are from where the closing left them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.poses import named_pose
from knuckle.synth.collide import SelfCollision
from knuckle.synth.poses import FINGER_STARTS
from knuckle.synth.surface import HandSurface
from knuckle.synth.things import Hold, Thing
from knuckle.synth.touch import MAX_SELF_PENETRATION, TOUCH, PosedSkin, Skin, Touch

_GIVE = 0.0005  # metres by which skin may yield at no cost

# Weights of the residuals, all in metres.
_PENETRATION_WEIGHT = 2.0
_PRIOR = 0.004  # per radian from the angles after closing
_PRIOR_ABDUCTION = 0.02  # the same of abductions and the thumb's rotations
_PRIOR_COUPLING = 0.004  # per radian of DIP flexion from two thirds of PIP flexion
_PRIOR_PLACE = 0.02  # per metre, and of the rotation per radian a twentieth
_SELF_WEIGHT = 1.0
_FAR = 0.03  # metres; what is farther from the object than this is drawn towards it less and less

# Thumb angles of an open hand, ready to grasp, degrees.
_OPEN_THUMB = np.deg2rad([5, 42, 20, 0, 0, 0, 0])
_STIFF = np.array([4, 5, *FINGER_STARTS])  # angles that move little in a grasp


@dataclass(frozen=True)
class Grasp:
    """A hand on an object.

    Attributes:
        thing: the object's name. hold: index into its holds.
        T_hand_object: (4, 4) object to right hand's frame. angles: (23,) radians.
    """

    thing: str
    hold: int
    T_hand_object: np.ndarray
    angles: np.ndarray


class GraspSearch:
    """Finds and refines grasps.

    Args:
        model: the free hand. surface: its mesh.
    """

    def __init__(self, model: HandModel, surface: HandSurface) -> None:
        self.model, self.skin = model, Skin(model, surface)
        self.collision = SelfCollision(surface.radii())
        self.limits = angle_limits()

    def search(self, rng: np.random.Generator, thing: Thing, hold: int, shape: np.ndarray) -> Grasp:
        """One try at a grasp from a random place within the hold: close the fingers, then refine."""
        start = self._closed(thing, self._placed(rng, thing, hold, shape), shape)
        return self.refined(thing, start, shape, steps=30)

    def measure(self, thing: Thing, grasp: Grasp, shape: np.ndarray) -> Touch:
        """How the grasp touches the object. shape: (S,)."""
        skin = self.skin.posed(grasp.angles, shape)
        points, joints = skin.points, skin.joints
        R, t = grasp.T_hand_object[:3, :3], grasp.T_hand_object[:3, 3]
        inside = (points - t) @ R
        distance = thing.near_distance(inside)
        touching = distance < TOUCH
        depth = np.maximum(-distance[touching], 0)
        parts, nearest = [], []
        for bone in np.unique(self.skin.bone[touching]):
            own = np.flatnonzero(touching & (self.skin.bone == bone))
            parts.append(int(bone))
            nearest.append(int(own[np.argmin(distance[own])]))
        normals = thing.normal(inside[nearest]) @ R.T if nearest else np.empty((0, 3))
        return Touch(
            penetration=float(np.percentile(depth, 95)) if len(depth) else 0.0,
            deepest=float(depth.max()) if len(depth) else 0.0,
            parts=np.array(parts, int),
            points=points[nearest],
            normals=normals,
            self_penetration=self.collision.depth(joints),
        )

    def refined(self, thing: Thing, grasp: Grasp, shape: np.ndarray, steps: int) -> Grasp:
        """The grasp with angles and object moved so that the skin touches the object and does not enter it.

        Args:
            thing: the object. grasp: near one. shape: (S,) of the hand, which may be another than the grasp was for.
            steps: of Gauss-Newton.
        """
        hold = thing.holds[grasp.hold]
        current, damping = grasp, 1e-2
        residual, jacobian = self._residuals(thing, hold, current, grasp, shape)
        cost = residual @ residual
        for _ in range(steps):
            normal = jacobian.T @ jacobian
            damped = normal + damping * np.diag(np.diag(normal) + 1e-9)
            change = np.linalg.solve(damped, -jacobian.T @ residual)
            size = max(1.0, float(np.abs(change[:3]).max() / 0.01), float(np.abs(change[3:]).max() / 0.2))
            tried = self._changed(current, change / size)
            new_residual, new_jacobian = self._residuals(thing, hold, tried, grasp, shape)
            new_cost = new_residual @ new_residual
            if new_cost < cost:
                done = cost - new_cost < 1e-4 * cost
                current, residual, jacobian, cost = tried, new_residual, new_jacobian, new_cost
                damping = max(damping / 3, 1e-4)
                if done:
                    break
            else:
                damping *= 4
                if damping > 1e3:
                    break
        return current

    def _changed(self, grasp: Grasp, change: np.ndarray) -> Grasp:
        T = grasp.T_hand_object.copy()
        T[:3, 3] += change[:3]
        T[:3, :3] = axis_angle_to_matrix(change[3:6]) @ T[:3, :3]
        angles = np.clip(grasp.angles + change[6:], self.limits[:, 0], self.limits[:, 1])
        return replace(grasp, T_hand_object=T, angles=angles)

    def _residuals(
        self, thing: Thing, hold: Hold, grasp: Grasp, start: Grasp, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (M,) in metres and their derivatives (M, 29) by the object's position, rotation, and the angles."""
        skin = self.skin.posed(grasp.angles, shape)
        R, t = grasp.T_hand_object[:3, :3], grasp.T_hand_object[:3, 3]
        distance = thing.near_distance((skin.points - t) @ R)
        used = [int(i) for i in np.flatnonzero(distance < -_GIVE)]
        targets = [0.0] * len(used)
        weights = [_PENETRATION_WEIGHT * min(1.0, 30 / max(len(used), 1)) ** 0.5] * len(used)
        penetrating = len(used)
        for bone, weight in self._wanted(hold):
            pad = self.skin.pads[bone]
            nearest = pad[np.argmin(distance[pad])]
            gap = max(float(distance[nearest]), 0.0)
            used.append(int(nearest))
            targets.append(min(float(distance[nearest]), -0.5 * _GIVE))
            weights.append(weight / (1 + (gap / _FAR) ** 2))
        here = skin.points[used]
        normals = thing.normal((here - t) @ R) @ R.T
        offset = np.where(np.arange(len(used)) < penetrating, distance[used] + _GIVE, distance[used] - targets)
        scale = np.array(weights)[:, None]
        by_angles = np.einsum("bi,bai->ba", normals, self.skin.velocities(skin, np.array(used)))
        rows = [np.hstack([-normals, -np.cross(here - t, normals), by_angles]) * scale]
        values = [offset * scale[:, 0]]
        for value, row in (self._prior(grasp, start), self._self_contact(skin, grasp.angles, shape)):
            values.append(value)
            rows.append(row)
        return np.concatenate(values), np.concatenate(rows)

    def _wanted(self, hold: Hold) -> list[tuple[int, float]]:
        """Bones whose pads are to touch, with weights."""
        bones = [(3 * finger + 3, 1.0) for finger in hold.fingers]
        if hold.style == "palm":
            bones += [(3 * finger + 2, 0.35) for finger in hold.fingers]
            bones += [(3 * finger + 1, 0.2) for finger in hold.fingers if finger]
            bones.append((0, 0.5))
        return bones

    def _prior(self, grasp: Grasp, start: Grasp) -> tuple[np.ndarray, np.ndarray]:
        weights = np.full(23, _PRIOR)
        weights[_STIFF] = _PRIOR_ABDUCTION
        values = [weights * (grasp.angles - start.angles)]
        rows = [np.hstack([np.zeros((23, 6)), np.diag(weights)])]
        coupling = np.zeros((4, 29))
        for i, first in enumerate(FINGER_STARTS):
            coupling[i, 6 + first + 3], coupling[i, 6 + first + 2] = _PRIOR_COUPLING, -_PRIOR_COUPLING * 2 / 3
        values.append(coupling[:, 6:] @ grasp.angles)
        rows.append(coupling)
        moved = grasp.T_hand_object[:3, 3] - start.T_hand_object[:3, 3]
        values.append(_PRIOR_PLACE * moved)
        rows.append(np.hstack([_PRIOR_PLACE * np.eye(3), np.zeros((3, 26))]))
        # Rotation: damped only, so that an object that has no preferred one does not spin.
        rows.append(np.hstack([np.zeros((3, 3)), 0.001 * np.eye(3), np.zeros((3, 23))]))
        values.append(np.zeros(3))
        return np.concatenate(values), np.concatenate(rows)

    def _self_contact(self, skin: PosedSkin, angles: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        limit = 0.5 * MAX_SELF_PENETRATION
        overlaps = self.collision.overlaps(skin.joints) - limit
        deep = np.flatnonzero(overlaps > 0)
        if not len(deep):
            return np.empty(0), np.empty((0, 29))
        step = 1e-4
        moved = self.collision.overlaps(self.model.joints(angles + step * np.eye(23), shape=shape))[:, deep] - limit
        rows = (moved - overlaps[deep]).T / step
        return _SELF_WEIGHT * overlaps[deep], _SELF_WEIGHT * np.hstack([np.zeros((len(deep), 6)), rows])

    def _placed(self, rng: np.random.Generator, thing: Thing, hold_index: int, shape: np.ndarray) -> Grasp:
        """The open hand with the object before its palm or between its fingertips."""
        hold = thing.holds[hold_index]
        nominal = named_pose(hold.pose)
        share = rng.random()
        point = (1 - share) * np.array(hold.start) + share * np.array(hold.end)
        object_axes = _axes(*self._object_axes(rng, hold))
        palm = hold.style == "palm"
        turn = axis_angle_to_matrix(rng.normal(0, (0.2, 0.12, 0.12) if palm else (0.15, 0.12, 0.12)))
        shift = rng.normal(0, (0, 0.006, 0.006) if palm else (0, 0.004, 0.003))

        skin = self.skin.posed(nominal, shape)
        hand_axes, at = _palm_frame(skin.joints) if palm else self._pads_frame(skin, hold.fingers)
        T = np.eye(4)
        T[:3, :3] = hand_axes @ turn @ object_axes.T
        T[:3, 3] = at + hand_axes @ shift - T[:3, :3] @ point
        grasp = Grasp(thing.name, hold_index, T, nominal)
        if palm:
            return self._against_palm(thing, grasp, hand_axes[:, 0], shape)
        return self._opened_around(thing, grasp, hand_axes[:, 2], shape)

    def _opened_around(self, thing: Thing, grasp: Grasp, inward: np.ndarray, shape: np.ndarray) -> Grasp:
        """Thumb and fingers opened no farther than the object needs, and it drawn out until the palm is free."""
        nominal, spread = grasp.angles, _spread(grasp.angles)
        best, least = grasp, np.inf
        for share in np.linspace(0, 1, 11):
            angles = np.clip(nominal + share * (spread - nominal), self.limits[:, 0], self.limits[:, 1])
            points = self.skin.posed(angles, shape).points[self.skin.coarse]
            tried = self._drawn_out(thing, replace(grasp, angles=angles), points, inward)
            overlap = self._overlap(thing, tried, points)
            if overlap < least:
                best, least = tried, overlap
            if overlap == 0:
                break
        return best

    def _overlap(self, thing: Thing, grasp: Grasp, points: np.ndarray) -> float:
        """Sum of how deep points (N, 3) of the skin are in the object, metres."""
        T = grasp.T_hand_object
        return float(np.maximum(-thing.near_distance((points - T[:3, 3]) @ T[:3, :3]), 0).sum())

    def _drawn_out(self, thing: Thing, grasp: Grasp, points: np.ndarray, inward: np.ndarray) -> Grasp:
        """The object moved out of the hand by up to 24 mm, until only the last bones of fingers are in it."""
        bone = self.skin.bone[self.skin.coarse]
        points = points[(bone % 3 != 0) | (bone == 0)]
        for _ in range(6):
            if self._overlap(thing, grasp, points) == 0:
                break
            T = grasp.T_hand_object.copy()
            T[:3, 3] -= 0.004 * inward
            grasp = replace(grasp, T_hand_object=T)
        return grasp

    def _pads_frame(self, skin: PosedSkin, fingers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Columns from the thumb's pad to the fingers', little to index finger, towards the palm; and the point (3,) in
        the middle between those pads."""
        joints = skin.joints
        pads = {finger: skin.points[self.skin.pads[3 * finger + 3]].mean(0) for finger in fingers}
        others = [finger for finger in fingers if finger]
        middle = np.mean([pads[finger] for finger in others], axis=0)
        facing = middle - np.mean([joints[4 * finger + 3 : 4 * finger + 5].mean(0) for finger in others], axis=0)
        # Flat on the fingers' pads rather than square to the line to the thumb, which adapts more.
        across = 0.3 * (middle - pads[0]) / np.linalg.norm(middle - pads[0]) - facing / np.linalg.norm(facing)
        outward = np.sum([joints[4 * finger + 4] - joints[4 * finger + 3] for finger in others], axis=0)
        return _axes(across, np.cross(across, outward)), 0.5 * (middle + pads[0])

    def _object_axes(self, rng: np.random.Generator, hold: Hold) -> tuple[np.ndarray, np.ndarray]:
        """Directions (3,) in the object's frame: from palm or thumb to the fingers, and along the row of fingers."""
        along, across = np.array(hold.along), np.array(hold.across)
        if not along.any():
            along = rng.normal(size=3)
        if not across.any():
            across = np.cross(along, rng.normal(size=3))
        return across, along

    def _against_palm(self, thing: Thing, grasp: Grasp, normal: np.ndarray, shape: np.ndarray) -> Grasp:
        """The object moved along the palm's normal until it lies on the open hand's palm."""
        points = self.skin.posed(_opened(grasp.angles), shape).points
        points = points[(self.skin.bone == 0) | (self.skin.bone % 3 == 1)]
        T = grasp.T_hand_object.copy()
        T[:3, 3] += 0.12 * normal
        for _ in range(12):
            gap = float(thing.distance((points - T[:3, 3]) @ T[:3, :3]).min())
            T[:3, 3] -= gap * normal
            if gap < 2e-4:
                break
        return replace(grasp, T_hand_object=T)

    def _closed(self, thing: Thing, grasp: Grasp, shape: np.ndarray) -> Grasp:
        """Each finger joint closed until the finger touches the object beyond that joint, or meets its limit."""
        hold = thing.holds[grasp.hold]
        if hold.style == "tips":
            return grasp
        nominal, angles = grasp.angles, _opened(grasp.angles)
        rate = (nominal - angles) / 20
        moving = np.ones(23, bool)
        R, t = grasp.T_hand_object[:3, :3], grasp.T_hand_object[:3, 3]
        for _ in range(34):
            skin = self.skin.posed(angles, shape)
            inside = thing.near_distance((skin.points[self.skin.coarse] - t) @ R) < 0
            touched = np.unique(self.skin.bone[self.skin.coarse][inside])
            for bone in touched[touched > 0]:
                finger, level = (bone - 1) // 3, (bone - 1) % 3
                first = 0 if finger == 0 else FINGER_STARTS[finger - 1]
                # The angles of the joints from the base to this bone's own.
                count = (3, 6, 7)[level] if finger == 0 else level + 2
                moving[first : first + count] = False
            if not moving.any():
                break
            angles = np.clip(angles + np.where(moving, rate, 0), self.limits[:, 0], self.limits[:, 1])
            if self.collision.depth(skin.joints) > MAX_SELF_PENETRATION:
                moving[:7] = False
        return replace(grasp, angles=angles)


def opened_for(hold: Hold, angles: np.ndarray) -> np.ndarray:
    """The angles (23,) of a hand that is about to grasp so, from those with which it grasps; not clipped to limits."""
    return _opened(angles) if hold.style == "palm" else _spread(angles)


def _spread(angles: np.ndarray) -> np.ndarray:
    """The pose (23,) with thumb and fingers as far apart as a hand can hold something between their pads."""
    spread = angles.copy()
    spread[:3] = 0.3 * angles[:3] + 0.7 * _OPEN_THUMB[:3]
    for first in FINGER_STARTS:
        spread[first + 1] -= np.deg2rad(40)
        spread[first + 2] = 0.75 * angles[first + 2] + 0.1
    return spread


def _opened(angles: np.ndarray) -> np.ndarray:
    """The pose (23,) with fingers nearly straight and the thumb away from the palm."""
    opened = angles.copy()
    opened[:7] = _OPEN_THUMB
    for first in FINGER_STARTS:
        opened[first + 1] = min(angles[first + 1], 0.35 * angles[first + 1] - 0.1)
        opened[first + 2 : first + 4] = 0.3 * angles[first + 2 : first + 4]
    return opened


def _palm_frame(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns palm normal, little to index finger, towards the wrist or the fingers; and a point of the palm (3,)."""
    row = joints[5] - joints[17]
    return _axes(np.cross(row, joints[9] - joints[0]), row), 0.8 * joints[[5, 9, 13, 17]].mean(0) + 0.2 * joints[0]


def _axes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) whose columns are first (3,), what of second is across it, and their cross product."""
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)
