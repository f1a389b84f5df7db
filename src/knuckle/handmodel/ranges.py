"""Limits of human hands that are measured from joints alone: bone lengths, the palm, and pairs of angles.

One type for everything that asks whether 21 joints are a possible hand: losses, checks, metrics, a Hand's plausibility.
They are limits of the quantities in knuckle.handmodel.biomechanics. Those of the model's own 23 angles are
knuckle.handmodel.limits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float

from knuckle.arrays import Array, array_like, namespace
from knuckle.files import InputError, atomic_write, load_npz
from knuckle.geometry.hull import dilate_hull_2d, project_to_hull_edges_2d
from knuckle.handmodel.biomechanics import CONVENTIONS, Convention, HandMeasures, hand_measures
from knuckle.handmodel.placement import Side
from knuckle.skeleton import FINGERS, JOINT_NAMES, MIDDLE_MCP

_FORMAT = 1
_MAX_CORNERS = 512
_MAX_FILE = 2**22  # bytes, unpacked; limits of 40 corners have 10 thousand
_MAX_TEXT = 1000
# A pair of angles this far beyond the edge of its hull, radians, is still inside: the hull's own corners must be.
HULL_TOLERANCE = 1e-6
# Margins, for `HandLimits.widened`, of joints that are measured or labelled: they deviate by some millimetres from any
# hand of the model.
MEASURED_MARGINS: Mapping[str, float] = MappingProxyType(
    {"lengths": 0.15, "curvature": 0.5, "angles": math.radians(10.0)}
)
# Corners may turn the wrong way by this much: a cross product of edges, radians squared.
_CONVEX_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class HandLimits:
    """Ranges of what can be measured from a human hand's joints. Read-only NumPy arrays.

    Attributes:
        lengths: (20, 2) of the bones, in the order of skeleton.BONES, in lengths of `bone`.
        curvature: (4, 2) of the palm between neighbouring root bones, times the length of `bone`.
        spread: (4, 2) angles between neighbouring root bones, radians.
        hulls: (15, M, 2) corners of the regions that (flexion, abduction) of the finger bones stay in, radians,
            anticlockwise, in the order of biomechanics.finger_angles; padded by repeating the last corner.
        bone: the joints (parent, child) between which the length is 1.
        convention: of the frames in which the angles are measured; see biomechanics.finger_angles.
        source: what they were learned from, for people.
        count: number of hands that they were learned from; 0 where that is unknown.

    Raises:
        ValueError: an array has another shape, is not finite, a range is not ordered, or a hull is not convex and
            anticlockwise.
    """

    lengths: np.ndarray
    curvature: np.ndarray
    spread: np.ndarray
    hulls: np.ndarray
    bone: tuple[int, int] = (0, MIDDLE_MCP)
    convention: Convention = "paper"
    source: str = ""
    count: int = field(default=0)

    def __post_init__(self) -> None:
        for name, rows in (("lengths", 20), ("curvature", 4), ("spread", 4)):
            object.__setattr__(self, name, _checked_ranges(name, getattr(self, name), rows))
        object.__setattr__(self, "hulls", _checked_hulls(self.hulls))
        if self.lengths[:, 1].min() <= 0:
            raise ValueError("lengths must be positive but got a bone whose largest length is not")
        bone = tuple(int(joint) for joint in self.bone)
        if len(bone) != 2 or not all(0 <= joint < len(JOINT_NAMES) for joint in bone) or bone[0] == bone[1]:
            raise ValueError(f"bone must be two different joints of 0 to {len(JOINT_NAMES) - 1} but got {self.bone}")
        object.__setattr__(self, "bone", bone)
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)} but got {self.convention!r}")
        if self.count < 0:
            raise ValueError(f"count must be at least 0 but got {self.count}")

    @cached_property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """`hull_edges` of the hulls."""
        return hull_edges(self.hulls)

    @property
    def boxes(self) -> Float[np.ndarray, "15 2 2"]:
        """(15, 2, 2) smallest and largest (last axis) flexion and abduction of each hull: independent limits."""
        return np.stack([self.hulls.min(1), self.hulls.max(1)], axis=-1)

    def widened(self, lengths: float = 0.0, curvature: float = 0.0, angles: float = 0.0) -> "HandLimits":
        """These limits with a margin, for joints that are not quite exact.

        Args:
            lengths: relative margin of the bones' lengths.
            curvature: margin of the palm's curvature, in its unit here.
            angles: margin of the palm's angles and of the hulls, radians.
        """
        return replace(
            self,
            lengths=self.lengths * np.array([1 - lengths, 1 + lengths]),
            curvature=self.curvature + np.array([-curvature, curvature]),
            spread=self.spread + np.array([-angles, angles]),
            hulls=pad_hulls([dilate_hull_2d(hull, angles) for hull in self.hulls]) if angles else self.hulls,
        )

    def lines(self) -> list[str]:
        """A summary for people, in degrees and in lengths of `bone`."""
        named = f"{JOINT_NAMES[self.bone[0]]} to {JOINT_NAMES[self.bone[1]]}"
        found = [
            f"limits of {self.count} hands; lengths in units of {named}, angles in the {self.convention!r} convention"
        ]
        for i, finger in enumerate(FINGERS):
            bones = ", ".join(f"{low:.2f}-{high:.2f}" for low, high in self.lengths[4 * i : 4 * i + 4])
            boxes = np.degrees(self.boxes[3 * i : 3 * i + 3])
            angles = "; ".join(f"{f[0]:.0f} to {f[1]:.0f}, {a[0]:.0f} to {a[1]:.0f}" for f, a in boxes)
            found.append(f"  {finger:7}bones {bones}; flexion, abduction {angles}")
        spread = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in np.degrees(self.spread))
        arch = ", ".join(f"{low:.2f} to {high:.2f}" for low, high in self.curvature)
        found.append(f"  palm   angles {spread}; curvature {arch}")
        return found

    def save(self, path: Path | str) -> None:
        """Write a .npz file that `load` reads.

        Raises:
            ValueError: the name does not end in .npz.
            OSError: it cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".npz":
            raise ValueError(f"limits must be saved as a .npz file but got {path}; name it {path.with_suffix('.npz')}")
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary,
                format=np.int64(_FORMAT),
                lengths=self.lengths,
                curvature=self.curvature,
                spread=self.spread,
                hulls=self.hulls,
                bone=np.array(self.bone, np.int64),
                convention=np.array(self.convention),
                source=np.array(self.source[:_MAX_TEXT]),
                count=np.int64(self.count),
            )

    @classmethod
    def load(cls, path: Path | str, convention: Convention | None = None) -> "HandLimits":
        """Read what `save` wrote.

        Args:
            path: the file; it is not trusted.
            convention: that the limits must be of; None for either.

        Raises:
            InputError: the file is damaged, holds something else, or limits of another convention; it is named.
            OSError: it cannot be read.
        """
        arrays = load_npz(path, _MAX_FILE)
        names = ("format", "lengths", "curvature", "spread", "hulls", "bone", "convention", "source", "count")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InputError(
                f"{path} must hold limits of hands but lacks {', '.join(missing)}; write it with `knuckle limits`"
            )
        kinds = {"convention": "U", "source": "U", "format": "iu", "bone": "iu", "count": "iu"}
        for name in names:
            if arrays[name].dtype.kind not in kinds.get(name, "f"):
                raise InputError(f"{path} must hold limits of hands but its {name} is of the type {arrays[name].dtype}")
        sizes = {name: arrays[name].size for name in ("format", "count", "convention", "source")}
        if set(sizes.values()) != {1} or arrays["bone"].shape != (2,):
            raise InputError(f"{path} must hold one format, count, convention and source, and two joints as its bone")
        if arrays["format"].item() != _FORMAT:
            raise InputError(
                f"{path} must be of format {_FORMAT} but is of {arrays['format'].item()}; learn the limits again"
            )
        named = str(arrays["convention"].item())
        if named not in CONVENTIONS:
            raise InputError(
                f"{path} must hold limits of the convention {' or '.join(CONVENTIONS)} but has {named[:40]!r}"
            )
        try:
            limits = cls(
                *(arrays[name].astype(np.float64) for name in ("lengths", "curvature", "spread", "hulls")),
                bone=(int(arrays["bone"][0]), int(arrays["bone"][1])),
                convention=cast(Convention, named),
                source=str(arrays["source"].item())[:_MAX_TEXT],
                count=int(arrays["count"].item()),
            )
        except ValueError as error:
            raise InputError(f"{path} does not hold limits of hands: {error}; learn them again") from error
        if convention is not None and limits.convention != convention:
            raise InputError(
                f"{path} must hold limits of the convention {convention!r} but they are of {limits.convention!r}; "
                f"learn them again with `knuckle limits --convention {convention}`"
            )
        return limits


