"""A coarse body for a hand: upper arm, torso and head, so that faces and clothes appear beside hands.

These shapes have no labels: they are negatives for a network that looks for hands.
"""

from dataclasses import replace

import numpy as np

from knuckle.synth.scene import Material, SceneHand, Solid
from knuckle.synth.solids import place, random_material, superellipsoid, to_rgb

_ELBOW = 0.29  # metres from the wrist, of an adult
_UPPER_ARM = 0.29
_HEAD = np.array([0.078, 0.115, 0.095])
FACE_PATTERN = 5  # the shader draws eyes, brows, mouth and hair on it


def person(
    rng: np.random.Generator,
    hand: SceneHand,
    forearm_direction: np.ndarray,
    skin_colour: np.ndarray,
    cloth: Material | None,
) -> list[Solid]:
    """Upper arm, torso and head of a person facing the camera; empty where they would be in front of the hand.

    Args:
        rng: source of randomness. hand: the person's hand.
        forearm_direction: (3,) unit, from the wrist along the forearm, camera frame.
        skin_colour: (3,) linear. cloth: of the sleeve; None for a bare arm.
    """
    wrist = hand.joints_camera[0]
    scale = float(np.linalg.norm(hand.joints_camera[9] - wrist)) / 0.087
    scale = 0.5 + 0.5 * scale  # a child's arm is shortened less than its hand
    up = np.array([rng.normal(0, 0.2), -1.0, rng.normal(0, 0.1)])
    up /= np.linalg.norm(up)
    elbow = wrist + scale * _ELBOW * forearm_direction
    to_shoulder = rng.normal(0, 0.35, 3) + 0.5 * up + (0, 0, 0.8)
    shoulder = elbow + scale * _UPPER_ARM * to_shoulder / np.linalg.norm(to_shoulder)
    # The right shoulder of a person facing the camera is on the picture's left.
    sign = 1.0 if (hand.side == "right") == (rng.random() < 0.85) else -1.0
    inward = np.cross(up, [0.0, 0.0, sign])
    inward = -inward / np.linalg.norm(inward)
    middle = shoulder + scale * 0.19 * inward
    head = middle + scale * (0.27 * up + rng.normal(0, 0.02, 3))
    if shoulder[2] < wrist[2] - 0.03 or min(shoulder[2], head[2], elbow[2]) < 0.25:
        return []
    skin = Material(to_rgb(skin_colour), to_rgb(skin_colour * 0.85), 1, 40.0, 0.5, 0.5)
    shirt = cloth or random_material(rng)
    frame = _frame(up, inward)
    torso = middle - scale * 0.27 * up + scale * 0.04 * frame[:, 2]
    parts = [
        _limb(elbow, shoulder, 0.045 * scale * (1.2 if cloth else 1.0), cloth or skin),
        place(superellipsoid(scale * np.array([0.055, 0.055, 0.055]), (1.0, 1.0)), np.eye(3), elbow, cloth or skin),
        place(superellipsoid(scale * np.array([0.21, 0.30, 0.12]), (0.7, 0.7)), frame, torso, shirt),
        _limb(middle - scale * 0.02 * up, head, 0.052 * scale, skin),
    ]
    turned = _frame(up, inward * np.cos(yaw := rng.normal(0, 0.4)) + frame[:, 2] * np.sin(yaw))
    hair = to_rgb(rng.uniform(0.01, 0.08) * np.array([1, 0.75, 0.55]) * (1 if rng.random() < 0.8 else 6))
    face = replace(skin, second_colour=hair, pattern=FACE_PATTERN, scale=float(1 / (scale * _HEAD[1])))
    parts.append(place(superellipsoid(scale * _HEAD, (0.9, 0.95)), turned, head, face))
    return parts


def upper_arm(
    rng: np.random.Generator,
    hand: SceneHand,
    forearm_direction: np.ndarray,
    skin_colour: np.ndarray,
    cloth: Material | None,
) -> list[Solid]:
    """The upper arm in a random direction, for a hand whose person is outside the picture. Arguments as for person."""
    scale = 0.5 + 0.5 * float(np.linalg.norm(hand.joints_camera[9] - hand.joints_camera[0])) / 0.087
    elbow = hand.joints_camera[0] + scale * _ELBOW * forearm_direction
    direction = forearm_direction + rng.normal(0, 0.5, 3)
    shoulder = elbow + scale * 0.5 * direction / np.linalg.norm(direction)
    if min(elbow[2], shoulder[2]) < 0.1:
        return []
    material = cloth or Material(to_rgb(skin_colour), to_rgb(skin_colour * 0.85), 1, 40.0, 0.5, 0.5)
    return [_limb(elbow, shoulder, 0.05 * scale, material)]


def _frame(up: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A person's frame (3, 3): columns x right, y down, z into the picture."""
    down = -up
    right = right - down * (right @ down)
    right = right / np.linalg.norm(right)
    if right[0] < 0:
        right = -right
    return np.stack([right, down, np.cross(right, down)], -1)


def _limb(start: np.ndarray, end: np.ndarray, radius: float, material: Material) -> Solid:
    along = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along, [0.0, 0.0, 1.0] if abs(along[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(along, side), along], -1)
    half = np.array([radius, radius, 0.5 * float(np.linalg.norm(end - start)) + radius])
    return place(superellipsoid(half, (0.35, 1.0)), rotation, (start + end) / 2, material)
