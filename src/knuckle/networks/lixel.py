"""From a crop to 21 joints and the vertices of a mesh, each coordinate the expectation of a 1D heatmap (of lixels).

Two networks in a row: the first finds the joints; the second sees them, as Gaussians in a volume, beside early features
of the first, and finds the vertices. As published by Moon and Lee, or with the light parts of Fan and Wang.

Source: Moon and Lee, I2L-MeshNet, ECCV 2020; Fan and Wang, Lightweight Estimation of Hand Mesh and Biomechanically
Feasible Kinematic Parameters, 2023, section 3.2 and Figure 3.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from knuckle.geometry.heatmap import gaussian_1d, soft_argmax_1d
from knuckle.networks.backbone import SectionedBackbone
from knuckle.networks.blocks import BatchNorm, conv_norm
from knuckle.skeleton import JOINT_NAMES

# How resolution is doubled: by a full transposed convolution, or as in the columns of Fan and Wang's Figure 3.
Decoder = Literal["original", "A", "B", "C"]

# Channels of the decoders' maps, and by how much squeeze-and-excitation narrows: 16 fits the published parameters.
_WIDTH = 256
_SQUEEZE = 16


class LixelOutput(NamedTuple):
    """The output for each crop, in bins: x and y along its sides, z in depth; knuckle.geometry.heatmap decodes them."""

    joints: Tensor  # (B, 21, 3)
    vertices: Tensor  # (B, V, 3)


class LixelNetwork(nn.Module):
    """Two backbones with a lixel head each, and what joins them.

    Args:
        vertices: how many the mesh has.
        backbone: a ResNet or an EfficientNet of timm, which is used twice.
        decoder: "original" for Moon and Lee's layers, "A", "B" or "C" for Fan and Wang's; see `upsampling`.
        size: of the crop in pixels, a multiple of 32; coordinates are in a quarter as many bins.
        sigma: standard deviation of the joints' Gaussians in bins.
        fine_mesh: whether the aggregation of "A", "B" or "C" doubles the resolution, as Fan and Wang's; without it the
            original's serves, in about half the time.
        pretrained: fetch the weights of the backbones.

    Raises:
        ValueError: the backbone is unknown or of another family, or a number is not as described here.
        OSError: its weights cannot be fetched.

    Note:
        The second backbone is entered behind its first section, whose parameters belong to it all the same, as
        published. Fan and Wang's aggregations double the resolution, so that all maps of the mesh are twice as fine; so
        we read the published costs, which the text does not explain otherwise: see docs/mesh.md.
    """

    def __init__(
        self,
        vertices: int,
        backbone: str = "efficientnet_b0",
        decoder: Decoder = "C",
        size: int = 256,
        sigma: float = 2.5,
        fine_mesh: bool = True,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if vertices < 1 or size < 32 or size % 32 or sigma <= 0:
            raise ValueError(
                f"vertices and sigma must be above 0, size a multiple of 32, but got {vertices}, {sigma}, {size}"
            )
        self.bins, self.sigma = size // 4, sigma
        joints = len(JOINT_NAMES)
        self.pose_backbone = SectionedBackbone(backbone, pretrained)
        self.pose_head = LixelHead(self.pose_backbone.channels, joints, self.bins, decoder)
        self.mesh_backbone = SectionedBackbone(backbone, pretrained)
        width = self.pose_backbone.early_channels
        given = width + joints * self.bins
        if decoder == "original" or not fine_mesh:
            self.aggregation = nn.Sequential(
                nn.Conv2d(given, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
            )
        else:
            self.aggregation = upsampling(given, width, decoder)
        self.mesh_head = LixelHead(self.mesh_backbone.channels, vertices, self.bins, decoder)

    def forward(self, image: Tensor) -> LixelOutput:
        """(B, 3, H, W) RGB of 0..255 -> LixelOutput."""
        early, features = self.pose_backbone(image.float() / 255)
        joints = self.pose_head(features)
        volume = joint_volume(joints.detach(), self.bins, self.sigma).to(early.dtype)
        joined = self.aggregation(torch.cat([early, volume], dim=1))
        return LixelOutput(joints, self.mesh_head(self.mesh_backbone.late(joined)))

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over the weights of a network with another decoder: all but those of its layers that upsample.

        Raises:
            ValueError: they are of another backbone, size or mesh.
        """
        own = self.state_dict()
        kept = {name: value for name, value in own.items() if ".upsampled." in name}
        given = {name: value for name, value in weights.items() if ".upsampled." not in name}
        try:
            self.load_state_dict(kept | given)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:300]
            raise ValueError(f"the weights must be of the same backbone, size and mesh but are not: {first}") from error


