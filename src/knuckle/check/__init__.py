"""Which recorded poses no hand can make and why: limits, proportions, side, unit, joint order."""

from knuckle.check.poses import check_poses
from knuckle.check.report import Finding, Report
from knuckle.check.side import side_evidence

__all__ = ["Finding", "Report", "check_poses", "side_evidence"]
