"""Zhuang and Mu (ICMR 2021): a hand and the box of the object that it holds, from points in the picture that a graph
network lifts into space, and a loss that wants the hand's contacts all around the object.

What the paper and its authors' code print is the default here: ResNet-50, Adam, batches of 256, squared errors in
millimetres and in pixels of a camera like FPHA's, and the stages: the lift on true points, the encoder, both together,
and the affinity as fine-tuning. Points are found in a crop about the hand, where the paper has the whole picture; they
are lifted from the whole picture's sight lines.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.camera import viewing_rays
from knuckle.datasets.sets import DataSet
from knuckle.handmodel.box_contacts import REACH, measure_grip
from knuckle.image.augment import AugmentConfig
from knuckle.losses.affinity import AffinityForm, affinity, centre_distance
from knuckle.losses.joints import heatmap_divergence, laplace_nll
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.networks.backbone import check_backbone
from knuckle.networks.blocks import full_precision
from knuckle.networks.graph import JOINTS, Lift, LiftGraph
from knuckle.networks.hand_object import OWN, HandObjectNetwork, HandObjectOutput, Heads, Units
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage

_SPACE = {"space_initial": 1.0, "space": 1.0}
_LOSSES = {"image_initial": 0.01, "image": 0.01} | _SPACE
# The paper's lambda_3.
_AFFINITY = _LOSSES | {"affinity": 10.0}
_LIFT, _ENCODER = "lift", "encoder"
# The paper's 10,000, 1,000 and 100 epochs over FPHA-HO's 11,019 training frames, and 100 more of fine-tuning.
_STAGES = (
    Stage(_LIFT, 430000, 256, {"lift.": 1e-3}, _SPACE, schedule="step", milestones=(0.4, 0.8)),
    Stage(
        _ENCODER,
        43000,
        256,
        {"encoder.": 1e-3, "graph.": 1e-3},
        {"image_initial": 0.01, "image": 0.01},
        schedule="step",
        milestones=tuple(part / 10 for part in range(1, 10)),
        gamma=0.9,
    ),
    Stage("together", 4300, 256, {"": 1e-4}, _LOSSES, schedule="constant"),
    Stage("affinity", 4300, 256, {"": 1e-4}, _AFFINITY, schedule="constant"),
)
_STAGES = tuple(replace(stage, optimiser="adam", warmup=0.0, clip=0.0) for stage in _STAGES)
_CORNERS = "object_corners_camera"
# The box around the joints takes less than half of the crop, which shows most of what a hand holds.
_CROP = CropConfig(
    size=224,
    patch=350,
    orientation="picture",
    margin=2.2,
    hands="right",
    turn=0.3,
    first_pass=1.5,
    labels=(_CORNERS,),
    needs=("joints_camera", _CORNERS),
)
# Of FPHA's colour camera, in pixels: errors in any picture are measured as that camera would see them.
_FOCAL = 1395.75


@dataclass(frozen=True)
class HandObjectConfig:
    """The network, the affinity, how examples are made, and how it is trained.

    Attributes:
        backbone, residual: see `knuckle.networks.hand_object.HandObjectNetwork`.
        points: "found" by the encoder in the picture; "given": there is no encoder, and true points are lifted, as in
            the paper's Table 2. `knuckle eval --crops truth` gives them.
        lift, dropout, refine_only: see `knuckle.networks.graph.LiftGraph`; lift is "context", "separate", "hand",
            "object" or "u-net".
        focal, length, depth, sight_lines: units in which points are lifted, see `knuckle.networks.hand_object.Units`.
        form, duplicates, reach: of the affinity, see `knuckle.losses.affinity.affinity`.
        uncertainty: learn what errors to expect, of points relative to the middle of all.
        empty_hands: learn from hands that hold nothing too, and tell: a hand without a labelled box is then taken to
            hold nothing, as in pictures of `knuckle synth`. crop.needs must not ask for boxes.
        categories: names of objects to be told apart, as data sets name them.
        true_points: names of the stages in which true points are lifted and not those that were found.
        only: names of the stages that are trained, all of them if empty.
    """

    backbone: str = "resnet50"
    residual: bool = False
    points: Literal["found", "given"] = "found"
    lift: Lift = "context"
    dropout: float = 0.3
    refine_only: bool = False
    focal: float = _FOCAL
    length: float = 1e-3
    depth: float = 0.0
    sight_lines: bool = False
    form: AffinityForm = "printed"
    duplicates: bool = True
    reach: float = REACH
    uncertainty: bool = False
    empty_hands: bool = False
    categories: tuple[str, ...] = ()
    crop: CropConfig = _CROP
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = _STAGES
    true_points: tuple[str, ...] = (_LIFT,)
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.focal, self.length, self.reach) <= 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "focal, length and reach must be above 0 and dropout from 0 to below 1 but got "
                f"{self.focal}, {self.length}, {self.reach}, {self.dropout}"
            )
        wanted = {"joints_camera"} if self.empty_hands else {"joints_camera", _CORNERS}
        if set(self.crop.needs) != wanted or _CORNERS not in self.crop.labels:
            raise ValueError(
                f"crop.needs must be {' and '.join(sorted(wanted))}, and crop.labels have {_CORNERS}, but got "
                f"{self.crop.needs} and {self.crop.labels}"
            )
        if self.sight_lines and self.depth <= 0:
            raise ValueError(f"depth must be above 0 where sight_lines is on but got {self.depth}")
        unknown = set(self.only) - {stage.name for stage in self.stages}
        if unknown:
            names = ", ".join(stage.name for stage in self.stages)
            raise ValueError(f"only must name stages, {names}, but got {', '.join(sorted(unknown))}")


class _Labels(NamedTuple):
    """What is known of a batch, and what is not: NaN-free, False where unknown."""

    uv: Tensor  # (B, 29, 2) pixels of the reference camera, from its principal point
    uv_known: Tensor  # (B, 29)
    points: Tensor  # (B, 29, 3) metres
    known: Tensor  # (B, 29)
    holds: Tensor  # (B,) whether the object's box is labelled


class HandObject:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: HandObjectConfig | None = None) -> None:
        self._config = config or HandObjectConfig()

    @property
    def config(self) -> HandObjectConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        """Those that are trained: the chosen ones, and without an encoder those of true points."""
        c = self._config
        chosen = [stage for stage in c.stages if not c.only or stage.name in c.only]
        return tuple(stage for stage in chosen if c.points == "found" or stage.name in c.true_points)

    def network(self, pretrained: bool = False) -> HandObjectNetwork:
        c = self._config
        found = c.points == "found"
        heads = Heads(c.uncertainty, c.empty_hands, len(c.categories)) if found else None
        lift = LiftGraph(c.lift, c.dropout, c.refine_only)
        units = Units(c.focal, c.length, c.depth, c.sight_lines)
        return HandObjectNetwork(
            c.backbone if found else "", pretrained and found, c.crop.size, lift, units, c.residual, heads
        )

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        c = self._config
        # What cannot be used is better said before an hour of decoding.
        check_backbone(c.backbone, (OWN,))
        named = ("object_category",) if c.categories else ()
        crop = replace(c.crop, labels=tuple(dict.fromkeys((*c.crop.labels, *named))))
        return Crops(sets, crop, c.augment, cache, (), advance)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> HandObjectOutput:
        assert batch.camera is not None, "labels in space are needed, which have one"
        given = None
        if self._config.points == "given" or now.stage.name in self._config.true_points:
            with full_precision(batch.camera.K.device.type):
                given = self._true_points(batch)
        # Where points are given nothing is looked for, which is most of the work.
        return network(batch.image if given is None else None, batch.camera.K, given)

    def losses(self, output: HandObjectOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        """Squared errors in pixels of the reference camera and in millimetres, the affinity, and what heads learn."""
        c = self._config
        labels = self._labels(output, batch)
        scored = self._scored(labels)
        holding = labels.holds
        joints, corners = output.points[:, :JOINTS], output.points[:, JOINTS:]
        # Weights of 0 do not stop what is not a number, and there is nothing to be held in these rows.
        affine = affinity(joints, corners, c.form, duplicates=c.duplicates, reach=c.reach)
        apart = centre_distance(joints, corners)
        losses = {
            "image_initial": weighted_mean(_squared(self._seen(output.uv_initial, batch), labels.uv), labels.uv_known),
            "image": weighted_mean(_squared(self._seen(output.uv, batch), labels.uv), labels.uv_known),
            "space_initial": weighted_mean(1e6 * _squared(output.initial, labels.points), scored),
            "space": weighted_mean(1e6 * _squared(output.points, labels.points), scored),
            "affinity": Mean((affine.total * holding).sum(), (affine.weight * holding).sum()),
            "centre": weighted_mean(apart, holding & (apart > 0)),
        }
        if output.heat is not None:
            uv, known = self._crop_points(output, batch)
            in_crop = known & ((uv > 0) & (uv < 1)).all(-1)
            losses["heat"] = weighted_mean(heatmap_divergence(output.heat, uv, 0.7), in_crop)
        if output.log_scale is not None:
            error = (_centred(output.points, scored) - _centred(labels.points, scored)).abs().mean(-1)
            losses["uncertainty"] = weighted_mean(laplace_nll(output.log_scale, error), scored)
        if output.holds is not None:
            losses["holds"] = weighted_mean(
                functional.binary_cross_entropy_with_logits(output.holds, holding.float(), reduction="none")
            )
        if output.category is not None:
            losses["category"] = self._category_loss(output.category, batch)
        return losses

    def errors(self, output: HandObjectOutput, batch: Batch) -> dict[str, Mean]:
        """Pixels of a crop of 256, millimetres as they are and about the wrist, and how hands grip boxes."""
        labels = self._labels(output, batch)
        uv, uv_known = self._crop_points(output, batch)
        error = 1e3 * (output.points - labels.points)
        scored = self._scored(labels)
        both = scored & scored[:, :1]
        absolute, relative = error.norm(dim=-1), (error - error[:, :1]).norm(dim=-1)
        grip = measure_grip(output.points[:, :JOINTS], output.points[:, JOINTS:])
        found = {
            "uv_px": weighted_mean(256.0 * (output.uv - uv).norm(dim=-1), uv_known),
            "penetration_mm": weighted_mean(1e3 * grip.penetration, labels.holds),
            "contacts": weighted_mean(grip.contacts, labels.holds),
        }
        for name, part in (("hand", slice(0, JOINTS)), ("object", slice(JOINTS, None))):
            found[f"{name}_mm"] = weighted_mean(absolute[:, part], scored[:, part])
            found[f"{name}_relative_mm"] = weighted_mean(relative[:, part], both[:, part])
        return found

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        c = self._config
        given = c.points == "given"
        extra = ("uncertainty", "corner_uncertainty") if c.uncertainty and not given else ()
        extra += ("holds",) if c.empty_hands and not given else ()
        extra += ("category",) if c.categories and not given else ()
        contract = Contract(
            "hand-object",
            crop=c.crop.rule,
            coordinates="metric",
            root=0,
            inputs=("points" if given else "image", "K"),
            outputs=("joints", *(() if c.lift == "hand" else ("corners",)), *extra),
            categories=() if given else c.categories,
        )
        size = float(c.crop.size)
        K = torch.tensor([[size, 0.0, size / 2], [0.0, size, size / 2], [0.0, 0.0, 1.0]]).expand(2, 3, 3).contiguous()
        pixels = torch.zeros(2, c.crop.size, c.crop.size, 3, dtype=torch.uint8)
        points = torch.zeros(2, 29, 2)
        return {"hand": Graph(_Exported(network, contract.outputs, given), (points if given else pixels, K), contract)}

    def _scored(self, labels: _Labels) -> Tensor:
        """(B, 29) which points in space count: those of a part that is lifted."""
        lifted = torch.ones_like(labels.known)
        if self._config.lift == "hand":
            lifted[:, JOINTS:] = False
        if self._config.lift == "object":
            lifted[:, :JOINTS] = False
        return labels.known & lifted

    def _true_points(self, batch: Batch) -> Tensor:
        """(B, 29, 2) pixels of the crop; what is not known lies in the middle of what is."""
        uv = _pixels(batch)
        known = uv.isfinite().all(-1, keepdim=True)
        number = known.sum(1, keepdim=True).clamp(min=1)
        middle = torch.where(known, uv, torch.zeros_like(uv)).sum(1, keepdim=True) / number
        return torch.where(known, uv, middle)

    def _labels(self, output: HandObjectOutput, batch: Batch) -> _Labels:
        assert batch.camera is not None
        truth = _FOCAL * viewing_rays(batch.camera.K, _pixels(batch))[..., :2]
        uv, uv_known = fill_missing(truth.to(output.uv.dtype), self._seen(output.uv, batch))
        points, known = fill_missing(_points(batch), output.points)
        return _Labels(uv, uv_known, points, known, known[:, JOINTS:].all(-1))

    def _crop_points(self, output: HandObjectOutput, batch: Batch) -> tuple[Tensor, Tensor]:
        """The labels (B, 29, 2) in sides of the crop, and which are known (B, 29)."""
        return fill_missing((_pixels(batch) + 0.5) / self._config.crop.size, output.uv)

    def _seen(self, uv: Tensor, batch: Batch) -> Tensor:
        """(B, 29, 2) sides of the crop -> pixels of the reference camera, from its principal point."""
        assert batch.camera is not None
        return _FOCAL * viewing_rays(batch.camera.K, uv * self._config.crop.size - 0.5)[..., :2]

    def _category_loss(self, logits: Tensor, batch: Batch) -> Mean:
        names = {name: i for i, name in enumerate(self._config.categories)}
        wanted = torch.tensor([names.get(name or "", -1) for name in batch.object_category], device=logits.device)
        known = wanted >= 0
        return weighted_mean(functional.cross_entropy(logits, wanted.clamp(min=0), reduction="none"), known)


class SmallHandObject(HandObject):
    """The same with sizes and a schedule that two CPU cores train in minutes."""

    def __init__(self, config: HandObjectConfig | None = None) -> None:
        super().__init__(config or small_config())


def small_config() -> HandObjectConfig:
    """Crops of 128 pixels, heatmaps of a small network, units in which numbers are of the order of one, a short run.

    Hands that hold nothing are learned from too, and errors to expect.
    """
    heads = {"heat": 20.0, "uncertainty": 1.0, "holds": 20.0}
    lift = Stage(_LIFT, 3000, 256, {"lift.": 2e-3}, _SPACE)
    picture = Stage(
        _ENCODER,
        1500,
        32,
        {"encoder.": 2e-3, "graph.": 2e-3, "heads.": 2e-3},
        {"image_initial": 0.01, "image": 0.01} | heads,
    )
    together = Stage("together", 300, 32, {"": 3e-4}, _LOSSES | heads)
    tuned = Stage("affinity", 200, 32, {"": 1e-4}, _AFFINITY | heads)
    stages = tuple(replace(stage, clip=0.0) for stage in (lift, picture, together, tuned))
    crop = replace(_CROP, size=128, patch=math.ceil(128 * _CROP.patch_reach), needs=("joints_camera",))
    return HandObjectConfig(
        backbone=OWN,
        residual=True,
        dropout=0.1,
        focal=4.0,
        length=0.1,
        depth=0.5,
        sight_lines=True,
        uncertainty=True,
        empty_hands=True,
        crop=crop,
        stages=stages,
    )


class _Exported(nn.Module):
    """The network as it is exported: pixels, or the true points, and the crop's intrinsics."""

    def __init__(self, network: nn.Module, outputs: tuple[str, ...], given: bool) -> None:
        super().__init__()
        self.network, self.outputs, self.given = network, outputs, given

    def forward(self, seen: Tensor, K: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W, 3) or (B, 29, 2), and (B, 3, 3) -> the contract's outputs in their order."""
        if self.given:
            output: HandObjectOutput = self.network(None, K, seen)
        else:
            output = self.network(seen.permute(0, 3, 1, 2), K)
        found = {"joints": output.points[:, :JOINTS], "corners": output.points[:, JOINTS:]}
        if output.log_scale is not None:
            scale = output.log_scale.exp()
            found |= {"uncertainty": scale[:, :JOINTS], "corner_uncertainty": scale[:, JOINTS:]}
        if output.holds is not None:
            found["holds"] = output.holds.sigmoid()
        if output.category is not None:
            found["category"] = output.category.softmax(-1)
        return tuple(found[name] for name in self.outputs)


