"""The training loop: it learns, it resumes exactly, and what it exports is what it trained."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import SafetensorError
from timm.layers import BatchNormAct2d
from torch import nn

from hand_pictures import drawn_samples, write_truth
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.predict.contract import Contract, CropRule
from knuckle.systems.config import from_json
from knuckle.systems.detector import Detector, DetectorConfig
from knuckle.systems.shipped import Shipped, ShippedConfig
from knuckle.systems.system import Graph
from knuckle.train.checkpoint import begin_with, checkpoints, load, newest, save
from knuckle.train.examples import make_batch
from knuckle.train.export import export_onnx, fused, open_checkpoint
from knuckle.train.job import TrainJob, run_job
from knuckle.train.loop import TrainConfig, _Log, train
from knuckle.train.muon import MuonAdamW, orthogonalise
from knuckle.train.quantise import network_inputs, outer_convolutions, quantise_onnx
from knuckle.train.ranks import Alone

TINY = {
    "stem": [16],
    "widths": [16, 32, 48],
    "blocks": [1, 1, 1],
    "width": 32,
    "layers": 1,
    "crop": {"size": 64, "patch": 88},
}


def tiny(steps: int = 7, batch: int = 8, **stage) -> Shipped:
    return Shipped(from_json(ShippedConfig(), TINY | {"stages": [{"steps": steps, "batch": batch, **stage}]}))


def source_of(system, text: str, cache: Path):
    return system.source([DataSet(parse_spec(text))], cache, lambda name, count: None)


def config(**entries) -> TrainConfig:
    return TrainConfig(**({"log_every": 100, "save_every": 1000, "dtype": torch.bfloat16} | entries))


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    """The source of 16 drawn hands, by the way of a folder and a reader."""
    folder = tmp_path_factory.mktemp("hands")
    return source_of(tiny(), write_truth(folder / "set", drawn_samples(16)), folder / "records")


def same_weights(one: Path, other: Path) -> None:
    for kind in ("weights", "state"):
        first, second = getattr(load(one), kind), getattr(load(other), kind)
        assert first.keys() == second.keys()
        for name, values in first.items():
            assert torch.equal(values, second[name]), name


def test_overfits_a_few_pictures_and_not_grey_ones(tmp_path):
    last = {}
    for name in ("drawn", "grey"):
        spec = write_truth(tmp_path / name, drawn_samples(16), grey=name == "grey")
        # Nothing but the picture can say where a joint is: no jitter could be learned instead.
        still = {"shift": 0.0, "zoom": 0.0, "turn": 0.0, "hands": "right"}
        plain = dict.fromkeys(("cover", "mix_amplitude", "shade", "recolour", "blur", "noise", "jpeg"), 0.0)
        system = tiny(steps=160, batch=16, average=0.9, rates={"": 3e-3})
        system = Shipped(from_json(system.config, {"crop": still, "augment": plain}))
        numbers = []
        source = source_of(system, spec, tmp_path / "records")
        train(system, source, tmp_path / f"{name}-run", config(log_every=20), report=numbers.append)
        assert numbers[-1]["loss"] < 0.8 * numbers[0]["loss"]
        last[name] = numbers[-1]["uv_px"]
    # The mean hand is all that grey pictures can teach.
    assert last["drawn"] < 0.75 * last["grey"]


@pytest.mark.parametrize("optimiser", ["muon", "adamw", "adam", "sgd"])
def test_a_resumed_run_ends_like_one_without_a_pause(hands, tmp_path, optimiser):
    system = tiny(steps=7, optimiser=optimiser)
    straight = train(system, hands, tmp_path / "straight", config(save_every=2))
    train(system, hands, tmp_path / "paused", config(save_every=2), stop_after=3)
    # What a kill leaves behind: a half-written checkpoint beside the whole ones.
    (tmp_path / "paused" / ".step-0000004.unfinished").mkdir()
    same_weights(straight, train(system, hands, tmp_path / "paused", config(save_every=2)))


def test_worker_processes_change_nothing(hands, tmp_path):
    system = tiny(steps=3)
    here = train(system, hands, tmp_path / "here", config(threads=1))
    same_weights(here, train(system, hands, tmp_path / "ahead", config(threads=1, workers=2)))


def test_batches_of_worker_processes_are_worked_on_once(hands, tmp_path, monkeypatch):
    """They come in one piece: copies of the network would each take the whole."""
    system, seen = tiny(steps=2), []
    monkeypatch.setattr(system, "forward", lambda *a: (seen.append(len(a[1])), Shipped.forward(system, *a))[1])
    train(system, hands, tmp_path / "run", config(threads=2, workers=1))
    assert seen == [8, 8]


def test_a_batch_of_one_trains(hands, tmp_path):
    assert train(tiny(steps=2, batch=1), hands, tmp_path / "run", config()).name == "step-0000002"


@pytest.mark.parametrize(
    "entries",
    [
        {"steps": -3}, {"minutes": float("nan")}, {"minutes": -1.0}, {"save_every": 0}, {"log_every": 0},
        {"threads": 0}, {"workers": -1}, {"seed": -1}, {"rate": -1e-3}, {"batch": -4},
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_named_before_anything_is_read(tmp_path, entries):
    (name,) = entries
    with pytest.raises(ValueError, match=f"{name} must be [01] or more, and finite"):
        run_job(TrainJob("shipped", ["nowhere"], tmp_path, **entries))


def test_steps_are_logged_whole(tmp_path):
    log = _Log(tmp_path, lambda numbers: None, 0)
    log.write_held_out(1234567, {"uv_px": 1.23456789})
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 1234567, "held_out/uv_px": 1.2346}


class TwoViews(Alone):
    """The second of two processes has found no checkpoint, as where the folder is not shared."""

    def texts(self, text: str) -> list[str]:
        return [text, json.dumps(json.loads(text) | {"checkpoint": None})]


def test_processes_that_would_go_on_from_different_checkpoints_are_told(hands, tmp_path):
    train(tiny(steps=3), hands, tmp_path / "run", config(), stop_after=1)
    with pytest.raises(ValueError, match=r'process 1 differs from the first: checkpoint was "step-0000001", is null'):
        train(tiny(steps=3), hands, tmp_path / "run", config(), ranks=TwoViews())


class ToldElsewhere(Alone):
    """Another process of the run is told to end, this one is not."""

    count = 2

    def sum(self, values):
        return torch.tensor([1.0, 0.0], dtype=torch.float64) if values.shape == (2,) else values

    def texts(self, text: str) -> list[str]:
        return [text, text]


def test_a_process_ends_as_interrupted_where_another_was_told(hands, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tiny(steps=3), hands, tmp_path / "run", config(), ranks=ToldElsewhere())


@pytest.mark.parametrize(("rank", "raised"), [(0, KeyboardInterrupt), (1, SystemExit)])
def test_an_interrupted_run_ends_with_the_status_of_the_first_process(tmp_path, monkeypatch, rank, raised):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    ranks = Alone()
    ranks.rank = rank
    monkeypatch.setattr("knuckle.train.job.join_ranks", lambda *a: ranks)
    monkeypatch.setattr("knuckle.train.job.train", interrupted)
    data = write_truth(tmp_path / "set", drawn_samples(2))
    with pytest.raises(raised) as found:
        run_job(TrainJob("shipped", [data], tmp_path / "run", settings=["crop.patch=150"]))
    assert raised is KeyboardInterrupt or found.value.code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_loses_nothing(hands, tmp_path, number):
    system = tiny(steps=6)
    straight = train(system, hands, tmp_path / "straight", config())
    before = signal.getsignal(number)

    def tell(numbers):
        if numbers["step"] == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(system, hands, tmp_path / "told", config(log_every=1), report=tell)
    assert signal.getsignal(number) is before
    assert [c.name for c in checkpoints(tmp_path / "told")] == ["step-0000003"]
    same_weights(straight, train(system, hands, tmp_path / "told", config()))


def test_another_configuration_on_resume_is_refused_with_the_difference(hands, tmp_path):
    train(tiny(steps=4), hands, tmp_path / "run", config(), stop_after=2)
    with pytest.raises(ValueError, match=r"config\.stages\.0\.steps was 4, is 5"):
        train(tiny(steps=5), hands, tmp_path / "run", config())
    with pytest.raises(ValueError, match=r"run\.seed was 0, is 1"):
        train(tiny(steps=4), hands, tmp_path / "run", config(seed=1))
    with pytest.raises(ValueError, match=r'run\.data was \[\], is \["b"\]'):
        train(tiny(steps=4), hands, tmp_path / "run", config(data=("b",)))


def test_starts_from_a_checkpoint_without_its_optimiser(hands, tmp_path):
    system = tiny(steps=2)
    first = train(system, hands, tmp_path / "first", config())
    (first / "state.safetensors").unlink()
    second = train(system, hands, tmp_path / "second", config(), start_from=first)
    before, after = load(first).weights, load(second).weights
    change = max(float((before[n].float() - after[n].float()).abs().max()) for n in before if "num_batches" not in n)
    assert 0 < change < 0.2


def test_checkpoints_are_averaged_and_trained_on_from(hands, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    from average_checkpoints import main

    system = tiny(steps=2)
    first = train(system, hands, tmp_path / "first", config())
    second = train(system, hands, tmp_path / "second", config(), start_from=first)
    main([str(first), str(second), "--out", str(tmp_path / "mean")])
    mean, one, other = (load(folder).weights for folder in (tmp_path / "mean", first, second))
    name = "maps.weight"
    assert mean[name].dtype == torch.float16
    torch.testing.assert_close(mean[name].float(), (one[name] + other[name]) / 2, atol=1e-4, rtol=1e-3)
    train(system, hands, tmp_path / "third", config(), start_from=tmp_path / "mean")


def test_a_damaged_checkpoint_is_named(hands, tmp_path):
    folder = train(tiny(steps=1), hands, tmp_path / "run", config())
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="is damaged"):
        load(folder)
    with pytest.raises(FileNotFoundError, match="must be a checkpoint"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "config.json holds no names"),
        ("[" * 100000, "is damaged"),
        ("{}", "system must be one of"),
        ('{"system": "shipped", "config": {"widths": [16, 32, -48]}}', "that a network can be built of but"),
    ],
)
def test_a_configuration_that_says_nothing_is_one_line(hands, tmp_path, text, words):
    folder = train(tiny(steps=1), hands, tmp_path / "run", config())
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        open_checkpoint(folder)


def test_a_position_that_is_none_is_named(hands, tmp_path):
    folder = train(tiny(steps=2), hands, tmp_path / "run", config(), stop_after=1)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"position": {"at": 1}}))
    with pytest.raises(ValueError, match="must say where the run stands"):
        train(tiny(steps=2), hands, tmp_path / "run", config())


def test_a_disk_that_is_full_is_named(tmp_path, monkeypatch):
    def full(*arguments):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("knuckle.train.checkpoint.save_file", full)
    with pytest.raises(OSError, match="cannot be written"):
        save(tmp_path, 1, {}, {"a": torch.zeros(1)}, {})
    assert checkpoints(tmp_path) == []


def test_the_newest_checkpoint_is_the_one_of_most_steps(tmp_path):
    for step in (9999999, 10000000):
        save(tmp_path, step, {}, {"a": torch.zeros(1)}, {})
    assert newest(tmp_path) == tmp_path / "step-10000000"


def test_weights_that_half_cannot_hold_stay_as_they_are(tmp_path):
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((63, 3), 1e5))

        def forward(self, image):
            return ((image.float().mean((1, 2)) @ self.weight.T).unflatten(1, (21, 3)),)

    graph = Graph(Scaled(), (torch.zeros(2, 8, 8, 3, dtype=torch.uint8),), Contract("large", crop=CropRule(8)))
    export_onnx(graph, tmp_path / "large.onnx", half=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "large.onnx"), providers=["CPUExecutionProvider"])
    joints = np.asarray(session.run(None, {"image": np.ones((1, 8, 8, 3), np.uint8)})[0])
    np.testing.assert_allclose(joints, 3e5)


def test_a_part_that_a_checkpoint_lacks_begins_anew():
    def network(**parts: nn.Module) -> nn.Module:
        return nn.ModuleDict(parts)

    one = network(body=nn.Linear(2, 3), old=nn.Linear(3, 1))
    other = network(body=nn.Linear(2, 3), new=nn.Linear(3, 2))
    anew = other["new"].weight.clone()
    lines = begin_with(other, one.state_dict())
    assert [line.split()[0] for line in lines] == ["new", "old"]
    assert torch.equal(other["body"].weight, one["body"].weight)
    assert torch.equal(other["new"].weight, anew)
    with pytest.raises(ValueError, match="must be of a network of this kind but are of old"):
        begin_with(network(new=nn.Linear(3, 2)), {"old.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"of this configuration but are not: .*body\.weight"):
        begin_with(network(body=nn.Linear(2, 4)), one.state_dict())


def test_weights_of_another_network_are_refused(hands, tmp_path):
    folder = train(tiny(steps=1), hands, tmp_path / "run", config())
    other = Shipped(from_json(tiny(steps=1).config, {"width": 48}))
    with pytest.raises(ValueError, match="must be of a network of this configuration"):
        train(other, hands, tmp_path / "other", config(), start_from=folder)


def _exported(system, source, folder: Path, half: bool):
    checkpoint = train(system, source, folder, config())
    network = system.network()
    network.load_state_dict(load(checkpoint).weights)
    graph = next(iter(system.graphs(network.eval()).values()))
    export_onnx(graph, folder / "network.onnx", half)
    image = make_batch(source, np.arange(3), range(3), (0,)).image.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        wanted = graph.module(image)
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"), providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["knuckle"])
    assert about["outputs"] == list(graph.contract.outputs)
    return session.run(None, {"image": image.numpy()}), wanted


def test_normalisation_that_activates_too_is_not_fused():
    """timm's does both in one module; taken for the plain one, its activation would be lost in the exported graph."""
    torch.manual_seed(0)
    image = torch.randn(1, 3, 6, 6)
    for norm in (BatchNormAct2d(4), nn.BatchNorm2d(4)):
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval()
        expected = layers(image)
        torch.testing.assert_close(fused(layers)(image), expected)


