"""Reads the shards that `knuckle synth` writes as a stream of pictures or of Samples, directly from the tar files.

Nothing is unpacked to disk, and shards are not trusted: members must be plain files with known suffixes and of bounded
size, labels are JSON that Sample validates.
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.datasets.layout import BrokenDataset, records_of
from knuckle.files import InputError, RefusedFile, number_array, open_regular, parse_json
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.image import PictureError, decode_pixels
from knuckle.sample import Sample
from knuckle.skeleton import BOX_CORNERS

_MAX_MEMBER = 2**25  # bytes; a picture of `knuckle synth` has some 30 thousand
_MAX_MEMBERS = 10**6
_MAX_PIXELS = 2048**2  # the largest that `knuckle synth` draws
_NAME = re.compile(r"([A-Za-z0-9_-]{1,64})\.(jpg|visible\.png|complete\.png|json)")


@dataclass(frozen=True)
class ShardPicture:
    """One picture of a shard with all its hands.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        label: the label, with a list `hands` that may be empty; see docs/pictures.md.
        visible: (H, W) uint8: 0 background, h hand number h, 100 + h its forearm or sleeve, 200 + h the
            object it holds, 255 another occluder; None where masks are not read.
        complete: (H, W) uint8: bit h - 1 is hand h without occlusion, bit h + 3 its forearm.
    """

    image: np.ndarray
    label: dict[str, Any]
    visible: np.ndarray | None
    complete: np.ndarray | None


def shard_paths(source: str | Path) -> list[Path]:
    """The shards of a folder in their order, or the one shard itself.

    Raises:
        FileNotFoundError: there is none.
    """
    source = Path(source)
    # Hidden files are still being written.
    paths = [source] if source.is_file() else sorted(p for p in source.glob("*.tar") if not p.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"{source} must hold .tar shards but has none; make some with `knuckle synth {source}`")
    return paths


def read_members(path: Path) -> Iterator[dict[str, bytes]]:
    """The files of each picture of a shard, by suffix, in the order in which they were written.

    Raises:
        RefusedFile: the shard is damaged, or is not one of `knuckle synth`.
        OSError: it cannot be read.
    """
    files: dict[str, bytes] = {}
    current = ""
    try:
        # As a stream: members are read in order, none by name.
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for count, member in enumerate(tar):
                match = _NAME.fullmatch(member.name)
                if not member.isreg() or match is None or member.size > _MAX_MEMBER or count >= _MAX_MEMBERS:
                    raise RefusedFile(
                        f"{path} must hold only pictures, masks and labels but has {member.name[:80]!r} of "
                        f"{member.size} bytes; write it again"
                    )
                name, ending = match.groups()
                if name != current and files:
                    yield files
                    files = {}
                current = name
                content = tar.extractfile(member)
                files[ending] = content.read() if content is not None else b""
                if len(files[ending]) != member.size:
                    raise RefusedFile(f"{path} is truncated in {member.name!r}; write it again")
    except (tarfile.TarError, EOFError) as error:
        raise RefusedFile(
            f"{path} must be an uncompressed .tar but cannot be read ({error}); write it again"
        ) from error
    if files:
        yield files


def read_pictures(sources: str | Path | Iterable[str | Path], masks: bool = True) -> Iterator[ShardPicture]:
    """The pictures of one or several folders or shards, in order.

    Args:
        sources: a folder, a shard, or several of either.
        masks: also decode the masks.

    Raises:
        RefusedFile, OSError: see read_members.
    """
    for source in [sources] if isinstance(sources, str | Path) else sources:
        for path in shard_paths(source):
            for files in read_members(path):
                yield _decoded(path, files, masks)


def read_labels(sources: str | Path | Iterable[str | Path]) -> Iterator[dict[str, Any]]:
    """The labels of the pictures of one or several folders or shards, in order, without decoding a picture.

    Raises:
        RefusedFile, OSError: see read_members.
    """
    for source in [sources] if isinstance(sources, str | Path) else sources:
        for path in shard_paths(source):
            for files in read_members(path):
                if "json" not in files:
                    raise RefusedFile(f"{path} must have a label for every picture but one lacks it; write it again")
                yield _label(path, files["json"])


def _label(path: Path, data: bytes) -> dict[str, Any]:
    label = parse_json(data, f"a label of {path}")
    if not isinstance(label, dict):
        raise RefusedFile(f"{path} must have objects as labels but has a {type(label).__name__}; write it again")
    return label


def _decoded(path: Path, files: dict[str, bytes], masks: bool) -> ShardPicture:
    needed = {"jpg", "json"} | ({"visible.png", "complete.png"} if masks else set())
    if not needed <= set(files):
        raise RefusedFile(
            f"{path} must have {sorted(needed)} for every picture but has {sorted(files)}; write it again"
        )
    label = _label(path, files["json"])
    image = _pixels(path, files["jpg"], cv2.IMREAD_COLOR)[..., ::-1]
    visible, complete = (
        _pixels(path, files[name], cv2.IMREAD_GRAYSCALE) if masks else None for name in ("visible.png", "complete.png")
    )
    return ShardPicture(np.ascontiguousarray(image), label, visible, complete)


def _pixels(path: Path, data: bytes, flags: int) -> np.ndarray:
    try:
        return decode_pixels(data, flags, _MAX_PIXELS)
    except PictureError as error:
        raise RefusedFile(f"{path} must have whole pictures but one {error}; write it again") from None


def samples_of(
    picture: ShardPicture, hands: Literal["first", "all"] = "first", model: HandModel | None = None
) -> list[Sample]:
    """The hands of a picture as Samples.

    Args:
        picture: of a shard.
        hands: "first" for the hand that a crop is centred on, "all" for every hand.
        model: the free hand in NumPy, to fill vertices_camera as well; None leaves them out.

    Raises:
        BrokenDataset: a label does not fit the picture, or lacks an entry.
    """
    name = str(picture.label.get("id", "a label"))
    try:
        with records_of(Path(name)):
            return _samples(picture, hands, model)
    except InputError:
        raise
    except ValueError as error:  # of a camera or a sample that cannot be
        raise BrokenDataset(f"{name}: {error}") from error


def _samples(picture: ShardPicture, hands: Literal["first", "all"], model: HandModel | None) -> list[Sample]:
    label = picture.label
    camera = Camera(number_array(label["K"], "K"), tuple(label["size"]))
    objects = {entry["held_by"]: entry for entry in label.get("objects", ())}
    chosen = label["hands"] if hands == "all" else [hand for hand in label["hands"] if hand["number"] == 1]
    return [_sample(picture, camera, hand, objects.get(hand["number"]), model) for hand in chosen]


def _sample(
    picture: ShardPicture,
    camera: Camera,
    hand: dict[str, Any],
    held: dict[str, Any] | None,
    model: HandModel | None,
) -> Sample:
    number = int(hand["number"])
    arrays: dict[str, Any] = {
        name: number_array(hand[name], name)
        for name in ("joints_camera", "joints_image", "wrist_angles", "shape", "T_camera_hand", "box")
    }
    arrays["angles"] = number_array([hand["angles"][name] for name in ANGLE_NAMES], "angles")
    arrays["visibility"] = np.asarray(hand["visibility"], bool)
    if picture.complete is not None and picture.visible is not None:
        arrays["mask_complete"] = (picture.complete >> (number - 1)) & 1 == 1
        arrays["mask_visible"] = picture.visible == number
        if held is not None:
            arrays["object_mask"] = picture.visible == 200 + number
    if held is not None:
        pose, half = (number_array(held[name], name) for name in ("T_camera_object", "half"))
        corners = 2 * half * np.asarray(BOX_CORNERS)
        arrays["T_camera_object"] = pose
        arrays["object_corners_camera"] = corners @ pose[:3, :3].T + pose[:3, 3]
        if "contacts" in held:
            arrays["contacts"] = np.asarray(held["contacts"], bool)
        arrays["object_category"] = held.get("category")
    if model is not None:
        posed = model(
            arrays["angles"],
            wrist_angles=arrays["wrist_angles"],
            shape=arrays["shape"],
            T_camera_hand=arrays["T_camera_hand"],
            side=hand["side"],
        )
        arrays["vertices_camera"] = posed.vertices
    return Sample(
        image=picture.image,
        camera=camera,
        side=hand["side"],
        source="synth",
        id=f"{picture.label['id']}-{number}",
        **arrays,
    )


def read_samples(
    sources: str | Path | Iterable[str | Path],
    hands: Literal["first", "all"] = "first",
    masks: bool = True,
    model: HandModel | None = None,
) -> Iterator[Sample]:
    """The labelled hands of folders or shards as Samples, in order. Arguments as read_pictures and samples_of."""
    for picture in read_pictures(sources, masks):
        yield from samples_of(picture, hands, model)
