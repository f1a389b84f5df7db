"""The detector with joints as a further task: what it is taught, what leaves with it, and what stays as it was."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from hand_pictures import drawn_samples, write_truth
from knuckle.cli import main
from knuckle.datasets.sets import DataSet, LabelledPicture, parse_spec
from knuckle.image import example_image
from knuckle.predict import Predictor
from knuckle.predict.detect import box_of_joints
from knuckle.predict.network import DetectorGraph
from knuckle.sample import Sample
from knuckle.systems.config import from_json, to_json
from knuckle.systems.detector import MAX_HANDS, Detector, DetectorConfig, _record, _targets
from knuckle.systems.system import Moment, Stage
from knuckle.train.checkpoint import load, save
from knuckle.train.loop import TrainConfig, train

LOSSES = {"centre": 1.0, "box": 2.0, "direction": 1.0, "side": 1.0}
TINY = {
    "stem": [8, 16],
    "widths": [16, 16, 32],
    "blocks": [1, 1, 1],
    "width": 16,
    "scene": {"size": 64, "patch": 80},
    "augment": dict.fromkeys(("cover", "mix_amplitude", "shade", "recolour", "blur", "noise", "jpeg"), 0.0),
}
NOW = Moment(0, 0.0, Stage(), torch.Generator())


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def detector(weight: float | None = None, steps: int = 4) -> Detector:
    losses = LOSSES if weight is None else LOSSES | {"joints": weight}
    stage = {"steps": steps, "batch": 8, "rates": {"": 3e-3}, "losses": losses}
    return Detector(from_json(DetectorConfig(), TINY | {"stages": [stage]}))


def network(system: Detector) -> torch.nn.Module:
    torch.manual_seed(0)
    return system.network()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    data = DataSet(parse_spec(write_truth(folder / "set", drawn_samples(8))))
    return detector().source([data], folder / "records", lambda name, count: None)


def batch_of(scenes):
    return scenes.collate([scenes.sample(i, np.random.default_rng(i)) for i in range(8)])


def a_hand(**labels) -> Sample:
    """A hand of 64 by 128 pixels: the fingers' joints one above the other."""
    finger, joint = np.divmod(np.arange(20), 4)
    uv = np.vstack([[[80.0, 160.0]], np.stack([48.0 + 16 * finger, 140.0 - 36 * joint], axis=-1)])
    return Sample(side="right", joints_image=uv, **labels)


def test_joints_are_taught_from_the_middle_of_the_box_in_its_longer_sides():
    hand = a_hand()
    box = box_of_joints(np.asarray(hand.joints_image))
    taught = _targets([hand], 256)
    cells = np.argwhere(taught["weight"] > 0)
    assert len(cells) > 3
    for row, column in cells:
        # The same numbers in every cell of the hand, so that they say where the joints are in the box.
        decoded = (box[:2] + box[2:]) / 2 + (box[2:] - box[:2]).max() * taught["joints"][:, :, row, column]
        np.testing.assert_allclose(decoded, hand.joints_image, atol=1e-3)
    assert np.abs(taught["joints"]).max() <= 0.5
    assert (taught["joint_weight"].any(0) == (taught["weight"] > 0)).all()


def test_joints_count_whole_half_or_not_at_all():
    visible = np.ones(21, bool)
    visible[[3, 20]] = False
    left = np.array([70.0, 0.0])
    hand = a_hand(visibility=visible)
    shifted = replace(hand, joints_image=np.asarray(hand.joints_image) - left)
    taught = _targets([shifted], 256, occluded=0.5)
    weights = taught["joint_weight"][:, taught["weight"] > 0]
    # The thumb and the index finger are left of the view, and have no weight even where they are visible.
    outside = (np.asarray(shifted.joints_image) <= 0).any(1)
    assert outside.sum() == 8
    expected = np.where(outside, 0.0, np.where(visible, 1.0, 0.5))
    np.testing.assert_allclose(weights, np.broadcast_to(expected[:, None], weights.shape))
    seen = _targets([hand], 256, occluded=0.5)
    assert set(seen["joint_weight"][3].ravel()) == {0.0, 0.5}
    assert set(_targets([hand], 256, occluded=0.0)["joint_weight"][20].ravel()) == {0.0}


def test_visibility_comes_along_from_the_label():
    hidden = np.ones(21, bool)
    hidden[8] = False
    picture = np.zeros((192, 192, 3), np.uint8)
    kept = _record(LabelledPicture(picture, [a_hand(visibility=hidden), a_hand()], "g"), "g", 96)
    np.testing.assert_array_equal(kept["visible"][:2], [hidden, np.ones(21, bool)])


