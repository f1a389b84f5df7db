"""Samples a random scene: hands, the camera that sees them, the people they belong to, and what is around them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.synth import shots, views
from knuckle.synth.collide import SelfCollision
from knuckle.synth.light import Panorama
from knuckle.synth.pairs import PAIR_POSE, PairMaker, hands_touch, mirrored
from knuckle.synth.poses import random_angles
from knuckle.synth.presets import Preset
from knuckle.synth.realism import random_motion
from knuckle.synth.scene import Scene, SceneBody, SceneHand, Solid, mirror_of
from knuckle.synth.skin import SkinAppearance, random_skin, smooth_skin
from knuckle.synth.staging import HandShape, Stage
from knuckle.synth.surface import HandSurface
from knuckle.synth.surroundings import Surroundings
from knuckle.synth.sweep import SwappedPoses, even_view, sphere_view
from knuckle.synth.wearer import Wearer, hand_size

_MAX_PENETRATION = 0.004  # metres, of the capsules of a hand; a deeper pose is rejected
_PEOPLE_SEED = 20200823
_MOVING = 0.12  # probability that the hands move while the shutter is open
_MIN_PAIR_DEPTH = 0.35  # metres from the camera to the middle of two hands that touch
_MAX_ATTEMPTS = 12  # at sampling a pose without self-collision, or a hand whose arm the camera is not in


@dataclass(frozen=True)
class Composer:
    """Samples random scenes; the same generator state gives the same scene.

    Attributes:
        model: the hand. surface: its mesh, ready to render. collision: rejects poses that penetrate themselves.
        limits: (23, 2) radians. bank: named poses, (23,) each. preset: which kind of pictures.
        size: (width, height) px. photos: (H, W, 3) uint8 backgrounds, may be empty. panoramas: may be empty.
        wearer: finds bodies for hands; None for presets without. stage: puts people into situations.
        pairs: draws hands that touch; None for presets without them.
    """

    model: HandModel
    surface: HandSurface
    collision: SelfCollision
    limits: np.ndarray
    bank: Mapping[str, np.ndarray]
    preset: Preset
    size: tuple[int, int]
    photos: tuple[np.ndarray, ...] = ()
    panoramas: tuple[Panorama, ...] = ()
    wearer: Wearer | None = None
    stage: Stage | None = None
    pairs: PairMaker | None = None

    @cached_property
    def surroundings(self) -> Surroundings:
        """What is sampled around the hands."""
        return Surroundings(self.model, self.surface, self.preset, self.size, self.photos, self.panoramas)

    def scene(self, rng: np.random.Generator, index: int = 0) -> Scene:
        """A random scene; where the preset goes through views or poses, those of the picture with this index."""
        bodies, props = [], []
        if self.stage is not None and self.preset.situations and rng.random() < self.preset.situations:
            hands, bodies, props, K = self._people(rng)
        elif self.preset.framing == "crop":
            hands, K = self._crop(rng, index)
        else:
            hands, K = self._frame(rng)
        if not bodies:
            bodies, hands = self._bodies(rng, hands)
        light, background = self.surroundings.light_and_background(rng, K)
        shadow = (0.0, 0.0, 0.0, 0.0)
        if not self.preset.smooth_skin and rng.random() < 0.35:
            shadow = (*rng.uniform((0.1, -18, -18), (0.6, 18, 18)), rng.uniform(2, 12))
        solids = (*self.surroundings.solids_around(rng, hands, bodies), *props)
        exposure = self.surroundings.exposure(rng, light, hands)
        motion = random_motion(rng, 2.0, 12.0) if rng.random() < _MOVING else (0.0, 0.0)
        return Scene(
            K=K,
            size=self.size,
            hands=tuple(hands),
            solids=solids,
            light=light,
            exposure=exposure,
            background=background,
            cast_shadow=tuple(float(s) for s in shadow),  # type: ignore[arg-type]
            bodies=tuple(bodies),
            motion=motion if self.preset.realism.lens else (0.0, 0.0),
        )

    def _people(self, rng: np.random.Generator) -> tuple[list[SceneHand], list[SceneBody], list[Solid], np.ndarray]:
        """One or two people in situations, and the camera, which in a preset of crops is one around a hand."""
        assert self.stage is not None
        kinds = []
        for _ in range(2 if self.preset.framing == "frame" and rng.random() < self.preset.second_person else 1):
            shape, skin = self._person(rng)
            kinds.append(HandShape(shape, skin or random_skin(rng)))
        hands, bodies, props, K = shots.people(rng, self.stage, kinds, self.size)
        if self.preset.framing == "crop":
            # The hand that does something comes last, and a crop is around its first hand.
            hands, bodies, props = _last_hand_first(hands, bodies, props)
            K = self._around(rng, hands[0])
        return hands, bodies, props, K

    def _bodies(self, rng: np.random.Generator, hands: list[SceneHand]) -> tuple[list[SceneBody], list[SceneHand]]:
        """The whole body behind the first hand and the arms behind the others, and the hands joined to them."""
        bodies: list[SceneBody] = []
        # Hands that touch keep their forearms bare and where they are.
        if self.wearer is None or not self.preset.bodies or hands_touch(hands):
            return bodies, hands
        for i, hand in enumerate(hands):
            whole = i == 0 and rng.random() < self.preset.person
            if not whole and self.preset.framing != "frame":
                continue
            body = self.wearer.around(rng, hand, i, self.wearer.person(rng, hand_size(hand), hand.skin), whole)
            if body is not None:
                body, hands = self.wearer.joined(body, hands)
                bodies.append(body)
        return bodies, hands

    @cached_property
    def _swapped_poses(self) -> SwappedPoses:
        average = np.zeros(len(self.model.shape_limits))
        return SwappedPoses(lambda rng: self.pose(rng, average)[1])

    def _crop(self, rng: np.random.Generator, index: int) -> tuple[list[SceneHand], np.ndarray]:
        """One hand, sometimes with a second beside it, and the camera of a crop around it."""
        preset = self.preset
        half_view = np.tan(np.deg2rad(rng.uniform(20, 40)))
        off_axis = rng.uniform(-preset.off_axis, preset.off_axis, 2) * half_view
        depth = float(np.clip(np.exp(rng.normal(np.log(0.5), 0.4)), 0.2, 1.6))
        centre = depth * np.array([off_axis[0], off_axis[1], 1.0])
        roll = rng.uniform(-np.pi, np.pi) if rng.random() < preset.any_roll else rng.normal(0, preset.roll_std)
        hands = [self.hand(rng, centre, roll, swept=index if preset.sweep else None)]
        if rng.random() < preset.second_hand:
            if rng.random() < preset.touching:
                hands = self.touching_hands(rng, centre * max(1.0, _MIN_PAIR_DEPTH / depth), roll)
            else:
                hands.append(self._beside(rng, hands[0], centre, roll))
        return hands, self._around(rng, *(hands if preset.frame_both else hands[:1]))

    def _around(self, rng: np.random.Generator, *hands: SceneHand) -> np.ndarray:
        """K (3, 3) of a random crop around hands."""
        vertices = np.concatenate([hand.vertices_camera[self.surface.hand_vertices] for hand in hands])
        plane = vertices[:, :2] / vertices[:, 2:]
        low, high = plane.min(0), plane.max(0)
        side = float((high - low).max())
        middle = (low + high) / 2 + side * np.clip(rng.normal(0, self.preset.shift_std, 2), -0.5, 0.5)
        width, height = self.size
        focal = min(self.size) / (side * rng.uniform(*self.preset.margin))
        return np.array(
            [
                [focal, 0, (width - 1) / 2 - focal * middle[0]],
                [0, focal, (height - 1) / 2 - focal * middle[1]],
                [0, 0, 1],
            ]
        )

    def _beside(self, rng: np.random.Generator, hand: SceneHand, centre: np.ndarray, roll: float) -> SceneHand:
        """A second hand near the hand at centre (3,), which pays no heed to it."""
        offset = rng.normal(size=3) * (1, 1, 0.5)
        offset *= rng.uniform(0.07, 0.16) / np.linalg.norm(offset)
        other = self.hand(rng, centre + offset, roll + rng.normal(0, 1.0), _second_side(rng, hand.side))
        return replace(other, skin=hand.skin if rng.random() < 0.7 else other.skin)

    def _frame(self, rng: np.random.Generator) -> tuple[list[SceneHand], np.ndarray]:
        """Zero to three hands anywhere in a whole picture, with the field of view of a webcam or a phone."""
        width, height = self.size
        focal = max(self.size) / 2 / np.tan(np.deg2rad(rng.uniform(22, 42)))
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        weights = np.array(self.preset.hand_count)
        hands: list[SceneHand] = []
        side, skin = None, None
        count = int(rng.choice(4, p=weights / weights.sum()))
        touching = count > 1 and rng.random() < self.preset.touching
        for number in range(count - touching):
            # The fraction of the picture's side that the hand's 18 cm span: from distant hands to frame-filling ones.
            share = float(np.exp(rng.uniform(np.log(0.08), np.log(0.95))))
            depth = max(focal * 0.18 / (share * max(self.size)), 0.12)
            margin = 0.5 - 0.25 * share
            uv = np.array(self.size) * (0.5 + rng.uniform(-margin, margin, 2))
            centre = depth * np.array([(uv[0] - K[0, 2]) / focal, (uv[1] - K[1, 2]) / focal, 1.0])
            if any(_overlaps(centre, share, other, float(focal), float(max(self.size))) for other in hands):
                continue
            any_roll = rng.random() < self.preset.any_roll
            roll = rng.uniform(-np.pi, np.pi) if any_roll else rng.normal(0, self.preset.roll_std)
            if touching and number == 0:
                hands = self.touching_hands(rng, centre * max(1.0, _MIN_PAIR_DEPTH / depth), roll)
                continue
            hand = self.hand(rng, centre, roll, side)
            side = _second_side(rng, hand.side)
            skin = skin or hand.skin
            hands.append(replace(hand, skin=skin if rng.random() < 0.8 else hand.skin))
        return hands, K

    def hand(
        self,
        rng: np.random.Generator,
        centre: np.ndarray,
        roll: float,
        side: str | None = None,
        swept: int | None = None,
    ) -> SceneHand:
        """A random hand whose centre lies at centre (3,), with its fingers rolled from pointing up, radians.

        With the index of a picture as `swept`, its view or pose is the one that the preset's sweep has there.
        """
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            hand = self._any_hand(rng, centre, roll, side, swept)
            # A crop that an arm hides is sampled again as a whole.
            if attempts_left == 0 or self.preset.framing == "crop" or not self.surroundings.camera_in_arm(hand):
                return hand
        raise AssertionError("the last attempt returns")

    def _any_hand(
        self, rng: np.random.Generator, centre: np.ndarray, roll: float, side: str | None, swept: int | None
    ) -> SceneHand:
        """As `hand`, wherever its arm is."""
        side = side or ("left" if rng.random() < 0.5 else "right")
        shape, skin = self._person(rng)
        pose, angles = self.pose(rng, shape, swept if self.preset.sweep == "poses" else None)
        wrist = np.clip(rng.normal(0, (0.35, 0.18)), (-1.0, -0.5), (1.0, 0.5))
        up = None
        if swept is None:
            view, direction = views.random_view(rng, self.preset.views, self.preset.view_spread)
        else:
            view, direction, up = sphere_view(swept) if self.preset.sweep == "positions" else even_view(swept)
        ray = centre / np.linalg.norm(centre)
        rotation = views.look_from(direction, side, roll, ray, up)
        T = np.eye(4)
        T[:3, :3] = rotation
        joints, vertices = np.empty((21, 3)), np.empty((0, 3))
        skin = skin or random_skin(rng)
        return self.moved(SceneHand(side, angles, wrist, shape, T, joints, vertices, skin, pose, view), angles, centre)

    def touching_hands(self, rng: np.random.Generator, centre: np.ndarray, roll: float) -> list[SceneHand]:
        """The two hands of a person, which touch each other, their middle at centre (3,); roll: of one of them."""
        assert self.pairs is not None
        shape, skin = self._person(rng)
        pair = self.pairs.random(rng, shape)
        skin = skin or random_skin(rng)
        sides = ("right", "left") if rng.random() < 0.5 else ("left", "right")
        T_first_second = pair.T_right_left if sides[0] == "right" else mirrored(pair.T_right_left)
        view, direction = views.random_view(rng, self.preset.views, self.preset.view_spread)
        ray = centre / np.linalg.norm(centre)
        first, second = np.eye(4), np.eye(4)
        if rng.random() < 0.5:
            first[:3, :3] = views.look_from(direction, sides[0], roll, ray)
            second = first @ T_first_second
        else:
            second[:3, :3] = views.look_from(direction, sides[1], roll, ray)
            first = second @ np.linalg.inv(T_first_second)
        joints = np.concatenate(
            [
                self.model.joints(pair.angles[i], shape=shape, T_camera_hand=T, side=sides[i])
                for i, T in enumerate((first, second))
            ]
        )
        shift = centre - 0.5 * (joints.min(0) + joints.max(0))
        hands = []
        for i, T in enumerate((first, second)):
            T[:3, 3] += shift
            hand = SceneHand(
                sides[i], pair.angles[i], pair.wrist_angles[i], shape, T, joints[:21], np.empty((0, 3)), skin,
                f"{PAIR_POSE}{pair.kind}", view,
            )  # fmt: skip
            hands.append(self.moved(hand, pair.angles[i]))
        # Either of the two is the first in a crop.
        return hands if rng.random() < 0.5 else hands[::-1]

    def moved(self, hand: SceneHand, angles: np.ndarray, centre: np.ndarray | None = None) -> SceneHand:
        """The hand with other angles (23,), its shape, rotation and wrist angles as they are, its centre at (3,).

        The centre is that of the joints' bounding box; where it is None, the hand stays where it is.
        """
        T = hand.T_camera_hand.copy()
        if centre is not None:
            T[:3, 3] = 0.0
            joints = self.model.joints(angles, shape=hand.shape, T_camera_hand=T, side=hand.side)
            T[:3, 3] = centre - 0.5 * (joints.min(0) + joints.max(0))
        wrist = hand.wrist_angles
        posed = self.model(angles, wrist_angles=wrist, shape=hand.shape, T_camera_hand=T, side=hand.side)
        bone = posed.bone_transforms[self.surface.forearm_bone][:3, :3]
        forearm_direction = T[:3, :3] @ (mirror_of(hand.side) * (bone @ [0.0, -1.0, 0.0]))
        vertices = self.surface.lengthen(posed.vertices, forearm_direction)
        return replace(hand, angles=angles, T_camera_hand=T, joints_camera=posed.joints, vertices_camera=vertices)

    def _person(self, rng: np.random.Generator) -> tuple[np.ndarray, SkinAppearance | None]:
        """Random shape (S,), with the skin of the person where the preset has a number of people."""
        if not self.preset.people:
            return self.shape(rng), None
        # The same people in every set of the preset, whatever its seed.
        person = np.random.default_rng([_PEOPLE_SEED, int(rng.integers(self.preset.people))])
        return self.shape(person), smooth_skin(person) if self.preset.smooth_skin else random_skin(person)

    def shape(self, rng: np.random.Generator) -> np.ndarray:
        """Random shape (S,): mostly adults, some children, whose hands are smaller."""
        limits = self.model.shape_limits
        shape = np.clip(rng.normal(0, 1.0, len(limits)), -2.5, 2.5)
        if rng.random() < self.preset.child:
            shape[0] = rng.uniform(0.75 * limits[0, 0], -1.0)
        return np.clip(shape, limits[:, 0], limits[:, 1])

    def pose(self, rng: np.random.Generator, shape: np.ndarray, swept: int | None = None) -> tuple[str, np.ndarray]:
        """A pose without self-collision: where there is one, the thumb is lifted off the fingers; where that does not
        help, another pose is sampled (of a sweep's: other fingers are swapped); as the last resort the hand is opened
        until it is free."""
        name, angles = "", np.zeros(23)
        for _ in range(_MAX_ATTEMPTS):
            if swept is None:
                name, angles = random_angles(rng, self.bank, self.limits, self.model.joints, self.preset.poses)
            else:
                name, angles = self._swapped_poses.angles(swept, rng)
            for lift in np.deg2rad([0, 8, 16, 24, 32]):
                lifted = angles.copy()
                lifted[1] = min(angles[1] + lift, self.limits[1, 1])
                if self._is_free(lifted, shape):
                    return name, lifted
        while np.abs(angles).max() > 0.05:
            angles = 0.85 * angles
            if self._is_free(angles, shape):
                break
        return name, angles

    def _is_free(self, angles: np.ndarray, shape: np.ndarray) -> bool:
        return self.collision.depth(self.model.joints(angles, shape=shape)) < _MAX_PENETRATION


def _last_hand_first(
    hands: list[SceneHand], bodies: list[SceneBody], solids: list[Solid]
) -> tuple[list[SceneHand], list[SceneBody], list[Solid]]:
    """The same scene with its last hand first; the indices of hands in bodies and solids follow."""

    def moved(hand: int | None) -> int | None:
        return None if hand is None else (hand + 1) % len(hands)

    bodies = [replace(body, hands=(moved(body.hands[0]), moved(body.hands[1]))) for body in bodies]
    solids = [replace(s, held_by=moved(s.held_by), forearm_of=moved(s.forearm_of)) for s in solids]
    return [hands[-1], *hands[:-1]], bodies, solids


def _second_side(rng: np.random.Generator, side: str) -> str:
    """The side of a second hand: mostly the other hand of the same person."""
    if rng.random() < 0.8:
        return "left" if side == "right" else "right"
    return side


def _overlaps(centre: np.ndarray, share: float, other: SceneHand, focal: float, side: float) -> bool:
    """Whether a hand at centre that spans a share of the picture's side would roughly overlap another hand."""
    joints = other.joints_camera
    plane = joints[:, :2] / joints[:, 2:]
    extent = float(np.ptp(plane, axis=0).max()) * focal
    gap = np.linalg.norm(centre[:2] / centre[2] - plane.mean(0)) * focal
    return bool(gap < 0.45 * (extent + share * side))
