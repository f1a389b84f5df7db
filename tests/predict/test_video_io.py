"""Videos in and out: what is read of healthy and of broken files, and that players read what is written."""

import av
import numpy as np
import pytest
from films import RATE, SIZE, empty, film, frames_of, jpegs, picture, probe

from knuckle.export.mp4 import MAX_SIDE, fitted, mp4_writer
from knuckle.image.read import PictureError
from knuckle.image.video import DamagedVideo, open_video
from knuckle.view.labels import accent, draw_label

# Reading


def test_frames_come_with_their_own_times(tmp_path):
    ticks = [0, 40, 50, 130, 131, 400]
    with open_video(film(tmp_path / "a.mp4", 6, ticks=ticks)) as video:
        frames = list(video)
    np.testing.assert_allclose([frame.time for frame in frames], np.array(ticks) / 1000, atol=1e-3)
    assert all(frame.image.shape == (64, 96, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert [round(float(frame.image[50:, 50:, 1].mean()) / 8) for frame in frames] == list(range(6))
    assert video.expected == 6


def test_times_begin_where_the_file_begins(tmp_path):
    frames = frames_of(film(tmp_path / "late.ts", 6, ticks=[5000 + 40 * i for i in range(6)]))
    np.testing.assert_allclose([frame.time for frame in frames], 0.04 * np.arange(6), atol=2e-3)


def test_240_frames_a_second(tmp_path):
    with open_video(film(tmp_path / "fast.mp4", 20, fps=240)) as video:
        assert video.fps == 240
        np.testing.assert_allclose(np.diff([frame.time for frame in video]), 1 / 240, atol=1e-4)


@pytest.mark.parametrize(
    ("turn", "corner"),
    [
        ((0, False), (0, 0)),
        ((90, False), (-1, 0)),
        ((180, False), (-1, -1)),
        ((-90, False), (0, -1)),
        ((0, True), (0, -1)),
    ],
)
def test_pictures_are_turned_and_mirrored_as_the_header_says(tmp_path, turn, corner):
    image = frames_of(film(tmp_path / "turned.mp4", 3, turn=turn))[0].image
    assert image.shape == ((96, 64, 3) if turn[0] in (90, -90) else (64, 96, 3))
    assert image.flags.c_contiguous
    corners = {place: int(image[place][0]) for place in [(0, 0), (0, -1), (-1, 0), (-1, -1)]}
    assert max(corners, key=lambda place: corners[place]) == corner


def test_ten_bits_become_eight(tmp_path):
    path = film(tmp_path / "deep.mkv", 4, codec="libx265", pix_fmt="yuv420p10le")
    frames = frames_of(path)
    assert len(frames) == 4
    np.testing.assert_allclose(frames[2].image[50:, 50:].mean((0, 1)), [0, 16, 0], atol=4)


def test_times_that_do_not_increase_are_a_frame_after_the_last(tmp_path):
    times = [frame.time for frame in frames_of(jpegs(tmp_path / "stuck.mkv", [SIZE] * 5, [0, 0, 0, 200, 200]))]
    with open_video(tmp_path / "stuck.mkv") as video:
        period = 1 / video.fps
    np.testing.assert_allclose(times, [0, period, 2 * period, 0.2, 0.2 + period], atol=2e-3)


def test_a_file_without_its_index_is_read(tmp_path):
    path = film(tmp_path / "index.avi", 10, codec="mpeg4")
    data = path.read_bytes()
    assert b"idx1" in data
    path.write_bytes(data.replace(b"idx1", b"JUNK"))
    frames = frames_of(path)
    assert len(frames) == 10
    assert (np.diff([frame.time for frame in frames]) > 0).all()


def test_each_frame_keeps_its_size(tmp_path):
    sizes = [SIZE, SIZE, (64, 96), (160, 100)]
    frames = frames_of(jpegs(tmp_path / "sizes.mkv", sizes, [0, 33, 67, 100]))
    assert [frame.image.shape[1::-1] for frame in frames] == sizes


@pytest.mark.parametrize("name", ["cut.avi", "cut.mkv", "cut.mp4"])
def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path, name):
    path = tmp_path / name
    options = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for _ in range(20):
            noise = rng.integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    seen = []

    def read():
        with open_video(path) as video:
            seen.extend(frame.time for frame in video)

    with pytest.raises(DamagedVideo, match=r"is truncated after frame \d+"):
        read()
    assert 5 < len(seen) < 18


def test_a_damaged_frame_is_left_out(tmp_path):
    path = film(tmp_path / "scratched.mov", 8, codec="png", pix_fmt="rgb24")
    parts = path.read_bytes().split(b"\x89PNG")
    path.write_bytes(b"\x89PNG".join(parts[:4]) + b"\0\0\0\0" + b"\x89PNG".join(parts[4:]))
    seen = []
    with open_video(path) as video, pytest.raises(DamagedVideo, match="damaged in 1 places; 7 frames"):  # noqa: PT012
        for frame in video:
            seen.append(frame)
    assert len(seen) == 7


def only_sound(path):
    with av.open(str(path), "w") as container:
        tone = container.add_stream("aac", rate=RATE)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.int16), format="s16", layout="stereo")
        samples.sample_rate, samples.pts = RATE, 0
        container.mux(tone.encode(samples))
        container.mux(tone.encode(None))


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/part.ts\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("empty.mkv", empty, "has no frame"),
        ("sound.mp4", only_sound, "has no video stream"),
        ("zero.mp4", lambda path: path.write_bytes(b""), "cannot be opened as a video"),
        ("text.mp4", lambda path: path.write_bytes(b"not a video at all"), "cannot be opened as a video"),
        ("list.mp4", lambda path: path.write_text(PLAYLIST), "cannot be opened as a video"),
        ("none.mp4", lambda path: None, "cannot be opened as a video"),
    ],
)
def test_what_is_no_video_is_named_in_one_line(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(PictureError, match=message):
        frames_of(tmp_path / name)


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path):
    path = film(tmp_path / "a.mp4", 3)
    with pytest.raises(PictureError, match="at most 1000 pixels but got 96 x 64"), open_video(path, max_pixels=1000):
        pass
    grown = jpegs(tmp_path / "grown.mkv", [SIZE, SIZE, (640, 480)], [0, 33, 67])
    seen = []
    with open_video(grown, max_pixels=10_000) as video, pytest.raises(DamagedVideo):  # noqa: PT012
        for frame in video:
            seen.append(frame)
    assert len(seen) == 2


