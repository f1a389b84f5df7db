"""Runs jobs one after another; what was broken off goes on where it stopped."""

import fcntl
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.machine import commit, processor_name
from benchmarks.results import ROOT, RUNS, Job, Result, read_result, read_scores, write_result
from benchmarks.tables import Paper, Row, Trial
from knuckle.files import atomic_write
from knuckle.version import __version__

_POLL_SECONDS = 0.5
_LINE_SECONDS = 120.0  # between lines of progress in a log file, where there is no bar
_TAIL_LINES = 8


class JobFailed(RuntimeError):
    """A command of a job ended with an error; the message says which, and shows the end of its output."""


def jobs_of(
    paper: Paper, preset: str, pattern: str = "*", seeds: Sequence[int] | None = None, table: str = "*"
) -> list[Job]:
    """The jobs of a paper's rows; rows that show the same runs have one job for each seed.

    Args:
        paper: whose.
        preset: under which; rows without it have no jobs.
        pattern: of the rows' names, with * and ?, in either case.
        seeds: None for each row's own.
        table: pattern of the tables' titles likewise.

    Raises:
        ValueError: no table has that title, or no row in them that name and preset.
    """
    tables = [t for t in paper.tables if fnmatch.fnmatch(t.title.lower(), table.lower())]
    if not tables:
        titles = "; ".join(t.title for t in paper.tables)
        raise ValueError(f"--table must match a table of {paper.name} but got {table!r}; there are: {titles}")
    rows = [row for t in tables for row in t.rows if preset in row.trials]
    chosen = {row.slug: row for row in reversed(rows) if _matches(row, pattern)}
    if not chosen:
        names = ", ".join(dict.fromkeys(row.name for row in rows)) or "none"
        raise ValueError(
            f"--row must match a row of {paper.name} under {preset} but got {pattern!r}; there are: {names}"
        )
    return [
        Job(paper.name, preset, row, s)
        for row in {row.slug: chosen[row.slug] for row in rows if row.slug in chosen}.values()
        for s in (row.trials[preset].seeds if seeds is None else seeds)
    ]


def _matches(row: Row, pattern: str) -> bool:
    return any(fnmatch.fnmatch(n, pattern.lower()) for n in (row.name.lower(), row.run_name.lower(), row.slug))


def state_of(job: Job, root: Path = ROOT) -> str:
    """In words, for a list: done, begun or not run."""
    if read_result(job, root):
        return "done"
    if checkpoint := newest_checkpoint(root / job.run):
        return f"begun ({checkpoint.name})"
    return "begun" if (root / job.run / "job.json").exists() else "not run"


def newest_checkpoint(run: Path) -> Path | None:
    """The folder step-... with the highest number; those that are still being written have other names."""
    found = [path for path in run.glob("step-*") if path.name[5:].isdigit()]
    return max(found, key=lambda path: int(path.name[5:]), default=None)


