"""What is around the hands of a random scene: sleeves, watches, held objects and occluders, light and background."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knuckle.geometry.rotation import rotation_about
from knuckle.handmodel import HandModel
from knuckle.synth import backdrop, people, solids
from knuckle.synth.light import Light, Panorama, irradiance, procedural_light
from knuckle.synth.pairs import hands_touch
from knuckle.synth.presets import Preset
from knuckle.synth.scene import SceneBody, SceneHand, Solid, mirror_of
from knuckle.synth.skin import reflectance_table
from knuckle.synth.surface import HandSurface

_FOREARM = 0.42  # metres from the wrist, as far as a sleeve goes
_ROOM_FOR_CAMERA = 0.1  # metres from the middle of a forearm: a wide sleeve has a radius of 0.09


@dataclass(frozen=True)
class Surroundings:
    """Samples what is around hands; the same generator state gives the same.

    Attributes:
        model: the hand. surface: its mesh, whose forearm sleeves and watches fit.
        preset: which kind of pictures. size: (width, height) px.
        photos: (H, W, 3) uint8 backgrounds, may be empty. panoramas: may be empty.
    """

    model: HandModel
    surface: HandSurface
    preset: Preset
    size: tuple[int, int]
    photos: tuple[np.ndarray, ...] = ()
    panoramas: tuple[Panorama, ...] = ()

    def solids_around(
        self, rng: np.random.Generator, hands: list[SceneHand], bodies: Sequence[SceneBody] = ()
    ) -> list[Solid]:
        """People, sleeves, watches, rings, held objects and occluders for the hands; no arms or sleeves for those of
        the bodies."""
        preset, parts = self.preset, []
        dressed = {hand for body in bodies for hand in body.hands}
        touching = hands_touch(hands)
        # Hands may lie on each other's wrists and forearms, where a sleeve or a watch would cover them.
        sleeved = rng.random() < preset.sleeved and not touching
        fabric = solids.cloth(rng)
        for i, hand in enumerate(hands):
            if preset.bodies and not touching:
                break
            arm = people.person if i == 0 and rng.random() < preset.person else people.upper_arm
            if arm is people.person or preset.framing == "frame" or touching:
                skin = (
                    reflectance_table(16)[round(15 * hand.skin.blood), round(15 * hand.skin.melanin)] * hand.skin.tint
                )
                direction = self.forearm(hand) @ [0.0, -1.0, 0.0]
                parts.extend(arm(rng, hand, direction, skin, fabric if sleeved and rng.random() < 0.8 else None))
        sleeve_length = 0.3 if parts else _FOREARM
        for i, hand in enumerate(hands):
            if sleeved and i not in dressed:
                parts.append(self._sleeve(rng, hand, i, fabric, sleeve_length))
            elif rng.random() < 0.12 and not touching and not _under_sleeve(i, bodies):
                parts.append(self._watch(rng, hand, i))
            if rng.random() < 0.08:
                parts.append(solids.ring(rng, hand.joints_camera, self.surface.radii()))
            # A grasp from the bank mostly holds something.
            if not touching and rng.random() < preset.held * (3.0 if hand.pose.startswith("grasp") else 0.85):
                held = solids.held_object(rng, hand.joints_camera, i)
                if held is not None:
                    parts.append(held)
            if rng.random() < preset.occluded:
                parts.append(solids.occluder(rng, hand.joints_camera))
        return parts

    def _sleeve(
        self, rng: np.random.Generator, hand: SceneHand, index: int, fabric: solids.Material, length: float
    ) -> Solid:
        start = float(np.clip(rng.gamma(1.5, 0.025) - 0.015, -0.02, 0.1))
        along = start + np.linspace(0, 1, 9) ** 1.3 * (length - start)
        clearance = rng.uniform(0.003, 0.012) + 0.03 * rng.random() * np.linspace(0, 1, 9)
        return self._around_forearm(rng, hand, index, along, clearance, rng.uniform(0.0004, 0.003), fabric)

    def _watch(self, rng: np.random.Generator, hand: SceneHand, index: int) -> Solid:
        start, width = rng.uniform(0.015, 0.04), rng.uniform(0.008, 0.03)
        along = start + np.linspace(0, 1, 4) * width
        clearance = np.array([0.0, 0.0025, 0.0025, 0.0])
        return self._around_forearm(rng, hand, index, along, clearance, 0.0, solids.random_material(rng))

    def _around_forearm(
        self,
        rng: np.random.Generator,
        hand: SceneHand,
        index: int,
        along: np.ndarray,
        clearance: np.ndarray,
        waves: float,
        material: solids.Material,
    ) -> Solid:
        """A tube around the forearm of a hand: distances from the wrist along it (R,) and clearances (R,), metres."""
        scale = float(np.linalg.norm(hand.joints_camera[9] - hand.joints_camera[0]))
        scale /= float(np.linalg.norm(self.surface.joints[9]))
        centres, halves = self.surface.forearm_sections(along / scale)
        parts = solids.tube(rng, centres * scale, halves * scale + clearance[:, None], waves)
        return solids.place(parts, self.forearm(hand), hand.T_camera_hand[:3, 3], material, forearm_of=index)

    def forearm(self, hand: SceneHand) -> np.ndarray:
        """The linear map (3, 3) from the forearm at rest to the camera frame; a reflection for a left hand."""
        bone = rotation_about(self.model.wrist_angle_axis, hand.wrist_angles)
        return hand.T_camera_hand[:3, :3] @ np.diag(mirror_of(hand.side)) @ bone[0] @ bone[1]

    def camera_in_arm(self, hand: SceneHand) -> bool:
        """Whether the camera is in a hand's forearm or sleeve, or so near that it sees little else."""
        wrist, along = hand.T_camera_hand[:3, 3], self.forearm(hand) @ [0.0, -1.0, 0.0]
        nearest = wrist + np.clip(-wrist @ along, 0.0, _FOREARM) * along
        return bool(np.linalg.norm(nearest) < _ROOM_FOR_CAMERA)

    def exposure(self, rng: np.random.Generator, light: Light, hands: list[SceneHand]) -> float:
        """The gain from radiance to pixels: exposes for the scene's light and, in part, for dark skin."""
        facing = np.array([[0, 0, -1], [0.6, 0, -0.8], [-0.6, 0, -0.8], [0, 0.6, -0.8], [0, -0.6, -0.8]], float)
        level = irradiance(light.ambient, facing).mean()
        if len(light.lamps):
            level += float((np.maximum(facing @ light.lamps.T, 0).mean(0) * light.colours.mean(1)).sum())
        melanin = hands[0].skin.melanin if hands else 0.4
        return float(0.85 / max(level, 1e-6) * np.exp(rng.normal(0.05, 0.35)) * (1 + 0.9 * melanin**2))

    def light_and_background(
        self, rng: np.random.Generator, K: np.ndarray, size: tuple[int, int] | None = None
    ) -> tuple[Light, np.ndarray]:
        """Random light, and a background (height, width, 3) uint8 of the pictures' size or another."""
        size = size or self.size
        rotation = _random_camera_rotation(rng)
        panorama = self.panoramas[rng.integers(len(self.panoramas))] if self.panoramas else None
        light = procedural_light(rng, rotation @ [0.0, -1.0, 0.0], self.preset.realism.mixed_light)
        if panorama is not None and rng.random() < 0.5:
            light = panorama.light(rotation)
        choice = rng.random()
        if panorama is not None and choice < 0.2:
            view = panorama.view(rotation, _at_least_25_degrees(K, size), size)
            return light, backdrop.to_srgb(view * rng.uniform(0.25, 0.7) / max(float(view.mean()), 1e-6))
        if self.photos and choice < 0.75:
            photo = self.photos[rng.integers(len(self.photos))]
            picture = backdrop.photo_crop(rng, photo, size)
            if rng.random() < 0.35:  # the background of a near hand is often out of focus
                picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.6, 4)) * size[0] / 256)
            gain = np.exp(rng.normal(-0.05, 0.3))
            picture = (picture * gain).clip(0, 255).astype(np.uint8)
        else:
            picture = backdrop.procedural(rng, size)
        if rng.random() < 0.5:
            # The surroundings of a hand tint its light.
            mean = (np.array(cv2.mean(picture)[:3]) / 255 + 0.1) ** 2.2
            light = replace(light, ambient=light.ambient * (0.5 + 0.5 * mean / mean.mean()))
        return light, picture


def _under_sleeve(hand: int, bodies: Sequence[SceneBody]) -> bool:
    """Whether a hand's wrist is under the sleeve of its body."""
    return any(hand in body.hands and body.look.sleeve > 1.8 for body in bodies)


def _random_camera_rotation(rng: np.random.Generator) -> np.ndarray:
    """Random rotation world to camera (3, 3): any heading, small pitch and roll."""
    heading, pitch, roll = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.35), rng.normal(0, 0.4)
    cy, sy, cp, sp, cr, sr = (f(a) for a in (heading, pitch, roll) for f in (np.cos, np.sin))
    R_heading = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    R_pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    R_roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return R_roll @ R_pitch @ R_heading


def _at_least_25_degrees(K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """K with a field of view of at least 25 degrees: a narrower one would show a few blurred pixels of a panorama."""
    focal = min(K[0, 0], max(size) / (2 * np.tan(np.deg2rad(12.5))))
    return np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])
