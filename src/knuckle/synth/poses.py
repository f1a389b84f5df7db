"""Random hand poses: from a bank, with fingers swapped between poses, or of angles coupled as in real hands.

All angles are the hand model's 23 (radians): the thumb's seven, then abduction, MCP, PIP and DIP flexion of index,
middle, ring and little finger.

Sources of the couplings:
    DIP flexion is two thirds of PIP flexion (Rijpkema and Girard, SIGGRAPH 1991; Lee and Kunii, 1995). Recorded hands
    deviate from it by 12 degrees (standard deviation).
    MCP flexions of neighbouring fingers correlate: 0.63 index-middle, 0.80 middle-ring, 0.81 ring-little, and
    0.77 with the PIP of their own finger (110 recorded sign and gesture poses; Häger-Ross and Schieber, J. Neurosci.
    2000, find the same order: ring and little finger are the least independent).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

# Forward kinematics: angles (N, 23) in radians to joints (N, 21, 3) in metres.
ForwardKinematics: TypeAlias = Callable[[np.ndarray], np.ndarray]

FINGER_STARTS = (7, 11, 15, 19)  # where the four angles of index, middle, ring and little begin

# Correlation of the curl of index, middle, ring, little; all entries are measured on the recorded poses.
_CURL_CORRELATION = np.array(
    [[1.0, 0.63, 0.49, 0.30], [0.63, 1.0, 0.80, 0.49], [0.49, 0.80, 1.0, 0.81], [0.30, 0.49, 0.81, 1.0]]
)
_TOUCH_CANDIDATES = 48
_DIP_PER_PIP = 2 / 3
_DIP_SCATTER = np.deg2rad(10)

# Common thumb postures, which random thumbs interpolate (degrees): cmc flexion, abduction, rotation; mcp flexion,
# abduction, rotation; ip flexion. Zero is the thumb flat beside the palm.
_THUMBS = np.deg2rad(
    [
        [0, 0, 0, 0, 0, 0, 0],  # flat beside the palm
        [-15, 10, 0, -5, 0, 0, -5],  # spread away
        [10, 30, 15, 10, 0, 0, 10],  # ready to grasp
        [20, 40, 30, 15, 0, 5, 20],  # opposed to the fingers
        [30, 35, 35, 30, 0, 5, 40],  # across the palm
        [35, 20, 20, 40, 0, 0, 55],  # folded in
        [25, 5, 5, 20, 0, 0, 10],  # along the index finger
    ]
)


# Minimum and maximum angles of a thumb held away from the hand.
_EXTENDED_THUMB = np.deg2rad([[-25, -5, -10, -15, -5, -5, -25], [5, 25, 10, 10, 5, 5, 10]])


@dataclass(frozen=True)
class PoseMix:
    """Relative frequency of each kind of pose (weights with any sum) and the noise that is added.

    bank: a named pose; swap: fingers of several named poses; gesture: every finger straight, half or fully curled;
    touch: the same with the thumb's tip at another fingertip; coupled: smooth random angles; blend: an interpolation of
    two of those; uniform: every angle by itself, anywhere within its limits. noise: largest standard deviation of the
    noise, radians.
    """

    bank: float = 0.2
    swap: float = 0.2
    gesture: float = 0.2
    touch: float = 0.1
    coupled: float = 0.15
    blend: float = 0.15
    uniform: float = 0.0
    noise: float = 0.08


def coupled_angles(rng: np.random.Generator) -> np.ndarray:
    """Random angles (23,) with the correlations of real hands; radians."""
    curl = rng.multivariate_normal(np.zeros(4), _CURL_CORRELATION)
    # A common offset and scale make flat hands and fists as frequent as half-closed hands.
    curl = 0.5 + rng.uniform(-0.45, 0.45) + rng.uniform(0.05, 0.35) * curl
    return _from_curl(rng, np.clip(curl, 0, 1))


def gesture_angles(rng: np.random.Generator) -> np.ndarray:
    """Random angles (23,) with each finger straight, half or fully curled, neighbours more often alike; radians."""
    states = np.array([0.03, 0.55, 0.97])
    curl = np.empty(4)
    curl[0] = rng.choice(states, p=[0.5, 0.15, 0.35])
    for i, alike in enumerate((0.5, 0.65, 0.7), start=1):
        curl[i] = curl[i - 1] if rng.random() < alike else rng.choice(states, p=[0.45, 0.1, 0.45])
    angles = _from_curl(rng, np.clip(curl + rng.normal(0, 0.04, 4), 0, 1))
    if rng.random() < 0.35:
        # As in thumbs up, a pistol, a telephone: an extended thumb is part of candidates gestures.
        angles[:7] = rng.uniform(_EXTENDED_THUMB[0], _EXTENDED_THUMB[1])
    return angles


def _from_curl(rng: np.random.Generator, curl: np.ndarray) -> np.ndarray:
    """Angles (..., 23) from the curl (..., 4) of the fingers in 0..1."""
    hands, fingers = curl.shape[:-1], curl.shape
    # A finger closes from the MCP (tabletop) or from the PIP (claw): the fingers of a hand share the balance.
    balance = rng.normal(0, 0.26, (*hands, 1))
    spread = np.where(rng.random(hands) < 0.5, rng.normal(0, 0.3, hands), rng.uniform(0.2, 1.0, hands))
    fan = np.deg2rad([16, 4, -8, -20]) * spread[..., None]  # towards the thumb is positive
    mcp_share = np.clip(balance + rng.normal(0, 0.12, fingers), -0.6, 0.6)
    mcp = np.deg2rad(-12 + 100 * np.clip(curl * (1 + mcp_share), 0, 1.0))
    pip = np.deg2rad(-2 + 110 * np.clip(curl * (1 - mcp_share), 0, 1.0))
    # A flexed MCP joint has tight collateral ligaments and cannot spread.
    abduction = fan * np.clip(np.cos(mcp), 0, 1) ** 2 + rng.normal(0, np.deg2rad(3), fingers)
    dip = _DIP_PER_PIP * pip + rng.normal(0, _DIP_SCATTER, fingers) * np.minimum(1, 0.3 + pip)
    by_finger = np.stack([abduction, mcp, pip, dip], axis=-1).reshape(*hands, 16)
    return np.concatenate([thumb_angles(rng, curl), by_finger], axis=-1)


def thumb_angles(rng: np.random.Generator, curl: np.ndarray) -> np.ndarray:
    """Random angles (..., 7) of the thumb given the fingers' curl (..., 4): closed hands fold it in more often."""
    hands, closed = curl.shape[:-1], curl[..., :2].mean(-1)
    one = np.ones(hands)
    weights = [1 - closed, 1.2 - closed, one, 0.6 + 0.6 * closed, 0.2 + closed, 0.1 + closed, 0.5 * one]
    up_to = np.cumsum(np.stack(weights, axis=-1), axis=-1)[..., None, :]
    first, second = np.moveaxis((rng.random((*hands, 2, 1)) * up_to[..., -1:] >= up_to).sum(-1), -1, 0)
    mix = rng.beta(0.6, 0.6, hands)[..., None]
    return mix * _THUMBS[first] + (1 - mix) * _THUMBS[second] + rng.normal(0, np.deg2rad(5), (*hands, 7))


