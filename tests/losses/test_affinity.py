"""The physical affinity: known values, what it does not depend on, and which of hand and object it moves."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from knuckle.handmodel.box_contacts import (
    REACH,
    contact_points,
    depth_inside,
    edge_length,
    end_radius,
    face_samples,
    from_axis,
    measure_grip,
    nearest_on_faces,
)
from knuckle.losses.affinity import FORMS, affinity, affinity_value, centre_distance
from knuckle.skeleton import BOX_CORNERS, BOX_EDGES, BOX_FACES

FAR = np.array([5.0, 5.0, 5.0])
# 20 x 6 x 6 cm: the radius is 6 cm, and joints touch up to 12 mm away.
BOX = np.array(BOX_CORNERS) * [0.2, 0.06, 0.06]
HARD = ("printed", "code")
# Two boxes that are related by a half turn about the axis or an exchange of its ends have other numbers alone.
SAME_ENDS = ([4, 5, 6, 7, 0, 1, 2, 3], [2, 0, 3, 1, 6, 4, 7, 5], [7, 6, 5, 4, 3, 2, 1, 0])


def hand_with(contacts):
    """21 joints of which the first few are given and the others are far away."""
    joints = np.tile(FAR, (21, 1)) + np.arange(21)[:, None]
    joints[: len(contacts)] = np.reshape(contacts, (-1, 3))
    return joints


def around(number, length=0.02):
    """Joints just off the box's sides, in directions from its axis that are evenly spread: at the faces' middles."""
    angle = 2 * np.pi * np.arange(number) / number
    return np.stack([np.full(number, length), np.cos(angle), np.sin(angle)], -1) * [1, 0.031, 0.031]


def random_grasp(rng, count=()):
    """Joints in and about boxes, none in a special place."""
    joints = rng.normal(size=(*count, 21, 3)) * [0.08, 0.03, 0.03]
    corners = BOX + rng.normal(scale=0.004, size=(*count, 8, 3))
    turn = Rotation.from_rotvec([0.4, -1.1, 0.3]).as_matrix()
    return joints @ turn.T + [0.1, -0.05, 0.5], corners @ turn.T + [0.1, -0.05, 0.5]


def value(joints, corners, form="printed", **options):
    return affinity_value(affinity(joints, corners, form, **options), form)


def test_faces_and_edges_of_the_box():
    assert len(BOX_EDGES) == 12
    assert all(bin(a ^ b).count("1") == 1 for a, b in BOX_EDGES)
    assert all(sum(i in edge for edge in BOX_EDGES) == 3 for i in range(8))
    assert len({frozenset(face) for face in BOX_FACES}) == 6
    assert all(sum(i in face for face in BOX_FACES) == 3 for i in range(8))
    for face in BOX_FACES:
        # Planar: one bit is the same in all four corners. And neighbours in the list share an edge.
        assert len({BOX_CORNERS[i][axis] for axis in range(3) for i in face if axis == face_axis(face)}) == 1
        assert all(tuple(sorted(pair)) in BOX_EDGES for pair in itertools.pairwise([*face, face[0]]))
    grid = face_samples(BOX).reshape(6, 121, 3)
    for face, points in zip(BOX_FACES, grid, strict=True):
        for wanted in (*BOX[list(face)], BOX[list(face)].mean(0)):
            assert np.abs(points - wanted).max(1).min() < 1e-12
    with pytest.raises(ValueError, match="samples must be 2 or more"):
        face_samples(BOX, 1)


def face_axis(face):
    return next(axis for axis in range(3) if len({BOX_CORNERS[i][axis] for i in face}) == 1)


@pytest.mark.parametrize("number", [2, 3, 4, 5, 10])
def test_spread_contacts_reach_the_minimum(number, to_array):
    """-1 / (n - 1), the least there can be, where the faces' samples allow directions of exactly that spread."""
    joints = hand_with(around(number))
    joints, corners = to_array(joints), to_array(BOX)
    supports = nearest_on_faces(joints, corners)
    hit = from_axis(supports.points[range(number), np.asarray(supports.distances)[:number].argmin(-1)], corners)
    unit = np.asarray(hit) / np.linalg.norm(hit, axis=-1, keepdims=True)
    cosines = [float(a @ b) for a, b in itertools.combinations(unit, 2)]
    found = float(value(joints, corners, duplicates=False))
    assert found == pytest.approx(np.mean(cosines), abs=1e-12)
    assert found >= -1 / (number - 1) - 1e-12
    if number in (2, 4):
        assert found == pytest.approx(-1 / (number - 1), abs=1e-9)
        # All pairs both ways, and each with itself: 0 where they balance.
        assert float(value(joints, corners, "code", duplicates=False)) == pytest.approx(0.0, abs=1e-9)


