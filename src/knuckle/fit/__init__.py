"""Inverse kinematics: the angles, shape and rigid placement that best explain joints or a mesh, within joint limits."""

from knuckle.fit.constants import FitConstants
from knuckle.fit.hand import Fit, fit_hand
from knuckle.fit.human import fit_human_hand

__all__ = ["Fit", "FitConstants", "fit_hand", "fit_human_hand"]
