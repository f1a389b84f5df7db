"""Where live frames come from."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from stub_live import FakeCamera

from knuckle.cli import main
from knuckle.live.sources import MAX_SIDE, Source, VideoReader, open_source


@pytest.fixture
def camera():
    return FakeCamera()


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
