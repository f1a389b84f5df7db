"""What a benchmark is, and how it is timed."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_RUNS = 5
MAX_RUNS = 200


@dataclass(frozen=True)
class Task:
    """Something to time, everything it needs made ready.

    Attributes:
        run: one run; it is told how many came before it, to take other inputs each time.
        items: a run does this many of the things that are counted.
        goal_ms: milliseconds an item may take, where somebody asked for that.
        against: name of the benchmark that this one is compared with in the same table.
    """

    run: Callable[[int], object]
    items: int = 1
    goal_ms: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Timing:
    """Milliseconds an item took: median, the tenth and ninetieth of a hundred, least, and how many runs that was."""

    median: float
    low: float
    high: float
    least: float
    runs: int


def time_tasks(tasks: dict[str, Task], seconds: float, rounds: int) -> dict[str, Timing]:
    """Time tasks for `seconds` each, in rounds, so that what else the machine does falls on all of them alike."""
    samples: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task.run(0)
    for _ in range(rounds):
        for name, task in tasks.items():
            samples[name] += _samples(task, len(samples[name]), seconds / rounds)
    return {name: summary(values) for name, values in samples.items()}


def _samples(task: Task, done: int, seconds: float) -> list[float]:
    values: list[float] = []
    end = time.perf_counter() + seconds
    while len(values) < MIN_RUNS or (time.perf_counter() < end and len(values) < MAX_RUNS):
        begun = time.perf_counter()
        task.run(done + len(values))
        values.append(1e3 * (time.perf_counter() - begun) / task.items)
    return values


def summary(values: Sequence[float]) -> Timing:
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return Timing(statistics.median(values), tenths[0], tenths[-1], min(values), len(values))
