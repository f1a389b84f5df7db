"""Zimmermann and Brox's networks (ICCV 2017) that the object-aware system builds on: masks, joints' heatmaps, and the
stacked hourglass (Newell et al., ECCV 2016) in the place of the second.

Widths are the source's times a factor; `norm` adds batch normalisation, with which thin networks learn in a fraction of
the steps. Activations leak 0.01; weights begin as Xavier's with biases of 1e-4, as in the source's code.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.networks.blocks import Residual, conv_norm
from knuckle.skeleton import JOINT_NAMES

CELLS = 32  # of the maps, along one side
_JOINTS = len(JOINT_NAMES)
_LEAK = 0.01


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, norm: bool = False) -> nn.Sequential:
    """Convolution, normalisation or a bias, leaky ReLU."""
    if norm:
        return nn.Sequential(conv_norm(inputs, outputs, kernel, stride), nn.LeakyReLU(_LEAK))
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.LeakyReLU(_LEAK))


def as_in_source(module: nn.Module) -> None:
    """Initialises all layers of a module as the source's code does."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 1e-4)


def pixels(image: Tensor) -> Tensor:
    """RGB of 0..255, any dtype, as these networks take it: -0.5 to 0.5."""
    return image.float() / 255.0 - 0.5


class _Trunk(nn.Module):
    """3x3 convolutions in stages, with max pooling between them until the maps have 32 cells."""

    def __init__(self, size: int, stages: tuple[tuple[int, ...], ...], factor: float, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for number, stage in enumerate(stages):
            if number and size > CELLS:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            for width in stage:
                layers.append(conv(channels, scaled(width, factor), norm=norm))
                channels = scaled(width, factor)
        if size != CELLS:
            raise ValueError(f"size of the crop must be 32 times 1, 2, 4 or 8 but leads to maps of {size} cells")
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def scaled(width: int, factor: float) -> int:
    """Channels: a source's number times a factor, at least 4."""
    return max(round(width * factor), 4)


class HandSegNet(nn.Module):
    """The encoder of masks: features, and from them the masks of what is seen directly.

    Args:
        size: pixels along one side of the crop.
        factor: of the widths.
        norm: see the module.
    """

    def __init__(self, size: int = 256, factor: float = 1.0, norm: bool = False) -> None:
        super().__init__()
        stages = ((64, 64), (128, 128), (256,) * 4, (512,) * 5 + (128,))
        self.trunk = _Trunk(size, stages, factor, norm)
        self.channels = scaled(512, factor)
        self.features = conv(scaled(128, factor), self.channels, 1, norm=norm)
        self.masks = nn.Conv2d(self.channels, 2, 1)
        self.size = size
        as_in_source(self)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, size, size) of -0.5..0.5 -> features (B, channels, 32, 32); logits (B, 2, size, size) of the whole
        hand and of its visible part."""
        features = self.features(self.trunk(image))
        logits = functional.interpolate(
            self.masks(features), size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        return features, logits


class PoseNet(nn.Module):
    """Heatmaps of 21 joints from convolutions, refined twice (Convolutional Pose Machines).

    Args: see `HandSegNet`.
    """

    def __init__(self, size: int = 256, factor: float = 1.0, norm: bool = False) -> None:
        super().__init__()
        stages = ((64, 64), (128, 128), (256,) * 4, (512, 512, 256, 256, 256, 256, 128))
        self.trunk = _Trunk(size, stages, factor, norm)
        inner, wide = scaled(128, factor), scaled(512, factor)
        self.first = nn.Sequential(conv(inner, wide, 1, norm=norm), nn.Conv2d(wide, _JOINTS, 1))
        self.refine = nn.ModuleList()
        for _ in range(2):
            layers: list[nn.Module] = [
                conv(inner + _JOINTS if i == 0 else inner, inner, 7, norm=norm) for i in range(5)
            ]
            self.refine.append(nn.Sequential(*layers, conv(inner, inner, 1, norm=norm), nn.Conv2d(inner, _JOINTS, 1)))
        as_in_source(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, size, size) of -0.5..0.5 -> maps (B, 21, 32, 32) of each stage, the best last."""
        features = self.trunk(image)
        maps = [self.first(features)]
        for stage in self.refine:
            maps.append(stage(torch.cat([maps[-1], features], dim=1)))
        return maps


class StackedHourglass(nn.Module):
    """Heatmaps of 21 joints from hourglasses, each of which sees features and maps of the one before.

    Args:
        size, factor: see `HandSegNet`; it is normalised always.
        stacks: hourglasses.
        depth: halvings of the resolution in each.
    """

    def __init__(self, size: int = 256, factor: float = 1.0, stacks: int = 2, depth: int = 3) -> None:
        super().__init__()
        width = scaled(256, factor)
        self.trunk = _Trunk(size, ((64,), (128,), (128, 128), (256, 256)), factor, True)
        self.glasses = nn.ModuleList(_Hourglass(width, depth) for _ in range(stacks))
        self.heads = nn.ModuleList(nn.Conv2d(width, _JOINTS, 1) for _ in range(stacks))
        self.back = nn.ModuleList(nn.Conv2d(width + _JOINTS, width, 1) for _ in range(stacks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """See `PoseNet`."""
        features, maps = self.trunk(image), []
        for number, glass in enumerate(self.glasses):
            seen = glass(features)
            maps.append(self.heads[number](seen))
            if number < len(self.back):
                features = features + self.back[number](torch.cat([seen, maps[-1]], dim=1))
        return maps


class _Hourglass(nn.Module):
    """Down to a fraction of the resolution and up again, with what was left out added at each."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.around, self.down = Residual(width, width), Residual(width, width)
        self.inner = _Hourglass(width, depth - 1) if depth > 1 else Residual(width, width)
        self.up = Residual(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same."""
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.around(x) + functional.interpolate(low, size=x.shape[-2:], mode="nearest")


JointNetwork = Literal["posenet", "hourglass"]


def joint_network(name: JointNetwork, size: int, factor: float, norm: bool) -> nn.Module:
    """The network of heatmaps by its name."""
    return PoseNet(size, factor, norm) if name == "posenet" else StackedHourglass(size, factor)
