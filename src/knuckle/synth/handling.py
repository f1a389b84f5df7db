"""Sequences in which a hand comes near an object, closes on it, and moves it about, as a scene for every frame.

The object rests while the hand approaches: open, from the side from which it meets the object least. Once the fingers
have closed, hand and object move as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.skeleton import BOX_CORNERS
from knuckle.synth.bank import AVERAGE, GraspBank, HandlingPlan, find_grasps, fit_to, hop_things, subjects
from knuckle.synth.clip import Path
from knuckle.synth.compose import Composer
from knuckle.synth.finishes import material
from knuckle.synth.grasp import Grasp, GraspSearch, opened_for
from knuckle.synth.light import Light, random_direction
from knuckle.synth.scene import Material, Scene, SceneHand, Solid
from knuckle.synth.things import Thing
from knuckle.synth.touch import Touch

_BACKGROUND_SEED = 20190600
_TRIES = 6  # hands that an object is given to before the average hand takes it
_PATH_STEPS = 6
_MAX_ATTEMPTS = 12  # at a sequence in which the arm stays clear of the camera
_CHECKED_FRAMES = 9
# Directions from the hand to where the object is before the hand comes near, in a right hand's frame.
_APPROACHES = np.array(
    [[0, 0.3, 1], [0, 1, 0.5], [0.5, 0.3, 0.8], [-0.5, 0.3, 0.8], [0, 1, 0], [0.0, -0.5, 0.8]], float
)
_APPROACHES /= np.linalg.norm(_APPROACHES, axis=1, keepdims=True)


@dataclass(frozen=True)
class Handling:
    """A sequence.

    Attributes:
        thing: the object. grasp: how it is held. touch: where. materials: of its shapes.
        hand: the hand at the moment when it has closed. open_angles: (23,) before.
        approach: (3,) where the object is seen from the hand before, metres from where it is held.
        near, closed: seconds when the hand has come near, and when it has closed.
        turns: path of rotation vectors (3), moves: path of moves (3) of hand and object after that.
        scene: light, background and camera. seed: of what else is around: the same in every frame.
        about: labels of the sequence.
    """

    thing: Thing
    grasp: Grasp
    touch: Touch
    materials: tuple[Material, ...]
    hand: SceneHand
    open_angles: np.ndarray
    approach: np.ndarray
    near: float
    closed: float
    turns: Path
    moves: Path
    scene: Scene
    seed: int
    about: dict[str, str | int]


class Handler:
    """Makes sequences.

    Args:
        composer: samples people, light and background. plan: what is in the sequences.
        things: the objects. bank: their grasps; of objects that are not in it grasps are searched when first needed.
    """

    def __init__(self, composer: Composer, plan: HandlingPlan, things: Sequence[Thing], bank: GraspBank) -> None:
        self.composer, self.plan, self.bank = composer, plan, bank
        self.things = list(hop_things() if plan.hop else things)
        self.search = GraspSearch(composer.model, composer.surface)
        self._found: dict[str, tuple[Grasp, ...]] = {}

    def sequence(self, seed: int, number: int) -> Handling:
        """The sequence with a number of 0 or more; in none does the arm come to the camera."""
        rng = np.random.default_rng([seed, number])
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            handling = self._any_sequence(rng, number)
            times = np.linspace(0, self.plan.seconds, _CHECKED_FRAMES)
            hands = (self._hand_at(handling, float(time))[0] for time in times)
            if attempts_left == 0 or not any(map(self.composer.surroundings.camera_in_arm, hands)):
                return handling
        raise AssertionError("the last attempt returns")

    def _any_sequence(self, rng: np.random.Generator, number: int) -> Handling:
        """A sequence, wherever the arm goes."""
        composer, plan = self.composer, self.plan
        thing, grasp, touch, shape, about = self.held(rng, number)
        side = "left" if not plan.hop and rng.random() < 0.5 else "right"
        width, height = composer.size
        focal = float(max(width, height) / 2 / np.tan(np.deg2rad(rng.uniform(20, 38))))
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        share = rng.uniform(*plan.share)
        depth = focal * 0.19 / (share * max(width, height))
        at = rng.normal(0, 0.1, 2).clip(-0.2, 0.2) * (1.3 - share)
        centre = depth * np.array([at[0] * width / focal, at[1] * height / focal, 1.0])
        roll = rng.normal(0, composer.preset.roll_std)
        hand = composer.hand(rng, centre, roll, side)
        hand = replace(hand, shape=shape, pose=thing.holds[grasp.hold].pose)
        hand = composer.moved(hand, grasp.angles)
        hand = self._centred(hand, thing, grasp, centre)
        open_angles, approach = self._approach(rng, thing, grasp, shape)
        around = composer.surroundings
        light, background = around.light_and_background(rng, K)
        if plan.hop:
            light = _two_lamps(rng, light)
        if plan.backgrounds:
            picture = number % plan.backgrounds
            background = around.light_and_background(np.random.default_rng([_BACKGROUND_SEED, picture]), K)[1]
            about["background"] = picture
        scene = Scene(
            K=K,
            size=composer.size,
            hands=(hand,),
            solids=(),
            light=light,
            exposure=around.exposure(rng, light, [hand]),
            background=background,
        )
        seconds = plan.seconds
        near = rng.uniform(0.15, 0.35) * seconds
        closed = near + rng.uniform(0.08, 0.15) * seconds
        turns, moves = self._movement(rng, seconds - closed)
        materials = _materials(rng, thing)
        return Handling(
            thing, grasp, touch, materials, hand, open_angles, approach, near, closed, turns, moves, scene,
            int(rng.integers(2**31)), about,
        )  # fmt: skip

    def scene_at(self, handling: Handling, time: float) -> Scene:
        """The scene at a time, seconds."""
        posed, T_camera_object = self._hand_at(handling, time)
        around = self.composer.surroundings.solids_around(np.random.default_rng(handling.seed), [posed])
        held = self._solids(handling, T_camera_object, posed.T_camera_hand, time >= handling.closed)
        return replace(handling.scene, hands=(posed,), solids=(*around, *held))

    def _hand_at(self, handling: Handling, time: float) -> tuple[SceneHand, np.ndarray]:
        """The hand at a time, seconds, and T_camera_object (4, 4)."""
        hand, grasp = handling.hand, handling.grasp
        T_hand_object, angles = grasp.T_hand_object, grasp.angles
        if time < handling.closed:
            # The fingers begin to close shortly before the hand has arrived.
            come = _smooth(time / handling.near)
            close = _smooth((time - 0.75 * handling.near) / (handling.closed - 0.75 * handling.near))
            T_hand_object = T_hand_object.copy()
            T_hand_object[:3, 3] += (1 - come) * handling.approach
            angles = angles + (1 - close) * (handling.open_angles - angles)
            T_camera_object = hand.T_camera_hand @ _mirrored(grasp.T_hand_object, hand.side)
            T_camera_hand = T_camera_object @ np.linalg.inv(_mirrored(T_hand_object, hand.side))
        else:
            T_camera_hand = hand.T_camera_hand.copy()
            middle = hand.joints_camera.mean(0)
            turn = axis_angle_to_matrix(handling.turns.value(time - handling.closed))
            T_camera_hand[:3, :3] = turn @ T_camera_hand[:3, :3]
            T_camera_hand[:3, 3] = middle + turn @ (T_camera_hand[:3, 3] - middle)
            T_camera_hand[:3, 3] += handling.moves.value(time - handling.closed)
            T_camera_object = T_camera_hand @ _mirrored(grasp.T_hand_object, hand.side)
        return self.composer.moved(replace(hand, T_camera_hand=T_camera_hand), angles), T_camera_object

    def held(
        self, rng: np.random.Generator, number: int
    ) -> tuple[Thing, Grasp, Touch, np.ndarray, dict[str, str | int]]:
        """The object of a sequence, the grasp on it, how it touches, and the shape of the hand."""
        if self.plan.hop:
            # Every object in turn, each with every subject, and then again with the subject's other grasp.
            thing, turn = self.things[number % len(self.things)], number // len(self.things)
            person = (number + turn) % len(subjects())
            shape = subjects()[person].shape
            grasps = self.bank.grasps.get((thing.name, person)) or self._grasps(thing)
            grasp = grasps[turn // len(subjects()) % len(grasps)]
            return thing, grasp, self.search.measure(thing, grasp, shape), shape, {"subject": person}
        thing = self.things[int(rng.integers(len(self.things)))]
        grasps, average = self._grasps(thing), np.zeros(len(self.composer.model.shape_limits))
        # A hand that no grasp of the object fits is exchanged for another: a child's cannot span a large can.
        for attempt in range(_TRIES):
            shape = self.composer.shape(rng) if attempt < _TRIES - 1 else average
            for i in rng.permutation(len(grasps))[:2]:
                grasp, touch = fit_to(self.search, thing, grasps[i], shape)
                if touch.holds:
                    return thing, grasp, touch, shape, {}
        return thing, grasps[0], self.search.measure(thing, grasps[0], average), average, {}

    def _grasps(self, thing: Thing) -> tuple[Grasp, ...]:
        """Grasps of the average hand.

        Raises:
            ValueError: no grasp of the object is found.
        """
        known = self.bank.grasps.get((thing.name, AVERAGE)) or self._found.get(thing.name)
        if known is None:
            average = np.zeros(len(self.composer.model.shape_limits))
            known = tuple(grasp for grasp, _ in find_grasps(self.search, thing, average, tries=4, keep=6))
            if not known:
                raise ValueError(f"a hand must be able to hold {thing.name} but no grasp was found; is it in metres?")
            self._found[thing.name] = known
        return known

    def _centred(self, hand: SceneHand, thing: Thing, grasp: Grasp, centre: np.ndarray) -> SceneHand:
        """The hand moved so that it and what it holds are about the centre."""
        T = hand.T_camera_hand.copy()
        corners = _box_corners(thing) @ grasp.T_hand_object[:3, :3].T + grasp.T_hand_object[:3, 3]
        reach = np.clip(corners, [-0.1, -0.05, -0.1], [0.1, 0.25, 0.15])
        if hand.side == "left":
            reach = reach * [-1, 1, 1]
        seen = np.concatenate([hand.joints_camera, reach @ T[:3, :3].T + T[:3, 3]])
        T[:3, 3] += centre - (seen.min(0) + seen.max(0)) / 2
        return self.composer.moved(replace(hand, T_camera_hand=T), hand.angles)

    def _approach(
        self, rng: np.random.Generator, thing: Thing, grasp: Grasp, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Angles (23,) of the open hand, and the way (3,) along which it meets the object least."""
        limits = self.search.limits
        open_angles = np.clip(opened_for(thing.holds[grasp.hold], grasp.angles), limits[:, 0], limits[:, 1])
        distance = rng.uniform(0.06, 0.14)
        skin = self.search.skin
        points = skin.posed(open_angles, shape).points[skin.coarse]
        R, t = grasp.T_hand_object[:3, :3], grasp.T_hand_object[:3, 3]
        depths = []
        for direction in _APPROACHES:
            places = t + np.linspace(0.1, 1, _PATH_STEPS)[:, None] * distance * direction
            depths.append(max(float(-thing.near_distance((points - place) @ R).min()) for place in places))
        free = np.flatnonzero(np.array(depths) <= max(min(depths), 0.001))
        return open_angles, distance * _APPROACHES[int(rng.choice(free))]

    def _movement(self, rng: np.random.Generator, seconds: float) -> tuple[Path, Path]:
        """How hand and object turn and move once it is held: away from rest, in few smooth movements."""
        count = max(3, round(seconds / 0.6) + 1)
        times = seconds / (count - 1) * np.arange(count)
        pace = np.minimum(rng.uniform(0.3, 0.6, count), times[1])
        turns = np.cumsum(rng.normal(0, 0.25, (count, 3)), axis=0)
        moves = np.clip(np.cumsum(rng.normal(0, 0.012, (count, 3)), axis=0), -0.03, 0.03)
        turns[0] = moves[0] = 0.0
        return Path(times, pace, turns), Path(times, pace, moves)

    def _solids(
        self, handling: Handling, T_camera_object: np.ndarray, T_camera_hand: np.ndarray, held: bool
    ) -> list[Solid]:
        """The object's shapes; the first one carries its label."""
        thing, left = handling.thing, handling.hand.side == "left"
        R, t = T_camera_object[:3, :3], T_camera_object[:3, 3]
        mirror = np.array([1.0, 1.0, -1.0]) if left else np.ones(3)
        points = handling.touch.points * ([-1, 1, 1] if left else [1, 1, 1])
        about = {
            "name": thing.name,
            "category": thing.category,
            "held": int(held),
            "contacts": handling.touch.joints().astype(int).tolist() if held else [0] * 21,
            "contact_points": (
                (points @ T_camera_hand[:3, :3].T + T_camera_hand[:3, 3]).round(6).tolist() if held else []
            ),
        }
        solids = []
        for i, (shape, made_of) in enumerate(zip(thing.shapes, handling.materials, strict=True)):
            local, normals = shape.vertices * mirror, shape.normals * mirror
            solid = Solid(local @ R.T + t, normals @ R.T, shape.faces, local, made_of, held_by=0)
            if i == 0:
                solid = replace(solid, T_camera_object=T_camera_object, half_extents=thing.half_extents, about=about)
            solids.append(solid)
        return solids


