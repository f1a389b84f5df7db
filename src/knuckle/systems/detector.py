"""The detector that ships: boxes, direction and side of all hands in a picture, from one 256 x 256 view of it.

One answer a cell at an eighth of the input: Zhou et al., Objects as Points, 2019, with the ways to the four edges of
Tian et al., FCOS, ICCV 2019, and the direction from the wrist to the knuckles, so that the hand network gets upright
crops. It judges no joints: what it is unsure of, the hand network's presence settles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.image import augment
from knuckle.image.cut import apply_affine, cut, square
from knuckle.losses.detection import box_overlap_loss, centre_focal
from knuckle.losses.joints import weighted_mean
from knuckle.networks.detector import DetectorNetwork, DetectorOutput
from knuckle.predict.crop import hand_direction
from knuckle.predict.detect import STRIDE, box_of_joints, letterbox
from knuckle.sample import Sample
from knuckle.systems.system import Example, Records

# Pictures with more hands than this are cut down to the first ones.
MOST_HANDS = 3


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of the network and how its examples are made."""

    size: int = 256
    stem: tuple[int, ...] = (16, 32)
    widths: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (1, 2, 2)
    width: int = 96
    # Whole pictures are kept at this size.
    patch: int = 300
    # Of the view: logarithmic zoom, turn in radians, shift in sides of the picture.
    zoom: float = 0.25
    turn: float = 0.2
    shift: float = 0.12
    # Share of examples in which one hand nearly fills the view.
    close_up: float = 0.3


