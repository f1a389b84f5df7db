"""The live page's server with stubs for the camera and the networks; and the page itself in a real browser."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from headless import Tab, browser, chromium_path
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.handmodel import HandModel
from knuckle.live.access import Gate
from knuckle.live.messages import read_frame_message
from knuckle.live.server import MAX_MESSAGE_BYTES, MAX_PAGES, LiveServer, ServerOptions
from knuckle.live.sources import MAX_SIDE, Frame, Source, SourceError, VideoReader, open_source
from knuckle.live.stream import FindOptions, find_in_frame
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


@pytest.fixture
def camera():
    return FakeCamera()


@pytest.fixture
def live(camera):
    with serving(Source("the fake camera", camera.open, mirrored=True, retry_seconds=0.05)) as running:
        yield running


# Who is let in


def test_the_page_and_its_files_are_served(live):
    status, body, headers = fetch(live.url)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', body.decode()):
        status, text, headers = fetch(live.base + name)
        assert status == 200
        for other in re.findall(rb'from "(/[^"]+)"', text):
            assert fetch(live.base + other.decode())[0] == 200
    assert fetch(live.base + "/../server.py")[0] == 404


def test_nothing_is_fetched_from_elsewhere():
    for file in (Path(__file__).parents[2] / "src/knuckle/live/page").iterdir():
        assert not re.search(r"https?://|@import|//cdn", file.read_text()), file


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%ff"])
def test_without_the_token_nobody_is_let_in(live, token):
    assert fetch(f"{live.base}/{token}")[0] == 403
    address = f"{live.base.replace('http', 'ws')}/ws{token}"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=live.base):
        pass


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null", None])
def test_other_origins_are_refused(live, origin):
    address = f"{live.base.replace('http', 'ws')}/ws?token={live.token}"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):
        pass


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "[", ""])
def test_names_that_were_pointed_here_are_refused(live, host):
    port = live.base.rpartition(":")[2]
    status, body, _ = fetch(live.url, Host=host.format(port=port))
    # An empty one is no HTTP.
    assert status in (421, 400), body
    host = host.format(port=port)
    address = f"{live.base.replace('http', 'ws')}/ws?token={live.token}"
    refused = pytest.raises(InvalidStatus)
    with refused, connect(address, origin=f"http://{host}", additional_headers={"Host": host}):
        pass


def test_another_origin_is_let_in_where_it_was_asked_for(camera):
    source = Source("the fake camera", camera.open)
    with serving(source, allow_origins=("https://hands.example",)) as live:
        with live.open(origin="https://hands.example") as page:
            next_frame(page)
        assert fetch(live.url, Host="hands.example")[0] == 200


def test_a_server_for_everybody_takes_numbers_and_no_names():
    gate = Gate("0.0.0.0", 80, "t")
    allowed = [gate.refusal("/", {"Host": host}, secret=False, websocket=False) for host in ("192.168.0.3", "[::5]")]
    assert allowed == [None, None]
    assert gate.refusal("/", {"Host": "evil.example"}, secret=False, websocket=False) is not None
    assert gate.url == "http://127.0.0.1:80/?token=t"


def test_a_port_that_is_taken(live, camera):
    port = int(live.base.rpartition(":")[2])
    other = Running(Source("the fake camera", camera.open), ServerOptions(port=port))
    try:
        assert other.lines == [f"port {port} is taken; taking a free one"]
        assert other.base != live.base
        with other.open() as page:
            next_frame(page)
    finally:
        other.stop()


# Frames


def test_a_frame_carries_picture_hands_and_mesh(live):
    with live.open() as page:
        frame = next_frame(page)
    assert frame["size"] == [64, 48]
    picture = cv2.imdecode(np.frombuffer(frame["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    (hand,) = frame["hands"]
    assert (hand["side"], hand["id"]) == ("right", 7)
    assert hand["score"] == pytest.approx(picture.mean() / 255, abs=0.02)
    assert len(hand["angles"]) == 23
    assert hand["angles"][0] == pytest.approx(np.degrees(0.1), abs=0.01)
    expected = some_hand(picture, Camera.from_fov((64, 48), FindOptions().fov))
    np.testing.assert_allclose(frame["meshes"][0], expected.vertices_camera, atol=1e-6)
    np.testing.assert_allclose(hand["joints_image"], expected.joints_image, atol=0.01)


def test_two_pages_see_the_same_camera(live):
    with live.open() as one, live.open() as other:
        first, second = ([next_frame(page)["number"] for _ in range(5)] for page in (one, other))
    assert first == sorted(set(first))
    assert second == sorted(set(second))
    assert len(live.trackers) == 1
    assert live.trackers[0].times == sorted(set(live.trackers[0].times))


def test_a_page_that_does_not_answer_gets_one_frame_and_delays_nobody(live):
    with live.open() as slow, live.open() as quick:
        assert isinstance(slow.recv(timeout=20), bytes)
        numbers = [next_frame(quick)["number"] for _ in range(20)]
        with pytest.raises(TimeoutError):
            slow.recv(timeout=0.2)
        # What it gets when it answers is the newest, not the next.
        slow.send(json.dumps({"type": "shown"}))
        message = slow.recv(timeout=20)
        assert isinstance(message, bytes)
        assert read_frame_message(message)[0]["number"] >= numbers[-1]


def test_no_hands_are_looked_for_while_nobody_watches(live, camera):
    with live.open() as page:
        next_frame(page)
    time.sleep(0.3)
    looked, read = len(live.trackers[0].times), camera.reads
    time.sleep(0.3)
    assert len(live.trackers[0].times) <= looked + 1
    assert camera.reads > read + 5


def test_a_camera_that_is_unplugged_and_comes_back(live, camera):
    with live.open() as page:
        next_frame(page)
        camera.plugged = False
        while isinstance(message := page.recv(timeout=20), bytes):
            page.send(json.dumps({"type": "shown"}))
        text = "the fake camera gives no pictures any more; trying again every second"
        assert json.loads(message) == {"type": "status", "text": text}
        with live.open() as late:
            assert json.loads(late.recv(timeout=20))["text"] == text
        camera.plugged = True
        while isinstance(message := page.recv(timeout=20), bytes):
            page.send(json.dumps({"type": "shown"}))
        assert json.loads(message) == {"type": "status", "text": ""}
        next_frame(page)
    assert live.lines == [text, "the fake camera is back"]


def test_the_clock_and_words_that_are_none(live):
    with live.open("&camera=browser") as page:
        for words in ("no json", "[]", "1", '{"type":"clock"}', '{"type":"clock","page":"x"}', "[" * 100_000):
            page.send(words)
        page.send(json.dumps({"type": "clock", "page": 12.5}))
        answer = json.loads(page.recv(timeout=20))
    assert (answer["type"], answer["page"]) == ("clock", 12.5)
    assert answer["server"] == pytest.approx(time.monotonic() * 1000, abs=20_000)


def test_a_search_that_fails_ends_the_server(live):
    with live.open() as page:
        next_frame(page)
        live.trackers[0].error = RuntimeError("the network is broken")
        with pytest.raises(ConnectionClosed):
            [next_frame(page) for _ in range(1000)]
    live.wait()
    assert str(live.error) == "the network is broken"


# The browser's camera


def jpeg(level: int, size: tuple[int, int] = (64, 48)) -> bytes:
    return cv2.imencode(".jpg", np.full((size[1], size[0], 3), level, np.uint8))[1].tobytes()


def test_a_pages_own_frames_are_answered_in_order():
    levels = [20, 250, 0, 120, 60, 200]
    with serving(None) as live, live.open("&camera=browser") as page:
        for level in levels:
            page.send(jpeg(level))
        frames = [next_frame(page) for _ in levels]
    assert [frame["number"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    scores = [frame["hands"][0]["score"] if frame["hands"] else 0.0 for frame in frames]
    np.testing.assert_allclose(scores, np.array(levels) / 255, atol=0.02)
    assert not any(frame["jpeg"] for frame in frames)


def test_each_page_with_a_camera_has_a_tracker_of_its_own():
    with serving(None) as live, live.open("&camera=browser") as one, live.open("&camera=browser") as other:
        for page in (one, other, one):
            page.send(jpeg(50))
            next_frame(page)
        assert [len(tracker.times) for tracker in live.trackers] == [2, 1]


@pytest.mark.parametrize("picture", [b"", b"no picture", jpeg(9)[:200], jpeg(9, (6000, 4000))])
def test_a_picture_that_cannot_be_read_is_answered_and_the_next_one_works(picture):
    with serving(None) as live, live.open("&camera=browser") as page:
        page.send(picture)
        answer = json.loads(page.recv(timeout=20))
        assert answer["type"] == "error"
        assert answer["text"].startswith("a frame of the browser's camera ")
        page.send(jpeg(50))
        next_frame(page)


def test_messages_and_pages_are_bounded(live):
    with live.open("&camera=browser") as page:
        page.send(b"x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            page.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    with ExitStack() as pages:
        for _ in range(MAX_PAGES):
            pages.enter_context(live.open())
        with pytest.raises(ConnectionClosed, match="at most"):
            pages.enter_context(live.open())


# Sources


def write_video(path: Path, frames: int = 6, fps: float = 30.0, step: int = 40) -> Path:
    """A film that gets lighter by a step with every frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), step * i, np.uint8))
    writer.release()
    return path