class Excess(NamedTuple):
    """By how much a hand's measures are outside limits; zero within.

    Attributes:
        lengths: (..., 20) in lengths of the limits' bone.
        curvature: (..., 4) over that length.
        spread: (..., 4) radians.
        angles: (..., 15) radians, the distance of (flexion, abduction) from its hull.
    """

    lengths: Array
    curvature: Array
    spread: Array
    angles: Array


@cache
def human_limits() -> HandLimits:
    """The limits that ship with knuckle: of the free hand in the poses that people make, and of recorded hands.

    They are narrower than what the free model can make within the limits of its 23 angles: those are of each angle
    alone, and a thumb with all seven at their limits is not a human one. See data/PROVENANCE.md.
    """
    with resources.as_file(resources.files("knuckle.handmodel") / "data" / "human_limits.npz") as path:
        return HandLimits.load(path)


def normalised(joints: Float[Array, "*batch j 3"], bone: tuple[int, int]) -> Float[Array, "*batch j 3"]:
    """Joints in lengths of one bone; joints whose bone has no length are returned as they are.

    Args:
        joints: (..., 21, 3) any unit and frame.
        bone: the joints (parent, child) between which the length becomes 1.
    """
    xp = namespace(joints)
    squared = xp.sum((joints[..., bone[1], :] - joints[..., bone[0], :]) ** 2, axis=-1)[..., None, None]
    return joints / xp.where(squared > 0, xp.sqrt(xp.where(squared > 0, squared, xp.ones_like(squared))), 1.0)


