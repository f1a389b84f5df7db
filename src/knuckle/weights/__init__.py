"""The trained networks that come with knuckle, as ONNX files; docs/weights.md says how they were made."""

import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent


def weights_path(name: str) -> Path:
    """The file of "hand" or "detector".

    Raises:
        FileNotFoundError: the package came without it.
    """
    path = _FOLDER / f"{name}.onnx"
    if not path.exists():
        raise FileNotFoundError(f"{path} must come with the package but is missing; install knuckle again")
    return path


def published_sha256() -> dict[str, str]:
    """The SHA-256 of each file as its card, docs/weights.md, has it; by the file's name."""
    lines = (_FOLDER / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
