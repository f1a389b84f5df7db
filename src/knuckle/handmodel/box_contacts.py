"""Where the joints of a hand touch the box of an object, measured from 21 joints and 8 corners alone.

Corners are in the order of skeleton.BOX_CORNERS, and the box's x axis is the object's main axis: its end faces are
corners 0 to 3 and 4 to 7. Predicted corners need not form an exact box. Any unit and frame; nothing here depends on a
rigid motion, and what is called a share or a direction does not depend on scale. NumPy and torch.

Source: Zhuang and Mu, Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis,
ICMR 2021, section 3.3.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
from jaxtyping import Bool, Float

from knuckle.arrays import Array, array_like, namespace
from knuckle.geometry.rotation import cross_product
from knuckle.skeleton import BOX_EDGES, BOX_FACES

# Points along each side of a face at which distances are measured; the paper's N, as its authors' code has it.
FACE_SAMPLES = 11
# A joint touches a face within this share of the box's radius; the paper's eta.
REACH = 0.2
# Metres from the surface up to which a joint, which lies below the skin, touches it.
CONTACT_DISTANCE = 0.015
# Corners 0 to 3 and 4 to 7: the upper and lower surface, between which the axis runs.
_ENDS = ((0, 1, 2, 3), (4, 5, 6, 7))
# The eight sides of the two end faces: the edges across the axis.
_END_EDGES = tuple((a, b) for a, b in BOX_EDGES if b - a != 4)


class Supports(NamedTuple):
    """For each joint and face the nearest point, (..., J, 6, 3), and its distance, (..., J, 6)."""

    points: Array
    distances: Array


def nearest_on_faces(
    joints: Float[Array, "*batch j 3"], corners: Float[Array, "*batch 8 3"], samples: int = FACE_SAMPLES
) -> Supports:
    """For each joint and face the nearest of the face's samples (the paper's Eq. 3).

    Args:
        joints: (..., J, 3).
        corners: (..., 8, 3).
        samples: along each side of a face; the corners are among them.

    Returns:
        Supports, the faces in the order of skeleton.BOX_FACES.

    Note:
        Which sample is nearest has no gradient, and a sample depends on the corners alone: the points have a gradient
        for the corners and none for the joints. Distances are computed from differences, without cancellation.
    """
    xp = namespace(joints, corners)
    quads, weights = _faces(corners), array_like(_bilinear(samples), corners)
    fixed, grid = _detached(joints), weights @ _detached(quads)
    apart = fixed[..., :, None, None, :] - grid[..., None, :, :, :]
    chosen = xp.argmin(xp.sum(apart**2, axis=-1), axis=-1)
    picked = weights[chosen]
    points = xp.sum(picked[..., None] * quads[..., None, :, :, :], axis=-2)
    return Supports(points, safe_norm(joints[..., :, None, :] - points))


def face_samples(corners: Float[Array, "*batch 8 3"], samples: int = FACE_SAMPLES) -> Float[Array, "*batch n 3"]:
    """(..., 6 * samples**2, 3) evenly spread points of the six faces."""
    xp = namespace(corners)
    grid = array_like(_bilinear(samples), corners) @ _faces(corners)
    return xp.reshape(grid, (*grid.shape[:-3], 6 * samples**2, 3))


def end_radius(corners: Float[Array, "*batch 8 3"]) -> Float[Array, "*batch"]:
    """The box's radius: the mean length of the eight sides of its two end faces."""
    return namespace(corners).mean(_lengths(corners, _END_EDGES), axis=-1)


def edge_length(corners: Float[Array, "*batch 8 3"]) -> Float[Array, "*batch"]:
    """The mean length of the twelve edges."""
    return namespace(corners).mean(_lengths(corners, BOX_EDGES), axis=-1)


def mean_length(corners: Float[Array, "*batch 8 3"], pairs: tuple[tuple[int, int], ...]) -> Float[Array, "*batch"]:
    """The mean distance of pairs of corners."""
    return namespace(corners).mean(_lengths(corners, pairs), axis=-1)


def from_axis(points: Float[Array, "*batch n 3"], corners: Float[Array, "*batch 8 3"]) -> Float[Array, "*batch n 3"]:
    """The vectors to points from their projections onto the box's axis, which joins the centres of its end faces.

    Note:
        Of a box without length, the vectors from its centre.
    """
    xp = namespace(points, corners)
    low, high = (xp.mean(corners[..., list(end), :], axis=-2) for end in _ENDS)
    along, out = (high - low)[..., None, :], points - low[..., None, :]
    squared = xp.sum(along**2, axis=-1, keepdims=True)
    some = squared > 0
    share = xp.sum(out * along, axis=-1, keepdims=True) / xp.where(some, squared, xp.ones_like(squared))
    return out - share * along


def depth_inside(points: Float[Array, "*batch n 3"], corners: Float[Array, "*batch 8 3"]) -> Float[Array, "*batch n"]:
    """How deep points are below the surface of the box; 0 outside, and for a box without volume.

    The least distance from the six planes through the faces' centres, across their diagonals.
    """
    xp = namespace(points, corners)
    quads = _faces(corners)
    centres = xp.mean(quads, axis=-2)
    one, other = quads[..., 2, :] - quads[..., 0, :], quads[..., 3, :] - quads[..., 1, :]
    normals = cross_product(one, other)
    # Predicted corners may be numbered as a mirror image has them.
    outwards = xp.sum(normals * (centres - xp.mean(corners, axis=-2)[..., None, :]), axis=-1, keepdims=True)
    length = safe_norm(normals)[..., None]
    normals = xp.sign(outwards) * normals / xp.where(length > 0, length, xp.ones_like(length))
    below = xp.sum((centres[..., None, :, :] - points[..., :, None, :]) * normals[..., None, :, :], axis=-1)
    return xp.clip(xp.min(below, axis=-1), min=0.0)