def _points(batch: Batch) -> Tensor:
    """(B, 29, 3) metres, NaN where a point is not known."""
    assert batch.joints_camera is not None, "crop.needs has asked for them"
    corners = batch.object_corners_camera
    if corners is None:
        corners = torch.full_like(batch.joints_camera[:, :8], torch.nan)
    return torch.cat([batch.joints_camera, corners], dim=1)


def _pixels(batch: Batch) -> Tensor:
    """(B, 29, 2) pixels of the crop, NaN where a point is not known or not before the camera."""
    assert batch.camera is not None
    points = _points(batch)[:, JOINTS:] @ batch.camera.K.to(batch.joints_camera.dtype).transpose(-1, -2)
    corners = torch.where(points[..., 2:] > 0, points[..., :2] / points[..., 2:], torch.nan)
    joints = torch.full_like(points[:, :1, :2], torch.nan).expand(-1, JOINTS, -1)
    return torch.cat([joints if batch.joints_image is None else batch.joints_image, corners], dim=1)


def _squared(guess: Tensor, truth: Tensor) -> Tensor:
    return ((guess - truth) ** 2).mean(-1)


def _centred(points: Tensor, known: Tensor) -> Tensor:
    """The points about the mean of those that are known."""
    weights = known[..., None].to(points.dtype)
    return points - (points * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1.0)
