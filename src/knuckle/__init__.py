"""From an ordinary photograph to 3D hands a program can use.

from knuckle import Predictor

hands = Predictor()(image)
"""

from typing import TYPE_CHECKING, Any

from knuckle.version import __version__

if TYPE_CHECKING:
    from knuckle.predict import Predictor

__all__ = ["Predictor", "__version__"]


def __getattr__(name: str) -> Any:
    # Looked up when asked for: `knuckle --help` and `import knuckle.handmodel` wait for no OpenCV and no ONNX Runtime.
    if name == "Predictor":
        from knuckle.predict import Predictor

        return Predictor
    raise AttributeError(f"module 'knuckle' has no attribute {name!r}")
