"""A system without pictures trains by the same loop: joints in, angles of the fingers out."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.handmodel import HandModel
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.sample import Sample, collate
from knuckle.systems.shipped import ShippedConfig
from knuckle.systems.system import Part, Stage
from knuckle.train.checkpoint import load
from knuckle.train.loop import TrainConfig, train


class Poses:
    """The source: samples that have joints and nothing else."""

    def __init__(self, sets: list[DataSet]) -> None:
        self._hands = [pair for data in sets for pair in data.hands()]
        self.parts = [Part("poses", len(self._hands))]

    def __len__(self) -> int:
        return len(self._hands)

    def group(self, index: int) -> str:
        return self._hands[index][1]

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        return self._hands[index][0]

    def collate(self, samples):
        return collate(samples)


class Lengths(NamedTuple):
    lengths: Tensor  # (B, 20) of the bones, metres


class BoneLengths:
    """Bone lengths from joints: something that a few linear layers learn quickly."""

    config = ShippedConfig()  # any dataclass

    stages = (Stage(steps=60, batch=16, rates={"": 1e-2}, losses={"l1": 1.0}),)

    def network(self, pretrained: bool = False) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(63, 32), nn.Tanh(), nn.Linear(32, 1))

    def source(self, sets, cache, advance):
        return Poses(sets)

    def forward(self, network, batch, now) -> Lengths:
        joints = batch.joints_camera - batch.joints_camera[:, :1]
        return Lengths(network(10 * joints))

    def losses(self, output, batch, now) -> dict[str, Mean]:
        reach = (batch.joints_camera[:, 12] - batch.joints_camera[:, 0]).norm(dim=-1, keepdim=True)
        reach, known = fill_missing(reach, output.lengths)
        return {"l1": weighted_mean((output.lengths - reach).abs().mean(-1), known)}

    def errors(self, output, batch) -> dict[str, Mean]:
        return {}

    def graphs(self, network) -> dict:
        return {}


@pytest.fixture
def arrays(tmp_path):
    rng, model = np.random.default_rng(0), HandModel.open()
    joints = np.asarray(model.joints(rng.uniform(0.0, 1.2, (64, 23))))
    joints = joints + np.array([0.0, 0.0, 0.5])
    folder = tmp_path / "poses"
    folder.mkdir()
    np.save(folder / "joints.npy", joints)
    return f"arrays:{folder}"


def test_poses_without_pictures_are_learned(arrays, tmp_path):
    system, numbers = BoneLengths(), []
    source = system.source([DataSet(parse_spec(arrays))], tmp_path, lambda name, count: None)
    config = TrainConfig(log_every=20, save_every=1000)
    straight = train(system, source, tmp_path / "a", config, report=numbers.append)
    assert numbers[-1]["loss"] < 0.3 * numbers[0]["loss"]
    train(system, source, tmp_path / "b", config, stop_after=30)
    resumed = load(train(system, source, tmp_path / "b", config))
    for name, values in load(straight).weights.items():
        assert torch.equal(values, resumed.weights[name])
