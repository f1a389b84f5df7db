"""The parametric hand: its asset, its 23 angles and their limits, its biomechanical quantities, its named poses."""

from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.limits import angle_limits, violations
from knuckle.handmodel.model import HandModel, PosedHand
from knuckle.handmodel.poses import named_pose, pose_names

__all__ = ["ANGLE_NAMES", "HandModel", "PosedHand", "angle_limits", "named_pose", "pose_names", "violations"]
