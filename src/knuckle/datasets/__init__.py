"""Readers: every data set as a sequence of Samples, read lazily; errors name the file and the expected layout."""

from knuckle.datasets.dexter_object import DexterObject
from knuckle.datasets.dexycb import DexYcb
from knuckle.datasets.folder import ArrayFolder, CocoHands, TruthList
from knuckle.datasets.fpha import Fpha
from knuckle.datasets.freihand import FreiHand
from knuckle.datasets.ganerated import GaneratedHands
from knuckle.datasets.ho3d import Ho3d
from knuckle.datasets.hop import Hop
from knuckle.datasets.interhand import InterHand
from knuckle.datasets.layout import BrokenDataset
from knuckle.datasets.obman import ObMan
from knuckle.datasets.reader import Reader
from knuckle.datasets.readers import READERS, open_reader, training_split
from knuckle.datasets.rhd import Rhd
from knuckle.datasets.stb import Stb
from knuckle.datasets.weak import WeakLabels

__all__ = [
    "READERS",
    "ArrayFolder",
    "BrokenDataset",
    "CocoHands",
    "DexYcb",
    "DexterObject",
    "Fpha",
    "FreiHand",
    "GaneratedHands",
    "Ho3d",
    "Hop",
    "InterHand",
    "ObMan",
    "Reader",
    "Rhd",
    "Stb",
    "TruthList",
    "WeakLabels",
    "open_reader",
    "training_split",
]
