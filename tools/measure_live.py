"""Frames a second of `knuckle live`, from a file to a page that only reads: capture, hands, JPEG, websocket.

    python tools/measure_live.py [VIDEO] [--seconds 10] [--threads 2] [--max-hands 2]

Without VIDEO it makes one of 640 x 480 at 120 frames a second from examples/hand.jpg, so that the source is no limit.
What a browser does beside that, on the same cores, is not in it: see the page's own numbers.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from websockets.asyncio.client import connect
from websockets.typing import Origin

from knuckle import Predictor
from knuckle.live.messages import read_frame_message
from knuckle.live.server import LiveServer, ServerOptions
from knuckle.live.sources import open_source
from knuckle.live.stream import FindOptions
from knuckle.predict.video import VideoPredictor

EXAMPLE = Path(__file__).parents[1] / "examples" / "hand.jpg"
WARM_UP = 20  # frames: the first ones search, and load what the networks need


def write_clip(path: Path, seconds: float = 4.0, fps: float = 120.0) -> Path:
    """The example, moved slowly to and fro."""
    image = cv2.imread(str(EXAMPLE))
    assert image is not None
    wide = cv2.copyMakeBorder(cv2.resize(image, (480, 480)), 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (640, 480))
    for phase in np.linspace(0, 2 * np.pi, round(seconds * fps), endpoint=False):
        writer.write(np.roll(wide, round(40 * np.sin(phase)), axis=1))
    writer.release()
    return path


async def measure(server: LiveServer, seconds: float) -> dict[str, float]:
    """Frames a second, median milliseconds from capture to arrival and for inference, and hands a frame."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.run(ready.set_result))
    done, _ = await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
    if running in done:
        running.result()
    base, token = ready.result().split("/?token=")
    arrivals, delays, inference, hands = [], [], [], []
    address = f"{base.replace('http', 'ws')}/ws?token={token}"
    async with connect(address, origin=Origin(base), max_size=None) as page:
        while not arrivals[WARM_UP:] or arrivals[-1] < arrivals[WARM_UP] + seconds:
            message = await page.recv()
            if isinstance(message, str):
                continue
            arrivals.append(time.monotonic())
            frame = read_frame_message(message)[0]
            await page.send(json.dumps({"type": "shown", "number": frame["number"]}))
            delays.append(1000 * arrivals[-1] - frame["captured"])
            inference.append(frame["milliseconds"])
            hands.append(len(frame["hands"]))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    counted = arrivals[WARM_UP:]
    return {
        "frames_per_second": (len(counted) - 1) / (counted[-1] - counted[0]),
        "delay_ms": statistics.median(delays[WARM_UP:]),
        "inference_ms": statistics.median(inference[WARM_UP:]),
        "hands": statistics.mean(hands[WARM_UP:]),
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-hands", type=int, default=2)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(options.threads)
    predictor = Predictor(threads=options.threads)
    with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
        video = options.video or write_clip(Path(folder) / "clip.avi")
        server = LiveServer(
            lambda: VideoPredictor(predictor),
            predictor.model,
            open_source(str(video)),
            ServerOptions(port=0, find=FindOptions(options.max_hands)),
        )
        figures = asyncio.run(measure(server, options.seconds))
    print(
        f"{figures['frames_per_second']:.1f} frames/s, {figures['delay_ms']:.0f} ms from capture to page, "
        f"{figures['inference_ms']:.1f} ms inference (medians), {figures['hands']:.1f} hands a frame; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    return figures


if __name__ == "__main__":
    main()
