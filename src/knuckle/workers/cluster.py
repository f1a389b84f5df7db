"""Workers that are actors of a Ray cluster, on one machine or on many."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knuckle.version import __version__
from knuckle.workers.session import Kind, Message, OpenWork, Session

LOCAL = "local"
_SECONDS_TO_ANSWER = 10.0
_SECONDS = 1.0  # of waiting for messages at a time, so that Ctrl-C is seen


class RayPool:
    """See `session.Pool`.

    A worker that the cluster has no room for yet is not ready and has no part: the others go on without it.

    Args:
        open_work: see `map_parts`.
        address: of the cluster; "local" starts one here.
        count: how many workers; None for as many as the cluster has room for now.
        cpus: of each.
        parts: how many there are: more workers than that are of no use.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """

    def __init__(self, open_work: OpenWork, address: str, count: int | None, cpus: int, parts: int) -> None:
        self._ray = _import_ray()
        self._streams: dict[Any, Any] = {}
        # A program that has joined a cluster by itself keeps it.
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _join(self._ray, address, None if count is None else min(count, parts) * cpus)
        self.count = count or max(1, int(self._ray.cluster_resources().get("CPU", 1)) // cpus)
        largest = max((node["Resources"].get("CPU", 0) for node in self._ray.nodes() if node["Alive"]), default=0)
        if 0 < largest < cpus:  # Ray would wait for such a machine
            self.close()
            raise ValueError(f"each worker takes {cpus} CPUs but no machine of the cluster has more than {largest:.0f}")
        self._actor_class = self._ray.remote(num_cpus=cpus, max_restarts=0)(_Actor)
        # Put once, fetched once by each machine.
        self._open_work = self._ray.put(open_work)

    def start(self) -> Any:
        actor = self._actor_class.remote(self._open_work, str(Path.cwd()))
        self._streams[actor] = actor.open.options(num_returns="streaming").remote()
        return actor

    def give(self, worker: Any, part: Any) -> None:
        self._streams[worker] = worker.run.options(num_returns="streaming").remote(part)

    def receive(self, workers: list[Any]) -> Iterator[tuple[Any, Kind, Any]]:
        worker_of = {self._streams[worker]: worker for worker in workers}
        ready, _ = self._ray.wait(list(worker_of), num_returns=1, timeout=_SECONDS)
        for stream in ready:
            try:
                kind, value = self._ray.get(next(stream))
            except (StopIteration, self._ray.exceptions.RayError) as error:
                self.stop(worker_of[stream])
                # Of an error with a traceback the last line says what it was, as of a machine without knuckle.
                kind, value = "died", (str(error).strip().splitlines() or ["no message"])[-1].strip()[:160]
            if kind == "ready" and value != __version__:
                kind, value = (
                    "error",
                    ImportError(f"every machine must have knuckle {__version__} but one has {value}; install the same"),
                )
            yield worker_of[stream], kind, value

    def stop(self, worker: Any) -> None:
        del self._streams[worker]
        self._ray.kill(worker)

    def close(self) -> None:
        for worker in list(self._streams):
            self.stop(worker)
        if self._ours:
            self._ray.shutdown()


class _Actor:
    """A session in a process of Ray's."""

    def __init__(self, open_work: OpenWork, folder: str) -> None:
        # Paths are given relative to where the command runs. A machine without that folder says which path it lacks.
        if os.path.isdir(folder):
            os.chdir(folder)
        self._session = Session(open_work)

    def open(self) -> Iterator[Message]:
        yield from self._session.open()

    def run(self, part: Any) -> Iterator[Message]:
        yield from self._session.run(part)


def _import_ray() -> Any:
    # Ray reports to its makers how it is used, unless told not to. Who wants that sets it to 1.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ImportError("--ray needs Ray; install it with `pip install 'knuckle[ray]'`") from None
    return ray


def _knock(address: str) -> None:
    """Raises OSError where nobody answers at HOST:PORT: Ray itself would try for ten minutes, with many lines."""
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()


def _join(ray: Any, address: str, cpus: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address == LOCAL:
        ray.init(address=LOCAL, num_cpus=cpus, include_dashboard=False, **options)
        return
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"--ray must be local or the address of a running Ray cluster but {address} is none ({reason}); "
            "start one with `ray start --head`"
        ) from error
