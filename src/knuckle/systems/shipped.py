"""The hand network that ships: 21 joints with uncertainty, side and presence from an upright square crop.

The idea is S4's (heatmaps, then joints, then angles by fitting), cut down until a picture takes a few milliseconds
on a CPU. Joints are two pixels and a depth (`knuckle.predict.place`). Crops are of either side's hands, half of each,
so one pass says both where the joints are and which side it is: nobody has to know the side beforehand.

With a weight for the loss `mask` (--set stages.0.losses.mask=1) the network learns the mask of the whole hand, hidden
parts too, as a further task, from a head of its own that is not exported. Without it the network has no such head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.handmodel.ranges import human_limits, normalised
from knuckle.image.augment import AugmentConfig
from knuckle.losses.biomechanics import biomechanical_losses
from knuckle.losses.joints import bone_distance, heatmap_divergence, joint_distance, laplace_nll
from knuckle.losses.masks import complete_mask, mask_cross_entropy, overlap
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.networks.hand import HandNetwork, HandOutput
from knuckle.predict.contract import Contract
from knuckle.predict.place import from_sight, to_sight
from knuckle.sample import Batch
from knuckle.skeleton import BONES
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage

_STAGE = Stage(
    rates={"": 2e-3},
    optimiser="muon",
    losses={
        "joints": 20.0,
        "rough": 5.0,
        "bones": 10.0,
        # With a tenth of it heatmaps stay flat, and nothing is learned from them.
        "heat": 1.0,
        "uncertainty": 0.05,
        # Photographs with 2D joints do not say where in depth a hand is; what a hand can be says a part of it.
        "bone_ranges": 5.0,
        "palm_ranges": 1.0,
        "angle_ranges": 1.0,
        "side": 1.0,
        "presence": 0.3,
    },
)


@dataclass(frozen=True)
class ShippedConfig:
    """Sizes of the network, how its examples are made, and how it is trained.

    Attributes:
        stem, widths, blocks, width, layers: see `knuckle.networks.hand.HandNetwork`.
        outside: weight of a joint that lies outside the picture as it was taken: the network can only guess it.
        bell: standard deviation, in cells, of what a heatmap is taught to be.
        mesh: whether the vertices of the free hand are predicted too; crop.labels must have vertices_camera then, and
            crop.vertices their number.
        fuse: channels of each finger's branch of features, which are mixed beside the attention over the joints
            (`knuckle.networks.hand.FingerFusion`); 0 for none.
    """

    stem: tuple[int, ...] = (32,)
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (1, 2, 2)
    width: int = 128
    layers: int = 2
    crop: CropConfig = field(default_factory=lambda: CropConfig(empty_places=2))
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    outside: float = 0.3
    bell: float = 0.7
    mesh: bool = False
    fuse: int = 0
    stages: tuple[Stage, ...] = (_STAGE,)

    def __post_init__(self) -> None:
        if self.mesh and "vertices_camera" not in self.crop.labels:
            raise ValueError(f"crop.labels must have vertices_camera for mesh=true but got {self.crop.labels}")
        if self.fuse < 0:
            raise ValueError(f"fuse must be a number of channels, 0 for none, but got {self.fuse}")

    @property
    def mask(self) -> bool:
        """Whether the network has a head for the mask of the whole hand: where a stage weighs its loss."""
        return any(stage.losses.get("mask") for stage in self.stages)


class _Labels(NamedTuple):
    """What is known of a batch, in sides of the crop, and what is not: NaN-free, with weights of 0."""

    truth: Tensor  # (B, 21, 3) u, v, depth
    known: Tensor  # (B, 21, 3) bool
    weight: Tensor  # (B, 21) of a joint's place in the picture
    solid: Tensor  # (B, 21) the same where its depth is known too


class Shipped:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: ShippedConfig | None = None) -> None:
        self._config = config or ShippedConfig()

    @property
    def config(self) -> ShippedConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    def network(self, pretrained: bool = False) -> nn.Module:
        if pretrained:
            raise ValueError("pretrained must be off for this system, whose trunk is its own; begin from a checkpoint")
        c = self._config
        vertices = c.crop.vertices if c.mesh else 0
        return HandNetwork(c.stem, c.widths, c.blocks, c.width, c.layers, vertices, fuse=c.fuse, mask=c.mask)

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        crop, augment = self._config.crop, self._config.augment
        if self._config.mask and "mask_complete" not in crop.labels:
            crop = replace(crop, labels=(*crop.labels, "mask_complete"))
        return Crops(sets, crop, augment, cache, ("joints_camera",), advance, assume_cameras=True)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> HandOutput:
        return network(batch.image.permute(0, 2, 3, 1))

    def losses(self, output: HandOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        labels = self._labels(output, batch)
        error = joint_distance(output.joints, labels.truth, labels.known)
        rough = joint_distance(output.rough, labels.truth, labels.known)
        parents, children = (list(ends) for ends in zip(*BONES, strict=True))
        bones = labels.solid[:, children] * (labels.solid[:, parents] > 0)
        uv = labels.truth[..., :2]
        in_crop = labels.known[..., 0] & ((uv > 0) & (uv < 1)).all(-1)
        bce = nn.functional.binary_cross_entropy_with_logits
        beyond = biomechanical_losses(self._in_space(output, batch), human_limits(), _left(batch) > 0.5)
        hands = batch.rows("joints_image") & batch.rows("side")
        return (
            self._mesh_losses(output, batch)
            | _mask_losses(output, batch)
            | {
                "joints": weighted_mean(error, labels.weight),
                "rough": weighted_mean(rough, labels.weight),
                "bones": weighted_mean(bone_distance(output.joints, labels.truth), bones),
                "heat": weighted_mean(heatmap_divergence(output.heat, uv, self._config.bell), in_crop),
                "uncertainty": weighted_mean(laplace_nll(output.log_scale, error), labels.solid),
                "side": weighted_mean(bce(output.side, _left(batch), reduction="none"), batch.rows("side")),
                "presence": weighted_mean(bce(output.presence, _present(batch), reduction="none")),
                "bone_ranges": weighted_mean(beyond.bones, hands),
                "palm_ranges": weighted_mean(beyond.palm, hands),
                "angle_ranges": weighted_mean(beyond.angles, hands),
            }
        )

    def _mesh_losses(self, output: HandOutput, batch: Batch) -> dict[str, Mean]:
        if output.vertices is None:
            return {}
        error, known = self._mesh_error(output.vertices, batch)
        return {"vertices": weighted_mean(error.norm(dim=-1), known)}

    def _mesh_error(self, vertices: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, V, 3) in sides of the crop, and which vertices (B, V) are known."""
        truth = torch.full_like(vertices, torch.nan)
        if batch.vertices_camera is not None and batch.joints_camera is not None and batch.camera is not None:
            truth = to_sight(batch.camera.K, batch.vertices_camera, batch.joints_camera) / self._config.crop.size
            truth = truth + truth.new_tensor([0.5, 0.5, 0.0]) / self._config.crop.size
        truth, known = fill_missing(truth, vertices)
        # Without the small constant the gradient of an exact vertex is not a number.
        return vertices - truth + 1e-9, known.float()

    def errors(self, output: HandOutput, batch: Batch) -> dict[str, Mean]:
        """Pixels of a crop of 256 in the picture and in depth, and shares of correct sides and presences."""
        labels = self._labels(output, batch)
        apart = 256.0 * (output.joints - labels.truth)
        mesh: dict[str, Mean] = {}
        if output.vertices is not None:
            error, known = self._mesh_error(output.vertices, batch)
            mesh = {
                "vertex_uv_px": weighted_mean(256.0 * error[..., :2].norm(dim=-1), known),
                "vertex_depth_px": weighted_mean(256.0 * error[..., 2].abs(), known),
            }
        return (
            mesh
            | _mask_errors(output, batch)
            | {
                "uv_px": weighted_mean(apart[..., :2].norm(dim=-1), labels.weight),
                "depth_px": weighted_mean(apart[..., 2].abs(), labels.solid),
                "side": weighted_mean(((output.side > 0) == (_left(batch) > 0.5)).float(), batch.rows("side")),
                "presence": weighted_mean(((output.presence > 0) == (_present(batch) > 0.5)).float()),
            }
        )

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        crop = self._config.crop
        pixels = torch.zeros(2, crop.size, crop.size, 3, dtype=torch.uint8)
        more = ("vertices",) if self._config.mesh else ()
        contract = Contract("shipped", crop=crop.rule, outputs=("joints", "uncertainty", "left", "presence", *more))
        return {"hand": Graph(_InPixels(network), (pixels,), contract)}

    def _in_space(self, output: HandOutput, batch: Batch) -> Tensor:
        """(B, 21, 3) the predicted joints in lengths of the bone of the limits, in the frame of the crop's camera."""
        assert batch.camera is not None, "Crops gives all a camera"
        size = self._config.crop.size
        sighted = output.joints * size - output.joints.new_tensor([0.5, 0.5, 0.0])
        return normalised(from_sight(batch.camera.K.to(sighted.dtype), sighted), human_limits().bone)

    def _labels(self, output: HandOutput, batch: Batch) -> _Labels:
        missing = torch.full_like(output.joints, torch.nan)
        uv = missing[..., :2] if batch.joints_image is None else (batch.joints_image + 0.5) / self._config.crop.size
        depth = missing[..., 2:]
        if batch.joints_camera is not None and batch.camera is not None:
            depth = to_sight(batch.camera.K, batch.joints_camera)[..., 2:] / self._config.crop.size
        uv, known = fill_missing(uv, output.joints[..., :2])
        depth, deep = fill_missing(depth, output.joints[..., 2:])
        weight = known.float()
        if batch.in_frame is not None:
            weight = weight * torch.where(batch.in_frame, 1.0, self._config.outside)
        deep = deep & known
        return _Labels(torch.cat([uv, depth], -1), torch.stack([known, known, deep], -1), weight, weight * deep)


