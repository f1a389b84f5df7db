"""What the commands show in a terminal."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def one_line(text: object) -> str:
    """Text in one line, control characters written out: names of files can hold those that a terminal obeys."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def listed(names: Sequence[str], shown: int = 10) -> str:
    """The first names, separated by commas, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discards what libraries write to standard error by themselves: decoders comment on every damaged file there.

    What Python writes to sys.stderr is shown as ever.
    """
    shown, stream = os.dup(2), sys.stderr
    try:
        if stream is not None and _number(stream) == 2:
            stream.flush()
            sys.stderr = os.fdopen(os.dup(shown), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        if sys.stderr is not stream:
            sys.stderr.close()
            sys.stderr = stream
        os.dup2(shown, 2)
        os.close(shown)


def _number(stream: object) -> int:
    """Of its file; -1 where it has none, as in tests."""
    try:
        return stream.fileno()  # pyright: ignore[reportAttributeAccessIssue]
    except (AttributeError, OSError, ValueError):
        return -1