class Grip(NamedTuple):
    """How hands hold boxes, each (...).

    Attributes:
        penetration: depth of the deepest joint in the box, metres.
        contacts: how many of the joints touch the box: are at most `distance` from its surface, or inside.
        spread: 0 where all contacts are on one side of the axis, 1 where their directions balance; NaN below two.
    """

    penetration: Array
    contacts: Array
    spread: Array


def measure_grip(
    joints: Float[Array, "*batch j 3"], corners: Float[Array, "*batch 8 3"], distance: float = CONTACT_DISTANCE
) -> Grip:
    """Penetration, contacts and their spread about the box's axis. Each joint counts once, by its nearest face.

    Args:
        joints: (..., J, 3) metres.
        corners: (..., 8, 3) metres.
        distance: metres. Not the share of the radius that the affinity goes by: how far a joint is below the skin does
            not depend on what is held.
    """
    xp = namespace(joints, corners)
    points, touching = contact_points(joints, corners, xp.full_like(joints[..., 0], distance))
    out = from_axis(points, corners)
    length = safe_norm(out)[..., None]
    some = touching[..., None] & (length > 0)
    unit = xp.where(some, out / xp.where(length > 0, length, xp.ones_like(length)), xp.zeros_like(out))
    count = xp.sum(xp.astype(some[..., 0], joints.dtype), axis=-1)
    enough = count >= 2
    together = safe_norm(xp.sum(unit, axis=-2)) / xp.where(enough, count, xp.ones_like(count))
    spread = xp.where(enough, 1.0 - together, xp.full_like(count, float("nan")))
    inside = depth_inside(joints, corners)
    return Grip(xp.max(inside, axis=-1), xp.sum(xp.astype(touching, joints.dtype), axis=-1), spread)


def contact_points(
    joints: Float[Array, "*batch j 3"], corners: Float[Array, "*batch 8 3"], distance: Float[Array, "*#batch #j"]
) -> tuple[Float[Array, "*batch j 3"], Bool[Array, "*batch j"]]:
    """The point of the box's surface that is nearest to each joint, and whether the joint touches the box there.

    Args:
        joints: (..., J, 3).
        corners: (..., 8, 3).
        distance: up to which a joint touches a face; joints in the box always do.

    Returns:
        (..., J, 3) points, and (..., J) booleans, all False for a box without volume.
    """
    xp = namespace(joints, corners)
    on_faces = _exact_on_faces(joints, corners)
    distances = safe_norm(joints[..., :, None, :] - on_faces)
    nearest = xp.argmin(distances, axis=-1)[..., None]
    apart = xp.take_along_axis(distances, nearest, axis=-1)[..., 0]
    wide = xp.broadcast_to(nearest[..., None], (*nearest.shape, 3))
    points = xp.take_along_axis(on_faces, wide, axis=-2)[..., 0, :]
    thin = xp.min(_lengths(corners, BOX_EDGES), axis=-1)[..., None] <= 1e-9
    return points, ((apart <= distance) | (depth_inside(joints, corners) > 0)) & ~thin


def safe_norm(vectors: Float[Array, "*batch 3"]) -> Float[Array, "*batch"]:
    """Lengths, with a gradient of 0 where there is no length."""
    xp = namespace(vectors)
    squared = xp.sum(vectors**2, axis=-1)
    some = squared > 0
    # The inner where keeps the square root's infinite slope at 0 out of the gradient.
    return xp.where(some, xp.sqrt(xp.where(some, squared, xp.ones_like(squared))), xp.zeros_like(squared))


def _faces(corners: Array) -> Array:
    """(..., 6, 4, 3) corners of each face, in turn about it."""
    return corners[..., [list(face) for face in BOX_FACES], :]


def _exact_on_faces(joints: Array, corners: Array) -> Array:
    """(..., J, 6, 3) the nearest point of each face, between its samples too; exact for rectangles."""
    xp = namespace(joints, corners)
    quads = _faces(corners)
    a, b, c, d = (quads[..., None, :, i, :] for i in range(4))
    along, across = (b - a + c - d) / 2, (d - a + c - b) / 2
    out = joints[..., :, None, :] - (a + b + c + d) / 4
    p, q, r = (xp.sum(one * other, axis=-1) for one, other in ((along, along), (along, across), (across, across)))
    u, v = xp.sum(along * out, axis=-1), xp.sum(across * out, axis=-1)
    area = p * r - q * q
    some = area > 0
    area = xp.where(some, area, xp.ones_like(area))
    s, t = (
        (xp.clip(xp.where(some, x / area, 0.0 * x), -0.5, 0.5) + 0.5)[..., None] for x in (r * u - q * v, p * v - q * u)
    )
    return (1 - s) * (1 - t) * a + s * (1 - t) * b + s * t * c + (1 - s) * t * d


def _lengths(corners: Array, pairs: tuple[tuple[int, int], ...]) -> Array:
    first, second = (list(ends) for ends in zip(*pairs, strict=True))
    return safe_norm(corners[..., first, :] - corners[..., second, :])


@lru_cache(maxsize=8)
def _bilinear(samples: int) -> np.ndarray:
    """(samples**2, 4) weights of a face's corners, in turn about it, for points at even steps."""
    if samples < 2:
        raise ValueError(f"samples must be 2 or more along a side but got {samples}")
    step = np.linspace(0.0, 1.0, samples)
    s, t = (axis.reshape(-1) for axis in np.meshgrid(step, step, indexing="ij"))
    weights = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t], axis=-1)
    weights.flags.writeable = False
    return weights


def _detached(values: Any) -> Any:
    return values.detach() if array_api_compat.is_torch_array(values) else values
