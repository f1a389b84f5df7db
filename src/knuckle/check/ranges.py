"""Findings about measures of the joints alone: bones, palm and pairs of angles outside the limits of hands."""

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.check.report import Finding, Kind, listed
from knuckle.handmodel.biomechanics import hand_measures
from knuckle.handmodel.ranges import MEASURED_MARGINS, Excess, HandLimits, excess, normalised
from knuckle.skeleton import BONES, FINGERS, JOINT_NAMES

# An excess counts where it is above so many times what the frame's noise does to the quantity: of 43 quantities a frame
# hardly one is, in a recording of thousands.
_NOISE = 4.0
_FINGER_BONES = [i for i in range(20) if i % 4]  # all but the root bones


def report_ranges(
    joints: Float[np.ndarray, "n 21 3"],
    noise: Float[np.ndarray, " n"],
    side: str,
    limits: HandLimits,
    considered: Bool[np.ndarray, " n"],
    frames: Int[np.ndarray, " n"],
    total: int,
    findings: list[Finding],
) -> Bool[np.ndarray, " n"]:
    """Report what is outside the limits by more than the margins for measured joints and the frame's own noise.

    Args:
        joints: (N, 21, 3) common order.
        noise: (N,) mean distance of the joints from the best hand without limits, in their unit.
        side: "left" or "right".
        limits: of hands, without margins.
        considered: (N,) frames to report; the others are impossible for another reason.
        frames: (N,) their numbers in the recording.
        total: number of frames in the recording.
        findings: is extended.

    Returns:
        (N,) true for the frames reported.
    """
    over = _beyond_noise(joints, noise, side, limits.widened(**MEASURED_MARGINS))
    measures = hand_measures(normalised(joints, limits.bone), side, limits.convention)
    unit = f"{JOINT_NAMES[limits.bone[0]]} to {JOINT_NAMES[limits.bone[1]]}"
    found: list[tuple[Kind, np.ndarray, str]] = []
    for i, (parent, child) in enumerate(BONES):
        value = measures.lengths[:, i]
        text = f"the bone from {JOINT_NAMES[parent]} to {JOINT_NAMES[child]} is {{:.2f}} of {unit}, a hand's"
        found.append(("bones", over.lengths[:, i], _worst(text, value, limits.lengths[i], over.lengths[:, i])))
    for i in range(4):
        name = f"{FINGERS[i]} and {FINGERS[i + 1]}"
        text = f"the palm between {name} spreads by {{:.0f}} degrees, a hand's"
        value, around = np.degrees(measures.spread[:, i]), np.degrees(limits.spread[i])
        found.append(("palm", over.spread[:, i], _worst(text, value, around, over.spread[:, i])))
        text = f"the palm between {name} has a curvature of {{:.1f}}, a hand's"
        value, around = measures.curvature[:, i], limits.curvature[i]
        found.append(("palm", over.curvature[:, i], _worst(text, value, around, over.curvature[:, i])))
    for i, bone in enumerate(_FINGER_BONES):
        found.append(
            (
                "angles",
                over.angles[:, i],
                _worst_pair(JOINT_NAMES[BONES[bone][0]], measures.angles[:, i], over.angles[:, i]),
            )
        )
    impossible = np.zeros(len(joints), bool)
    for kind, amount, message in found:
        outside = considered & (amount > 0)
        if outside.any():
            impossible |= outside
            numbers = frames[outside].tolist()
            findings.append(Finding(kind, f"{message} ({listed(numbers, total)})", tuple(numbers)))
    return impossible


def _beyond_noise(
    joints: Float[np.ndarray, "n 21 3"], noise: Float[np.ndarray, " n"], side: str, limits: HandLimits
) -> Excess:
    """The excess less what noise of that size explains, zero where it explains all."""
    size = np.linalg.norm(joints[:, limits.bone[1]] - joints[:, limits.bone[0]], axis=-1)
    allowed = (_NOISE * noise / np.maximum(size, 1e-9))[:, None]
    lengths = hand_measures(normalised(joints, limits.bone), side, limits.convention).lengths
    bones = np.maximum(lengths, 1e-3)
    roots = bones[:, ::4]
    between = np.maximum(np.linalg.norm(np.diff(normalised(joints, limits.bone)[:, 1::4], axis=1), axis=-1), 1e-3)
    over = excess(joints, limits, side)
    return Excess(
        np.maximum(over.lengths - allowed, 0.0),
        np.maximum(over.curvature - allowed / between**2, 0.0),
        np.maximum(over.spread - allowed / np.minimum(roots[:, 1:], roots[:, :-1]), 0.0),
        np.maximum(over.angles - allowed / bones[:, _FINGER_BONES], 0.0),
    )


def _worst(text: str, values: np.ndarray, around: np.ndarray, amount: np.ndarray) -> str:
    """The message with the value that is farthest out."""
    low, high = around
    decimals = text[text.index("{:") + 2 : text.index("}")]
    worst = float(values[int(np.argmax(amount))])
    return f"{text.format(worst)} {low:{decimals}} to {high:{decimals}}"


def _worst_pair(joint: str, pairs: np.ndarray, amount: np.ndarray) -> str:
    i = int(np.argmax(amount))
    flexion, abduction = np.degrees(pairs[i])
    return (
        f"{joint} flexes by {flexion:.0f} and abducts by {abduction:.0f} degrees at once, "
        f"{np.degrees(amount[i]):.0f} beyond the limits"
    )
