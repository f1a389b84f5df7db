"""The trained networks that come with knuckle, as ONNX files; docs/weights.md says how they were made."""

from pathlib import Path


def weights_path(name: str) -> Path:
    """The file of "hand" or "detector".

    Raises:
        FileNotFoundError: the package came without it.
    """
    path = Path(__file__).parent / f"{name}.onnx"
    if not path.exists():
        raise FileNotFoundError(f"{path} must come with the package but is missing; install knuckle again")
    return path
