"""From pictures to hands: detector, crop, hand network, placement in the camera's frame, fit.

`knuckle.predict` is this package, and is called as a function: see `knuckle.predict.call`.
"""

import sys
from types import ModuleType
from typing import Any

from knuckle.predict.call import predict
from knuckle.predict.config import PredictorConfig
from knuckle.predict.contract import Contract, ContractError, CropRule
from knuckle.predict.predictor import Predictor

__all__ = ["Contract", "ContractError", "CropRule", "Predictor", "PredictorConfig", "predict"]


class _CallablePackage(ModuleType):
    """Importing a package sets its name in its parent: without this, `knuckle.predict` could not be called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return predict(*args, **kwargs)


_CallablePackage.__call__.__doc__ = predict.__doc__
sys.modules[__name__].__class__ = _CallablePackage
