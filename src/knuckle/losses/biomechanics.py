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
from knuckle.handmodel.ranges import HULL_TOLERANCE, HandLimits, beyond_edges, outside_range


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
    outside = beyond_edges(fixed, hulls) > HULL_TOLERANCE
    finger = xp.broadcast_to(xp.arange(15, device=array_api_compat.device(angles)), outside.shape)
    edge = xp.zeros_like(finger)
    if xp.any(outside):
        chosen = finger[outside]
        edge = xp.asarray(edge, copy=True)
        edge[outside] = _nearest_edge(fixed[outside], hulls[chosen], along[chosen])
    start, along = hulls[finger, edge], along[finger, edge]
    distance = _on_circle(angles, start, along)
    return xp.where(outside, distance, xp.zeros_like(distance))


def _nearest_edge(points: Array, start: Array, along: Array) -> Array:
    """Index (K,) of the edge, of (K, M, 2), that is nearest to each of the points (K, 2)."""
    return namespace(points).argmin(_on_circle(points[:, None, :], start, along), axis=-1)


def _on_circle(points: Array, start: Array, along: Array) -> Array:
    """Distance on the circle of points from the nearest point of the edge that begins at start; all (..., 2)."""
    xp = namespace(points)
    # One coordinate at a time: sums over a last axis of two are slow.
    flexion, abduction = points[..., 0], points[..., 1]
    start_f, start_a, along_f, along_a = start[..., 0], start[..., 1], along[..., 0], along[..., 1]
    squared = along_f**2 + along_a**2
    # A padded corner's edge has no length.
    inverse = 1 / xp.where(squared > 0, squared, xp.ones_like(squared))
    share = xp.clip(((flexion - start_f) * along_f + (abduction - start_a) * along_a) * inverse, 0.0, 1.0)
    return sum(
        xp.abs(xp.cos(value) - xp.cos(near)) + xp.abs(xp.sin(value) - xp.sin(near))
        for value, near in ((flexion, start_f + share * along_f), (abduction, start_a + share * along_a))
    )
