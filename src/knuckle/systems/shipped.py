"""The hand network that ships: 21 joints with doubt, side and presence from an upright square crop.

The idea is S4's (heatmaps, then joints, then angles by fitting), cut down until a picture takes a few milliseconds
on a CPU. Joints are two pixels and a depth (`knuckle.predict.place`). Crops are of either side's hands, half of each,
so one look says both where the joints are and which side it is: nobody has to know the side beforehand.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.image import augment
from knuckle.image.cut import apply_affine, cut
from knuckle.losses.joints import bone_distance, doubt_nll, heatmap_divergence, joint_distance, weighted_mean
from knuckle.networks.hand import HandNetwork, HandOutput
from knuckle.predict.crop import Square, hand_direction, square_of_joints
from knuckle.predict.detect import box_of_joints, covered
from knuckle.predict.place import to_sight
from knuckle.sample import Sample
from knuckle.systems.system import Example, Records


@dataclass(frozen=True)
class ShippedConfig:
    """Sizes of the network and how its examples are made."""

    size: int = 128
    stem: tuple[int, ...] = (32,)
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (1, 2, 2)
    width: int = 128
    layers: int = 2
    # What is kept of each picture: a patch with room around the crop for shifting, turning and zooming.
    patch: int = 200
    patch_reach: float = 1.56
    # How wrong a crop is expected to be where an earlier look suggested it, and how many times that where the
    # detector did.
    shift: float = 0.04
    zoom: float = 0.08
    direction: float = 0.08
    first_look: float = 2.5
    # Places without a hand that are kept of each whole picture, and the least and greatest of their sides in sides
    # of the picture.
    empty_places: int = 2
    empty_side: tuple[float, float] = (0.1, 0.6)


class Shipped:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: ShippedConfig | None = None) -> None:
        self._config = config or ShippedConfig()

    @property
    def config(self) -> ShippedConfig:
        return self._config

    def network(self) -> nn.Module:
        c = self._config
        return HandNetwork(c.stem, c.widths, c.blocks, c.width, c.layers)

    def records(self, picture: np.ndarray, samples: Sequence[Sample]) -> list[Example]:
        """An upright patch of each hand, mirrored if it is a left one, and places without a hand (joints NaN).

        Places without one are taken from whole pictures alone: where a hand fills the picture all others are beside it.
        """
        made = [self._record(picture, sample) for sample in samples]
        return [record for record in made if record is not None] + self._empty_records(picture, samples)

    def example(self, records: Records, index: int, rng: np.random.Generator) -> Example:
        config = self._config
        patch, joints = records["picture"][index], np.asarray(records["joints"][index], float)
        left, no_hand = bool(rng.random() < 0.5), bool(np.isnan(joints).any())
        if no_hand:
            middle, side = (config.patch - 1) / 2, config.patch / config.patch_reach * rng.uniform(0.8, 1.2)
            upright, joints = Square((middle, middle), side, rng.uniform(-0.5, 0.5)), np.zeros((21, 3))
        else:
            upright = self._disturbed(joints[:, :2], rng)
        affine = upright.affine(config.size, mirrored=left)
        picture = cut(patch, affine, (config.size, config.size))
        other = records["picture"][rng.integers(len(records["picture"]))]
        placed = (_through(affine, joints) + np.array([0.5, 0.5, 0.0])) / config.size
        seen = ((placed[:, :2] > 0) & (placed[:, :2] < 1)).all(1)
        return {
            "picture": _photograph(picture, other, rng),
            "joints": placed.astype(np.float32),
            "weight": ((not no_hand) * np.where(records["inside"][index], 1.0, 0.3)).astype(np.float32),
            "seen": ((not no_hand) & seen).astype(np.float32),
            "side": np.float32(left),
            "side_weight": np.float32(not no_hand),
            "presence": np.float32(not no_hand),
        }

    def losses(self, output: HandOutput, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        truth, weight = batch["joints"], batch["weight"]
        error = joint_distance(output.joints, truth)
        bce = nn.functional.binary_cross_entropy_with_logits
        side = bce(output.side, batch["side"], reduction="none")
        return {
            "joints": 20.0 * weighted_mean(error, weight),
            "rough": 5.0 * weighted_mean(joint_distance(output.rough, truth), weight),
            "bones": 10.0 * weighted_mean(bone_distance(output.joints, truth), weight[:, 1:]),
            "heat": 1.0 * weighted_mean(heatmap_divergence(output.heat, truth[..., :2], 0.7), batch["seen"]),
            "doubt": 0.05 * weighted_mean(doubt_nll(output.log_doubt, error), weight),
            "side": 1.0 * weighted_mean(side, batch["side_weight"]),
            "presence": 0.3 * bce(output.presence, batch["presence"]),
        }

    def errors(self, output: HandOutput, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Pixels of a crop of 256 in the picture and in depth, and shares of right sides and presences."""
        apart = 256.0 * (output.joints - batch["joints"])
        right = ((output.side > 0) == (batch["side"] > 0.5)).float()
        return {
            "uv_px": weighted_mean(apart[..., :2].norm(dim=-1), batch["weight"]),
            "depth_px": weighted_mean(apart[..., 2].abs(), batch["weight"]),
            "side": weighted_mean(right, batch["side_weight"]),
            "presence": ((output.presence > 0) == (batch["presence"] > 0.5)).float().mean(),
        }

    def for_export(self, network: nn.Module) -> tuple[nn.Module, Tensor, list[str]]:
        size = self._config.size
        example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        return _Exported(network), example, ["joints", "uncertainty", "left", "presence"]

    def _record(self, picture: np.ndarray, sample: Sample) -> Example | None:
        if sample.joints_camera is None or sample.camera is None or sample.side is None:
            return None
        sighted = to_sight(sample.camera.K, sample.joints_camera)
        height, width = picture.shape[:2]
        inside = (sighted[:, :2] > -0.5).all(1) & (sighted[:, :2] < [width - 0.5, height - 0.5]).all(1)
        # Hands that are mostly outside or tiny teach nothing but guessing.
        if inside.sum() < 11 or np.ptp(sighted[:, :2], axis=0).max() < 40:
            return None
        upright = square_of_joints(sighted[:, :2])
        wide = Square(upright.centre, upright.side * self._config.patch_reach, upright.angle)
        affine = wide.affine(self._config.patch, mirrored=sample.side == "left")
        return {
            "picture": cut(picture, affine, (self._config.patch, self._config.patch)),
            "joints": _through(affine, sighted).astype(np.float32),
            "inside": inside,
        }

    def _empty_records(self, picture: np.ndarray, samples: Sequence[Sample]) -> list[Example]:
        """Squares that show no more than a little of any hand, at random and on the arms; the same ones each time."""
        config = self._config
        found = [box_of_joints(np.asarray(s.joints_image, float)) for s in samples if s.joints_image is not None]
        boxes = np.array(found).reshape(-1, 4)
        size = np.array(picture.shape[1::-1])
        if ((boxes[:, 2:] - boxes[:, :2]) > 0.4 * size.min()).any():
            return []
        rng = np.random.default_rng(zlib.crc32(picture.tobytes()))
        places: list[tuple[np.ndarray, float]] = []
        for _ in range(config.empty_places):
            places.append((rng.uniform(0.0, size - 1.0), float(rng.uniform(*config.empty_side) * size.min())))
        for sample in samples:
            # What is most often taken for a hand: the arm it is on, and the end of the sleeve.
            if sample.joints_image is not None:
                uv = np.asarray(sample.joints_image, float)
                extent = float(np.ptp(uv, axis=0).max())
                centre = uv[0] - extent * hand_direction(uv) * rng.uniform(1.0, 4.0)
                places.append((centre, extent * float(rng.uniform(0.8, 1.6))))
        records: list[Example] = []
        for centre, side in places:
            around = np.concatenate([centre - 0.5 * side, centre + 0.5 * side])
            outside = bool(((centre < 0) | (centre > size - 1)).any())
            if outside or (covered(boxes, around) > 0.15).any():
                continue
            wide = Square((centre[0], centre[1]), side * config.patch_reach, rng.uniform(-0.5, 0.5))
            records.append(
                {
                    "picture": cut(picture, wide.affine(config.patch), (config.patch, config.patch)),
                    "joints": np.full((21, 3), np.nan, np.float32),
                    "inside": np.zeros(21, bool),
                }
            )
        return records

    def _disturbed(self, uv: np.ndarray, rng: np.random.Generator) -> Square:
        """The square around the joints, as wrong as a detector or an earlier look may have it."""
        config = self._config
        slack = config.first_look if rng.random() < 0.4 else 1.0
        right = square_of_joints(uv, hand_direction(uv) + slack * rng.normal(0.0, config.direction, 2))
        shift = slack * rng.normal(0.0, config.shift, 2) * right.side
        zoom = np.exp(np.clip(slack * rng.normal(0.0, config.zoom), -0.35, 0.45))
        return Square((right.centre[0] + shift[0], right.centre[1] + shift[1]), right.side * zoom, right.angle)


