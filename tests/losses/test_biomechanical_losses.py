"""Biomechanical losses: zero for possible hands, invariances, and finite gradients for impossible ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from knuckle.handmodel import HandLimits, HandModel, human_limits, named_pose, pose_names
from knuckle.handmodel.biomechanics import bone_vectors, hand_measures, joints_from_finger_angles
from knuckle.handmodel.ranges import excess, normalised, plausibility
from knuckle.losses.biomechanics import biomechanical_losses, hull_distance

MODEL = HandModel.open()
LIMITS = human_limits()
SHORTEST = replace(LIMITS, convention="shortest")


def possible_hands(rng, count=20):
    """Hands of human shape, in lengths of the limits' bone."""
    poses = np.stack([named_pose(name) for name in pose_names()])
    joints = MODEL.joints(poses[rng.integers(len(poses), size=count)], shape=0.7 * rng.normal(size=(count, 10)))
    return normalised(joints, LIMITS.bone)


def impossible_hands(rng, count=5):
    """Hands without coincidences, each outside every kind of limit."""
    return possible_hands(rng, count) + 0.2 * rng.normal(size=(count, 21, 3))


def drawn_from_hulls(rng, limits, count=10):
    """Angles (count, 15, 2) inside the hulls: weighted means of their corners."""
    weights = rng.dirichlet(np.ones(limits.hulls.shape[1]), size=(count, 15))
    return (weights[..., None] * limits.hulls).sum(-2)


def total(losses):
    return losses.bones + losses.palm + losses.angles


@pytest.mark.parametrize("region", ["hull", "box"])
def test_a_possible_hand_has_no_loss_and_no_gradient(rng, region):
    joints = torch.tensor(possible_hands(rng), requires_grad=True)
    losses = biomechanical_losses(joints, LIMITS, region=region)
    for loss in losses:
        assert loss.shape == (20,)
        assert (loss == 0).all()
    total(losses).sum().backward()
    assert joints.grad is not None
    assert (joints.grad == 0).all()


@pytest.mark.parametrize("limits", [LIMITS, SHORTEST], ids=["paper", "shortest"])
def test_a_hand_built_from_angles_inside_the_hulls_has_no_loss(rng, limits):
    hands = possible_hands(rng, 10)
    angles = drawn_from_hulls(rng, limits)
    lengths = np.linalg.norm(bone_vectors(hands).reshape(-1, 5, 4, 3)[:, :, 1:], axis=-1).reshape(-1, 15)
    built = joints_from_finger_angles(hands[:, 1::4] - hands[:, :1], lengths, angles, convention=limits.convention)
    assert (total(biomechanical_losses(built, limits)) == 0).all()


def test_each_loss_is_of_its_own_part(rng):
    hand = possible_hands(rng, 1)[0]
    long = hand.copy()
    long[8] += 2 * (hand[8] - hand[7])  # the last bone of the index finger is three times as long
    losses = biomechanical_losses(long, LIMITS)
    expected = 3 * np.linalg.norm(hand[8] - hand[7]) - LIMITS.lengths[7, 1]
    assert losses.bones == pytest.approx(expected / 20)
    assert losses.palm == losses.angles == 0
    back = hand.copy()
    back[6:9] = hand[5] - (hand[6:9] - hand[5])  # the index finger folded back over the wrist
    losses = biomechanical_losses(back, LIMITS)
    assert losses.bones == losses.palm == 0
    assert losses.angles > 0
    fan = hand.copy()
    fan[17:] = hand[17:] - hand[17] + 0.9 * np.array([-1.0, 0, 0])  # the little finger's root bone sideways
    assert biomechanical_losses(fan, LIMITS).palm > 0


def test_mean_over_bones_pairs_and_joints(rng):
    """The three numbers are the means that the paper's equations give, from an implementation in loops."""
    for joints in impossible_hands(rng):
        lengths, curvature, spread, angles = hand_measures(joints)

        def outside(value, limits):
            return max(limits[0] - value, 0) + max(value - limits[1], 0)

        bones = np.mean([outside(*pair) for pair in zip(lengths, LIMITS.lengths, strict=True)])
        palm = np.mean(
            [
                outside(c, LIMITS.curvature[i]) + outside(phi, LIMITS.spread[i])
                for i, (c, phi) in enumerate(zip(curvature, spread, strict=True))
            ]
        )
        losses = biomechanical_losses(joints, LIMITS)
        assert losses.bones == pytest.approx(bones)
        assert losses.palm == pytest.approx(palm)
        assert losses.angles == pytest.approx(
            np.mean([slow_distance(*p) for p in zip(angles, LIMITS.hulls, strict=True)])
        )


