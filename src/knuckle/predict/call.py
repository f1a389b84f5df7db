"""`knuckle.predict(...)`: hands from pictures in one call."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.image.read import PictureError, decode_picture, picture_bytes
from knuckle.predict.cameras import camera_of
from knuckle.predict.pictures import check_picture
from knuckle.predict.predictor import Predictor
from knuckle.predict.sources import VIDEOS
from knuckle.sample import Hands

Picture: TypeAlias = str | Path | UInt8[np.ndarray, "h w 3"]


@overload
def predict(
    picture: Picture, camera: Camera | None = None, *, max_hands: int = 4, predictor: Predictor | None = None
) -> Hands: ...


@overload
def predict(
    picture: Sequence[Picture], camera: Camera | None = None, *, max_hands: int = 4, predictor: Predictor | None = None
) -> list[Hands]: ...


def predict(picture, camera=None, *, max_hands=4, predictor=None):
    """The hands in a picture, or in each of many.

        for hand in knuckle.predict("photo.jpg"):
            print(hand.side, hand.joints_camera)

    Args:
        picture: the path of a picture file; an array (H, W, 3) of uint8 RGB; or a list of these, several of which are
            worked on at a time.
        camera: that took the pictures; if None it is taken from a file's EXIF data, else a field of view of 60 degrees
            is assumed, and distances are estimates.
        max_hands: maximum number of hands in a picture.
        predictor: such as one with a network of yours; the package's networks if None.

    Returns:
        `Hands`, best first; of a list a list of these.

    Raises:
        TypeError: a picture is something else.
        PictureError: a file cannot be read as a picture. It is a ValueError.
        ValueError: an array is of another shape or type, or the camera has another size.
    """
    if isinstance(picture, Sequence) and not isinstance(picture, str):
        predictor = predictor or _shared(threads=1)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(lambda one: _hands(one, camera, max_hands, predictor), picture))
    return _hands(picture, camera, max_hands, predictor or _shared(threads=2))


@cache
def _shared(threads: int) -> Predictor:
    return Predictor(threads=threads)


def _hands(picture: Any, camera: Camera | None, max_hands: int, predictor: Predictor) -> Hands:
    if isinstance(picture, str | Path):
        return predictor(*_read(Path(picture), camera), max_hands, check_channels=False)
    check_picture(picture)
    return predictor(picture, camera, max_hands)


def _read(path: Path, camera: Camera | None) -> tuple[UInt8[np.ndarray, "h w 3"], Camera]:
    """A file's picture, and its camera."""
    if path.is_dir():
        raise PictureError(
            f"{path} must be a picture but is a folder; give its files: sorted(Path({str(path)!r}).iterdir())"
        )
    if path.suffix.lower() in VIDEOS:
        raise PictureError(
            f"{path} is a video; use knuckle.VideoPredictor with knuckle.image.video.open_video, or `knuckle predict`"
        )
    data = picture_bytes(path)
    try:
        image = decode_picture(data)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    if camera is None:
        camera = camera_of((image.shape[1], image.shape[0]), data).camera
    return image, camera
