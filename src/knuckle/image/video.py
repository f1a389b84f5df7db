"""Reading video files from untrusted sources, one frame at a time, with PyAV (`pip install 'knuckle[video]'`).

Damaged files are the rule with cameras that ran out of battery: what can be read is given, and then one line says what
could not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.stream import Disposition
from jaxtyping import UInt8

from knuckle.files import RefusedFile, regular_file
from knuckle.image.read import PictureError

# 8192 x 8192: more than any camera films. Decoders keep up to 16 frames of it.
MAX_FRAME_PIXELS = 2**26
# Of frames whose time and rate are unknown.
DEFAULT_FPS = 30.0
# FFmpeg recognises files by their content. Playlists, which name other files and addresses, are none of these.
_FORMATS = "mov,matroska,avi,mpegts,mpeg,ogg,flv,asf"


class DamagedVideo(PictureError):
    """A video of which a part cannot be read; the frames that can were given before."""


class VideoFrame(NamedTuple):
    """One frame.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright; the size may change within a video.
        time: seconds from the beginning of the file, of all its streams; larger than the last frame's.
    """

    image: UInt8[np.ndarray, "h w 3"]
    time: float


@contextmanager
def open_video(path: Path, max_pixels: int = MAX_FRAME_PIXELS) -> "Iterator[Video]":
    """The first video stream of a file, while the context lasts.

    Args:
        path: MP4, MOV, MKV, WebM, AVI, or what else FFmpeg reads of the common containers.
        max_pixels: maximum of width times height of a frame.

    Raises:
        PictureError: the file is no video, has no video stream, or larger frames than `max_pixels`.
    """
    with open_container(path) as container:
        yield Video(container, max_pixels)


def open_container(path: Path) -> InputContainer:
    """The file as PyAV reads it, to be closed by the caller; only local files of known formats are opened.

    Raises:
        PictureError: it cannot be opened.
    """
    limits = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        regular_file(path)
    except RefusedFile as error:
        raise PictureError(str(error)) from None
    except OSError as error:
        raise PictureError(f"cannot be opened as a video ({error.strerror}); check the path") from None
    try:
        return av.open(f"file:{path}", mode="r", container_options=limits, metadata_errors="ignore")
    except EOFError:
        raise PictureError("has no frame: it ends before the first one; copy or record it again") from None
    except FFmpegError as error:
        raise PictureError(f"cannot be opened as a video ({error.strerror}); convert it to MP4 with H.264") from None


def seconds_before_zero(container: InputContainer) -> float:
    """The time that the file's own clock shows at its beginning; broadcasts and cut files do not begin at zero."""
    return (container.start_time or 0) / av.time_base


class Video:
    """Iterates over the frames of a file, once.

    Args:
        container: the open file.
        max_pixels: maximum of width times height of a frame.

    Attributes:
        fps: mean frames per second as the file states it, DEFAULT_FPS where it states none.
        expected: number of frames by the header, or estimated from the duration; None where neither is known.
    """

    def __init__(self, container: InputContainer, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        # Covers of music files are video streams of one picture.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise PictureError("has no video stream; give a file with pictures in it")
        self._container, self._stream, self._max_pixels = container, streams[0], max_pixels
        self._begin = seconds_before_zero(container)
        context = self._stream.codec_context
        if context is None:
            raise PictureError("is of an unknown codec; convert it to MP4 with H.264")
        self._check_size(context.width, context.height)
        # For sizes that the header does not tell: the decoder refuses them before it allocates.
        context.options = {"max_pixels": str(max_pixels)}
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate is not None and 0.1 <= rate <= 1000 else DEFAULT_FPS
        self._duration = None if container.duration is None else container.duration / av.time_base
        self.expected: int | None = self._stream.frames or None
        if self.expected is None and self._duration is not None:
            self.expected = max(1, round(self._duration * self.fps))
        self._reached = 0.0
        self._damaged = 0

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames in the order they are shown.

        A time that is missing, or not after the last frame's, is 1 / fps after it.

        Raises:
            DamagedVideo: after the last frame that can be read, where the file is truncated or has damaged parts.
            PictureError: there is no frame.
        """
        count, last = 0, None
        for frame in self._decoded():
            if frame.width * frame.height > self._max_pixels and count:
                raise DamagedVideo(f"has a frame of {frame.width} x {frame.height} pixels after frame {count}")
            self._check_size(frame.width, frame.height)
            stamp = frame.pts if frame.pts is not None else frame.dts
            own = None if stamp is None or frame.time_base is None else float(stamp * frame.time_base) - self._begin
            if last is None:
                time = 0.0 if own is None else own
            else:
                time = last + 1 / self.fps if own is None or own <= last else own
            count, last = count + 1, time
            yield VideoFrame(_upright(frame), time)
        self._report(count)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise PictureError(
                f"must have frames of at most {self._max_pixels} pixels but got {width} x {height}; shrink it first"
            )

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """The frames of all packets that can be decoded."""
        try:
            # Of all streams, as the file's duration is that of the longest.
            for packet in self._container.demux():
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None and packet.time_base is not None:
                    end = float((stamp + (packet.duration or 0)) * packet.time_base) - self._begin
                    self._reached = max(self._reached, end)
                if packet.stream.index != self._stream.index:
                    continue
                yield from self._decode(packet)
        except FFmpegError:
            self._damaged += 1
            yield from self._decode(None)

    def _decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        """The frames that a packet completes; those that the decoder still holds where it is None."""
        try:
            return self._stream.decode(packet)
        except EOFError:
            return []
        except FFmpegError:
            # Players skip what cannot be decoded and go on, too.
            self._damaged += 1
            return []

    def _report(self, count: int) -> None:
        if count == 0:
            raise PictureError("has no frame that can be read; convert it to MP4 with H.264")
        stated, duration = self._stream.frames, self._duration
        # Headers are off by a frame or two; a truncated file lacks many.
        lacks_time = duration is not None and self._reached < 0.95 * duration - 2 / self.fps
        lacks_frames = count < 0.95 * stated - 2
        # Phones cut a film by leaving it whole and telling players what to skip: frames are missing there, but no time.
        skips = "mov" in self._container.format.name
        if (lacks_frames and (lacks_time or not skips)) or (lacks_time and not stated):
            whole = f" of {stated}" if stated else f", at {self._reached:.1f} of {duration:.1f} s"
            raise DamagedVideo(f"is truncated after frame {count}{whole}; the frames before it were read")
        if self._damaged:
            raise DamagedVideo(f"is damaged in {self._damaged} places; {count} frames could be read")


def _upright(frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    """RGB, turned and mirrored as the header tells players to."""
    image = frame.to_ndarray(format="rgb24")
    extras: Any = frame.side_data
    kinds = [extras[i] for i in range(len(extras))]
    matrices = [np.frombuffer(bytes(data), np.int32) for data in kinds if data.type == Type.DISPLAYMATRIX]
    if matrices:
        # x' = a x + c y, y' = b x + d y, of which all but multiples of a right angle are left out.
        a, b, _, c, d = matrices[0][:5].tolist()
        if abs(b) > abs(a):
            image, a, d = image.transpose(1, 0, 2), c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
