"""From an ordinary photograph to 3D hands a program can use.

    import knuckle

    for hand in knuckle.predict("photo.jpg"):
        print(hand.side, hand.angles["index_pip_flexion"])

Predictor and VideoPredictor are set up once and called often; Hand and Hands are what they give. HandModel is the
parametric hand, fit_hand finds its angles for joints from elsewhere, Gestures names poses.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from knuckle.version import __version__

if TYPE_CHECKING:
    from knuckle.camera import Camera
    from knuckle.fit import fit_hand
    from knuckle.gestures import Gestures
    from knuckle.handmodel import HandModel
    from knuckle.image import example_image
    from knuckle.image.read import read_picture as read_image
    from knuckle.predict.call import predict
    from knuckle.predict.predictor import Predictor
    from knuckle.predict.video import VideoPredictor
    from knuckle.sample import Hand, Hands

__all__ = [
    "Camera",
    "Gestures",
    "Hand",
    "HandModel",
    "Hands",
    "Predictor",
    "VideoPredictor",
    "__version__",
    "example_image",
    "fit_hand",
    "predict",
    "read_image",
]

# Where each name is found when it is asked for: `import knuckle` waits for no OpenCV, ONNX Runtime or torch.
_PLACES = {
    "Camera": "knuckle.camera:Camera",
    "Gestures": "knuckle.gestures:Gestures",
    "Hand": "knuckle.sample:Hand",
    "HandModel": "knuckle.handmodel:HandModel",
    "Hands": "knuckle.sample:Hands",
    "Predictor": "knuckle.predict:Predictor",
    "VideoPredictor": "knuckle.predict.video:VideoPredictor",
    "example_image": "knuckle.image:example_image",
    "fit_hand": "knuckle.fit:fit_hand",
    "predict": "knuckle.predict",
    "read_image": "knuckle.image.read:read_picture",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'knuckle' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, _, attribute = _PLACES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    modules = (name for name, value in globals().items() if isinstance(value, ModuleType) or name.startswith("__"))
    return sorted({*modules, *__all__})
