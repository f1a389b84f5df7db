"""Conventions of recorded joints: unit, joint order, and whether the root is the wrist or the palm's centre.

Files rarely state them. The unit is determined from the size of the hand and the order from the proportions of its
bones. Both depend on distances between joints rather than on the pose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths
from knuckle.skeleton import ORDERS, palm_to_wrist

# Metres per unit. Root mean square distances of the joints from their centre are 0.020 m (a toddler's fist) to 0.084 m
# (a large man's spread hand) within the open hand's limits, so units that differ by a factor of ten are unambiguous.
UNITS: Mapping[str, float] = MappingProxyType({"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001})
_SIZE_RANGE = (0.018, 0.11)
# Truncated cost of a bone: |log ratio to the average hand's proportion| over the tolerance, at most the maximum.
_TOLERANCE, _MAX_BONE_COST = 0.25, 4.0
# Another order is accepted where its cost is below this fraction of the common order's and below this threshold. On 402
# recorded hands the second-best order costs at least 1.15 times the right one per frame, and 2.1 times in the mean.
_MAX_COST_RATIO, _MAX_COST = 0.67, 0.7
# Above this cost joints are not a hand's: random joints cost 1.2 to 2.7, real hands at most 0.6, the most extreme shape
# of the open hand 0.9.
MAX_PROPORTION_COST = 1.3
_PALM_RECIPE = "middle_2"


@dataclass(frozen=True)
class JointOrder:
    """A candidate joint order.

    Attributes:
        description: for people.
        names: keys of skeleton.ORDERS with this permutation; may be empty.
        permutation: `common = joints[..., permutation, :]`.
        palm: joint 0 of the common order is the palm's centre, not the wrist.
    """

    description: str
    names: tuple[str, ...]
    permutation: tuple[int, ...]
    palm: bool = False

    def to_common(self, joints: Float[np.ndarray, "N 21 3"]) -> Float[np.ndarray, "N 21 3"]:
        """The joints in the common order, starting at the wrist."""
        common = joints[:, self.permutation]
        return palm_to_wrist(common, _PALM_RECIPE) if self.palm else common

    @property
    def is_common(self) -> bool:
        """Whether this is the common order."""
        return self.permutation == ORDERS["common"] and not self.palm


def candidate_orders() -> tuple[JointOrder, ...]:
    """The common order first, then all named and all regular orders, each with the wrist and with the palm as root."""
    orders: dict[tuple[int, ...], str] = {}
    for fingers, fingers_are in ((range(5), "thumb to little finger"), (range(4, -1, -1), "little finger to thumb")):
        for levels, levels_are in ((range(4), "base to tip"), (range(3, -1, -1), "tip to base")):
            for by_layer in (False, True):
                if by_layer:
                    inner = [1 + 4 * finger + level for level in levels for finger in fingers]
                    layers = f"layer by layer from {levels_are}, each {fingers_are}"
                else:
                    inner = [1 + 4 * finger + level for finger in fingers for level in levels]
                    layers = f"{fingers_are}, each from {levels_are}"
                for stored, text in (([0, *inner], f"wrist, then {layers}"), ([*inner, 0], f"{layers}, wrist last")):
                    orders.setdefault(tuple(stored.index(joint) for joint in range(21)), text)
    for name, permutation in ORDERS.items():
        orders.setdefault(permutation, f"that of {name}")
    found = []
    for palm in (False, True):
        for permutation, text in orders.items():
            names = tuple(name for name, other in ORDERS.items() if other == permutation)
            root = ", with the palm's centre for the wrist" if palm else ""
            found.append(JointOrder(text + root, names, permutation, palm))
    return tuple(found)


def find_unit(joints: Float[np.ndarray, "N 21 3"]) -> tuple[str | None, float]:
    """The unit in which the joints have the size of a hand; independent of their order.

    Returns:
        (name, size): a key of UNITS, or None where none does; and the median over the frames of the root mean square
        distance of the joints from their centre, in the joints' unit.
    """
    centred = joints - joints.mean(axis=1, keepdims=True)
    size = float(np.median(np.sqrt((centred**2).sum(axis=-1).mean(axis=-1))))
    for name, metres in UNITS.items():
        if _SIZE_RANGE[0] <= size * metres <= _SIZE_RANGE[1]:
            return name, size
    return None, size


def find_order(joints: Float[np.ndarray, "N 21 3"], model: HandModel) -> tuple[JointOrder, float]:
    """The joint order in which the bones have a hand's proportions, over all frames.

    Args:
        joints: (N, 21, 3), N >= 1, any unit and side.
        model: gives the proportions.

    Returns:
        (order, cost): the common order unless another has a much lower cost; and that order's cost, see
        `proportion_cost`.
    """
    orders = candidate_orders()
    costs = [float(proportion_cost(order.to_common(joints), model).mean()) for order in orders]
    best = int(np.argmin(costs))
    if costs[best] < _MAX_COST_RATIO * costs[0] and costs[best] < _MAX_COST:
        return orders[best], costs[best]
    return orders[0], costs[0]


def proportion_cost(joints: Float[np.ndarray, "N 21 3"], model: HandModel) -> Float[np.ndarray, " N"]:
    """Mean truncated deviation of bone proportions from the average hand's: about 0.3 for hands, 1 to 3 for others.

    Invariant to scale: log ratios are taken relative to their median."""
    lengths = np.maximum(bone_lengths(joints), np.finfo(np.float64).tiny)
    ratio = np.log(lengths / bone_lengths(model.joints_rest))
    ratio -= np.median(ratio, axis=1, keepdims=True)
    return np.minimum(np.abs(ratio) / _TOLERANCE, _MAX_BONE_COST).mean(axis=1)
