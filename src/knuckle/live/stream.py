"""Finding hands in frames as they come: the newest frame, never a queue."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from knuckle.camera import Camera
from knuckle.image.read import decode_picture
from knuckle.live.messages import frame_message
from knuckle.live.sources import Frame, Source
from knuckle.predict.config import ASSUMED_FOV
from knuckle.sample import Hand

# A quarter of the bytes and of the time of 95, and no difference on a page.
_JPEG_QUALITY = 75
# Of a picture that a page sends: beyond 4K video, and 50 MB when decoded.
_MAX_PIXELS = 4096 * 4096
_WAIT_SECONDS = 0.2


@runtime_checkable
class Tracker(Protocol):
    """What a `VideoPredictor` is to a stream."""

    def __call__(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        camera: Camera | None = None,
        max_hands: int = 4,
        time: float | None = None,
    ) -> list[Hand]:
        """The hands in the next frame, RGB."""
        ...


@dataclass(frozen=True)
class FindOptions:
    """How hands are looked for.

    Attributes:
        max_hands: maximum number of hands.
        fov: the camera's field of view along the longer side, radians.
    """

    max_hands: int = 2
    fov: float = ASSUMED_FOV

    def __post_init__(self) -> None:
        if self.max_hands < 1:
            raise ValueError(f"max_hands must be at least 1 but got {self.max_hands}")
        if not 0 < self.fov < math.pi:
            raise ValueError(f"fov must be above 0 and below 180 degrees but got {math.degrees(self.fov):.0f}")


@dataclass(frozen=True)
class FoundFrame:
    """A frame with its hands, as it is sent to pages (see messages.frame_message)."""

    number: int
    message: bytes


class HandStream:
    """Finds the hands in the newest frame of a source, in a thread of its own, while somebody is watching.

    Args:
        source: started by the caller.
        tracker: of this stream alone.
        options: how to look.
        on_frame: called from the thread with every frame.
        on_error: called from the thread with the exception that has ended it.
    """

    def __init__(
        self,
        source: Source,
        tracker: Tracker,
        options: FindOptions,
        on_frame: Callable[[FoundFrame], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.watched = threading.Event()
        self._source = source
        self._tracker = tracker
        self._options = options
        self._on_frame = on_frame
        self._on_error = on_error
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="knuckle-hands", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the frame that it is at."""
        self._stopped.set()
        self.watched.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        number = 0
        try:
            while not self._stopped.is_set():
                self.watched.wait()
                frame = self._source.newest(number, _WAIT_SECONDS)
                if frame is not None:
                    number = frame.number
                    self._on_frame(find_in_frame(self._tracker, frame, self._options))
        except Exception as error:
            # Else it would end this thread alone, and the page would stand still without a word.
            self._on_error(error)


def find_in_frame(tracker: Tracker, frame: Frame, options: FindOptions) -> FoundFrame:
    """The hands in a frame of a source, with the frame as JPEG."""
    image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB)
    hands, seconds = _find(tracker, image, frame.time, options)
    done, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError(f"a frame of {frame.image.shape} could not be encoded as JPEG; choose another --size")
    size = (image.shape[1], image.shape[0])
    return FoundFrame(frame.number, frame_message(frame.number, frame.time, seconds, size, hands, jpeg.tobytes()))


def find_in_picture(tracker: Tracker, data: bytes, number: int, options: FindOptions) -> bytes:
    """The hands in a picture that a page has sent, as a message without the picture.

    Raises:
        PictureError: it is no picture, or too large.
    """
    captured = time.monotonic()
    image = decode_picture(data, _MAX_PIXELS)
    hands, seconds = _find(tracker, image, captured, options)
    return frame_message(number, captured, seconds, (image.shape[1], image.shape[0]), hands)


def _find(tracker: Tracker, image: np.ndarray, captured: float, options: FindOptions) -> tuple[list[Hand], float]:
    camera = Camera.from_fov((image.shape[1], image.shape[0]), options.fov)
    started = time.monotonic()
    hands = tracker(image, camera, options.max_hands, time=captured)
    return hands, time.monotonic() - started
