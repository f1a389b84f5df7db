"""People for hands that are there already: a body is found whose arm reaches the hand as a human arm does."""

from dataclasses import dataclass, replace

import numpy as np

from knuckle.geometry.rotation import rotation_about
from knuckle.handmodel import HandModel
from knuckle.synth.body import SIDES, BodyModel, Posture, ShapedBody, Skeleton, cross
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.reach import arm_angles, arm_cost, elbows
from knuckle.synth.scene import Look, SceneBody, SceneHand
from knuckle.synth.seam import join
from knuckle.synth.skin import SkinAppearance
from knuckle.synth.surface import HandSurface
from knuckle.synth.wardrobe import random_build, random_look

_CANDIDATES = 96
_MAX_COST = 9.0  # of an arm's pose; a worse one is not human
_ADULT_METACARPAL = 0.087  # metres from the wrist to the middle finger's MCP joint


@dataclass(frozen=True)
class Person:
    """Who a hand belongs to: build and look, and the body at rest, as large as the hand says: by a scale."""

    body: ShapedBody
    look: Look
    scale: float


@dataclass(frozen=True)
class Arm:
    """The arm of a person whose chest is where the camera sees it: elbow (3,), wrist (3,), frame (3, 3) of the forearm
    (columns: to the thumb, to the wrist, their cross product), all in the camera frame."""

    side: str
    hand: int
    elbow: np.ndarray
    wrist: np.ndarray
    frame: np.ndarray


