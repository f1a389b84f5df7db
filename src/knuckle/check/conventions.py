"""Conventions of recorded joints: unit, joint order, and whether the root is the wrist or the palm's centre.

Files rarely state them. The order is determined from the proportions of the bones, which finger is which from the
places of their bases across the palm, and the unit from the lengths of the bones. All depend on distances between
joints rather than on the pose.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths
from knuckle.skeleton import FINGER_JOINTS, FINGERS, ORDERS, palm_to_wrist

# Metres per unit. Within the open hand's limits bones are 0.42 (a toddler's) to 1.35 times as long as the average
# hand's, so all pairs of units are unambiguous but one: a large man's hand in inches has the size of a small child's
# in centimetres.
UNITS: Mapping[str, float] = MappingProxyType(
    {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
)
_SIZE_RANGE = (0.42, 1.5)
# Metres: root mean square distance of the joints from their centre in a half-closed average hand.
_SPREAD = 0.05
# Truncated cost of a bone: |log ratio to the average hand's proportion| over the tolerance, at most the maximum.
_TOLERANCE, _MAX_BONE_COST = 0.25, 4.0
# Another order is accepted where its cost is below this fraction of the common order's and below this threshold. On 402
# recorded hands the second-best order costs at least 1.15 times the right one per frame, and 2.1 times in the mean.
_MAX_COST_RATIO, _MAX_COST = 0.67, 0.7
# Above this cost joints are not a hand's: random joints cost 1.2 to 2.7, real hands at most 0.6, the most extreme shape
# of the open hand 0.9.
MAX_PROPORTION_COST = 1.3
_PALM_RECIPE = "middle_2"
# Another order of the fingers is accepted where the distances between their bases and the wrist cost less than this
# fraction of what they cost in the order given. Of hands in the right order no other costs less than 0.85 times as
# much (402 recorded hands, 300 of the open hand with up to 6 mm of noise, each by itself); of two fingers swapped the
# right order costs at most 0.65 times as much.
_MAX_FINGER_COST_RATIO = 0.75
_PALM_PAIRS = np.triu_indices(1 + len(FINGERS), k=1)


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


def find_units(size: float) -> tuple[str, ...]:
    """The units in which joints have the size of a hand, the likeliest first; empty where they have it in none.

    Args:
        size: see `relative_size`.
    """
    found = [name for name, metres in UNITS.items() if _SIZE_RANGE[0] <= size * metres <= _SIZE_RANGE[1]]
    return tuple(sorted(found, key=lambda name: abs(math.log(size * UNITS[name]))))


def relative_size(joints: Float[np.ndarray, "N 21 3"], model: HandModel, order_known: bool = True) -> float:
    """How large hands are, relative to the average hand in metres: the median over bones and frames.

    Args:
        joints: (N, 21, 3), N >= 1, any unit.
        model: the average hand.
        order_known: the joints are in the common order. Otherwise their distances from their centre are compared, which
            depend on the pose.
    """
    if order_known:
        return float(np.median(bone_lengths(joints) / bone_lengths(model.joints_rest)))
    centred = joints - joints.mean(axis=1, keepdims=True)
    return float(np.median(np.sqrt((centred**2).sum(axis=-1).mean(axis=-1)))) / _SPREAD


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


def find_fingers(joints: Float[np.ndarray, "N 21 3"], model: HandModel) -> tuple[int, ...]:
    """Which finger each of FINGERS is stored as, from the places of the fingers' bases, over all frames.

    Fingers are too similar to be told apart by the proportions of their bones; their bases form a row, which starts
    near the thumb's.

    Args:
        joints: (N, 21, 3), N >= 1, the common order but for the fingers, any unit and side.
        model: gives the distances.

    Returns:
        Five indices into FINGERS: (0, 1, 2, 3, 4) unless another order fits much better; with index and middle finger
        swapped (0, 2, 1, 3, 4).
    """
    bases = [0, *(FINGER_JOINTS[finger][0] for finger in FINGERS)]
    average = _log_distances(np.asarray(model.joints_rest)[None, bases])[0]
    stored = _log_distances(joints[:, bases])
    orders = list(itertools.permutations(range(len(FINGERS))))
    costs = []
    for order in orders:
        which = [0, *(1 + finger for finger in order)]
        ratio = (stored[:, which][:, :, which] - average)[:, *_PALM_PAIRS]
        costs.append(float(_truncated_cost(ratio).mean()))
    best = int(np.argmin(costs))
    return orders[best] if costs[best] < _MAX_FINGER_COST_RATIO * costs[0] else orders[0]


def with_fingers(order: JointOrder, fingers: tuple[int, ...]) -> JointOrder:
    """The order with its fingers rearranged.

    Args:
        order: in which the fingers are not where they should be.
        fingers: see `find_fingers`.
    """
    inner = [joint for finger in fingers for joint in FINGER_JOINTS[FINGERS[finger]]]
    permutation = tuple(order.permutation[joint] for joint in (0, *inner))
    names = tuple(name for name, other in ORDERS.items() if other == permutation and not order.palm)
    return JointOrder(f"{order.description}, with {finger_change(fingers)}", names, permutation, order.palm)


def stored_fingers(order: JointOrder) -> tuple[int, ...] | None:
    """Which finger each of FINGERS is stored as, where the order is the common one but for the fingers; else None."""
    fingers = tuple((order.permutation[joints[0]] - 1) // 4 for joints in FINGER_JOINTS.values())
    common = JointOrder("", (), ORDERS["common"])
    if order.palm or sorted(fingers) != list(range(len(FINGERS))):
        return None
    return fingers if with_fingers(common, fingers).permutation == order.permutation else None


def finger_change(fingers: tuple[int, ...]) -> str:
    """In words: "index and middle finger swapped", or "fingers as thumb, little, ..."."""
    moved = [FINGERS[i] for i, finger in enumerate(fingers) if finger != i]
    if len(moved) == 2:
        return f"{' and '.join(moved)} finger swapped"
    stored = sorted(range(len(fingers)), key=lambda i: fingers[i])
    return f"fingers as {', '.join(FINGERS[i] for i in stored)}"


def proportion_cost(joints: Float[np.ndarray, "N 21 3"], model: HandModel) -> Float[np.ndarray, " N"]:
    """Mean truncated deviation of bone proportions from the average hand's: about 0.3 for hands, 1 to 3 for others.

    Invariant to scale: log ratios are taken relative to their median."""
    lengths = np.maximum(bone_lengths(joints), np.finfo(np.float64).tiny)
    return _truncated_cost(np.log(lengths / bone_lengths(model.joints_rest)))


def _truncated_cost(log_ratios: Float[np.ndarray, "N k"]) -> Float[np.ndarray, " N"]:
    """Mean truncated deviation of log ratios from their median."""
    deviation = np.abs(log_ratios - np.median(log_ratios, axis=1, keepdims=True))
    return np.minimum(deviation / _TOLERANCE, _MAX_BONE_COST).mean(axis=1)


def _log_distances(points: Float[np.ndarray, "N k 3"]) -> Float[np.ndarray, "N k k"]:
    """Logarithms of the distances between all points."""
    distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    return np.log(np.maximum(distances, np.finfo(np.float64).tiny))