def slow_distance(point, hull):
    """Distance of one point to one hull, edge by edge."""
    edges = [(a, b) for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True) if (a != b).any()]
    if all((b - a)[0] * (point - a)[1] - (b - a)[1] * (point - a)[0] >= 0 for a, b in edges):
        return 0.0
    found = []
    for a, b in edges:
        near = a + np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1) * (b - a)
        found.append(np.abs(np.cos(point) - np.cos(near)).sum() + np.abs(np.sin(point) - np.sin(near)).sum())
    return min(found)


@pytest.mark.parametrize("limits", [LIMITS, SHORTEST], ids=["paper", "shortest"])
@pytest.mark.parametrize("batch", [(), (1,), (3,), (0,), (2, 2)])
def test_rigid_motion_sides_and_libraries(rng, batch, limits):
    joints = impossible_hands(rng, 4)[: max(int(np.prod(batch)), 0) if batch else 1].reshape(*batch, 21, 3)
    expected = biomechanical_losses(joints, limits)
    turn = Rotation.random(random_state=1).as_matrix()
    others = (
        biomechanical_losses(joints @ turn.T + [0.5, -2.0, 3.0], limits),
        biomechanical_losses(joints * [-1, 1, 1], limits, side="left"),
        biomechanical_losses(joints * [-1, 1, 1], limits, side=np.ones(batch, bool)),
        biomechanical_losses(torch.tensor(joints), limits),
    )
    for name in expected._fields:
        assert np.shape(getattr(expected, name)) == batch
        for other in others:
            np.testing.assert_allclose(np.asarray(getattr(other, name)), getattr(expected, name), atol=1e-12)


