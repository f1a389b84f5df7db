"""The progress bars of the commands."""

import sys
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from knuckle.cli.terminal import one_line


def progress_bar() -> Progress:
    """A bar on standard error that leaves nothing behind; silent where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not sys.stderr.isatty(), transient=True)


class FrameBar:
    """A second bar below that of the files, for the frames of the video that is being done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def update(self, path: Path, done: int, expected: int | None) -> None:
        """Shows how many frames are done, and of how many where that is known."""
        # Headers count roughly.
        total = None if expected is None else max(expected, done)
        if self._task is None:
            self._task = self._progress.add_task(escape(one_line(path.name)), total=total)
        self._progress.update(self._task, completed=done, total=total)

    def remove(self) -> None:
        """The file is done; the next one has a bar of its own."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
