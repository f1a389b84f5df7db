"""The training loop: it learns, it resumes exactly, and what it exports is what it trained."""

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hand_pictures import drawn_samples, records_of
from knuckle.systems.detector import Detector, DetectorConfig
from knuckle.systems.shipped import Shipped, ShippedConfig
from knuckle.train.batches import indices_of_step, make_batch
from knuckle.train.checkpoint import checkpoints, load
from knuckle.train.export import export_onnx, trained_network
from knuckle.train.loop import TrainConfig, train
from knuckle.train.muon import MuonAdamW, orthogonalise
from knuckle.train.quantise import network_inputs, outer_convolutions, quantise_onnx
from knuckle.train.records import join_records, open_records, write_records

TINY = {"size": 64, "patch": 88, "stem": (16,), "widths": (16, 32, 48), "blocks": (1, 1, 1), "width": 32, "layers": 1}


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    return Shipped(ShippedConfig(**TINY))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def hand_records(shipped):
    return records_of(shipped, drawn_samples(16))


def test_overfits_a_few_pictures(shipped, hand_records, tmp_path):
    numbers = []
    config = TrainConfig(steps=60, batch=16, rate=3e-3, log_every=10, save_every=1000, average=0.9)
    train(shipped, hand_records, tmp_path, config, report=numbers.append)
    assert numbers[-1]["uv_px"] < 0.9 * numbers[0]["uv_px"]
    assert numbers[-1]["loss"] < 0.85 * numbers[0]["loss"]


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_a_resumed_run_ends_like_one_without_a_pause(shipped, hand_records, tmp_path, optimiser):
    config = TrainConfig(steps=7, batch=8, optimiser=optimiser, save_every=2, log_every=100)
    straight = load(train(shipped, hand_records, tmp_path / "straight", config))
    train(shipped, hand_records, tmp_path / "paused", config, stop_after=3)
    # What a kill leaves behind: a half-written checkpoint beside the whole ones.
    (tmp_path / "paused" / ".step-0000004.unfinished").mkdir()
    resumed = load(train(shipped, hand_records, tmp_path / "paused", config))
    for kind in ("weights", "state"):
        one, other = getattr(straight, kind), getattr(resumed, kind)
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert torch.equal(values, other[name]), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_loses_nothing(shipped, hand_records, tmp_path, number):
    config = TrainConfig(steps=6, batch=8, save_every=100, log_every=1)
    straight = load(train(shipped, hand_records, tmp_path / "straight", config))
    before = signal.getsignal(number)

    def tell(numbers):
        if numbers["step"] == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(shipped, hand_records, tmp_path / "told", config, report=tell)
    assert signal.getsignal(number) is before
    assert [c.name for c in checkpoints(tmp_path / "told")] == ["step-0000003"]
    resumed = load(train(shipped, hand_records, tmp_path / "told", config))
    for name, values in straight.weights.items():
        assert torch.equal(values, resumed.weights[name]), name


def test_starts_from_a_checkpoint_without_its_optimiser(shipped, hand_records, tmp_path):
    config = TrainConfig(steps=2, batch=8, log_every=100)
    first = train(shipped, hand_records, tmp_path / "first", config)
    (first / "state.safetensors").unlink()
    second = train(shipped, hand_records, tmp_path / "second", config, start_from=first)
    before, after = load(first).weights, load(second).weights
    change = max(float((before[n].float() - after[n].float()).abs().max()) for n in before if "num_batches" not in n)
    assert 0 < change < 0.2


