"""What a predictor is given to look at: a picture of the right kind, and its camera."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from knuckle.camera import Camera
from knuckle.predict.config import ASSUMED_FOV
from knuckle.sample import Hand

# Of 255, red minus blue, the median over the joints. Of 2,388 hands in three sets of photographs it is 46 to 59 in the
# median and above this in all; with the channels exchanged it is below in 83 to 100 %.
_BLUER_THAN_SKIN = -25.0


def checked_camera(image: np.ndarray, camera: Camera | None) -> Camera:
    """The given camera, checked against the picture, or the assumed one.

    Raises:
        TypeError: the picture is no array.
        ValueError: the picture is not an (H, W, 3) array of uint8, or the camera has another size.
    """
    check_picture(image)
    size = (image.shape[1], image.shape[0])
    if camera is None:
        return Camera.from_fov(size, ASSUMED_FOV)
    if camera.size is not None and tuple(camera.size) != size:
        raise ValueError(f"camera must be of the picture's size {size} but got {camera.size}; scale it first")
    return replace(camera, size=size)


def check_picture(image: object) -> None:
    """Whether this is a picture, not something that people pass for one.

    Raises:
        TypeError: it is no array.
        ValueError: it is not an (H, W, 3) array of uint8.
    """
    if image is None:
        raise TypeError("image must be an array but got None, which cv2.imread gives of a missing file; check the path")
    if isinstance(image, str | Path):
        raise TypeError(
            f"image must be an array but got the path {str(image)!r}; call knuckle.predict(path), or read it with "
            "knuckle.read_image(path)"
        )
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"image must be a NumPy array (height, width, 3) of uint8 but got {type(image).__name__}; use numpy.asarray"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image must be (height, width, 3) RGB of uint8 but got {image.shape} of {image.dtype}; {_remedy(image)}"
        )


def _remedy(image: np.ndarray) -> str:
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        return "repeat the grey channel: np.dstack([image] * 3)"
    if image.ndim == 3 and image.shape[2] == 4:
        return "leave out the alpha channel: image[..., :3]"
    if image.ndim == 3 and image.shape[0] == 3:
        return "move the channels to the end: image.transpose(1, 2, 0)"
    if image.ndim == 3 and image.dtype.kind == "f":
        return "scale it: (255 * image).astype(np.uint8), where 1 is white"
    return "convert it"


def warn_if_bgr(image: np.ndarray, hands: Sequence[Hand]) -> None:
    """Warn where the hands are blue, as skin is in a picture whose channels are in OpenCV's order."""
    if hands and max(redness(image, hand) for hand in hands) < _BLUER_THAN_SKIN:
        warnings.warn(
            "the hands are bluer than skin: image must be RGB but is probably BGR, as OpenCV reads pictures; use "
            "knuckle.read_image, or image[..., ::-1]",
            stacklevel=3,
        )


def redness(image: np.ndarray, hand: Hand) -> float:
    """Median over the joints of a hand of red minus blue, of 255."""
    height, width = image.shape[:2]
    u, v = np.rint(hand.joints_image).astype(int).T
    pixels = image[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)].astype(float)
    return float(np.median(pixels[:, 0] - pixels[:, 2]))
