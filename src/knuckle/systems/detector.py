"""The detector that ships: boxes, direction and side of all hands in a picture, from one 256 x 256 view of it.

One answer a cell at an eighth of the input: Zhou et al., Objects as Points, 2019, with the distances to the four edges
of Tian et al., FCOS, ICCV 2019, and the direction from the wrist to the knuckles, so that the hand network gets upright
crops. The hand network's presence decides where the detector is uncertain.

With a weight for the loss `joints` (--set stages.0.losses.joints=30) the network learns the 21 joints of each hand as a
further task, from a head of its own that is not exported. Without it the network has no such head.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from knuckle.camera import Camera
from knuckle.datasets.sets import DataSet, LabelledPicture
from knuckle.image.augment import AugmentConfig, photometric_augment
from knuckle.image.cut import cut
from knuckle.losses.detection import box_overlap_loss, centre_focal, joint_offset_loss
from knuckle.losses.mean import Mean, weighted_mean
from knuckle.networks.detector import DetectorNetwork, DetectorOutput
from knuckle.predict.config import ASSUMED_FOV
from knuckle.predict.contract import Contract, CropRule
from knuckle.predict.crop import hand_direction
from knuckle.predict.detect import STRIDE, box_of_joints
from knuckle.sample import Sample
from knuckle.systems.records import ConcatRecords, NoRecords, Record, open_records, records_folder, write_records
from knuckle.systems.system import Graph, Moment, Part, Stage

# Pictures with more hands than this are left out: a hand without a label would be taught to be none.
MAX_HANDS = 8


@dataclass(frozen=True)
class SceneConfig:
    """How views of whole pictures are made.

    Attributes:
        size: of the network's input.
        patch: whole pictures are kept at this size.
        zoom, turn, shift: standard deviations of the view: logarithm of its side, radians, sides.
        close_up: share of examples in which one hand nearly fills the view.
        occluded: weight of a joint that is occluded, by the hand itself too, where a visible one's is 1: it can only be
            inferred, but says as much about the hand. A joint outside of the view has none.
    """

    size: int = 256
    patch: int = 300
    zoom: float = 0.25
    turn: float = 0.2
    shift: float = 0.12
    close_up: float = 0.3
    occluded: float = 0.5

    def __post_init__(self) -> None:
        if self.size > self.patch or self.size % 32:
            raise ValueError(f"size must be a multiple of 32 and patch at least as large but got {self}")
        if not 0 <= self.occluded <= 1:
            raise ValueError(f"occluded must be a weight of 0 to 1 but got {self.occluded}")


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of the network, how its examples are made, and how it is trained."""

    stem: tuple[int, ...] = (16, 32)
    widths: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (1, 2, 2)
    width: int = 96
    scene: SceneConfig = field(default_factory=SceneConfig)
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(cover=0.0, jpeg=0.0))
    stages: tuple[Stage, ...] = (
        Stage(
            batch=32,
            rates={"": 2e-3},
            optimiser="muon",
            losses={"centre": 1.0, "box": 2.0, "direction": 1.0, "side": 1.0},
        ),
    )

    @property
    def joints(self) -> bool:
        """Whether the network has a head for the joints: where a stage weighs their loss."""
        return any(stage.losses.get("joints") for stage in self.stages)


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Views with their maps to learn, one cell for every `STRIDE` pixels.

    Attributes:
        image: (B, 3, H, W) uint8, channels last in memory.
        centre, weight, side: (B, h, w); edges: (B, 4, h, w); direction: (B, 2, h, w).
        joints: (B, 21, 2, h, w) from the centre of the box, in lengths of its longer side; joint_weight: (B, 21, h, w).
    """

    image: Tensor
    centre: Tensor
    weight: Tensor
    edges: Tensor
    direction: Tensor
    side: Tensor
    joints: Tensor
    joint_weight: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: Any) -> "SceneBatch":
        """The same batch on a device."""
        return SceneBatch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


class Detector:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self._config = config or DetectorConfig()

    @property
    def config(self) -> DetectorConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    def network(self, pretrained: bool = False) -> nn.Module:
        if pretrained:
            raise ValueError("pretrained must be off for this system, whose trunk is its own; begin from a checkpoint")
        c = self._config
        return DetectorNetwork(c.stem, c.widths, c.blocks, c.width, c.joints)

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> "Scenes":
        return Scenes(sets, self._config.scene, self._config.augment, cache, advance)

    def forward(self, network: nn.Module, batch: SceneBatch, now: Moment) -> DetectorOutput:
        return network(batch.image.permute(0, 2, 3, 1))

    def losses(self, output: DetectorOutput, batch: SceneBatch, now: Moment) -> dict[str, Mean]:
        direction = (output.direction - batch.direction).square().sum(1)
        side = nn.functional.binary_cross_entropy_with_logits(output.side, batch.side, reduction="none")
        none = torch.zeros((), device=batch.weight.device)
        return {
            "centre": centre_focal(output.centre, batch.centre),
            "box": weighted_mean(box_overlap_loss(output.edges.exp(), batch.edges), batch.weight),
            "direction": weighted_mean(direction, batch.weight),
            "side": weighted_mean(side, batch.weight),
            "joints": Mean(none, none)
            if output.joints is None
            else joint_offset_loss(output.joints, batch.joints, batch.weight[:, None] * batch.joint_weight),
        }

    def errors(self, output: DetectorOutput, batch: SceneBatch) -> dict[str, Mean]:
        """Near the centres overlap of boxes, degrees of direction, share of correct sides, and distances of joints in
        percent of the box's longer side; recall, false positives.
        """
        weight = batch.weight
        centre = batch.centre >= 1.0
        positive = output.centre > 0.0
        cosine = nn.functional.cosine_similarity(output.direction, batch.direction, dim=1)
        views = torch.tensor(float(len(batch)), device=weight.device)
        errors = {
            "box": weighted_mean(1 - box_overlap_loss(output.edges.exp(), batch.edges), weight),
            "degrees": weighted_mean(torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))), weight),
            "side": weighted_mean(((output.side > 0) == (batch.side > 0.5)).float(), weight),
            "recall": Mean((positive & centre).sum().float(), centre.sum().float()),
            "false_positives": Mean((positive & (batch.centre < 0.3)).sum().float(), views),
        }
        if output.joints is not None:
            distance = 100 * torch.linalg.vector_norm(output.joints - batch.joints, dim=2)
            errors["joints_percent"] = weighted_mean(distance, weight[:, None] * batch.joint_weight)
        return errors

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        size = self._config.scene.size
        contract = Contract("detector", kind="detector", crop=CropRule(size), outputs=("maps",))
        return {"detector": Graph(_AsMaps(network), (torch.zeros(2, size, size, 3, dtype=torch.uint8),), contract)}


class Scenes:
    """The source of whole pictures with all their hands: an example is a list of Samples of one view.

    Pictures with a hand without joint labels are left out: that hand would be a false negative.

    Args:
        sets: opened.
        config, augment: see there.
        cache: folder for the pictures as they are kept.
        advance: called with a set's name and the number of pictures so far.

    Raises:
        ValueError: a set has no picture of use.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        config: SceneConfig,
        augment: AugmentConfig,
        cache: Path,
        advance: Callable[[str, int], None] = lambda name, count: None,
    ) -> None:
        self._config, self._augment = config, augment
        records = [open_records(_scenes_folder(data, config, cache, advance)) for data in sets]
        self._records = ConcatRecords(records)
        self.parts = [
            Part(data.name, count, data.spec.share) for data, count in zip(sets, self._records.lengths, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._records)

    def group(self, index: int) -> str:
        """See Source."""
        return bytes(self._records.column("group", index)).decode()

    def sample(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """One view: first a Sample with the picture alone, then one for each hand, without the picture."""
        record, size = self._records[index], self._config.size
        patch = Camera.from_fov((self._config.patch, self._config.patch), ASSUMED_FOV)
        joints = record["joints"][~np.isnan(record["joints"][:, 0, 0])]
        hands = [
            Sample(side="left" if left else "right", joints_image=np.array(uv, float), visibility=np.array(visible))
            for uv, left, visible in zip(joints, record["left"], record["visible"], strict=False)
        ]
        centre, side, turn = self._view(joints, rng)
        view = patch.crop_around(centre, side, (size, size), -turn, bool(rng.random() < 0.5))
        seen = Sample(image=record["image"]).seen_by(view, cut)
        other = self._records.column("image", int(rng.integers(len(self))))
        picture = replace(seen, image=photometric_augment(np.asarray(seen.image), other, self._augment, rng))
        return [picture, *(hand.seen_by(view, cut) for hand in hands)]

    def collate(self, samples: Sequence[list[Sample]]) -> SceneBatch:
        """See Source."""
        size = self._config.size
        targets = [_targets(hands, size, self._config.occluded) for _, *hands in samples]
        maps = {name: torch.from_numpy(np.stack([t[name] for t in targets])) for name in targets[0]}
        image = torch.from_numpy(np.stack([np.asarray(picture.image) for picture, *_ in samples]))
        return SceneBatch(image=image.permute(0, 3, 1, 2), **maps)

    def _view(self, joints: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
        """Centre, side and turn of a random part of the picture, or of more than the whole of it."""
        config = self._config
        centre = np.full(2, (config.patch - 1) / 2)
        side = config.patch * float(np.exp(np.clip(rng.normal(0.0, config.zoom), -0.5, 0.5)))
        if len(joints) and rng.random() < config.close_up:
            hand = joints[rng.integers(len(joints))]
            centre = (hand.min(0) + hand.max(0)) / 2
            side = float(np.ptp(hand, axis=0).max()) * rng.uniform(1.15, 2.5)
        centre = centre + rng.normal(0.0, config.shift, 2) * side * (0.4 if side < config.patch else 1.0)
        return centre, side, rng.normal(0.0, config.turn)


def _scenes_folder(data: DataSet, config: SceneConfig, cache: Path, advance: Callable[[str, int], None]) -> Path:
    key = {"data": data.fingerprint(), "patch": config.patch, "scenes": 3}
    folder = records_folder(cache, key, data.name)
    if folder.exists():
        return folder

    def records() -> Iterator[Record]:
        for count, picture in enumerate(data.pictures()):
            advance(data.name, count)
            if len(picture.hands) <= MAX_HANDS and all(map(_complete, picture.hands)):
                yield _record(picture, data.group(picture), config.patch)

    try:
        write_records(folder, records())
    except NoRecords:
        raise ValueError(
            f"{data.name} must have a picture in which every hand has joints_image and side but has none"
        ) from None
    return folder


def _complete(hand: Sample) -> bool:
    return hand.side is not None and hand.joints_image is not None and bool(np.isfinite(hand.joints_image).all())


def _record(picture: LabelledPicture, group: str, size: int) -> Record:
    """The whole picture, in the middle of a square, and the joints of its hands; NaN where there are fewer.

    Where the set does not say which joints are visible all count as that.
    """
    height, width = picture.image.shape[:2]
    camera = Camera.from_fov((width, height), ASSUMED_FOV)
    whole = camera.crop_around(((width - 1) / 2, (height - 1) / 2), max(width, height), (size, size))
    joints = np.full((MAX_HANDS, 21, 2), np.nan, np.float32)
    left = np.zeros(MAX_HANDS, bool)
    visible = np.ones((MAX_HANDS, 21), bool)
    for i, hand in enumerate(picture.hands):
        joints[i] = whole.from_picture(np.asarray(hand.joints_image, float))
        left[i] = hand.side == "left"
        if hand.visibility is not None:
            visible[i] = hand.visibility
    image = cut(picture.image, whole.warp[:2], (size, size))
    return {
        "image": image,
        "joints": joints,
        "left": left,
        "visible": visible,
        "group": np.array(group.encode(), "S16"),
    }


class _AsMaps(nn.Module):
    """The network as it is exported: one stack of maps, edges in pixels, probabilities instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """(B, H, W, 3) -> (B, 8, H / 8, W / 8): centre, left, top, right, bottom, direction x and y, left hand."""
        output: DetectorOutput = self.network(image)
        centre, side = torch.sigmoid(output.centre)[:, None], torch.sigmoid(output.side)[:, None]
        return (torch.cat([centre, STRIDE * output.edges.exp(), output.direction, side], dim=1),)


def _targets(hands: Sequence[Sample], size: int, occluded: float = 1.0) -> dict[str, np.ndarray]:
    """Maps to learn, one cell for every `STRIDE` pixels; of hands that mostly lie in the view."""
    cells = size // STRIDE
    down, across = np.mgrid[:cells, :cells].astype(np.float32)
    centre = np.zeros((cells, cells), np.float32)
    weight = np.zeros((cells, cells), np.float32)
    edges = np.ones((4, cells, cells), np.float32)
    direction = np.zeros((2, cells, cells), np.float32)
    side = np.zeros((cells, cells), np.float32)
    joints = np.zeros((21, 2, cells, cells), np.float32)
    joint_weight = np.zeros((21, cells, cells), np.float32)
    for hand in hands:
        uv = np.asarray(hand.joints_image)
        inside = ((uv > 0) & (uv < size)).all(1)
        if inside.mean() < 0.5:
            continue
        # Where a hand leaves the picture its box ends there: how far it goes on cannot be seen.
        box = np.clip(box_of_joints(uv), -0.5, size - 0.5)
        x0, y0, x1, y1 = (box + 0.5) / STRIDE
        column, row = min(int((x0 + x1) / 2), cells - 1), min(int((y0 + y1) / 2), cells - 1)
        spread = max(0.6, 0.1 * max(x1 - x0, y1 - y0))
        bell = np.exp(-((across - column) ** 2 + (down - row) ** 2) / (2 * spread**2))
        near = (bell > 0.5) & (bell > weight)
        centre = np.maximum(centre, bell)
        x, y = across + 0.5, down + 0.5
        distances = np.stack([x - x0, y - y0, x1 - x, y1 - y])
        near &= (distances > 0.1).all(0)
        weight = np.where(near, bell, weight)
        edges = np.where(near, distances, edges)
        pointing = hand_direction(uv)
        # Of length 1 where it is clear, shorter where the hand points at the camera.
        pointing = pointing / max(np.linalg.norm(pointing), 0.3)
        direction = np.where(near, pointing[:, None, None], direction)
        side = np.where(near, float(hand.side == "left"), side)
        visible = np.ones(21, bool) if hand.visibility is None else hand.visibility
        counts = np.where(visible, 1.0, occluded) * inside
        joints[..., near] = joints_in_box(uv, box)[..., None]
        joint_weight[:, near] = counts[:, None]
    return {
        "centre": centre.astype(np.float32),
        "weight": weight.astype(np.float32),
        "edges": edges.astype(np.float32),
        "direction": direction.astype(np.float32),
        "side": side.astype(np.float32),
        "joints": joints,
        "joint_weight": joint_weight,
    }


def joints_in_box(uv: Float[np.ndarray, "21 2"], box: Float[np.ndarray, "4"]) -> Float[np.ndarray, "21 2"]:
    """Joints from the centre of a box (x0, y0, x1, y1), in lengths of its longer side."""
    low, high = box[:2], box[2:]
    return (uv - (low + high) / 2) / max(float((high - low).max()), 1e-6)