def test_contacts_on_one_side_have_the_greatest_loss(to_array):
    side = np.stack([np.linspace(-0.08, 0.08, 5), np.zeros(5), np.full(5, 0.035)], -1)
    joints, corners = to_array(hand_with(side)), to_array(BOX)
    assert float(value(joints, corners)) == pytest.approx(1.0)
    assert float(value(joints, corners, "code")) == pytest.approx(25 / 26)
    assert float(value(joints, corners, "soft")) > 0.9


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("contacts", [0, 1])
def test_without_two_contacts_there_is_no_loss_and_no_gradient(form, contacts):
    joints = torch.tensor(hand_with([[0.02, 0.0, 0.035]][:contacts]), requires_grad=True)
    corners = torch.tensor(BOX, requires_grad=True)
    found = value(joints, corners, form)
    found.backward()
    # A contact with itself is all that the code's form has left.
    assert found.item() == pytest.approx(0.5 if form == "code" and contacts else 0.0, abs=1e-6)
    assert corners.grad is not None
    for gradient in (joints.grad, corners.grad):
        assert gradient is None or torch.allclose(gradient, torch.zeros_like(gradient), atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [(), (1,), (3,), (0,), (2, 2)])
def test_what_the_affinity_does_not_depend_on(rng, form, count):
    joints, corners = random_grasp(rng, count)
    expected = affinity(joints, corners, form)
    assert expected.total.shape == count
    turn = Rotation.from_rotvec([0.3, 2.0, -1.0]).as_matrix()
    for scale in (1.0, 1e3):  # a rigid motion, and the same in millimetres
        moved = [scale * (points @ turn.T + [0.3, -0.2, 0.9]) for points in (joints, corners)]
        np.testing.assert_allclose(affinity(*moved, form).total, expected.total, atol=1e-9)
    # The code's radius takes two diagonals of each end for sides, and which two depends on the numbers.
    for order in () if form == "code" else SAME_ENDS:
        np.testing.assert_allclose(affinity(joints, corners[..., order, :], form).total, expected.total, atol=1e-9)
    np.testing.assert_allclose(affinity(joints[..., ::-1, :], corners, form).total, expected.total, atol=1e-9)
    both = affinity(torch.tensor(joints), torch.tensor(corners), form)
    np.testing.assert_allclose(both.total, expected.total, atol=1e-12)
    np.testing.assert_allclose(both.weight, expected.weight)


@pytest.mark.parametrize("form", FORMS)
def test_contacts_may_slide_along_the_axis(form):
    joints = hand_with(around(3, 0.0))
    # By a step of the samples.
    slid = joints + np.array([0.02, 0.0, 0.0])
    assert float(value(slid, BOX, form)) == pytest.approx(float(value(joints, BOX, form)), abs=1e-6)


@pytest.mark.parametrize("form", HARD)
@pytest.mark.parametrize("duplicates", [True, False])
def test_the_hand_s_gradient_of_the_published_forms_is_zero(rng, form, duplicates):
    """Contacts are points of the box, and which ones they are does not change with a small step of a joint."""
    joints, corners = (torch.tensor(points, requires_grad=True) for points in random_grasp(rng, (4,)))
    found = value(joints, corners, form, duplicates=duplicates)
    found.backward()
    assert found.item() != 0
    assert joints.grad is None or bool((joints.grad == 0).all())
    assert corners.grad is not None
    assert bool(corners.grad.isfinite().all())
    assert float(corners.grad.abs().max()) > 0


def test_the_soft_form_moves_the_hand_too(rng):
    joints, corners = (torch.tensor(points, requires_grad=True) for points in random_grasp(rng, (2,)))
    value(joints, corners, "soft").backward()
    for leaf in (joints, corners):
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())
        assert float(leaf.grad.abs().max()) > 0.1
    few = [points[:1].detach() / 0.05 for points in (joints, corners)]
    assert torch.autograd.gradcheck(
        lambda j, c: affinity(j, c, "soft", samples=4).total, [few[0][:, :5].requires_grad_(), few[1].requires_grad_()]
    )


