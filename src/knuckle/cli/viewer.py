"""Opening recordings in the Rerun viewer."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def require_viewer() -> None:
    """Says in one line what is missing.

    Raises:
        ValueError: Rerun is not installed.
    """
    if importlib.util.find_spec("rerun") is None:
        raise ValueError("--show takes the Rerun viewer; install it with `pip install 'knuckle[show]'`")


def open_viewer(recordings: Sequence[Path]) -> bool:
    """Opens .rrd files in a window of its own process, and returns at once; without a screen says what to do.

    Returns:
        Whether there is a screen.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        files = " ".join(str(path) for path in recordings)
        print(f"no screen here; copy the files to a machine with one, and there: rerun {files}", file=sys.stderr)
        return False
    # The viewer listens for programs that send it data, by default from other machines too.
    command = [sys.executable, "-m", "rerun", "--bind", "127.0.0.1", *map(str, recordings)]
    subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return True
