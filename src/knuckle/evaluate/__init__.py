"""Protocols: score predictions, one's own or a peer's, on the data sets of the field."""

from knuckle.evaluate.data import Predictions, Truth, collect, take
from knuckle.evaluate.protocols import PROTOCOLS, Protocol, Score
from knuckle.evaluate.report import Report, Row
from knuckle.evaluate.run import evaluate

__all__ = ["PROTOCOLS", "Predictions", "Protocol", "Report", "Row", "Score", "Truth", "collect", "evaluate", "take"]