def test_the_soft_form_is_near_the_printed_one_where_contacts_are_clear(rng):
    for number in (2, 3, 4):
        joints = hand_with(around(number))
        hard = float(value(joints, BOX, duplicates=False))
        assert float(value(joints, BOX, "soft")) == pytest.approx(hard, abs=0.15)


def test_the_corners_gradient_of_the_printed_form_is_right(rng):
    joints, corners = random_grasp(rng)
    assert torch.autograd.gradcheck(
        lambda c: affinity(torch.tensor(joints), c, "printed").total, [torch.tensor(corners, requires_grad=True)]
    )


def test_contacts_grow_with_the_reach(rng):
    joints, corners = random_grasp(rng, (20,))
    counts = [affinity(joints, corners, "code", reach=reach).weight for reach in (0.05, 0.1, 0.2, 0.4)]
    for fewer, more in itertools.pairwise(counts):
        assert (fewer <= more).all()
    assert counts[-1].max() == 100


def test_a_joint_at_an_edge_counts_twice_unless_duplicates_are_left_out():
    edge = hand_with([[0.0, 0.031, 0.031], [0.0, -0.031, 0.0]])
    assert float(affinity(edge, BOX, "code").weight) == 9
    assert float(affinity(edge, BOX, "code", duplicates=False).weight) == 4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flat", [[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [0.0, 0.06, 0.06], [0.2, 0.06, 0.0]])
def test_a_box_without_volume_has_finite_gradients(rng, form, flat):
    joints = torch.tensor(0.02 * rng.normal(size=(21, 3)), requires_grad=True)
    corners = torch.tensor(np.array(BOX_CORNERS) * flat, requires_grad=True)
    found = value(joints, corners, form) + centre_distance(joints, corners).sum()
    found.backward()
    assert bool(found.isfinite())
    for leaf in (joints, corners):
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())
    grip = measure_grip(joints.detach(), corners.detach())
    assert float(grip.penetration) == 0.0
    assert float(grip.contacts) == 0


def test_contact_on_the_axis_has_no_direction():
    joints = hand_with([[0.101, 0.0, 0.0], [0.0, 0.031, 0.0], [0.0, -0.031, 0.0]])
    assert float(value(joints, BOX, duplicates=False)) == pytest.approx(-1.0)


def test_the_distance_of_the_centres(to_array):
    joints = np.tile([0.0, 0.05, 0.0], (21, 1))
    found = centre_distance(to_array(joints), to_array(BOX))
    assert float(found) == pytest.approx(0.05 / float(edge_length(BOX)))
    assert float(edge_length(BOX)) == pytest.approx((0.2 + 0.06 + 0.06) / 3)
    assert float(centre_distance(to_array(joints + 0.2), to_array(BOX))) == 0.0


def test_depth_in_the_box(rng, to_array):
    points = rng.uniform(-1, 1, (200, 3)) * [0.15, 0.05, 0.05]
    half = np.array([0.1, 0.03, 0.03])
    expected = np.clip((half - np.abs(points)).min(-1), 0, None)
    turn = Rotation.from_rotvec([0.4, -1.1, 0.3]).as_matrix()
    found = depth_inside(to_array(points @ turn.T), to_array(BOX @ turn.T))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # Numbered as in a mirror image.
    np.testing.assert_allclose(depth_inside(to_array(points), to_array(BOX[[1, 0, 3, 2, 5, 4, 7, 6]])), expected)


def test_the_grip_of_a_hand(to_array):
    """Three joints that touch, one of them inside; the others are away."""
    joints = hand_with([[0.0, 0.035, 0.0], [0.0, -0.025, 0.0], [0.03, 0.0, 0.040]])
    grip = measure_grip(to_array(joints), to_array(BOX))
    assert float(grip.penetration) == pytest.approx(0.005)
    assert float(grip.contacts) == 3
    assert float(grip.spread) == pytest.approx(2 / 3)
    assert np.isnan(float(measure_grip(to_array(hand_with([[0, 0, 0.04]])), to_array(BOX)).spread))
    radius = end_radius(to_array(BOX))
    points, touching = contact_points(to_array(joints), to_array(BOX), REACH * radius[..., None])
    np.testing.assert_allclose(points[0], [0.0, 0.03, 0.0], atol=1e-12)
    assert np.asarray(touching).tolist() == [True] * 3 + [False] * 18
