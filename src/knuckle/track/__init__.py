"""Hands over time: smoothing, and which detection is which track."""

from knuckle.track.filters import FilterSettings, OneEuroFilter, RotationFilter
from knuckle.track.match import match
from knuckle.track.pose import PoseFilter, Smoothing

__all__ = ["FilterSettings", "OneEuroFilter", "PoseFilter", "RotationFilter", "Smoothing", "match"]
