"""Biomechanical losses: what of 21 joints is outside the limits of human hands, as one number each for bones, palm
and angles. They need no labels in space, so pictures with joints in the picture alone can teach depth.

Source: Spurr et al., Weakly Supervised 3D Hand Pose Estimation via Biomechanical Constraints, ECCV 2020, section 3.1.
"""

from typing import Literal, NamedTuple

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, array_like, namespace
from knuckle.handmodel.biomechanics import hand_measures
from knuckle.handmodel.placement import Side
from knuckle.handmodel.ranges import HandLimits, beyond_edges, outside_range

# A pair of angles this close to its hull, radians, counts as inside: the hull's own corners must not be outside it.
_TOLERANCE = 1e-6


class Biomechanics(NamedTuple):
    """Losses of each hand, (...); all zero for a hand within the limits.

    Attributes:
        bones: mean over the 20 bones of the distance from their range, in lengths of the limits' bone.
        palm: mean over the 4 neighbouring pairs of root bones of the distances of curvature and angle from theirs.
        angles: mean over the 15 finger bones of the distance of (flexion, abduction) from its hull, see
            `hull_distance`; or of the distances of both from their ranges.
    """

    bones: Array
    palm: Array
    angles: Array


def biomechanical_losses(
    joints: Float[Array, "*batch j 3"],
    limits: HandLimits,
    side: Side = "right",
    region: Literal["hull", "box"] = "hull",
) -> Biomechanics:
    """How far hands are from what is possible for a human hand.

    Args:
        joints: (..., 21, 3) NumPy or torch, any frame, in lengths of `limits.bone`: divide joints in metres by it, such
            as by knuckle.handmodel.ranges.normalised, or by a known length, which leaves that bone to be learned too.
        limits: whose convention of frames is used.
        side: "left", "right" or a boolean array, True for a left hand.
        region: "hull" for angles that depend on each other, "box" for a range of each alone.

    Returns:
        Biomechanics; value and gradient are finite for any finite joints.

    Raises:
        ValueError: there are not 21 joints of three coordinates, or the region is unknown.
    """
    if region not in ("hull", "box"):
        raise ValueError(f"region must be 'hull' or 'box' but got {region!r}")
    xp = namespace(joints)
    lengths, curvature, spread, angles = hand_measures(joints, side, limits.convention)
    palm = outside_range(curvature, limits.curvature) + outside_range(spread, limits.spread)
    if region == "hull":
        bent = hull_distance(angles, array_like(limits.hulls, angles))
    else:
        boxes = limits.boxes
        bent = outside_range(angles[..., 0], boxes[:, 0]) + outside_range(angles[..., 1], boxes[:, 1])
    return Biomechanics(
        xp.mean(outside_range(lengths, limits.lengths), axis=-1), xp.mean(palm, axis=-1), xp.mean(bent, axis=-1)
    )


def hull_distance(angles: Float[Array, "*batch 15 2"], hulls: Float[Array, "15 m 2"]) -> Float[Array, "*batch 15"]:
    """Distance of pairs of angles from their hulls on the circle; zero inside.

    min over the edges of |cos t - cos p| + |sin t - sin p|, summed over both angles t, with p the point of the edge
    nearest to (flexion, abduction). Unlike a distance in the plane it has no large step where flexion passes from pi
    to -pi.

    Args:
        angles: (..., 15, 2) flexion and abduction, radians.
        hulls: (15, M, 2) corners, anticlockwise, padded by repeating the last one.
    """
    xp = namespace(angles, hulls)
    along = xp.concat([hulls[:, 1:], hulls[:, :1]], axis=1) - hulls
    # Which edge is nearest has no gradient: it is searched outside of the graph, and only where a pair is outside.
    fixed = angles.detach() if array_api_compat.is_torch_array(angles) else angles
    outside = beyond_edges(fixed, hulls) > _TOLERANCE
    finger = xp.broadcast_to(xp.arange(15, device=array_api_compat.device(angles)), outside.shape)
    edge = xp.zeros_like(finger)
    if xp.any(outside):
        chosen, stray = finger[outside], fixed[outside][:, None, :]
        apart = _on_circle(stray, _nearest(stray, hulls[chosen], along[chosen]))
        edge = xp.asarray(edge, copy=True)
        edge[outside] = xp.argmin(apart, axis=-1)
    distance = _on_circle(angles, _nearest(angles, hulls[finger, edge], along[finger, edge]))
    return xp.where(outside, distance, xp.zeros_like(distance))


def _nearest(points: Array, start: Array, along: Array) -> Array:
    """The nearest point to each point on the edge that begins at start."""
    xp = namespace(points)
    squared = xp.sum(along**2, axis=-1)
    # A padded corner's edge has no length.
    share = xp.sum((points - start) * along, axis=-1) / xp.where(squared > 0, squared, xp.ones_like(squared))
    return start + xp.clip(share, 0.0, 1.0)[..., None] * along


def _on_circle(one: Array, other: Array) -> Array:
    xp = namespace(one, other)
    return xp.sum(xp.abs(xp.cos(one) - xp.cos(other)) + xp.abs(xp.sin(one) - xp.sin(other)), axis=-1)
