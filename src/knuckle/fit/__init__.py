"""Inverse kinematics: the angles, shape and rigid placement that best explain joints or a mesh, within joint limits."""

from knuckle.fit.hand import Fit, fit_hand

__all__ = ["Fit", "fit_hand"]
