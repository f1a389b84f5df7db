"""Two options of the shipped hand network: fusion between fingers, and the mask of the whole hand as a further task."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from hand_pictures import drawn_samples
from hand_shards import held_samples, write_shard
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.losses.masks import complete_mask, overlap
from knuckle.networks.hand import FingerFusion, HandNetwork
from knuckle.predict.network import HandGraph
from knuckle.sample import collate
from knuckle.skeleton import FINGER_JOINTS
from knuckle.systems.config import from_json, with_settings
from knuckle.systems.shipped import Shipped, ShippedConfig
from knuckle.systems.system import Moment
from knuckle.train.checkpoint import load, save
from knuckle.train.export import export_onnx
from knuckle.train.loop import TrainConfig, train

TINY = from_json(
    ShippedConfig(),
    {
        "stem": [8],
        "widths": [8, 16, 24],
        "blocks": [1, 1, 1],
        "width": 16,
        "layers": 1,
        "crop": {"size": 64, "patch": 100},
        "stages": [{"steps": 4, "batch": 8}],
    },
)
MASK, FUSE = "stages.0.losses.mask=1", "fuse=6"


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(*settings: str) -> Shipped:
    return Shipped(with_settings(TINY, list(settings)))


def network(system: Shipped) -> HandNetwork:
    torch.manual_seed(0)
    made = system.network()
    assert isinstance(made, HandNetwork)
    return made


def now(system: Shipped) -> Moment:
    return Moment(0, 0.0, system.stages[0], torch.Generator())


@pytest.fixture(scope="module")
def shard(tmp_path_factory) -> str:
    return write_shard(tmp_path_factory.mktemp("held") / "set", held_samples(8))


def source_of(system: Shipped, shard: str, folder):
    return system.source([DataSet(parse_spec(shard))], folder / "records", lambda name, count: None)


def batch_of(source):
    return source.collate([source.sample(i, np.random.default_rng(i)) for i in range(len(source))])


def test_off_is_the_network_without_them():
    """The same weights by the same names; a weight of 0 is the same as none."""
    plain, off, on = (network(tiny(*s)).state_dict() for s in ((), ("stages.0.losses.mask=0",), (MASK, FUSE)))
    assert plain.keys() == off.keys()
    assert {name.split(".")[0] for name in on.keys() - plain.keys()} == {"fusion", "mask"}
    for name, values in plain.items():
        assert torch.equal(values, off[name]), name
        assert torch.equal(values, on[name]), name
    with pytest.raises(ValueError, match="fuse must be a number of channels, 0 for none, but got -1"):
        tiny("fuse=-1")


def test_fusion_begins_without_effect_and_joins_the_fingers_then():
    torch.manual_seed(0)
    fusion, tokens = FingerFusion(16, 6), torch.randn(3, 21, 16)
    assert torch.equal(fusion(tokens), torch.zeros_like(tokens))
    eye = torch.eye(6)
    weight = fusion.mix[2].weight.detach().unflatten(1, (6, 6)).transpose(0, 1)
    torch.testing.assert_close(weight, torch.stack([(0.9 if own == 2 else 0.02) * eye for own in range(6)]))
    with torch.no_grad():
        for layer in fusion.change:
            layer.weight.normal_()
    little = list(FINGER_JOINTS["little"])
    moved = tokens.clone()
    moved[:, little] += torch.randn(3, 4, 16)
    apart = (fusion(moved) - fusion(tokens)).norm(dim=-1)
    assert (apart > 0).all()
    others = [joint for joint in range(21) if joint not in little]
    # With the shares of the start a finger hears the most of itself.
    assert apart[:, little].mean() > 5 * apart[:, others].mean()
    # What a joint gets is a row of its own: no joint has another's place.
    with torch.no_grad():
        for layer in fusion.change:
            layer.weight.zero_()
            layer.bias.copy_(torch.arange(len(layer.bias)) // 16)
    assert fusion(tokens)[0, :, 0].tolist() == [0.0] + 5 * [0.0, 1.0, 2.0, 3.0]


def test_a_checkpoint_without_them_begins_with_the_same_hands(shard, tmp_path, capsys):
    plain, both = tiny(), tiny(MASK, FUSE)
    before = network(plain)
    start = save(tmp_path / "plain", 1, {"system": "shipped"}, before.state_dict(), {})
    source = source_of(both, shard, tmp_path)
    config = TrainConfig("shipped", threads=1, log_every=2, save_every=2)
    straight = train(both, source, tmp_path / "straight", config, start_from=start)
    lines = capsys.readouterr().err
    assert "fusion begins anew" in lines
    assert "mask begins anew" in lines
    train(both, source, tmp_path / "paused", config, start_from=start, stop_after=3)
    resumed = train(both, source, tmp_path / "paused", config, start_from=start)
    ours, theirs = load(straight), load(resumed)
    for name, values in ours.weights.items():
        assert torch.equal(values, theirs.weights[name]), name
    # What was zero at first has been learned.
    assert all(values.abs().max() > 0 for name, values in ours.weights.items() if name.startswith("fusion.change"))
    log = [json.loads(line) for line in (tmp_path / "straight" / "log.jsonl").read_text().splitlines()]
    assert {"loss/mask", "mask_iou"} <= log[-1].keys()
    # And one with them is begun with where they are off.
    train(plain, source, tmp_path / "back", replace(config, save_every=9), start_from=straight)
    assert "fusion of the checkpoint is left out" in capsys.readouterr().err


def test_a_checkpoint_and_its_network_with_fusion_say_the_same_at_first(shard, tmp_path):
    batch = batch_of(source_of(tiny(), shard, tmp_path))
    plain, fused = network(tiny()).eval(), network(tiny(FUSE)).eval()
    with torch.no_grad():
        for name in ("joints", "log_scale", "side"):
            outputs = [getattr(system(batch.image.permute(0, 2, 3, 1)), name) for system in (plain, fused)]
            assert torch.equal(*outputs), name


def test_the_mask_that_is_right_costs_nothing_and_an_unknown_one_does_not_count(shard, tmp_path):
    system = tiny(MASK)
    batch = batch_of(source_of(system, shard, tmp_path))
    output = system.forward(network(system).eval(), batch, now(system))
    cells = batch.mask_complete.float().view(8, 8, 8, 8, 8).mean((2, 4))
    # The logit of a cell's share has the least cross entropy; whole and empty cells then cost nothing.
    right = output._replace(mask=torch.logit(cells, 1e-6))
    least = -(cells * cells.clamp(min=1e-9).log() + (1 - cells) * (1 - cells).clamp(min=1e-9).log()).mean()
    found = system.losses(right, batch, now(system))["mask"]
    assert found.value.item() == pytest.approx(least.item(), abs=1e-4)
    assert found.weight == 8
    assert system.errors(right, batch)["mask_iou"].value == 1.0
    wrong = system.losses(right._replace(mask=-right.mask), batch, now(system))["mask"]
    assert wrong.value > 5 * found.value

    unknown = replace(batch, mask_complete=None, present=batch.present | {"mask_complete": torch.zeros(8).bool()})
    assert system.losses(right, unknown, now(system))["mask"] == (0.0, 0.0)
    assert "mask" not in system.losses(output._replace(mask=None), batch, now(system))


def test_what_is_seen_of_a_bare_hand_is_all_of_it():
    held = held_samples(3)
    hands = [
        held[0],
        replace(held[1], mask_complete=None),
        replace(held[2], mask_complete=None, object_mask=None),
        drawn_samples(1, size=128)[0],
    ]
    whole, known = complete_mask(collate(hands))
    assert known.tolist() == [True, False, True, False]
    assert torch.equal(whole[0] > 0.5, torch.from_numpy(held[0].mask_complete))
    assert torch.equal(whole[2] > 0.5, torch.from_numpy(held[2].mask_visible))
    assert not whole[[1, 3]].any()
    assert overlap(whole > 0.5, whole > 0.5, known) == (2.0, 2.0)


def test_masks_are_learned_of_a_few_hands(shard, tmp_path):
    """They cost less soon than the share of all cells that is hand, given for each."""
    alone = ('stages.0.losses={"mask":1}', 'stages.0.rates={"":0.02}', "stages.0.optimiser=adamw")
    system = tiny(*alone, "stages.0.steps=40")
    source = source_of(system, shard, tmp_path)
    seen: list[dict] = []
    train(system, source, tmp_path / "run", TrainConfig("shipped", threads=1, log_every=10), report=seen.append)
    share = batch_of(source).mask_complete.float().mean()
    constant = -(share * share.log() + (1 - share) * (1 - share).log()).item()
    assert seen[-1]["loss/mask"] < 0.75 * constant


def test_the_mask_is_not_exported_and_the_default_file_is_as_it_was(tmp_path):
    files = []
    for system in (tiny(), tiny(MASK)):
        (graph,) = system.graphs(network(system).eval()).values()
        export_onnx(graph, tmp_path / "hand.onnx")
        files.append(onnx.load(tmp_path / "hand.onnx"))
    plain, masked = files
    assert [node.op_type for node in plain.graph.node] == [node.op_type for node in masked.graph.node]
    assert sorted(t.SerializeToString() for t in plain.graph.initializer) == sorted(
        t.SerializeToString() for t in masked.graph.initializer
    )
    assert plain.metadata_props == masked.metadata_props


def test_fusion_is_exported_and_equals_torch(tmp_path):
    system = tiny(FUSE)
    trained = network(system).eval()
    assert trained.fusion is not None
    with torch.no_grad():
        for values in trained.fusion.parameters():
            values.add_(0.1 * torch.randn_like(values))
    (graph,) = system.graphs(trained).values()
    export_onnx(graph, tmp_path / "hand.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    given = HandGraph(tmp_path / "hand.onnx", threads=1)(picture, [np.eye(2, 3)])
    with torch.no_grad():
        expected = dict(zip(graph.contract.outputs, graph.module(torch.from_numpy(picture)[None]), strict=True))
        plain = tiny().graphs(network(tiny()).eval())["hand"].module
        without = plain(torch.from_numpy(picture)[None])[0]
    np.testing.assert_allclose(given["joints"], expected["joints"], atol=1e-3)
    # Fifty times what the two may differ by.
    assert (expected["joints"] - without).abs().max() > 0.05
