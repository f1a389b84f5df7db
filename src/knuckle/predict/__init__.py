"""From pictures to hands: detector, upright crop, hand network, placing in the camera's frame, fit."""

from knuckle.predict.predictor import Predictor

__all__ = ["Predictor"]
