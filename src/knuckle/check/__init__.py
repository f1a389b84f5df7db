"""Which recorded poses no hand can make and why: limits, proportions, side, unit, joint order."""

from knuckle.check.poses import check_poses
from knuckle.check.report import Finding, CheckReport
from knuckle.check.side import right_log_odds

__all__ = ["Finding", "CheckReport", "check_poses", "right_log_odds"]
