"""Li et al. (AAAI 2021): joints in groups that each have features of their own; which joint belongs to which group is
learned with the rest.

What the paper prints is the default here: crops of 256 pixels, three groups, Adam at 1e-3 for the hourglass alone in
batches of 64, then at 1e-1 for the selector, 1e-2 for fusion and 1e-4 for the rest in batches of 32; L1 in pixels plus
20 times that of depths in lengths of the middle finger's first bone. How many steps, it leaves open.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.files import RefusedFile
from knuckle.image.augment import AugmentConfig
from knuckle.losses.joints import heatmap_divergence
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.networks.joint_groups import JointGroupsNetwork, JointGroupsOutput, Selector
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.skeleton import FINGER_JOINTS, JOINT_NAMES
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage
from knuckle.systems.tensors import read_tensors

# The first stage trains the hourglass, by its own heatmaps; the second has the paper's Eq. 10, beta in its weights.
_FIRST = "hourglass"
_GROUPED_LOSSES = ("image", "depth", "heat")
_STAGES = (
    Stage(
        _FIRST,
        steps=40000,
        batch=64,
        rates={"hourglass.": 1e-3},
        losses={"hourglass_image": 1.0},
        optimiser="adam",
        schedule="constant",
        warmup=0.0,
        weight_decay=0.0,
        clip=0.0,
    ),
    Stage(
        "groups",
        steps=60000,
        batch=32,
        rates={"": 1e-4, "selector.": 1e-1, "fusion.": 1e-2},
        losses={"image": 1.0, "depth": 20.0},
        optimiser="adam",
        schedule="constant",
        warmup=0.0,
        weight_decay=0.0,
        clip=0.0,
    ),
)
# The paper turns crops by any angle, moves them by up to 20 pixels of 256 and enlarges them by up to a fifth.
_CROP = CropConfig(
    size=256,
    patch=400,
    orientation="picture",
    margin=1.3,
    hands="right",
    shift=0.045,
    zoom=0.06,
    turn=3.0,
    first_pass_share=0.0,
)
# Losses in the picture are in pixels of a crop of this size, the paper's, whatever the crop's own: beta fits those.
_LOSS_PIXELS = 256.0
# The random numbers of the public code's test.
_TEST_SEED = 60


@dataclass(frozen=True)
class JointGroupsConfig:
    """The network, how joints come into groups, how examples are made, and how it is trained.

    Attributes:
        width, depth, blocks, planes: see `knuckle.networks.joint_groups.JointGroupsNetwork`.
        groups: how many; 1 is the paper's baseline.
        grouping: "learned"; "manual" for thumb, index finger and the rest with the wrist; "random" for groups of equal
            size, drawn with `grouping_seed`. Only the first change in training.
        groups_from: a checkpoint of this system, whose groups `knuckle train --pretrained` takes in place of these, and
            keeps.
        hourglass_from: one whose hourglass `knuckle train --pretrained` begins with, in place of the first stage.
        fuse: whether each group's features are mixed with the others'.
        temperature: of the selector's distribution, at the beginning and at the end of its fall in a straight line.
        fall: part of the second stage that the fall takes. Down to 0, as printed, would be a division by it.
        test_selection: "argmax" takes each joint from its most probable group; "sampled" draws once at the last
            temperature, as the authors' code does in each test.
        root, bone: of depths; the code's are the middle finger's MCP and its first bone.
    """

    width: int = 256
    depth: int = 4
    blocks: int = 2
    planes: int = 32
    groups: int = 3
    grouping: Literal["learned", "manual", "random"] = "learned"
    grouping_seed: int = 0
    groups_from: str = ""
    hourglass_from: str = ""
    fuse: bool = True
    temperature: tuple[float, float] = (5.0, 0.1)
    fall: float = 50 / 60
    test_selection: Literal["argmax", "sampled"] = "argmax"
    root: int = 9
    bone: tuple[int, int] = (9, 10)
    crop: CropConfig = _CROP
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = _STAGES

    def __post_init__(self) -> None:
        joints = (self.root, *self.bone)
        if len(self.bone) != 2 or not all(0 <= joint < 21 for joint in joints) or self.bone[0] == self.bone[1]:
            raise ValueError(f"root and bone must name joints 0 to 20 but got {self.root} and {self.bone}")
        if len(self.temperature) != 2 or not self.temperature[0] >= self.temperature[1] > 0:
            raise ValueError(f"temperature must be two falling numbers above 0 but got {self.temperature}")
        if not 0 < self.fall <= 1:
            raise ValueError(f"fall must be a part of the stage, above 0 and up to 1, but got {self.fall}")
        if self.grouping == "manual" and self.groups != 3:
            raise ValueError(f"groups must be 3 for manual groups but got {self.groups}; leave it, or learn them")


class _Labels(NamedTuple):
    """What is known of a batch, and what is not: NaN-free, False where unknown."""

    uv: Tensor  # (B, 21, 2) sides of the crop
    uv_known: Tensor  # (B, 21)
    depth: Tensor  # (B, 21) behind the root, lengths of the bone
    depth_known: Tensor  # (B, 21); not of the root, whose own is 0 whatever is predicted


class JointGroups:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: JointGroupsConfig | None = None) -> None:
        self._config = config or JointGroupsConfig()

    @property
    def config(self) -> JointGroupsConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        """The configuration's, with rates for what this variant has: groups that are set are not trained."""
        c = self._config
        fused = c.fuse and c.groups > 1

        def rates(stage: Stage) -> dict[str, float]:
            kept = {name: rate for name, rate in stage.rates.items() if fused or not name.startswith("fusion.")}
            if (c.groups_from or c.grouping != "learned") and stage.name != _FIRST:
                kept["selector."] = 0.0
            return kept

        wanted = [stage for stage in c.stages if not (c.hourglass_from and stage.name == _FIRST)]
        return tuple(replace(stage, rates=rates(stage)) for stage in wanted)

    def network(self, pretrained: bool = False) -> JointGroupsNetwork:
        c = self._config
        network = JointGroupsNetwork(c.groups, c.fuse, c.planes, c.width, c.depth, c.blocks, c.crop.size)
        if c.groups_from:
            # Until that checkpoint's groups are read below, or a trained network's own weights are loaded.
            nn.init.constant_(network.selector.logits, torch.nan)
        elif c.grouping == "manual":
            network.selector.set_groups(torch.tensor(manual_groups()))
        elif c.grouping == "random":
            network.selector.set_groups(torch.tensor(random_groups(c.groups, c.grouping_seed)))
        if pretrained:
            self._begin_with_checkpoints(network)
        return network

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        c = self._config
        return Crops(sets, c.crop, c.augment, cache, ("joints_camera",), advance)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> JointGroupsOutput:
        """In training with a sample of the groups, which all examples share; in a stage of the hourglass without."""
        assert isinstance(network, JointGroupsNetwork)
        if not any(now.stage.losses.get(name) for name in _GROUPED_LOSSES):
            return network.only_hourglass(batch.image)
        if network.selector.logits.isnan().any():
            raise ValueError("groups must be taken from the checkpoint groups_from but are not set; add --pretrained")
        # Groups that are set have a selector in evaluation mode, as every frozen part.
        drawn = network.selector.training or (not network.training and self._config.test_selection == "sampled")
        if not drawn:
            return network(batch.image)
        return network(batch.image, network.selector.sample(self.temperature(now.progress), now.generator))

    def temperature(self, progress: float) -> float:
        """The selector's, at some part of the second stage."""
        first, last = self._config.temperature
        return max(first * (1.0 - progress / self._config.fall), last)

    def losses(self, output: JointGroupsOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        """The paper's Eq. 10 in two terms, the hourglass's own in the picture, and divergences of heatmaps.

        L1 norms, of pixels of a crop of 256, and of depths in lengths of the bone. The divergence of the groups'
        heatmaps is weighted by the selection, as their joints are.
        """
        labels = self._labels(output, batch)
        first, grouped = output.hourglass, output.grouped
        inside = labels.uv_known & ((labels.uv > 0) & (labels.uv < 1)).all(-1)
        losses = {
            "hourglass_image": weighted_mean(_LOSS_PIXELS * _l1(first.uv, labels.uv), labels.uv_known),
            "hourglass_heat": weighted_mean(heatmap_divergence(first.heat, labels.uv, 0.7), inside),
        }
        if grouped is not None:
            of_groups = [heatmap_divergence(heat, labels.uv, 0.7) for heat in grouped.heat.unbind(1)]
            divergence = (torch.stack(of_groups, dim=-1) * grouped.selection).sum(-1)
            losses |= {
                "image": weighted_mean(_LOSS_PIXELS * _l1(grouped.uv, labels.uv), labels.uv_known),
                "depth": weighted_mean((grouped.depth - labels.depth).abs(), labels.depth_known),
                "heat": weighted_mean(divergence, inside),
            }
        return losses

    def errors(self, output: JointGroupsOutput, batch: Batch) -> dict[str, Mean]:
        """Pixels of a crop of 256, and millimetres of depth; how sure a sample of the groups was, 1 / K to 1."""
        labels = self._labels(output, batch)
        first, grouped = output.hourglass, output.grouped
        found = {"hourglass_uv_px": weighted_mean(256.0 * (first.uv - labels.uv).norm(dim=-1), labels.uv_known)}
        if grouped is not None:
            scale = torch.zeros_like(grouped.depth[:, 0])
            if batch.joints_camera is not None:
                scale = 1e3 * _length(batch.joints_camera, self._config.bone).nan_to_num()
            found |= {
                "uv_px": weighted_mean(256.0 * (grouped.uv - labels.uv).norm(dim=-1), labels.uv_known),
                "depth_mm": weighted_mean(scale[:, None] * (grouped.depth - labels.depth).abs(), labels.depth_known),
                "selected": weighted_mean(grouped.selection.max(-1).values),
            }
        return found

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        c = self._config
        assert isinstance(network, JointGroupsNetwork)
        contract = Contract(
            "joint-groups", crop=c.crop.rule, coordinates="2.5d", root=c.root, bone=c.bone, outputs=("joints",)
        )
        pixels = torch.zeros(2, c.crop.size, c.crop.size, 3, dtype=torch.uint8)
        return {
            "hand": Graph(
                _Exported(network, self.test_selection(network.selector), c.crop.size, c.root), (pixels,), contract
            )
        }

    @torch.no_grad()
    def test_selection(self, selector: Selector) -> Tensor:
        """(21, K) what an exported network takes from which branch."""
        if self._config.test_selection == "argmax":
            return selector.most_probable()
        return selector.sample(self._config.temperature[1], torch.Generator().manual_seed(_TEST_SEED))

    def _begin_with_checkpoints(self, network: JointGroupsNetwork) -> None:
        c = self._config
        if not (c.groups_from or c.hourglass_from):
            raise ValueError("pretrained must be off, or hourglass_from or groups_from name a checkpoint to begin with")
        if c.hourglass_from:
            own = network.hourglass.state_dict()
            weights = _weights_of(c.hourglass_from, "hourglass.")
            if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in own.items()}:
                raise ValueError(
                    f"hourglass_from must have an hourglass of this width and depth but {c.hourglass_from} has not"
                )
            network.hourglass.load_state_dict(weights)
        if c.groups_from:
            logits = _weights_of(c.groups_from, "selector.").get("logits", torch.zeros(0))
            if logits.shape != network.selector.logits.shape:
                raise ValueError(
                    f"groups_from must have {c.groups} groups but {c.groups_from} has {len(logits) // len(JOINT_NAMES)}"
                )
            network.selector.set_groups(logits.view(-1, c.groups).argmax(-1))

    def _labels(self, output: JointGroupsOutput, batch: Batch) -> _Labels:
        c, guess = self._config, output.grouped
        first = output.hourglass.uv
        uv = None if batch.joints_image is None else (batch.joints_image + 0.5) / c.crop.size
        uv, uv_known = fill_missing(uv, first if guess is None else guess.uv)
        depth = None
        if batch.joints_camera is not None:
            z = batch.joints_camera[..., 2]
            depth = ((z - z[:, c.root, None]) / _length(batch.joints_camera, c.bone)[:, None])[..., None]
        depth, depth_known = fill_missing(depth, (first[..., 0] if guess is None else guess.depth)[..., None])
        others = torch.arange(depth_known.shape[1], device=depth_known.device) != c.root
        return _Labels(uv, uv_known, depth[..., 0], depth_known & others)


