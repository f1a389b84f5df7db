"""What is fuzzed of networks, checkpoints, and hands: ONNX files, safetensors, configurations, MANO, limits, people."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from fuzz.target import Target, as_json, joints, saved
from known_networks import write_onnx
from knuckle.export.fits import FittedHands
from knuckle.gestures import Gestures
from knuckle.handmodel import HandModel, human_limits
from knuckle.handmodel.asset import load_asset
from knuckle.handmodel.mano import load_mano
from knuckle.handmodel.ranges import HandLimits
from knuckle.predict.contract import METADATA_KEY, Contract, CropRule
from knuckle.predict.person import read_person
from knuckle.retarget import RobotHand
from mano_fixture import mano_arrays, write_mano_pickle
from robot_fixture import urdf

_PICTURE = np.zeros((40, 60, 3), np.uint8)
_IK = Contract("x", kind="ik", inputs=("joints",), outputs=("angles", "shape"))
_DETECTOR = Contract("x", kind="detector", crop=CropRule(size=32), outputs=("maps",))


def _onnx(contract: Contract, constants: dict[str, np.ndarray]) -> Callable[[], list[bytes]]:
    def written() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return [write_onnx(Path(folder) / "n.onnx", contract, constants).read_bytes()]

    return written


def _run_network(path: Path) -> object:
    from knuckle.predict.network import HandGraph

    return HandGraph(path, threads=1)(_PICTURE, [np.eye(2, 3)])


def _run_detector(path: Path) -> object:
    from knuckle.predict.network import DetectorGraph

    return DetectorGraph(path, threads=1)(_PICTURE, 0.5, 4)


def _run_ik(path: Path) -> object:
    from knuckle.predict.ik import IKGraph

    return IKGraph(path, _hand())(joints())


@cache
def _hand() -> HandModel:
    return HandModel.open()


def _checkpoint() -> dict[str, bytes]:
    import torch

    from knuckle.train import checkpoint

    with tempfile.TemporaryDirectory() as folder:
        about = {"system": "shipped", "config": {}, "step": 1}
        made = checkpoint.save(Path(folder), 1, about, {"a": torch.zeros(3), "b": torch.ones(2, 2)}, {})
        return {file.name: file.read_bytes() for file in made.iterdir()}


@cache
def _small_network() -> dict[str, bytes]:
    """A whole checkpoint of a network that is built in milliseconds."""
    from knuckle.systems import open_system
    from knuckle.systems.config import to_json
    from knuckle.train import checkpoint

    small = ["stem=[8]", "widths=[8, 16, 16]", "blocks=[1, 1, 1]", "width=16", "layers=1", "crop.size=32"]
    system = open_system("shipped", settings=[*small, "crop.patch=48"])
    about = {"system": "shipped", "config": to_json(system.config), "step": 1}
    with tempfile.TemporaryDirectory() as folder:
        made = checkpoint.save(Path(folder), 1, about, dict(system.network().state_dict()), {})
        return {file.name: file.read_bytes() for file in made.iterdir()}


def _read_checkpoint(path: Path) -> object:
    from knuckle.train import checkpoint

    return checkpoint.load(path.parent)


def _build_network(path: Path) -> object:
    from knuckle.train.export import open_checkpoint

    return open_checkpoint(path.parent)


def _contract(path: Path) -> object:
    return Contract.from_metadata({METADATA_KEY: path.read_bytes().decode("utf-8", "replace")})


def _mano() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_mano_pickle(Path(folder) / "m.pkl", mano_arrays(np.random.default_rng(0), left=False))
        return [(Path(folder) / "m.pkl").read_bytes()]


def _mano_npz() -> list[bytes]:
    arrays = mano_arrays(np.random.default_rng(0), left=False)
    return [saved(lambda f: np.savez_compressed(f, allow_pickle=False, **arrays))]


def _written(name: str, save: Callable[[Path], object]) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / name)
        return [(Path(folder) / name).read_bytes()]


def _asset() -> list[bytes]:
    import knuckle.handmodel

    return [(Path(knuckle.handmodel.__file__).parent / "data" / "open_hand.npz").read_bytes()]


def _fits() -> list[bytes]:
    arrays = {"side": np.array("left"), "angles": np.zeros((1, 2)), "angle_names": np.array(["a", "b"])}
    arrays |= {"shape": np.zeros((1, 2)), "shape_names": np.array(["a", "b"]), "rotation": np.eye(3)[None]}
    arrays |= {"translation": np.zeros((1, 3)), "joints": joints()[:1], "error_mm": np.zeros(1)}
    return [saved(lambda f: np.savez(f, **arrays))]


def _gestures() -> list[bytes]:
    learned = Gestures.learn({"one": np.zeros((2, 23)), "two": np.ones((1, 23))})
    return _written("g.json", learned.save)


def _people() -> list[bytes]:
    return as_json({"shape": [0.1] * 10}, {"shape": dict.fromkeys(_hand().shape_names, 0.2)})


MODELS = {
    "contract": Target("x.json", lambda: [Contract("x").to_metadata()[METADATA_KEY].encode()], _contract),
    "onnx": Target("x.onnx", _onnx(Contract("x"), {"joints": joints()[0]}), _run_network),
    "onnx, a detector": Target("x.onnx", _onnx(_DETECTOR, {"maps": np.zeros((8, 4, 4))}), _run_detector),
    "onnx, kinematics": Target("x.onnx", _onnx(_IK, {"angles": np.zeros(23), "shape": np.zeros(10)}), _run_ik),
    "checkpoint config": Target("config.json", lambda: [_checkpoint()["config.json"]], _read_checkpoint, _checkpoint),
    "checkpoint weights": Target(
        "weights.safetensors", lambda: [_checkpoint()["weights.safetensors"]], _read_checkpoint, _checkpoint
    ),
    "checkpoint network": Target(
        "config.json", lambda: [_small_network()["config.json"]], _build_network, _small_network
    ),
    "mano": Target("x.pkl", _mano, load_mano),
    "mano.npz": Target("x.npz", _mano_npz, load_mano),
    "hand asset": Target("x.npz", _asset, load_asset),
    "limits": Target("x.npz", lambda: _written("l.npz", human_limits().save), HandLimits.load),
    "person": Target("x.json", _people, lambda path: read_person(path, _hand())),
    "fits": Target("x.npz", _fits, FittedHands.read_npz),
    "gestures": Target("x.json", _gestures, Gestures.load),
    "urdf": Target("x.urdf", lambda: [urdf().encode(), urdf(mimic=True).encode()], RobotHand.load),
}
