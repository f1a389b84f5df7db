"""Two hands of one person that touch: random pairs from a bank, for hands of any shape.

The bank, data/hand_pairs.npz beside this file, is built by tools/build_hand_pairs.py for the average hand. A drawn pair
is varied, scaled to the shape, and freed of penetration again.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float

from knuckle.files import RefusedFile, load_npz
from knuckle.fit.kinematics import rotation_of
from knuckle.handmodel import HandModel
from knuckle.synth.collide import SelfCollision
from knuckle.synth.scene import SceneHand
from knuckle.synth.separate import HandPair, PairSolver, SeparateConfig
from knuckle.synth.surface import HandSurface

PAIR_POSE = "two hands: "  # what the label's pose of hands that touch begins with, before the kind
MAX_DEPTH = 0.002  # metres; vertices that lie deeper in the other hand are not accepted
_MAX_SELF = 0.005  # metres, of a hand's own capsules
_MAX_ATTEMPTS = 4
_MAX_STEPS_APART = 60  # of 5 mm
_APART = 0.2  # probability of hands that are about to touch or have just touched
_PALM = 9  # the joint whose distance from the wrist is the size of a hand


def hands_touch(hands: Sequence[SceneHand]) -> bool:
    """Whether there are two among them that touch each other."""
    return any(hand.pose.startswith(PAIR_POSE) for hand in hands)


@cache
def hand_pairs() -> tuple[HandPair, ...]:
    """The bank of pairs, in the order of the file; cached."""
    with resources.as_file(resources.files("knuckle.synth") / "data" / "hand_pairs.npz") as path:
        return load_pairs(path)


def load_pairs(path: Path) -> tuple[HandPair, ...]:
    """The pairs of a file that tools/build_hand_pairs.py wrote.

    Raises:
        RefusedFile: it is another file.
    """
    arrays = load_npz(path)
    try:
        kinds, of, touches = arrays["kinds"], arrays["kind"], arrays["touches"].astype(int)
        angles, wrists = arrays["angles"] / 1e4, arrays["wrist_angles"] / 1e4
        rotations, places = rotation_of(arrays["turn"].astype(float)), arrays["place"] / 1e5
    except KeyError as error:
        raise RefusedFile(f"{path} must be a bank of hand pairs but has no array {error}; build it again") from error
    pairs = []
    for i in range(len(of)):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotations[i], places[i]
        used = touches[i][touches[i, :, 0] >= 0]
        pairs.append(HandPair(str(kinds[of[i]]), angles[i], wrists[i], T, used))
    return tuple(pairs)


class PairMaker:
    """Draws random pairs.

    Args:
        model: the free hand, with NumPy constants. surface: its mesh. collision: rejects hands that penetrate
            themselves. bank: pairs of the average hand.
    """

    def __init__(
        self, model: HandModel, surface: HandSurface, collision: SelfCollision, bank: Sequence[HandPair]
    ) -> None:
        self.model, self.collision, self.bank = model, collision, bank
        self.solver = PairSolver(model, surface)
        self._kinds: dict[str, list[int]] = {}
        for i, pair in enumerate(bank):
            self._kinds.setdefault(pair.kind, []).append(i)
        self._palm = float(np.linalg.norm(np.asarray(model.joints_rest)[_PALM]))

    def random(self, rng: np.random.Generator, shape: Float[np.ndarray, " S"]) -> HandPair:
        """A random pair of hands of a shape, without penetration of more than MAX_DEPTH.

        Every kind is equally probable. Where a variation cannot be freed of penetration another is drawn; as the last
        resort the hands are moved apart.
        """
        kinds = list(self._kinds)
        pair, depth = self.bank[0], 1.0
        for _ in range(_MAX_ATTEMPTS):
            numbers = self._kinds[kinds[rng.integers(len(kinds))]]
            pair = self._varied(rng, self.bank[numbers[rng.integers(len(numbers))]], shape)
            config = SeparateConfig()
            if rng.random() < _APART:
                pair, config = _apart(pair, rng.uniform(0.0, 0.04)), replace(config, gap=0.0)
            pair, depth = self.solver.separate(pair, shape, config)
            if depth > MAX_DEPTH or self._penetrates_itself(pair, shape):
                continue
            # A fingertip in the middle of a forearm is far from its skin, where the search does not look.
            depth = self.solver.depth(pair, shape, thorough=True)
            if depth <= MAX_DEPTH:
                return pair
        for _ in range(_MAX_STEPS_APART):
            if depth <= MAX_DEPTH:
                break
            pair = _apart(pair, 0.005)
            depth = self.solver.depth(pair, shape, thorough=True)
        return pair

    def _varied(self, rng: np.random.Generator, pair: HandPair, shape: np.ndarray) -> HandPair:
        """The pair with other angles and another place, scaled to hands of a shape."""
        size = float(np.linalg.norm(np.asarray(self.model.shaped_joints(shape))[_PALM])) / self._palm
        T = pair.T_right_left.copy()
        T[:3, :3] = rotation_of(rng.normal(0, 0.06, (1, 3)))[0] @ T[:3, :3]
        T[:3, 3] = size * T[:3, 3] + rng.normal(0, 0.003, 3)
        angles = pair.angles + rng.normal(0, 0.06 * rng.random(), pair.angles.shape)
        wrist_angles = pair.wrist_angles + rng.normal(0, 0.08, (2, 2))
        return replace(pair, angles=angles, wrist_angles=wrist_angles, T_right_left=T)

    def _penetrates_itself(self, pair: HandPair, shape: np.ndarray) -> bool:
        return any(self.collision.depth(self.model.joints(a, shape=shape)) > _MAX_SELF for a in pair.angles)


def _apart(pair: HandPair, distance: float) -> HandPair:
    """The pair with its hands farther from each other, along the line between their palms."""
    T = pair.T_right_left.copy()
    palm = np.array([0.0, 0.08, 0.0, 1.0])
    line = (T @ palm - palm)[:3]
    T[:3, 3] += distance * line / max(float(np.linalg.norm(line)), 1e-6)
    return replace(pair, T_right_left=T)


def mirrored(T: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """The pose of the second hand in the first's frame where the sides are exchanged."""
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    return mirror @ T @ mirror
