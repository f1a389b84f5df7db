"""Inverse kinematics: the angles, shape and place of the hand that explain joints or a mesh, within human limits."""

from knuckle.fit.hand import Fit, fit_hand

__all__ = ["Fit", "fit_hand"]
