"""Files that are opened by their contract, files that are not, and the numbers of those that ship."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from known_networks import write_onnx
from knuckle.image.read import read_picture
from knuckle.predict import Contract, ContractError, CropRule, Predictor
from knuckle.predict.contract import METADATA_KEY
from knuckle.predict.network import HandGraph, check_device
from knuckle.weights import weights_path

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
HAND = Contract("test", crop=CropRule(32), coordinates="metric", outputs=("joints", "left"))
CONSTANTS = {"joints": np.zeros((21, 3)), "left": np.array(0.5)}


@pytest.mark.parametrize(
    "contract",
    [
        HAND,
        Contract("detector", "detector", CropRule(256), outputs=("maps",)),
        Contract(
            "s3",
            crop=CropRule(224, "picture", 2.0, "right"),
            coordinates="2.5d",
            root=0,
            bone=(9, 10),
            inputs=("image", "K", "box"),
            outputs=("joints", "corners", "category"),
            categories=("can", "cup"),
        ),
    ],
)
def test_a_contract_comes_back_from_metadata(contract):
    assert Contract.from_metadata(contract.to_metadata()) == contract


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("K",)}, "inputs must be image or points and others of image, K, box, side, joints_image, points"),
        ({"outputs": ("left",)}, "outputs must be joints and others"),
        ({"outputs": ("joints", "joints")}, "outputs must be joints and others"),
        ({"root": 21}, "joints 0 to 20"),
        ({"outputs": ("joints", "category")}, "categories must name"),
    ],
)
def test_what_a_contract_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(HAND, **changes)


@pytest.mark.parametrize("crop", [{"size": 0}, {"size": 10**9}, {"margin": 20.0}])
def test_what_a_crop_rule_refuses(crop):
    with pytest.raises(ValueError, match="crop must have a whole size of 1 to 4096 and a margin"):
        CropRule(**crop)


def test_values_of_wrong_types_are_named_where_types_are_not_checked():
    """As they are outside of the tests: the hook that checks annotations here would speak first."""
    code = """
import json
from knuckle.predict.contract import Contract
data = json.loads(Contract("test").to_metadata()["knuckle"])
crop = data["crop"]
for changes in (
    {"kind": "face"}, {"coordinates": "3d"}, {"crop": crop | {"hands": "left"}}, {"crop": crop | {"size": "large"}},
    {"crop": crop | {"orientation": "down"}}, {"crop": None}, {"bone": 3}, {"outputs": None}, {"inputs": [1]},
):
    try:
        Contract.from_metadata({"knuckle": json.dumps(data | changes)})
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("has metadata that cannot be used") for line in lines)
    assert 'kind must be "hand", "detector" or "ik" but got \'face\'' in lines[0]


def _entry(**changes) -> dict[str, str]:
    data = json.loads(HAND.to_metadata()[METADATA_KEY])
    return {METADATA_KEY: json.dumps(data | changes)}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, r"must have a contract in its metadata, under 'knuckle', but has none; export its checkpoint"),
        ({METADATA_KEY: "{"}, "has damaged metadata"),
        ({METADATA_KEY: "[1]"}, "has damaged metadata"),
        ({METADATA_KEY: "[" * 100000}, "has damaged metadata"),
        (_entry(version=2), "must have metadata of version 1 but has version 2"),
        (_entry(colour="red"), "metadata that cannot be used .*unknown entries colour"),
        (_entry(crop={"size": 0}), "metadata that cannot be used"),
        (_entry(outputs=["uncertainty"]), "metadata that cannot be used .*outputs must be joints"),
    ],
)
def test_metadata_that_is_not_ours_or_is_damaged(tmp_path, metadata, message):
    path = write_onnx(tmp_path / "net.onnx", HAND, CONSTANTS, metadata=metadata)
    with pytest.raises(ContractError, match=message) as caught:
        HandGraph(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"inputs": ("pictures",)}, "must have the inputs image of its metadata but has pictures; export it again"),
        ({"outputs": ("joints",)}, "must have the outputs joints, left of its metadata but has joints"),
        ({"constants": {"joints": np.zeros((20, 3)), "left": np.array(0.5)}}, r"joints of the shape \(B, 21, 3\)"),
        ({"constants": {"joints": np.zeros((21, 3)), "left": np.zeros(2)}}, r"left of the shape \(B\)"),
        ({"contract": replace(HAND, crop=CropRule(64)), "metadata": HAND.to_metadata()}, r"image of the shape \(B, 32"),
    ],
)
def test_a_graph_and_metadata_that_disagree(tmp_path, graph, message):
    given = {"contract": HAND, "constants": CONSTANTS} | graph
    path = write_onnx(tmp_path / "net.onnx", **given)
    with pytest.raises(ContractError, match=message):
        HandGraph(path)