def test_checkpoints_are_averaged_and_trained_on_from(shipped, hand_records, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    from average_checkpoints import main

    config = TrainConfig(steps=2, batch=8, log_every=100)
    first = train(shipped, hand_records, tmp_path / "first", config)
    second = train(shipped, hand_records, tmp_path / "second", config, start_from=first)
    main([str(first), str(second), "--out", str(tmp_path / "mean")])
    mean, one, other = (load(folder).weights for folder in (tmp_path / "mean", first, second))
    name = "maps.weight"
    assert mean[name].dtype == torch.float16
    torch.testing.assert_close(mean[name].float(), (one[name] + other[name]) / 2, atol=1e-4, rtol=1e-3)
    train(shipped, hand_records, tmp_path / "third", config, start_from=tmp_path / "mean")


def _exported(system, records, folder: Path, half: bool):
    checkpoint = train(system, records, folder, TrainConfig(steps=3, batch=8, log_every=100))
    network = trained_network(system, checkpoint)
    export_onnx(system, network, folder / "network.onnx", half)
    pictures = make_batch(system, records, np.arange(3), (0,))["picture"]
    with torch.no_grad():
        wanted = system.for_export(network)[0](pictures)
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": pictures.numpy()}), wanted


def test_hand_network_exports_exactly(shipped, hand_records, tmp_path):
    got, wanted = _exported(shipped, hand_records, tmp_path, half=False)
    # 0.001 pixels of a crop of 64 that shows some 20 cm are 0.003 mm; the difference is a hundredth of that.
    np.testing.assert_allclose(got[0], wanted[0].numpy(), atol=1e-4)
    for mine, theirs in zip(got[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-4)


def test_8_bit_network_says_nearly_the_same(shipped, hand_records, tmp_path):
    config = TrainConfig(steps=60, batch=16, rate=3e-3, log_every=100, average=0.9)
    network = trained_network(shipped, train(shipped, hand_records, tmp_path / "run", config))
    export_onnx(shipped, network, tmp_path / "float.onnx")
    shown = network_inputs(shipped, ((s.image, [s]) for s in drawn_samples(20)), count=18)
    assert shown.shape == (18, 64, 64, 3)
    quantise_onnx(tmp_path / "float.onnx", shown, tmp_path / "int8.onnx")
    # Ranges taken from pictures without anything in them fit no others.
    quantise_onnx(tmp_path / "float.onnx", np.full_like(shown, 128), tmp_path / "blind.onnx")
    asked = {"image": np.asarray(make_batch(shipped, hand_records, np.arange(8), (7,))["picture"])}
    joints = {}
    for name in ("float", "int8", "blind"):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        joints[name] = session.run(None, asked)[0]
    off = {name: float(np.abs(joints[name] - joints["float"]).mean()) for name in ("int8", "blind")}
    assert 0 < off["int8"] < 0.5
    assert off["blind"] > 3 * off["int8"]
    assert (tmp_path / "int8.onnx").stat().st_size < 0.6 * (tmp_path / "float.onnx").stat().st_size

    weights = {w.name: w for w in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    held = {name: onnx.numpy_helper.to_array(w) for name, w in weights.items() if w.data_type == onnx.TensorProto.INT8}
    kernels = [values for values in held.values() if values.ndim == 4]
    # All but the first, the one that follows it, and the last; the first block has no other, its widths are the same.
    assert len(kernels) == len([m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]) - 3
    # 7 bits: more could overflow the 16 bits in which processors without VNNI add up.
    assert max(int(np.abs(values.astype(int)).max()) for values in kernels) <= 64


def test_the_first_and_last_convolutions_stay_as_they_are():
    def conv(name, source, to):
        return onnx.helper.make_node("Conv", [source, f"{name}.w"], [to], name=name)

    nodes = [
        conv("first", "x", "a"),
        onnx.helper.make_node("Relu", ["a"], ["a+"]),
        conv("second", "a+", "b"),
        conv("around", "a+", "c"),
        conv("third", "b", "b2"),
        onnx.helper.make_node("Add", ["b2", "c"], ["d"]),
        conv("middle", "d", "d2"),
        conv("heads", "d2", "e"),
        onnx.helper.make_node("Exp", ["e"], ["y"]),
    ]
    graph = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], []))
    assert sorted(outer_convolutions(graph)) == ["around", "first", "heads", "second"]
    assert sorted(outer_convolutions(graph, first=1)) == ["first", "heads"]


def test_detector_exports_and_learns(tmp_path):
    config = DetectorConfig(size=64, patch=80, stem=(8, 16), widths=(16, 16, 32), blocks=(1, 1, 1), width=16)
    detector = Detector(config)
    records = records_of(detector, drawn_samples(8))
    got, wanted = _exported(detector, records, tmp_path / "export", half=True)
    np.testing.assert_allclose(got[0], wanted.numpy(), atol=0.05)
    numbers = []
    run = TrainConfig(steps=40, batch=8, rate=3e-3, log_every=10, save_every=1000)
    train(detector, records, tmp_path / "run", run, report=numbers.append)
    assert numbers[-1]["loss"] < 0.8 * numbers[0]["loss"]


