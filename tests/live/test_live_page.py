"""`knuckle live` as a command, and its page in a real browser."""

import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from headless import Tab, browser, chromium_path
from stub_live import EXAMPLE, FakeCamera, next_frame, serving
from websockets.sync.client import connect

from knuckle.cli import main
from knuckle.live.sources import Source


@pytest.fixture
def camera():
    return FakeCamera()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--camera", "97"], "camera 97 cannot be opened"),
        (["--camera", "front"], "--camera must be a number or 'browser'"),
        (["3"], "a camera is named with --camera 3"),
        (["no-such-file.mp4"], "no-such-file.mp4 must be an existing file, or a URL"),
        ([str(Path(__file__))], "must be a video or a picture"),
        (["--size", "640"], "--size must be like 640x480"),
        (["--max-hands", "0"], "--max-hands must be at least 1"),
        (["--fov", "200"], "--fov must be between 0 and 180 degrees"),
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
