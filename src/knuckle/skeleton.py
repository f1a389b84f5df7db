"""The hand's 21 joints: names, hierarchy, and the joint orders of data sets; and the object box's corners.

The order used everywhere in knuckle ("common") is wrist, then thumb, index, middle, ring, little, each from
base to tip. FreiHAND, OpenPose, MediaPipe, DexYCB and ObMan use it too. Every other order is a permutation
here, applied once, in the data set's reader.
"""

from collections.abc import Mapping
from types import MappingProxyType

import array_api_compat
from jaxtyping import Shaped

from knuckle.arrays import Array, namespace

JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *("index_mcp", "index_pip", "index_dip", "index_tip"),
    *("middle_mcp", "middle_pip", "middle_dip", "middle_tip"),
    *("ring_mcp", "ring_pip", "ring_dip", "ring_tip"),
    *("little_mcp", "little_pip", "little_dip", "little_tip"),
)
PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
BONES: tuple[tuple[int, int], ...] = tuple((parent, child) for child, parent in enumerate(PARENTS) if parent >= 0)

FINGERS: tuple[str, ...] = ("thumb", "index", "middle", "ring", "little")
FINGER_JOINTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {finger: tuple(range(1 + 4 * i, 5 + 4 * i)) for i, finger in enumerate(FINGERS)}
)
TIPS: tuple[int, ...] = (4, 8, 12, 16, 20)
MIDDLE_MCP = 9

_IDENTITY = tuple(range(21))
# MANO's 16 joints (wrist, then index, middle, little, ring, thumb) with the tips appended in one of two orders
# that have the same name in public code; the wrong one permutes the tips silently, so each is named after its user.
_MANO_TIPS_THUMB_FIRST = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
_MANO_TIPS_THUMB_LAST = (0, 13, 14, 15, 20, 1, 2, 3, 16, 4, 5, 6, 17, 10, 11, 12, 19, 7, 8, 9, 18)

ORDERS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "common": _IDENTITY,
        "freihand": _IDENTITY,
        "openpose": _IDENTITY,
        "mediapipe": _IDENTITY,
        "dexycb": _IDENTITY,
        "obman": _IDENTITY,
        "ganerated": _IDENTITY,
        # per hand: wrist, then each finger from tip to base
        "rhd": (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17),
        # joint 0 is the palm's centre, not the wrist: see palm_to_wrist; then little to thumb
        "stb": (0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4),
        "mano_manopth": _MANO_TIPS_THUMB_FIRST,  # tips appended thumb, index, middle, ring, little
        "ho3d": _MANO_TIPS_THUMB_FIRST,
        "mano_minimal_hand": _MANO_TIPS_THUMB_LAST,  # tips appended index, middle, little, ring, thumb
        # wrist, the five MCPs, then PIP, DIP, tip of each finger
        "fpha": (0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20),
        # one hand of the 42: each finger from tip to base, the wrist last
        "interhand": (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16),
        # layer by layer: root, five MCP, five PIP, five DIP, five tips; the numbering of Spurr et al. 2020
        "ait": (0, 1, 6, 11, 16, 2, 7, 12, 17, 3, 8, 13, 18, 4, 9, 14, 19, 5, 10, 15, 20),
    }
)

# wrist = m + k (palm - m), with m the mean of these MCP joints. The choice changes scores on STB by
# millimetres, so there is no default, and reports name it. The names state the joints and k.
PALM_RECIPES: Mapping[str, tuple[tuple[int, ...], float]] = MappingProxyType(
    {
        "ring_2": ((13,), 2.0),  # Zimmermann & Brox; Ge et al.
        "middle_2": ((9,), 2.0),  # palm = midpoint of wrist and middle MCP: RHD's networks, ETH
        "middle_2.2": ((9,), 2.2),
        "fingers_2.25": ((5, 9, 13, 17), 2.25),
    }
)

