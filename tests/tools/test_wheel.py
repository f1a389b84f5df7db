"""The wheel of a commit has the same bytes wherever and whenever it is built, and has the weights' SHA-256 in it."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "src")


def built(folder: Path, umask: int, stamp: int) -> Path:
    """A copy of the repository with other times and permissions, and the wheel built of it."""
    folder.mkdir()
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        os.utime(path, (stamp, stamp))
        if path.is_file():
            path.chmod(0o666 & ~umask)
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def test_two_builds_have_the_same_bytes(tmp_path):
    one = built(tmp_path / "one", 0o022, 1_500_000_000)
    other = built(tmp_path / "another", 0o077, 1_700_000_000)
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as wheel:
        # What the README's first lines open, wherever the package is installed.
        assert wheel.read("knuckle/image/example.jpg") == (ROOT / "examples" / "hand.jpg").read_bytes()
        lines = wheel.read("knuckle/weights/SHA256SUMS").decode().splitlines()
        for digest, name in (line.split() for line in lines):
            assert hashlib.sha256(wheel.read(f"knuckle/weights/{name}")).hexdigest() == digest
