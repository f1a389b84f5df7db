"""From a crop to the 21 joints of a hand and the 8 corners of the box that it holds: points in the picture first, then
a graph network that lifts them into space.

Source: Zhuang and Mu, Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis,
ICMR 2021, section 3.2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from knuckle.camera import viewing_rays
from knuckle.networks.backbone import open_backbone
from knuckle.networks.blocks import Trunk, conv_norm, full_precision, normal_, pixels_to_input, up_to
from knuckle.networks.graph import JOINTS, POINTS, LiftGraph, PointGraph

# The backbone that is not timm's.
OWN = "knuckle"
# Of a depth's logarithm: a seventh to seven times the depth that points begin at.
_FARTHEST = 2.0


class Encoded(NamedTuple):
    """What an encoder finds in a crop."""

    uv: Tensor  # (B, 29, 2) in sides of the crop, from its upper left corner; some lie outside of it
    features: Tensor  # (B, F)
    heat: Tensor | None = None  # (B, 29, h, w) logits over cells, of an encoder with heatmaps


class HandObjectOutput(NamedTuple):
    """The output for each crop. Points: joints 0 to 20, then corners in the order of skeleton.BOX_CORNERS."""

    uv_initial: Tensor  # (B, 29, 2) of the encoder, in sides of the crop
    uv: Tensor  # (B, 29, 2) corrected by the graph in the picture; those that were given, where they were
    initial: Tensor  # (B, 29, 3) metres in the frame of the crop's camera, of the sub-graphs
    points: Tensor  # (B, 29, 3) metres, after the merged graph
    heat: Tensor | None = None
    log_scale: Tensor | None = None  # (B, 29) logarithm of the expected absolute error of a coordinate, metres
    holds: Tensor | None = None  # (B,) logit: the hand holds an object
    category: Tensor | None = None  # (B, C) logits


@dataclass(frozen=True)
class Units:
    """What the lift's numbers mean.

    Attributes:
        focal: points in the picture are those of a camera with this focal length in pixels, from its principal point.
        length: metres of one unit in space.
        depth: metres; where points begin.
        sight_lines: the lift's numbers are no coordinates but, of each point, how far it is from its sight line, in
            such units at a distance of a metre, and the logarithm of its depth over `depth`. What the picture shows
            need not be learned again then.
    """

    focal: float
    length: float
    depth: float = 0.0
    sight_lines: bool = False


@dataclass(frozen=True)
class Heads:
    """What else is learned: `uncertainty` of points, whether the hand `holds` anything, one of `categories`."""

    uncertainty: bool = False
    holds: bool = False
    categories: int = 0


class HandObjectNetwork(nn.Module):
    """An encoder, a graph in the picture, and a graph into space.

    Args:
        backbone: a classifier of timm, whose features a linear layer reads, as the paper has it; "knuckle" for heatmaps
            of a small network, which learn in a fraction of the steps; "" for none: points must be given.
        pretrained: fetch the weights of timm's.
        size: of the crop in pixels.
        lift: see `knuckle.networks.graph.LiftGraph`.
        units: of the lift.
        residual: whether the graph in the picture adds to the encoder's points; see `PointGraph`.
        heads: what else is learned from the encoder's features.

    Raises:
        ValueError: timm has no such backbone; or pretrained or heads with a backbone that has none.
        OSError: its weights cannot be fetched.
    """

    def __init__(
        self,
        backbone: str,
        pretrained: bool,
        size: int,
        lift: LiftGraph,
        units: Units,
        residual: bool = False,
        heads: Heads | None = None,
    ) -> None:
        super().__init__()
        heads = heads or Heads()
        self.size, self.units = size, units
        if pretrained and backbone in ("", OWN):
            raise ValueError(f"pretrained must be off for the backbone {backbone!r}; begin from a checkpoint")
        self.encoder: nn.Module | None = None
        self.graph: PointGraph | None = None
        self.heads: _Heads | None = None
        if backbone:
            encoder = HeatmapEncoder() if backbone == OWN else FeatureEncoder(backbone, pretrained)
            self.encoder, self.graph = encoder, PointGraph(encoder.width, residual=residual)
            if heads != Heads():
                self.heads = _Heads(encoder.width, heads)
        elif heads != Heads():
            raise ValueError(f"heads must be none where there is no backbone but got {heads}")
        self.lift = lift

    def forward(self, image: Tensor | None, K: Tensor, given: Tensor | None = None) -> HandObjectOutput:
        """Finds points, and lifts them or the given ones.

        Args:
            image: (B, 3, H, W) RGB of 0..255; None where there is no encoder.
            K: (B, 3, 3) intrinsics in pixels of the crop.
            given: (B, 29, 2) pixels of the crop; the network's own points are lifted if None.

        Raises:
            ValueError: points are not given to a network without an encoder.
        """
        uv = None if given is None else (given + 0.5) / self.size
        found, heat, extra = uv, None, _Extra(None, None, None)
        if self.encoder is not None and self.graph is not None and image is not None:
            encoded: Encoded = self.encoder(image)
            found, heat = encoded.uv, encoded.heat
            with full_precision(found.device.type):
                corrected = self.graph(found, encoded.features)
                if self.heads is not None:
                    extra = self.heads(encoded.features)
            uv = corrected if uv is None else uv
        if uv is None or found is None:
            raise ValueError("points must be given to a network without a backbone but are None")
        with full_precision(uv.device.type):
            initial, points = self.to_space(uv, K)
        return HandObjectOutput(found, uv, initial, points, heat, *extra)

    def to_space(self, uv: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 29, 2) sides of the crop -> (B, 29, 3) metres before and after the merged graph."""
        units = self.units
        # Pixel centres are at integers.
        rays = viewing_rays(K, uv * self.size - 0.5).float()
        lifted = self.lift(units.focal * rays[..., :2])
        initial, points = (self._placed(found, rays) for found in lifted)
        if self.lift.unet is None and self.lift.hand is None:
            # Joints that are not lifted lie on their sight lines, at the depth of the object.
            flat = rays[:, :JOINTS] * points[:, JOINTS:, 2:].mean(1, keepdim=True)
            initial, points = (torch.cat([flat, found[:, JOINTS:]], dim=1) for found in (initial, points))
        return initial, points

    def _placed(self, lifted: Tensor, rays: Tensor) -> Tensor:
        """Metres of what the lift gives for points on sight lines."""
        units = self.units
        if not units.sight_lines:
            return units.length * lifted + rays.new_tensor([0.0, 0.0, units.depth])
        depth = units.depth * lifted[..., 2:].clamp(-_FARTHEST, _FARTHEST).exp()
        return depth * torch.cat([rays[..., :2] + units.length * lifted[..., :2], torch.ones_like(depth)], dim=-1)


