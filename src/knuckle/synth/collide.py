"""Does a hand pass through itself? Told from capsules round its bones, with slack.

Strict tests refuse two thirds of the poses that real hands were recorded in (skin gives way), so a capsule is only
a share of the finger's thickness.
"""

import numpy as np

from knuckle.skeleton import BONES


def _pairs() -> tuple[np.ndarray, np.ndarray]:
    """Indices (P,) into BONES of the two bones of every pair that may collide: bones that share no joint, and of
    different fingers. Bones of the palm do not move against each other."""
    finger = [(child - 1) // 4 for _, child in BONES]
    palm = [parent == 0 for parent, _ in BONES]
    first, second = [], []
    for i, bone in enumerate(BONES):
        for j in range(i + 1, len(BONES)):
            if finger[i] == finger[j] or (palm[i] and palm[j]) or set(bone) & set(BONES[j]):
                continue
            # The thumb's metacarpal lies in the palm: only what is beyond it can hit something.
            if (1 in (bone[0], BONES[j][0])) and (palm[i] or palm[j]):
                continue
            first.append(i)
            second.append(j)
    return np.array(first), np.array(second)


def segment_distance(a0: np.ndarray, a1: np.ndarray, b0: np.ndarray, b1: np.ndarray) -> np.ndarray:
    """Least distance (...) between the segments a0-a1 and b0-b1, points (..., 3).

    Source: Ericson, Real-Time Collision Detection, 2004, section 5.1.9.
    """
    d1, d2, r = a1 - a0, b1 - b0, a0 - b0
    a, e, f = (d1 * d1).sum(-1), (d2 * d2).sum(-1), (d2 * r).sum(-1)
    b, c = (d1 * d2).sum(-1), (d1 * r).sum(-1)
    tiny = 1e-12
    s = np.clip((b * f - c * e) / np.maximum(a * e - b * b, tiny), 0, 1)
    t = (b * s + f) / np.maximum(e, tiny)
    s = np.where(t < 0, np.clip(-c / np.maximum(a, tiny), 0, 1), s)
    s = np.where(t > 1, np.clip((b - c) / np.maximum(a, tiny), 0, 1), s)
    t = np.clip(t, 0, 1)
    gap = r + s[..., None] * d1 - t[..., None] * d2
    return np.sqrt((gap * gap).sum(-1))


class SelfCollision:
    """Measures how deep the fingers of one hand lie in each other.

    Args:
        radii: (20,) half the thickness of the hand round each of BONES, metres.
        share: how much of that thickness must stay free.
    """

    def __init__(self, radii: np.ndarray, share: float = 0.6) -> None:
        self.first, self.second = _pairs()
        self.gap = share * (radii[self.first] + radii[self.second])
        self.bones = np.array(BONES)

    def depth(self, joints: np.ndarray) -> float:
        """Deepest overlap of two capsules, metres; 0 where none overlap. joints: (21, 3)."""
        start, end = joints[self.bones[:, 0]], joints[self.bones[:, 1]]
        distance = segment_distance(start[self.first], end[self.first], start[self.second], end[self.second])
        return float(np.maximum(self.gap - distance, 0).max())
