"""Cameras and props for people in situations."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from knuckle.synth import solids
from knuckle.synth.scene import Material, SceneBody, SceneHand, Solid
from knuckle.synth.staging import HandShape, Stage, Staged

_MAX_HANDS = 4  # that the masks have values for
_PHONE = np.array([0.036, 0.075, 0.0042])  # half extents, metres


def people(
    rng: np.random.Generator, stage: Stage, kinds: Sequence[HandShape], size: tuple[int, int]
) -> tuple[list[SceneHand], list[SceneBody], list[Solid], np.ndarray]:
    """Random people before a random camera.

    Args:
        rng: source of randomness. stage: puts people into situations. kinds: each person's hands, one or two people.
        size: (width, height) px.

    Returns:
        The hands, bodies and solids in the camera frame, and the camera's K (3, 3).
    """
    staged = [stage.person(rng, kinds[0], stage.random_situation(rng), 0)]
    T, K = camera(rng, stage, staged[0], size)
    poses = [T]
    for kind in kinds[1:] if staged[0].situation.camera == "front" else ():
        other = stage.person(rng, kind, stage.random_situation(rng), sum(len(s.hands) for s in staged))
        staged.append(other)
        poses.append(T @ _beside(rng))
    hands, bodies, parts = [], [], []
    for one, pose in zip(staged, poses, strict=True):
        body = stage.wearer.placed(one.person, one.trunk, np.eye(4), list(one.arms), False)
        vertices = body.vertices @ pose[:3, :3].T + pose[:3, 3]
        if len(hands) and _in_the_way(vertices, hands):
            continue
        props = _props(rng, one, len(hands), one is staged[0] and bool(rng.random() < 0.5))
        parts += [_moved_solid(solid, pose) for solid in props]
        # A person who was left out has taken no numbers.
        index = {arm.hand: len(hands) + i for i, arm in enumerate(one.arms)}
        numbers = tuple(None if hand is None else index[hand] for hand in body.hands)
        hands += [_moved_hand(hand, pose) for hand in one.hands]
        shirt = body.shirt @ pose[:3, :3].T + pose[:3, 3]
        placed = replace(body, vertices=vertices, shirt=shirt, hands=(numbers[0], numbers[1]))
        joined, hands = stage.wearer.joined(placed, hands)
        bodies.append(joined)
    return hands, bodies, parts, K


def camera(
    rng: np.random.Generator, stage: Stage, staged: Staged, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """T_camera_body (4, 4) and K (3, 3) of a camera that looks at a person: a webcam, a phone, or the person's eyes."""
    model, trunk = stage.wearer.body_model, staged.trunk
    turn = trunk.rotations[model.bone("head")]
    head = trunk.places[model.bone("head")] + turn @ np.array([0, 0.05, 0.04])
    hands = [hand.joints_camera for hand in staged.hands]
    width, height = size
    kind = staged.situation.camera
    if kind == "eyes" or (kind == "any" and rng.random() < 0.5):
        position = head + turn @ np.array([0, rng.uniform(0, 0.05), rng.uniform(0.1, 0.14)])
        target = np.concatenate(hands).mean(0) + rng.normal(0, 0.06, 3)
        half = np.deg2rad(rng.uniform(28, 45))
    else:
        half = np.deg2rad(rng.uniform(18, 38))
        yaw, pitch = rng.normal(0, 0.4), rng.normal(-0.02, 0.18)
        away = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        target, distance = _shot(rng, head, hands, np.stack(list(staged.trunk.places)), away, float(half))
        position = target + distance * away
    T = _look_at(position, target, rng.normal(0, 0.07))
    focal = max(size) / 2 / np.tan(half)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return T, K


def _shot(
    rng: np.random.Generator,
    head: np.ndarray,
    hands: Sequence[np.ndarray],
    body: np.ndarray,
    away: np.ndarray,
    half: float,
) -> tuple[np.ndarray, float]:
    """What a camera looks at (3,) and from how far, so that it sees a random part of a person.

    Args:
        rng: source of randomness. head: (3,) its middle. hands: joints (21, 3), the one that does something last.
        body: (N, 3) joints. away: (3,) unit, towards the camera. half: the camera's half angle, radians.
    """
    round_head = head + 0.16 * np.array([[0, 1, 0], [0, -1, 0], [1, 0, 0], [-1, 0, 0]])
    # The hand and the head, both hands and the head, the whole body, the hand alone, or the head, often without a hand.
    kind = rng.choice(5, p=[0.42, 0.23, 0.11, 0.17, 0.07])
    shown = [
        np.concatenate([round_head, hands[-1]]),
        np.concatenate([round_head, *hands]),
        np.concatenate([round_head, body, *hands]),
        hands[-1],
        round_head,
    ][kind]
    target = (shown.min(0) + shown.max(0)) / 2
    offset = shown - target
    forward = offset @ away
    across = np.linalg.norm(offset - forward[:, None] * away, axis=1)
    distance = float((across / np.tan(half) + forward).max()) * float(np.exp(rng.uniform(-0.15, 0.5)))
    target = target + rng.normal(0, 0.12, 3) * distance * np.tan(half)
    # Not through a hand or the head.
    nearest = max(float(((points - target) @ away).max()) for points in (round_head, *hands))
    return target, max(distance, nearest + 0.15)