class Runner:
    """Runs jobs that have no result yet.

    Args:
        root: the repository's root, where the commands are run.
        nice: how far the commands give way to other work, 0 to 19.
        console: where lines and bars go.
    """

    def __init__(self, root: Path = ROOT, nice: int = 19, console: Console | None = None):
        self._root = root
        self._nice = nice
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._knuckle = find_knuckle()
        self._data_drawn: set[str] = set()

    def run(self, jobs: Sequence[Job]) -> list[Job]:
        """Runs them.

        Returns:
            Those that failed; the others have a result.

        Raises:
            KeyboardInterrupt: told to end, by Ctrl-C or SIGTERM; the command at hand was let write its checkpoint.
        """
        failed = []
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            every = progress.add_task("rows and seeds", total=len(jobs), note="")
            for number, job in enumerate(jobs):
                progress.update(every, completed=number, note=f"{number} of {len(jobs)}")
                if read_result(job, self._root):
                    self._console.print(f"{job.name}: has a result")
                    continue
                try:
                    self._run_job(job, progress)
                except (JobFailed, OSError, ValueError) as error:
                    self._console.print(f"{job.name}: failed: {error}", markup=False)
                    failed.append(job)
            progress.update(every, completed=len(jobs), note=f"{len(jobs)} of {len(jobs)}")
        return failed

    def _run_job(self, job: Job, progress: Progress) -> None:
        run = self._root / job.run
        require_folders(job.trial)
        with locked(run / ".lock", wait=False) as lock:
            about = _open_run(run, job, commit(self._root))
            self._console.print(f"{job.name}: begins" if not about["seconds"] else f"{job.name}: goes on")
            began = time.monotonic()
            task = progress.add_task(job.row.run_name, total=1.0, note="")
            try:
                metrics = self._run_commands(job, lock, progress, task)
            finally:
                progress.remove_task(task)
                about["seconds"] += time.monotonic() - began
                _keep(run, about)
            on_cuda = "--device cuda" in " ".join(job.commands())
            result = Result(
                paper=job.paper,
                preset=job.preset,
                row=job.row.run_name,
                seed=job.seed,
                metrics=metrics,
                commands=job.commands(),
                processor=processor_name(on_cuda),
                commit=", ".join(about["commits"]),
                version=__version__,
                seconds=round(about["seconds"], 1),
                date=f"{datetime.now(UTC):%Y-%m-%d}",
            )
            write_result(job, result, self._root)
            self._console.print(f"{job.name}: done in {about['seconds'] / 60:.1f} min, {job.result}")

    def _run_commands(self, job: Job, lock: IO[str], progress: Progress, task: TaskID) -> dict[str, dict[str, float]]:
        run, trial = self._root / job.run, job.trial
        tell = self._teller(job, progress, task)
        with locked(self._root / RUNS / "data" / ".lock", wait=True) as data_lock:
            for command in trial.data:
                words = job.words(command)
                if " ".join(words) not in self._data_drawn:
                    self._call(words, run, data_lock, lambda: tell("data", 0.0))
                    self._data_drawn.add(" ".join(words))
        if trial.train:
            self._call(job.words(trial.train), run, lock, lambda: tell("train", train_progress(run)))
        checkpoint = newest_checkpoint(run)
        if trial.train and checkpoint is None:
            raise JobFailed(f"`knuckle train` must leave a checkpoint {job.run}/step-* but left none")
        metrics = {}
        for number, (name, command) in enumerate(trial.evaluations.items()):
            scores = job.run / f"scores-{number}.json"
            newest = str(checkpoint.relative_to(self._root)) if checkpoint else ""
            words = [*job.words(command, newest), "--json", str(scores)]
            self._call(words, run, lock, lambda name=name: tell(f"eval {name}", 1.0))
            metrics[name] = read_scores(self._root / scores)
        return metrics

    def _call(self, words: list[str], run: Path, lock: IO[str], tell: Callable[[], None]) -> None:
        """Runs one command, its output in the run's log.txt.

        Ctrl-C reaches this process alone, which passes it on once and waits: a training writes its checkpoint then.
        """
        log = run / "log.txt"
        # Variables are replaced here alone: results and logs name a user's folders, and do not say where they are.
        filled = [expand_folders(word) for word in words[1:]]
        command = [self._knuckle if words[0] == "knuckle" else words[0], *filled]
        if self._nice and (nice := shutil.which("nice")):
            command = [nice, "-n", str(self._nice), *command]
        with log.open("a") as output:
            print("$", *words, file=output, flush=True)
            process = subprocess.Popen(
                command,
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                # The command holds the lock too: it is not free while a command lives on whose runner was killed.
                pass_fds=(lock.fileno(),),
            )
            try:
                while True:
                    try:
                        status = process.wait(_POLL_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        tell()
            except BaseException:
                self._console.print(f"stopping `knuckle {words[1]}`, which keeps what it has")
                _end(process)
                raise
        if status:
            shown = " ".join(words)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise JobFailed(f"`{shown}` ended with status {status}; the end of {log.relative_to(self._root)}:\n{end}")

    def _teller(self, job: Job, progress: Progress, task: TaskID) -> Callable[[str, float], None]:
        """Shows how far a job is: in the bar, or now and then as a line where there is none."""
        last = time.monotonic()

        def tell(what: str, part: float) -> None:
            nonlocal last
            progress.update(task, completed=part, note=f"seed {job.seed}, {what}")
            if not self._console.is_terminal and time.monotonic() - last > _LINE_SECONDS:
                last = time.monotonic()
                self._console.print(f"{job.name}: {what} {part:.0%}" if what == "train" else f"{job.name}: {what}")

        return tell


def require_folders(trial: Trial) -> None:
    """Checks that the variables a trial's commands name hold folders.

    Raises:
        ValueError: one does not; the message says which folder it must be.
    """
    for name, what in trial.folders.items():
        folder = os.environ.get(name, "")
        if not Path(folder or ".missing").is_dir():
            got = f"is {folder!r}" if folder else "is not set"
            raise ValueError(
                f"the variable {name} must be the folder of {what} but {got}; put {name}=FOLDER before python"
            )


def expand_folders(word: str) -> str:
    """A word of a command with the environment's values for names such as $WEAK."""
    return re.sub(r"\$([A-Z_]+)", lambda found: os.environ[found[1]], word)


def find_knuckle() -> str:
    """The `knuckle` to run: $KNUCKLE, else the one installed beside this Python, else the one on PATH.

    Raises:
        FileNotFoundError: there is none.
    """
    beside = Path(sys.executable).with_name("knuckle")
    found = os.environ.get("KNUCKLE") or (str(beside) if beside.exists() else shutil.which("knuckle"))
    if not found:
        raise FileNotFoundError("the command knuckle must be installed but is not; type: pip install -e '.[dev]'")
    return found


def train_progress(run: Path) -> float:
    """How much of a training's schedule is behind it, by the last line of its log."""
    log = run / "log.jsonl"
    if not log.exists():
        return 0.0
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        try:
            numbers = json.loads(line)
        except ValueError:  # the first line that was read, or the last one written, may be cut off
            continue
        if "progress" in numbers:
            return float(numbers["progress"])
    return 0.0


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[IO[str]]:
    """Holds a lock file, so that two runners never share a folder.

    Raises:
        JobFailed: another process holds it, and wait is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise JobFailed(f"{path.parent} is being worked on by another run; wait for it or stop it") from error
        yield file


def _open_run(run: Path, job: Job, now: str) -> dict[str, Any]:
    """What is known of a run's earlier sessions, with this one's commit; written down at once."""
    path = run / "job.json"
    about = (
        json.loads(path.read_text()) if path.exists() else {"commands": job.commands(), "seconds": 0.0, "commits": []}
    )
    if about["commands"] != job.commands():
        raise JobFailed(f"{job.run} must hold a run of this row's commands but they were changed; remove that folder")
    if now not in about["commits"]:
        about["commits"].append(now)
    _keep(run, about)
    return about


def _keep(run: Path, about: dict[str, Any]) -> None:
    with atomic_write(run / "job.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for a command and the processes it started; SIGTERM when it is asked for a second time."""
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            os.killpg(process.pid, number)
            process.wait()
            return
        except ProcessLookupError:
            return
        except KeyboardInterrupt:
            continue
    process.wait()
