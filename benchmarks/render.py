"""benchmarks/README.md: the papers' tables, our figures beside their own."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.papers import PAPERS, open_paper
from benchmarks.results import RESULTS, ROOT, Job, Result, read_result
from benchmarks.tables import PRESETS, Metric, Paper, Row, Table
from knuckle.files import atomic_write

README = Path("benchmarks/README.md")
_HEAD = """# Papers' tables, run again

Written by `python -m benchmarks --render` from the files in `benchmarks/results`, each of which has the commands, the
commit and the wall time of one run. `python -m benchmarks PAPER --preset tiny` runs what has no result yet.

Our figures are the mean over the seeds named, ± the standard deviation over them. `tiny` is for two CPU cores and small
data: it shows which way a part of a method pulls, and its figures are not the paper's. `full` is the paper's scale.
"""


def render(papers: Sequence[Paper] | None = None, root: Path = ROOT) -> str:
    """All papers' tables as one page of Markdown, from the results there are.

    Args:
        papers: None for all of PAPERS.
        root: the repository's.
    """
    chosen = [open_paper(name) for name in PAPERS] if papers is None else papers
    parts = [_HEAD]
    for paper in chosen:
        parts.append(f"## {paper.title}\n")
        parts += [_table(paper, table, root) for table in paper.tables]
    return "\n".join(parts)


def write_readme(root: Path = ROOT) -> Path:
    """Writes the page; returns its path."""
    with atomic_write(root / README) as temporary:
        temporary.write_text(render(root=root))
    return root / README


def _table(paper: Paper, table: Table, root: Path) -> str:
    # The papers' columns are left out where no row has such a figure.
    published = {m.name for m in table.metrics if any(m.name in row.figures for row in table.rows)}
    header = ["row", "preset"]
    for metric in table.metrics:
        header += [metric.heading, "paper"] if metric.name in published else [metric.heading]
    header += ["seeds", "processor, time a run"]
    lines = [_line(header), "|---" * len(header) + "|"]
    for row in table.rows:
        for preset in [p for p in PRESETS if p in row.trials]:
            found = results_of(paper, preset, row, root)
            cells = [row.name, preset]
            for metric in table.metrics:
                cells.append(_ours(metric, found))
                if metric.name in published:
                    cells.append(f"{row.figures[metric.name]:g}" if metric.name in row.figures else "")
            cells += [", ".join(str(r.seed) for r in found), _machines(found)]
            lines.append(_line(cells))
    note = f"\n{table.note}\n" if table.note else ""
    return f"### {table.title}\n{note}\n" + "\n".join(lines) + "\n"


def results_of(paper: Paper, preset: str, row: Row, root: Path = ROOT) -> list[Result]:
    """All results of a row, by seed, also of seeds that are not among the row's own."""
    names = (root / RESULTS / paper.name / preset).glob(f"{row.slug}.seed-*.json")
    seeds = sorted(int(path.stem.rpartition("-")[2]) for path in names)
    found = [read_result(Job(paper.name, preset, row, seed), root) for seed in seeds]
    return [result for result in found if result is not None]


def _ours(metric: Metric, results: list[Result]) -> str:
    if not results:
        return "not run"
    values = [v for r in results if (v := r.metrics.get(metric.evaluation, {}).get(metric.key)) is not None]
    if len(values) < len(results):
        return "not measured"
    mean = f"{statistics.fmean(values):.{metric.digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{metric.digits}f}" if len(values) > 1 else mean


def _machines(results: list[Result]) -> str:
    if not results:
        return ""
    names = "; ".join(sorted({result.processor for result in results}))
    return f"{names}; {statistics.fmean(r.seconds for r in results) / 60:.0f} min"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
