"""One hand in one picture with its labels (Sample), many as tensors (Batch), and results (Hand and its parts)."""

from knuckle.sample.angles import Angles
from knuckle.sample.batch import Batch, collate
from knuckle.sample.hand import Hand
from knuckle.sample.hand_masks import HandMasks
from knuckle.sample.hands import Hands
from knuckle.sample.held_object import HeldObject
from knuckle.sample.sample import Sample

__all__ = ["Angles", "Batch", "Hand", "HandMasks", "Hands", "HeldObject", "Sample", "collate"]
