"""Gao et al.'s whole network: a crop, the mask of the whole hand, a crop around that, heatmaps, and the pose in space.

It has the parts that it is asked for: masks, heatmaps, the lift from heatmaps into space, or all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.camera import viewing_rays
from knuckle.geometry.heatmap import map_peaks
from knuckle.networks.categories import Categories
from knuckle.networks.mask_crop import cut_square, out_of_square, square_of_mask
from knuckle.networks.pose_prior import PosePrior, Viewpoint
from knuckle.networks.variational import GaussianLatent, MaskDecoder, sampled
from knuckle.networks.zimmermann import CELLS, HandSegNet, JointNetwork, joint_network, pixels

_POOLED = 8  # cells along one side of the features that the mask's code is computed from


@dataclass(frozen=True)
class ObjectAwareSizes:
    """What is built.

    Attributes:
        parts: of "masks", "joints" and "lift".
        size: of the crop in pixels.
        factor: of all widths of convolutions, 1 for the source's.
        norm: see `knuckle.networks.zimmermann`.
        joints: which network of heatmaps.
        mask_latent: size of the code that masks are decoded from; 0 computes them directly, as HandSegNet does.
        pose_latent, bypass: see `knuckle.networks.pose_prior.PosePrior`.
        clusters, categories: see `knuckle.networks.categories.Categories`.
    """

    parts: tuple[str, ...] = ("masks", "joints", "lift")
    size: int = 256
    factor: float = 1.0
    norm: bool = False
    joints: JointNetwork = "posenet"
    mask_latent: int = 256
    pose_latent: int = 256
    bypass: bool = False
    clusters: int = 5
    categories: int = 4


class Masks(NamedTuple):
    """Masks of the crop, and the code of the whole hand's."""

    complete: Tensor  # (B, S, S) logits of the whole hand, as if nothing lay before it
    visible: Tensor  # (B, S, S) logits of what is seen of it
    mean: Tensor | None  # (B, D)
    log_variance: Tensor | None  # (B, D)


class Pose(NamedTuple):
    """The pose in space, in lengths of the reference bone."""

    canonical: Tensor  # (B, 21, 3) see `knuckle.networks.pose_prior.PriorOutput`
    rotation: Tensor  # (B, 3, 3) for points as rows
    mean: Tensor  # (B, D)
    log_variance: Tensor | None  # (B, D)


class MaskNetwork(nn.Module):
    """HandSegNet, and the variational code and decoder behind it.

    Args: see `ObjectAwareSizes`.
    """

    def __init__(self, size: int, factor: float, norm: bool, latent: int) -> None:
        super().__init__()
        self.encoder = HandSegNet(size, factor, norm)
        self.latent = GaussianLatent(self.encoder.channels * _POOLED**2, latent) if latent else None
        self.decoder = MaskDecoder(latent, size, max(round(256 * factor), 32)) if latent else None

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Masks:
        """(B, 3, S, S) of -0.5..0.5 -> Masks; codes are drawn with the generator, and are their means without."""
        features, direct = self.encoder(image)
        complete, visible = direct.unbind(1)
        if self.latent is None or self.decoder is None:
            return Masks(complete, visible, None, None)
        pooled = functional.avg_pool2d(features, CELLS // _POOLED)
        mean, log_variance = self.latent(pooled.flatten(1))
        return Masks(self.decoder(sampled(mean, log_variance, generator)), visible, mean, log_variance)


class PoseLift(nn.Module):
    """From heatmaps into space: the pose, its viewpoint, and what its code says of the held object's category.

    Args: see `ObjectAwareSizes`.
    """

    def __init__(self, s: ObjectAwareSizes) -> None:
        super().__init__()
        self.prior = PosePrior(s.pose_latent, s.bypass, s.factor, norm=s.norm)
        self.viewpoint = Viewpoint(s.factor, norm=s.norm)
        self.categories = Categories(s.categories, self.prior.code_size, s.clusters)

    def forward(self, maps: Tensor, side: Tensor, generator: torch.Generator | None = None) -> Pose:
        """Heatmaps (B, 21, 32, 32) and sides (B, 2) -> Pose; codes are drawn with the generator, else their means."""
        prior = self.prior(maps, side, generator)
        return Pose(prior.canonical.float(), self.viewpoint(maps, side), prior.mean, prior.log_variance)


class ObjectAwareNetwork(nn.Module):
    """All of it; see the module. Checkpoints of some parts fit into a network that has more."""

    def __init__(self, sizes: ObjectAwareSizes) -> None:
        super().__init__()
        s = self.sizes = sizes
        if unknown := set(s.parts) - {"masks", "joints", "lift"}:
            raise ValueError(f"parts must be of masks, joints and lift but got {', '.join(sorted(unknown))}")
        if "masks" in s.parts:
            self.masks = MaskNetwork(s.size, s.factor, s.norm, s.mask_latent)
        if "joints" in s.parts:
            self.joints = joint_network(s.joints, s.size, s.factor, s.norm)
        if "lift" in s.parts:
            self.lift = PoseLift(s)

    def masks_of(self, image: Tensor, generator: torch.Generator | None = None) -> Masks:
        """(B, 3, S, S) RGB of 0..255 -> Masks."""
        return self.masks(pixels(image), generator)

    def maps_of(self, image: Tensor, square: Tensor) -> list[Tensor]:
        """(B, 3, S, S) RGB of 0..255 and squares (B, 3) of it -> heatmaps (B, 21, 32, 32) of each stage."""
        return self.joints(cut_square(pixels(image), square, self.sizes.size))


def square_of(masks: Masks) -> Tensor:
    """The square (B, 3) around a whole hand; see `knuckle.networks.mask_crop`."""
    return square_of_mask(masks.complete.sigmoid())


def joints_of(maps: Tensor, square: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where heatmaps (B, 21, 32, 32) are highest.

    Args:
        maps: of a square of the crop.
        square: (B, 3).
        size: of the crop.

    Returns:
        (B, 21, 2) pixels of the crop, and heights (B, 21).
    """
    x, y, height = map_peaks(maps.float()).unbind(-1)
    inner = (torch.stack([x, y], dim=-1) + 0.5) * (size / CELLS) - 0.5
    return out_of_square(inner, square, size), height


def placed(relative: Tensor, uv: Tensor, weights: Tensor, K: Tensor) -> Tensor:
    """A hand about its wrist, moved to where its joints are seen best: least squares in closed form.

    The errors (X + x) - u (Z + z) and (Y + y) - v (Z + z) of rays (u, v, 1) are linear in the translation (x, y, z).

    Args:
        relative: (B, 21, 3) in any unit, in the camera's axes.
        uv: (B, 21, 2) pixels.
        weights: (B, 21) of the joints, 0 or more.
        K: (B, 3, 3).

    Returns:
        (B, 21, 3) in the camera's frame; the nearest joint at a depth of 2 or more, so that none is behind the camera.
    """
    rays = viewing_rays(K, uv)[..., :2]
    weights = (weights / weights.sum(1, keepdim=True).clamp(min=1e-9))[..., None]
    offset = relative[..., :2] - rays * relative[..., 2:]
    ray, off = (weights * rays).sum(1, keepdim=True), (weights * offset).sum(1, keepdim=True)
    spread = (weights * (rays - ray) ** 2).sum((1, 2)).clamp(min=1e-9)
    z = (weights * (rays - ray) * (offset - off)).sum((1, 2)) / spread
    z = torch.maximum(z, 2.0 - relative[..., 2].amin(1))
    xy = ray[:, 0] * z[:, None] - off[:, 0]
    return relative + torch.cat([xy, z[:, None]], dim=1)[:, None]
