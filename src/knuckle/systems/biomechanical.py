"""Spurr et al. (ECCV 2020): joints in space from a network that learns depth from labels in the picture alone as well,
because hands that no human could make are penalised.

What the paper prints is the default here: ResNet-50, crops of 128 pixels, SGD at 5e-3 with a tenth of it after every 30
of 70 epochs. Momentum, batch size, weights of the losses and augmentation it leaves open. Lengths in space are
in lengths of one bone, wrist to middle MCP, in which the limits of human hands are measured too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.handmodel.ranges import HandLimits, human_limits
from knuckle.image.augment import AugmentConfig
from knuckle.losses.biomechanics import biomechanical_losses
from knuckle.losses.joints import heatmap_divergence
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.networks.backbone import check_backbone
from knuckle.networks.lift import OWN, LiftNetwork, LiftOutput
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage

_LOSSES = {"image": 40.0, "relative_depth": 10.0, "root_depth": 0.5, "bones": 5.0, "palm": 0.5, "angles": 0.5}
# The paper's 70 epochs over the training splits of RHD and FreiHAND, 41,258 and 32,560 pictures; for other data give
# --steps, 70 x examples / batch.
_STAGE = Stage(
    steps=80740,
    batch=64,
    rates={"": 5e-3},
    losses=_LOSSES,
    optimiser="sgd",
    schedule="step",
    milestones=(30 / 70, 60 / 70),
    warmup=0.0,
    weight_decay=1e-4,
)
# The box around the joints takes 0.7 of the crop.
_CROP = CropConfig(orientation="picture", margin=1 / 0.7, hands="right", turn=0.12, first_pass=1.5)


@dataclass(frozen=True)
class BiomechanicalConfig:
    """The network, the limits it is held to, how its examples are made, and how it is trained.

    Attributes:
        backbone, root_range, root_gradient: see `knuckle.networks.lift.LiftNetwork`; the range is in lengths of
            the bone.
        bone: the joints (parent, child) whose distance is 1; that of the limits.
        root: the joint that depths are relative to.
        refine: whether a small network corrects the root's depth.
        limits: a file of `knuckle limits`; the package's limits of human hands if empty.
        constrain: what the biomechanical losses change: "joints" for all that joints depend on; "depths" for relative
            depths alone. Without a label the root's correction, and joints in the picture, answer to the losses sooner
            than depths do.
        angle_region: "hull" for the paper's limits, in which flexion and abduction depend on each other; "box" for
            limits of each alone.
    """

    backbone: str = "resnet50"
    bone: tuple[int, int] = (0, 9)
    root: int = 0
    root_range: tuple[float, float] = (1.0, 30.0)
    root_gradient: bool = False
    refine: bool = True
    limits: str = ""
    constrain: Literal["joints", "depths"] = "joints"
    angle_region: Literal["hull", "box"] = "hull"
    crop: CropConfig = _CROP
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = (_STAGE,)

    def __post_init__(self) -> None:
        joints = (self.root, *self.bone)
        if len(self.bone) != 2 or not all(0 <= joint < 21 for joint in joints) or self.bone[0] == self.bone[1]:
            raise ValueError(f"root and bone must name joints 0 to 20 but got {self.root} and {self.bone}")
        if len(self.root_range) != 2 or not 0 < self.root_range[0] < self.root_range[1]:
            raise ValueError(f"root_range must be two increasing depths above 0 but got {self.root_range}")


class _Labels(NamedTuple):
    """What is known of a batch, and what is not: NaN-free, with weights of 0."""

    uv: Tensor  # (B, 21, 2) sides of the crop
    uv_known: Tensor  # (B, 21)
    depth: Tensor  # (B, 21) behind the root, lengths of the bone
    depth_known: Tensor  # (B, 21); not of the root, whose own is 0 whatever is predicted
    root: Tensor  # (B,) lengths of the bone
    root_known: Tensor  # (B,)


class Biomechanical:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: BiomechanicalConfig | None = None) -> None:
        self._config = config or BiomechanicalConfig()

    @property
    def config(self) -> BiomechanicalConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    # Read when it is needed: a checkpoint is exported where the file of its limits may not lie.
    @cached_property
    def limits(self) -> HandLimits:
        """What the biomechanical losses hold joints to.

        Raises:
            ValueError: the file holds none, or limits in lengths of another bone.
        """
        c = self._config
        limits = HandLimits.load(c.limits) if c.limits else human_limits()
        if limits.bone != c.bone:
            raise ValueError(
                f"{c.limits or 'the limits of the package'} must be in lengths of the bone {c.bone} but are in lengths "
                f"of {limits.bone}; set bone to that, or learn the limits again"
            )
        return limits

    def network(self, pretrained: bool = False) -> LiftNetwork:
        c = self._config
        hidden = 128 if c.refine else 0
        return LiftNetwork(c.backbone, pretrained, c.crop.size, c.bone, c.root, c.root_range, c.root_gradient, hidden)

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        c = self._config
        # What cannot be used is better said before an hour of decoding.
        check_backbone(c.backbone, (OWN,))
        _ = self.limits
        return Crops(sets, c.crop, c.augment, cache, (), advance, assume_cameras=True)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> LiftOutput:
        assert batch.camera is not None, "Crops gives all a camera"
        return network(batch.image, batch.camera.K)

    def losses(self, output: LiftOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        """The paper's Eq. 10: L1 where there are labels, and the three biomechanical terms on all hands alike."""
        labels = self._labels(output, batch)
        joints = output.joints
        if self._config.constrain == "depths":
            depth = output.relative_depth + output.root[:, None].detach()
            joints = depth[..., None] * output.rays.detach()
        beyond = biomechanical_losses(joints, self.limits, "right", self._config.angle_region)
        losses = {
            "image": weighted_mean((output.uv - labels.uv).abs().mean(-1), labels.uv_known),
            "relative_depth": weighted_mean((output.relative_depth - labels.depth).abs(), labels.depth_known),
            "root_depth": weighted_mean((output.root - labels.root).abs(), labels.root_known),
            "bones": weighted_mean(beyond.bones),
            "palm": weighted_mean(beyond.palm),
            "angles": weighted_mean(beyond.angles),
        }
        if output.heat is not None:
            in_crop = labels.uv_known & ((labels.uv > 0) & (labels.uv < 1)).all(-1)
            losses["heat"] = weighted_mean(heatmap_divergence(output.heat, labels.uv, 0.7), in_crop)
        return losses

    def errors(self, output: LiftOutput, batch: Batch) -> dict[str, Mean]:
        """Pixels of a crop of 256, millimetres at the hand's true scale, and how far hands are beyond the limits."""
        labels = self._labels(output, batch)
        beyond = biomechanical_losses(output.joints, self.limits, "right", self._config.angle_region)
        scale = torch.zeros_like(output.root) if batch.joints_camera is None else _length(batch, self._config.bone)
        scale = 1e3 * torch.where(labels.root_known, scale, torch.zeros_like(scale))
        return {
            "uv_px": weighted_mean(256.0 * (output.uv - labels.uv).norm(dim=-1), labels.uv_known),
            "depth_mm": weighted_mean(
                scale[:, None] * (output.relative_depth - labels.depth).abs(), labels.depth_known
            ),
            "root_mm": weighted_mean(scale * (output.root - labels.root).abs(), labels.root_known),
            "beyond_limits": weighted_mean(sum(beyond, start=torch.zeros_like(output.root))),
        }

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        c = self._config
        contract = Contract(
            "biomechanical",
            crop=c.crop.rule,
            coordinates="normalised",
            root=c.root,
            bone=c.bone,
            inputs=("image", "K"),
            outputs=("joints",),
        )
        focal = float(c.crop.size)
        K = torch.tensor([[focal, 0.0, focal / 2], [0.0, focal, focal / 2], [0.0, 0.0, 1.0]])
        inputs = (torch.zeros(2, c.crop.size, c.crop.size, 3, dtype=torch.uint8), K.expand(2, 3, 3).contiguous())
        return {"hand": Graph(_Exported(network), inputs, contract)}

    def _labels(self, output: LiftOutput, batch: Batch) -> _Labels:
        c = self._config
        uv = None if batch.joints_image is None else (batch.joints_image + 0.5) / c.crop.size
        uv, uv_known = fill_missing(uv, output.uv)
        depth, root = None, None
        if batch.joints_camera is not None:
            z = batch.joints_camera[..., 2] / _length(batch, c.bone)[:, None]
            root, depth = z[:, c.root, None], (z - z[:, c.root, None])[..., None]
        depth, depth_known = fill_missing(depth, output.relative_depth[..., None])
        root, root_known = fill_missing(root, output.root[:, None])
        others = torch.arange(depth_known.shape[1], device=depth_known.device) != c.root
        return _Labels(uv, uv_known, depth[..., 0], depth_known & others, root[:, 0], root_known)