def test_a_video_plays_at_its_own_speed_again_and_again(tmp_path):
    reader = VideoReader(write_video(tmp_path / "clip.avi"))
    began, levels = time.monotonic(), []
    for _ in range(13):
        image = reader.read()
        assert image is not None
        levels.append(round(float(image.mean()) / 40))
    assert 0.3 < time.monotonic() - began < 5
    assert levels[0] == 0
    assert max(levels) >= 4
    assert 0 in levels[3:]  # it began anew; a busy machine may have skipped frames
    reader.release()


def test_frames_are_skipped_where_reading_is_slow(tmp_path):
    reader = VideoReader(write_video(tmp_path / "clip.avi", 60, 100.0, 4))
    reader.read()
    time.sleep(0.035)
    image = reader.read()
    assert image is not None
    assert image.mean() > 9


def test_only_the_newest_frame_is_kept(camera):
    source = Source("the fake camera", camera.open)
    source.start(lambda text: None)
    first = source.newest(0, 20.0)
    time.sleep(0.1)
    assert first is not None
    later = source.newest(first.number, 20.0)
    assert later is not None
    assert later.number > first.number + 1
    assert later.time > first.time
    assert source.newest(10**9, 0.01) is None
    source.stop()


def test_large_pictures_are_shrunk_and_pictures_are_sources(tmp_path):
    cv2.imwrite(str(tmp_path / "large.png"), np.full((400, 4 * MAX_SIDE, 3), 9, np.uint8))
    source = open_source(str(tmp_path / "large.png"))
    source.start(lambda text: None)
    frame = source.newest(0, 20.0)
    source.stop()
    assert frame is not None
    assert frame.image.shape == (100, MAX_SIDE, 3)
    assert (source.name, source.mirrored) == ("large.png", False)


