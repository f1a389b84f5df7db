"""What finds the hand model's pose for a network's joints: a fit, a network, or S4's refinement of that."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from knuckle.camera import Camera
from knuckle.fit import FitConstants
from knuckle.handmodel import HandModel
from knuckle.predict import PredictorConfig
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.explain import FitExplain
from knuckle.predict.ik import IKGraph
from knuckle.predict.solve import FitToJoints, IKAlone, Refinement
from knuckle.synth.pose_arrays import random_hands
from knuckle.systems.ik import IKConfig, InverseKinematics
from knuckle.train.export import export_onnx
from knuckle.weights import weights_path

MODEL = HandModel.open()
HAND = FitConstants.of(MODEL)
CAMERA = Camera(np.array([[500.0, 0, 160], [0, 500.0, 120], [0, 0, 1]]), (320, 240))
NOISE = 0.004


@pytest.fixture(scope="module")
def ik():
    return IKGraph(weights_path("ik"), HAND)


def seen(count=12, side="right"):
    """Random hands 0.6 m away, and what a network would say of them: each joint is off, and the vertices with it."""
    rng = np.random.default_rng(3)
    angles, shape = random_hands(MODEL, count, seed=21)
    pose = np.eye(4)
    pose[2, 3] = 0.6
    posed = MODEL(angles, shape=shape, T_camera_hand=pose, side=side)
    off = rng.normal(0, NOISE, posed.joints.shape)
    near = np.array([0, *(1 + 4 * finger + level for finger in range(5) for level in range(3)), 0])
    vertices = posed.vertices + np.asarray(MODEL.weights) @ (0.5 * off)[:, near[: MODEL.weights.shape[1]]]
    estimates = [
        HandEstimate(side, 1.0, CAMERA.project(j), j, np.full(21, NOISE), vertices_camera=v)
        for j, v in zip(posed.joints + off, vertices, strict=True)
    ]
    return posed, shape, estimates


def error(fits, posed):
    return 1e3 * np.linalg.norm([f.joints for f in fits] - posed.joints, axis=-1).mean()


@pytest.mark.parametrize("side", ["right", "left"])
def test_refinement_towards_joints_and_mesh_is_nearer_than_the_network_alone(ik, side):
    posed, _, estimates = seen(side=side)
    alone = [IKAlone(ik)(e, None, None) for e in estimates]
    refined = [Refinement(HAND, ik)(e, None, None) for e in estimates]
    joints_alone = [Refinement(HAND, ik)(replace(e, vertices_camera=None), None, None) for e in estimates]
    assert error(refined, posed) < 0.8 * error(alone, posed)
    assert error(refined, posed) < error(joints_alone, posed)
    assert all(fit.iterations <= 20 for fit in refined)


def test_a_mesh_of_another_topology_does_not_count(ik):
    _, _, (estimate, *_) = seen(1)
    other = replace(estimate, vertices_camera=estimate.vertices_camera[:778])
    without = Refinement(HAND, ik)(replace(estimate, vertices_camera=None), None, None)
    np.testing.assert_array_equal(Refinement(HAND, ik)(other, None, None).angles, without.angles)


def test_a_known_shape_is_kept_and_helps(ik):
    posed, shape, estimates = seen()
    fits = []
    for solve in (FitToJoints(HAND, PredictorConfig(), ik), Refinement(HAND, ik)):
        fits = [solve(e, None, s) for e, s in zip(estimates, shape, strict=True)]
        for fit, known in zip(fits, shape, strict=True):
            np.testing.assert_array_equal(fit.shape, known)
    assert error(fits, posed) < error([Refinement(HAND, ik)(e, None, None) for e in estimates], posed)


def test_the_hand_is_posed_by_rotation_vectors_where_a_network_gives_these(tmp_path):
    torch.manual_seed(0)
    system = InverseKinematics(IKConfig(width=32, blocks=1, angles=45))
    (graph,) = system.graphs(system.network().eval()).values()
    export_onnx(graph, tmp_path / "ik.onnx")
    solve = IKAlone(IKGraph(tmp_path / "ik.onnx", HAND))
    _, _, (estimate, *_) = seen(1)
    fit = solve(estimate, None, None)
    hand, _ = FitExplain(MODEL, PredictorConfig(), solve=solve)(estimate, CAMERA)
    assert fit.vectors.shape == (15, 3)
    # Placed by its pixels, the hand has the joints of the vectors, not those of the closest angles.
    found, wanted = hand.joints_camera - hand.joints_camera[0], fit.joints - fit.joints[0]
    lengths = [np.linalg.norm(j[:, None] - j, axis=-1) for j in (found, wanted)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)
    by_angles = np.asarray(MODEL.joints(fit.angles, shape=fit.shape))
    assert np.abs(np.linalg.norm(by_angles[:, None] - by_angles, axis=-1) - lengths[1]).max() > 1e-4
