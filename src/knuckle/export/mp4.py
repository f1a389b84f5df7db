"""Pictures as a video that browsers play: H.264 in MP4, with the times and the sound of the video they are from."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from knuckle.files import atomic_write
from knuckle.image.video import open_container, seconds_before_zero

# What players accept of H.264; an encoder looks ahead over dozens of frames, so this bounds its memory too.
MAX_SIDE = 4096
_CLOCK = 90_000  # ticks per second, as broadcasts have it: exact for all usual frame rates
# Sound that MP4 holds and browsers play is copied; the rest, such as Vorbis and PCM, is encoded again.
_COPIED = ("aac", "mp3", "opus", "flac")
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


@contextmanager
def mp4_writer(path: Path, fps: float, sound_of: Path | None = None) -> "Iterator[Mp4Writer]":
    """Write a video, atomically: `path` holds a complete one or what it held before.

    Args:
        path: the file to write.
        fps: its mean frame rate, which guides the encoder; the frames have times of their own.
        sound_of: a video whose sound is copied, where it has any.

    Raises:
        ValueError: no frame was added.
    """
    options = {"movflags": "+faststart"}  # the index at the beginning, so that players need not load the end first
    with atomic_write(path) as unfinished, av.open(f"file:{unfinished}", "w", options=options) as container:
        writer = Mp4Writer(container, fps, sound_of)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class Mp4Writer:
    """Takes the frames of a video in order; made by `mp4_writer`.

    Args:
        container: the open file.
        fps: mean frames per second.
        sound_of: a video whose sound is copied, or None.

    Attributes:
        sound_problem: one line on what of the sound is missing, else empty.
    """

    def __init__(self, container: Any, fps: float, sound_of: Path | None) -> None:
        self._container = container
        self._rate = Fraction(fps).limit_denominator(1001)
        self._sound_of = sound_of
        self._sound: _Sound | None = None
        self._stream: Any = None
        self._size = (0, 0)
        self._ticks = -1
        self.sound_problem = ""

    def add(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> None:
        """The next frame.

        Args:
            image: (H, W, 3) uint8 RGB; fitted to the first frame's size, with black bars, where it has another.
            time: seconds, after the last frame's.
        """
        if self._stream is None:
            self._begin(image.shape[1], image.shape[0])
        frame = av.VideoFrame.from_ndarray(fitted(image, self._size), format="rgb24")
        self._ticks = max(round(time * _CLOCK), self._ticks + 1)
        frame.pts, frame.time_base = self._ticks, Fraction(1, _CLOCK)
        self._encode(frame)
        self._pump(time)

    def finish(self) -> None:
        """The frames that the encoder holds back, and the rest of the sound."""
        if self._stream is None:
            raise ValueError("a video must have a frame but got none")
        self._encode(None)
        self._pump(None)

    def close(self) -> None:
        """Lets go of the file with the sound."""
        if self._sound is not None:
            self._sound.close()

    def _begin(self, width: int, height: int) -> None:
        shrink = min(1.0, MAX_SIDE / max(width, height))
        # Colour is stored for 2 x 2 pixels.
        self._size = _even(shrink * width), _even(shrink * height)
        options = {"preset": "veryfast", "crf": "21"}
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _CLOCK)
        try:
            self._sound = None if self._sound_of is None else _Sound(self._sound_of, self._container)
        except (FFmpegError, ValueError, OSError) as error:
            self.sound_problem = f"its sound cannot be copied ({error})"

    def _encode(self, frame: av.VideoFrame | None) -> None:
        """A frame, or None for those that the encoder holds back."""
        try:
            self._container.mux(self._stream.encode(frame))
        except FFmpegError as error:
            width, height = self._size
            raise ValueError(
                f"the overlay of {width} x {height} pixels cannot be written ({error.strerror})"
            ) from error

    def _pump(self, until: float | None) -> None:
        """Sound lies beside the frames of its time, so that players need not search for it."""
        if self._sound is None or self.sound_problem:
            return
        try:
            self._sound.copy(until)
        except (FFmpegError, ValueError, OSError) as error:
            self.sound_problem = f"its sound could not be copied to the end ({error})"


def _even(side: float) -> int:
    return max(2, 2 * -(-round(side) // 2))


def fitted(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The picture in another size (width, height), its shape kept, with black bars beside it.

    A picture of a pixel less keeps its pixels; its last row and column are repeated.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    right, below = size[0] - width, size[1] - height
    if right in (0, 1) and below in (0, 1):
        return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    scale = min(size[0] / width, size[1] / height)
    inner = [min(max(1, round(scale * side)), most) for side, most in zip((width, height), size, strict=True)]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return canvas


class _Sound:
    """The first sound of a file, on its way into another; a source without sound gives none."""

    def __init__(self, path: Path, target: Any) -> None:
        self._source = open_container(path)
        self._target = target
        self._begin = seconds_before_zero(self._source)
        self._encoder: Any = None
        self._copy: Any = None
        self._next: Any = None
        self._packets: Iterator[Any] = iter(())
        if not self._source.streams.audio:
            return
        stream: Any = self._source.streams.audio[0]
        if stream.codec_context.codec.canonical_name in _COPIED:
            self._copy = target.add_stream_from_template(stream)
        else:
            rate = min(_AAC_RATES, key=lambda rate: abs(rate - stream.codec_context.sample_rate))
            self._encoder = target.add_stream("aac", rate=rate)
            self._encoder.codec_context.layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
        self._packets = self._source.demux(stream)
        self._next = next(self._packets, None)

    def copy(self, until: float | None) -> None:
        """All packets before a time, seconds; None: all that are left."""
        while self._next is not None:
            packet = self._next
            stamp = packet.pts if packet.pts is not None else packet.dts
            if until is not None and stamp is not None and float(stamp * packet.time_base) - self._begin > until:
                return
            self._write(packet)
            self._next = next(self._packets, None)
        if until is None and self._encoder is not None:
            self._target.mux(self._encoder.encode(None))

    def close(self) -> None:
        self._source.close()

    def _write(self, packet: Any) -> None:
        shift = round(self._begin / packet.time_base)
        if self._encoder is not None:
            # The last packet is empty and lets the decoder give what it holds back.
            for frame in packet.decode():
                if frame.pts is not None:
                    frame.pts -= shift
                self._target.mux(self._encoder.encode(frame))
        elif packet.dts is not None:
            packet.dts -= shift
            packet.pts = packet.pts - shift if packet.pts is not None else packet.dts
            packet.stream = self._copy
            self._target.mux(packet)
