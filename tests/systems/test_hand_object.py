"""The hand-object system: what it is taught it exports, what has no box does not count, and it runs end to end."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny_sets
from hand_pictures import held_samples, write_truth
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.image.augment import AugmentConfig
from knuckle.networks.graph import JOINTS, POINTS
from knuckle.networks.hand_object import HandObjectOutput
from knuckle.predict.network import HandGraph
from knuckle.systems import open_system
from knuckle.systems.hand_object import HandObject, HandObjectConfig, SmallHandObject, small_config
from knuckle.systems.system import Moment, Stage
from knuckle.train.export import export_onnx

PLAIN = AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
TINY = replace(small_config(), crop=replace(small_config().crop, size=64, patch=100), augment=PLAIN)
SETTINGS = ["crop.size=64", "crop.patch=100", "augment.cover=0"]
EXACT = ("image_initial", "image", "space_initial", "space")


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def at(name="together") -> Moment:
    return Moment(0, 0.0, Stage(name), torch.Generator())


def batch_of(tmp_path, samples, config=TINY):
    """One crop of each sample."""
    source = HandObject(config).source(
        [DataSet(parse_spec(write_truth(tmp_path, samples)))], tmp_path / "records", lambda name, count: None
    )
    return source.collate([source.sample(i, np.random.default_rng(i)) for i in range(len(source))])


def perfect(batch, config=TINY) -> HandObjectOutput:
    """An output that says what the labels say; what has none is somewhere."""
    system = HandObject(config)
    size = len(batch)
    guess = HandObjectOutput(*(torch.full((size, POINTS, n), 0.4) for n in (2, 2, 3, 3)))
    labels = system._labels(guess, batch)
    uv, _ = system._crop_points(guess, batch)
    return guess._replace(uv_initial=uv, uv=uv, initial=labels.points, points=labels.points)


def test_the_truth_has_no_loss_and_is_what_is_exported(tmp_path):
    batch = batch_of(tmp_path / "set", held_samples(5))  # every other one a left hand, mirrored; the last holds nothing
    assert not batch.left.any()
    system, output = HandObject(TINY), perfect(batch)
    losses = system.losses(output, batch, at())
    for name in EXACT:
        assert float(losses[name].value.detach()) < 1e-6, name
    points = 5 * JOINTS + 4 * 8
    assert float(losses["space"].weight) == float(losses["image"].weight) == points
    assert float(losses["affinity"].weight) == 4
    errors = system.errors(output, batch)
    assert float(errors["object_mm"].weight) == 32
    assert all(
        float(errors[name].value.detach()) < 1e-3 for name in ("hand_mm", "object_mm", "object_relative_mm", "uv_px")
    )
    # Boxes and hands of a mirrored crop are those of a right hand: the box keeps its volume's sign.
    x, y, z = (batch.object_corners_camera[:4, i] - batch.object_corners_camera[:4, 0] for i in (4, 2, 1))
    assert bool((torch.linalg.cross(x, y) * z).sum(-1).gt(0).all())


def test_hands_without_a_box_teach_nothing_of_boxes(tmp_path):
    samples = held_samples(3)
    batch = batch_of(tmp_path / "set", samples[2:])
    system, network = HandObject(TINY), HandObject(TINY).network().train()
    output = system.forward(network, batch, at())
    losses = system.losses(output, batch, at())
    assert float(losses["space"].weight) == JOINTS
    assert float(losses["affinity"].weight) == float(losses["centre"].weight) == 0
    assert float(losses["holds"].weight) == 1
    sum(mean.value for mean in losses.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert all(mean.total.isfinite() for mean in system.errors(output, batch).values())


@pytest.mark.parametrize("form", ["printed", "code", "soft"])
def test_every_loss_has_a_finite_gradient(tmp_path, form):
    config = replace(TINY, form=form, categories=("box", "cup"))
    batch, system = batch_of(tmp_path / "set", held_samples(4), config), HandObject(config)
    torch.manual_seed(0)
    network = system.network().train()
    losses = system.losses(system.forward(network, batch, at()), batch, at())
    assert set(losses) == {*EXACT, "affinity", "centre", "heat", "uncertainty", "holds", "category"}
    sum(mean.value for mean in losses.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert float(losses["category"].weight) == 3


def test_stages_train_what_they_are_to(tmp_path):
    """The lift on true points, then the encoder, both together, and the affinity on top of the same losses."""
    paper = HandObject()
    assert [stage.name for stage in paper.stages] == ["lift", "encoder", "together", "affinity"]
    assert [dict(stage.rates) for stage in paper.stages][1:3] == [{"encoder.": 1e-3, "graph.": 1e-3}, {"": 1e-4}]
    assert paper.stages[3].losses == paper.stages[2].losses | {"affinity": 10.0}
    given = HandObject(replace(HandObjectConfig(), points="given"))
    assert [stage.name for stage in given.stages] == ["lift"]
    assert {name.split(".")[0] for name, _ in given.network().named_parameters()} == {"lift"}
    only = HandObject(replace(TINY, only=("affinity",)))
    assert [stage.name for stage in only.stages] == ["affinity"]
    with pytest.raises(ValueError, match="only must name stages, lift, encoder, together, affinity, but got all"):
        replace(TINY, only=("all",))
    with pytest.raises(ValueError, match=r"crop\.needs must be joints_camera and object_corners_camera"):
        replace(HandObjectConfig(), crop=TINY.crop)

    batch = batch_of(tmp_path / "set", held_samples(3))
    system, network = HandObject(TINY), HandObject(TINY).network().eval()
    lifted, found = (system.forward(network, batch, at(name)) for name in ("lift", "together"))
    torch.testing.assert_close(lifted.uv[:2], perfect(batch).uv[:2], atol=1e-4, rtol=0)
    # Where the corners are not known they are put in the middle of the joints.
    torch.testing.assert_close(lifted.uv[2, JOINTS:], lifted.uv[2, :JOINTS].mean(0).expand(8, 2), atol=1e-4, rtol=0)
    assert not torch.allclose(found.uv, lifted.uv)


@pytest.mark.parametrize("changes", [{}, {"categories": ["box", "cup"], "lift": "u-net"}, {"lift": "object"}])
def test_the_exported_graph_equals_torch(tmp_path, changes):
    system = open_system("hand-object-small", {"crop": {"size": 64, "patch": 100}, **changes})
    torch.manual_seed(1)
    network = system.network()
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8), torch.eye(3).expand(4, 3, 3))
    (graph,) = system.graphs(network.eval()).values()
    export_onnx(graph, tmp_path / "hand.onnx")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
    K = np.tile([[80.0, 0.0, 40.0], [0.0, 80.0, 25.0], [0.0, 0.0, 1.0]], (3, 1, 1))
    given = HandGraph(tmp_path / "hand.onnx", threads=1)(picture, [np.eye(2, 3)] * 3, K)
    with torch.no_grad():
        expected = graph.module(torch.from_numpy(picture)[None], torch.from_numpy(K[:1]).float())
    assert set(given) == set(graph.contract.outputs)
    for name, values in zip(graph.contract.outputs, expected, strict=True):
        np.testing.assert_allclose(given[name], values.expand(3, *values.shape[1:]), atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint after a few steps of every stage."""
    folder = tmp_path_factory.mktemp("hand-object")
    data = write_truth(folder / "set", held_samples(8))
    words = ["train", "hand-object-small", "--data", data, "--out", str(folder / "run"), "--batch", "4"]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    assert main([*words, "--steps", "50", "--log-every", "1"]) == 0
    return folder