# Corner i of an object's box has the signs of the bits of i = 4x + 2y + z; half extents are one half.
BOX_CORNERS: tuple[tuple[float, float, float], ...] = tuple(
    ((i >> 2 & 1) - 0.5, (i >> 1 & 1) - 0.5, (i & 1) - 0.5) for i in range(8)
)
# The numbers of a mirrored box's corners: its own x axis is mirrored with it, and x is the bit of 4.
MIRRORED_BOX_CORNERS: tuple[int, ...] = (4, 5, 6, 7, 0, 1, 2, 3)
# Two corners share an edge where one bit differs.
BOX_EDGES: tuple[tuple[int, int], ...] = tuple((i, i | bit) for bit in (4, 2, 1) for i in range(8) if not i & bit)
# Four corners per face, counter-clockwise seen from outside: -x, +x, -y, +y, -z, +z.
BOX_FACES: tuple[tuple[int, int, int, int], ...] = (
    (0, 1, 3, 2),
    (4, 6, 7, 5),
    (0, 4, 5, 1),
    (2, 3, 7, 6),
    (0, 2, 6, 4),
    (1, 5, 7, 3),
)


def _order(name: str) -> tuple[int, ...]:
    if name not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)} but got {name!r}")
    return ORDERS[name]


def _take(joints: Array, indices: tuple[int, ...], axis: int) -> Array:
    if joints.shape[axis] != 21:
        raise ValueError(f"joints must hold 21 joints on axis {axis} but got the shape {tuple(joints.shape)}")
    xp = namespace(joints)
    return xp.take(joints, xp.asarray(indices, device=array_api_compat.device(joints)), axis=axis)


def to_common(joints: Shaped[Array, "..."], order: str, axis: int = -2) -> Shaped[Array, "..."]:
    """Joints of a data set in the common order.

    Args:
        joints: (..., 21, C) any per-joint data; with axis=-1 also (..., 21), such as visibility.
        order: a key of ORDERS.
        axis: the axis of the 21 joints.

    Returns:
        The same shape, joints in the common order: `joints[..., ORDERS[order], :]`.

    Raises:
        ValueError: the order is unknown, or the axis does not hold 21 joints.

    Note:
        STB has the palm's centre in place of the wrist; apply palm_to_wrist afterwards.
    """
    return _take(joints, _order(order), axis)


def from_common(joints: Shaped[Array, "..."], order: str, axis: int = -2) -> Shaped[Array, "..."]:
    """The inverse of to_common: joints of the common order in that of a data set.

    Args:
        joints: (..., 21, C) in the common order; with axis=-1 also (..., 21).
        order: a key of ORDERS.
        axis: the axis of the 21 joints.

    Returns:
        The same shape, joints in the data set's order.

    Raises:
        ValueError: the order is unknown, or the axis does not hold 21 joints.
    """
    permutation = _order(order)
    return _take(joints, tuple(permutation.index(i) for i in range(21)), axis)


def _replace_root(joints: Array, recipe: str, invert: bool) -> Array:
    if recipe not in PALM_RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(PALM_RECIPES)} but got {recipe!r}")
    if joints.ndim < 2 or joints.shape[-2] != 21:
        raise ValueError(f"joints must be (..., 21, C) but got the shape {tuple(joints.shape)}")
    xp = namespace(joints)
    mcps, factor = PALM_RECIPES[recipe]
    middle = sum(joints[..., i : i + 1, :] for i in mcps) / len(mcps)
    root = middle + (joints[..., :1, :] - middle) * (1 / factor if invert else factor)
    return xp.concat([root, joints[..., 1:, :]], axis=-2)


def palm_to_wrist(joints: Shaped[Array, "*batch 21 c"], recipe: str) -> Shaped[Array, "*batch 21 c"]:
    """Replace the palm's centre at joint 0 by the extrapolated wrist.

    Args:
        joints: (..., 21, C) common order, joint 0 the palm's centre; floating point, any unit.
        recipe: a key of PALM_RECIPES. All of them are in use; name it when reporting a score.

    Returns:
        (..., 21, C) with joint 0 the wrist.

    Raises:
        ValueError: the recipe is unknown, or there are not 21 joints.
    """
    return _replace_root(joints, recipe, invert=False)


def wrist_to_palm(joints: Shaped[Array, "*batch 21 c"], recipe: str) -> Shaped[Array, "*batch 21 c"]:
    """The exact inverse of palm_to_wrist with the same recipe.

    Args:
        joints: (..., 21, C) common order, joint 0 the wrist; floating point, any unit.
        recipe: a key of PALM_RECIPES.

    Returns:
        (..., 21, C) with joint 0 the palm's centre.

    Raises:
        ValueError: the recipe is unknown, or there are not 21 joints.
    """
    return _replace_root(joints, recipe, invert=True)
