"""Readers in processes of their own, with limits, measured: how it ended, how long it took, how much memory."""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from knuckle.files import InputError

SECONDS = 2.0
MEGABYTES = 500.0
# Of the processor, and of the clock: a reader that waits for something uses no processor, and on a machine that is busy
# with other programs one that works hardly does.
_WORK_SECONDS, _WAIT_SECONDS = 30, 600
_STOPPED = 70
_ADDRESS_SPACE = 3 * 2**30  # beyond what the process has: a reader that asks for more fails instead of the machine
# What no reader does: start programs, connect, rename, remove, or write.
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "socket.connect")
_FORBIDDEN += ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "ctypes.dlopen")


class Outcome(NamedTuple):
    """What became of one input.

    Attributes:
        ended: "read", "refused" (InputError or OSError, as all readers raise), else what went wrong.
        seconds, megabytes: of time, and of memory beyond what the process had.
        text: of the error.
    """

    ended: str
    seconds: float
    megabytes: float
    text: str = ""

    @property
    def fault(self) -> str:
        """What is wrong with it; empty where nothing is."""
        if self.ended not in ("read", "refused"):
            return f"{self.ended}: {self.text}"
        if self.seconds > SECONDS:
            return f"took {self.seconds:.1f} s"
        return f"took {self.megabytes:.0f} MB" if self.megabytes > MEGABYTES else ""


class Read(NamedTuple):
    """An input and its reader.

    Attributes:
        prepare: writes the input, unmeasured.
        read: reads it.
    """

    prepare: Callable[[], object]
    read: Callable[[], object]


def outcomes(reads: Iterator[Read]) -> Iterator[Outcome]:
    """What became of each read; a process that dies is replaced, and the next input goes on.

    Args:
        reads: of one input each; they are run in a child process.
    """
    kept = list(reads)
    at = 0
    while at < len(kept):
        for outcome in _in_child(kept[at:]):
            yield outcome
            at += 1


def _in_child(reads: list[Read]) -> Iterator[Outcome]:
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        with suppress(BaseException):
            _work(reads, send)
        os._exit(0)
    os.close(send)
    done = 0
    with os.fdopen(receive) as lines:
        for line in lines:
            yield Outcome(*json.loads(line))
            done += 1
    _, status, usage = os.wait4(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _STOPPED:
        return
    if done < len(reads):
        number = os.waitstatus_to_exitcode(status)
        name = signal.Signals(-number).name if number < 0 else f"status {number}"
        yield Outcome("crash", 0.0, usage.ru_maxrss / 1024, f"the process ended with {name}")


def _work(reads: list[Read], send: int) -> None:
    seen: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if event in _FORBIDDEN or writes:
            seen.append(f"{event} {str(arguments)[:80]}")

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders comment on every damaged file
    sys.addaudithook(hook)
    sys.dont_write_bytecode = True
    for prepare, read in reads:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        prepare()
        # Beyond what there is now: libraries of earlier inputs take room too.
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _ADDRESS_SPACE, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, _WORK_SECONDS)
        signal.alarm(_WAIT_SECONDS)
        seen.clear()
        _reset_peak()
        before, began, worked = _status("VmRSS"), time.perf_counter(), time.process_time()
        ended, text = "read", ""
        try:
            read()
        except (InputError, OSError) as error:
            ended, text = "refused", f"{type(error).__name__}: {error}"
        except BaseException as error:
            ended, text = "traceback", f"{type(error).__name__}: {error}"
        # Time given to other programs does not count; a reader that hangs is killed by one of the timers.
        seconds = min(time.perf_counter() - began, time.process_time() - worked)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if seen:
            ended, text = "ran code", seen[0]
            seen.clear()
        peak = (_status("VmHWM") - before) / 2**20
        outcome = Outcome(ended, seconds, peak, text[:300])
        os.write(send, (json.dumps(outcome) + "\n").encode())
        if outcome.fault:  # the next input finds a clean process
            os._exit(_STOPPED)


def _status(name: str) -> int:
    """Bytes, of this process."""
    with open("/proc/self/status") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def _reset_peak() -> None:
    number = os.open("/proc/self/clear_refs", os.O_WRONLY)
    os.write(number, b"5")
    os.close(number)
