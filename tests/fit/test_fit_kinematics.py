import numpy as np
import pytest
import torch
from fit_hands import open_hand, random_hands, summed_hand

from knuckle.fit.inputs import Problem
from knuckle.fit.kinematics import angle_jacobian, kinematics_of, pose, shape_jacobian
from knuckle.fit.objective import Targets, bend_consistency
from knuckle.fit.skinning import joints_from_mesh, linear_skinning_of, skin_vertices
from knuckle.fit.solver import Estimate
from knuckle.geometry.rotation import axis_angle_to_matrix


@pytest.mark.parametrize("make", [open_hand, summed_hand])
def test_joints_are_the_models(make):
    model, hands = make(), random_hands(20)
    joints = pose(kinematics_of(model), hands.angles, hands.shape).joints
    expected = model.joints(hands.angles, shape=hands.shape)
    rigid = [j for j in range(21) if j not in (4, 8, 12, 16, 20)] if model.tip_vertices else list(range(21))
    assert np.abs(joints - expected)[:, rigid].max() < 1e-9


@pytest.mark.parametrize("make", [open_hand, summed_hand])
def test_vertices_are_the_models(make):
    model, hands = make(), random_hands(3)
    posed = pose(kinematics_of(model), hands.angles, hands.shape)
    skinned = skin_vertices(linear_skinning_of(model), posed, hands.shape).points
    assert np.abs(skinned - model(hands.angles, shape=hands.shape).vertices).max() < 1e-9


@pytest.mark.parametrize("make", [open_hand, summed_hand])
def test_angle_jacobian_is_the_derivative_of_the_joints(make):
    kin, hands = kinematics_of(make()), random_hands(3)
    hands.angles[0] = 0.0  # the series of the summed convention
    angle, joint, _ = kin.pairs
    jacobian = np.zeros((3, 21, 3, 23))
    jacobian[:, joint, :, angle] = angle_jacobian(kin, pose(kin, hands.angles, hands.shape)).transpose(1, 0, 2)
    for a in range(23):
        step = 1e-6 * np.eye(23)[a]
        ahead, behind = (pose(kin, hands.angles + sign * step, hands.shape).joints for sign in (1, -1))
        assert np.abs((ahead - behind) / 2e-6 - jacobian[..., a]).max() < 1e-8


def test_shape_jacobian_is_the_derivative_of_the_joints():
    kin, hands = kinematics_of(open_hand()), random_hands(3)
    jacobian = shape_jacobian(kin, pose(kin, hands.angles, hands.shape))
    for s in range(10):
        step = 1e-3 * np.eye(10)[s]
        ahead, behind = (pose(kin, hands.angles, hands.shape + sign * step).joints for sign in (1, -1))
        assert np.abs((ahead - behind) / 2e-3 - jacobian[..., s]).max() < 1e-9


def problem(model, joints, vertices, bend_weight=0.0, shape_weight=0.0):
    def targets(points, seed):
        return None if points is None else Targets(points, np.random.default_rng(seed).uniform(1, 2, points.shape[:2]))

    count = len(joints if joints is not None else vertices)
    return Problem(
        kin=kinematics_of(model),
        tip_skinning=None if model.tip_vertices is None else linear_skinning_of(model, model.tip_vertices),
        skinning=linear_skinning_of(model),
        joints=targets(joints, 1),
        vertices=targets(vertices, 2),
        centre=np.zeros((count, 3)),
        left=np.zeros(count, dtype=bool),
        limits=np.tile([-np.inf, np.inf], (23, 1)),
        shape_limits=model.shape_limits,
        shape_mean=np.full(10, 0.3),
        shape_weight=shape_weight,
        angle_mean=np.full(23, 0.1),
        angle_weights=np.full(23, 0.02),
        bend_weight=bend_weight,
    )


@pytest.mark.parametrize(
    ("make", "what", "bend", "shape_weight", "held"),
    [
        (open_hand, "joints", 0.0, 0.0, False),
        (open_hand, "joints", 0.5, 0.2, False),
        (open_hand, "joints", 0.0, 0.0, True),
        (open_hand, "vertices", 0.0, 0.1, False),
        (open_hand, "both", 0.0, 0.0, True),
        (summed_hand, "both", 0.0, 0.0, False),
        (summed_hand, "joints", 0.0, 0.0, True),
    ],
)
def test_gradient_is_the_derivative_of_the_cost(make, what, bend, shape_weight, held):
    model, hands, other = make(), random_hands(2, seed=3), random_hands(2, seed=4)
    # one hand with S-bends
    hands.angles[0, 9::4], hands.angles[0, 10::4] = 0.5, -0.2
    observed = model(other.angles, shape=other.shape, T_camera_hand=other.T)
    objective = problem(
        model,
        observed.joints if what != "vertices" else None,
        observed.vertices if what != "joints" else None,
        bend,
        shape_weight,
    ).objective(np.arange(2), hands.shape if held else None)
    values = hands.angles if held else np.concatenate([hands.angles, hands.shape], axis=1)
    rotation = hands.T[:, :3, :3]
    normal = objective.evaluate(np.arange(2), Estimate(rotation, values))

    def cost(step):
        turned = rotation @ axis_angle_to_matrix(np.tile(step[:3], (2, 1)))
        return objective.evaluate(np.arange(2), Estimate(turned, values + step[3:])).cost

    differences = [(cost(1e-5 * unit) - cost(-1e-5 * unit)) / 4e-5 for unit in np.eye(objective.unknowns)]
    assert np.abs(np.stack(differences, axis=1) - normal.gradient).max() < 1e-7 * np.abs(normal.gradient).max()


def test_bend_consistency_is_the_product_of_the_bends():
    hands = random_hands(5)
    joints = open_hand().joints(hands.angles, shape=hands.shape)
    bend, _ = bend_consistency(joints, np.zeros((5, 21, 3, 1)))
    expected = np.sin(hands.angles[:, [9, 13, 17, 21]]) * np.sin(hands.angles[:, [10, 14, 18, 22]])
    # exact where all axes of a finger are one; the asset's bones are straight to a degree or two
    assert np.abs(bend - expected).max() < 0.1


@pytest.mark.parametrize("size", [-6.0, 0.0, 3.0])
def test_joints_from_mesh_are_near(size):
    hands = random_hands(4, spread=0.7, shapes=0.5)
    hands.shape[:, 0] = size
    observed = open_hand()(hands.angles, shape=hands.shape, T_camera_hand=hands.T)
    skinning = linear_skinning_of(open_hand())
    found = joints_from_mesh(
        skinning, kinematics_of(open_hand()), observed.vertices, np.ones(observed.vertices.shape[:2])
    )
    assert np.linalg.norm(found - observed.joints, axis=-1).mean() < 0.004


def test_torch_constants_are_refused():
    with pytest.raises(TypeError, match="must hold NumPy arrays"):
        kinematics_of(open_hand().to(torch.zeros(1)))
