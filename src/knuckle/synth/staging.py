"""People in situations: bodies whose hands do something, each with its labelled free hands, before a camera."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix, rotation_about
from knuckle.handmodel import HandModel
from knuckle.synth.body import SIDES, Posture, ShapedBody, Skeleton, frame_along
from knuckle.synth.contact import separation
from knuckle.synth.reach import arm_angles, arm_cost, elbows, in_reach, wrist_angles_of
from knuckle.synth.scene import SceneHand, Solid, mirror_of
from knuckle.synth.situations import ON_THIGH, SITUATIONS, Placement, Situation
from knuckle.synth.skin import SkinAppearance
from knuckle.synth.wearer import Arm, Person, Wearer, hanging, random_posture

RandomPose: TypeAlias = Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]]

_TURNS, _SWIVELS = 24, 16  # orientations of the hand and places of the elbow that are compared
_MAX_COST = 12.0  # of an arm's pose
_CONTACT = -0.002  # metres between hand and skin where they touch: soft tissue gives way
# Balls inside the trunk and the head, for arms to keep out of: bone, place from its joint, radius; metres.
_BALLS = (
    ("head", (0.0, 0.05, 0.02), 0.1),
    ("neck", (0.0, 0.03, 0.02), 0.07),
    ("spine_03", (0.0, 0.15, 0.02), 0.12),
    ("spine_03", (0.0, 0.0, 0.02), 0.13),
    ("spine_02", (0.0, 0.0, 0.02), 0.13),
    ("spine_01", (0.0, 0.0, 0.02), 0.13),
    ("pelvis", (0.0, 0.0, 0.02), 0.15),
)
_ATTEMPTS, _PUSHES = 3, 5
_DEEPEST = -0.005  # metres that a hand may be in the skin
_FARTHEST = 0.15  # metres that a hand may be moved from where it was to be
_ANY_POSE = 20  # a placement with more poses than that takes any
_FREE = 0.003  # metres of room for a hand that does not mean to touch


_HANGING = Placement(
    (0.0, -1.0, 0.0), (0.0, -1.0, 0.0), None, ("relaxed", "half_closed", "loose_fist", "rest_on_table"), free=True
)


@dataclass(frozen=True)
class Staged:
    """A person in a situation, in the body frame: the body's vertices, hands and solids are there.

    hands: of SceneHand whose camera frame is the body frame; arms: theirs, in the same order.
    """

    person: Person
    trunk: Skeleton
    situation: Situation
    hands: tuple[SceneHand, ...]
    arms: tuple[Arm, ...]
    solids: tuple[Solid, ...]


@dataclass(frozen=True)
class HandShape:
    """A person's hands before they are posed."""

    shape: np.ndarray
    skin: SkinAppearance


