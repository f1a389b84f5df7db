"""Spurr et al.'s system: what it lifts is exact, what weak examples teach is what they are labelled with, and nothing
that a network can give makes it infinite."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pictures import drawn_samples, write_truth
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.handmodel import human_limits
from knuckle.image.augment import AugmentConfig
from knuckle.losses.biomechanics import biomechanical_losses
from knuckle.networks.lift import LiftNetwork, LiftOutput
from knuckle.predict.network import HandGraph
from knuckle.systems import open_system
from knuckle.systems.biomechanical import Biomechanical, BiomechanicalConfig, small_config
from knuckle.systems.system import Moment, Stage
from knuckle.train.export import export_onnx

TINY = replace(
    small_config(),
    crop=replace(small_config().crop, size=64, patch=100),
    augment=AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


NOW = Moment(0, 0.0, Stage(), torch.Generator())


def batch_of(tmp_path, samples, config=TINY, suffix=""):
    """One crop of each sample."""
    spec = parse_spec(write_truth(tmp_path, samples) + suffix)
    source = Biomechanical(config).source([DataSet(spec)], tmp_path / "records", lambda name, count: None)
    return source.collate([source.sample(i, np.random.default_rng(i)) for i in range(len(source))])


@torch.no_grad()
def perfect(batch, config=TINY) -> LiftOutput:
    """What a network gives that knows the labels: they are lifted as its own numbers would be."""
    joints = batch.joints_camera.double()
    scale = (joints[:, config.bone[1]] - joints[:, config.bone[0]]).norm(dim=-1)
    depth = (joints[..., 2] - joints[:, config.root, None, 2]) / scale[:, None]
    uv = (batch.joints_image.double() + 0.5) / config.crop.size
    network = LiftNetwork("resnet10t", size=config.crop.size, bone=config.bone, root=config.root).double().eval()
    return network.lift(uv, depth, batch.camera.K.double())


@pytest.mark.parametrize(("bone", "root"), [((0, 9), 0), ((9, 10), 9)])
def test_true_pixels_and_depths_are_lifted_to_the_true_joints(tmp_path, bone, root):
    config = replace(TINY, bone=bone, root=root)
    batch = batch_of(tmp_path / "set", drawn_samples(4))  # every other one a left hand, mirrored
    assert not batch.left.any()
    output = perfect(batch, config)
    scale = (batch.joints_camera[:, bone[1]] - batch.joints_camera[:, bone[0]]).norm(dim=-1)
    true = batch.joints_camera.double() / scale.double()[:, None, None]
    # Labels are held in float32.
    torch.testing.assert_close(output.joints, true, atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(output.root, true[:, root, 2], atol=2e-4, rtol=2e-4)
    assert not output.relative_depth[:, root].any()


def test_the_untrained_correction_changes_nothing_and_the_root_is_at_its_own_depth(tmp_path):
    batch = batch_of(tmp_path / "set", drawn_samples(3))
    for network in (Biomechanical(TINY).network(), Biomechanical(replace(TINY, refine=False)).network()):
        for mode in (network.train(), network.eval()):
            output = mode(batch.image, batch.camera.K)
            assert torch.equal(output.root, output.closed_root)
            assert not output.relative_depth[:, 0].any()
            assert output.joints.shape == (3, 21, 3)
    assert any("refinement" in name for name in Biomechanical(TINY).network().state_dict())
    assert not any("refinement" in name for name in network.state_dict())


def test_the_paper_s_network_learns_by_the_same_losses_without_heatmaps(tmp_path):
    system = Biomechanical(replace(TINY, backbone="resnet10t"))
    batch = batch_of(tmp_path / "set", drawn_samples(2))
    network = system.network().train()
    losses = system.losses(network(batch.image, batch.camera.K), batch, NOW)
    assert set(losses) == {"image", "relative_depth", "root_depth", "bones", "palm", "angles"}
    sum(mean.value for mean in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.regressor.parameters())


def test_a_thread_s_part_of_a_batch_may_be_one_example(tmp_path):
    batch = batch_of(tmp_path / "set", drawn_samples(1))
    output = Biomechanical(TINY).network().train()(batch.image, batch.camera.K)
    assert output.joints.isfinite().all()


def test_examples_teach_what_they_are_labelled_with(tmp_path):
    both = drawn_samples(4)
    gap = np.array(both[3].joints_image)
    gap[7] = np.nan
    flat = [replace(both[2], joints_camera=None, camera=None), replace(both[3], joints_camera=None, joints_image=gap)]
    system, network = Biomechanical(TINY), Biomechanical(TINY).network().train()
    for name, samples, labelled in (("mixed", [*both[:2], *flat], 2), ("weak", flat, 0)):
        batch = batch_of(tmp_path / name, samples)
        output = network(batch.image, batch.camera.K)
        losses = system.losses(output, batch, NOW)
        weights = {key: float(mean.weight) for key, mean in losses.items()}
        hands = len(samples)
        assert weights == {
            "image": 21 * hands - 1,
            "relative_depth": 20 * labelled,  # the root's own is 0 whatever is predicted
            "root_depth": labelled,
            "bones": hands,
            "palm": hands,
            "angles": hands,
            "heat": 21 * hands - 1,
        }
        sum(mean.value for mean in losses.values()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        errors = system.errors(output, batch)
        assert set(errors) == {"uv_px", "depth_mm", "root_mm", "beyond_limits"}
        assert float(errors["depth_mm"].weight) == 20 * labelled
        assert all(mean.total.isfinite() for mean in errors.values())


def test_the_truth_has_no_error_and_a_left_hand_is_a_hand_like_any_other(tmp_path):
    system = Biomechanical(TINY)
    right = drawn_samples(1)
    # The same hand in a mirror: the camera is symmetric.
    mirror = np.array([-1.0, 1.0, 1.0])
    left = replace(
        right[0],
        side="left",
        image=np.ascontiguousarray(right[0].image[:, ::-1]),
        joints_camera=right[0].joints_camera * mirror,
        joints_image=np.array([127.0, 0.0]) + right[0].joints_image * mirror[:2],
    )
    found = []
    for name, sample in (("right", right[0]), ("left", left)):
        batch = batch_of(tmp_path / name, [sample])
        output = perfect(batch)
        losses = system.losses(output, batch, NOW)
        assert all(float(losses[key].value) < 1e-3 for key in ("image", "relative_depth", "root_depth"))
        found.append([float(losses[key].value) for key in ("bones", "palm", "angles")])
        # Taken for the other side its fingers would bend backwards.
        wrong = biomechanical_losses(output.joints, human_limits(), "left")
        assert float(wrong.palm + wrong.angles) > 0.2
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert max(found[0]) < 0.02


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("root_gradient", [False, True])
def test_garbage_has_finite_losses_and_gradients(tmp_path, scale, root_gradient):
    batch = batch_of(tmp_path / "set", drawn_samples(6))
    config = replace(TINY, root_gradient=root_gradient)
    system, network = Biomechanical(config), Biomechanical(config).network()
    uv = (scale * torch.randn(6, 21, 2, generator=torch.Generator().manual_seed(1))).requires_grad_()
    depth = (scale * torch.randn(6, 21, generator=torch.Generator().manual_seed(2))).requires_grad_()
    with torch.no_grad():
        uv[0], depth[0] = 0.5, 0.0  # all joints in one point
        uv[1, 9] = uv[1, 0]  # the reference bone along its ray
    output = network.lift(uv, depth, batch.camera.K)
    losses = system.losses(output, batch, NOW)
    sum(mean.value for mean in losses.values()).backward()
    assert all(mean.total.isfinite() for mean in losses.values())
    assert uv.grad.isfinite().all()
    assert depth.grad.isfinite().all()


def test_the_limits_pull_flat_hands_into_space(tmp_path):
    """Without a label in space: gradients reach the depths through the lift, and the hands become possible ones."""
    batch = batch_of(tmp_path / "set", drawn_samples(6), suffix=":2d")
    assert batch.joints_camera is None
    assert batch.camera is not None
    system, network = Biomechanical(TINY), Biomechanical(TINY).network().eval()
    uv = (batch.joints_image + 0.5) / TINY.crop.size
    depth = (0.5 * torch.randn(6, 21, generator=torch.Generator().manual_seed(0)) * network.behind).requires_grad_()
    optimiser = torch.optim.Adam([depth], 0.02)
    history = []
    for _ in range(100):
        losses = system.losses(network.lift(uv, depth * network.behind, batch.camera.K), batch, NOW)
        assert float(losses["image"].total) == 0.0
        total = losses["bones"].value + 0.1 * losses["palm"].value + 0.1 * losses["angles"].value
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(float(total.detach()))
    assert history[-1] < 0.25 * history[0]


@pytest.mark.parametrize("constrain", ["depths", "joints"])
def test_what_the_limits_may_change(tmp_path, constrain):
    """Their values are the same, and either depths alone answer to them, or the picture and the correction too."""
    batch = batch_of(tmp_path / "set", drawn_samples(6), suffix=":2d")
    system, network = Biomechanical(replace(TINY, constrain=constrain)), Biomechanical(TINY).network().eval()
    uv = ((batch.joints_image + 0.5) / TINY.crop.size).requires_grad_()
    depth = (0.3 * torch.randn(6, 21, generator=torch.Generator().manual_seed(0)) * network.behind).requires_grad_()
    output = network.lift(uv, depth, batch.camera.K)
    losses = system.losses(output, batch, NOW)
    expected = biomechanical_losses(output.joints, system.limits)
    assert float(losses["bones"].value.detach()) == pytest.approx(float(expected.bones.mean().detach()), rel=1e-5)
    losses["bones"].value.backward()
    assert depth.grad.abs().max() > 0
    for answer in (uv.grad, network.refinement.last.bias.grad):
        assert (answer is not None and bool(answer.abs().max() > 0)) == (constrain == "joints")


def test_independent_limits_are_looser(tmp_path):
    batch = batch_of(tmp_path / "set", drawn_samples(4))
    with torch.no_grad():
        output = Biomechanical(TINY).network().eval()(batch.image, batch.camera.K)
    angles = [
        float(Biomechanical(replace(TINY, angle_region=region)).losses(output, batch, NOW)["angles"].value)
        for region in ("box", "hull")
    ]
    assert 0 < angles[0] < angles[1]


def test_what_is_exported_gives_what_the_network_gives(tmp_path):
    system = Biomechanical(TINY)
    torch.manual_seed(0)
    network = system.network().eval()
    torch.nn.init.normal_(network.refinement.last.weight, std=0.1)
    graph = system.graphs(network)["hand"]
    assert (graph.contract.coordinates, graph.contract.bone, graph.contract.root) == ("normalised", (0, 9), 0)
    export_onnx(graph, tmp_path / "s1.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    K = np.array([[90.0, 2.0, 40.0], [0.0, 95.0, 20.0], [0.0, 0.0, 1.0]])
    given = HandGraph(tmp_path / "s1.onnx", threads=1)(picture, [np.eye(2, 3)] * 3, K=np.stack([K] * 3))["joints"]
    with torch.no_grad():
        (mine,) = graph.module(torch.from_numpy(picture)[None], torch.from_numpy(K).float()[None])
    np.testing.assert_allclose(given, mine.expand(3, 21, 3), atol=1e-3)


def test_from_labels_to_scores(tmp_path, capsys):
    """Trained on examples with and without labels in space, then predicted with and scored, with the true scale."""
    samples = drawn_samples(12)
    full = write_truth(tmp_path / "full", samples[:6])
    weak = [replace(s, joints_camera=None, camera=None) for s in samples[6:]]
    settings = ["crop.size=64", "crop.patch=100", "augment.cover=0", "stages.0.batch=4"]
    words = ["train", "biomechanical-small", "--data", full, "--data", write_truth(tmp_path / "weak", weak)]
    words += [word for setting in settings for word in ("--set", setting)]
    assert main([*words, "--out", str(tmp_path / "run"), "--steps", "4", "--log-every", "1"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss/image", "loss/relative_depth", "loss/bones", "uv_px", "beyond_limits"} <= set(lines[0])
    checkpoint = tmp_path / "run" / "step-0000004"
    out = tmp_path / "hands"
    assert main(["predict", str(tmp_path / "full" / "0000.png"), "--out", str(out), "--model", str(checkpoint)]) == 0
    assert (out / "0000.json").exists()
    scores = tmp_path / "scores.json"
    command = ["eval", str(checkpoint), "--protocol", "own", "--root", str(tmp_path / "full"), "--resamples", "0"]
    assert main([*command, "--crops", "truth", "--scale", "truth", "--json", str(scores)]) == 0
    assert json.loads(scores.read_text())["scores"]["joints_camera"]["value"] > 0
    assert main([*words, "--out", str(tmp_path / "other"), "--set", "bone=[9,10]"]) == 2
    assert "must be in lengths of the bone (9, 10) but are in lengths of (0, 9)" in capsys.readouterr().err


def test_what_cannot_be_is_said_in_a_line(tmp_path):
    with pytest.raises(
        ValueError, match=r"backbone must be knuckle or one of timm's, such as .*resnet50.*, but got 'resnet5'"
    ):
        open_system("biomechanical", settings=["backbone=resnet5"]).network()
    with pytest.raises(ValueError, match="must have pretrained weights but resnet50t has none"):
        LiftNetwork("resnet50t", pretrained=True)
    with pytest.raises(ValueError, match="root and bone must name joints 0 to 20"):
        BiomechanicalConfig(root=21)
    with pytest.raises(ValueError, match="root_range must be two increasing depths"):
        BiomechanicalConfig(root_range=(3.0, 3.0))
    other = replace(human_limits(), bone=(9, 10))
    other.save(tmp_path / "limits.npz")
    with pytest.raises(ValueError, match=r"limits.npz must be in lengths of the bone \(0, 9\) but are in .* \(9, 10\)"):
        _ = Biomechanical(replace(TINY, limits=str(tmp_path / "limits.npz"))).limits
    assert Biomechanical(replace(TINY, limits=str(tmp_path / "limits.npz"), bone=(9, 10))).limits.bone == (9, 10)
