import numpy as np
import pytest
import torch

from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.fit import fit_hand
from knuckle.handmodel import HandModel, angle_limits
from knuckle.predict import ContractError
from knuckle.predict.ik import IKGraph
from knuckle.synth.pose_arrays import random_hands, write_poses
from knuckle.systems.ik import IKConfig, InverseKinematics
from knuckle.systems.poses import PoseConfig
from knuckle.systems.system import Moment, Stage
from knuckle.train.export import export_onnx, exported_model, open_checkpoint
from knuckle.train.loop import TrainConfig, train
from knuckle.weights import weights_path
from mano_fixture import mano_arrays, write_mano_pickle

MODEL = HandModel.open()
STAGE = Stage(steps=80, batch=64, rates={"": 3e-3}, losses={"angles": 1.0, "shape": 0.1, "joints": 100.0})


def data(folder):
    return [DataSet(parse_spec(f"arrays:{folder}"))]


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poses")
    write_poses(folder, 200, seed=0)
    return folder


def system_of(**changed):
    return InverseKinematics(IKConfig(width=64, blocks=1, stages=(STAGE,), **changed))


@pytest.mark.parametrize(
    "changed", [{}, {"angles": 45}, {"rotation": "head"}, {"known_shape": True}], ids=["23", "45", "head", "known"]
)
def test_it_learns_and_its_export_says_the_same(changed, poses, tmp_path):
    system, lines = system_of(**changed), []
    source = system.source(data(poses), tmp_path, lambda name, count: None)
    config = TrainConfig(name="ik", log_every=20, save_every=1000, threads=1)
    last = train(system, source, tmp_path / "run", config, report=lines.append)
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    shapes = np.zeros((5, 10)) if changed.get("known_shape") else None
    batch = source.collate([source.sample(i, np.random.default_rng(i)) for i in range(5)])
    joints = batch.joints.double().numpy()
    graph = IKGraph(exported_model(last, tmp_path), MODEL)
    fit = graph(joints, shape=batch.shape.double().numpy() if shapes is not None else None)
    _, network = open_checkpoint(last)
    with torch.no_grad():
        output = system.forward(network, batch, Moment(0, 1.0, STAGE, torch.Generator()))
        errors = system.errors(output, batch)
    if not changed.get("angles"):
        limits = angle_limits()
        wanted = output.angles.double().numpy().clip(limits[:, 0], limits[:, 1])
        np.testing.assert_allclose(fit.angles, wanted, atol=1e-4)
        truth = (batch.joints_hand @ batch.rotation.mT).double().numpy()
        found = 1e3 * np.linalg.norm(fit.joints - truth, axis=-1).mean()
        assert found == pytest.approx(errors["joints_mm"].value.item(), rel=0.2)


def test_what_the_network_sees_does_not_depend_on_where_the_hand_is_or_which(poses):
    rng = np.random.default_rng(0)
    graph = IKGraph(weights_path("ik"), MODEL)
    joints = np.asarray(MODEL.joints(rng.uniform(0.0, 0.8, (4, 23)), shape=rng.normal(0, 0.5, (4, 10))))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    moved, mirrored = joints @ turn.T + [0.1, -0.2, 0.7], joints * [-1.0, 1.0, 1.0]
    fit, other, left = graph(joints), graph(moved), graph(mirrored, side="left")
    np.testing.assert_allclose(other.angles, fit.angles, atol=1e-4)
    np.testing.assert_allclose(left.angles, fit.angles, atol=1e-4)
    np.testing.assert_allclose(other.joints, fit.joints @ turn.T + [0.1, -0.2, 0.7], atol=1e-5)
    np.testing.assert_allclose(left.joints, fit.joints * [-1.0, 1.0, 1.0], atol=1e-5)
    posed = MODEL.joints(left.angles, shape=left.shape, T_camera_hand=left.T_camera_hand, side="left")
    np.testing.assert_allclose(left.joints, posed, atol=1e-9)
    one, none = graph(joints[2]), graph(joints[:0])
    np.testing.assert_allclose(one.angles, fit.angles[2], atol=1e-5)
    assert none.angles.shape == (0, 23)


def test_the_network_that_ships_is_near_and_three_steps_of_fit_are_nearer():
    limits, rng = angle_limits(), np.random.default_rng(1)
    shape_limits = np.asarray(MODEL.shape_limits)
    angles, shape = rng.uniform(*limits.T, (200, 23)), rng.uniform(*shape_limits.T, (200, 10))
    joints = np.asarray(MODEL.joints(angles, shape=shape))
    fit = IKGraph(weights_path("ik"), MODEL)(joints)
    assert ((fit.angles >= limits[:, 0]) & (fit.angles <= limits[:, 1])).all()
    assert 1e3 * np.linalg.norm(fit.joints - joints, axis=-1).mean() < 3.0
    free = {"shape_regularisation": 0.0, "angle_regularisation": 0.0, "restart_above": np.inf}
    after = fit_hand(MODEL, joints, initial=fit, iterations=3, **free)
    assert 1e3 * np.linalg.norm(after.joints - joints, axis=-1).mean() < 0.3
    assert weights_path("ik").stat().st_size < 1e6


