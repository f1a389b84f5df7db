"""The loop that gives parts to workers; the same for processes of this machine and for a Ray cluster."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from knuckle.workers.session import OpenWork, Pool, Work

MAX_WORKERS = 512  # of one machine; more than any has cores
_MAX_ATTEMPTS = 3  # of a part, or at starting a worker: what kills three of them would kill all

# Takes the number of a part and how much of it is done; 0 where its worker died and it begins again.
Report: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        count: of processes; 0 for this process itself; None for as many as the Ray cluster has room for.
        ray: None for processes of this machine; else a Ray cluster: "local" starts one on this machine, "auto" joins
            the one this machine is part of, and HOST:PORT joins another. It takes `pip install 'knuckle[ray]'`.
        cpus: that a worker keeps busy; Ray starts no more than a machine has.
    """

    count: int | None = 1
    ray: str | None = None
    cpus: int = 1

    def __post_init__(self) -> None:
        if self.count is None and self.ray is None:
            raise ValueError("workers must be a number of processes without Ray but got None")
        if self.count is not None and self.count < (0 if self.ray is None else 1):
            raise ValueError(f"workers must be at least 1 but got {self.count}")
        if self.ray is None and self.count is not None and self.count > MAX_WORKERS:
            raise ValueError(
                f"workers must be at most {MAX_WORKERS} but got {self.count}; as many as cores are the fastest"
            )

    @property
    def here(self) -> bool:
        """Whether this process does the work itself."""
        return self.count == 0


def map_parts(
    open_work: OpenWork, parts: Sequence[Any], workers: Workers, report: Report = lambda number, done: None
) -> Generator[tuple[int, Any], None, None]:
    """Works on every part and yields (its number, its result) as they are finished, in any order.

    Args:
        open_work: called once in each worker; returns the work, a generator function of a part that yields how much of
            the part is done from time to time, and returns its result. Both must be picklable, as parts and results.
        parts: what to work on.
        workers: who does it.
        report: called with the number of a part and how much of it is done.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no Ray cluster at the address.
        ChildProcessError: several workers died of the same part, or as they were started.
        Exception: whatever the work raises, in any of the workers.
    """
    if not parts:
        return
    if workers.here:
        yield from _map_here(open_work, parts, report)
        return
    pool = _open_pool(open_work, workers, len(parts))
    try:
        yield from _map_in_pool(pool, parts, report)
    finally:  # also where the caller is interrupted
        pool.close()


def _open_pool(open_work: OpenWork, workers: Workers, parts: int) -> Pool:
    if workers.ray is not None:
        # Here, as Ray is an extra.
        from knuckle.workers.cluster import RayPool

        return RayPool(open_work, workers.ray, workers.count, workers.cpus, parts)
    from knuckle.workers.processes import ProcessPool

    assert workers.count is not None  # Workers has checked it
    return ProcessPool(open_work, workers.count)


def _map_here(open_work: OpenWork, parts: Sequence[Any], report: Report) -> Iterator[tuple[int, Any]]:
    work = open_work()
    for number, part in enumerate(parts):
        yield number, _run(work(part), number, report)


def _run(steps: Generator[int, None, Any], number: int, report: Report) -> Any:
    while True:
        try:
            report(number, next(steps))
        except StopIteration as end:
            return end.value


def _map_in_pool(pool: Pool, parts: Sequence[Any], report: Report) -> Iterator[tuple[int, Any]]:
    pending, remaining = deque(range(len(parts))), len(parts)
    deaths: Counter[int] = Counter()  # by part; -1: before a worker was ready
    working: dict[Any, int | None] = {}  # the part of each worker; None while it is being started
    while remaining:
        while len(working) < min(pool.count, remaining):
            working[pool.start()] = None
        for worker, kind, value in pool.receive(list(working)):
            number = working[worker]
            if kind == "error":
                raise value
            if kind == "progress":
                assert number is not None
                report(number, value)
                continue
            if kind == "died":
                del working[worker]
                place = -1 if number is None else number
                deaths[place] += 1
                if deaths[place] >= _MAX_ATTEMPTS:
                    raise ChildProcessError(_obituary(number, len(parts), value))
                if number is not None:
                    pending.appendleft(number)
                    report(number, 0)
                continue
            if kind == "result":
                remaining -= 1
                assert number is not None
                yield number, value
            else:
                deaths[-1] = 0
            if pending:
                working[worker] = following = pending.popleft()
                pool.give(worker, parts[following])
            else:
                del working[worker]
                pool.stop(worker)


def _obituary(number: int | None, parts: int, how: str) -> str:
    what = "be started" if number is None else f"finish part {number + 1} of {parts}"
    return (
        f"a worker must {what} but {_MAX_ATTEMPTS} of them died, the last with {how}; "
        "call again with fewer workers, should the memory be too small"
    )


__all__ = ["MAX_WORKERS", "OpenWork", "Work", "Workers", "map_parts"]