class Wearer:
    """Finds bodies for hands.

    Args:
        model: the hand. surface: its mesh. bodies: the body's mesh.
    """

    def __init__(self, model: HandModel, surface: HandSurface, bodies: BodySurface) -> None:
        self.model, self.surface, self.bodies = model, surface, bodies
        self._average_forearm = bodies.model.shaped({}).lengths("right")[1]

    @property
    def body_model(self) -> BodyModel:
        """The body."""
        return self.bodies.model

    def person(self, rng: np.random.Generator, size: float, skin: SkinAppearance) -> Person:
        """A random person whose hands have a size (see hand_size) and a skin."""
        build = random_build(rng, size, skin.melanin)
        body = self.body_model.shaped(build)
        scale = size * self._average_forearm / body.lengths("right")[1] * float(np.exp(rng.normal(0, 0.03)))
        return Person(body.scaled(scale), random_look(rng, build, skin), scale)

    def around(
        self, rng: np.random.Generator, hand: SceneHand, index: int, person: Person, whole: bool = True
    ) -> SceneBody | None:
        """The person's body behind a hand, without another; where no posture is human, or the body would
        stand before the hand, only the arm; None where not even that can be.

        Args:
            rng: source of randomness. hand: the hand, with its place in the list of the scene's hands as `index`.
            person: whose hand it is. whole: False for the arm alone.
        """
        posture = random_posture(rng)
        trunk = self.body_model.trunk(person.body, posture)
        frame = self.forearm_frame(hand)
        wrist = hand.joints_camera[0]
        upper, lower = person.body.lengths(hand.side)
        elbow = wrist - lower * frame[:, 1]
        turns, arms = _candidates(rng, _CANDIDATES)
        cost = self._cost(turns, arms, hand, frame, trunk)
        T = np.tile(np.eye(4), (len(turns), 1, 1))
        T[:, :3, :3] = turns
        shoulder = trunk.places[self.body_model.bone(f"{hand.side}_upper_arm_0")]
        T[:, :3, 3] = elbow - upper * arms - turns @ shoulder
        seen = cost + self._in_the_way(T, trunk, hand)
        best = int(np.argmin(seen))
        arms_only = not whole or bool(seen[best] > _MAX_COST)
        if arms_only:
            best = int(np.argmin(cost))
            if elbow[2] < 0.12 or T[best, :3, 3] @ [0, 0, 1] < 0.0:
                return None
        arm = Arm(hand.side, index, elbow, wrist, frame)
        return self.placed(person, trunk, T[best], [arm], arms_only)

    def placed(self, person: Person, trunk: Skeleton, T: np.ndarray, arms: list[Arm], arms_only: bool) -> SceneBody:
        """A body in the scene.

        Args:
            person: who. trunk: the posture. T: (4, 4) camera from body. arms: of hands; one that has no hand is behind
            the back of a person who faces the camera, and hangs otherwise.
            arms_only: draw only the arms.
        """
        model, skeleton = self.body_model, trunk
        for side in SIDES:
            arm = next((arm for arm in arms if arm.side == side), None)
            if arm is None:
                facing = (T[:3, :3] @ trunk.rotations[model.bone("spine_03")])[2, 2] < -0.5
                pose = behind_back if facing else hanging
                elbow, wrist, thumb = pose(model, person.body, trunk, side)
            else:
                elbow, wrist = ((point - T[:3, 3]) @ T[:3, :3] for point in (arm.elbow, arm.wrist))
                thumb = arm.frame[:, 0] @ T[:3, :3]
            skeleton = model.with_arm(skeleton, person.body, side, elbow, wrist, thumb)
        posed = model.skin(person.body, skeleton, person.scale * self.bodies.loose) @ T[:3, :3].T + T[:3, 3]
        hands = tuple(next((arm.hand for arm in arms if arm.side == side), None) for side in SIDES)
        forearm = person.body.lengths("right")[1]
        return SceneBody(posed[0], posed[1], posed[0], person.look, (hands[0], hands[1]), forearm, arms_only)

    def joined(self, body: SceneBody, hands: list[SceneHand]) -> tuple[SceneBody, list[SceneHand]]:
        """The body and the scene's hands, with the seams at its wrists closed, and the body's normals."""
        vertices, hands = body.vertices, list(hands)
        for side, sign, index in zip(SIDES, (-1.0, 1.0), body.hands, strict=True):
            if index is None:
                continue
            hand = hands[index]
            assert hand.side == side
            forearm = (self.bodies.side == sign) & (self.bodies.arm > 1.2)
            short = self.surface.lengthen(hand.vertices_camera, -self._forearm_direction(hand))
            frame = self.forearm_frame(hand)
            vertices, skin = join(vertices, forearm, short, self.surface.forearm_vertices, frame, hand.joints_camera[0])
            hands[index] = replace(hand, vertices_camera=skin)
        shirt = body.shirt + vertices - body.vertices
        return replace(body, vertices=vertices, shirt=shirt, normals=self.bodies.normals(vertices)), hands

    def forearm_frame(self, hand: SceneHand) -> np.ndarray:
        """(3, 3) columns in the camera frame: to the thumb's side of the forearm, from elbow to wrist, their cross
        product."""
        turn = rotation_about(self.model.wrist_angle_axis, hand.wrist_angles)
        mirror = np.array([-1.0, 1.0, 1.0]) if hand.side == "left" else np.ones(3)
        columns = hand.T_camera_hand[:3, :3] @ np.diag(mirror) @ turn[0] @ turn[1]
        thumb, along = columns[:, 0], columns[:, 1]
        return np.stack([thumb, along, cross(thumb, along)], -1)

    def _forearm_direction(self, hand: SceneHand) -> np.ndarray:
        return -self.forearm_frame(hand)[:, 1]

    def _cost(
        self, turns: np.ndarray, arms: np.ndarray, hand: SceneHand, frame: np.ndarray, trunk: Skeleton
    ) -> np.ndarray:
        """How unnatural the arm is (N,) for orientations (N, 3, 3) of the body and directions (N, 3) of the upper arm,
        all in the camera frame."""
        chest = turns @ trunk.rotations[self.body_model.bone("spine_03")]
        upper, lower, thumb = ((v[:, None] if v.ndim == 1 else v[..., None]) for v in (arms, frame[:, 1], frame[:, 0]))
        seen = [(np.swapaxes(chest, -1, -2) @ v)[..., 0] for v in (upper, lower, thumb)]
        return arm_cost(arm_angles(hand.side, *seen), hand.wrist_angles)

    def _in_the_way(self, T: np.ndarray, trunk: Skeleton, hand: SceneHand) -> np.ndarray:
        """(N,) a cost for bodies, placed by T (N, 4, 4), that are in the hand, before it, or in the camera."""
        names = ("head", "neck", "spine_03", "spine_01", "pelvis")
        points = np.stack([trunk.places[self.body_model.bone(name)] for name in names])
        points[0] += trunk.rotations[self.body_model.bone("head")] @ [0, 0.06, 0.02]
        seen = points @ np.swapaxes(T[:, :3, :3], 1, 2) + T[:, None, :3, 3]
        radius = np.array([0.13, 0.08, 0.19, 0.17, 0.19])
        middle = hand.joints_camera.mean(0)
        inside = np.maximum(radius + 0.05 - np.linalg.norm(seen - middle, axis=-1), 0).max(-1)
        # The distance of each part from the line of sight, where it is nearer than the hand.
        ray = middle / np.linalg.norm(middle)
        depth = seen @ ray
        off = np.linalg.norm(seen - depth[..., None] * ray, axis=-1)
        nearer = (depth < middle @ ray) & (depth > -radius)
        covering = (np.maximum(radius + 0.09 - off, 0) * nearer).max(-1)
        close = np.maximum(0.22 - np.linalg.norm(seen, axis=-1), 0).max(-1)
        return 300 * (inside + covering + close)


