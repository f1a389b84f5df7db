"""The skeleton of the open hand: bone lengths, finger bases and directions at rest.

Lengths are between joint centres, for a hand whose wrist-to-middle-tip distance is 18.5 cm (the mean of adult
men and women). Three sources, each scaled to the same mean finger bone length, and the chosen values, in millimetres:

| bone | publication | recording A | recording B | chosen |
|---|---|---|---|---|
| thumb: wrist-CMC | - | 31.0 | 51.4 | 36 |
| CMC-MCP, MCP-IP | 47.9, 32.8 | 36.2, 32.4 | 33.6, 34.8 | 38, 33.4 |
| IP-tip | 22.5 | 25.7 | 25.4 | 25.5 |
| index: wrist-MCP | - | 83.7 | 102.3 | 90.4 |
| MCP-PIP, PIP-DIP | 41.3, 23.2 | 40.8, 23.7 | 39.3, 25.1 | 40.5, 24.1 |
| DIP-tip | 16.4 | 23.0 | 23.2 | 22.9 |
| middle: wrist-MCP | - | 77.2 | 99.1 | 87.5 |
| MCP-PIP, PIP-DIP | 46.3, 27.3 | 46.9, 28.0 | 43.8, 28.3 | 45.4, 27.9 |
| DIP-tip | 18.0 | 22.7 | 25.8 | 24.1 |
| ring: wrist-MCP | - | 72.2 | 93.8 | 82.5 |
| MCP-PIP, PIP-DIP | 42.9, 26.7 | 43.4, 27.5 | 39.7, 27.5 | 41.6, 27.2 |
| DIP-tip | 17.9 | 21.1 | 25.1 | 22.9 |
| little: wrist-MCP | - | 77.1 | 89.4 | 81.0 |
| MCP-PIP, PIP-DIP | 33.9, 18.8 | 29.7, 19.6 | 31.4, 21.0 | 31.6, 19.8 |
| DIP-tip | 16.6 | 18.3 | 22.7 | 20.3 |

The publication (Buryanov and Kotiuk 2010) gives bone lengths, not joint distances: its metacarpals end at the
carpals, and its distal phalanges exclude the fingertip's soft tissue, so only its proximal and middle phalanges are
directly comparable. Recording A is one subject filmed by a depth camera, recording B a headset's hand; both are medians
over frames.
"""

from typing import NamedTuple

import numpy as np

PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
FINGER_NAMES = ("thumb", "index", "middle", "ring", "little")
FINGER_BASES = (1, 5, 9, 13, 17)


class FingerPlan(NamedTuple):
    """One finger at rest: base and lengths in metres, direction (fan) in degrees from +y towards the thumb."""

    base: tuple[float, float, float]
    lengths: tuple[float, float, float]
    fan: float


# The bases of the fingers follow the transverse arch that both recordings show: index and little lie 6 to 7 mm
# nearer the palm than the line from the wrist to the middle MCP.
REST = (
    FingerPlan((0.0250, 0.0225, 0.0125), (0.0380, 0.0334, 0.0255), 42.0),
    FingerPlan((0.0225, 0.0873, 0.0050), (0.0405, 0.0241, 0.0229), 3.0),
    FingerPlan((0.0000, 0.0875, 0.0000), (0.0454, 0.0279, 0.0241), -1.5),
    FingerPlan((-0.0205, 0.0799, 0.0010), (0.0416, 0.0272, 0.0229), -6.0),
    FingerPlan((-0.0395, 0.0705, 0.0050), (0.0316, 0.0198, 0.0203), -11.0),
)


def finger_direction(finger: int) -> np.ndarray:
    """(3,) the unit direction of a finger at rest, in the plane of the palm."""
    fan = np.deg2rad(REST[finger].fan)
    return np.array([np.sin(fan), np.cos(fan), 0.0])


def rest_joints() -> np.ndarray:
    """(21, 3) the joints at rest, hand frame, metres; the wrist is the origin."""
    joints = np.zeros((21, 3))
    for finger, (first, plan) in enumerate(zip(FINGER_BASES, REST, strict=True)):
        joints[first] = plan.base
        for bone, length in enumerate(plan.lengths):
            joints[first + bone + 1] = joints[first + bone] + length * finger_direction(finger)
    return joints