class _Exported(nn.Module):
    """The network as it runs in the package: pixels of the crop instead of its sides, chances instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, H, W, 3) -> joints (B, 21, 3) and doubt (B, 21) in pixels, chances of left (B,) and of a hand (B,)."""
        output: HandOutput = self.network(pictures)
        size = pictures.shape[1]
        half = torch.tensor([0.5, 0.5, 0.0])
        return (
            output.joints * size - half,
            torch.exp(output.log_doubt) * size,
            torch.sigmoid(output.side),
            torch.sigmoid(output.presence),
        )


def _through(affine: np.ndarray, sighted: np.ndarray) -> np.ndarray:
    """Joints (u, v, depth) of one picture in another: depth is in pixels too and scales with them."""
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    return np.concatenate([apply_affine(affine, sighted[:, :2]), scale * sighted[:, 2:]], axis=1)


def _photograph(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What may have happened between the scene and the file, in the order in which it happens."""
    chance = rng.random(7)
    if chance[0] < 0.3:
        picture = augment.cover(picture, other, rng, reach=0.25)
    if chance[1] < 0.4:
        picture = augment.mix_amplitude(picture, other, rng)
    if chance[2] < 0.3:
        picture = augment.shade(picture, rng)
    if chance[3] < 0.9:
        picture = augment.recolour(picture, rng)
    if chance[4] < 0.4:
        picture = augment.blur(picture, rng)
    if chance[5] < 0.3:
        picture = augment.noise(picture, rng)
    if chance[6] < 0.15:
        picture = augment.jpeg(picture, rng)
    return picture
