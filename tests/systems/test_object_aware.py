"""The object-aware system: what each stage learns and sees, balanced batches, and from labels to scores."""

import importlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hand_pictures import drawn_samples, write_truth
from hand_shards import CATEGORIES, held_samples, write_shard
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.image.augment import AugmentConfig
from knuckle.losses.masks import overlap
from knuckle.predict.network import HandGraph
from knuckle.systems import open_system
from knuckle.systems.balanced import BalancedCrops
from knuckle.systems.object_aware import ObjectAware, ObjectAwareOutput
from knuckle.systems.object_aware_config import parts_of, small_config
from knuckle.systems.system import Moment
from knuckle.train.export import export_onnx
from knuckle.train.loop import TrainConfig, train
from knuckle.train.order import Order

SMALL = small_config()
TINY = replace(
    SMALL,
    factor=0.0625,
    mask_latent=16,
    pose_latent=16,
    clusters=3,
    crop=replace(SMALL.crop, size=64, patch=100),
    augment=AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    stages=tuple(replace(stage, steps=2, batch=8) for stage in SMALL.stages),
)
MASKS, MAPS, LIFT, TOGETHER = TINY.stages


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def source_of(folder, samples, config=TINY):
    data = DataSet(parse_spec(write_shard(folder / "set", samples)))
    return ObjectAware(config).source([data], folder / "records", lambda name, count: None)


def batch_of(source, rows=None):
    rows = range(len(source)) if rows is None else rows
    return source.collate([source.sample(int(i), np.random.default_rng(int(i))) for i in rows])


