"""Gao et al. (RA-L 2019): the mask of the whole hand, hidden parts too, the joints in a crop around it, and the pose,
decoded from a latent code in which objects of one category lie together.

Lengths are in lengths of one bone, middle MCP to PIP. Sizes and stages are in `knuckle.systems.object_aware_config`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.geometry.canonical import from_canonical, to_canonical
from knuckle.geometry.heatmap import gaussian_maps
from knuckle.losses.latent import cluster_loss, normal_divergence, pair_loss, reseeding_loss, triplet_loss
from knuckle.losses.masks import complete_mask, mask_cross_entropy, overlap, visible_mask
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.networks.mask_crop import into_square, square_of_points
from knuckle.networks.object_aware import Masks, ObjectAwareNetwork, Pose, joints_of, square_of
from knuckle.networks.zimmermann import CELLS
from knuckle.sample import Batch
from knuckle.systems.balanced import BalancedCrops
from knuckle.systems.crops import Crops
from knuckle.systems.object_aware_config import ObjectAwareConfig, parts_of, small_config
from knuckle.systems.object_aware_graphs import object_aware_graph
from knuckle.systems.system import Graph, Moment, Stage

ROOT, BONE = 0, (9, 10)


class ObjectAwareOutput(NamedTuple):
    """What a stage computes; None for the rest."""

    masks: Masks | None
    square: Tensor | None  # (B, 3) of the crop, that the maps are of
    maps: tuple[Tensor, ...]  # (B, 21, 32, 32) each; predicted ones, the best last
    uv: Tensor | None  # (B, 21, 2) pixels of the crop, where predicted maps are highest
    pose: Pose | None
    relative: Tensor | None  # (B, 21, 3) about the wrist, in the axes of the crop's camera, lengths of the bone
    category: Tensor | None  # (B, C) probabilities
    centres: Tensor | None  # (K, D) learned, of codes


class _PoseLabels(NamedTuple):
    """Of the pose in space, NaN-free."""

    canonical: Tensor  # (B, 21, 3)
    rotation: Tensor  # (B, 3, 3)
    relative: Tensor  # (B, 21, 3)
    length: Tensor  # (B,) metres, of the bone
    known: Tensor  # (B,)


class ObjectAware:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: ObjectAwareConfig | None = None) -> None:
        self._config = config or ObjectAwareConfig()

    @property
    def config(self) -> ObjectAwareConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        wanted = self._config.wanted
        return tuple(stage for stage in self._config.stages if not wanted or stage.name in wanted)

    def network(self, pretrained: bool = False) -> ObjectAwareNetwork:
        if pretrained:
            raise ValueError("pretrained must be off for this system, which has no backbone; begin from a checkpoint")
        return ObjectAwareNetwork(self._config.sizes)

    def source(
        self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]
    ) -> Crops | BalancedCrops:
        c = self._config
        needed = ("joints_camera",) if "lift" in c.parts else ()
        # Masks take half of the space of what is decoded.
        labels = c.crop.labels if "masks" in c.parts else tuple(n for n in c.crop.labels if "mask" not in n)
        crops = Crops(sets, replace(c.crop, labels=labels), c.augment, cache, needed, advance)
        return BalancedCrops(crops, c.categories) if c.balance else crops

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> ObjectAwareOutput:
        assert isinstance(network, ObjectAwareNetwork)
        c, parts = self._config, parts_of(now.stage)
        drawn = now.generator if network.training and c.variational else None
        masks = square = uv = pose = relative = category = centres = None
        maps: tuple[Tensor, ...] = ()
        if "masks" in parts:
            masks = network.masks_of(batch.image, drawn)
        if "joints" in parts:
            # Where masks are not at hand, what they are to give: the square around the hand, not quite exactly.
            square = self._near_square(_joints(batch), network, now) if masks is None else square_of(masks)
            maps = tuple(network.maps_of(batch.image, square))
            uv, _ = joints_of(maps[-1], square, c.crop.size)
        if "lift" in parts:
            given = maps[-1] if maps else self._true_maps(network, batch, now)
            pose = network.lift(given, sides_of(batch), drawn)
            relative = from_canonical(pose.canonical, pose.rotation, ~_left(batch))
            if network.training:
                network.lift.categories.count(pose.mean.detach(), self._categories(batch))
            category, centres = network.lift.categories(pose.mean), network.lift.categories.centres
        return ObjectAwareOutput(masks, square, maps, uv, pose, relative, category, centres)

    def losses(self, output: ObjectAwareOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        """Those of the stage's parts; the paper's Eq. 4 and 9.

        The metric terms are of the codes' means: of drawn codes all distances are the same noise of 256 coordinates.
        """
        losses: dict[str, Mean] = {}
        if output.masks is not None:
            losses |= self._mask_losses(output.masks, batch)
        if output.square is not None:
            truth, known = self._maps(batch.joints_image, output.square, output.maps[-1])
            error = sum(((m.float() - truth) ** 2).mean((2, 3)).add(1e-8).sqrt() for m in output.maps)
            losses["maps"] = weighted_mean(torch.as_tensor(error), known)
        if output.pose is not None:
            losses |= self._pose_losses(output.pose, output.centres, batch)
        return losses

    def errors(self, output: ObjectAwareOutput, batch: Batch) -> dict[str, Mean]:
        """Overlaps (IoU) of whole masks, and of them within the held object alone; pixels of a crop of 256;
        millimetres at the hand's true size; share of right categories."""
        found: dict[str, Mean] = {}
        if output.masks is not None:
            true, known = complete_mask(batch)
            found["mask_iou"] = overlap(output.masks.complete > 0, true > 0.5, known)
            hidden = torch.zeros_like(true) if batch.object_mask is None else batch.object_mask.to(true.dtype)
            within = hidden > 0.5
            found["hidden_iou"] = overlap((output.masks.complete > 0) & within, (true > 0.5) & within, known)
        if output.uv is not None:
            uv, known = fill_missing(batch.joints_image, output.uv)
            found["uv_px"] = weighted_mean((output.uv - uv).norm(dim=-1) * 256 / self._config.crop.size, known)
        if output.pose is not None and output.relative is not None and output.category is not None:
            labels = self._pose_labels(output.pose, batch)
            distance = (output.relative - labels.relative).norm(dim=-1)
            found["pose_mm"] = weighted_mean(1e3 * labels.length[:, None] * distance, labels.known[:, None])
            category = self._categories(batch)
            right = (output.category.argmax(1) == category).float()
            found["category"] = weighted_mean(right, category >= 0)
        return found

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        assert isinstance(network, ObjectAwareNetwork)
        c = self._config
        return {"hand": object_aware_graph(network, c.crop.rule, c.categories, c.sigma, ROOT, BONE)}

    def _mask_losses(self, masks: Masks, batch: Batch) -> dict[str, Mean]:
        whole, known = complete_mask(batch)
        seen, seen_known = visible_mask(batch)
        return {
            "mask": weighted_mean(mask_cross_entropy(masks.complete, whole), known),
            "visible": weighted_mean(mask_cross_entropy(masks.visible, seen), seen_known),
            "kl_mask": self._divergence(masks.mean, masks.log_variance),
        }

    def _pose_losses(self, pose: Pose, centres: Tensor | None, batch: Batch) -> dict[str, Mean]:
        labels, category = self._pose_labels(pose, batch), self._categories(batch)
        known = labels.known
        return {
            "canonical": weighted_mean(((pose.canonical - labels.canonical) ** 2).mean((1, 2)), known),
            "viewpoint": weighted_mean(((pose.rotation - labels.rotation) ** 2).mean((1, 2)), known),
            "kl_pose": self._divergence(pose.mean, pose.log_variance),
            "triplet": triplet_loss(pose.mean, category),
            "pair": pair_loss(pose.mean, category),
            "cluster": _nothing(pose.mean) if centres is None else cluster_loss(pose.mean, centres),
            "reseed": _nothing(pose.mean) if centres is None else reseeding_loss(pose.mean, centres),
        }

    def _divergence(self, mean: Tensor | None, log_variance: Tensor | None) -> Mean:
        if mean is None or log_variance is None or not self._config.variational:
            return _nothing(mean)
        return weighted_mean(normal_divergence(mean.float(), log_variance.float()))

    def _near_square(self, uv: Tensor, network: nn.Module, now: Moment) -> Tensor:
        """The square (B, 3) around joints (B, 21, 2); in training not quite."""
        square = square_of_points(uv, self._config.crop.size)
        if not network.training:
            return square
        noise = torch.randn(len(square), 3, generator=now.generator, device=square.device)
        noise = self._config.square_noise * noise.clamp(-2.0, 2.0)
        side = square[:, 2:]
        return torch.cat([square[:, :2] + side * noise[:, :2], side * (2 * noise[:, 2:]).exp()], dim=1)

    def _true_maps(self, network: nn.Module, batch: Batch, now: Moment) -> Tensor:
        """Heatmaps (B, 21, 32, 32) of the joints that are seen, in the square around these; in training not quite."""
        c, uv = self._config, _joints(batch)
        if c.hidden and batch.visibility is not None:
            seen = batch.visibility | ~batch.rows("visibility")[:, None]
            uv = torch.where(seen[..., None], uv, torch.full_like(uv, torch.nan))
        square = self._near_square(uv, network, now)
        if network.training:
            noise = torch.randn(uv.shape, generator=now.generator, device=uv.device).clamp(-2.0, 2.0)
            uv = uv + c.pixel_noise / 256 * square[:, None, 2:] * noise
        inner = into_square(uv, square, c.crop.size)
        return gaussian_maps(inner, c.crop.size, CELLS, c.sigma * c.crop.size / 256)

    def _maps(self, uv: Tensor | None, square: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
        """What heatmaps of a square should be, and which are known (B, 21)."""
        c = self._config
        if uv is None:
            return guess.detach().float(), torch.zeros(guess.shape[:2], dtype=torch.bool, device=guess.device)
        inner = into_square(uv, square, c.crop.size)
        return gaussian_maps(inner, c.crop.size, CELLS, c.sigma * c.crop.size / 256), uv.isfinite().all(-1)

    def _pose_labels(self, pose: Pose, batch: Batch) -> _PoseLabels:
        guess = pose.canonical.detach()
        count, device = len(guess), guess.device
        eye = torch.eye(3, device=device).expand(count, 3, 3)
        zero = torch.zeros(count, device=device)
        if batch.joints_camera is None:
            return _PoseLabels(guess, eye, torch.zeros_like(guess), zero, zero.bool())
        joints = batch.joints_camera - batch.joints_camera[:, ROOT, None]
        length = (joints[:, BONE[1]] - joints[:, BONE[0]]).norm(dim=-1)
        relative = joints / length[:, None, None]
        canonical, rotation = to_canonical(relative, ~_left(batch))
        known = canonical.isfinite().all((1, 2)) & batch.rows("side")
        at = known[:, None, None]
        return _PoseLabels(
            torch.where(at, canonical, guess),
            torch.where(at, rotation, eye),
            torch.where(at, relative, torch.zeros_like(relative)),
            torch.where(known, length, zero),
            known,
        )

    def _categories(self, batch: Batch) -> Tensor:
        """(B,) numbers of the categories; -1 where there is none."""
        names = batch.object_category or (None,) * len(batch)
        known = self._config.categories
        numbers = [known.index(name) if name in known else -1 for name in names]
        return torch.tensor(numbers, device=batch.image.device)


class SmallObjectAware(ObjectAware):
    """The same with sizes and a schedule that two CPU cores train in minutes."""

    def __init__(self, config: ObjectAwareConfig | None = None) -> None:
        super().__init__(config or small_config())


def sides_of(batch: Batch) -> Tensor:
    """(B, 2) 1 in the first place for left hands, in the second for right ones."""
    left = _left(batch)
    return torch.stack([left, ~left], dim=1).float()


def _joints(batch: Batch) -> Tensor:
    """(B, 21, 2) pixels of the crop, NaN where there is no label."""
    if batch.joints_image is None:
        return torch.full((len(batch), 21, 2), torch.nan, device=batch.image.device)
    return batch.joints_image


def _nothing(like: Tensor | None) -> Mean:
    zero = torch.zeros(1) if like is None else torch.zeros(1, device=like.device)
    return weighted_mean(zero, zero)


def _left(batch: Batch) -> Tensor:
    return torch.zeros_like(batch.present["side"]) if batch.left is None else batch.left
