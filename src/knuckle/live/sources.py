"""Where live frames come from: a camera, a video, a picture or a stream, read in a thread that keeps the newest."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from knuckle.files import InputError
from knuckle.image.read import read_picture
from knuckle.predict.sources import PICTURES

# Larger frames are shrunk: the networks see crops of 256 pixels, and the page shows hardly more.
MAX_SIDE = 1280
# Of files that do not say, and of a picture.
_ASSUMED_FPS = 30.0
# Above this width webcams on USB 2 give a few frames a second uncompressed.
_UNCOMPRESSED_WIDTH = 640


class SourceError(InputError):
    """A source that cannot be opened; the message is one line with what to do."""


@runtime_checkable
class Reader(Protocol):
    """An open source."""

    def read(self) -> UInt8[np.ndarray, "h w 3"] | None:
        """The next frame, BGR, as soon as it is due; None where the source gives no more."""
        ...

    def release(self) -> None:
        """Closes the source."""
        ...


@dataclass(frozen=True)
class Frame:
    """A frame of a source.

    Attributes:
        number: from 1.
        image: (h, w, 3) uint8 BGR, as OpenCV reads and writes it; its longer side is at most MAX_SIDE.
        time: seconds of time.monotonic, when it was captured.
    """

    number: int
    image: UInt8[np.ndarray, "h w 3"]
    time: float


class Source:
    """Reads frames in a thread of its own and keeps only the newest; reopens what was lost every second.

    Args:
        name: for people, such as "camera 0".
        open_reader: opens the source; raises SourceError. Called here for the first time.
        mirrored: whether a person who looks at the page expects a mirror, as with a webcam.
        retry_seconds: time between two attempts to reopen.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(
        self, name: str, open_reader: Callable[[], Reader], *, mirrored: bool = False, retry_seconds: float = 1.0
    ) -> None:
        self.name = name
        self.mirrored = mirrored
        self._open = open_reader
        self._retry_seconds = retry_seconds
        self._reader: Reader | None = open_reader()
        self._newest: Frame | None = None
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="knuckle-source", daemon=True)
        self._on_trouble: Callable[[str], None] = lambda text: None

    def start(self, on_trouble: Callable[[str], None]) -> None:
        """Starts reading.

        Args:
            on_trouble: called from the source's thread with one line when the source is lost, and with "" when it is
                back.
        """
        self._on_trouble = on_trouble
        self._thread.start()

    def newest(self, after: int, timeout: float) -> Frame | None:
        """The newest frame with a number above `after`; None where none came within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._number() > after, timeout)
            return self._newest if self._number() > after else None

    def stop(self) -> None:
        """Stops reading and closes the source; a read that hangs is left behind after two seconds."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        elif self._reader is not None:
            self._reader.release()

    def _number(self) -> int:
        return 0 if self._newest is None else self._newest.number

    def _run(self) -> None:
        lost = False
        while not self._stopped.is_set():
            image = self._read()
            if image is not None:
                if lost:
                    self._on_trouble("")
                lost = False
                self._keep(image)
                continue
            self._release()
            if not lost:
                self._on_trouble(f"{self.name} gives no pictures any more; trying again every second")
            lost = True
            if not self._stopped.wait(self._retry_seconds):
                self._reopen()
        self._release()

    def _read(self) -> np.ndarray | None:
        try:
            return None if self._reader is None else self._reader.read()
        except cv2.error:
            # Of a stream that is damaged beyond what OpenCV skips.
            return None

    def _keep(self, image: np.ndarray) -> None:
        captured = time.monotonic()
        image = _shrunk(image)
        with self._changed:
            self._newest = Frame(self._number() + 1, image, captured)
            self._changed.notify_all()

    def _reopen(self) -> None:
        try:
            self._reader = self._open()
        except SourceError:
            self._reader = None

    def _release(self) -> None:
        if self._reader is not None:
            self._reader.release()
            self._reader = None


class CaptureReader:
    """A camera or a stream, at its own pace."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture

    def read(self) -> UInt8[np.ndarray, "h w 3"] | None:
        there, image = self._capture.read()
        return image if there else None

    def release(self) -> None:
        self._capture.release()


class VideoReader:
    """A video file at its own speed, again and again. Frames are skipped where reading is too slow for it.

    Raises:
        SourceError: it cannot be read as a video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = self._begin()

    def _begin(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{self._path} must be a video or a picture but cannot be opened; convert it to MP4")
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._period = 1.0 / (fps if 0 < fps <= 1000 else _ASSUMED_FPS)
        self._due: float | None = None  # of the next frame; the first is due when it is asked for
        return capture

    def read(self) -> UInt8[np.ndarray, "h w 3"] | None:
        due = time.monotonic() if self._due is None else self._due
        while time.monotonic() > due + self._period and self._capture.grab():
            due += self._period
        there, image = self._capture.read()
        if not there:
            self._capture.release()
            try:
                self._capture = self._begin()
            except SourceError:
                return None
            due = max(due, time.monotonic())
            there, image = self._capture.read()
        time.sleep(max(0.0, due - time.monotonic()))
        self._due = due + self._period
        return image if there else None

    def release(self) -> None:
        self._capture.release()


class PictureReader:
    """A picture, again and again."""

    def __init__(self, path: Path) -> None:
        self._image = cv2.cvtColor(read_picture(path), cv2.COLOR_RGB2BGR)

    def read(self) -> UInt8[np.ndarray, "h w 3"]:
        time.sleep(1.0 / _ASSUMED_FPS)
        return self._image

    def release(self) -> None:
        pass


def open_source(source: str, size: tuple[int, int] = (640, 480)) -> Source:
    """A source by what a person types.

    Args:
        source: a camera's number, a file, or the URL of a stream.
        size: (width, height) asked of a camera, which may give another.

    Raises:
        SourceError: there is no such source, or it cannot be opened.
        PictureError: it is a picture that cannot be read.
    """
    if source.isdecimal():
        return Source(f"camera {int(source)}", lambda: _open_camera(int(source), size), mirrored=True)
    if "://" in source:
        return Source(_without_password(source), lambda: _open_stream(source))
    path = Path(source)
    if not path.is_file():
        raise SourceError(f"{source} must be an existing file, or a URL such as rtsp://..., but is neither")
    reader = PictureReader if path.suffix.lower() in PICTURES else VideoReader
    return Source(path.name, lambda: reader(path))


def _open_camera(number: int, size: tuple[int, int]) -> Reader:
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        there = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*")))
        known = f" (there are {there})" if there else ""
        raise SourceError(
            f"camera {number} cannot be opened{known}; plug it in, close programs that use it, name another with "
            "--camera N, or use the browser's with --camera browser"
        )
    if size[0] > _UNCOMPRESSED_WIDTH:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    # The driver's own queue would deliver old frames.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return CaptureReader(capture)


def _open_stream(url: str) -> Reader:
    capture = cv2.VideoCapture(url)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{_without_password(url)} cannot be opened as a stream; check that a video player opens it")
    return CaptureReader(capture)


def _without_password(url: str) -> str:
    scheme, rest = url.split("://", 1)
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _shrunk(image: np.ndarray) -> np.ndarray:
    scale = MAX_SIDE / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