def test_size_is_the_callers(rng):
    """A hand of twice the size has other bones and another curvature, but the same angles."""
    joints = impossible_hands(rng)
    one, two = biomechanical_losses(joints, LIMITS), biomechanical_losses(2 * joints, LIMITS)
    np.testing.assert_allclose(two.angles, one.angles, atol=1e-12)
    assert (two.bones > one.bones).all()
    np.testing.assert_allclose(biomechanical_losses(normalised(9 * joints, (0, 9)), LIMITS).bones,
                               biomechanical_losses(normalised(joints, (0, 9)), LIMITS).bones, atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("region", ["hull", "box"])
@pytest.mark.parametrize("limits", [LIMITS, SHORTEST], ids=["paper", "shortest"])
def test_gradient(rng, region, limits):
    joints = torch.tensor(impossible_hands(rng, 3), requires_grad=True)
    assert torch.autograd.gradcheck(lambda j: total(biomechanical_losses(j, limits, region=region)), joints)


def test_gradient_of_a_straight_finger_is_useful():
    """Where an arccos would have none: a flat hand whose limits ask for some flexion is bent."""
    hulls = LIMITS.hulls + np.array([0.5, 0.0]) - LIMITS.hulls.min(1, keepdims=True) * [1.0, 0.0]
    asking = replace(LIMITS, hulls=hulls)
    flat = MODEL.joints_rest.copy()
    flat[:, 2] = 0
    joints = torch.tensor(normalised(flat, LIMITS.bone), requires_grad=True)
    biomechanical_losses(joints, asking).angles.backward()
    assert joints.grad is not None
    palmward = -joints.grad[[8, 12, 16, 20], 2]  # z is out of the palm
    assert (palmward > 1e-2).all()


COLLAPSED = {
    "all at the origin": np.zeros((21, 3)),
    "all at one place": np.ones((21, 3)),
    "on one line": np.outer(np.arange(21.0), [0, 1, 0]),
    "root bones coincide": np.where(np.arange(21)[:, None] % 4 == 1, MODEL.joints_rest[5], MODEL.joints_rest) / 0.1,
    "root bones opposite": np.where(
        np.arange(21)[:, None] % 8 == 1, -MODEL.joints_rest[5], MODEL.joints_rest[5]
    ) * np.ones((21, 1)) / 0.1,
    "palm folded": np.concatenate([[[0, 0, 0]], np.repeat([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]],
                                                          4, axis=0)]).astype(float),
    "bones along y": np.concatenate(
        [[[0.0, 0, 0]], *[np.array([x, 1.0, 0]) + np.outer(range(4), [1.0, 0, 0]) for x in (0.4, 0.2, 0, -0.2, -0.4)]]
    ),
    "straight fingers": np.concatenate(
        [[[0.0, 0, 0]], *[np.outer(range(2, 6), [x, 1.0, 0]) for x in (0.4, 0.2, 0, -0.2, -0.4)]]
    ),
    "fingers folded straight back": np.concatenate(
        [[[0.0, 0, 0]], *[np.outer((2.0, 1.5, 1.8, 1.4), [x, 1.0, 0]) for x in (0.4, 0.2, 0, -0.2, -0.4)]]
    ),
    "random": 1e3 * np.random.default_rng(0).normal(size=(21, 3)),
    "nearly nothing": 1e-20 * np.random.default_rng(0).normal(size=(21, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLAPSED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("convention", ["paper", "shortest"])
@pytest.mark.parametrize("region", ["hull", "box"])
def test_degenerate_hands_are_finite(name, dtype, convention, region):
    limits = replace(LIMITS, convention=convention)
    joints = torch.tensor(COLLAPSED[name], dtype=dtype, requires_grad=True)
    losses = biomechanical_losses(joints, limits, region=region)
    total(losses).backward()
    assert joints.grad is not None
    assert all(bool(torch.isfinite(loss)) for loss in losses)
    assert torch.isfinite(joints.grad).all()


def test_distance_to_a_hull(to_array):
    square = np.tile([[-1.0, -0.5], [1.0, -0.5], [1.0, 0.5], [-1.0, 0.5], [-1.0, 0.5]], (15, 1, 1))
    points = np.zeros((7, 15, 2))
    points[1:, 4] = [[1, 0.5], [1.1, 0], [1.5, 0], [2, 0], [-1.1, 0.6], [np.pi - 0.01, 0]]
    distance = np.asarray(hull_distance(to_array(points), to_array(square)))
    assert (distance[:2] == 0).all()  # inside, and at a corner
    assert (np.diff(distance[1:5, 4]) > 0).all()
    assert distance[2, 4] == pytest.approx(np.cos(1) - np.cos(1.1) + np.sin(1.1) - np.sin(1))
    wrapped = points[-1:].copy()
    wrapped[0, 4, 0] = -np.pi + 0.01
    assert abs(np.asarray(hull_distance(to_array(wrapped), to_array(square)))[0, 4] - distance[-1, 4]) < 0.05
    for start in range(4):
        turned = np.concatenate(
            [np.roll(square[:, :4], start, axis=1), np.roll(square[:, :4], start, axis=1)[:, -1:]], 1
        )
        np.testing.assert_allclose(np.asarray(hull_distance(to_array(points), to_array(turned))), distance)


def test_gradient_leads_back_into_the_hull(rng):
    angles = torch.tensor(rng.uniform(-1.5, 1.5, size=(50, 15, 2)), requires_grad=True)
    hulls = torch.tensor(LIMITS.hulls)
    distance = hull_distance(angles, hulls)
    distance.sum().backward()
    assert angles.grad is not None
    with torch.no_grad():
        step = 1e-3 * angles.grad / angles.grad.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        nearer = hull_distance(angles - step, hulls)
    outside = distance > 2e-3
    assert outside.sum() > 100
    assert (nearer[outside] < distance[outside]).all()


def test_excess_and_plausibility_measure_the_same_hands(rng):
    possible, impossible = 0.09 * possible_hands(rng), 0.09 * impossible_hands(rng)
    assert all((part == 0).all() for part in excess(possible))
    assert (plausibility(possible) == 1).all()
    outside = excess(impossible)
    assert (outside.angles > 0).any()
    assert ((plausibility(impossible) >= 0) & (plausibility(impossible) < 1)).all()
    np.testing.assert_allclose(plausibility(impossible * [-1, 1, 1], side="left"), plausibility(impossible))
    losses = biomechanical_losses(normalised(impossible, LIMITS.bone), LIMITS)
    np.testing.assert_allclose(outside.lengths.mean(-1), losses.bones)
    np.testing.assert_allclose((outside.curvature + outside.spread).mean(-1), losses.palm)
    assert ((outside.angles > 0).any(-1) == (losses.angles > 0)).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="joints must be"):
        biomechanical_losses(np.zeros((20, 3)), LIMITS)
    with pytest.raises(ValueError, match="hulls must be anticlockwise"):
        HandLimits(LIMITS.lengths, LIMITS.curvature, LIMITS.spread, LIMITS.hulls[:, ::-1])