def excess(joints: Float[np.ndarray, "*batch 21 3"], limits: HandLimits | None = None, side: Side = "right") -> Excess:
    """By how much hands are outside limits.

    Args:
        joints: (..., 21, 3) NumPy, any unit and frame, finite.
        limits: None for human_limits.
        side: "left", "right" or a boolean array, True for a left hand.

    Returns:
        Excess, all zero for a hand within the limits.
    """
    limits = human_limits() if limits is None else limits
    measures = hand_measures(normalised(joints, limits.bone), side, limits.convention)
    return Excess(
        outside_range(measures.lengths, limits.lengths),
        outside_range(measures.curvature, limits.curvature),
        outside_range(measures.spread, limits.spread),
        _outside_hulls(measures, limits),
    )


def plausibility(
    joints: Float[np.ndarray, "*batch 21 3"], limits: HandLimits | None = None, side: Side = "right"
) -> Float[np.ndarray, "*batch"]:
    """How plausible joints are as a human hand, from 0 to 1; exactly 1 within the limits.

    exp(-(l + s + a)) with l the sum of the bones' excess over their own largest lengths, s and a the sums of the
    excess of the palm's angles and of the fingers' in radians: one joint bent 6 degrees too far gives 0.9. Curvature is
    left out, which a millimetre of noise changes much.

    Arguments as for `excess`.
    """
    limits = human_limits() if limits is None else limits
    over = excess(joints, limits, side)
    total = (over.lengths / limits.lengths[:, 1]).sum(-1) + over.spread.sum(-1) + over.angles.sum(-1)
    return np.asarray(np.exp(-total))


def outside_range(values: Float[Array, "*batch k"], ranges: Float[np.ndarray, "k 2"]) -> Float[Array, "*batch k"]:
    """The distance of each value from its range: zero within."""
    xp = namespace(values)
    bounds = array_like(ranges, values)
    low, high = bounds[:, 0], bounds[:, 1]
    return xp.where(values < low, low - values, xp.where(values > high, values - high, 0.0))


def pad_hulls(hulls: list[Float[np.ndarray, "_ 2"]]) -> Float[np.ndarray, "n m 2"]:
    """Hulls of different sizes as one array, padded by repeating their last corners."""
    most = max(len(hull) for hull in hulls)
    return np.stack([np.concatenate([hull, np.repeat(hull[-1:], most - len(hull), axis=0)]) for hull in hulls])


def beyond_edges(angles: Float[Array, "*batch 15 2"], hulls: Float[Array, "15 m 2"]) -> Float[Array, "*batch 15"]:
    """How far each pair of angles is beyond the edge of its hull that it is farthest beyond, radians.

    Negative inside. Outside it is the distance from the hull, or somewhat less where a corner is nearest. A product of
    matrices, so that it is fast for many hands.
    """
    return _beyond(angles, *hull_edges(hulls))


