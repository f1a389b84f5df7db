"""Small videos for tests, healthy and broken, and what is in a video."""

from fractions import Fraction

import av
import numpy as np

from knuckle.image.video import open_video

SIZE = (96, 64)
RATE = 22050


def picture(number: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Dark, with a red corner at the upper left and a level of green that counts."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 1] = 8 * number
    image[: size[1] // 3, : size[0] // 3] = (250, 20, 20)
    return image


def film(path, count=12, *, codec="libx264", fps=30, pix_fmt="yuv420p", ticks=None, sound=None, turn=None, size=SIZE):
    """A small video; `ticks` are the frames' times in milliseconds, `sound` the codec of a tone from 0.2 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1])
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        tone = None if sound is None else container.add_stream(sound, rate=RATE)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            seconds = np.arange(int(RATE * count / fps)) / RATE
            wave = (8000 * np.sin(2 * np.pi * 440 * seconds) * (seconds >= 0.2)).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(np.stack([wave.repeat(2)]), format="s16", layout="stereo")
            samples.sample_rate, samples.pts, samples.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def jpegs(path, sizes, ticks):
    """A video of JPEG pictures, which may have other sizes and times than the header says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, (size, tick) in enumerate(zip(sizes, ticks, strict=True)):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, "yuvj420p"
            encoder.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24").reformat(format="yuvj420p")
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.pts = packet.dts = tick
                packet.time_base, packet.stream = Fraction(1, 1000), stream
                container.mux(packet)
    return path


def frames_of(path):
    with open_video(path) as video:
        return list(video)


def empty(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        container.start_encoding()


def first_channel(samples):
    values = samples.to_ndarray().astype(float)
    return values[0] if samples.format.is_planar else values.reshape(-1, samples.layout.nb_channels)[:, 0]


def probe(path):
    """Frames' times, size, pixel format; sound's codec, length and the time the tone begins."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        found = {"codec": video.codec_context.name, "pix_fmt": video.codec_context.pix_fmt}
        found["times"] = [frame.time for frame in container.decode(video)]
        found["size"] = (video.codec_context.width, video.codec_context.height)
        found["streams"] = len(container.streams)
    if found["streams"] > 1:
        with av.open(str(path)) as container:
            found["sound"] = container.streams.audio[0].codec_context.name
            parts = [(f.time, f.sample_rate, first_channel(f)) for f in container.decode(audio=0)]
        loud = [
            time + np.flatnonzero(np.abs(x) > 0.1 * np.abs(x).max())[0] / rate for time, rate, x in parts if x.any()
        ]
        found["onset"] = loud[0]
    return found
