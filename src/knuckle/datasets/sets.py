"""Data sets as they are named on the command line, and read picture by picture: shards and every reader alike.

pictures                    a folder of shards that `knuckle synth` wrote
pictures:test               the pictures of one of its splits, of a preset that has some
freihand:ROOT               the training split of a data set, by the names in knuckle.datasets.readers
rhd:ROOT:evaluation         another split of it
weak:ROOT:2d                only the labels in the picture, whatever else there is
pictures@0.3                three of ten examples of every batch
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from knuckle.datasets.layout import records_of
from knuckle.datasets.reader import Reader
from knuckle.datasets.readers import READERS, open_reader, training_split
from knuckle.datasets.shards import read_pictures, samples_of, shard_paths
from knuckle.files import is_url
from knuckle.handmodel import HandModel
from knuckle.sample import Sample

SHARDS = "shards"
# What is known in space; ":2d" leaves it out.
_SPATIAL = (
    "joints_camera",
    "vertices_camera",
    "angles",
    "wrist_angles",
    "shape",
    "T_camera_hand",
    "T_camera_object",
    "object_corners_camera",
)


@dataclass(frozen=True)
class DataSpec:
    """A data set as it was named.

    Attributes:
        text: as it was given, without the share.
        name: "shards", or one of readers.READERS.
        root: its folder.
        split: None for the one that the set trains on.
        only_2d: use the labels in the picture alone.
        share: of every batch; None for what the others leave.
    """

    text: str
    name: str
    root: Path
    split: str | None = None
    only_2d: bool = False
    share: float | None = None


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with the hands in it; each has the picture as its image, and joints_image where its joints are known.

    Attributes:
        group: what must not be split between training and held-out examples; unique within the set.
    """

    image: np.ndarray
    hands: Sequence[Sample]
    group: str


def parse_spec(text: str) -> DataSpec:
    """Read a data set's name; see the module for what there is.

    Raises:
        ValueError: it names no known set, or its share is not between 0 and 1.
    """
    named, share = text, None
    head, at, tail = text.rpartition("@")
    # An @ that no number follows is one in the folder's name.
    with contextlib.suppress(ValueError):
        share = float(tail.removesuffix(":2d")) if at else None
    if share is not None:
        if not 0 < share <= 1:
            raise ValueError(f"the share of {text} must be above 0 and at most 1 but got {tail}")
        named = f"{head}:2d" if tail.endswith(":2d") else head
    only_2d = named.endswith(":2d")
    place = named.removesuffix(":2d")
    name, colon, rest = place.partition(":")
    if colon and name in READERS:
        root, split = rest, None
        if ":" in rest and not Path(rest).exists():
            root, _, split = rest.rpartition(":")
        if not root:
            raise ValueError(f"{text} must name a folder, as in {name}:ROOT, but names none")
        return DataSpec(named, name, Path(root), split, only_2d, share)
    if is_url(place) and rest.startswith("//"):
        raise ValueError(f"data must be in a folder of this machine but got the URL {place}; copy it first")
    folder, _, split = place.rpartition(":")
    if split in ("train", "test") and Path(folder).is_dir() and not Path(place).exists():
        return DataSpec(named, SHARDS, Path(folder), split, only_2d, share)
    if colon and not Path(place).exists():
        raise ValueError(
            f"data must be a folder of shards or NAME:ROOT with NAME of {', '.join(READERS)} but got {text!r}"
        )
    return DataSpec(named, SHARDS, Path(place), None, only_2d, share)