class SmallJointGroups(JointGroups):
    """The same with sizes and a schedule that two CPU cores train in minutes."""

    def __init__(self, config: JointGroupsConfig | None = None) -> None:
        super().__init__(config or small_config())


def small_config() -> JointGroupsConfig:
    """Upright crops of 64 pixels, a thin hourglass, and short stages of Muon, with divergences of heatmaps.

    Heatmaps that begin flat learn from these in a fraction of the steps that L1 of their expectations takes.
    """
    first = Stage(
        _FIRST,
        steps=1200,
        batch=64,
        rates={"hourglass.": 2e-3},
        losses={"hourglass_image": 0.1, "hourglass_heat": 1.0},
        optimiser="muon",
    )
    second = Stage(
        "groups",
        steps=1200,
        batch=64,
        # What has learned already moves less than what begins anew, as in the paper's second stage.
        rates={"": 2e-3, "hourglass.": 5e-4, "selector.": 5e-2, "fusion.": 5e-3},
        losses={"image": 0.1, "depth": 2.0, "heat": 1.0},
        optimiser="muon",
    )
    crop = replace(
        _CROP, size=64, patch=100, orientation="upright", shift=0.04, zoom=0.08, turn=0.08, first_pass_share=0.4
    )
    return JointGroupsConfig(width=128, depth=3, blocks=1, fall=0.6, crop=crop, stages=(first, second))