class LixelHead(nn.Module):
    """From features to points: three 1D heatmaps each, and their expectations.

    x and y come from maps of eight times the features' resolution, averaged along their columns and rows; z from the
    average of the features alone.

    Args:
        inputs: channels of the features.
        points: how many.
        bins: of a heatmap in depth, and what all coordinates are counted in, however fine the maps are.
        decoder: see `LixelNetwork`.
    """

    def __init__(self, inputs: int, points: int, bins: int, decoder: Decoder) -> None:
        super().__init__()
        self.bins = bins
        self.upsampled = nn.Sequential(
            upsampling(inputs, _WIDTH, decoder),
            upsampling(_WIDTH, _WIDTH, decoder),
            upsampling(_WIDTH, _WIDTH, decoder),
        )
        self.deep = nn.Sequential(nn.Linear(inputs, _WIDTH * bins), BatchNorm(_WIDTH * bins), nn.ReLU(inplace=True))
        self.x, self.y, self.z = (nn.Conv1d(_WIDTH, points, 1) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, points, 3) x, y, z in bins."""
        maps = self.upsampled(features)
        deep = self.deep(features.mean((2, 3))).unflatten(1, (_WIDTH, self.bins))
        heatmaps = (self.x(maps.mean(2)), self.y(maps.mean(3)), self.z(deep))
        # bfloat16 has steps of a quarter of a bin here.
        return torch.stack([soft_argmax_1d(h.float()) * (self.bins / h.shape[-1]) for h in heatmaps], dim=-1)


def upsampling(inputs: int, outputs: int, decoder: Decoder) -> nn.Sequential:
    """Layers (B, inputs, H, W) -> (B, outputs, 2 H, 2 W).

    Args:
        inputs, outputs: channels.
        decoder: "original" for a transposed convolution; "A" for a depthwise one and a pointwise convolution; "B" for
            these with squeeze-and-excitation in between; "C" for a depthwise one and squeeze-and-excitation, with a
            pointwise convolution in between only where the number of channels changes.

    Note:
        Batch normalisation and ReLU follow every convolution; where Fan and Wang have them is not printed.
    """
    if decoder == "original":
        return nn.Sequential(*_transposed(inputs, outputs, groups=1))
    layers = _transposed(inputs, inputs, groups=inputs)
    if decoder == "B":
        layers.append(SqueezeExcitation(inputs))
    if decoder != "C" or inputs != outputs:
        layers += [conv_norm(inputs, outputs, kernel=1), nn.ReLU(inplace=True)]
    if decoder == "C":
        layers.append(SqueezeExcitation(outputs))
    return nn.Sequential(*layers)


class DepthwiseTransposed(nn.ConvTranspose2d):
    """A transposed convolution of each channel by itself that doubles the resolution.

    On a CPU in bfloat16, where PyTorch's own takes up to twenty times longer, its four interleaved parts are computed
    as convolutions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, channels, H, W) -> (B, channels, 2 H, 2 W)."""
        if input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input, output_size)
        parts = []
        # Every other row and column: of an input's row the kernel's rows 1 and 3 make the even one, 2 and 0 the odd.
        for row in (0, 1):
            for column in (0, 1):
                kernel = self.weight[:, :, [3 - row, 1 - row]][..., [3 - column, 1 - column]]
                padded = nn.functional.pad(input, (1 - column, column, 1 - row, row))
                parts.append(nn.functional.conv2d(padded, kernel, groups=self.groups))
        return nn.functional.pixel_shuffle(torch.stack(parts, 2).flatten(1, 2), 2)


def _transposed(inputs: int, outputs: int, groups: int) -> list[nn.Module]:
    if groups > 1:
        conv = DepthwiseTransposed(inputs)
    else:
        conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class SqueezeExcitation(nn.Module):
    """Weighs each channel by a factor of 0 to 1 that depends on the means of all.

    Source: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // _SQUEEZE, 1)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, narrow, 1), nn.ReLU(inplace=True), nn.Conv2d(narrow, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W), likewise out."""
        return x * self.weigh(x.mean((2, 3), keepdim=True))


def joint_volume(joints: Tensor, bins: int, sigma: float) -> Tensor:
    """A Gaussian of height one about each joint in a volume of bins, its slices in depth stored as channels.

    Args:
        joints: (B, J, 3) x, y, z in bins.
        bins: along each side.
        sigma: standard deviation in bins.

    Returns:
        (B, J * bins, bins, bins) by joint and z, then y and x.
    """
    x, y, z = (gaussian_1d(joints[..., axis], bins, sigma) for axis in range(3))
    plane = y[..., :, None] * x[..., None, :]
    return (z[..., :, None, None] * plane[..., None, :, :]).flatten(1, 2)
