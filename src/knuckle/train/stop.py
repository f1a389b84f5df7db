"""Ctrl-C, and a system that shuts down, between two steps of a training run and not in the middle of one."""

import signal
import threading
from types import FrameType
from typing import Any


class Stop:
    """`asked` turns true when the process is told to end; the second time it is told, it ends at once.

        with Stop() as stop:
            while not stop.asked:
                ...

    Outside the main thread, where Python lets nobody listen to signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # What was started to run in the background ignores Ctrl-C, and goes on doing so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
