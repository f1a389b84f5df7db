"""Sources as typed, to a list of files: pictures, videos, folders and patterns."""

import glob
from pathlib import Path

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


def expand(sources: list[str]) -> tuple[list[Path], list[str]]:
    """The files that the sources match, in order, and one line for each source that matches none.

    A folder matches the pictures and videos directly in it.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES | VIDEOS)
        elif path.exists():
            found = [path]
        else:
            found = [Path(p) for p in sorted(glob.glob(source, recursive=True)) if Path(p).is_file()]
        if not found:
            wanted = "a folder with pictures or videos" if path.is_dir() else "an existing file, folder or pattern"
            problems.append(f"{source}: must be {wanted} but is not; check the path")
        files += found
    return files, problems


def stems(files: list[Path]) -> list[str]:
    """A name for the results of each file: its stem, with a number from the second file of the same stem on."""
    seen: dict[str, int] = {}
    names = []
    for path in files:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}")
    return names