def test_augmented_joints_stay_on_the_picture(shipped):
    """The bones are drawn in known colours: after cutting they must still be found at the joints."""
    samples = drawn_samples(6, seed=3)
    records = records_of(shipped, samples)
    assert len(records["joints"]) == 6
    for patch, joints in zip(records["picture"], records["joints"], strict=True):
        middle = np.rint(joints[:, :2]).astype(int)
        assert np.abs(patch[middle[:, 1], middle[:, 0]].astype(int) - 90).max(1).min() > 20
    assert records["joints"][:, 0, 1].min() > records["joints"][:, 9, 1].max()  # upright


def test_the_side_of_an_example_is_that_of_the_hand_it_shows(shipped):
    records = records_of(shipped, drawn_samples(4, seed=5))
    shown = []
    for seed in range(24):
        example = shipped.example(records, seed % 4, np.random.default_rng(seed))
        thumb_is_left = example["joints"][4, 0] < example["joints"][20, 0]
        # Palms to the camera, fingers up: a right hand's thumb is on the picture's right.
        assert bool(example["side"]) == thumb_is_left
        shown.append(bool(example["side"]))
    assert 4 < sum(shown) < 20


def test_places_without_a_hand_teach_presence_alone(shipped):
    samples = drawn_samples(6, seed=7)
    pictures = []
    for sample in samples:
        picture = np.full((512, 512, 3), 90, np.uint8)
        picture[:128, :128] = sample.image
        pictures.append(picture)
    kept = [r for picture, sample in zip(pictures, samples, strict=True) for r in shipped.records(picture, [sample])]
    empty = [r for r in kept if np.isnan(r["joints"]).all()]
    assert len(kept) - len(empty) == 6
    assert 8 <= len(empty) <= 18
    again = shipped.records(pictures[0], [samples[0]])
    np.testing.assert_array_equal(again[1]["picture"], kept[1]["picture"])
    records = {name: np.stack([r[name] for r in empty]) for name in empty[0]}
    batch = make_batch(shipped, records, np.arange(len(empty)), (0,))
    for name in ("weight", "seen", "side_weight", "presence"):
        assert not batch[name].any()
    losses = shipped.losses(shipped.network()(batch["picture"]), batch)
    assert {name for name, loss in losses.items() if loss != 0} == {"presence"}


def test_the_arm_below_a_hand_is_a_place_without_one():
    only_arms = Shipped(ShippedConfig(**TINY, empty_places=0))  # pyright: ignore[reportArgumentType]
    found = []
    for sample in drawn_samples(6, seed=7):
        picture = np.full((512, 512, 3), 90, np.uint8)
        picture[:128, :128] = sample.image
        below = int(np.asarray(sample.joints_image)[:, 1].max()) + 10
        picture[below:] = (200, 0, 0)
        found += [r["picture"][44, 44] for r in only_arms.records(picture, [sample])[1:]]
    assert len(found) >= 4
    np.testing.assert_array_equal(found, [(200, 0, 0)] * len(found))


def test_every_record_is_seen_once_an_epoch(hand_records):
    seen = np.concatenate([indices_of_step(hand_records, 0, step, 4) for step in range(8)])
    assert sorted(seen[:16]) == sorted(seen[16:]) == list(range(16))


def test_records_are_written_whole_and_read_back(shipped, tmp_path):
    samples = drawn_samples(3)
    count = write_records(tmp_path / "a", shipped, ((s.image, [s]) for s in samples))
    joined = join_records([open_records(tmp_path / "a"), open_records(tmp_path / "a")])
    assert count == 3
    assert len(joined["joints"]) == 6
    np.testing.assert_array_equal(joined["joints"][4], open_records(tmp_path / "a")["joints"][1])
    with pytest.raises(ValueError, match="at least one"):
        write_records(tmp_path / "b", shipped, [])
    assert not (tmp_path / "b").exists()


def test_muon_is_the_same_on_any_number_of_threads():
    results = []
    for threads in (1, 3):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(16, 32, 3), torch.nn.Linear(24, 48), torch.nn.LayerNorm(48))
        optimiser = MuonAdamW(network.parameters(), lr=0.1, weight_decay=0.1, threads=threads)
        for _ in range(3):
            for parameter in network.parameters():
                parameter.grad = torch.sin(torch.arange(parameter.numel()).float()).view_as(parameter)
            optimiser.step()
        results.append([p.detach().clone() for p in network.parameters()])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_orthogonalise_evens_out_the_singular_values():
    matrix = torch.randn(24, 60, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.4
