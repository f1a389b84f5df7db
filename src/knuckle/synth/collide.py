"""Self-collision of a hand, tested with capsules around its bones and a tolerance.

Strict tests reject two thirds of recorded poses of real hands (soft tissue deforms), so a capsule is thinner than the
finger.
"""

import numpy as np

from knuckle.skeleton import BONES


def _pairs() -> tuple[np.ndarray, np.ndarray]:
    """Indices (P,) into BONES of the two bones of every pair that can collide: they share no joint and belong to
    different fingers. Bones of the palm do not move against each other."""
    finger = [(child - 1) // 4 for _, child in BONES]
    palm = [parent == 0 for parent, _ in BONES]
    first, second = [], []
    for i, bone in enumerate(BONES):
        for j in range(i + 1, len(BONES)):
            if finger[i] == finger[j] or (palm[i] and palm[j]) or set(bone) & set(BONES[j]):
                continue
            # The thumb's metacarpal lies in the palm: only the bones distal to it can collide with the palm.
            if (1 in (bone[0], BONES[j][0])) and (palm[i] or palm[j]):
                continue
            first.append(i)
            second.append(j)
    return np.array(first), np.array(second)


def segment_distance(a0: np.ndarray, a1: np.ndarray, b0: np.ndarray, b1: np.ndarray) -> np.ndarray:
    """Shortest distance (...) between the segments a0-a1 and b0-b1, points (..., 3).

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
    """Penetration depth between the fingers of one hand.

    Args:
        radii: (20,) half the thickness of the hand around each of BONES, metres.
        fraction: of those radii, for the radii of the capsules; below 1 is the tolerance.
    """

    def __init__(self, radii: np.ndarray, fraction: float = 0.6) -> None:
        self.first, self.second = _pairs()
        self.min_distance = fraction * (radii[self.first] + radii[self.second])
        self.bones = np.array(BONES)

    def overlaps(self, joints: np.ndarray) -> np.ndarray:
        """How far the capsules of each pair overlap, metres: (..., P), negative where they are apart.
        joints: (..., 21, 3)."""
        start, end = joints[..., self.bones[:, 0], :], joints[..., self.bones[:, 1], :]
        i, j = self.first, self.second
        return self.min_distance - segment_distance(start[..., i, :], end[..., i, :], start[..., j, :], end[..., j, :])

    def depth(self, joints: np.ndarray) -> float:
        """Largest penetration depth of two capsules, metres; 0 where none overlap. joints: (21, 3)."""
        return float(np.maximum(self.overlaps(joints), 0).max())