class DataSet:
    """A data set that is there.

    Args:
        spec: which.
        limit: pictures to read at most; None for all.

    Raises:
        FileNotFoundError: its folder, or what must be in it, is missing.
        ValueError: its split is unknown, or a file is damaged.
    """

    def __init__(self, spec: DataSpec, limit: int | None = None) -> None:
        self.spec, self._limit = spec, limit
        if spec.name == SHARDS:
            if spec.root.exists() and not any(spec.root.glob("*.tar")) and not spec.root.is_file():
                raise FileNotFoundError(
                    f"{spec.root} must hold .tar shards but has none; draw some with `knuckle synth {spec.root}`, "
                    f"or say what it is: NAME:{spec.root} with NAME of {', '.join(READERS)}"
                )
            shard_paths(spec.root)
        else:
            self._open(images=False)

    @property
    def name(self) -> str:
        return self.spec.text

    def group(self, picture: LabelledPicture) -> str:
        """A short name for the picture's group that the set has under every name it can be given.

        So it is the same with and without ":2d", in any of its splits, and wherever the folder lies.
        """
        return self.group_name(picture.group)

    def group_name(self, group: str) -> str:
        """`group` for the group of a hand that `hands` gave."""
        folder = self.spec.root.resolve().name
        return hashlib.sha256(f"{self.spec.name} {folder} {group}".encode()).hexdigest()[:16]

    def pictures(self, masks: bool = False, vertices: bool = False) -> Iterator[LabelledPicture]:
        """The pictures in their order.

        Args:
            masks: shards: decode the masks too. Readers bring those that their set has.
            vertices: bring meshes too.
        """
        read = self._shards if self.spec.name == SHARDS else self._reader
        for picture in islice(read(masks, vertices), self._limit):
            yield replace(picture, hands=[self._usable(_with_joints_image(hand)) for hand in picture.hands])

    def hands(self) -> Iterator[tuple[Sample, str]]:
        """The labels of all hands without their pictures, each with its group: all that a system of poses needs."""
        if self.spec.name == SHARDS:
            for picture in self._shards(masks=False, vertices=False):
                for hand in picture.hands:
                    yield self._chosen_labels(replace(hand, image=None)), picture.group
            return
        reader = self._open(images=False)
        for i in range(len(reader)):
            yield self._chosen_labels(reader[i]), reader.group(i)

    def _chosen_labels(self, hand: Sample) -> Sample:
        return replace(hand, **dict.fromkeys(_SPATIAL)) if self.spec.only_2d else hand

    def _usable(self, hand: Sample) -> Sample:
        # Labels in space cannot be brought into a crop where the camera is not known.
        return replace(hand, **dict.fromkeys(_SPATIAL)) if hand.camera is None else self._chosen_labels(hand)

    def fingerprint(self) -> str:
        """Changes when a file of the set does: of all their names, sizes and times of change."""
        digest = hashlib.sha256(f"{self.spec.name} {self.spec.split} {self.spec.only_2d} {self._limit}".encode())
        # Of shards only the shards: checkpoints and this very cache may lie beside them.
        shards = shard_paths(self.spec.root) if self.spec.name == SHARDS else None
        for path, size, changed in _files(self.spec.root, shards):
            digest.update(f"{path} {size} {changed}\n".encode())
        return digest.hexdigest()

    def _shards(self, masks: bool, vertices: bool) -> Iterator[LabelledPicture]:
        model = HandModel.open() if vertices else None
        for picture in read_pictures(self.spec.root, masks):
            label = picture.label
            if self.spec.split not in (None, label.get("split")):
                if "split" not in label:
                    raise ValueError(
                        f"{self.spec.text} must have splits but its pictures have none; name the folder alone"
                    )
                continue
            # The frames of a clip show the same hand before the same background.
            with records_of(self.spec.root):
                clip = f"{label['preset']}-{label['seed']}-clip-{label['clip']}" if "clip" in label else None
                group = clip or str(label["id"])
            yield LabelledPicture(picture.image, samples_of(picture, "all", model), group)

    def _open(self, images: bool, vertices: bool = False) -> Reader:
        split = self.spec.split or training_split(self.spec.name)
        reader = open_reader(self.spec.name, self.spec.root, split, images=False)
        # Some meshes take gigabytes to read: those readers can leave them out.
        chosen = {"vertices": vertices} if "vertices" in inspect.signature(type(reader)).parameters else {}
        if not images:
            return reader
        return open_reader(self.spec.name, self.spec.root, split, images=True, **chosen)

    def _reader(self, masks: bool, vertices: bool) -> Iterator[LabelledPicture]:
        reader = self._open(images=True, vertices=vertices)
        # Some sets list the hands of a picture far apart: a hand left out would be taught to be none.
        together: dict[Path, list[int]] = {}
        for index in range(len(reader)):
            together.setdefault(reader.picture(index), []).append(index)
        for rows in together.values():
            hands = [reader[i] for i in rows]
            image = hands[0].image
            if image is None:
                raise ValueError(
                    f"{self.spec.root} must have pictures to train on but {reader.picture(rows[0])} is none"
                )
            yield LabelledPicture(image, hands, reader.group(rows[0]))


def _files(root: Path, chosen: Sequence[Path] | None = None) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time of change of all files, or of the chosen ones."""
    found = []
    if chosen is not None:
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in chosen]
    for folder, _, names in os.walk(root):
        for name in names:
            about = os.stat(os.path.join(folder, name))
            found.append((os.path.relpath(os.path.join(folder, name), root), about.st_size, about.st_mtime_ns))
    return sorted(found)


def _with_joints_image(hand: Sample) -> Sample:
    if hand.joints_image is not None or hand.joints_camera is None or hand.camera is None:
        return hand
    return replace(hand, joints_image=np.asarray(hand.camera.project(hand.joints_camera)))