def at(stage) -> Moment:
    return Moment(0, 0.0, stage, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return batch_of(source_of(tmp_path_factory.mktemp("held"), held_samples(8)))


def test_each_stage_computes_what_it_weighs_and_learns_from_it(batch):
    system = ObjectAware(TINY)
    network = system.network().train()
    expected = {
        "masks": (("masks",), {"mask_iou", "hidden_iou"}),
        "heatmaps": (("joints",), {"uv_px"}),
        "lifting": (("lift",), {"pose_mm", "category"}),
        "together": (("masks", "joints", "lift"), {"mask_iou", "hidden_iou", "uv_px", "pose_mm", "category"}),
    }
    for stage in TINY.stages:
        parts, errors = expected[stage.name]
        assert parts_of(stage) == parts
        output = system.forward(network, batch, at(stage))
        losses = system.losses(output, batch, at(stage))
        assert set(losses) == set(stage.losses)
        assert set(system.errors(output, batch)) == errors
        network.zero_grad()
        sum(losses[name].value * weight for name, weight in stage.losses.items()).backward()
        learned = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
        assert learned == set(parts)
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        assert all(mean.total.isfinite() and mean.weight > 0 for name, mean in losses.items() if name != "reseed")


def test_the_truth_has_no_error(batch):
    system = ObjectAware(TINY)
    network = system.network().eval()
    output = system.forward(network, batch, at(LIFT))
    labels = system._pose_labels(output.pose, batch)
    assert labels.known.all()
    perfect = output._replace(
        pose=output.pose._replace(canonical=labels.canonical, rotation=labels.rotation), relative=labels.relative
    )
    losses = system.losses(perfect, batch, at(LIFT))
    assert losses["canonical"].value.item() == 0
    assert losses["viewpoint"].value.item() == 0
    assert system.errors(perfect, batch)["pose_mm"].value.item() == 0
    # Crops of left hands are mirrored: all canonical poses are of one kind, with the bone's length as unit.
    assert not batch.left.any()
    bone = (labels.canonical[:, 10] - labels.canonical[:, 9]).norm(dim=-1)
    torch.testing.assert_close(bone, torch.ones(8))

    logits = 40.0 * batch.mask_complete.float() - 20.0
    masks = system.forward(network, batch, at(MASKS)).masks._replace(complete=logits)
    found = system.errors(ObjectAwareOutput(masks, None, (), None, None, None, None, None), batch)
    assert found["mask_iou"].value.item() == 1
    assert found["hidden_iou"].value.item() == 1
    assert overlap(torch.zeros_like(logits) > 0, batch.mask_complete, torch.ones(8, dtype=torch.bool)).value.item() == 0


def test_hidden_joints_have_empty_true_maps(batch):
    network = ObjectAware(TINY).network().eval()
    hidden = ~batch.visibility
    assert 0 < hidden.sum() < hidden.numel()
    for config, empty in ((TINY, True), (replace(TINY, hidden=False), False)):
        maps = ObjectAware(config)._true_maps(network, batch, at(LIFT))
        assert (maps.amax((2, 3))[hidden] == 0).all() == empty
        assert (maps.amax((2, 3))[~hidden] > 0.5).all()
    one, other = (ObjectAware(TINY)._true_maps(network.train(), batch, at(LIFT)) for _ in range(2))
    assert torch.equal(one, other), "noise is from the generator alone"
    assert not torch.equal(one, ObjectAware(TINY)._true_maps(network.eval(), batch, at(LIFT)))


def test_without_variation_there_is_no_noise_and_no_divergence(batch):
    still = replace(TINY, variational=False, pixel_noise=0.0, square_noise=0.0)
    system = ObjectAware(still)
    network = system.network().train()
    output = system.forward(network, batch, at(MASKS))
    assert system.losses(output, batch, at(MASKS))["kl_mask"].weight.item() == 0
    again = system.forward(network, batch, Moment(0, 0.0, MASKS, torch.Generator().manual_seed(5)))
    assert torch.equal(output.masks.complete, again.masks.complete)
    drawn = ObjectAware(TINY).forward(network, batch, at(MASKS))
    assert not torch.equal(drawn.masks.complete, again.masks.complete)


def test_batches_have_as_many_of_each_category(tmp_path):
    samples = [s for s in held_samples(48) if s.object_category != "bar"]
    few = [s for s in samples if s.object_category == "sphere"][:4]
    none = [replace(s, object_category=None) for s in held_samples(6, seed=1)]
    unknown = [replace(s, object_category="teapot") for s in held_samples(2, seed=2)]
    samples = [s for s in samples if s.object_category != "sphere"] + few + none + unknown
    source = source_of(tmp_path, samples)
    assert isinstance(source, BalancedCrops)
    name = str(tmp_path / "set")
    assert [part.name for part in source.parts] == [name, f"{name}/cube", f"{name}/cylinder", f"{name}/sphere"]
    assert [part.count for part in source.parts] == [8, 12, 12, 4]
    assert len(source) == len(samples)
    order = Order(source, 0)
    drawn = Counter()
    for step in range(6):
        batch = batch_of(source, order.indices(TOGETHER, 0, step))
        drawn += Counter(batch.object_category)
    assert drawn["cube"] == drawn["cylinder"] == drawn["sphere"] == drawn[None] + drawn["teapot"] == 12
    assert [source.group(i) for i in range(3)] != [source.group(i) for i in range(9, 12)]


def test_bare_hands_without_categories_teach_masks_and_poses(tmp_path):
    spec = parse_spec(write_truth(tmp_path / "bare", drawn_samples(4)))
    system = ObjectAware(TINY)
    source = system.source([DataSet(spec)], tmp_path / "records", lambda name, count: None)
    batch = batch_of(source)
    network = system.network().train()
    output = system.forward(network, batch, at(TOGETHER))
    losses = system.losses(output, batch, at(TOGETHER))
    assert losses["mask"].weight.item() == losses["triplet"].weight.item() == 0
    assert losses["canonical"].weight.item() == losses["cluster"].weight.item() == 4
    # What is visible of a bare hand is all of it; of a held thing's it is not.
    seen = torch.ones(4, 64, 64, dtype=torch.bool)
    present = dict(batch.present) | {"mask_visible": torch.ones(4, dtype=torch.bool)}
    bare = replace(batch, mask_visible=seen, present=present)
    assert system.losses(output, bare, at(TOGETHER))["mask"].weight.item() == 4
    held = replace(bare, present=present | {"object_mask": torch.ones(4, dtype=torch.bool)})
    assert system.losses(output, held, at(TOGETHER))["mask"].weight.item() == 0


def test_the_losses_fall(batch):
    """One batch is learned by heart, all parts together."""
    system = ObjectAware(replace(TINY, pixel_noise=0.0, square_noise=0.0))
    network = system.network().train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(12):
        now = at(TOGETHER)
        losses = system.losses(system.forward(network, batch, now), batch, now)
        optimiser.zero_grad()
        sum(losses[name].value * weight for name, weight in TOGETHER.losses.items()).backward()
        optimiser.step()
        history.append([losses[name].value.item() for name in ("mask", "maps", "canonical", "viewpoint")])
    first, last = np.array(history[0]), np.array(history[-1])
    assert (last < 0.9 * first).all(), (first, last)


def test_a_run_that_was_stopped_goes_on_exactly(tmp_path):
    """Through all four stages, with dropout, drawn codes and counted categories."""
    source = source_of(tmp_path, held_samples(8))
    system = ObjectAware(replace(TINY, stages=tuple(replace(s, batch=4) for s in TINY.stages)))
    config = TrainConfig(name="object-aware-small", threads=1, save_every=100, log_every=100)
    whole = train(system, source, tmp_path / "whole", config)
    train(system, source, tmp_path / "parts", config, stop_after=5)
    parts = train(system, source, tmp_path / "parts", config)
    for name in ("weights.safetensors", "state.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name


@pytest.mark.parametrize(("only", "hands"), [("", "right"), ("masks,heatmaps", "either"), ("lifting", "either")])
def test_the_exported_graph_equals_torch(tmp_path, only, hands):
    system = ObjectAware(replace(TINY, only=only, crop=replace(TINY.crop, hands=hands)))
    network = system.network().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    (graph,) = system.graphs(network).values()
    export_onnx(graph, tmp_path / "hand.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture[20:40, 30:44] = 250
    K = np.tile([[70.0, 0.0, 32.0], [0.0, 70.0, 32.0], [0.0, 0.0, 1.0]], (3, 1, 1))
    uv = np.random.default_rng(1).uniform(10, 50, (3, 21, 2))
    uv[1, 4] = np.nan
    given = {"K": K, "joints_image": uv, "side": np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])}
    asked = {name: values for name, values in given.items() if name in graph.contract.inputs}
    assert ("side" in asked) == (hands == "either" and only != "masks,heatmaps")
    found = HandGraph(tmp_path / "hand.onnx", threads=1)(picture, [np.eye(2, 3)] * 3, **asked)
    tensors = [torch.from_numpy(np.tile(picture, (3, 1, 1, 1)))]
    tensors += [torch.from_numpy(asked[name]).float() for name in graph.contract.inputs if name != "image"]
    with torch.no_grad():
        expected = graph.module(*tensors)
    for name, values in zip(graph.contract.outputs, expected, strict=True):
        np.testing.assert_allclose(found[name], values, atol=2e-3, err_msg=name)


def test_from_labels_to_scores(tmp_path, monkeypatch):
    """Trained on shards with categories, in stages; predicted with, masks saved; scored on masks and categories."""
    samples = held_samples(8)
    data = write_shard(tmp_path / "set", samples)
    words = ["factor=0.0625", "mask_latent=16", "pose_latent=16", "crop.size=64", "crop.patch=100", "augment.cover=0"]
    settings = [word for setting in words for word in ("--set", setting)]
    command = ["train", "object-aware-small", "--data", data, *settings, "--batch", "8", "--log-every", "1"]
    run, out, scores = tmp_path / "run", tmp_path / "hands", tmp_path / "scores.json"
    assert main([*command, "--out", str(run), "--steps", "4"]) == 0
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"loss/mask", "mask_iou"} <= set(lines[0])
    assert {"loss/triplet", "loss/cluster", "pose_mm", "category"} <= set(lines[3])
    model = tmp_path / "hand.onnx"
    (checkpoint,) = run.glob("step-*")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    drawn = importlib.import_module("draw_object_aware").main
    assert drawn(["codes", str(checkpoint), str(checkpoint), "--data", data, "--out", str(tmp_path / "a.png")]) == 0
    line = ["line", str(checkpoint), "--data", data, "--ends", "0,3", "--count", "3", "--out", str(tmp_path / "b.png")]
    assert drawn(line) == 0
    assert cv2.imread(str(tmp_path / "b.png")).shape == (256, 768, 3)
    assert main(["export", str(checkpoint), "--out", str(model)]) == 0
    picture = tmp_path / "hand.png"
    cv2.imwrite(str(picture), np.asarray(samples[0].image)[..., ::-1])
    assert main(["predict", str(picture), "--out", str(out), "--model", str(model), "--save", "json,mask"]) == 0
    hands = json.loads((out / "hand.json").read_text())["hands"]
    assert len(list(out.glob("hand.hand-*.png"))) == 2 * len(hands)
    assert all(hand["object"]["category"] in CATEGORIES for hand in hands)

    tested = ["--protocol", "own-hop", "--root", data, "--resamples", "0", "--crops", "truth", "--scale", "truth"]
    assert main(["eval", str(model), *tested, "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    assert {"joints_root_scale", "image_auc_0_20_px", "image_auc_0_20_px_cube"} <= set(found)
    assert {"mask_visible_iou", "mask_complete_iou", "mask_hidden_iou", "category_right"} <= set(found)
    # The lift alone is told the joints that are visible, and depends on them.
    alone = tmp_path / "lift"
    assert main([*command, "--out", str(alone), "--steps", "2", "--set", "only=lifting"]) == 0
    (checkpoint,) = alone.glob("step-*")
    assert main(["eval", str(checkpoint), *tested, "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    assert "mask_complete_iou" not in found
    assert found["joints_root_scale"]["value"] > 0


def test_what_cannot_be_is_said_in_a_line():
    with pytest.raises(ValueError, match=r"only must name stages of masks, heatmaps, lifting, together but got legs"):
        open_system("object-aware", settings=["only=legs"])
    with pytest.raises(ValueError, match="bypass must be off where there is no code"):
        open_system("object-aware", settings=["bypass=true", "pose_latent=0"])
    with pytest.raises(ValueError, match=r"crop\.labels must have object_category to balance"):
        open_system("object-aware", settings=["crop.labels=[]"])
    with pytest.raises(ValueError, match="pretrained must be off for this system"):
        open_system("object-aware-small").network(pretrained=True)