def test_the_names_of_streams_hide_passwords(tmp_path, capfd):
    assert main(["live", "--no-browser", f"file://me:secret@{tmp_path}/stream.mp4?key=secret"]) == 2
    error = capfd.readouterr().err
    assert f"file://{tmp_path}/stream.mp4 cannot be opened as a stream" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--camera", "97"], "camera 97 cannot be opened"),
        (["--camera", "front"], "--camera must be a number or 'browser'"),
        (["3"], "a camera is named with --camera 3"),
        (["no-such-file.mp4"], "no-such-file.mp4 must be an existing file, or a URL"),
        ([str(Path(__file__))], "must be a video or a picture"),
        (["--size", "640"], "--size must be like 640x480"),
        (["--max-hands", "0"], "max_hands must be at least 1"),
        (["--fov", "200"], "below 180 degrees"),
    ],
)
def test_a_source_that_is_not_there_is_one_line(arguments, message, capfd):
    assert main(["live", "--no-browser", *arguments]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_missing_extra_is_one_line(monkeypatch, capsys):
    gone = ("websockets", "knuckle.live.server")
    for name in [name for name in sys.modules if name.startswith(gone)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    assert main(["live"]) == 2
    assert capsys.readouterr().err == "knuckle: knuckle live requires websockets; `pip install 'knuckle[live]'`\n"


def test_a_frame_of_a_camera_with_another_view():
    frame = Frame(3, np.full((48, 64, 3), 100, np.uint8), 1.5)
    tracker = StubTracker()
    found = find_in_frame(tracker, frame, replace(FindOptions(), fov=0.5))
    header, _, _ = read_frame_message(found.message)
    assert (found.number, header["captured"], tracker.times) == (3, 1500.0, [1.5])


# The command, and the page in a browser


@contextmanager
def command(*arguments: str) -> Iterator[str]:
    """`knuckle live` in a process of its own; the page's address. It is ended as with Ctrl-C."""
    code = "from knuckle.cli import main; raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "live", "--no-browser", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http" in line, process.communicate()
        yield line[line.index("http") :].split()[0]
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error.strip()) == (0, "stopped")


def test_ctrl_c_ends_it_cleanly_with_a_page_open():
    with command(str(EXAMPLE)) as url:
        base, token = url.split("/?token=")
        with connect(f"{base.replace('http', 'ws')}/ws?token={token}", origin=base, max_size=None) as page:
            frame = next_frame(page)
            assert [hand["side"] for hand in frame["hands"]] == ["right"]
            assert frame["hands"][0]["id"] == 0


needs_browser = pytest.mark.skipif(
    chromium_path() is None, reason="takes Chromium; on Debian: apt-get install chromium"
)


def write_clip(path: Path) -> Path:
    """The repository's example, moved to and fro, as the film of a fake webcam: JPEGs one after the other."""
    image = cv2.copyMakeBorder(cv2.resize(cv2.imread(str(EXAMPLE)), (480, 480)), 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    shifts = np.rint(15 * np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False))).astype(int)
    path.write_bytes(b"".join(cv2.imencode(".jpg", np.roll(image, shift, axis=1))[1].tobytes() for shift in shifts))
    return path


