"""The readers by name. Another data set is one file and one line here."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from knuckle.datasets.layout import records_of
from knuckle.datasets.reader import Reader

# Each reader as "module:Class", with options where two names share a class.
READERS: Mapping[str, str | tuple[str, Mapping[str, str]]] = {
    "arrays": "knuckle.datasets.folder:ArrayFolder",
    "coco": "knuckle.datasets.folder:CocoHands",
    "dexter-object": "knuckle.datasets.dexter_object:DexterObject",
    "dexycb": "knuckle.datasets.dexycb:DexYcb",
    "fpha": "knuckle.datasets.fpha:Fpha",
    "freihand": "knuckle.datasets.freihand:FreiHand",
    "ganerated": "knuckle.datasets.ganerated:GaneratedHands",
    "ho3d-v2": ("knuckle.datasets.ho3d:Ho3d", {"version": "v2"}),
    "ho3d-v3": ("knuckle.datasets.ho3d:Ho3d", {"version": "v3"}),
    "hop": "knuckle.datasets.hop:Hop",
    "interhand": "knuckle.datasets.interhand:InterHand",
    "obman": "knuckle.datasets.obman:ObMan",
    "rhd": "knuckle.datasets.rhd:Rhd",
    "stb": "knuckle.datasets.stb:Stb",
    "truth": "knuckle.datasets.folder:TruthList",
    "weak": "knuckle.datasets.weak:WeakLabels",
}


def open_reader(name: str, root: Path | str, split: str | None = None, images: bool = True, **options: Any) -> Reader:
    """A data set by its name.

    Args:
        name: a key of READERS.
        root: the data set's folder.
        split: which part; None for the reader's default, which is the part to test on where there is one. See
            training_split for the part to train on.
        images: read pictures and masks too; must be False for "arrays", which have none.
        **options: further arguments of the reader's class.

    Returns:
        A Reader.

    Raises:
        ValueError: the name or the split is unknown.
        FileNotFoundError: the folder or an annotation file is missing; the message shows the layout.
        BrokenDataset: an annotation file is damaged.
    """
    reader, fixed = _find(name)
    given = {} if split is None else {"split": split}
    with records_of(Path(root)):
        return reader(root, images=images, **given, **fixed, **options)


def training_split(name: str) -> str:
    """The split of a data set that is meant for training.

    Args:
        name: a key of READERS.

    Returns:
        A value for the split of open_reader.

    Raises:
        ValueError: the name is unknown, or the set was published for testing only.
    """
    reader, _ = _find(name)
    if reader.training_split is None:
        raise ValueError(
            f"the data set must have a training split but {name!r} was published for testing only; leave it out"
        )
    return reader.training_split


def _find(name: str) -> tuple[type[Reader], Mapping[str, str]]:
    if name not in READERS:
        raise ValueError(f"the data set must be one of {', '.join(READERS)} but got {name!r}")
    value = READERS[name]
    target, fixed = (value, {}) if isinstance(value, str) else value
    module, _, cls = target.partition(":")
    return getattr(import_module(module), cls), fixed
