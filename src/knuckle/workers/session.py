"""What a worker does, and how it is spoken to: the same in a process of this machine and in one of a Ray cluster."""

import pickle
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from knuckle.version import __version__

# Work on a part: a generator function that yields how much is done, and returns the result.
Work: TypeAlias = Callable[[Any], Generator[int, None, Any]]
OpenWork: TypeAlias = Callable[[], Work]
# "ready": knuckle's version there; "progress": how much of the part is done; "result"; "error": an exception; "died":
# a word on how, which the pool says and not the worker.
Kind: TypeAlias = Literal["ready", "progress", "result", "error", "died"]
Message: TypeAlias = tuple[Kind, Any]

_SECONDS_BETWEEN_REPORTS = 0.5


@runtime_checkable
class Pool(Protocol):
    """Workers of one kind. count: how many there may be at a time."""

    count: int

    def start(self) -> Hashable:
        """Starts a worker; it is "ready" when the work is open."""
        ...

    def give(self, worker: Any, part: Any) -> None:
        """Gives a part to a worker that is ready, or has sent a result."""
        ...

    def receive(self, workers: list[Any]) -> Iterator[tuple[Any, Kind, Any]]:
        """Waits for messages of any of the workers: (worker, kind, value)."""
        ...

    def stop(self, worker: Any) -> None:
        """Ends a worker that has nothing more to do."""
        ...

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        ...


class Session:
    """A worker's side: opens the work once, and runs it on part after part."""

    def __init__(self, open_work: OpenWork) -> None:
        self._open_work = open_work
        self._work: Work | None = None

    def open(self) -> Iterator[Message]:
        """Says "ready" or "error"."""
        try:
            self._work = self._open_work()
        except Exception as error:  # raised again where the command runs
            yield "error", _portable(error)
        else:
            yield "ready", __version__

    def run(self, part: Any) -> Iterator[Message]:
        """Says "progress" from time to time, then "result" or "error"."""
        assert self._work is not None  # a part is given to workers that are ready
        reported = time.monotonic()
        try:
            steps = self._work(part)
            while True:
                try:
                    done = next(steps)
                except StopIteration as end:
                    result = end.value
                    break
                if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                    reported = time.monotonic()
                    yield "progress", done
        except Exception as error:
            yield "error", _portable(error)
        else:
            yield "result", result


def _portable(error: Exception) -> Exception:
    """The exception, or its text where it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # constructors with other arguments raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
