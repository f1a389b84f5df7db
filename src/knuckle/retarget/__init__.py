"""A person's hand onto a robot's: joint positions of a hand given as URDF whose fingertips point as the person's do."""

from knuckle.retarget.motion import RobotMotion, retarget
from knuckle.retarget.robot import RobotHand

__all__ = ["RobotHand", "RobotMotion", "retarget"]