def test_no_hand_of_a_picture_is_taught_to_be_none(tmp_path):
    """A picture of four hands has four, and one with more than are kept is left out."""
    spec = write_truth(tmp_path / "set", drawn_samples(3))
    truth = tmp_path / "set" / "truth.json"
    one, two, three = json.loads(truth.read_text())
    truth.write_text(json.dumps([one] * 4 + [two] * (MAX_HANDS + 1) + [three]))
    source = detector().source([DataSet(parse_spec(spec))], tmp_path / "records", lambda name, count: None)
    assert [len(source.sample(i, np.random.default_rng(0))) - 1 for i in range(len(source))] == [4, 1]


def test_off_is_the_network_without_them(scenes):
    """The same weights, outputs and losses; a weight of 0 is the same as none."""
    batch = batch_of(scenes)
    plain, off, on = (network(detector(weight)).eval() for weight in (None, 0.0, 5.0))
    assert plain.state_dict().keys() == off.state_dict().keys()
    assert on.state_dict().keys() - plain.state_dict().keys() == {"joints.weight", "joints.bias"}
    outputs = [detector().forward(n, batch, NOW) for n in (plain, off, on)]
    assert outputs[0].joints is None
    assert outputs[2].joints.shape == (8, 21, 2, 8, 8)
    losses = [detector().losses(output, batch, NOW) for output in outputs]
    for name in LOSSES:
        assert losses[0][name].value == losses[1][name].value == losses[2][name].value
    assert losses[0]["joints"] == (0.0, 0.0)
    assert losses[2]["joints"].value > 0
    assert "joints_percent" not in detector().errors(outputs[0], batch)


def test_what_is_right_costs_nothing(scenes):
    batch = batch_of(scenes)
    system = detector(5.0)
    output = system.forward(network(system).eval(), batch, NOW)._replace(joints=batch.joints)
    assert system.losses(output, batch, NOW)["joints"].value == 0.0
    off = output._replace(joints=batch.joints + torch.tensor([0.03, 0.04]).view(1, 1, 2, 1, 1))
    assert system.errors(off, batch)["joints_percent"].value.item() == pytest.approx(5.0, rel=1e-4)


def test_a_run_begins_with_a_checkpoint_without_the_head_and_resumes(scenes, tmp_path, capsys):
    before = network(detector())
    start = save(tmp_path / "shipped", 1, {"system": "detector"}, before.state_dict(), {})
    config = TrainConfig("detector", threads=1, log_every=2, save_every=2)
    straight = train(detector(5.0), scenes, tmp_path / "straight", config, start_from=start)
    assert "joints begins anew: the checkpoint has no weights of it" in capsys.readouterr().err
    train(detector(5.0), scenes, tmp_path / "paused", config, start_from=start, stop_after=3)
    resumed = train(detector(5.0), scenes, tmp_path / "paused", config, start_from=start)
    ours, theirs = load(straight), load(resumed)
    for name, values in ours.weights.items():
        assert torch.equal(values, theirs.weights[name]), name
    assert not torch.equal(ours.weights["trunk.stem.0.0.weight"], before.state_dict()["trunk.stem.0.0.weight"])
    lines = [json.loads(line) for line in (tmp_path / "straight" / "log.jsonl").read_text().splitlines()]
    assert {"loss/joints", "joints_percent"} <= lines[-1].keys()


def test_joints_of_a_few_hands_are_learned(scenes, tmp_path):
    numbers = []
    config = TrainConfig("detector", threads=1, log_every=10, dtype=torch.bfloat16)
    train(detector(5.0, steps=40), scenes, tmp_path, config, report=numbers.append)
    assert numbers[-1]["joints_percent"] < 0.8 * numbers[0]["joints_percent"]


def test_the_exported_file_has_maps_alone_and_predicts(tmp_path):
    """What `knuckle predict` runs has no part of the joints' head."""
    system = detector(5.0)
    torch_network = network(system).eval()
    folder = save(
        tmp_path / "run", 1, {"system": "detector", "config": to_json(system.config)}, torch_network.state_dict(), {}
    )
    path = tmp_path / "detector.onnx"
    assert main(["export", str(folder), "--out", str(path)]) == 0
    sizes = sorted(tuple(tensor.dims) for tensor in onnx.load(path).graph.initializer)
    assert (8, 16, 1, 1) in sizes
    assert not [size for size in sizes if 42 in size]
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found = DetectorGraph(path, 1)(picture, 0.0, 3)
    graph = system.graphs(torch_network)["detector"]
    with torch.no_grad():
        (maps,) = graph.module(torch.from_numpy(picture)[None])
    best = np.unravel_index(int(maps[0, 0].argmax()), (8, 8))
    assert found[0].score == pytest.approx(maps[(0, 0, *best)].item(), abs=1e-5)
    assert found[0].left == pytest.approx(maps[(0, 7, *best)].item(), abs=1e-5)
    seen = Predictor(detector=path)(example_image())
    assert all(np.isfinite(hand.joints_camera).all() for hand in seen)