@needs_browser
def test_the_page_shows_the_hand_that_the_browsers_camera_sees(tmp_path):
    clip = write_clip(tmp_path / "clip.mjpeg")
    with command("--camera", "browser") as url, browser(tmp_path / "profile", clip) as tab:
        tab.resize(1280, 800)
        tab.open(url)
        tab.wait_for("window.knuckle && knuckle.frames > 10 && knuckle.hands.length == 1")
        assert tab.value("knuckle.hands[0].side") == "right"
        assert tab.value("knuckle.fps > 0 && knuckle.delay > 0 && knuckle.delay < 20000")
        before = tab.value("knuckle.frames")
        tab.wait_for(f"knuckle.frames > {before} + 5")
        assert "Right hand" in tab.value("document.getElementById('cards').innerText")
        assert tab.value("document.querySelectorAll('.angle').length") == 23
        assert tab.value("document.getElementById('note').hidden")
        assert tab.value("document.getElementById('mirror').checked")


@needs_browser
def test_the_page_shows_the_source_in_3d_and_says_when_it_is_gone(tmp_path, camera):
    source = Source("the fake camera", camera.open, retry_seconds=0.05)
    with serving(source) as live, browser(tmp_path / "profile") as tab:
        tab.resize(1280, 800)
        tab.open(live.url)
        tab.wait_for("window.knuckle && knuckle.frames > 5")
        assert tab.value("document.getElementById('name').textContent") == "the fake camera"
        for width, height in ((1280, 800), (390, 844)):
            tab.resize(width, height)
            assert tab.value("document.documentElement.scrollWidth") <= width
        assert tab.value("document.getElementById('note').hidden")
        camera.plugged = False
        tab.wait_for("document.getElementById('note').innerText.startsWith('the fake camera gives no pictures')")
        camera.plugged = True
        tab.wait_for("document.getElementById('note').hidden")
        tab.wait_for("knuckle.hands.length == 1")
        assert share_of_blue(tab, tmp_path / "page.png") > 0.02
        # To the browser's own camera, which shows another picture, and back.
        for name, size in (("this browser's camera", [640, 480]), ("the fake camera", [64, 48])):
            tab.value("document.getElementById('camera').click()")
            tab.wait_for(f'document.getElementById("name").textContent == "{name}"')
            before = tab.value("knuckle.frames")
            tab.wait_for(f"knuckle.frames > {before} + 3 && String(knuckle.size) == '{size[0]},{size[1]}'")
        assert len(live.trackers) == 2
        live.stop()
        tab.wait_for("document.getElementById('note').innerText.startsWith('The connection to knuckle is lost')")


def share_of_blue(tab: Tab, path: Path) -> float:
    """Of the 3D view's pixels: the mesh of a right hand is blue, and nothing else there is."""
    tab.resize(1280, 800)
    tab.wait_for("document.documentElement.clientWidth == 1280")
    left, top, right, bottom = tab.value(
        "(b => [b.left, b.top, b.right, b.bottom])(document.getElementById('scene').getBoundingClientRect())"
    )
    time.sleep(0.5)  # a few frames in the new size
    tab.screenshot(path)
    image = cv2.imread(str(path))
    assert image is not None
    scene = image[round(top) : round(bottom) - 40, round(left) : round(right)].astype(int)
    return float((scene[..., 0] > scene[..., 2] + 50).mean())


def test_the_page_is_in_the_wheel(tmp_path):
    root = Path(__file__).parents[2]
    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    page = {f"knuckle/live/page/{path.name}" for path in (root / "src/knuckle/live/page").iterdir()}
    assert len(page) >= 6
    assert page <= names