class _InPixels(nn.Module):
    """The network as it is exported: pixels of the crop instead of its sides, probabilities instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W, 3) -> joints (B, 21, 3), uncertainty (B, 21), both in pixels, two probabilities (B,), and vertices
        (B, V, 3) where they are predicted."""
        output: HandOutput = self.network(image)
        size = image.shape[1]
        half = torch.tensor([0.5, 0.5, 0.0])
        found = (
            output.joints * size - half,
            torch.exp(output.log_scale) * size,
            torch.sigmoid(output.side),
            torch.sigmoid(output.presence),
        )
        return found if output.vertices is None else (*found, output.vertices * size - half)


def _mask_losses(output: HandOutput, batch: Batch) -> dict[str, Mean]:
    if output.mask is None:
        return {}
    share, known = _shares(output.mask, batch)
    return {"mask": weighted_mean(mask_cross_entropy(output.mask, share), known)}


def _mask_errors(output: HandOutput, batch: Batch) -> dict[str, Mean]:
    """Intersection over union in cells, of which half or more is the hand."""
    if output.mask is None:
        return {}
    share, known = _shares(output.mask, batch)
    return {"mask_iou": overlap(output.mask > 0, share > 0.5, known)}


def _shares(cells: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(B, h, w) which part of each cell the whole hand takes, and (B,) where that is known."""
    whole, known = complete_mask(batch)
    height, width = cells.shape[-2:]
    return nn.functional.adaptive_avg_pool2d(whole[:, None], (height, width))[:, 0], known


def _left(batch: Batch) -> Tensor:
    """(B,) 1 for left hands; 0 too where the side is not known."""
    return batch.present["side"].float() * 0.0 if batch.left is None else batch.left.float()


def _present(batch: Batch) -> Tensor:
    """(B,) 1 for hands, 0 for the places without one that Crops adds."""
    return batch.rows("joints_image").float()