# Writing an overlay


@pytest.mark.parametrize(
    ("name", "codec", "sound", "written"),
    [("a.mp4", "libx264", "aac", "aac"), ("a.avi", "mpeg4", "pcm_s16le", "aac"), ("a.mkv", "libx264", "flac", "flac")],
)
def test_sound_and_times_are_those_of_the_source(tmp_path, name, codec, sound, written):
    path = film(tmp_path / name, 15, codec=codec, sound=sound)
    with open_video(path) as video, mp4_writer(tmp_path / "out.mp4", video.fps, path) as writer:
        for frame in video:
            writer.add(frame.image, frame.time)
    assert writer.sound_problem == ""
    found = probe(tmp_path / "out.mp4")
    assert (found["codec"], found["pix_fmt"], found["size"]) == ("h264", "yuv420p", SIZE)
    np.testing.assert_allclose(found["times"], np.arange(15) / 30, atol=1.1e-3)
    assert found["sound"] == written
    assert found["onset"] == pytest.approx(0.2, abs=0.01)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")  # browsers can begin before they have loaded all of it


def test_odd_sizes_and_other_sizes_fit():
    image = np.full((33, 65, 3), 200, np.uint8)
    assert (fitted(image, (66, 34)) == 200).all()
    beside = fitted(np.full((40, 20, 3), 200, np.uint8), (80, 40))
    assert (beside[:, 30:50] == 200).all()
    assert beside.sum() == 200 * 20 * 40 * 3
    assert fitted(np.full((400, 2, 3), 9, np.uint8), (64, 64)).shape == (64, 64, 3)


def test_an_overlay_is_no_larger_than_players_take(tmp_path):
    with mp4_writer(tmp_path / "wide.mp4", 30.0) as writer:
        writer.add(np.zeros((33, MAX_SIDE + 500, 3), np.uint8), 0.0)
    assert probe(tmp_path / "wide.mp4")["size"] == (MAX_SIDE, 30)
    with pytest.raises(ValueError, match="must have a frame"), mp4_writer(tmp_path / "none.mp4", 30.0):
        pass
    assert not (tmp_path / "none.mp4").exists()


def test_labels_are_in_the_picture_and_their_colours_differ():
    image = np.zeros((60, 80, 3), np.uint8)
    for box in ([10.0, 20, 40, 50], [-900.0, -900, 1e9, 900], [70.0, 55, 79, 59]):
        drawn = draw_label(image, np.array(box), "0 left 0.98", accent(0))
        assert (drawn == accent(0)).all(axis=-1).sum() > 50
    assert not image.any()
    colors = np.array([accent(i) for i in range(5)], float)
    assert min(np.linalg.norm(a - b) for i, a in enumerate(colors) for b in colors[:i]) > 80


def test_sound_that_cannot_be_read_is_reported(tmp_path):
    with mp4_writer(tmp_path / "out.mp4", 30.0, tmp_path / "gone.mp4") as writer:
        writer.add(picture(), 0.0)
    assert "its sound cannot be copied" in writer.sound_problem
    assert len(probe(tmp_path / "out.mp4")["times"]) == 1