class FeatureEncoder(nn.Module):
    """A classifier of timm; a linear layer reads all points from its features averaged over the crop."""

    def __init__(self, backbone: str, pretrained: bool) -> None:
        super().__init__()
        self.backbone = open_backbone(backbone, pretrained, (OWN,))
        self.width = int(self.backbone.num_features)
        self.head = nn.Linear(self.width, 2 * POINTS)
        # All points begin near the middle of the crop.
        nn.init.normal_(self.head.weight, std=0.03 * self.width**-0.5)
        nn.init.constant_(self.head.bias, 0.5)

    def forward(self, image: Tensor) -> Encoded:
        """(B, 3, H, W) -> Encoded."""
        features = self.backbone(image.float() / 255).float()
        with full_precision(features.device.type):
            return Encoded(self.head(features).unflatten(1, (POINTS, 2)), features)


class HeatmapEncoder(nn.Module):
    """A heatmap for each point over the crop, and how far the point is from each cell: corners may lie outside."""

    def __init__(
        self,
        stem: tuple[int, ...] = (32,),
        widths: tuple[int, ...] = (48, 96, 192),
        blocks: tuple[int, ...] = (1, 2, 2),
        channels: int = 96,
    ) -> None:
        super().__init__()
        self.width = widths[-1]
        self.trunk = Trunk(stem, widths, blocks)
        self.from_fine = nn.Conv2d(widths[-2], channels, 1, bias=False)
        self.from_coarse = conv_norm(widths[-1], channels, kernel=1)
        self.merge = conv_norm(channels, channels)
        self.maps = nn.Conv2d(channels, 3 * POINTS, 1)
        normal_(self.maps, 0.01)

    def forward(self, image: Tensor) -> Encoded:
        """(B, 3, H, W) -> Encoded."""
        features = self.trunk(pixels_to_input(image.permute(0, 2, 3, 1)))
        fine, coarse = features[-2], features[-1]
        merged = functional.relu(self.from_fine(fine) + up_to(self.from_coarse(coarse), fine))
        # Expectations are in float32, as bfloat16 has steps of half a pixel here.
        maps = self.maps(functional.relu(self.merge(merged))).float().unflatten(1, (POINTS, 3))
        heat = maps[:, :, 0]
        rows, columns = heat.shape[-2:]
        across = (torch.arange(columns, device=heat.device) + 0.5) / columns
        down = (torch.arange(rows, device=heat.device) + 0.5) / rows
        weights = heat.flatten(2).softmax(-1).view_as(heat)
        u = (weights * (across + maps[:, :, 1])).sum((2, 3))
        v = (weights * (down[:, None] + maps[:, :, 2])).sum((2, 3))
        return Encoded(torch.stack([u, v], dim=-1), coarse.mean((2, 3)).float(), heat)


class _Extra(NamedTuple):
    log_scale: Tensor | None
    holds: Tensor | None
    category: Tensor | None


class _Heads(nn.Module):
    """Linear layers of the encoder's features; that of the uncertainty leaves the encoder alone."""

    def __init__(self, width: int, heads: Heads) -> None:
        super().__init__()
        self.uncertainty = nn.Linear(width, POINTS) if heads.uncertainty else None
        self.holds = nn.Linear(width, 1) if heads.holds else None
        self.category = nn.Linear(width, heads.categories) if heads.categories else None

    def forward(self, features: Float[Tensor, "b f"]) -> _Extra:
        return _Extra(
            # A centimetre at first.
            None if self.uncertainty is None else self.uncertainty(features.detach()) - 4.6,
            None if self.holds is None else self.holds(features)[:, 0],
            None if self.category is None else self.category(features),
        )
