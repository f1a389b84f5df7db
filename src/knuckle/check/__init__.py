"""Plausibility checks of recorded hand poses: joint limits, bone proportions, side, unit, joint order."""

from knuckle.check.poses import check_poses
from knuckle.check.report import CheckReport, Finding
from knuckle.check.side import right_log_odds

__all__ = ["CheckReport", "Finding", "check_poses", "right_log_odds"]
