"""A pre-activation hourglass: features and heatmaps at a quarter of the crop's resolution that see the whole of it.

Source: Newell et al., Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016, with one stack, in the variant
of Ge et al., 3D Hand Shape and Pose Estimation from a Single RGB Image, CVPR 2019, with which Li et al. (AAAI 2021)
begin.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.geometry.heatmap import soft_argmax_2d
from knuckle.networks.blocks import conv_norm, up_to


class HourglassOutput(NamedTuple):
    """The output for each crop."""

    features: Tensor  # (B, width, h, w)
    heat: Tensor  # (B, points, h, w) logits over the cells
    uv: Tensor  # (B, points, 2) in sides of the crop, from its upper left corner


class HourglassNetwork(nn.Module):
    """Stem, one hourglass, and a heatmap for each point.

    Args:
        points: how many.
        width: channels of the hourglass, a multiple of 8; the stem has a quarter and a half of them.
        depth: how often the hourglass halves the resolution.
        blocks: residual blocks at each of its positions.
        size: of the crop in pixels, a multiple of 4 * 2 ** depth.

    Raises:
        ValueError: a number is not as described here.
    """

    def __init__(self, points: int, width: int = 256, depth: int = 4, blocks: int = 2, size: int = 256) -> None:
        super().__init__()
        if points < 1 or depth < 1 or blocks < 1 or width < 8 or width % 8:
            raise ValueError(
                "points, depth and blocks must be at least 1, width a multiple of 8, but got "
                f"{points}, {depth}, {blocks}, {width}"
            )
        if size < 1 or size % (4 * 2**depth):
            raise ValueError(
                f"the crop's size must be a multiple of {4 * 2**depth} for an hourglass of depth {depth} but got {size}"
            )
        self.stem = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width // 4, 7, 2, 3, bias=False), nn.BatchNorm2d(width // 4)),
            nn.ReLU(),
            Bottleneck(width // 4, width // 2),
            nn.MaxPool2d(2),
            Bottleneck(width // 2, width // 2),
            Bottleneck(width // 2, width),
        )
        self.hourglass = Hourglass(width, depth, blocks)
        after = [Bottleneck(width, width) for _ in range(blocks)]
        self.after = nn.Sequential(*after, conv_norm(width, width, kernel=1), nn.ReLU())
        self.heat = nn.Conv2d(width, points, 1)
        self.expect = SoftArgmax(points)

    def forward(self, image: Tensor) -> HourglassOutput:
        """(B, 3, H, W) RGB of 0..255 -> HourglassOutput."""
        features = self.after(self.hourglass(self.stem(image.float() / 255)))
        heat = self.expect.sharpened(self.heat(features))
        return HourglassOutput(features, heat, expected_place(heat))


class Hourglass(nn.Module):
    """Half the resolution on one side, all of it on the other, and their sum; the half is an hourglass again."""

    def __init__(self, width: int, depth: int, blocks: int) -> None:
        super().__init__()

        def row() -> nn.Sequential:
            return nn.Sequential(*(Bottleneck(width, width) for _ in range(blocks)))

        self.around, self.down, self.up = row(), row(), row()
        self.inner = Hourglass(width, depth - 1, blocks) if depth > 1 else row()

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W), likewise out."""
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.around(x) + up_to(low, x)


class Bottleneck(nn.Module):
    """A residual of three convolutions, each after its normalisation and activation; the middle one is half as wide."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, half, 1)),
            *(nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, half, 3, padding=1)),
            *(nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, outputs, 1)),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        return self.skip(x) + self.layers(x)


class SoftArgmax(nn.Module):
    """A learned factor on each point's logits, which makes its heatmap sharper or flatter.

    Note:
        The factors begin at 1. The authors' code draws them from -1 to 1, so that some heatmaps begin inverted.
    """

    def __init__(self, points: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(points))

    def sharpened(self, logits: Tensor) -> Tensor:
        """(B, points, h, w), likewise out, in float32: bfloat16 has steps of half a cell in their expectations."""
        return logits.float() * self.sharpness[:, None, None]


def expected_place(heat: Tensor) -> Tensor:
    """The expected place under the softmax of logits (..., h, w): (..., 2) in sides of the map, cells at their centres.

    Note:
        The authors' code multiplies the cell's index by 4, which is the place of the cell's upper left pixel.
    """
    rows, columns = heat.shape[-2:]
    return (soft_argmax_2d(heat) + 0.5) / heat.new_tensor([float(columns), float(rows)])
