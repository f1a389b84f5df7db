"""Workers that are processes of this machine."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from knuckle.workers.session import Kind, OpenWork, Session


class ProcessPool:
    """See `session.Pool`.

    Args:
        open_work: see `map_parts`. count: how many processes.
    """

    def __init__(self, open_work: OpenWork, count: int) -> None:
        self.count = count
        self._open_work = open_work
        self._context = multiprocessing.get_context("spawn")  # an OpenGL context must not be forked
        self._processes: dict[Connection, Any] = {}

    def start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._open_work), daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._processes[ours] = process
        return ours

    def give(self, worker: Connection, part: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died: `receive` says so
            worker.send(part)

    def receive(self, workers: list[Connection]) -> Iterator[tuple[Connection, Kind, Any]]:
        for worker in wait(workers):
            assert isinstance(worker, Connection)
            try:
                kind, value = worker.recv()
            except (EOFError, OSError):
                kind, value = "died", f"status {self._end(worker)}"
            yield worker, kind, value

    def stop(self, worker: Connection) -> None:
        self._end(worker)

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for worker in list(self._processes):
            self._end(worker)

    def _end(self, worker: Connection) -> int | None:
        process = self._processes.pop(worker)
        worker.close()
        process.terminate()
        process.join()
        return process.exitcode


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal: those started meanwhile never see it, this one does afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, open_work: OpenWork) -> None:
    """Body of a process: ends when the other side does, in the middle of a part at the latest with its next message."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for Windows, which holds no signals back
    session = Session(open_work)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        for message in session.open():
            pipe.send(message)
        while True:
            for message in session.run(pipe.recv()):
                pipe.send(message)