def hull_edges(hulls: Float[Array, "15 m 2"]) -> tuple[Float[Array, "15 m 2"], Float[Array, "15 m"]]:
    """The lines along the edges of anticlockwise hulls: unit normals, outwards, and their distance from the origin."""
    xp = namespace(hulls)
    along = xp.concat([hulls[:, 1:], hulls[:, :1]], axis=1) - hulls
    length = xp.sqrt(xp.sum(along**2, axis=-1, keepdims=True))
    outward = xp.stack([along[..., 1], -along[..., 0]], axis=-1) / xp.where(length > 0, length, xp.ones_like(length))
    # A padded corner's edge has no direction; it gives zero and must not win over the negative ones.
    return outward, xp.where(
        length[..., 0] > 0, xp.sum(outward * hulls, axis=-1), xp.full_like(length[..., 0], math.inf)
    )


def _beyond(angles: Array, outward: Array, offset: Array) -> Array:
    xp = namespace(angles, outward)
    flat = xp.permute_dims(xp.reshape(angles, (-1, 15, 2)), (1, 0, 2))
    beyond = xp.max(flat @ xp.matrix_transpose(outward) - offset[:, None, :], axis=-1)
    return xp.reshape(xp.permute_dims(beyond, (1, 0)), tuple(angles.shape[:-1]))


def _outside_hulls(measures: HandMeasures, limits: HandLimits) -> np.ndarray:
    distance = np.zeros(measures.angles.shape[:-1])
    # The exact distance only where it is not zero, which is rare.
    outside = np.nonzero(_beyond(measures.angles, *limits.edges) > HULL_TOLERANCE)
    if len(outside[0]):
        points = measures.angles[outside]
        nearest = project_to_hull_edges_2d(points, limits.hulls[outside[-1]])
        distance[outside] = np.sqrt(np.square(points[:, None] - nearest).sum(-1).min(-1))
    return distance


def _checked_ranges(name: str, values: np.ndarray, rows: int) -> np.ndarray:
    values = np.array(values, np.float64)
    if values.shape != (rows, 2):
        raise ValueError(f"{name} must be ({rows}, 2) but got the shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite but got NaN or infinity")
    if (values[:, 0] > values[:, 1]).any():
        row = int(np.argmax(values[:, 0] > values[:, 1]))
        raise ValueError(f"{name} must be (smallest, largest) but row {row} is {values[row].tolist()}")
    values.flags.writeable = False
    return values


def _checked_hulls(hulls: np.ndarray) -> np.ndarray:
    hulls = np.array(hulls, np.float64)
    if hulls.ndim != 3 or hulls.shape[::2] != (15, 2) or not 3 <= hulls.shape[1] <= _MAX_CORNERS:
        raise ValueError(f"hulls must be (15, M, 2) with M from 3 to {_MAX_CORNERS} but got the shape {hulls.shape}")
    if not np.isfinite(hulls).all() or np.abs(hulls).max() > 2 * np.pi:
        raise ValueError("hulls must be finite angles in radians but got NaN, infinity or more than a full turn")
    for i, hull in enumerate(hulls):
        corners = hull[np.any(hull != np.roll(hull, 1, axis=0), axis=1)]
        along = np.roll(corners, -1, axis=0) - corners
        after = np.roll(along, -1, axis=0)
        turn = along[:, 0] * after[:, 1] - along[:, 1] * after[:, 0]
        x, y = corners.T
        area = 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) if len(corners) else 0.0
        if len(corners) < 3 or abs(area) < _CONVEX_TOLERANCE:
            raise ValueError(f"hulls must have an area but hull {i} has none")
        if area < 0:
            raise ValueError(f"hulls must be anticlockwise but hull {i} is clockwise; reverse its corners")
        # A star turns the same way at every corner as well, but more than once around.
        around = float(np.arctan2(turn, (along * after).sum(1)).sum())
        if turn.min() < -_CONVEX_TOLERANCE or abs(around - 2 * np.pi) > 1e-3:
            raise ValueError(f"hulls must be convex but hull {i} is not; take the convex hull of its corners")
    hulls.flags.writeable = False
    return hulls
