"""`knuckle live`: hands in a browser page while a camera sees them."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from knuckle.cli.terminal import one_line


def live(
    source: str | None = None,
    *,
    camera: str = "0",
    size: str = "640x480",
    max_hands: int = 2,
    fov: Annotated[float, Parameter(name="--fov")] = 60.0,
    model: Path | None = None,
    threads: int = 2,
    device: Literal["cpu", "cuda", "coreml", "directml"] = "cpu",
    port: int = 8765,
    host: str = "127.0.0.1",
    allow_origin: tuple[str, ...] = (),
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
) -> int:
    """Show hands in a browser page while a camera sees them: skeleton, mesh in 3D, 23 angles.

    The page is served on this machine alone and needs no network. Ctrl-C ends it.

    Examples:

        knuckle live

        knuckle live --camera 1 --size 1280x720 --max-hands 4

        knuckle live --camera browser

        knuckle live clip.mp4

        knuckle live rtsp://192.168.0.20/stream --no-browser

    Parameters
    ----------
    source
        A video or a picture, shown again and again, or the URL of a stream. A camera where none is given.
    camera
        Number of this machine's camera, or "browser" for the camera of the page's own browser.
    size
        Width and height asked of the camera, in pixels.
    max_hands
        Maximum number of hands.
    fov
        The camera's field of view along the longer side, in degrees.
    model
        A hand network to use instead of the package's; see knuckle predict.
    threads
        CPU threads of each network.
    device
        Where networks run. Others than cpu take an ONNX Runtime that was built for them: onnxruntime-gpu, or
        onnxruntime-directml on Windows, in place of onnxruntime; coreml on a Mac.
    port
        Port of the page; a free one where it is taken.
    host
        Address to listen at. Another than 127.0.0.1 lets other machines in that know the printed address; nothing is
        encrypted.
    allow_origin
        A further origin that may use the page, such as https://hands.example.org of a proxy; may be repeated.
    browser
        Open the page in the browser.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import asyncio

    import cv2

    try:
        from knuckle.live.server import LiveServer, ServerOptions
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        raise ModuleNotFoundError("knuckle live requires websockets; `pip install 'knuckle[live]'`") from None
    from knuckle.cli.options import check_max_hands, fov_radians
    from knuckle.live.sources import open_source
    from knuckle.live.stream import FindOptions
    from knuckle.models import onnx_file
    from knuckle.predict import Predictor
    from knuckle.predict.network import check_threads
    from knuckle.predict.video import VideoPredictor
    from knuckle.weights import weights_path

    check_max_hands(max_hands)
    check_threads(threads)
    cv2.setNumThreads(threads)
    # OpenCV logs every attempt to open a camera that is not there; one line says so here.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    options = ServerOptions(host, port, allow_origin, FindOptions(max_hands, fov_radians(fov)))
    frames = None if source is None and camera == "browser" else open_source(_source(source, camera), _size(size))
    with onnx_file(model or weights_path("hand")) as file:
        predictor = Predictor(hand=file, threads=threads, device=device)
    server = LiveServer(lambda: VideoPredictor(predictor), predictor.model, frames, options, _say)

    def ready(url: str) -> None:
        print(f"{one_line(frames.name) if frames else 'the browser camera'} at {url} (Ctrl-C ends it)", flush=True)
        if browser and _has_screen():
            webbrowser.open(url)

    try:
        asyncio.run(server.run(ready))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 0


def _say(line: str) -> None:
    print(f"knuckle live: {one_line(line)}", file=sys.stderr, flush=True)


def _source(source: str | None, camera: str) -> str:
    if source is not None and source.isdecimal():
        raise ValueError(f"SOURCE must be a file or a URL but is {source}; a camera is named with --camera {source}")
    if source is None and not camera.isdecimal():
        raise ValueError(f"--camera must be a number or 'browser' but got {camera!r}")
    return camera if source is None else source


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= 10000 and 0 < int(height) <= 10000):
        raise ValueError(f"--size must be like 640x480 but got {text!r}")
    return int(width), int(height)


def _has_screen() -> bool:
    """Without one, `webbrowser` would start a text browser in this terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