def hand_size(hand: SceneHand) -> float:
    """The hand's length over an average adult's."""
    return float(np.linalg.norm(hand.joints_camera[9] - hand.joints_camera[0])) / _ADULT_METACARPAL


def random_posture(rng: np.random.Generator) -> Posture:
    """A random posture of someone who stands or sits before a camera."""
    seated = rng.random() < 0.3
    return Posture(
        spine=np.clip(rng.normal((0.08, 0, 0), (0.12, 0.06, 0.1)), -0.4, 0.5),
        head=np.clip(rng.normal(0, (0.15, 0.09, 0.25)), -0.6, 0.6),
        clavicles=np.clip(rng.normal(0, 0.06, (2, 2)), -0.1, 0.2),
        thighs=np.full((2, 2), (1.5, 0.15) if seated else (0.03, 0.02)),
        knees=np.full(2, rng.uniform(0.9, 1.6) if seated else 0.05),
    )


def hanging(
    model: BodyModel, body: ShapedBody, trunk: Skeleton, side: str, away: float = 0.22
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elbow (3,), wrist (3,) and direction to the thumb (3,) of an arm that hangs, in the body frame; away: from the
    body, the tangent of its angle."""
    out = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    chest = trunk.rotations[model.bone("spine_03")]
    upper, lower = body.lengths(side)
    elbow = trunk.places[model.bone(f"{side}_upper_arm_0")] + upper * chest @ (out * _unit([away, -1.0, -0.08]))
    wrist = elbow + lower * chest @ (out * _unit([away - 0.15, -1.0, 0.28]))
    return elbow, wrist, chest @ (out * _unit([-0.5, 0.0, 1.0]))


def behind_back(
    model: BodyModel, body: ShapedBody, trunk: Skeleton, side: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As hanging, of an arm whose wrist is behind the back, where a person who faces the camera hides it."""
    out = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    waist, chest = trunk.rotations[model.bone("spine_01")], trunk.rotations[model.bone("spine_03")]
    upper, lower = body.lengths(side)
    shoulder = trunk.places[model.bone(f"{side}_upper_arm_0")]
    wrist = trunk.places[model.bone("spine_01")] + waist @ (out * (upper * np.array([0.1, -0.1, -0.62])))
    places = elbows(shoulder, wrist, upper, lower, np.linspace(-np.pi, np.pi, 24, endpoint=False))
    elbow = places[np.argmax((places - shoulder) @ chest @ (out * np.array([0.7, 0.0, -0.7])))]
    line = wrist - elbow
    return elbow, elbow + lower * line / np.linalg.norm(line), chest @ (out * _unit([0.2, 1.0, 0.0]))


def _candidates(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random orientations of a body (count, 3, 3), camera from body, mostly facing the camera and upright, some from
    behind or from the body's own eyes; and directions of the upper arm (count, 3) in the camera frame."""
    away = rng.random(count) < 0.3
    yaw = rng.normal(0, 0.6, count) + np.pi * away
    pitch, roll = rng.normal(0, 0.2, count) + 0.25 * away, rng.normal(0, 0.12, count)
    facing = np.diag([1.0, -1.0, -1.0])
    about = [
        rotation_about(np.tile(axis, (count, 1)), angle)
        for axis, angle in zip(np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]), (pitch, roll, yaw), strict=True)
    ]
    turns = about[0] @ about[1] @ facing @ about[2]
    arms = rng.normal(size=(count, 3)) * 0.7 + (turns @ np.array([0.0, -0.6, 0.35]))
    return turns, arms / np.linalg.norm(arms, axis=1, keepdims=True)


def _unit(vector: list[float]) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)
