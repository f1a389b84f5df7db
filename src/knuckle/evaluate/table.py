"""A report in the terminal."""

import math

from rich.console import Console
from rich.table import Table

from knuckle.evaluate.report import EvaluationReport, Row


def print_report(report: EvaluationReport, console: Console) -> None:
    """Print the protocol, the numbers with their intervals, and what was left out.

    Args:
        report: of an evaluation.
        console: to print to.
    """
    console.print(f"[bold]{report.protocol.name}[/bold]: {report.protocol.title}")
    for line in report.protocol.describe():
        console.print(f"  {line}", style="dim", highlight=False)
    rule = {
        "penalty": "each counted as 50 mm at every point and 50 px",
        "skip": "left out of every number",
        "error": "none allowed",
    }[report.missing_rule]
    console.print(f"predictions: {report.source}", highlight=False)
    console.print(f"hands: {report.samples}, missing: {report.missing} ({rule})", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    for name in ("value", "median", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in report.rows:
        table.add_row(row.label, _number(row, row.value), _number(row, row.median), _interval(row), row.unit)
    console.print(table)
    for name, (count, mean) in report.subsets.items():
        unit = "px" if report.ranked_by == "image" else "mm"
        console.print(f"{name}: {mean:.2f} {unit} over {count} hands", highlight=False)
    for remark in report.remarks:
        console.print(f"note: {remark}", style="yellow", highlight=False)


def _number(row: Row, value: float) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:.4f}" if row.unit == "" else f"{value:.2f}"


def _interval(row: Row) -> str:
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return ""
    return f"{_number(row, row.low)} .. {_number(row, row.high)}"
