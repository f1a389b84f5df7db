"""The physical affinity of a hand and the object it holds: in a stable grasp contacts lie all around the object's axis.

Joints are compared with the object's bounding box. Each form gives the mean cosine between the directions from the
box's axis to the points where joints touch it: 1 where all are on one side, -1 / (n - 1) where n of them balance.

    form        contacts                                                the mean is over
    "printed"   the 10 smallest distances of joints and faces, of those the pairs of an example
                at most 0.2 radii (the paper's Eq. 3 to 6)
    "code"      likewise; the radius is the authors' code's, too large  all pairs of the batch, both ways, and
                                                                        each contact with itself
    "soft"      all joints, as far as each touches the box: smooth      weighted pairs of an example

The first two move the corners alone. Which point of a face is nearest to a joint, and whether the joint touches it,
does not change with a small step of the joint, and the point itself is the box's: the gradient for the joints is
exactly 0. "soft" is ours and moves both.

Source: Zhuang and Mu, Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis,
ICMR 2021, section 3.3; its authors' code for "code" and for the distance of the centres.
"""

from typing import Literal, NamedTuple, TypeAlias

from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.handmodel.box_contacts import (
    FACE_SAMPLES,
    REACH,
    edge_length,
    end_radius,
    face_samples,
    from_axis,
    mean_length,
    nearest_on_faces,
    safe_norm,
)

AffinityForm: TypeAlias = Literal["printed", "code", "soft"]
FORMS: tuple[AffinityForm, ...] = ("printed", "code", "soft")

# The paper's N_c.
CONTACTS = 10
# The pairs whose mean length the authors' code takes for the radius: on each end two sides and two diagonals.
_CODE_RADIUS = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4))
# Contacts nearer to the axis than this share of the radius have no direction.
_ON_AXIS = 1e-6
# Of the soft form, in radii: how sharply the nearest point of the box is chosen, how sharply contact ends, and how near
# to the axis directions lose their length.
_POINT_SOFTNESS, _GATE_SOFTNESS, _AXIS_SOFTNESS = 0.1, 0.03, 0.05
# Weight of pairs below which there is no contact to speak of: a single one has pairs with joints that hardly touch.
_FEW_PAIRS = 0.1


class Affinity(NamedTuple):
    """A sum of cosines and the weight it is to be divided by, each (...): see `affinity_value`."""

    total: Array
    weight: Array


def affinity(
    joints: Float[Array, "*batch j 3"],
    corners: Float[Array, "*batch 8 3"],
    form: AffinityForm = "printed",
    *,
    duplicates: bool = True,
    reach: float = REACH,
    contacts: int = CONTACTS,
    samples: int = FACE_SAMPLES,
) -> Affinity:
    """The affinity of hands and boxes, for each its share in the batch's.

    Args:
        joints: (..., J, 3) NumPy or torch, any unit and frame.
        corners: (..., 8, 3) in the order of skeleton.BOX_CORNERS, x along the object's axis.
        form: see the module.
        duplicates: whether a joint near an edge counts with each face that it touches, as in the paper; otherwise once,
            with the nearest. The soft form has no duplicates.
        reach: how far a joint may be from what it touches, in radii of the box; the paper's eta.
        contacts: at most so many; the paper's N_c. Not of the soft form.
        samples: along each side of a face.

    Returns:
        Affinity. "printed" and "soft": the example's mean cosine with a weight of 1; 0 with fewer than two contacts.
        "code": the sum over all pairs of its contacts, with their number as the weight.

    Raises:
        ValueError: the form is unknown.

    Note:
        A box without extent has no contacts. A contact on the axis itself, where there is no direction, does not count.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)} but got {form!r}")
    xp = namespace(joints, corners)
    if form == "soft":
        value = _soft_mean(joints, corners, reach, samples)
        return Affinity(value, xp.ones_like(value))
    radius = end_radius(corners) if form == "printed" else mean_length(corners, _CODE_RADIUS)
    points, distances = _candidates(joints, corners, duplicates, contacts, samples)
    limit = reach * radius[..., None]
    touches = distances <= limit if form == "printed" else distances < limit
    directions, counted = _directions(points, corners, touches, radius)
    number = xp.sum(xp.astype(counted, joints.dtype), axis=-1)
    # Of unit vectors: the squared length of their sum is the sum over all pairs, both ways and with themselves.
    every = xp.sum(xp.sum(directions, axis=-2) ** 2, axis=-1)
    if form == "code":
        return Affinity(every, number**2)
    enough = number >= 2
    pairs = xp.where(enough, number * (number - 1), xp.ones_like(number))
    value = xp.where(enough, (every - number) / pairs, xp.zeros_like(every))
    return Affinity(value, xp.ones_like(value))


def affinity_value(affinities: Affinity, form: AffinityForm) -> Float[Array, ""]:
    """The loss of a batch: the mean over examples; of "code" over all of the batch's pairs and 1, as in that code."""
    xp = namespace(*affinities)
    weight = xp.sum(affinities.weight)
    return xp.sum(affinities.total) / (weight + 1 if form == "code" else xp.clip(weight, min=1.0))


