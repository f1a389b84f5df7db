"""From pictures to hands: detector, crop, hand network, placement in the camera's frame, fit."""

from knuckle.predict.config import PredictorConfig
from knuckle.predict.contract import Contract, ContractError, CropRule
from knuckle.predict.predictor import Predictor

__all__ = ["Contract", "ContractError", "CropRule", "Predictor", "PredictorConfig"]
