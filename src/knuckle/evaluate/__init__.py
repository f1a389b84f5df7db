"""Protocols: score the predictions of any program on the data sets of the field."""

from knuckle.evaluate.data import Predictions, Truth, collect, take
from knuckle.evaluate.protocols import PROTOCOLS, Protocol, Score
from knuckle.evaluate.report import EvaluationReport, Row
from knuckle.evaluate.run import evaluate

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "Predictions",
    "Protocol",
    "Row",
    "Score",
    "Truth",
    "collect",
    "evaluate",
    "take",
]
