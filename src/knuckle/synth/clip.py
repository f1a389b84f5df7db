"""Clips: hands that move, before a camera that moves, as a scene for every frame.

A hand goes from one random pose, place and direction to the next, each part of it at its own pace, with the velocity of
people's reaching movements, and holds still in between. The two hands of a person may cross, and a hand may leave the
picture for a moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from knuckle.synth.compose import Composer
from knuckle.synth.scene import Scene, SceneHand

FRAMES_PER_SECOND = 30.0
# Parts of the width and height by which the background is larger than the picture: the camera pans.
_ROOM = 0.3
_KINDS = ("one", "two", "cross", "away")


@dataclass(frozen=True)
class Path:
    """Values at increasing times, with pauses: between two, a movement of least jerk.

    Attributes:
        times: (K,) seconds, when each movement starts.
        durations: (K,) seconds, of the movement to the next value.
        values: (K, D).
    """

    times: np.ndarray
    durations: np.ndarray
    values: np.ndarray

    def at(self, time: float) -> tuple[int, float]:
        """The last value that was left or is held, and how far on the way to the next one, 0 to 1."""
        i = int(np.clip(np.searchsorted(self.times, time, side="right") - 1, 0, len(self.times) - 2))
        x = float(np.clip((time - self.times[i]) / self.durations[i], 0.0, 1.0))
        # Flash and Hogan, J. Neurosci. 1985.
        return i, x**3 * (10 - 15 * x + 6 * x * x)

    def value(self, time: float) -> np.ndarray:
        """(D,) at a time."""
        i, share = self.at(time)
        return (1 - share) * self.values[i] + share * self.values[i + 1]

    def rotation(self, time: float) -> np.ndarray:
        """(3, 3) at a time, where the values are rotation matrices (9 numbers): the shortest way between them."""
        i, share = self.at(time)
        start, end = (self.values[k].reshape(3, 3) for k in (i, i + 1))
        return start @ axis_angle_to_matrix(share * matrix_to_axis_angle(start.T @ end))


@dataclass(frozen=True)
class Clip:
    """A scene that moves.

    Attributes:
        scene: of the first frame, its background larger than the picture.
        hands: of each, the paths of angles (23), wrist angles (2), rotation (9) and centre (3).
        camera: path of the camera's rotation (rotation vector, radians) and place (metres), 6 numbers.
        seed: of sleeves and other solids: the same in every frame.
    """

    scene: Scene
    hands: tuple[tuple[Path, Path, Path, Path], ...]
    camera: Path
    seed: int


def random_clip(composer: Composer, rng: np.random.Generator, seconds: float) -> Clip:
    """A random clip.

    Args:
        composer: samples people, poses, light and background.
        rng: source of randomness.
        seconds: its length.
    """
    kind = str(rng.choice(_KINDS, p=[0.35, 0.2, 0.3, 0.15]))
    width, height = composer.size
    focal = max(width, height) / 2 / np.tan(np.deg2rad(rng.uniform(25, 40)))
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    share = rng.uniform(0.22, 0.5 if kind in ("one", "away") else 0.32)
    depth = float(focal * 0.18 / (share * max(width, height)))
    # Half of the picture's sides at that depth.
    reach = depth * np.array([width, height]) / (2 * focal)
    side = "left" if rng.random() < 0.5 else "right"
    hands: list[SceneHand] = []
    paths: list[tuple[Path, Path, Path, Path]] = []
    for number in range(1 if kind in ("one", "away") else 2):
        centres = _centres(rng, kind, number, depth, reach, seconds)
        first = composer.hand(rng, centres.values[0], rng.normal(0, 0.35), side)
        if number:
            # The other hand of the same person.
            first = composer.moved(replace(first, skin=hands[0].skin, shape=hands[0].shape), first.angles)
        side = "left" if first.side == "right" else "right"
        hands.append(first)
        paths.append(_hand_paths(composer, rng, first, centres, seconds))
    larger = (round((1 + _ROOM) * width), round((1 + _ROOM) * height))
    light, background = composer.surroundings.light_and_background(rng, _shift(larger, composer.size) @ K, larger)
    scene = Scene(
        K=K,
        size=composer.size,
        hands=tuple(hands),
        solids=(),
        light=light,
        exposure=composer.surroundings.exposure(rng, light, hands),
        background=background,
    )
    return Clip(scene, tuple(paths), _camera_path(rng, depth, seconds), int(rng.integers(2**31)))


def scene_at(composer: Composer, clip: Clip, time: float) -> Scene:
    """The scene of a frame.

    Args:
        composer: that made the clip.
        clip: it.
        time: seconds since the clip began.
    """
    move = clip.camera.value(time)
    turn = axis_angle_to_matrix(move[:3])
    hands = []
    for hand, (angles, wrist, rotation, centre) in zip(clip.scene.hands, clip.hands, strict=True):
        T = np.eye(4)
        T[:3, :3] = turn @ rotation.rotation(time)
        posed = replace(hand, T_camera_hand=T, wrist_angles=wrist.value(time))
        hands.append(composer.moved(posed, angles.value(time), turn @ (centre.value(time) - move[3:])))
    solids = composer.surroundings.solids_around(np.random.default_rng(clip.seed), hands)
    background = _turned(clip.scene.background, clip.scene.K, clip.scene.size, turn)
    return replace(clip.scene, hands=tuple(hands), solids=tuple(solids), background=background)


def _centres(rng: np.random.Generator, kind: str, number: int, depth: float, reach: np.ndarray, seconds: float) -> Path:
    """Where a hand goes, metres."""
    count = max(3, round(seconds / 0.8) + 1)
    # Two hands have a half of the picture each.
    centre = np.array([0.0, 0.0]) if kind in ("one", "away") else np.array([(0.45, -0.45)[number] * reach[0], 0.0])
    spread = np.array([0.45, 0.35]) * reach * (1.0 if kind in ("one", "away") else 0.5)
    places = np.empty((count, 3))
    places[:, :2] = centre + rng.uniform(-1, 1, (count, 2)) * spread
    places[:, 2] = depth * np.exp(rng.normal(0, 0.06, count))
    if kind == "cross":
        # The hands pass at different depths, and come back.
        middle = count // 2
        places[middle:, 0] -= 2 * centre[0]
        places[:, 2] += (0.06, -0.06)[number]
        if rng.random() < 0.5:
            back = middle + max(1, (count - middle) // 2)
            places[back:, 0] += 2 * centre[0]
    if kind == "away":
        out = count // 2
        places[out] = [(-1.0 if rng.random() < 0.5 else 1.0) * 2.2 * reach[0], places[out, 1], places[out, 2]]
    return _path(rng, places, seconds, pace=(0.35, 0.75))


def _hand_paths(
    composer: Composer, rng: np.random.Generator, hand: SceneHand, centres: Path, seconds: float
) -> tuple[Path, Path, Path, Path]:
    count = max(3, round(seconds / 0.7) + 1)
    angles = np.stack([hand.angles] + [composer.pose(rng, hand.shape)[1] for _ in range(count - 1)])
    wrists = np.clip(rng.normal(0, (0.3, 0.15), (count, 2)), (-0.9, -0.4), (0.9, 0.4))
    wrists[0] = hand.wrist_angles
    rotations = [hand.T_camera_hand[:3, :3]]
    for _ in range(count - 1):
        axis = rng.normal(size=3)
        angle = abs(rng.normal(0, 0.6))
        rotations.append(rotations[-1] @ axis_angle_to_matrix(angle * axis / np.linalg.norm(axis)))
    turns = np.stack(rotations).reshape(count, 9)
    return (
        _path(rng, angles, seconds, pace=(0.2, 0.6)),
        _path(rng, wrists, seconds, pace=(0.3, 0.7)),
        _path(rng, turns, seconds, pace=(0.3, 0.8)),
        centres,
    )


def _path(rng: np.random.Generator, values: np.ndarray, seconds: float, pace: tuple[float, float]) -> Path:
    """A path through values at even times, each movement as long as `pace` says, seconds."""
    step = seconds / (len(values) - 1)
    times = step * np.arange(len(values))
    return Path(times, np.minimum(rng.uniform(*pace, len(values)), step), values)


def _camera_path(rng: np.random.Generator, depth: float, seconds: float) -> Path:
    """A camera that is held by hand: it pans and moves a little."""
    count = max(3, round(seconds / 0.6) + 1)
    strength = rng.choice([0.0, 1.0, 2.5], p=[0.3, 0.45, 0.25])
    moves = rng.normal(0, 1, (count, 6)) * strength * np.array([0.012, 0.015, 0.012, *(3 * [0.01 * depth])])
    return _path(rng, moves, seconds, pace=(0.4, 0.6))


def _turned(background: np.ndarray, K: np.ndarray, size: tuple[int, int], turn: np.ndarray) -> np.ndarray:
    """What a turned camera sees of a background far away, (height, width, 3)."""
    # From pixels of the larger background to those of the picture.
    to_picture = K @ turn @ np.linalg.inv(_shift(background.shape[1::-1], size) @ K)
    return cv2.warpPerspective(background, to_picture, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _shift(larger: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """(3, 3) from pixels of the picture to those of a larger one around it."""
    shift = np.eye(3)
    shift[:2, 2] = (np.array(larger[:2]) - np.array(size)) / 2
    return shift