class SmallBiomechanical(Biomechanical):
    """The same with sizes and a schedule that two CPU cores train in minutes."""

    def __init__(self, config: BiomechanicalConfig | None = None) -> None:
        super().__init__(config or small_config())


def small_config() -> BiomechanicalConfig:
    """The package's hand network on crops of 96 pixels, and a short run of Muon in place of the paper's of SGD.

    Depths alone are constrained. In the tiny setting of benchmarks/s1.py, after 800 steps with weights of 10, 1 and 1,
    that brought the depth error from 19.3 to 17.5 mm with the 2D error as it was (3.2 px of 128); constraining all
    brought it to 18.3 mm, and the 2D error to 3.5 px.
    """
    stage = Stage(steps=4000, batch=32, rates={"": 2e-3}, losses=_LOSSES | {"heat": 1.0}, optimiser="muon")
    crop = replace(_CROP, size=96, patch=math.ceil(96 * _CROP.patch_reach))
    return BiomechanicalConfig(backbone=OWN, crop=crop, constrain="depths", stages=(stage,))


class _Exported(nn.Module):
    """The network as it is exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, K: Tensor) -> tuple[Tensor]:
        """(B, H, W, 3), (B, 3, 3) -> joints (B, 21, 3) in lengths of the bone."""
        output: LiftOutput = self.network(image.permute(0, 3, 1, 2), K)
        return (output.joints,)


def _length(batch: Batch, bone: tuple[int, int]) -> Tensor:
    """(B,) metres; NaN where a joint is not known."""
    return (batch.joints_camera[:, bone[1]] - batch.joints_camera[:, bone[0]]).norm(dim=-1)