def touch_angles(rng: np.random.Generator, joints: ForwardKinematics) -> np.ndarray:
    """Random angles (23,) whose thumb tip touches another fingertip (a pinch, an O, counting on fingers) or the middle
    of a folded finger (a fist).

    By random search: the best of many thumbs and fingers, then twice the best of many near that.

    Args:
        joints: the hand's forward kinematics, angles (N, 23) to joints (N, 21, 3) in metres.
    """
    angles = gesture_angles(rng)
    hold = rng.random() < 0.4
    finger = int(rng.choice(4, p=[0.2, 0.45, 0.35, 0.0] if hold else [0.5, 0.25, 0.15, 0.1]))
    moving = np.r_[0:7, FINGER_STARTS[finger] : FINGER_STARTS[finger] + 4]
    candidates = np.tile(angles, (_TOUCH_CANDIDATES, 1))
    curl = rng.uniform(*((0.75, 1.0) if hold else (0.25, 0.75)), (_TOUCH_CANDIDATES, 1))
    candidates[:, moving] = _from_curl(rng, np.repeat(curl, 4, axis=1))[:, moving]
    # Distance of the bones when the skin touches; two pads touch at a smaller one.
    gap = rng.uniform(0.016, 0.021) if hold else rng.uniform(0.010, 0.018)
    pip, tip = 6 + 4 * finger, 8 + 4 * finger
    for spread in (0.12, 0.05, None):
        placed = joints(candidates)
        goal = placed[:, pip : pip + 2].mean(1) if hold else placed[:, tip]
        best = candidates[np.argmin(np.abs(np.linalg.norm(placed[:, 4] - goal, axis=-1) - gap))]
        if spread is not None:
            candidates = np.tile(best, (_TOUCH_CANDIDATES, 1))
            candidates[1:, moving] += rng.normal(0, spread, (_TOUCH_CANDIDATES - 1, len(moving)))
    return best