def _look_at(position: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """T_camera_body (4, 4) of an upright camera, rolled by some radians."""
    forward = (target - position) / np.linalg.norm(target - position)
    up = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.98 else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    T = np.eye(4)
    T[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward])
    T[:3, 3] = -T[:3, :3] @ position
    return T


def _beside(rng: np.random.Generator) -> np.ndarray:
    """The frame (4, 4) of a second person in that of the first."""
    yaw = rng.normal(0, 0.5)
    T = np.eye(4)
    T[:3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    side = 1.0 if rng.random() < 0.5 else -1.0
    T[:3, 3] = (side * rng.uniform(0.5, 0.9), rng.normal(0, 0.05), rng.normal(-0.25, 0.35))
    return T


def _in_the_way(vertices: np.ndarray, hands: Sequence[SceneHand]) -> bool:
    """Whether a body (V, 3) in the camera frame is in the camera, or before a hand."""
    if float(np.linalg.norm(vertices, axis=1).min()) < 0.3:
        return True
    for hand in hands:
        middle = hand.joints_camera.mean(0)
        nearer = vertices[vertices[:, 2] < middle[2] + 0.1]
        nearer = nearer[nearer[:, 2] > 0.05]
        plane = nearer[:, :2] / nearer[:, 2:]
        if len(plane) and float(np.linalg.norm(plane - middle[:2] / middle[2], axis=1).min()) < 0.1 / middle[2]:
            return True
    return False


def _props(rng: np.random.Generator, staged: Staged, first: int, screen: bool) -> list[Solid]:
    """Table, keyboard and phone of a situation, in the body frame."""
    parts = []
    if staged.situation.table:
        fingers = np.concatenate([hand.vertices_camera for hand in staged.hands])
        top = float(fingers[fingers[:, 2] > 0.15][:, 1].min(initial=0.5)) - 0.001
        if top > -0.3:
            parts.append(
                _slab((0.0, top - 0.015, 0.75), (rng.uniform(0.5, 1.0), 0.015, 0.58), solids.random_material(rng))
            )
            if staged.situation.prop == "laptop":
                parts += _laptop(rng, staged, top, screen)
    if staged.situation.prop == "phone":
        for i, hand in enumerate(staged.hands):
            if hand.pose == "grasp_phone":
                parts.append(_phone(rng, hand, first + i))
    return parts


def _laptop(rng: np.random.Generator, staged: Staged, top: float, screen: bool) -> list[Solid]:
    middle = np.mean([hand.joints_camera[[9, 12]].mean(0) for hand in staged.hands], axis=0)
    grey = solids.to_rgb(np.full(3, rng.uniform(0.02, 0.5)))
    dark = Material(grey, solids.to_rgb(0.3 * np.array(grey)), 3, 330.0, 0.5, 0.3)
    parts = [_slab((middle[0], top + 0.002, middle[2] - 0.02), (0.16, 0.004, 0.11), dark)]
    if screen:
        parts.append(_slab((middle[0], top + 0.11, middle[2] + 0.12), (0.16, 0.1, 0.004), solids.random_material(rng)))
    return parts


def _slab(centre: Sequence[float], half: Sequence[float], material: Material) -> Solid:
    """A box along the axes of the body frame."""
    return solids.place(box(np.array(half)), np.eye(3), np.array(centre), material)


def box(half: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (24, 3), normals and faces (12, 3) of a box with half extents (3,)."""
    corners, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corners.append(np.roll([sign, a, b], axis))
                normals.append(np.roll([sign, 0.0, 0.0], axis))
    start = 4 * np.arange(6)[:, None]
    faces = np.concatenate([start + np.array(half_face) for half_face in ((0, 1, 2), (0, 2, 3))])
    return np.array(corners) * half, np.array(normals), faces


def _phone(rng: np.random.Generator, hand: SceneHand, number: int) -> Solid:
    """A phone in a hand whose camera frame is the body frame: across the palm, between thumb and fingers."""
    joints = hand.joints_camera
    palm = np.cross(joints[5] - joints[0], joints[17] - joints[0]) * (-1.0 if hand.side == "left" else 1.0)
    palm /= np.linalg.norm(palm)
    along = joints[9] - joints[0]
    along = along - palm * (along @ palm)
    along /= np.linalg.norm(along)
    rotation = np.stack([along, np.cross(palm, along), palm], -1)
    centre = joints[[5, 9, 13, 17]].mean(0) + 0.022 * palm + 0.02 * along
    half = _PHONE[[1, 0, 2]]
    solid = solids.place(box(half), rotation, centre, solids.random_material(rng))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, centre
    return replace(solid, held_by=number, T_camera_object=pose, half_extents=half)


def _moved_hand(hand: SceneHand, T: np.ndarray) -> SceneHand:
    """The hand moved by a rigid transformation (4, 4)."""
    R, t = T[:3, :3], T[:3, 3]
    return replace(
        hand,
        T_camera_hand=T @ hand.T_camera_hand,
        joints_camera=hand.joints_camera @ R.T + t,
        vertices_camera=hand.vertices_camera @ R.T + t,
    )


def _moved_solid(solid: Solid, T: np.ndarray) -> Solid:
    """The solid moved by a rigid transformation (4, 4)."""
    R, t = T[:3, :3], T[:3, 3]
    pose = None if solid.T_camera_object is None else T @ solid.T_camera_object
    return replace(solid, vertices=solid.vertices @ R.T + t, normals=solid.normals @ R.T, T_camera_object=pose)
