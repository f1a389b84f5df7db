"""Crops of hands to train on, the source that systems share: a patch of each hand is decoded once, and cropped anew
each time it is drawn.

A patch is a Sample seen by a camera that shows some room around the hand; what a network sees is that patch seen by a
jittered crop of the camera, mirrored or not. So labels of every kind go the same way, with one algebra of crops.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.sets import DataSet, LabelledPicture
from knuckle.image.augment import AugmentConfig, photometric_augment
from knuckle.image.cut import cut
from knuckle.predict.config import ASSUMED_FOV
from knuckle.predict.contract import CropRule
from knuckle.predict.crop import MARGIN, Square, direction_of_labels, hand_direction, square_of_labels
from knuckle.predict.detect import box_of_joints, covered
from knuckle.sample import Batch, Sample, collate
from knuckle.sample.sample import ARRAY_FIELDS
from knuckle.systems.records import ConcatRecords, NoRecords, Record, open_records, records_folder, write_records
from knuckle.systems.system import Part

# What every record has; further labels come along where a system asks for them.
_ALWAYS = ("joints_camera", "joints_image", "in_frame")
_MASKS = ("mask_complete", "mask_visible", "object_mask")
_NO_HAND = "must have a usable hand but has none: hands must have {}"
_MISSING_FLAG, _CATEGORY = 2, "S64"


@dataclass(frozen=True)
class CropConfig:
    """How crops are cut, and how they are jittered.

    Attributes:
        size, orientation, margin, hands: see `knuckle.predict.contract.CropRule`.
        patch: side in pixels of what is kept of each hand.
        patch_reach: its side over that of the exact crop: room to shift, turn and zoom.
        shift: standard deviation of the crop's centre, in its sides.
        zoom: of the logarithm of its side.
        turn: of its direction in the picture, in extents of the hand; with orientation "picture", radians.
        first_pass: factor on the jitter for crops as a detector gives them, not an earlier pass of the network.
        first_pass_share: part of the examples with that factor.
        labels: fields of Sample that come along beside joints and side, such as mask_complete, object_corners_camera.
        vertices: how many the meshes have, if vertices_camera is among the labels.
        needs: fields that an example must have; others are left out.
        min_joints, min_extent: joints (of 21) within the picture, and pixels of it that they extend over, below which
            a hand is left out: a network could only guess it.
        empty_places: places without a hand that are kept of each whole picture, beside those on arms; 0 for neither.
        empty_side: their least and greatest side in shorter sides of the picture.
    """

    size: int = 128
    orientation: Literal["upright", "picture"] = "upright"
    margin: float = MARGIN
    hands: Literal["either", "right"] = "either"
    patch: int = 200
    patch_reach: float = 1.56
    shift: float = 0.04
    zoom: float = 0.08
    turn: float = 0.08
    first_pass: float = 2.5
    first_pass_share: float = 0.4
    labels: tuple[str, ...] = ()
    vertices: int = 0
    needs: tuple[str, ...] = ()
    min_joints: int = 11
    min_extent: float = 30.0
    empty_places: int = 0
    empty_side: tuple[float, ...] = (0.1, 0.6)

    def __post_init__(self) -> None:
        unknown = (set(self.labels) | set(self.needs)) - (set(ARRAY_FIELDS) - {"image"}) - {"object_category", "side"}
        if unknown:
            raise ValueError(f"labels and needs must be fields of Sample but got {', '.join(sorted(unknown))}")
        if self.size > self.patch:
            raise ValueError(
                f"patch must be at least size, or crops would show less than they could, but got {self.patch} for "
                f"{self.size}; {self.patch_reach:g} times the size fits"
            )
        if "vertices_camera" in self.labels and self.vertices < 1:
            raise ValueError("vertices must say how many the meshes have, as vertices_camera is asked for, but is 0")

    @property
    def rule(self) -> CropRule:
        """What a network that was trained on these crops must be given."""
        return CropRule(self.size, self.orientation, self.margin, self.hands)


class Crops:
    """The source (`knuckle.systems.system.Source`) of the hands of data sets, a Sample each.

    Args:
        sets: opened.
        config: see there; what changes the patches makes a new cache, the rest does not.
        augment: what happens to the pixels.
        cache: folder for the patches.
        needs_somewhere: fields that at least one set must have, for a system that learns from mixed labels.
        assume_cameras: give the hands of pictures without a camera one with the assumed field of view of prediction
            (knuckle.predict.config.ASSUMED_FOV), for a system that places hands in space; otherwise their examples
            have no camera. Labels in space are never taken by an assumed camera: such hands have none.
        advance: called with a set's name and its number of examples so far while patches are cut.

    Raises:
        ValueError: a set has no usable hand, or no set has the labels needed.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        config: CropConfig,
        augment: AugmentConfig,
        cache: Path,
        needs_somewhere: Sequence[str] = (),
        advance: Callable[[str, int], None] = lambda name, count: None,
        *,
        assume_cameras: bool = False,
    ) -> None:
        self._assume_cameras = assume_cameras
        self._config, self._augment, self._rule = config, augment, config.rule
        folders = [_patches(data, config, cache, advance) for data in sets]
        records = [open_records(folder) for folder in folders]
        for data, part in zip(sets, records, strict=True):
            if not np.isfinite(part["joints_image"]).any():
                raise ValueError(f"{data.name} {_NO_HAND.format(_wanted(config))}")
        self._records = ConcatRecords(records)
        self.parts = [
            Part(data.name, count, data.spec.share) for data, count in zip(sets, self._records.lengths, strict=True)
        ]
        for name in needs_somewhere:
            if not any(np.isfinite(part[name]).all(-1).any() for part in records):
                raise ValueError(
                    f"one set at least must have {name} but {', '.join(s.name for s in sets)} has only labels in the "
                    "picture; add one with labels in space, such as pictures of `knuckle synth`"
                )

    def __len__(self) -> int:
        return len(self._records)

    def group(self, index: int) -> str:
        """See Source."""
        return bytes(self._records.column("group", index)).decode()

    def category(self, index: int) -> str | None:
        """Of the held object; None where it is not labelled. object_category must be among the config's labels."""
        return self._records.column("object_category", index).item().decode() or None

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """See Source."""
        return collate(samples)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The hand through a jittered crop, its pixels augmented; a Sample with nothing but an image has no hand."""
        config = self._config
        record = self._records[index]
        patch = _sample_of(record, self._assume_cameras)
        if patch.joints_image is None:
            middle, side = (config.patch - 1) / 2, config.patch / config.patch_reach * rng.uniform(0.8, 1.2)
            square = Square((middle, middle), side, rng.uniform(-0.5, 0.5))
        else:
            square = self._jittered(patch.joints_image, rng)
        mirror = patch.side == "left" if config.hands == "right" else bool(rng.random() < 0.5)
        camera = patch.camera or Camera.from_fov((config.patch, config.patch), ASSUMED_FOV)
        crop = camera.crop_around(square.centre, square.side, (config.size, config.size), -square.angle, mirror)
        other = self._records.column("image", int(rng.integers(len(self))))

        def cut_and_augment(picture: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
            return photometric_augment(cut(picture, affine, size), other, self._augment, rng)

        return patch.seen_by(crop, cut_and_augment)

    def _jittered(self, uv: np.ndarray, rng: np.random.Generator) -> Square:
        """The square around the joints with the errors of a detector, or of an earlier pass."""
        config = self._config
        slack = config.first_pass if rng.random() < config.first_pass_share else 1.0
        noise = slack * rng.normal(0.0, 1.0, 4)
        right = square_of_labels(uv, self._rule, direction_of_labels(uv) + config.turn * noise[:2])
        assert right is not None, "a patch shows several joints"
        if config.orientation == "picture":
            right = right._replace(angle=config.turn * float(noise[0]))
        shift = config.shift * noise[2:] * right.side
        zoom = float(np.exp(np.clip(slack * rng.normal(0.0, config.zoom), -0.35, 0.45)))
        return Square((right.centre[0] + shift[0], right.centre[1] + shift[1]), right.side * zoom, right.angle)


def _patches(data: DataSet, config: CropConfig, cache: Path, advance: Callable[[str, int], None]) -> Path:
    """The folder with the patches of a set, made where there is none yet."""
    # Only what the patches depend on: another jitter needs no new ones.
    free = ("size", "shift", "zoom", "turn", "first_pass", "first_pass_share", "hands")
    key = {name: value for name, value in asdict(config).items() if name not in free}
    key |= {"data": data.fingerprint(), "right": config.hands == "right", "format": 3}
    folder = records_folder(cache, key, data.name)
    if not folder.exists():

        def counted() -> Iterator[Record]:
            for count, record in enumerate(_records_of(data, config)):
                advance(data.name, count)
                yield record

        try:
            write_records(folder, counted())
        except NoRecords:
            raise ValueError(f"{data.name} {_NO_HAND.format(_wanted(config))}") from None
    return folder


def _wanted(config: CropConfig) -> str:
    needed = " and ".join(dict.fromkeys(("joints_image", *config.needs)))
    return f"{needed}, extend over {config.min_extent:g} pixels, and lie mostly within the picture"


def _records_of(data: DataSet, config: CropConfig) -> Iterator[Record]:
    wanted = {*config.labels, *config.needs}
    for picture in data.pictures(not wanted.isdisjoint(_MASKS), "vertices_camera" in wanted):
        group = data.group(picture)
        patches = [_patch(hand, config) for hand in picture.hands]
        for hand, patch in zip(picture.hands, patches, strict=True):
            if patch is not None:
                _check_topology(patch, config, data.name)
                yield _record_of(patch, config, group, assumed=hand.camera is None)
        for patch in _empty_patches(picture, config):
            yield _record_of(patch, config, group, assumed=True)


def _check_topology(hand: Sample, config: CropConfig, name: str) -> None:
    mesh = hand.vertices_camera
    if "vertices_camera" in config.labels and mesh is not None and len(mesh) != config.vertices:
        raise ValueError(
            f"{name} must have meshes of {config.vertices} vertices, those that the system is set up for, but has "
            f"{len(mesh)}; add :2d to use its joints in the picture alone, or set the system up for that topology"
        )


def _patch(hand: Sample, config: CropConfig) -> Sample | None:
    """A hand with room around it, upright if its crops are; None where it is of no use."""
    uv, image = hand.joints_image, hand.image
    missing = [name for name in config.needs if getattr(hand, name) is None]
    if uv is None or image is None or missing or (config.hands == "right" and hand.side is None):
        return None
    size = np.array(image.shape[1::-1])
    with np.errstate(invalid="ignore"):
        in_frame = ((uv > -0.5) & (uv < size - 0.5)).all(1)
    known = uv[np.isfinite(uv).all(1)]
    # Some sets label the fingertips alone.
    enough = config.min_joints * len(known) / 21
    if len(known) < 2 or in_frame.sum() < enough or np.ptp(known, axis=0).max() < config.min_extent:
        return None
    right = square_of_labels(uv, config.rule)
    assert right is not None, "min_joints and min_extent have seen to it"
    camera = hand.camera or Camera.from_fov((int(size[0]), int(size[1])), ASSUMED_FOV)
    return _cut_patch(replace(hand, in_frame=in_frame), camera, right, config)


def _cut_patch(hand: Sample, camera: Camera, right: Square, config: CropConfig) -> Sample:
    side = right.side * config.patch_reach
    crop = camera.crop_around(right.centre, side, (config.patch, config.patch), -right.angle)
    # From here on the patch is a picture of its own. Its part of an assumed camera can be told only now.
    return replace(hand.seen_by(crop, cut), camera=Camera(crop.K, crop.size))


def _empty_patches(picture: LabelledPicture, config: CropConfig) -> list[Sample]:
    """Places that show no more than a little of any hand, at random and on the arms; the same ones each time.

    They are taken from whole pictures alone: where a hand fills the picture all others are beside it.
    """
    if not config.empty_places:
        return []
    boxes = np.array([_box_of(hand) for hand in picture.hands]).reshape(-1, 4)
    size = np.array(picture.image.shape[1::-1])
    # A hand whose place is not labelled may be anywhere.
    if np.isnan(boxes).any() or ((boxes[:, 2:] - boxes[:, :2]) > 0.4 * size.min()).any():
        return []
    rng = np.random.default_rng(zlib.crc32(picture.image.tobytes()))
    places: list[tuple[np.ndarray, float]] = []
    low, high = config.empty_side
    for _ in range(config.empty_places):
        places.append((rng.uniform(0.0, size - 1.0), float(rng.uniform(low, high) * size.min())))
    for hand in picture.hands:
        # What is most often taken for a hand: the arm it is on, and the end of the sleeve.
        if hand.joints_image is None or not np.isfinite(hand.joints_image).all():
            continue
        uv = np.asarray(hand.joints_image, float)
        extent = float(np.ptp(uv, axis=0).max())
        places.append((uv[0] - extent * hand_direction(uv) * rng.uniform(1.0, 4.0), extent * rng.uniform(0.8, 1.6)))
    camera = Camera.from_fov((int(size[0]), int(size[1])), ASSUMED_FOV)
    found = []
    for centre, side in places:
        around = np.concatenate([centre - 0.5 * side, centre + 0.5 * side])
        if ((centre < 0) | (centre > size - 1)).any() or (covered(boxes, around) > 0.15).any():
            continue
        square = Square((float(centre[0]), float(centre[1])), float(side), float(rng.uniform(-0.5, 0.5)))
        found.append(_cut_patch(Sample(image=picture.image), camera, square, config))
    return found


def _box_of(hand: Sample) -> np.ndarray:
    """The box around a hand by its joints, else the one that it is labelled with; NaN where there is neither."""
    known = np.zeros((0, 2)) if hand.joints_image is None else hand.joints_image[np.isfinite(hand.joints_image).all(1)]
    if len(known) > 1:
        return box_of_joints(known)
    return np.full(4, np.nan) if hand.box is None else np.asarray(hand.box, float)


def _record_of(patch: Sample, config: CropConfig, group: str, assumed: bool = False) -> Record:
    """Arrays of fixed shapes: NaN, or a flag, stands for what is missing; `assumed` is of the camera."""
    assert patch.camera is not None, "_cut_patch has given it one"
    record: dict[str, Any] = {"image": patch.image, "group": np.array(group.encode(), "S16")}
    record |= {"K": np.asarray(patch.camera.K, float), "camera_assumed": np.bool_(assumed)}
    record["side"] = np.int8({None: -1, "right": 0, "left": 1}[patch.side])
    for name in dict.fromkeys((*_ALWAYS, *config.labels)):
        value = getattr(patch, name)
        if name == "object_category":
            record[name] = np.array((value or "").encode()[:64], _CATEGORY)
            continue
        if name == "side":
            continue
        sizes = {"H": config.patch, "W": config.patch, "V": config.vertices}
        shape = tuple(sizes[n] if isinstance(n, str) else n for n in ARRAY_FIELDS[name][0])
        if ARRAY_FIELDS[name][1] == "boolean":
            record[name] = np.full(shape, _MISSING_FLAG, np.uint8) if value is None else value.astype(np.uint8)
        else:
            record[name] = np.full(shape, np.nan, np.float32) if value is None else value.astype(np.float32)
    return record


def _sample_of(record: Record, assume_cameras: bool = False) -> Sample:
    """The patch as a Sample again; with its camera where that is known, or is to be assumed."""
    fields: dict[str, Any] = {}
    for name, value in record.items():
        if name in ("group", "K", "camera_assumed", "side"):
            continue
        if name == "object_category":
            fields[name] = value.item().decode() or None
        elif name == "image":
            fields[name] = value
        elif value.dtype == np.uint8:
            fields[name] = None if value.flat[0] == _MISSING_FLAG else value.astype(bool)
        else:
            fields[name] = None if np.isnan(value).all() else value
    size = (record["image"].shape[1], record["image"].shape[0])
    known = assume_cameras or not record["camera_assumed"]
    fields["camera"] = Camera(record["K"], size) if known else None
    side = int(record["side"])
    fields["side"] = None if side < 0 else ("right", "left")[side]
    return Sample(**fields)
