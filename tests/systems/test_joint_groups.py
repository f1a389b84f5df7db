"""Li et al.'s system: what is trained when, which groups there are, and that what is exported is what was trained."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pictures import drawn_samples, write_truth
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.image.augment import AugmentConfig
from knuckle.networks.hourglass import HourglassOutput
from knuckle.networks.joint_groups import Grouped, JointGroupsOutput
from knuckle.predict.network import HandGraph
from knuckle.systems import open_system
from knuckle.systems.joint_groups import JointGroups, JointGroupsConfig, manual_groups, random_groups, small_config
from knuckle.systems.system import Moment
from knuckle.train.export import export_onnx, open_checkpoint
from knuckle.train.optimise import prepare_stage

SIZES = ["width=16", "depth=2", "planes=8", "crop.size=32", "crop.patch=50"]
TINY = replace(
    small_config(),
    width=16,
    depth=2,
    planes=8,
    crop=replace(small_config().crop, size=32, patch=50),
    augment=AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def moment(stage=1, progress=0.0, config=TINY):
    return Moment(0, progress, JointGroups(config).stages[stage], torch.Generator().manual_seed(0))


def batch_of(tmp_path, samples, config=TINY, suffix=""):
    """One crop of each sample."""
    spec = parse_spec(write_truth(tmp_path, samples) + suffix)
    source = JointGroups(config).source([DataSet(spec)], tmp_path / "records", lambda name, count: None)
    return source.collate([source.sample(i, np.random.default_rng(i)) for i in range(len(source))])


def perfect(batch, config=TINY, groups=3):
    """What a network gives that knows the labels."""
    joints, (start, end) = batch.joints_camera, config.bone
    scale = (joints[:, end] - joints[:, start]).norm(dim=-1)
    depth = (joints[..., 2] - joints[:, config.root, None, 2]) / scale[:, None]
    uv = (batch.joints_image + 0.5) / config.crop.size
    heat = torch.zeros(len(uv), 21, 8, 8)
    first = HourglassOutput(heat, heat, uv)
    return JointGroupsOutput(
        first,
        Grouped(
            uv, depth, heat[:, None].expand(-1, groups, -1, -1, -1), torch.eye(groups)[torch.tensor(manual_groups())]
        ),
    )


def test_the_truth_has_no_error_and_errors_are_in_pixels_and_millimetres(tmp_path):
    batch, system = batch_of(tmp_path / "set", drawn_samples(4)), JointGroups(TINY)
    output = perfect(batch)
    losses = system.losses(output, batch, moment())
    assert all(float(losses[name].value) < 1e-4 for name in ("hourglass_image", "image", "depth"))
    # A pixel of a crop of 256 each way, and a tenth of the bone.
    grouped = output.grouped._replace(uv=output.grouped.uv + 1 / 256, depth=output.grouped.depth + 0.1)
    output = output._replace(grouped=grouped)
    losses, errors = system.losses(output, batch, moment()), system.errors(output, batch)
    assert float(losses["image"].value) == pytest.approx(2.0, abs=1e-3)
    assert float(losses["depth"].value) == pytest.approx(0.1, abs=1e-4)
    assert float(errors["uv_px"].value) == pytest.approx(2**0.5, abs=1e-3)
    bone = (batch.joints_camera[:, 10] - batch.joints_camera[:, 9]).norm(dim=-1).mean()
    assert float(errors["depth_mm"].value) == pytest.approx(100 * float(bone), rel=1e-3)
    assert float(errors["selected"].value) == 1.0


def test_examples_teach_what_they_are_labelled_with(tmp_path):
    both = drawn_samples(3)
    gap = np.array(both[2].joints_image)
    gap[7] = np.nan
    flat = replace(both[2], joints_camera=None, camera=None, joints_image=gap)
    system, network = JointGroups(TINY), JointGroups(TINY).network().train()
    for name, samples, suffix, labelled in (("mixed", [*both[:2], flat], "", 2), ("weak", both[:2], ":2d", 0)):
        batch = batch_of(tmp_path / name, samples, replace(TINY), suffix) if labelled else None
        if batch is None:
            batch = replace(batch_of(tmp_path / name, samples), joints_camera=None)
        output = system.forward(network, batch, moment())
        losses = system.losses(output, batch, moment())
        missing = 1 if labelled else 0
        assert float(losses["image"].weight) == 21 * len(samples) - missing
        # The root's own depth is 0 whatever is predicted.
        assert float(losses["depth"].weight) == 20 * labelled
        network.zero_grad()
        sum(mean.value for mean in losses.values()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        assert float(system.errors(output, batch)["depth_mm"].weight) == 20 * labelled


def test_the_first_stage_is_the_hourglass_s_alone(tmp_path):
    batch, system = batch_of(tmp_path / "set", drawn_samples(2)), JointGroups(TINY)
    network, now = system.network(), moment(0)
    prepare_stage(network, now.stage, 1, torch.float32)
    assert {n.split(".")[0] for n, p in network.named_parameters() if p.requires_grad} == {"hourglass"}
    output = system.forward(network, batch, now)
    assert output.grouped is None
    assert set(system.losses(output, batch, now)) == {"hourglass_image", "hourglass_heat"}
    assert set(system.errors(output, batch)) == {"hourglass_uv_px"}


def test_what_the_paper_prints():
    system = JointGroups()
    first, second = system.stages
    assert (first.rates, first.batch, first.optimiser) == ({"hourglass.": 1e-3}, 64, "adam")
    assert (second.rates, second.batch) == ({"": 1e-4, "selector.": 1e-1, "fusion.": 1e-2}, 32)
    assert second.losses == {"image": 1.0, "depth": 20.0}
    # 5.0 at first, 0.1 less after every 1,000 steps, until it is about 0.
    for step, temperature in ((0, 5.0), (1000, 4.9), (25000, 2.5), (49000, 0.1), (50000, 0.1), (60000, 0.1)):
        assert system.temperature(step / second.steps) == pytest.approx(temperature)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ([], {"", "hourglass.", "selector.", "fusion."}),
        (["fuse=false"], {"", "hourglass.", "selector."}),
        (["groups=1"], {"", "hourglass.", "selector."}),
    ],
)
def test_every_variant_has_rates_for_what_it_has(settings, rates):
    system = open_system("joint-groups-small", settings=[*SIZES, *settings])
    assert set(system.stages[1].rates) == rates
    prepare_stage(system.network(), system.stages[1], 1, torch.float32)


@pytest.mark.parametrize("grouping", ["manual", "random"])
def test_groups_that_are_set_stay_as_they_are(tmp_path, grouping):
    system = open_system("joint-groups-small", settings=[*SIZES, f"grouping={grouping}", "grouping_seed=3"])
    network, stage = system.network(), system.stages[1]
    prepare_stage(network, stage, 1, torch.float32)
    assert not network.selector.logits.requires_grad
    assert not network.selector.training
    batch = batch_of(tmp_path / "set", drawn_samples(2))
    output = system.forward(network, batch, Moment(0, 0.0, stage, torch.Generator().manual_seed(1)))
    expected = manual_groups() if grouping == "manual" else random_groups(3, 3)
    assert output.grouped.selection.argmax(-1).tolist() == expected
    assert torch.equal(output.grouped.selection.sum(0), torch.bincount(torch.tensor(expected)).float())


def test_manual_and_random_groups():
    assert [manual_groups().count(g) for g in range(3)] == [4, 4, 13]
    assert manual_groups()[0] == 2
    assert random_groups(4, 0) != random_groups(4, 1)
    assert sorted(np.bincount(random_groups(4, 0))) == [5, 5, 5, 6]


def test_learned_groups_are_drawn_in_training_and_fixed_in_tests(tmp_path):
    batch, system = batch_of(tmp_path / "set", drawn_samples(2)), JointGroups(TINY)
    network = system.network().train()
    drawn = system.forward(network, batch, moment()).grouped.selection
    torch.testing.assert_close(drawn.sum(-1), torch.ones(21))
    assert 1 / 3 < float(drawn.detach().max()) < 1  # the temperature is high
    late = system.forward(network, batch, moment(progress=1.0)).grouped.selection
    assert float(late.detach().max(-1).values.mean()) > 0.9
    network.eval()
    assert torch.equal(system.forward(network, batch, moment()).grouped.selection, network.selector.most_probable())
    sampled = JointGroups(replace(TINY, test_selection="sampled"))
    one, other = (sampled.forward(network, batch, moment(progress=1.0)).grouped.selection for _ in range(2))
    assert torch.equal(one, other)  # of generators with one seed
    assert not torch.equal(one, network.selector.most_probable())


@pytest.mark.parametrize("test_selection", ["argmax", "sampled"])
def test_what_is_exported_gives_what_the_network_gives(tmp_path, test_selection):
    system = JointGroups(replace(TINY, test_selection=test_selection))
    torch.manual_seed(0)
    network = system.network().eval()
    torch.nn.init.normal_(network.selector.logits)
    for head in network.heads:
        torch.nn.init.normal_(head.heat[2].weight, std=0.5)
    graph = system.graphs(network)["hand"]
    assert (graph.contract.coordinates, graph.contract.bone, graph.contract.root) == ("2.5d", (9, 10), 9)
    export_onnx(graph, tmp_path / "s3.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    given = HandGraph(tmp_path / "s3.onnx", threads=1)(picture, [np.eye(2, 3)] * 3)["joints"]
    with torch.no_grad():
        image = torch.from_numpy(picture).permute(2, 0, 1)[None]
        mine = network(image, system.test_selection(network.selector)).grouped
    np.testing.assert_allclose(given[..., :2], (32 * mine.uv - 0.5).expand(3, 21, 2), atol=1e-3)
    depth = mine.depth[0].numpy() * (np.arange(21) != 9)
    np.testing.assert_allclose(given[..., 2], np.tile(depth, (3, 1)), atol=1e-3)
    # The joints of one branch and another are not the same, so that the selection counts.
    with torch.no_grad():
        other = network(image, network.selector.most_probable().roll(1, 1)).grouped
    assert float((other.uv - mine.uv).abs().max()) > 0.01


def test_the_losses_fall(tmp_path):
    """One batch is learned by heart, and the selector learns with the rest."""
    batch = batch_of(tmp_path / "set", drawn_samples(4))
    torch.manual_seed(0)
    system, network, generator = JointGroups(TINY), JointGroups(TINY).network().train(), torch.Generator()
    before = network.selector.logits.detach().clone()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    stage, history = system.stages[1], []
    for step in range(20):
        now = Moment(step, step / 20, stage, generator)
        losses = system.losses(system.forward(network, batch, now), batch, now)
        total = sum(losses[name].value * weight for name, weight in stage.losses.items())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(float(total.detach()))
    assert history[-1] < 0.8 * history[0]
    assert not torch.equal(network.selector.logits, before)


def test_from_labels_to_scores(tmp_path, capsys):
    """Two stages, a checkpoint to begin with, groups that are taken over, predictions and scores."""
    samples = drawn_samples(8)
    data = write_truth(tmp_path / "set", samples)
    words = ["train", "joint-groups-small", "--data", data, "--log-every", "1"]
    words += [word for setting in [*SIZES, "augment.cover=0"] for word in ("--set", setting)]
    assert main([*words, "--batch", "4", "--steps", "4", "--out", str(tmp_path / "run")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss/hourglass_heat", "hourglass_uv_px"} <= set(lines[0])
    assert {"loss/image", "loss/depth", "uv_px", "depth_mm", "selected"} <= set(lines[2])
    first = tmp_path / "run" / "step-0000004"

    # Another variant begins with its hourglass, in one stage, and with its groups.
    begin = ["--set", f"hourglass_from={first}", "--set", f"groups_from={first}"]
    given = [*words, *begin, "--batch", "4", "--steps", "2", "--out", str(tmp_path / "given")]
    assert main([*given, "--pretrained"]) == 0
    second = tmp_path / "given" / "step-0000002"
    (_, learned), (system, taken) = open_checkpoint(first), open_checkpoint(second)
    assert len(system.stages) == 1
    assert torch.equal(taken.selector.most_probable(), learned.selector.most_probable())
    capsys.readouterr()
    assert main([*given[:-1], str(tmp_path / "no")]) == 2
    assert "add --pretrained" in capsys.readouterr().err
    assert main([*words, "--pretrained", "--out", str(tmp_path / "no")]) == 2
    assert "pretrained must be off, or hourglass_from or groups_from name a checkpoint" in capsys.readouterr().err

    out, scores = tmp_path / "hands", tmp_path / "scores.json"
    assert main(["predict", str(tmp_path / "set" / "0000.png"), "--out", str(out), "--model", str(first)]) == 0
    assert (out / "0000.json").exists()
    command = ["eval", str(first), "--protocol", "own-li", "--root", str(tmp_path / "set"), "--resamples", "0"]
    found = []
    for more in ([], ["--depth", "truth"], ["--depth", "truth", "--ensemble", str(second)]):
        assert main([*command, "--crops", "truth", "--scale", "truth", *more, "--json", str(scores)]) == 0
        found.append(json.loads(scores.read_text())["scores"]["joints_camera"]["value"])
    assert len(set(found)) == 3
    assert found[1] < found[0]
    assert main([*command, "--crops", "truth", "--depth", "truth"]) == 2
    assert "--depth truth must come with --scale truth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grouping": "manual", "groups": 4}, "groups must be 3 for manual groups but got 4"),
        ({"temperature": (1.0, 0.0)}, "temperature must be two falling numbers above 0"),
        ({"fall": 0.0}, "fall must be a part of the stage"),
        ({"root": 21}, "root and bone must name joints 0 to 20"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(changes, said):
    with pytest.raises(ValueError, match=said):
        JointGroupsConfig(**changes)


def test_checkpoints_that_do_not_fit_are_named(tmp_path):
    def begun(*settings):
        open_system("joint-groups-small", settings=[*SIZES, *settings]).network(pretrained=True)

    with pytest.raises(ValueError, match="must be a checkpoint but is not"):
        begun(f"hourglass_from={tmp_path}")
    from safetensors.torch import save_file

    save_file(
        open_system("joint-groups-small", settings=SIZES).network().state_dict(), tmp_path / "weights.safetensors"
    )
    with pytest.raises(ValueError, match=r"groups_from must have 2 groups but .* has 3"):
        begun("groups=2", f"groups_from={tmp_path}")
    with pytest.raises(ValueError, match="hourglass_from must have an hourglass of this width and depth"):
        begun("width=24", f"hourglass_from={tmp_path}")
