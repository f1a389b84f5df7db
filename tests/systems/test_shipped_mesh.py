"""The mesh that the shipped hand network may predict beside its joints."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from knuckle.camera import Camera
from knuckle.handmodel import HandModel, named_pose
from knuckle.networks.hand import HandNetwork, HandOutput
from knuckle.predict.network import HandGraph
from knuckle.predict.place import from_sight, to_sight
from knuckle.sample import Sample, collate
from knuckle.systems.shipped import Shipped, ShippedConfig
from knuckle.systems.system import Moment
from knuckle.train.export import export_onnx

MODEL = HandModel.open()
VERTICES = len(MODEL.vertices)
SIZE = 128
CONFIG = ShippedConfig(
    crop=replace(ShippedConfig().crop, labels=("vertices_camera",), vertices=VERTICES),
    mesh=True,
)


def hands() -> list[Sample]:
    """A right and a left hand at the side of the picture."""
    samples = []
    for number, name in enumerate(("fist", "spread")):
        side = ("right", "left")[number]
        T = np.eye(4)
        T[:3, 3] = 0.08, -0.04, 0.45
        angles = named_pose(name)
        joints = np.asarray(MODEL.joints(angles, T_camera_hand=T, side=side))
        vertices = np.asarray(MODEL(angles, T_camera_hand=T, side=side).vertices)
        camera = Camera.from_fov((SIZE, SIZE), 1.0)
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        samples.append(
            Sample(
                side=side,
                image=image,
                camera=camera,
                joints_camera=joints,
                vertices_camera=vertices,
                joints_image=camera.project(joints),
            )
        )
    return samples


def output(batch, vertices) -> HandOutput:
    count = len(batch)
    joints = torch.zeros(count, 21, 3)
    return HandOutput(torch.zeros(count, 21, 16, 16), joints, joints, joints[..., 0], *torch.zeros(2, count), vertices)


def test_the_true_mesh_costs_nothing_and_an_unknown_one_does_not_count():
    known = hands()
    batch = collate(known)
    true = (to_sight(batch.camera.K, batch.vertices_camera, batch.joints_camera) + torch.tensor([0.5, 0.5, 0])) / SIZE
    system = Shipped(CONFIG)
    now = Moment(0, 0.0, system.stages[0], torch.Generator())

    def loss(samples, vertices):
        batch = collate(samples)
        return system.losses(output(batch, vertices), batch, now)["vertices"]

    exact = loss(known, true.float())
    assert float(exact.value) == pytest.approx(0.0, abs=1e-6)
    assert float(exact.weight) == 2 * VERTICES
    beside = loss(known, true.float() + torch.tensor([3.0, 0.0, 4.0]))
    assert float(beside.value) == pytest.approx(5.0, abs=1e-4)
    half = [known[0], replace(known[1], vertices_camera=None)]
    assert float(loss(half, true.float()).weight) == VERTICES


def test_any_points_of_a_hand_come_back_from_the_line_of_sight():
    """Places along the line of sight of joint 9 are exact up to the distance, which a picture does not show."""
    for sample in hands():
        K, joints, vertices = sample.camera.K, np.asarray(sample.joints_camera), np.asarray(sample.vertices_camera)
        seen = np.concatenate([to_sight(K, joints), to_sight(K, vertices, joints)])
        placed = from_sight(K, seen)
        ratio = np.linalg.norm(joints[9]) / np.linalg.norm(placed[9])
        np.testing.assert_allclose(ratio * placed[21:], vertices, atol=1e-9)


def test_no_gradient_of_the_mesh_passes_through_the_joints_and_its_export_equals_torch(tmp_path):
    torch.manual_seed(0)
    system = Shipped(CONFIG)
    network = system.network()
    assert isinstance(network, HandNetwork)
    found = network(torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8))
    assert found.vertices is not None
    found.vertices.sum().backward()
    assert network.mesh is not None
    assert all(p.grad is None for p in network.correct.parameters())
    assert all(p.grad is not None for p in network.mesh.parameters())
    # As if trained: without this all vertices lie in one place.
    with torch.no_grad():
        for p in network.mesh.parameters():
            p.add_(0.02 * torch.randn_like(p))
    (graph,) = system.graphs(network.eval()).values()
    export_onnx(graph, tmp_path / "hand.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    given = HandGraph(tmp_path / "hand.onnx", threads=1)(picture, [np.eye(2, 3)])
    with torch.no_grad():
        expected = dict(zip(graph.contract.outputs, graph.module(torch.from_numpy(picture)[None]), strict=True))
    assert np.ptp(given["vertices"]) > 1
    np.testing.assert_allclose(given["vertices"], expected["vertices"], atol=1e-3)
    np.testing.assert_allclose(given["joints"], expected["joints"], atol=1e-3)


def test_a_mesh_without_its_labels_is_refused():
    with pytest.raises(ValueError, match=r"crop\.labels must have vertices_camera for mesh=true"):
        ShippedConfig(mesh=True)