def test_hand_network_exports_exactly(hands, tmp_path):
    got, wanted = _exported(tiny(steps=3), hands, tmp_path, half=False)
    # 0.001 pixels of a crop of 64 that shows some 20 cm are 0.003 mm; the difference is a hundredth of that.
    for mine, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-4)


def test_8_bit_network_says_nearly_the_same(hands, tmp_path):
    system = tiny(steps=60, batch=16, average=0.9, rates={"": 3e-3})
    network = system.network()
    network.load_state_dict(load(train(system, hands, tmp_path / "run", config())).weights)
    graph = system.graphs(network.eval())["hand"]
    export_onnx(graph, tmp_path / "float.onnx")
    shown = network_inputs(graph, hands)
    assert shown["image"].shape == (16, 64, 64, 3)
    quantise_onnx(tmp_path / "float.onnx", graph, shown, tmp_path / "int8.onnx")
    # Ranges taken from pictures without anything in them fit no others.
    blind = {"image": np.full_like(shown["image"], 128)}
    quantise_onnx(tmp_path / "float.onnx", graph, blind, tmp_path / "blind.onnx")
    image = make_batch(hands, np.arange(8), range(8), (7,)).image.permute(0, 2, 3, 1).contiguous().numpy()
    joints = {}
    for name in ("float", "int8", "blind"):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        joints[name] = session.run(None, {"image": image})[0]
        assert "knuckle" in session.get_modelmeta().custom_metadata_map
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
    entries = {
        "stem": [8, 16],
        "widths": [16, 16, 32],
        "blocks": [1, 1, 1],
        "width": 16,
        "scene": {"size": 64, "patch": 80},
        "stages": [{"steps": 40, "batch": 8, "rates": {"": 3e-3}}],
    }
    detector = Detector(from_json(DetectorConfig(), entries))
    source = source_of(detector, write_truth(tmp_path / "set", drawn_samples(8)), tmp_path / "records")
    short = Detector(from_json(detector.config, {"stages": [{"steps": 3, "batch": 8}]}))
    got, wanted = _exported(short, source, tmp_path / "export", half=True)
    np.testing.assert_allclose(got[0], wanted[0].numpy(), atol=0.05)
    numbers = []
    train(detector, source, tmp_path / "run", config(log_every=10), report=numbers.append)
    assert numbers[-1]["loss"] < 0.8 * numbers[0]["loss"]


def test_the_log_holds_errors_of_what_was_held_out(tmp_path):
    system = tiny(steps=4)
    spec = write_truth(tmp_path / "set", drawn_samples(40))
    source = source_of(system, spec, tmp_path / "records")
    train(system, source, tmp_path / "run", config(log_every=2, save_every=4))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 4]
    assert 0 < lines[-1]["held_out/uv_px"] < 200
    assert newest(tmp_path / "run") == tmp_path / "run" / "step-0000004"


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_orthogonalise_evens_out_the_singular_values(dtype):
    matrix = torch.randn(24, 60, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix, dtype=dtype))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.4


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("knuckle.train.checkpoint.sync", lambda path: synced.append((path, path.exists())))
    folder = save(tmp_path, 1, {}, {"a": torch.zeros(2)}, {"b": torch.ones(2)})
    unfinished = tmp_path / ".step-0000001.unfinished"
    files = {unfinished / name for name in ("config.json", "weights.safetensors", "state.safetensors")}
    assert {path for path, _ in synced[:3]} == files
    assert [path for path, _ in synced[3:]] == [unfinished, tmp_path]
    assert all(there for _, there in synced)
    assert folder.exists()
    assert not unfinished.exists()
