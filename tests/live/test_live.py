"""The live page's server with stubs for the camera and the networks: who is let in, and what they are sent."""

import json
import re
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_live import FakeCamera, Running, StubTracker, fetch, next_frame, serving, some_hand
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from knuckle.camera import Camera
from knuckle.live.access import Gate
from knuckle.live.messages import read_frame_message
from knuckle.live.server import MAX_MESSAGE_BYTES, MAX_PAGES, ServerOptions
from knuckle.live.sources import Frame, Source
from knuckle.live.stream import FindOptions, find_in_frame


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


def test_a_frame_of_a_camera_with_another_view():
    frame = Frame(3, np.full((48, 64, 3), 100, np.uint8), 1.5)
    tracker = StubTracker()
    found = find_in_frame(tracker, frame, replace(FindOptions(), fov=0.5))
    header, _, _ = read_frame_message(found.message)
    assert (found.number, header["captured"], tracker.times) == (3, 1500.0, [1.5])
