"""A system unlike those that ship, in one file: pixels and intrinsics in, two stages with a frozen part, dropout, a
rate of its own for one part, and the corners of the held object's box out.

Its one line is `SYSTEMS["toy"] = "toy_system:Toy"`; run as a script, this file is `knuckle` with that line.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.image.augment import AugmentConfig
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.systems import SYSTEMS
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage

_LOSSES = {"joints": 1.0, "corners": 1.0}


@dataclass(frozen=True)
class ToyConfig:
    width: int = 16
    dropout: float = 0.3
    noise: float = 1.0
    batch_norm: bool = True
    crop: CropConfig = field(
        default_factory=lambda: CropConfig(
            size=32,
            patch=48,
            orientation="picture",
            hands="right",
            labels=("object_corners_camera",),
            needs=("joints_camera", "object_corners_camera"),
        )
    )
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(cover=0.0))
    stages: tuple[Stage, ...] = (
        Stage("all", steps=4, batch=4, rates={"": 1e-3, "corners.": 1e-2}, losses=_LOSSES, optimiser="adam"),
        Stage("corners", steps=3, batch=3, rates={"corners.": 1e-3}, losses={"corners": 2.0}, optimiser="sgd"),
    )


class ToyOutput(NamedTuple):
    joints: Tensor  # (B, 21, 3) metres, in the crop camera's frame
    corners: Tensor  # (B, 8, 3)


class ToyNetwork(nn.Module):
    def __init__(self, width: int, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, width, 5, 4, 2), norm, nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()
        )
        self.dropout = nn.Dropout(dropout)
        self.joints = nn.Linear(width + 1, 63)
        self.corners = nn.Sequential(nn.Linear(width + 1, width), nn.ReLU(), nn.Linear(width, 24))

    def forward(self, image: Tensor, K: Tensor) -> ToyOutput:
        """(B, 3, H, W), (B, 3, 3) -> ToyOutput; what is far away has a long focal length and lies at that depth."""
        features = self.dropout(self.trunk(image.float() / 128 - 1).mean((2, 3)))
        features = torch.cat([features, K[:, :1, 0] / 1000], dim=1).float()
        away = features.new_tensor([0.0, 0.0, 0.5])
        return ToyOutput(
            0.1 * self.joints(features).unflatten(1, (21, 3)) + away,
            0.1 * self.corners(features).unflatten(1, (8, 3)) + away,
        )


class Toy:
    def __init__(self, config: ToyConfig | None = None) -> None:
        self._config = config or ToyConfig()

    @property
    def config(self) -> ToyConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    def network(self, pretrained: bool = False) -> nn.Module:
        return ToyNetwork(self._config.width, self._config.dropout, self._config.batch_norm)

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        return Crops(sets, self._config.crop, self._config.augment, cache, ("joints_camera",), advance)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> ToyOutput:
        # Noise of its own, from the generator it is given.
        assert batch.camera is not None
        noise = self._config.noise * torch.randn(len(batch), 1, 1, 1, generator=now.generator)
        return network(batch.image + noise, batch.camera.K)

    def losses(self, output: ToyOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        joints, known = fill_missing(batch.joints_camera, output.joints)
        corners, boxed = fill_missing(batch.object_corners_camera, output.corners)
        return {
            "joints": weighted_mean((output.joints - joints).abs().mean(-1), known),
            "corners": weighted_mean((output.corners - corners).abs().mean(-1), boxed),
        }

    def errors(self, output: ToyOutput, batch: Batch) -> dict[str, Mean]:
        corners, boxed = fill_missing(batch.object_corners_camera, output.corners)
        return {"corners_mm": weighted_mean(1e3 * (output.corners - corners).norm(dim=-1), boxed)}

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        size = self._config.crop.size
        contract = Contract(
            "toy",
            crop=self._config.crop.rule,
            coordinates="metric",
            inputs=("image", "K"),
            outputs=("joints", "corners"),
        )
        inputs = (torch.zeros(2, size, size, 3, dtype=torch.uint8), torch.eye(3).expand(2, 3, 3).contiguous())
        return {"hand": Graph(_Exported(network), inputs, contract)}


class _Exported(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
        output: ToyOutput = self.network(image.permute(0, 3, 1, 2), K)
        return output.joints, output.corners


SYSTEMS["toy"] = "toy_system:Toy"

if __name__ == "__main__":
    from knuckle.cli import main

    sys.exit(main())