def checkpoint_in(folder):
    return max(folder.glob("step-*"))


def test_it_trains_through_its_stages_and_scores_boxes(run, tmp_path):
    lines = [json.loads(line) for line in (run / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss/space", "hand_mm", "object_relative_mm", "penetration_mm"} <= set(lines[0])
    assert "loss/affinity" in lines[-1]
    model, scores = tmp_path / "objects.onnx", tmp_path / "scores.json"
    assert main(["export", str(checkpoint_in(run / "run")), "--out", str(model)]) == 0
    command = ["eval", str(model), "--root", str(run / "set"), "--protocol", "own", "--crops", "truth"]
    assert main([*command, "--resamples", "0", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    for name in ("joints_camera", "corners", "corners_root", "box_projection", "penetration_truth", "contact_share"):
        assert found[name]["value"] >= 0, name
    assert found["contact_share_truth"]["value"] > 50
    out = tmp_path / "out"
    words = ["predict", str(run / "set" / "0000.png"), "--out", str(out), "--model", str(model)]
    assert main(words) == 0
    assert (out / "0000.json").exists()


def test_true_points_are_lifted_where_the_truth_is_known(run, tmp_path, capsys):
    """As in the paper's Table 2; such a model cannot see a picture."""
    words = ["train", "hand-object-small", "--data", f"truth:{run / 'set'}", "--out", str(tmp_path / "lift")]
    more = [word for setting in [*SETTINGS, "points=given", "lift=separate"] for word in ("--set", setting)]
    assert main([*words, *more, "--batch", "8", "--steps", "3"]) == 0
    checkpoint, scores = checkpoint_in(tmp_path / "lift"), tmp_path / "scores.json"
    command = ["eval", str(checkpoint), "--root", str(run / "set"), "--protocol", "own", "--hand", "network"]
    assert main([*command, "--crops", "truth", "--missing", "skip", "--resamples", "0", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    assert found["corners"]["value"] > 0
    capsys.readouterr()
    assert main([*command, "--resamples", "0"]) == 2
    assert "points must be given to 'hand-object', which only lifts them into space" in capsys.readouterr().err
    # A whole network begins with the lift that was learned so.
    whole = ["train", "hand-object-small", "--data", f"truth:{run / 'set'}", "--out", str(tmp_path / "whole")]
    settings = [w for s in [*SETTINGS, 'only=["encoder"]', "lift=separate"] for w in ("--set", s)]
    assert main([*whole, *settings, "--batch", "4", "--steps", "2", "--from-checkpoint", str(checkpoint)]) == 0
    assert "encoder begins anew" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fpha", "obman"])
def test_protocols_score_a_model_with_its_boxes(run, tmp_path, name):
    """From the tiny sets in their own formats: joints and corners in the camera's frame, and pixels of the box."""
    root = tmp_path / name
    getattr(tiny_sets, name)(root)
    if name == "obman":
        folder = root / "ShapeNetCore.v2" / "02876657" / "abc" / "models"
        folder.mkdir(parents=True)
        corners = tiny_sets.box_corners([0.5, 0.25, 0.125])
        faces = "f 1 2 4\nf 1 4 3\nf 5 7 8\nf 5 8 6\n"
        (folder / "model_normalized.obj").write_text("".join(f"v {x} {y} {z}\n" for x, y, z in corners) + faces)
    scores = tmp_path / "scores.json"
    protocol = {"fpha": "fpha-ho", "obman": "obman"}[name]
    command = ["eval", str(checkpoint_in(run / "run")), "--protocol", protocol, "--root", str(root)]
    assert main([*command, "--crops", "truth", "--resamples", "0", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())["scores"]
    for key in ("joints_camera", "corners", "box_projection", "corners_root", "penetration", "contact_share"):
        assert found[key]["value"] >= 0, key


def test_it_learns_one_batch_by_heart(tmp_path):
    """Lifted from true points, which takes no picture."""
    config = replace(TINY, points="given", dropout=0.0)
    system = SmallHandObject(config)
    batch = batch_of(tmp_path / "set", held_samples(5), config)
    torch.manual_seed(0)
    network = system.network().train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(120):
        output = system.forward(network, batch, at("lift"))
        loss = system.losses(output, batch, at("lift"))["space"].value
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.05 * history[0]
    errors = system.errors(system.forward(network.eval(), batch, at("lift")), batch)
    assert float(errors["hand_mm"].value.detach()) < 30
