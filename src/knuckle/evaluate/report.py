"""The result of an evaluation, and its JSON."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knuckle.evaluate.protocols import Protocol
from knuckle.files import atomic_write
from knuckle.metrics import ErrorSummary
from knuckle.skeleton import JOINT_NAMES


@dataclass(frozen=True)
class Row:
    """One number. key: its name in JSON. label, unit: as printed ("" for a fraction). low, high: its 95 % interval."""

    key: str
    label: str
    unit: str
    value: float
    median: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def with_interval(self, low: float, high: float) -> "Row":
        """The same row with its interval."""
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class EvaluationReport:
    """The result of one evaluation.

    summaries: curves and per-joint means by score key, metres or pixels. ids, sample_errors: (N) every hand's
    error under the score `ranked_by`. subsets: by name, the number of hands and their mean of that score in mm (px for
    "image").
    """

    protocol: Protocol
    source: str
    samples: int
    missing: int
    missing_rule: str
    rows: tuple[Row, ...]
    summaries: Mapping[str, ErrorSummary]
    ids: tuple[str, ...]
    ranked_by: str
    sample_errors: np.ndarray
    subsets: Mapping[str, tuple[int, float]]
    remarks: tuple[str, ...]

    def worst(self, count: int) -> np.ndarray:
        """Indices of the hands with the largest errors, worst first.

        Args:
            count: maximum number.

        Returns:
            (at most count,) indices.
        """
        order = np.argsort(np.where(np.isfinite(self.sample_errors), -self.sample_errors, np.inf), kind="stable")
        return order[: min(count, int(np.isfinite(self.sample_errors).sum()))]

    def value(self, key: str) -> float:
        """The number of one row.

        Args:
            key: a row's key.

        Raises:
            KeyError: there is no such row in this report.
        """
        return {row.key: row.value for row in self.rows}[key]

    def joint_means(self, key: str) -> dict[str, float]:
        """Mean error of every joint by name, in mm (px for "image").

        Args:
            key: a score on joints, or "image".

        Returns:
            Name to mean; with separate names for left and right ("left_wrist") under a protocol with by_side.
        """
        means = self.summaries[key].point_means * (1.0 if key == "image" else 1e3)
        if len(means) == 42:
            names = [f"{side}_{name}" for side in ("right", "left") for name in JOINT_NAMES]
        else:
            names = [JOINT_NAMES[j] for j in self.protocol.joints]
            if self.protocol.joint_zero != "wrist" and self.protocol.joints[0] == 0:
                names[0] = "palm"
        return dict(zip(names, means.tolist(), strict=True))

    def on_joints(self) -> tuple[str, ...]:
        """The keys of the summaries that have a number per joint."""
        sizes = (42, len(self.protocol.joints))
        by_hand = {s.key for s in self.protocol.scores if s.per_hand or s.points == "vertices"}
        return tuple(k for k, s in self.summaries.items() if len(s.point_means) in sizes and k not in by_hand)

    def to_json(self) -> dict[str, Any]:
        """The report as builtin types; NaN is None."""
        return _plain(
            {
                "protocol": self.protocol.name,
                "says": list(self.protocol.describe()),
                "source": self.source,
                "samples": self.samples,
                "missing": self.missing,
                "missing_rule": self.missing_rule,
                "scores": {
                    row.key: {
                        "label": row.label,
                        "unit": row.unit,
                        "value": row.value,
                        "median": row.median,
                        "interval_95": [row.low, row.high],
                    }
                    for row in self.rows
                },
                "joints": {key: self.joint_means(key) for key in self.on_joints()},
                "curves": {
                    key: {"thresholds": list(s.thresholds), "pck": s.curve.tolist()}
                    for key, s in self.summaries.items()
                },
                "subsets": {name: {"samples": n, "mean": mean} for name, (n, mean) in self.subsets.items()},
                "ranked_by": self.ranked_by,
                "worst": [{"id": self.ids[i], "error": float(self.sample_errors[i])} for i in self.worst(20)],
                "remarks": list(self.remarks),
            }
        )

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, atomically.

        Args:
            path: the file.
        """
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n")


def _plain(value: Any) -> Any:
    """NaN as None: JSON has no NaN, and parsers of other languages reject it."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
