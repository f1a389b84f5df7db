"""The parametric hand: its asset, its 23 angles and their limits, its biomechanical quantities, its named poses."""

from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.learn_ranges import learn_limits
from knuckle.handmodel.limits import angle_limits, violations
from knuckle.handmodel.model import HandModel, PosedHand
from knuckle.handmodel.poses import named_pose, pose_names
from knuckle.handmodel.ranges import HandLimits, human_limits

__all__ = [
    "ANGLE_NAMES",
    "HandLimits",
    "HandModel",
    "PosedHand",
    "angle_limits",
    "human_limits",
    "learn_limits",
    "named_pose",
    "pose_names",
    "violations",
]
