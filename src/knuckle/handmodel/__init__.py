"""The parametric hand: its asset, its 23 angles and their limits, its biomechanical quantities, its named poses."""

from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.model import HandModel, PosedHand

__all__ = ["ANGLE_NAMES", "HandModel", "PosedHand"]
