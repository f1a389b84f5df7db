"""Sources as typed, to a list of files: pictures, videos, folders and patterns."""

import glob
import os
import sys
import unicodedata
from pathlib import Path

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})
SHARDS = frozenset({".tar"})
_MANIFEST = "manifest.json"  # beside the shards of `knuckle synth`
# Bytes. File systems allow names of 255, and the longest suffix is .overlay.mp4.
_MAX_STEM = 242


def expand(sources: list[str]) -> tuple[list[Path], list[str]]:
    """The files that the sources match, in order, and one line for each source that matches none.

    A folder matches the pictures and videos directly in it; one that `knuckle synth` wrote, its shards.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            kinds = SHARDS if (path / _MANIFEST).is_file() and any(path.glob("shard-*.tar")) else PICTURES | VIDEOS
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in kinds)
        elif path.exists():
            found = [path]
        else:
            found = [Path(p) for p in sorted(glob.glob(source, recursive=True)) if Path(p).is_file()]
        if not found:
            if path.is_dir():
                pattern = f'"{path / "**" / "*.jpg"}"'
                problems.append(
                    f"{source}: must hold pictures or videos but has none directly in it; for those in its folders "
                    f"give a pattern: {pattern}"
                )
            else:
                problems.append(f"{source}: must be an existing file, folder or pattern but is not; check the path")
        files += found
    return files, problems


def stems(files: list[Path]) -> list[str]:
    """A name for the results of each file, no two of them the same: its stem, with a number where that is taken.

    The first file of a stem has it, whatever the others would be numbered to: a-2.jpg, a.jpg and a.png give a-2, a and
    a-3. Capital letters make no difference, as on many disks, and nor does ".coco", which a format adds.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()
    again: list[int] = []
    for place, path in enumerate(files):
        if _claim(path.stem, taken):
            names[place] = path.stem
        else:
            again.append(place)
    numbers: dict[str, int] = {}
    for place in again:
        stem = _shortened(files[place].stem, _MAX_STEM - 8)
        number = numbers.get(stem, 2)
        while not _claim(f"{stem}-{number}", taken):
            number += 1
        names[place], numbers[stem] = f"{stem}-{number}", number + 1
    return [names[place] for place in range(len(files))]


def _claim(name: str, taken: set[str]) -> bool:
    """Whether nobody has taken a name; it is taken now. Names that leave no room for a suffix never are free."""
    if _shortened(name, _MAX_STEM) != name:
        return False
    key = unicodedata.normalize("NFC", name).casefold()
    if taken & {key, f"{key}.coco"}:
        return False
    taken |= {key, f"{key}.coco"}
    return True


def _shortened(stem: str, room: int) -> str:
    """As much of a name as fits into so many bytes."""
    data = os.fsencode(stem)
    return stem if len(data) <= room else data[:room].decode(sys.getfilesystemencoding(), "ignore")
