"""Base class of all readers: a lazy sequence of Samples over a folder."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from knuckle.datasets.layout import BrokenDataset, read_picture, records_of, require
from knuckle.files import InputError
from knuckle.sample import Sample


class Reader(ABC, Sequence[Sample]):
    """A split of a data set as Samples: joints in the common order, metres, camera frame x right, y down, z forward.

    Args:
        root: the data set's folder.
        split: which part; each reader names its own.
        images: read pictures and masks too; False for labels only.

    Attributes:
        source: the data set's name, as in Sample.source.
        layout: how its folder looks, shown when something is missing.
        official_count: how many samples the published split has, None where that is not fixed.
        training_split: the split to train on, None for a set that was published for testing only.

    Raises:
        FileNotFoundError: the folder or an annotation file is missing.
        BrokenDataset: an annotation file is truncated, or not this set's.
        ValueError: the split is unknown.
    """

    source: str
    layout: str
    official_count: int | None = None
    training_split: str | None = None

    def __init__(self, root: Path | str, split: str, images: bool = True):
        self.root = require(Path(root), self.layout)
        self.split = split
        self.images = images

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def labels(self, index: int) -> Sample:
        """Sample `index` without its picture and masks."""

    @abstractmethod
    def picture(self, index: int) -> Path:
        """Where the picture of sample `index` is."""

    def group(self, index: int) -> str:
        """The group of a sample, which must not be split between training and held-out data: hold out whole groups.

        The subject where the set names it, else the video, else the picture: hands of one picture, frames of one video
        and views of one moment are too similar to test one on the others. Reads no file.

        Args:
            index: a sample.

        Returns:
            A name that is the same for all samples of the group, on every machine; unique within this reader only.
        """
        return picture_group(self.picture(index), self.root)

    def with_images(self, index: int, sample: Sample) -> Sample:
        """The sample with its picture; readers whose set has masks add them."""
        return replace(sample, image=read_picture(self.picture(index), self.layout))

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be below {len(self)} but got {index}")
        index %= len(self)
        try:
            with records_of(self.root):
                sample = self.labels(index)
        except InputError:
            raise
        except ValueError as error:  # of a camera or a sample that cannot be
            raise BrokenDataset(f"{self.root}, sample {index}: {error}") from error
        return self.with_images(index, sample) if self.images else sample


def picture_group(path: Path, root: Path) -> str:
    """The group of a sample in a set without subjects and videos.

    Args:
        path: the picture.
        root: the data set's folder.

    Returns:
        The picture's path without its suffix, relative to the root where it lies inside.
    """
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return inside.with_suffix("").as_posix()