def _mirrored(T_hand_object: np.ndarray, side: str) -> np.ndarray:
    """T_hand_object (4, 4) for the hand of a side: a left hand holds the object's mirror image in z."""
    if side == "right":
        return T_hand_object
    return np.diag([-1.0, 1, 1, 1]) @ T_hand_object @ np.diag([1.0, 1, -1, 1])


def _smooth(x: float) -> float:
    """From 0 to 1 with least jerk; Flash and Hogan, J. Neurosci. 1985."""
    x = float(np.clip(x, 0.0, 1.0))
    return x**3 * (10 - 15 * x + 6 * x * x)


def _box_corners(thing: Thing) -> np.ndarray:
    return 2 * thing.half_extents * np.array(BOX_CORNERS)


def _materials(rng: np.random.Generator, thing: Thing) -> tuple[Material, ...]:
    """One material for each finish of the object."""
    by_finish = {shape.finish: material(rng, shape.finish) for shape in thing.shapes}
    return tuple(by_finish[shape.finish] for shape in thing.shapes)


def _two_lamps(rng: np.random.Generator, light: Light) -> Light:
    """Two lamps at random places on the camera's side, and dimmer light from around."""
    directions = np.stack([random_direction(rng) for _ in range(2)]) + np.array([0.0, -0.4, -0.8])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    warmth = rng.normal(0, 0.12, (2, 1))
    colours = rng.uniform(0.6, 1.8, (2, 1)) * np.concatenate([1 + warmth, np.ones((2, 1)), 1 - warmth], axis=1)
    return Light(0.5 * light.ambient, directions, colours)