def manual_groups() -> list[int]:
    """The group of each joint as Zhou et al. (2018) have them: thumb, index finger, the rest.

    Note:
        The wrist's group is not printed; it is among the rest here.
    """
    return [0 if j in FINGER_JOINTS["thumb"] else 1 if j in FINGER_JOINTS["index"] else 2 for j in range(21)]


def random_groups(groups: int, seed: int) -> list[int]:
    """The group of each joint, in groups that differ in size by one at most."""
    return [int(g) for g in np.random.default_rng(seed).permutation(np.arange(len(JOINT_NAMES)) % groups)]


class _Exported(nn.Module):
    """The network as it is exported, its groups fixed."""

    selection: Tensor
    behind: Tensor

    def __init__(self, network: JointGroupsNetwork, selection: Tensor, size: int, root: int) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.register_buffer("selection", selection, persistent=False)
        behind = torch.ones(len(JOINT_NAMES))
        behind[root] = 0.0
        self.register_buffer("behind", behind, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """(B, H, W, 3) -> joints (B, 21, 3): pixels of the crop, and depths behind the root."""
        grouped = self.network(image.permute(0, 3, 1, 2), self.selection).grouped
        # Pixel centres are at integers.
        uv = grouped.uv * self.size - 0.5
        return (torch.cat([uv, (grouped.depth * self.behind)[..., None]], -1),)


def _weights_of(checkpoint: str, part: str) -> dict[str, Tensor]:
    """A part of a checkpoint's network, by names without the part's own."""
    try:
        weights = read_tensors(Path(checkpoint) / "weights.safetensors")
    except (OSError, RefusedFile) as error:
        raise ValueError(f"{checkpoint} must be a checkpoint but is not ({error})") from error
    return {name.removeprefix(part): value for name, value in weights.items() if name.startswith(part)}


def _l1(one: Tensor, other: Tensor) -> Tensor:
    """(..., D) -> (...) sum of absolute differences."""
    return (one - other).abs().sum(-1)


def _length(joints: Tensor, bone: tuple[int, int]) -> Tensor:
    """(B,) metres; NaN where a joint is not known."""
    return (joints[:, bone[1]] - joints[:, bone[0]]).norm(dim=-1)
