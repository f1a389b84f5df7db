"""Results on disk: one small JSON a row, preset and seed, kept in the repository."""

import json
import math
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import Row, Trial
from knuckle.files import atomic_write

ROOT = Path(__file__).parents[1]
# Relative to ROOT, so that the commands that are kept with a result hold no machine's paths.
RUNS = Path("runs/benchmarks")
RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class Job:
    """One row under one preset with one seed."""

    paper: str
    preset: str
    row: Row
    seed: int

    @property
    def name(self) -> str:
        return f"{self.paper}/{self.preset}/{self.row.slug}/seed-{self.seed}"

    @property
    def trial(self) -> Trial:
        return self.row.trials[self.preset]

    @property
    def run(self) -> Path:
        """The folder for checkpoints and logs, relative to the root."""
        return RUNS / self.name

    @property
    def result(self) -> Path:
        """The file of the result, relative to the root."""
        return RESULTS / self.paper / self.preset / f"{self.row.slug}.seed-{self.seed}.json"

    def words(self, command: str, checkpoint: str = "") -> list[str]:
        """A command of the trial as words, its names filled in."""
        values = {"run": str(self.run), "seed": self.seed, "data": str(RUNS / "data")}
        return [w.format(**values, checkpoint=checkpoint or f"{self.run}/step-*") for w in shlex.split(command)]

    def commands(self) -> list[str]:
        """All commands as a person types them, but for step-*: the newest of these is meant."""
        trial = self.trial
        every = [*trial.data, *([trial.train] if trial.train else []), *trial.evaluations.values()]
        return [" ".join(self.words(command)) for command in every]


@dataclass(frozen=True)
class Result:
    """What a job gave.

    Attributes:
        metrics: by evaluation, then by the score's key in its JSON.
        commands: that were run, from the repository's root.
        processor: what they ran on.
        commit: of knuckle; several where the run was resumed with another. "-dirty": with changes on top.
        seconds: wall time over all sessions.
        date: of the end, UTC.
    """

    paper: str
    preset: str
    row: str
    seed: int
    metrics: dict[str, dict[str, float]]
    commands: list[str]
    processor: str
    commit: str
    version: str
    seconds: float
    date: str


def read_result(job: Job, root: Path = ROOT) -> Result | None:
    """A job's result; None where there is none, or where the commands were changed since."""
    path = root / job.result
    if not path.exists():
        return None
    try:
        result = Result(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must be a result that the runner wrote but is not ({error}); remove it") from error
    return result if result.commands == job.commands() else None


def write_result(job: Job, result: Result, root: Path = ROOT) -> None:
    """Writes a job's result, whole or not at all."""
    with atomic_write(root / job.result) as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1) + "\n")


def read_scores(path: Path) -> dict[str, float]:
    """The scores in a JSON of `knuckle eval`, by key; a score's median under its key with ".median" after it."""
    scores: dict[str, Any] = json.loads(path.read_text())["scores"]
    values = {key: score["value"] for key, score in scores.items()}
    values |= {f"{key}.median": score.get("median") for key, score in scores.items()}
    return {key: round(v, 6) for key, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