def swap_fingers(rng: np.random.Generator, poses: np.ndarray) -> np.ndarray:
    """Angles (23,) with each finger from one of several poses (N, 23), neighbours more often from the same one."""
    chosen = poses[rng.integers(len(poses))].copy()
    source = poses[rng.integers(len(poses))]
    for start in FINGER_STARTS:
        if rng.random() < 0.45:
            source = poses[rng.integers(len(poses))]
        chosen[start : start + 4] = source[start : start + 4]
    return chosen


def random_angles(
    rng: np.random.Generator,
    bank: Mapping[str, np.ndarray],
    limits: np.ndarray,
    joints: ForwardKinematics,
    mix: PoseMix | None = None,
) -> tuple[str, np.ndarray]:
    """One pose sampled from the mix, within the limits.

    Args:
        rng: source of randomness.
        bank: named poses (23,), radians; where it is empty, the kinds bank and swap are left out.
        limits: (23, 2) minimum and maximum angle, radians.
        joints: forward kinematics, angles (N, 23) to joints (N, 21, 3).
        mix: relative frequencies of the kinds.

    Returns:
        The kind that was sampled (a pose's name for a pose of the bank) and the angles (23,).
    """
    mix = mix or PoseMix()
    kinds = ("bank", "swap", "gesture", "touch", "coupled", "blend", "uniform")
    known = float(bool(bank))
    weights = np.array(
        [mix.bank * known, mix.swap * known, mix.gesture, mix.touch, mix.coupled, mix.blend, mix.uniform]
    )
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    poses = np.stack(list(bank.values())) if bank else np.empty((0, 23))
    if kind == "bank":
        names = list(bank)
        name = names[rng.integers(len(names))]
        kind, angles = name, np.asarray(bank[name], float)
    elif kind == "swap":
        angles = swap_fingers(rng, poses)
    elif kind == "gesture":
        angles = gesture_angles(rng)
    elif kind == "touch":
        return kind, np.clip(touch_angles(rng, joints), limits[:, 0], limits[:, 1])
    elif kind == "coupled":
        angles = coupled_angles(rng)
    elif kind == "uniform":
        return kind, rng.uniform(limits[:, 0], limits[:, 1])
    else:
        pair = [_any_pose(rng, poses) for _ in range(2)]
        t = rng.random()
        angles = t * pair[0] + (1 - t) * pair[1]
    angles = angles + rng.normal(0, mix.noise * rng.random(), 23)
    return kind, np.clip(angles, limits[:, 0], limits[:, 1])


def _any_pose(rng: np.random.Generator, poses: np.ndarray) -> np.ndarray:
    if len(poses) and rng.random() < 0.6:
        return poses[rng.integers(len(poses))]
    return gesture_angles(rng) if rng.random() < 0.5 else coupled_angles(rng)
