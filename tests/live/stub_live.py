"""Stubs of a camera and of a tracker, and the live server run with them in a thread."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from websockets.sync.client import ClientConnection, connect

from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.live.messages import read_frame_message
from knuckle.live.server import LiveServer, ServerOptions
from knuckle.live.sources import Source, SourceError
from knuckle.sample import Hand

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
MODEL = HandModel.open()


def some_hand(image: np.ndarray, camera: Camera) -> Hand:
    """A hand in front of the camera, whose score says how bright the picture is."""
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = [0, 0.09, 0.5]
    angles = np.full(23, 0.1)
    posed = MODEL(angles, T_camera_hand=pose)
    uv = camera.project(posed.joints)
    return Hand(
        side="right",
        score=round(float(image.mean()) / 255, 2),
        box=np.concatenate([uv.min(0), uv.max(0)]),
        joints_camera=posed.joints,
        angles=angles,
        shape=np.zeros(10),
        T_camera_hand=pose,
        joint_uncertainty_mm=np.full(21, 5.0),
        plausibility=1.0,
        camera=camera,
        vertices_camera=posed.vertices,
        id=7,
    )


class StubTracker:
    """Sees one hand in every frame that is not black."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.error: Exception | None = None

    def __call__(self, image, camera=None, max_hands=4, time=None):
        if self.error is not None:
            raise self.error
        self.times.append(time)
        return [some_hand(image, camera)][:max_hands] if image.any() else []


class FakeCamera:
    """Gives a grey frame every few milliseconds, ever brighter; can be unplugged."""

    def __init__(self) -> None:
        self.plugged = True
        self.reads = 0

    def open(self) -> "FakeCamera":
        if not self.plugged:
            raise SourceError("the fake camera is not there; plug it in")
        return self

    def read(self) -> np.ndarray | None:
        time.sleep(0.004)
        self.reads += 1
        return np.full((48, 64, 3), 1 + self.reads % 250, np.uint8) if self.plugged else None

    def release(self) -> None:
        pass


class Running:
    """A server in a thread of its own."""

    def __init__(self, source: Source | None, options: ServerOptions) -> None:
        self.trackers: list[StubTracker] = []
        self.lines: list[str] = []
        self.error: BaseException | None = None
        self.server = LiveServer(self._tracker, MODEL, source, options, self.lines.append)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(20)

    def _tracker(self) -> StubTracker:
        self.trackers.append(StubTracker())
        return self.trackers[-1]

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self.server.run(self._found)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()

    def _found(self, url: str) -> None:
        self.url = url
        self.base, self.token = url.split("/?token=")
        self._ready.set()

    def wait(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        if self._thread.is_alive() and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.wait()

    @contextmanager
    def open(self, query: str = "", origin: str | None = None) -> Iterator[ClientConnection]:
        """A page's websocket, after the server's hello."""
        address = f"{self.base.replace('http', 'ws')}/ws?token={self.token}{query}"
        with connect(address, origin=origin or self.base, max_size=None, compression=None) as page:
            hello = json.loads(page.recv(timeout=20))
            assert hello["type"] == "hello"
            yield page


def next_frame(page: ClientConnection) -> dict:
    """The header of the next frame, which is acknowledged."""
    while isinstance(message := page.recv(timeout=20), str):
        pass
    header, meshes, jpeg = read_frame_message(message)
    header |= {"meshes": meshes, "jpeg": jpeg}
    page.send(json.dumps({"type": "shown", "number": header["number"]}))
    return header


def fetch(url: str, **headers: str) -> tuple[int, bytes, dict]:
    try:
        with urlopen(Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@contextmanager
def serving(source: Source | None, **options) -> Iterator[Running]:
    running = Running(source, ServerOptions(port=0, **options))
    try:
        yield running
    finally:
        running.stop()
