"""What a paper's tables are, as plain data: rows, the paper's own figures, and the commands that give ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# tiny: an ordinary machine, two CPU cores, minutes a run; it shows directions. full: an accelerator, the paper's scale.
PRESETS = ("tiny", "full")


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Attributes:
        name: as the column is headed.
        unit: "mm", "px"; "" for a fraction.
        evaluation: which of a trial's evaluations gives it.
        key: of the score in that evaluation's JSON (`knuckle eval --json`), such as "joints_pa"; with ".median" after
            it the score's median.
        digits: after the point.
    """

    name: str
    unit: str
    evaluation: str
    key: str
    digits: int = 2

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Trial:
    """How a row is run under one preset. The commands begin with "knuckle" and are run from the repository's root.

    They may name {run}, the row's and seed's own folder; {seed}; {data}, the folder that all rows share; and, in
    evaluations, {checkpoint}, the newest step-* in {run}. A folder of the user's is a variable of the environment,
    $WEAK: results keep its name, never its value.

    Attributes:
        data: commands that make what the row is trained and evaluated on. Run before every row, so where that is there
            they must do nothing, as `knuckle synth`, or the same in seconds, as `knuckle limits`.
        train: the command that trains, and resumes when called again; "" for a row that is only evaluated.
        evaluations: by name, `knuckle eval` without --json, which the runner adds.
        seeds: which are run where none are asked for.
        folders: what each variable of the environment that the commands name must be the folder of.
    """

    data: tuple[str, ...]
    train: str
    evaluations: Mapping[str, str]
    seeds: tuple[int, ...] = (0,)
    folders: Mapping[str, str] = field(default_factory=dict)

    def named_folders(self) -> set[str]:
        """The variables of the environment that the commands name."""
        every = " ".join([*self.data, self.train, *self.evaluations.values()])
        return set(re.findall(r"\$([A-Z_]+)", every))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: as the table has it; unique in the table.
        trials: by preset.
        figures: the paper's own, by the metric's name, in its unit.
        training: what the row's runs are called; the row's name where it is "". Rows of several tables that show the
            same runs share it, and these are run once.
    """

    name: str
    trials: Mapping[str, Trial]
    figures: Mapping[str, float] = field(default_factory=dict)
    training: str = ""

    @property
    def run_name(self) -> str:
        return self.training or self.name

    @property
    def slug(self) -> str:
        """The runs' name as files and folders have it."""
        return re.sub(r"[^a-z0-9]+", "-", self.run_name.lower()).strip("-")


@dataclass(frozen=True)
class Table:
    """title: as the paper names it. note: what a reader must know to compare the figures."""

    title: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """name: its key in PAPERS, also that of its folders. title: with authors and year, or what the tables are of.

    Raises:
        ValueError: rows, presets, evaluations or figures do not fit together.
    """

    name: str
    title: str
    tables: tuple[Table, ...]

    def __post_init__(self) -> None:
        self._check_names()
        for table in self.tables:
            asked = {metric.evaluation for metric in table.metrics}
            for row in table.rows:
                self._check(row, asked, {metric.name for metric in table.metrics})

    def _check_names(self) -> None:
        known: dict[str, Row] = {}
        for table in self.tables:
            names = [row.name for row in table.rows]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{self.name}, {table.title}: rows must have names of their own but share {repeated}")
            for row in table.rows:
                other = known.setdefault(row.slug, row)
                if not row.slug or (row.run_name, row.trials) != (other.run_name, other.trials):
                    raise ValueError(
                        f"{self.name}: rows of different trials must have run names of their own but share {row.slug!r}"
                    )

    def _check(self, row: Row, evaluations: set[str], metrics: set[str]) -> None:
        if strange := sorted(set(row.trials) - set(PRESETS)):
            raise ValueError(f"{self.name}, {row.name}: presets must be of {PRESETS} but got {', '.join(strange)}")
        if strange := sorted(set(row.figures) - metrics):
            raise ValueError(f"{self.name}, {row.name}: figures must be of the table's metrics but got {strange}")
        for trial in row.trials.values():
            if missing := sorted(evaluations - set(trial.evaluations)):
                raise ValueError(f"{self.name}, {row.name}: must have the evaluations {missing} but has not")
            if missing := sorted(trial.named_folders() - set(trial.folders)):
                raise ValueError(f"{self.name}, {row.name}: folders must say what {missing} are but do not")

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of all tables; of those that show the same runs the first."""
        first: dict[str, Row] = {}
        for table in self.tables:
            for row in table.rows:
                first.setdefault(row.slug, row)
        return tuple(first.values())
