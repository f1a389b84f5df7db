"""What a benchmark is, and how it is timed."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_RUNS = 5
MAX_RUNS = 200


@dataclass(frozen=True)
class Task:
    """A benchmark with its inputs prepared.

    Attributes:
        run: one run; called with the number of runs before it, so that it can vary its inputs.
        items: items that a run processes.
        goal_ms: target time per item in milliseconds, where there is one.
        against: name of the benchmark that this one is compared with.
    """

    run: Callable[[int], object]
    items: int = 1
    goal_ms: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Timing:
    """Milliseconds per item: median, 10th and 90th percentile, minimum, and the number of runs."""

    median: float
    low: float
    high: float
    minimum: float
    runs: int


def time_tasks(tasks: dict[str, Task], seconds: float, rounds: int) -> dict[str, Timing]:
    """Time tasks for `seconds` each, interleaved in rounds, so that other load on the machine affects all equally."""
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
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return Timing(statistics.median(values), deciles[0], deciles[-1], min(values), len(values))
