"""I2L-MeshNet's system: what it is taught it decodes, what lies outside does not count, and it runs end to end."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pictures import drawn_samples, write_truth
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.evaluate import PROTOCOLS
from knuckle.evaluate.sources import read_source
from knuckle.handmodel import HandModel
from knuckle.image.augment import AugmentConfig
from knuckle.models import Run, run_model
from knuckle.networks.lixel import LixelOutput
from knuckle.predict.network import HandGraph
from knuckle.systems import open_system
from knuckle.systems.lite_mesh import LiteMesh, LiteMeshConfig, average_bone, small_config
from knuckle.systems.system import Moment, Stage
from knuckle.train.export import export_onnx
from mano_fixture import mano_arrays, write_mano_pickle

TINY = replace(
    small_config(),
    backbone="resnet10t",
    crop=replace(small_config().crop, size=64, patch=100),
    augment=AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)
NOW = Moment(0, 0.0, Stage(), torch.Generator())
MASKED = ("joints", "vertices", "joints_from_mesh", "edges", "normals")


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def meshed(samples):
    """The samples with meshes: the flat hand brought to each wrist, as wide as the joints say."""
    model = HandModel.open()
    found = []
    for sample in samples:
        mirror = np.array([-1.0, 1.0, 1.0]) if sample.side == "left" else np.ones(3)
        pose = np.diag([1.0, -1.0, -1.0])
        joints, vertices = (
            (points * mirror) @ pose.T + sample.joints_camera[0] for points in (model.joints_rest, model.vertices)
        )
        found.append(
            replace(sample, joints_camera=joints, vertices_camera=vertices, joints_image=sample.camera.project(joints))
        )
    return found


def write_meshes(folder, samples):
    """`write_truth` with the meshes too."""
    spec = write_truth(folder, samples)
    entries = json.loads((folder / "truth.json").read_text())
    for entry, sample in zip(entries, samples, strict=True):
        if sample.vertices_camera is not None:
            entry["vertices_camera"] = np.asarray(sample.vertices_camera).round(6).tolist()
    (folder / "truth.json").write_text(json.dumps(entries))
    return spec


def batch_of(tmp_path, samples, config=TINY, suffix=""):
    """One crop of each sample."""
    spec = parse_spec(write_meshes(tmp_path, samples) + suffix)
    source = LiteMesh(config).source([DataSet(spec)], tmp_path / "records", lambda name, count: None)
    return source.collate([source.sample(i, np.random.default_rng(i)) for i in range(len(source))])


def guess_of(batch, fill=0.0) -> LixelOutput:
    """An output of the right sizes."""
    size = len(batch)
    return LixelOutput(torch.full((size, 21, 3), fill), torch.full((size, TINY.crop.vertices, 3), fill))


def perfect(batch, config=TINY) -> LixelOutput:
    labels = LiteMesh(config)._labels(guess_of(batch), batch)
    return LixelOutput(labels.joints, labels.vertices)


@pytest.mark.parametrize("hand_size", ["true", "average"])
def test_the_truth_has_no_loss_and_decodes_to_the_true_mesh(tmp_path, hand_size):
    config = replace(TINY, hand_size=hand_size, crop=replace(TINY.crop, shift=0.0, zoom=0.0, turn=0.1, margin=2.0))
    batch = batch_of(tmp_path / "set", meshed(drawn_samples(4)), config)  # every other one a left hand, mirrored
    assert not batch.left.any()
    system, output = LiteMesh(config), perfect(batch, config)
    losses = system.losses(output, batch, NOW)
    assert set(losses) == set(MASKED)
    for name, mean in losses.items():
        # The regressor is half a millimetre off, of 19 to a bin in depth.
        assert float(mean.value) < (0.1 if name == "joints_from_mesh" else 1e-4), name
        assert float(mean.weight) > 0
    assert all(float(mean.value) < 1.0 for mean in system.errors(output, batch).values())

    # What is exported from it lies at the true place, once the length of the bone is given.
    class Known(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> LixelOutput:
            return output

    (graph,) = system.graphs(Known()).values()
    joints, vertices = graph.module(batch.image.permute(0, 2, 3, 1))
    true = batch.joints_camera.double().numpy()
    bone = np.linalg.norm(true[:, 9] - true[:, 0], axis=-1)
    unit = average_bone() if hand_size == "true" else bone
    depth = true[:, :1, 2] + vertices[..., 2].double().numpy() * np.reshape(unit, (-1, 1))
    placed = Camera(batch.camera.K.double().numpy(), None).unproject(vertices[..., :2].double().numpy(), depth)
    np.testing.assert_allclose(placed, batch.vertices_camera.numpy(), atol=1e-3)
    np.testing.assert_allclose(joints[..., :2].numpy(), batch.joints_image.numpy(), atol=1.0)
    assert not joints[:, 0, 2].any()


def test_what_lies_outside_of_the_heatmaps_does_not_count(tmp_path):
    """A crop that cuts off fingers and the forearm: as many weights as there are coordinates and edges inside."""
    batch = batch_of(tmp_path / "set", meshed(drawn_samples(2)), replace(TINY, crop=replace(TINY.crop, margin=0.8)))
    system = LiteMesh(TINY)
    labels = system._labels(guess_of(batch), batch)
    bins = TINY.crop.size // 4
    outside = ~((labels.vertices >= 0) & (labels.vertices < bins))
    assert outside.any()
    wrong = perfect(batch)
    # Vertices may be anywhere along a coordinate that is outside, and joints of theirs nowhere else.
    wrong = LixelOutput(
        torch.where(labels.joints_inside, wrong.joints, -50.0), torch.where(outside, -50.0, wrong.vertices)
    )
    losses = system.losses(wrong, batch, NOW)
    assert float(losses["vertices"].weight) == float((~outside).sum())
    for name in ("joints", "vertices", "edges", "normals"):
        assert float(losses[name].value) < 1e-4, name
    faces = system.mesh.faces
    whole = (~outside).all(-1)
    assert float(losses["normals"].weight) == 3 * sum(int(row[faces].all(-1).sum()) for row in whole)


def test_examples_teach_what_they_are_labelled_with(tmp_path):
    both = meshed(drawn_samples(4))
    gap = np.array(both[2].joints_image)
    gap[7] = np.nan
    flat = [replace(both[2], joints_camera=None, vertices_camera=None, camera=None, joints_image=gap)]
    bony = [replace(both[3], vertices_camera=None)]
    system, network = LiteMesh(TINY), LiteMesh(TINY).network().train()
    crop = replace(TINY.crop, margin=4.0, shift=0.0)
    for name, samples in (("mixed", [*both[:2], *flat, *bony]), ("whole", both[:1])):
        batch = batch_of(tmp_path / name, samples, replace(TINY, crop=crop))
        output = network(batch.image)
        losses = system.losses(output, batch, NOW)
        hands, whole = len(samples), sum(s.vertices_camera is not None for s in samples)
        # Two coordinates in the picture and one in depth; of the flat hand none in depth, and a joint less.
        assert float(losses["joints"].weight) == (63 * hands if name == "whole" else 63 * (hands - 1) + 40)
        assert float(losses["vertices"].weight) == 3 * TINY.crop.vertices * whole
        assert float(losses["edges"].weight) == 3 * len(system.mesh.faces) * whole
        sum(mean.value for mean in losses.values()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        assert all(mean.total.isfinite() for mean in system.errors(output, batch).values())


def test_the_untrained_network_s_losses_are_the_source_s(tmp_path):
    """Retrainings of the public code begin at about 8.7 bins of 64 for joints and vertices, 1.3 for edges."""
    batch = batch_of(tmp_path / "set", meshed(drawn_samples(4)))
    bins = TINY.crop.size // 4
    losses = LiteMesh(TINY).losses(guess_of(batch, (bins - 1) / 2), batch, NOW)
    assert 3 < float(losses["joints"].value) * 64 / bins < 14
    assert 3 < float(losses["vertices"].value) * 64 / bins < 14
    assert 0.3 < float(losses["edges"].value) * 64 / bins < 3
    assert float(losses["normals"].value) == 0.0


def test_sizes_of_hands_are_told_apart_only_in_metres(tmp_path):
    sample = meshed(drawn_samples(1))[0]
    # Twice the hand at twice the distance looks the same.
    larger = replace(sample, joints_camera=2 * sample.joints_camera, vertices_camera=2 * sample.vertices_camera)
    for hand_size, factor in (("true", 2.0), ("average", 1.0)):
        config = replace(TINY, hand_size=hand_size)
        labels = [
            perfect(batch_of(tmp_path / f"{hand_size}-{i}", [s], config), config).vertices
            for i, s in enumerate((sample, larger))
        ]
        middle = TINY.crop.size / 8
        torch.testing.assert_close(labels[1][..., :2], labels[0][..., :2], atol=1e-3, rtol=0)
        torch.testing.assert_close(labels[1][..., 2] - middle, factor * (labels[0][..., 2] - middle), atol=1e-3, rtol=0)


@pytest.mark.parametrize("decoder", ["original", "A", "B", "C"])
def test_the_exported_graph_equals_torch(tmp_path, decoder):
    system = LiteMesh(replace(TINY, decoder=decoder, fine_mesh=True))
    torch.manual_seed(1)
    network = system.network()
    # As if trained: heatmaps with peaks, and statistics of pictures.
    for module in network.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight, std=3.0)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8))
    (graph,) = system.graphs(network.eval()).values()
    export_onnx(graph, tmp_path / "hand.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    given = HandGraph(tmp_path / "hand.onnx", threads=1)(picture, [np.eye(2, 3)] * 3)
    with torch.no_grad():
        joints, vertices = graph.module(torch.from_numpy(picture)[None])
    assert np.ptp(given["vertices"][..., :2]) > 1
    np.testing.assert_allclose(given["joints"], joints.expand(3, -1, -1), atol=1e-3)
    np.testing.assert_allclose(given["vertices"], vertices.expand(3, -1, -1), atol=1e-3)


def test_from_labels_to_scores(tmp_path, capsys):
    """Trained on drawn hands, then predicted with and scored; a mesh of another topology is named."""
    samples = meshed(drawn_samples(6))
    full = write_meshes(tmp_path / "full", samples)
    settings = ["backbone=resnet10t", "crop.size=64", "crop.patch=100", "augment.cover=0", "stages.0.batch=4"]
    words = ["train", "lite-mesh-small", *(word for setting in settings for word in ("--set", setting))]
    run = tmp_path / "run"
    assert main([*words, "--data", full, "--out", str(run), "--steps", "4", "--log-every", "1"]) == 0
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {*(f"loss/{name}" for name in MASKED), "uv_px", "vertex_uv_px", "vertex_depth_mm"} <= set(lines[0])
    model, out, scores = tmp_path / "hand.onnx", tmp_path / "hands", tmp_path / "scores.json"
    assert main(["export", str(run / "step-0000004"), "--out", str(model)]) == 0
    assert main(["predict", str(tmp_path / "full" / "0000.png"), "--out", str(out), "--model", str(model)]) == 0
    assert (out / "0000.json").exists()
    command = ["eval", str(model), "--protocol", "own", "--root", str(tmp_path / "full"), "--resamples", "0"]
    assert main([*command, "--crops", "truth", "--scale", "truth", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    assert found["joints_root"]["value"] > 0
    # The network's own mesh, vertex by vertex.
    assert found["vertices_root"]["value"] > 0
    # What the hand model makes of it, in three ways.
    scored = {}
    for hand in ("network", "fit", "ik", "refined"):
        assert main([*command, "--crops", "truth", "--hand", hand, "--json", str(scores)]) == 0
        scored[hand] = json.loads(scores.read_text())["scores"]["vertices_root"]["value"]
    assert len(set(scored.values())) == 4
    capsys.readouterr()
    assert main([*command, "--hand", "ik", "--ik", str(model)]) == 2
    assert "must be an inverse-kinematics network" in capsys.readouterr().err
    assert main([*command, "--ik", str(model)]) == 2
    assert "must come with --hand ik or --hand refined" in capsys.readouterr().err
    assert main([*command, "--shape", "truth"]) == 2
    assert "--shape truth must come with --crops truth" in capsys.readouterr().err
    (tmp_path / "files").mkdir()
    assert main(["eval", str(tmp_path / "files"), *command[2:], "--hand", "fit"]) == 2
    assert "--hand fit is for a model that is run" in capsys.readouterr().err

    known = [*command, "--crops", "truth", "--shape", "truth"]
    assert main([*known, "--hand", "ik"]) == 2
    assert "--shape truth must come with an --ik for known shapes" in capsys.readouterr().err
    assert main(known) == 2
    assert "--shape truth needs the 10 shape numbers of this hand model but 0000 has none" in capsys.readouterr().err
    source = read_source(PROTOCOLS["own"], tmp_path / "full")
    shapes = [np.zeros(10), np.r_[2.0, np.zeros(9)]]
    sizes = []
    for shape in shapes:
        labelled = replace(source, samples=lambda shape=shape: (replace(s, shape=shape) for s in source.samples()))
        answers = run_model(model, labelled, Run(crops="truth", shape="truth", hand="refined"))
        sizes.append(np.linalg.norm(answers.joints[:, 9] - answers.joints[:, 0], axis=-1))
    wanted = [np.linalg.norm(j[9] - j[0]) for j in (HandModel.open().joints(shape=shape) for shape in shapes)]
    np.testing.assert_allclose(np.transpose(sizes), np.tile(wanted, (len(sizes[0]), 1)), rtol=1e-6)

    other = [replace(samples[0], vertices_camera=samples[0].vertices_camera[:778])]
    wrong = write_meshes(tmp_path / "other", other)
    assert main([*words, "--data", wrong, "--out", str(tmp_path / "no")]) == 2
    assert "must have meshes of 1770 vertices" in capsys.readouterr().err


def test_the_losses_fall(tmp_path):
    """One batch is learned by heart."""
    batch = batch_of(tmp_path / "set", meshed(drawn_samples(4)))
    torch.manual_seed(0)
    system, network = LiteMesh(TINY), LiteMesh(TINY).network().train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(12):
        losses = system.losses(network(batch.image), batch, NOW)
        total = sum(losses[name].value * weight for name, weight in TINY.stages[0].losses.items())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(float(total.detach()))
    assert history[-1] < 0.7 * history[0]
    assert not math.isnan(history[-1])


def test_the_mesh_of_a_mano_file(tmp_path, rng):
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", mano_arrays(rng, left=False))
    settings = [f"mesh={tmp_path / 'MANO_RIGHT.pkl'}"]
    system = open_system("lite-mesh-small", settings=[*settings, "crop.vertices=778"])
    assert system.mesh.regressor.shape == (21, 778)
    assert system.network().eval()(torch.zeros(1, 3, 128, 128)).vertices.shape == (1, 778, 3)
    with pytest.raises(ValueError, match=r"crop\.vertices must be 778, those of .*MANO_RIGHT\.pkl, but is 1770"):
        _ = open_system("lite-mesh-small", settings=settings).mesh


def test_what_cannot_be_is_said_in_a_line(tmp_path):
    with pytest.raises(ValueError, match=r"crop\.vertices must be 1770, those of the free hand, but is 778"):
        _ = open_system("lite-mesh", settings=["crop.vertices=778"]).mesh
    with pytest.raises(ValueError, match="decoder must be one of original, A, B, C but got 'D'"):
        open_system("lite-mesh", settings=["decoder=D"])
    with pytest.raises(ValueError, match="depth_range must be above 0 metres"):
        LiteMeshConfig(depth_range=0.0)
    with pytest.raises(ValueError, match="labels must have vertices_camera"):
        replace(TINY, crop=replace(TINY.crop, labels=()))
    flat = [replace(sample, vertices_camera=None) for sample in drawn_samples(2)]
    with pytest.raises(ValueError, match="one set at least must have vertices_camera"):
        batch_of(tmp_path / "set", flat)
