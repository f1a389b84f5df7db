"""The result of `check_poses`, as data, as lines of text and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "not_finite", "collapsed", "unit", "order", "root", "side", "bones", "palm", "limits", "angles", "unlike"
]
_MAX_LISTED = 8


@dataclass(frozen=True)
class Finding:
    """One problem.

    Attributes:
        kind: "not_finite", "collapsed" (coincident joints), "unit", "order" of the joints, "root" (the palm's centre
            in place of the wrist), "side", "bones" (proportions), "palm" (its arch and spread), "limits" (of an
            angle), "angles" (flexion and abduction together), "unlike" (not a hand).
        message: problem, evidence and remedy, on one line.
        frames: indices of the frames concerned.
    """

    kind: Kind
    message: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class CheckReport:
    """Result of checking N frames.

    Attributes:
        frames: N.
        given_side: "left" or "right", the expected side.
        side: the side determined from the poses; "undecided" where they are ambiguous, as flat hands are.
        unit: a key of conventions.UNITS, or None where the joints have the size of a hand in none.
        order: the joint order in words; order_names: its keys in skeleton.ORDERS.
        possible: number of anatomically possible frames, after conversion from that order, unit and side.
        error_mm: mean residual of the fitted hands in millimetres; None where nothing could be fitted.
        findings: the problems; empty where there are none.
        notes: what could not be determined.
    """

    frames: int
    given_side: str
    side: str
    unit: str | None
    order: str
    order_names: tuple[str, ...]
    possible: int
    error_mm: float | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "frames": self.frames,
            "ok": self.ok,
            "possible": self.possible,
            "error_mm": None if self.error_mm is None else round(self.error_mm, 3),
            "given": {"side": self.given_side, "unit": "metres", "order": "common"},
            "reading": {
                "side": self.side,
                "unit": self.unit,
                "order": self.order,
                "order_names": list(self.order_names),
            },
            "findings": [
                {"kind": finding.kind, "message": finding.message, "frames": list(finding.frames)}
                for finding in self.findings
            ],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report as lines of text, the most general finding first."""
        lines = [f"{finding.kind}: {finding.message}" for finding in self.findings]
        lines += [f"note: {note}" for note in self.notes]
        residual = "" if self.error_mm is None else f"; mean residual {self.error_mm:.1f} mm"
        converted = {"side", "unit", "order", "root"} & {finding.kind for finding in self.findings}
        condition = " after conversion" if converted else ""
        noun = "pose is" if self.frames == 1 else "poses are"
        lines.append(f"{self.possible} of {self.frames} {noun} anatomically possible{condition}{residual}")
        return lines


def listed(frames: Sequence[int], total: int) -> str:
    """ "every frame", or "3 of 40 frames: 1, 5, 9"."""
    if len(frames) == total:
        return "the only frame" if total == 1 else f"all {total} frames"
    shown = ", ".join(str(frame) for frame in frames[:_MAX_LISTED]) + (", ..." if len(frames) > _MAX_LISTED else "")
    return f"{len(frames)} of {total} frames: {shown}"
