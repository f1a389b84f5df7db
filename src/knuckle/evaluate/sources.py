"""From a protocol and a folder to the truth: which reader, which split, which parts are also reported alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from knuckle.datasets import ArrayFolder, InterHand, Reader
from knuckle.datasets.layout import read_picture
from knuckle.datasets.readers import open_reader
from knuckle.datasets.shards import read_samples, shard_paths
from knuckle.evaluate.data import Truth, collect
from knuckle.evaluate.protocols import Protocol
from knuckle.files import is_url
from knuckle.handmodel import HandModel
from knuckle.handmodel.model import BONE_NAMES
from knuckle.sample import Sample

_OWN_LAYOUT = (
    "  truth.json (and images/)          a list of hands\n"
    "  joints.npy (and vertices.npy ...) arrays\n"
    "  *.tar                             shards that `knuckle synth` wrote\n"
    "  one .json file                    COCO-WholeBody's hand annotations"
)


_ROWS = 64  # of a part of a set
ReadPart: TypeAlias = Callable[[range], Iterator[Sample]]


@dataclass(frozen=True)
class SetPictures:
    """The samples of a set with their pictures, in the truth's order; whole, or in parts that another process reads.

    reader: a protocol that names the set and its split. root: its folder. rows: how many samples there are.
    shards: the set's tar files; none where a reader reads it.
    """

    reader: Protocol
    root: Path
    rows: int
    shards: tuple[Path, ...] = ()

    def __call__(self) -> Iterator[Sample]:
        read = self.open()
        for part in self.parts():
            yield from read(part)

    def parts(self) -> list[range]:
        """Ranges of rows, or of shards."""
        count, step = (len(self.shards), 1) if self.shards else (self.rows, _ROWS)
        return [range(start, min(start + step, count)) for start in range(0, count, step)]

    def open(self) -> ReadPart:
        """Reads part after part; some sets take long to open."""
        if self.shards:
            return lambda part: (sample for number in part for sample in _shard_samples(self.shards[number]))
        reader = reader_of(self.reader, self.root, images=True)
        return lambda part: (reader[number] for number in part)


@dataclass(frozen=True)
class Source:
    """The truth of a protocol and where it came from.

    samples: what a predictor is to be run on, with pictures, in the truth's order; None for a set without pictures.
    official_count: how many hands the published split has, None where that is not fixed.
    """

    truth: Truth
    samples: Callable[[], Iterator[Sample]] | None
    official_count: int | None


def read_source(
    protocol: Protocol, root: Path | str, advance: Callable[[int, int], None] = lambda i, n: None
) -> Source:
    """The truth a protocol asks for, from the data set's folder.

    Args:
        protocol: a value of PROTOCOLS.
        root: the data set's folder.
        advance: called with how many labels were read, of how many (0 where that is not known).

    Returns:
        Source.

    Raises:
        FileNotFoundError: something is missing; the message shows the layout.
        BrokenDataset: a file is damaged.
    """
    root = Path(root)
    if is_url(str(root).replace(":/", "://", 1)) and not root.exists():  # a Path has one of two slashes
        raise ValueError(f"root must be a folder of this machine but got the URL {root}; copy it first")
    if protocol.dataset == "own" and root.is_dir() and any(root.glob("*.tar")):
        return _shards(protocol, root, advance)
    reader = reader_of(protocol, root, images=False)
    if isinstance(reader, ArrayFolder):
        return Source(_mapped(reader), None, None)
    total = len(reader)
    counted = iter(range(1, total + 1))
    truth = collect(reader, reader.picture, lambda: advance(next(counted), total))
    if not np.isfinite(truth.joints[:, 1:]).any() and truth.joints_image is None:
        raise FileNotFoundError(
            f"{root} must hold the labels of {protocol.dataset}'s {protocol.split} split but does not: they were "
            f"published after the pictures, or only the server has them (knuckle submit); it is laid out as\n"
            f"{reader.layout}"
        )
    if isinstance(reader, InterHand):
        kinds = np.array([reader.subset(i) for i in range(total)])
        truth = replace(truth, subsets={k: kinds == k for k in ("single", "interacting") if (kinds == k).any()})
    elif truth.left.any() and not truth.left.all():
        truth = replace(truth, subsets={"left": truth.left, "right": ~truth.left})
    # Of the protocol what a reader is chosen by, which can be sent to another process.
    pictures = SetPictures(replace(protocol, scores=(), image_thresholds={}), root, total)
    return Source(truth, pictures, reader.official_count)


def reader_of(protocol: Protocol, root: Path, images: bool) -> Reader:
    """The reader of a protocol's data set and split.

    Args:
        protocol: a value of PROTOCOLS.
        root: the data set's folder.
        images: read pictures too.

    Returns:
        A Reader; for "own" the one that the folder's content calls for.

    Raises:
        FileNotFoundError: something is missing.
        BrokenDataset: a file is damaged.
    """
    if protocol.dataset == "own":
        return _own(root, images)
    options: dict[str, Any] = {}
    if protocol.dataset == "stb":
        # The recipe that the protocol's palm undoes: what is compared is the palm as stored.
        options["wrist"] = protocol.joint_zero
    elif protocol.dataset == "dexycb":
        # With the frames that have no hand: results are numbered through them, and what has no label costs nothing.
        options["keep_empty"] = True
    return open_reader(protocol.dataset, root, protocol.split, images, **options)


def _own(root: Path, images: bool) -> Reader:
    if (root / "truth.json").exists():
        return open_reader("truth", root, images=images)
    if (root / "joints.npy").exists():
        return open_reader("arrays", root, images=False)
    if root.is_dir() and any(root.glob("*.json")):
        return open_reader("coco", root, images=images)
    raise FileNotFoundError(f"{root} must hold labels of one's own but does not; one of\n{_OWN_LAYOUT}")


def _mapped(reader: ArrayFolder) -> Truth:
    """Arrays stay memory-mapped: meshes of 130,240 hands are larger than many memories."""
    assert reader.joints is not None
    return Truth(
        ids=tuple(reader.ids),
        joints=np.asarray(reader.joints, np.float64),
        left=reader.left,
        vertices=reader.vertices,
        joints_image=None if reader.joints_image is None else np.asarray(reader.joints_image, np.float64),
        K=None if reader.K is None else np.asarray(reader.K, np.float64),
    )


def _shard_samples(path: Path, model: HandModel | None = None) -> Iterator[Sample]:
    # Masks are compared with those of a model that is run on the pictures.
    for sample in read_samples(path, hands="all", masks=model is None, model=model):
        # "000012-2": the second hand of a picture; a hand's part of an id is set off by a colon here.
        picture, _, number = str(sample.id).rpartition("-")
        yield replace(sample, id=f"{picture}:{number}")


def _shards(protocol: Protocol, root: Path, advance: Callable[[int, int], None]) -> Source:
    kept: list[Sample] = []
    model, shards = HandModel.open(), tuple(shard_paths(root))
    for path in shards:
        for sample in _shard_samples(path, model):
            kept.append(replace(sample, image=None))
            advance(len(kept), 0)
    # The forearm turns about the wrist, which a network that sees the hand is not asked for.
    forearm = np.asarray(model.weights)[:, BONE_NAMES.index("forearm")]
    truth = replace(collect(kept), mesh_rows=np.flatnonzero(forearm == 0))
    if truth.left.any() and not truth.left.all():
        truth = replace(truth, subsets={"left": truth.left, "right": ~truth.left})
    pictures = SetPictures(replace(protocol, scores=(), image_thresholds={}), root, len(truth), shards)
    return Source(truth, pictures, None)


def pictures_of(source: Source, rows: Sequence[int]) -> dict[int, np.ndarray]:
    """The pictures of some hands.

    Args:
        source: a set.
        rows: which hands.

    Returns:
        (H, W, 3) uint8 RGB by index; fewer where pictures are missing.
    """
    wanted = set(rows)
    if source.truth.pictures:
        paths = {i: source.truth.pictures[i] for i in wanted}
        return {i: read_picture(path, "") for i, path in paths.items() if path.exists()}
    if source.samples is None:
        return {}
    found = {}
    for i, sample in enumerate(source.samples()):
        if i in wanted and sample.image is not None:
            found[i] = sample.image
        if len(found) == len(wanted):
            break
    return found


def numbered_source(count: int) -> Source:
    """A truth that says nothing but how many hands there are, in order, for predictions that are arrays.

    Args:
        count: how many.

    Returns:
        Source.
    """
    ids = tuple(f"{i:08d}" for i in range(count))
    return Source(Truth(ids, np.full((count, 21, 3), np.nan), np.zeros(count, bool)), None, count)