def test_another_network_is_refused():
    with pytest.raises(ContractError, match="must be an inverse-kinematics network"):
        IKGraph(weights_path("hand"), MODEL)


def test_recorded_joints_are_fitted_and_held_out_by_original(tmp_path):
    angles, shape = random_hands(MODEL, 40, seed=3)
    joints = np.asarray(MODEL.joints(angles, shape=shape)) + np.array([0.0, 0.1, 0.5])
    folder = tmp_path / "recorded"
    folder.mkdir()
    np.save(folder / "joints.npy", np.concatenate([joints, joints * [-1.0, 1.0, 1.0]]))
    np.save(folder / "left.npy", np.arange(80) >= 40)
    # Each hand is there twice, as in a set whose pictures were changed and kept.
    (folder / "ids.txt").write_text("\n".join(f"{i % 40:04d}:{i // 40}" for i in range(80)))
    exact = PoseConfig(uniform=0.0, angle_noise=0.0, fresh_shape=0.0, joint_noise=0.0)
    source = system_of(poses=exact).source(data(folder), tmp_path / "cache", lambda name, count: None)
    batch = source.collate([source.sample(i, np.random.default_rng(i)) for i in range(80)])
    # What is observed is what was recorded, as a right hand; labels explain it to a millimetre.
    seen = (batch.joints @ batch.rotation).numpy()
    first, second = seen[:40], seen[40:]
    np.testing.assert_allclose(first - first[:, :1], second - second[:, :1], atol=2e-3)
    assert np.linalg.norm(seen - batch.joints_hand.numpy(), axis=-1).mean() < 1e-3
    assert source.group(3) == source.group(43) != source.group(4)
    assert source.parts[0].held_out == 0.1


def test_poses_of_mano_are_fitted_by_the_papers_23_angles(tmp_path, rng):
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", mano_arrays(rng, left=False))
    model = HandModel.load(tmp_path / "MANO_RIGHT.pkl")
    posed = model(rng.uniform(0.0, 0.3, (8, 23)), shape=rng.normal(0, 0.2, (8, 10)))
    folder = tmp_path / "mano"
    folder.mkdir()
    np.save(folder / "joints.npy", 1.0 * np.asarray(posed.joints))
    np.save(folder / "vertices.npy", np.asarray(posed.vertices))
    system = system_of(hand=str(tmp_path / "MANO_RIGHT.pkl"))
    batch_source = system.source(data(folder), tmp_path / "cache", lambda name, count: None)
    batch = batch_source.collate([batch_source.sample(i, rng) for i in range(8)])
    output = system.forward(system.network(), batch, Moment(0, 0.0, STAGE, torch.Generator()))
    losses = system.losses(output, batch, Moment(0, 0.0, STAGE, torch.Generator()))
    assert all(torch.isfinite(loss.value) for loss in losses.values())


def test_tables_of_another_convention_and_poses_without_lengths_are_named(tmp_path):
    def folder(name, **arrays):
        (tmp_path / name).mkdir()
        for key, array in arrays.items():
            np.save(tmp_path / name / f"{key}.npy", array)
        return tmp_path / name

    joints = np.asarray(MODEL.joints(np.zeros((3, 23))))
    with pytest.raises(ValueError, match=r"angles.npy must be \(N, 23\) .* give the angles of ANGLE_NAMES") as raised:
        data(folder("mano", joints=joints, angles=np.zeros((3, 45))))
    assert "\n" not in str(raised.value)
    directions = np.cumsum(np.ones((3, 21, 3)) / np.sqrt(3), axis=1)
    system = system_of()
    for name, scaled in (("directions", directions), ("millimetres", 1e3 * joints)):
        with pytest.raises(ValueError, match="must hold joints in metres") as raised:
            system.source(data(folder(name, joints=scaled)), tmp_path / "c", lambda name, count: None)
        assert "\n" not in str(raised.value)


def test_the_weights_fit_the_default_configuration(tmp_path):
    system = InverseKinematics()
    graph = system.graphs(system.network().eval())["ik"]
    export_onnx(graph, tmp_path / "ik.onnx", half=True)
    assert IKGraph(tmp_path / "ik.onnx", MODEL).contract == IKGraph(weights_path("ik"), MODEL).contract