class Detector:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self._config = config or DetectorConfig()

    @property
    def config(self) -> DetectorConfig:
        return self._config

    def network(self) -> nn.Module:
        c = self._config
        return DetectorNetwork(c.stem, c.widths, c.blocks, c.width)

    def records(self, picture: np.ndarray, samples: Sequence[Sample]) -> list[Example]:
        """The whole picture, with the joints of its hands; NaN where there are fewer than `MOST_HANDS`."""
        size = self._config.patch
        affine = letterbox(picture.shape[1], picture.shape[0], size)
        joints = np.full((MOST_HANDS, 21, 2), np.nan, np.float32)
        left = np.zeros(MOST_HANDS, bool)
        hands = [s for s in samples if s.joints_image is not None]
        for i, sample in enumerate(hands[:MOST_HANDS]):
            joints[i] = apply_affine(affine, np.asarray(sample.joints_image, float))
            left[i] = sample.side == "left"
        return [{"picture": cut(picture, affine, (size, size)), "joints": joints, "left": left}]

    def example(self, records: Records, index: int, rng: np.random.Generator) -> Example:
        size = self._config.size
        joints = np.asarray(records["joints"][index], float)
        joints = joints[~np.isnan(joints[:, 0, 0])]
        left = np.asarray(records["left"][index])[: len(joints)]
        mirrored = bool(rng.random() < 0.5)
        affine = self._view(joints, rng, mirrored)
        picture = cut(records["picture"][index], affine, (size, size))
        other = records["picture"][rng.integers(len(records["picture"]))]
        targets = _targets(apply_affine(affine, joints), left ^ mirrored, size)
        return {"picture": _photograph(picture, other, rng), **targets}

    def losses(self, output: DetectorOutput, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weight = batch["weight"]
        direction = (output.direction - batch["direction"]).square().sum(1)
        side = nn.functional.binary_cross_entropy_with_logits(output.side, batch["side"], reduction="none")
        return {
            "centre": centre_focal(output.centre, batch["centre"]),
            "box": 2.0 * weighted_mean(box_overlap_loss(output.edges.exp(), batch["edges"]), weight),
            "direction": 1.0 * weighted_mean(direction, weight),
            "side": 1.0 * weighted_mean(side, weight),
        }

    def errors(self, output: DetectorOutput, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Near the centres overlap of boxes, degrees of direction, share of right sides; hands found and invented."""
        weight = batch["weight"]
        centre = batch["centre"] >= 1.0
        sure = output.centre > 0.0
        cosine = nn.functional.cosine_similarity(output.direction, batch["direction"], dim=1)
        return {
            "box": weighted_mean(1 - box_overlap_loss(output.edges.exp(), batch["edges"]), weight),
            "degrees": weighted_mean(torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))), weight),
            "side": weighted_mean(((output.side > 0) == (batch["side"] > 0.5)).float(), weight),
            "found": (sure & centre).sum() / centre.sum().clamp(min=1),
            "invented": (sure & (batch["centre"] < 0.3)).sum() / len(centre),
        }

    def for_export(self, network: nn.Module) -> tuple[nn.Module, Tensor, list[str]]:
        size = self._config.size
        return _Exported(network), torch.zeros(2, size, size, 3, dtype=torch.uint8), ["maps"]

    def _view(self, joints: np.ndarray, rng: np.random.Generator, mirrored: bool) -> np.ndarray:
        """A random part of the picture, or more than the whole of it."""
        config = self._config
        middle = np.full(2, (config.patch - 1) / 2)
        side = config.patch * np.exp(np.clip(rng.normal(0.0, config.zoom), -0.5, 0.5))
        if len(joints) and rng.random() < config.close_up:
            hand = joints[rng.integers(len(joints))]
            middle = (hand.min(0) + hand.max(0)) / 2
            side = float(np.ptp(hand, axis=0).max()) * rng.uniform(1.15, 2.5)
        middle = middle + rng.normal(0.0, config.shift, 2) * side * (0.4 if side < config.patch else 1.0)
        return square((middle[0], middle[1]), side, rng.normal(0.0, config.turn), config.size, mirrored)


class _Exported(nn.Module):
    """The network as it runs in the package: one stack of maps, edges in pixels, chances instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) -> (B, 8, H / 8, W / 8): centre, left, top, right, bottom, direction x and y, left hand."""
        output: DetectorOutput = self.network(pictures)
        centre, side = torch.sigmoid(output.centre)[:, None], torch.sigmoid(output.side)[:, None]
        return torch.cat([centre, STRIDE * output.edges.exp(), output.direction, side], dim=1)


def _targets(joints: np.ndarray, left: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Maps to learn, one cell for every `STRIDE` pixels; of hands that mostly lie in the view."""
    cells = size // STRIDE
    down, across = np.mgrid[:cells, :cells].astype(np.float32)
    centre = np.zeros((cells, cells), np.float32)
    weight = np.zeros((cells, cells), np.float32)
    edges = np.ones((4, cells, cells), np.float32)
    direction = np.zeros((2, cells, cells), np.float32)
    side = np.zeros((cells, cells), np.float32)
    for uv, is_left in zip(joints, left, strict=True):
        inside = ((uv > 0) & (uv < size)).all(1)
        if inside.mean() < 0.5:
            continue
        # Where a hand leaves the picture its box ends there: nobody can say how far it goes on.
        box = np.clip(box_of_joints(uv), -0.5, size - 0.5)
        x0, y0, x1, y1 = (box + 0.5) / STRIDE
        column, row = min(int((x0 + x1) / 2), cells - 1), min(int((y0 + y1) / 2), cells - 1)
        spread = max(0.6, 0.1 * max(x1 - x0, y1 - y0))
        bell = np.exp(-((across - column) ** 2 + (down - row) ** 2) / (2 * spread**2))
        near = (bell > 0.5) & (bell > weight)
        centre = np.maximum(centre, bell)
        x, y = across + 0.5, down + 0.5
        ways = np.stack([x - x0, y - y0, x1 - x, y1 - y])
        near &= (ways > 0.1).all(0)
        weight = np.where(near, bell, weight)
        edges = np.where(near, ways, edges)
        pointing = hand_direction(uv)
        # Of length 1 where it is clear, shorter where the hand points at the camera.
        pointing = pointing / max(np.linalg.norm(pointing), 0.3)
        direction = np.where(near, pointing[:, None, None], direction)
        side = np.where(near, float(is_left), side)
    return {
        "centre": centre.astype(np.float32),
        "weight": weight.astype(np.float32),
        "edges": edges.astype(np.float32),
        "direction": direction.astype(np.float32),
        "side": side.astype(np.float32),
    }


def _photograph(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = rng.random(5)
    if chance[0] < 0.4:
        picture = augment.mix_amplitude(picture, other, rng)
    if chance[1] < 0.3:
        picture = augment.shade(picture, rng)
    if chance[2] < 0.9:
        picture = augment.recolour(picture, rng)
    if chance[3] < 0.4:
        picture = augment.blur(picture, rng)
    if chance[4] < 0.3:
        picture = augment.noise(picture, rng)
    return picture
