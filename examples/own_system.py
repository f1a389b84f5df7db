"""A system of your own: a network and its losses, which knuckle trains, exports, runs and evaluates.

    python examples/own_system.py train plain --data pictures --out runs/plain --minutes 10
    python examples/own_system.py export runs/plain/step-0001000 --out plain.onnx
    knuckle predict photo.jpg --out hands --model plain.onnx

This script is the command `knuckle` with one system more. The network is small, to be read: convolutions, and from
their mean 21 joints in metres, in the frame of the crop's camera.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.cli import main
from knuckle.datasets.sets import DataSet
from knuckle.image.augment import AugmentConfig
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.systems import SYSTEMS
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage


@dataclass(frozen=True)
class PlainConfig:
    """Everything that determines a training; `--set width=64` changes an entry, and checkpoints hold it."""

    width: int = 32
    # Crops of 64 pixels, left hands mirrored; hands without joints in space are left out.
    crop: CropConfig = field(
        default_factory=lambda: CropConfig(size=64, patch=96, hands="right", needs=("joints_camera",))
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = (Stage("all", steps=1000, batch=32, rates={"": 1e-3}, losses={"joints": 1.0}),)


class PlainOutput(NamedTuple):
    joints: Tensor  # (B, 21, 3) metres, in the crop camera's frame


class PlainNetwork(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(4 * width + 1, 63)

    def forward(self, image: Tensor, K: Tensor) -> PlainOutput:
        """(B, 3, H, W) pixels of 0 to 255 and the crop camera's (B, 3, 3) intrinsics -> joints."""
        features = self.trunk(image.float() / 128 - 1).mean((2, 3))
        # What is far away is seen, in its crop, by a long focal length.
        focal = K[:, 0, 0, None] / image.shape[-1]
        offsets = self.head(torch.cat([features, focal.log()], dim=1)).float().unflatten(1, (21, 3))
        depth = 0.3 * focal[..., None] * offsets.new_tensor([0.0, 0.0, 1.0])
        return PlainOutput(0.1 * offsets + depth)


class Plain:
    """The system: stateless, made from its configuration; `knuckle.systems.system` says what each member must do."""

    def __init__(self, config: PlainConfig | None = None) -> None:
        self._config = config or PlainConfig()

    @property
    def config(self) -> PlainConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    def network(self, pretrained: bool = False) -> nn.Module:
        return PlainNetwork(self._config.width)

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        return Crops(sets, self._config.crop, self._config.augment, cache, ("joints_camera",), advance)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> PlainOutput:
        assert batch.camera is not None
        return network(batch.image, batch.camera.K)

    def losses(self, output: PlainOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        # Labels that are missing count for nothing: where there is none, `known` is False.
        joints, known = fill_missing(batch.joints_camera, output.joints)
        return {"joints": weighted_mean((output.joints - joints).abs().mean(-1), known)}

    def errors(self, output: PlainOutput, batch: Batch) -> dict[str, Mean]:
        joints, known = fill_missing(batch.joints_camera, output.joints)
        wrist = (output.joints - joints)[:, :1]
        return {"joints_mm": weighted_mean(1e3 * (output.joints - joints - wrist).norm(dim=-1), known)}

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        size = self._config.crop.size
        crop = self._config.crop.rule
        contract = Contract("plain", crop=crop, coordinates="metric", inputs=("image", "K"), outputs=("joints",))
        inputs = (torch.zeros(2, size, size, 3, dtype=torch.uint8), torch.eye(3).expand(2, 3, 3).contiguous())
        return {"hand": Graph(_Exported(network), inputs, contract)}


class _Exported(nn.Module):
    """The network as it is exported: pixels as pictures have them, (B, H, W, 3), and a tuple of outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, K: Tensor) -> tuple[Tensor]:
        return (self.network(image.permute(0, 3, 1, 2), K).joints,)


SYSTEMS["plain"] = "own_system:Plain"  # module and class

if __name__ == "__main__":
    sys.exit(main())