def centre_distance(joints: Float[Array, "*batch j 3"], corners: Float[Array, "*batch 8 3"]) -> Float[Array, "*batch"]:
    """Distance of the joints' mean from the corners', in mean lengths of the box's edges: the code's centre loss.

    Returns:
        (...); 0 where it is 1 or more, as such hands do not hold the object, and for a box without extent.
    """
    xp = namespace(joints, corners)
    size = edge_length(corners)
    some = size > 0
    apart = safe_norm(xp.mean(joints, axis=-2) - xp.mean(corners, axis=-2)) / xp.where(some, size, xp.ones_like(size))
    return xp.where(some & (apart < 1), apart, xp.zeros_like(apart))


def _candidates(joints: Array, corners: Array, duplicates: bool, contacts: int, samples: int) -> tuple[Array, Array]:
    """The nearest pairs of a joint and a face: points of the box (..., N, 3), and distances (..., N), nearest first."""
    xp = namespace(joints, corners)
    points, distances = nearest_on_faces(joints, corners, samples)
    if not duplicates:
        nearest = xp.argmin(distances, axis=-1)[..., None]
        points = xp.take_along_axis(points, _three(nearest), axis=-2)
        distances = xp.take_along_axis(distances, nearest, axis=-1)
    # One after the other, whichever joints and faces they are of.
    number = distances.shape[-2] * distances.shape[-1]
    points = xp.reshape(points, (*points.shape[:-3], number, 3))
    distances = xp.reshape(distances, (*distances.shape[:-2], number))
    order = xp.argsort(distances, axis=-1, stable=True)[..., :contacts]
    return xp.take_along_axis(points, _three(order), axis=-2), xp.take_along_axis(distances, order, axis=-1)


def _directions(points: Array, corners: Array, touches: Array, radius: Array) -> tuple[Array, Array]:
    """Unit vectors from the axis (..., N, 3), 0 for what does not count, and what does (..., N)."""
    xp = namespace(points, corners)
    out = from_axis(points, corners)
    length = safe_norm(out)
    counted = touches & (length > _ON_AXIS * radius[..., None])
    unit = out / xp.where(counted, length, xp.ones_like(length))[..., None]
    return xp.where(counted[..., None], unit, xp.zeros_like(unit)), counted


def _soft_mean(joints: Array, corners: Array, reach: float, samples: int) -> Array:
    """(...) the mean cosine over pairs of joints, each weighted by how far both touch the box."""
    xp = namespace(joints, corners)
    radius = end_radius(corners)
    some = radius > 0
    unit = xp.where(some, radius, xp.ones_like(radius))[..., None]
    grid = face_samples(corners, samples)
    # In radii, so that nothing depends on scale.
    squared = xp.sum(((joints[..., :, None, :] - grid[..., None, :, :]) / unit[..., None, None]) ** 2, axis=-1)
    least = xp.min(squared, axis=-1, keepdims=True)
    near = xp.exp((least - squared) / (2 * _POINT_SOFTNESS**2))
    near = near / xp.sum(near, axis=-1, keepdims=True)
    # A joint in the middle of the box is as far from it as all of its faces are, not as their mean is.
    distance = xp.sqrt(xp.sum(near * squared, axis=-1) + _GATE_SOFTNESS**2)
    gate = 1 / (1 + xp.exp(xp.clip((distance - reach) / _GATE_SOFTNESS, max=40.0)))
    out = from_axis(near @ grid, corners) / unit[..., None]
    along = out / xp.sqrt(xp.sum(out**2, axis=-1, keepdims=True) + _AXIS_SOFTNESS**2)
    weighted = gate[..., None] * along
    pairs = xp.sum(xp.sum(weighted, axis=-2) ** 2, axis=-1) - xp.sum(weighted**2, axis=(-2, -1))
    weight = xp.sum(gate, axis=-1) ** 2 - xp.sum(gate**2, axis=-1)
    return xp.where(some, pairs / (weight + _FEW_PAIRS), xp.zeros_like(pairs))


def _three(index: Array) -> Array:
    """Indices of points as those of their three coordinates."""
    return namespace(index).broadcast_to(index[..., None], (*index.shape, 3))