class Stage:
    """Puts people into situations.

    Args:
        wearer: bodies and how hands join them. bank: named poses, (23,) each. limits: (23, 2) radians.
        random_pose: name and angles of any pose, of a generator of random numbers and a hand's shape.
    """

    def __init__(
        self, wearer: Wearer, bank: Mapping[str, np.ndarray], limits: np.ndarray, random_pose: RandomPose
    ) -> None:
        self.wearer, self.bank, self.limits, self.random_pose = wearer, bank, limits, random_pose
        self._weights = np.array([situation.weight for situation in SITUATIONS])

    @property
    def _hand_model(self) -> HandModel:
        return self.wearer.model

    def random_situation(self, rng: np.random.Generator) -> Situation:
        """One of SITUATIONS, by its weight."""
        return SITUATIONS[rng.choice(len(SITUATIONS), p=self._weights / self._weights.sum())]

    def person(self, rng: np.random.Generator, kind: HandShape, situation: Situation, first: int) -> Staged:
        """A random person in a situation; a hand that finds no human way to its place hangs.

        Args:
            rng: source of randomness. kind: of the person's hands. situation: what they do.
            first: the index that the first of the hands will have among the scene's.
        """
        size = float(np.linalg.norm(self._hand_model.joints(np.zeros(23), shape=kind.shape)[9])) / 0.087
        person = self.wearer.person(rng, size, kind.skin)
        main = SIDES[int(rng.random() < 0.45)]
        side_of = {main: situation.first, _other(main): self._of_other_hand(rng, situation)}
        posture = self._posture(rng, situation, side_of, person.body)
        if posture.thighs[0, 0] > 1.0:  # sitting, where no arm can hang
            side_of = {side: place or ON_THIGH for side, place in side_of.items()}
        trunk = self.wearer.body_model.trunk(person.body, posture)
        staged = Staged(person, trunk, situation, (), (), ())
        # The hand that does something comes last: it finds the other one in its place.
        for side in (_other(main), main):
            staged = self._with_hand(rng, staged, side, side_of[side], kind, first + len(staged.hands))
        return staged

    def _of_other_hand(self, rng: np.random.Generator, situation: Situation) -> Placement | None:
        if situation.other is not None:
            return situation.other
        if rng.random() < 0.45:
            return None
        return self.random_situation(rng).first if rng.random() < 0.5 else None

    def _posture(
        self, rng: np.random.Generator, situation: Situation, sides: Mapping[str, Placement | None], body: ShapedBody
    ) -> Posture:
        """A random posture, seated where the situation wants it, with shoulders that go along with the hands."""
        posture = random_posture(rng)
        if situation.table or situation.name == "thigh":
            posture = replace(posture, thighs=np.array([[1.5, 0.15]] * 2), knees=np.full(2, 1.4))
        if situation.camera == "eyes" or situation.name in ("looking_at_phone", "typing", "head_in_hands"):
            posture = replace(posture, head=posture.head + np.array([0.35, 0.0, 0.0]))
        clavicles = posture.clavicles.copy()
        for row, side in zip(clavicles, SIDES, strict=True):
            place = sides[side]
            if place is not None:
                height = place.at[1] if place.free else (place.at[1] - 0.5) / 0.5
                row += (
                    0.45 * float(np.clip(height + 0.1, 0, 0.7)),
                    0.15 if place.at[0] > 0 or place.at[2] > 0.6 else 0,
                )
        return replace(posture, clavicles=clavicles)

    def _with_hand(
        self,
        rng: np.random.Generator,
        staged: Staged,
        side: str,
        placement: Placement | None,
        kind: HandShape,
        index: int,
    ) -> Staged:
        """With one more hand; one that does nothing hangs."""
        found, (name, angles) = None, self._pose(rng, placement or _HANGING, kind)
        if placement is not None and placement.at != (0.0, 0.0, 0.0):
            found = self._reaching(rng, staged, side, placement, angles, kind)
        if found is None:
            name, angles = self._pose(rng, _HANGING, kind)
            found = self._hanging(rng, staged, side, kind, angles)
        T, wrist_angles, elbow = found
        empty = np.empty((0, 3))
        view = staged.situation.name
        hand = SceneHand(side, angles, wrist_angles, kind.shape, T, empty, empty, kind.skin, name, view)
        hand = posed(self.wearer, hand)
        arm = Arm(side, index, elbow, T[:3, 3], self.wearer.forearm_frame(hand))
        return replace(staged, hands=(*staged.hands, hand), arms=(*staged.arms, arm))

    def _pose(self, rng: np.random.Generator, placement: Placement, kind: HandShape) -> tuple[str, np.ndarray]:
        """Name and angles (23,) of a random pose for a placement; any pose where the placement takes many."""
        if len(placement.poses) > _ANY_POSE and rng.random() < 0.5:
            return self.random_pose(rng, kind.shape)
        name = placement.poses[rng.integers(len(placement.poses))]
        return name, np.clip(self.bank[name] + rng.normal(0, 0.05, 23), self.limits[:, 0], self.limits[:, 1])

    def _hanging(
        self, rng: np.random.Generator, staged: Staged, side: str, kind: HandShape, angles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As _reaching, of an arm that hangs, away from the body as far as the hand needs room."""
        wrist_angles = np.clip(rng.normal((0.1, 0.0), (0.2, 0.1)), -0.5, 0.5)
        T = np.eye(4)
        hand = self._hand_model(angles, shape=kind.shape, T_camera_hand=T, side=side)
        points = hand.vertices[self.wearer.surface.hand_vertices][::3]
        skin = self._skin_of(staged)
        elbow = np.zeros(3)
        for away in (0.15, 0.3, 0.5, 0.8):
            elbow, wrist, thumb = hanging(self.wearer.body_model, staged.person.body, staged.trunk, side, away)
            T[:3, :3] = self._hand_rotation(side, frame_along(wrist - elbow, thumb), wrist_angles)
            T[:3, 3] = wrist
            gap, _ = self._push(staged, side, points @ T[:3, :3].T + wrist, _HANGING, np.zeros(3), skin)
            if gap > _DEEPEST:
                break
        return T, wrist_angles, elbow

    def _hand_rotation(self, side: str, frame: np.ndarray, wrist_angles: np.ndarray) -> np.ndarray:
        """The rotation (3, 3) of a hand whose forearm has a frame (see Arm) and whose wrist has angles (2,)."""
        axes = self._hand_model.wrist_angle_axis
        assert axes is not None
        turn = rotation_about(axes, wrist_angles)
        mirror = np.diag(mirror_of(side))
        forearm = frame * np.array([1.0, 1.0, -1.0 if side == "left" else 1.0])
        return forearm @ (turn[0] @ turn[1]).T @ mirror

    def _reaching(
        self,
        rng: np.random.Generator,
        staged: Staged,
        side: str,
        placement: Placement,
        angles: np.ndarray,
        kind: HandShape,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """T_body_hand (4, 4), wrist angles (2,) and elbow (3,) of a hand at its place; None where no arm reaches it."""
        skin = self._skin_of(staged)
        mirror = mirror_of(side)
        for _ in range(_ATTEMPTS):
            target, normal = self._target(rng, staged, side, placement, skin)
            fingers = mirror * placement.fingers
            palm = -normal if placement.palm is None else mirror * placement.palm
            base = frame_along(fingers, np.cross(fingers, palm))
            turns = base @ axis_angle_to_matrix(rng.normal(0, placement.turn, (_TURNS, 3)))
            found = self._settled(rng, staged, side, placement, angles, kind, (target, normal), turns, skin)
            if found is not None:
                return found
        return None

    def _settled(
        self,
        rng: np.random.Generator,
        staged: Staged,
        side: str,
        placement: Placement,
        angles: np.ndarray,
        kind: HandShape,
        target: tuple[np.ndarray, np.ndarray],
        turns: np.ndarray,
        skin: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """As _reaching: one of the orientations turns (K, 3, 3), moved out of the body until it only touches it; None
        where that does not succeed."""
        hand = self._hand_model(angles, shape=kind.shape, T_camera_hand=np.eye(4), side=side)
        points = hand.vertices[self.wearer.surface.hand_vertices][::3]
        anchor, shift = _anchor(hand.joints, placement.anchor), np.zeros(3)
        for _ in range(_PUSHES):
            chosen = self._arm(rng, staged, side, turns, target[0] + shift - turns @ anchor)
            if chosen is None:
                return None
            turn, wrist_angles, elbow = chosen
            turns = turn[None]
            T = np.eye(4)
            T[:3, :3], T[:3, 3] = turn, target[0] + shift - turn @ anchor
            gap, push = self._push(staged, side, points @ turn.T + T[:3, 3], placement, target[1], skin)
            if float(np.abs(push).max()) < 5e-4:
                settled = gap > _DEEPEST and float(np.linalg.norm(shift)) < _FARTHEST
                return (T, wrist_angles, elbow) if settled else None
            shift = shift + push
        return None

    def _shoulder(self, trunk: Skeleton, side: str) -> np.ndarray:
        return trunk.places[self.wearer.body_model.bone(f"{side}_upper_arm_0")]

    def _target(
        self,
        rng: np.random.Generator,
        staged: Staged,
        side: str,
        placement: Placement,
        skin: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the anchor is to be (3,), and the skin's normal there (3,), in the body frame."""
        model, bodies = self.wearer.body_model, self.wearer.bodies
        mirror, body = mirror_of(side), staged.person.body
        chest = staged.trunk.rotations[model.bone("spine_03")]
        if placement.free:
            reach = sum(body.lengths(side))
            place = mirror * (np.array(placement.at) + rng.normal(0, placement.spread / 0.5, 3) * (1, 1, 0.7))
            return self._shoulder(staged.trunk, side) + reach * chest @ place, chest @ np.array([0.0, 0.0, 1.0])
        wanted = mirror * placement.at + rng.normal(0, placement.spread, 3)
        nearest = np.argsort(((bodies.place - wanted) ** 2).sum(1), kind="stable")[:3]
        vertices, normals = skin
        return vertices[nearest].mean(0), normals[nearest].mean(0) / np.linalg.norm(normals[nearest].mean(0))

    def _skin_of(self, staged: Staged) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) and normals (V, 3) of the clothed body, with the arms that are placed and the others hanging,
        in the body frame."""
        wearer = self.wearer
        body = wearer.placed(staged.person, staged.trunk, np.eye(4), list(staged.arms), False)
        normals = wearer.bodies.normals(body.vertices)
        worn = wearer.bodies.outermost(staged.person.look)[:, None]
        return np.where(worn > 0, body.shirt, body.vertices) + normals * worn, normals

    def _arm(
        self, rng: np.random.Generator, staged: Staged, side: str, turns: np.ndarray, wrists: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """The most natural of a hand's orientations (K, 3, 3) with wrists (K, 3): rotation, wrist angles and elbow."""
        trunk, body = staged.trunk, staged.person.body
        shoulder, (upper, lower) = self._shoulder(trunk, side), body.lengths(side)
        swivels = np.linspace(-0.6 * np.pi, 0.6 * np.pi, _SWIVELS)
        places = elbows(shoulder, wrists, upper, lower, swivels)
        forearm = (places - wrists[:, None]) / lower
        in_hand = (np.swapaxes(turns, 1, 2)[:, None] @ forearm[..., None])[..., 0] * mirror_of(side)
        wrist_angles = wrist_angles_of(in_hand)
        axes = self._hand_model.wrist_angle_axis
        assert axes is not None
        bend = rotation_about(axes[0], wrist_angles[..., 0]) @ rotation_about(axes[1], wrist_angles[..., 1])
        thumb = (turns[:, None] @ (bend[..., 0] * mirror_of(side))[..., None])[..., 0]
        chest = trunk.rotations[self.wearer.body_model.bone("spine_03")]
        angles = arm_angles(side, (places - shoulder) @ chest, -forearm @ chest, thumb @ chest)
        cost = arm_cost(angles, wrist_angles) + self._through_body(trunk, body, places, wrists[:, None])
        cost = cost + np.where(in_reach(shoulder, wrists, upper, lower), 0.0, 1e3)[:, None]
        cost = cost + (0.5 * rng.gumbel(size=cost.shape) if len(turns) > 1 else 0.0)
        best = np.unravel_index(np.argmin(cost), cost.shape)
        if cost[best] > _MAX_COST:
            return None
        return turns[best[0]], wrist_angles[best], places[best]

    def _through_body(self, trunk: Skeleton, body: ShapedBody, elbow: np.ndarray, wrist: np.ndarray) -> np.ndarray:
        """A cost for arms that go through the trunk or the head."""
        model = self.wearer.body_model
        scale = float(np.linalg.norm(body.joints["left_shoulder"] - body.joints["right_shoulder"])) / 0.34
        cost = np.zeros(np.broadcast_shapes(elbow.shape, wrist.shape)[:-1])
        for name, offset, radius in _BALLS:
            bone = model.bone(name)
            centre = trunk.places[bone] + trunk.rotations[bone] @ (scale * np.array(offset))
            for share in (0.0, 0.35, 0.7):
                apart = elbow + share * (wrist - elbow) - centre
                gap = np.sqrt((apart * apart).sum(-1))
                cost = cost + 200 * np.maximum(scale * radius - gap, 0)
        return cost

    def _push(
        self,
        staged: Staged,
        side: str,
        points: np.ndarray,
        placement: Placement,
        normal: np.ndarray,
        clothed: tuple[np.ndarray, np.ndarray],
    ) -> tuple[float, np.ndarray]:
        """How far a hand with surface points (N, 3) is outside body and other hand, metres; and by how much (3,)
        it must be moved so that it is in neither, and touches what it is meant to touch."""
        surface, bodies = self.wearer.surface, self.wearer.bodies
        sign = -1.0 if side == "right" else 1.0
        kept = ~((bodies.side == sign) & (bodies.arm > 0.3))
        skin, normals = clothed[0][kept], clothed[1][kept]
        for other in staged.hands:
            theirs = surface.normals(other.vertices_camera, other.side == "left")
            skin = np.concatenate([skin, other.vertices_camera[surface.hand_vertices]])
            normals = np.concatenate([normals, theirs[surface.hand_vertices]])
        gap, outward = separation(points, skin, normals)
        touches = not placement.free or (staged.situation.touching and len(staged.hands) > 0)
        wanted = _CONTACT if touches else _FREE
        if gap < wanted:
            return gap, (wanted - gap) * outward
        if touches and gap < 0.08:
            return gap, (wanted - gap) * (outward if placement.free else normal)
        return gap, np.zeros(3)


def posed(wearer: Wearer, hand: SceneHand) -> SceneHand:
    """The hand with joints and vertices of its angles and pose."""
    model, surface = wearer.model, wearer.surface
    at = model(
        hand.angles, wrist_angles=hand.wrist_angles, shape=hand.shape, T_camera_hand=hand.T_camera_hand, side=hand.side
    )
    vertices = surface.lengthen(at.vertices, -wearer.forearm_frame(hand)[:, 1])
    return replace(hand, joints_camera=at.joints, vertices_camera=vertices)


def _anchor(joints: np.ndarray, name: str) -> np.ndarray:
    """The point (3,) of a hand with joints (21, 3) that is placed."""
    return {
        "palm": joints[[0, 5, 9, 17]].mean(0),
        "fingers": joints[[6, 10, 14, 7, 11]].mean(0),
        "index": joints[8],
        "knuckles": joints[[6, 10, 14]].mean(0),
        "grip": 0.5 * joints[[5, 9, 17]].mean(0) + 0.5 * joints[[4, 8, 12]].mean(0),
    }[name]


def _other(side: str) -> str:
    return "left" if side == "right" else "right"
