"""What a result depends on beside its commands."""

import os
import platform
import shutil
import subprocess
from pathlib import Path


def processor_name(on_cuda: bool) -> str:
    """The processor that trained: a CPU with its number of cores, or the accelerator."""
    if on_cuda and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n")
        if names[0]:
            return names[0].strip()
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def commit(root: Path) -> str:
    """The commit that is checked out, "-dirty" after it where tracked files were changed."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        said = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return said.stdout.strip() or "unknown"