def test_a_fixed_batch_is_refused(tmp_path):
    model = onnx.load(write_onnx(tmp_path / "net.onnx", HAND, CONSTANTS))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ContractError, match=r"must have image of the shape \(B, 32, 32, 3\) but has \[1, 32"):
        HandGraph(tmp_path / "net.onnx")


def test_files_that_are_no_networks(tmp_path):
    for name, content in (("text.onnx", b"hello"), ("empty.onnx", b""), ("cut.onnx", b"")):
        content = weights_path("hand").read_bytes()[:100_000] if name == "cut.onnx" else content
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ContractError, match=f"{name} must be an ONNX file but cannot be opened as one") as caught:
            HandGraph(tmp_path / name)
        assert "\n" not in str(caught.value)
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(FileNotFoundError, match="must be an existing ONNX file but is not; check the path"):
            HandGraph(path)


def test_a_detector_is_no_hand_network_and_the_other_way_round():
    with pytest.raises(ContractError, match="must be a hand network but is a detector, 'detector'"):
        HandGraph(weights_path("detector"))
    with pytest.raises(ContractError, match="must be a detector but is a hand network, 'shipped'"):
        Predictor(detector=weights_path("hand"))


def test_an_input_that_is_asked_for_must_be_given(tmp_path):
    contract = replace(HAND, inputs=("image", "K"))
    network = HandGraph(write_onnx(tmp_path / "net.onnx", contract, CONSTANTS))
    with pytest.raises(ValueError, match=r"K must be given to .*net\.onnx"):
        network(np.zeros((40, 40, 3), np.uint8), [np.eye(2, 3)])


def test_the_weights_that_ship_keep_their_numbers():
    """On a generated picture. What a processor rounds differently stays far below; a broken network does not."""
    (hand,) = Predictor(threads=1)(read_picture(EXAMPLE))
    assert hand.side == "right"
    assert hand.score == pytest.approx(0.869, abs=0.02)
    assert hand.plausibility == pytest.approx(0.942, abs=0.03)
    tips = [[355.8, 313.7], [389.7, 230.4], [284.9, 138.6], [229.1, 120.5], [195.2, 133.0], [171.3, 177.3]]
    np.testing.assert_allclose(hand.joints_image[[2, 4, 8, 12, 16, 20]], tips, atol=1.0)
    np.testing.assert_allclose(
        hand.joints_camera[[0, 9]], [[0.0159, 0.0915, 0.2657], [0.0062, 0.0082, 0.2759]], atol=2e-3
    )
    np.testing.assert_allclose(hand.joint_uncertainty_mm[[0, 4, 8]], [8.54, 12.91, 10.90], atol=0.5)
    np.testing.assert_allclose(hand.joints_network, hand.joints_camera, atol=0.02)
    bent = [hand.angles[f"{finger}_pip_flexion"] for finger in ("index", "middle", "ring", "little")]
    np.testing.assert_allclose(bent, [-0.007, -0.037, -0.002, 0.05], atol=0.05)


def test_a_device_that_onnx_runtime_lacks_is_named_with_what_to_install(monkeypatch):
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, coreml, directml but got 'tpu'"):
        check_device("tpu")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=r"device cuda .* but it has cpu; install onnxruntime-gpu instead"):
        Predictor(device="cuda")


def test_another_device_comes_first_and_the_processor_computes_the_rest(monkeypatch):
    opened = []
    session = onnxruntime.InferenceSession

    def recorded(path, options, providers, **others):
        opened.append(providers)
        return session(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    Predictor(threads=1, device="cuda")
    # The inverse-kinematics network is done on the processor before another device has its input.
    assert sorted(opened, key=len) == [["CPUExecutionProvider"], there, there]


def test_a_graph_that_gives_other_shapes_than_its_contract_is_named(tmp_path):
    """A graph need not declare shapes; then only running it tells."""
    crop = CropRule(size=64)
    path = write_onnx(tmp_path / "other.onnx", Contract("other", crop=crop), {"joints": np.zeros((5, 3))})
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    graph = HandGraph(path, threads=1)
    with pytest.raises(ContractError, match=r"must give joints as numbers of the shape \(1, 21, 3\) but gives float32"):
        graph(np.zeros((80, 80, 3), np.uint8), [np.eye(2, 3)])
