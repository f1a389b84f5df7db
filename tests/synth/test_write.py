"""Sets of pictures on disk: the same bytes from any number of workers, resumed after the last complete shard."""

import json
import resource
import shutil
import tarfile
from contextlib import contextmanager

import cv2
import fsspec
import numpy as np
import pytest

from knuckle.cli import main
from knuckle.files import InputError, atomic_write
from knuckle.synth import Settings, write_shards

SETTINGS = Settings(preset="crop", size=64, seed=5)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("set")
    return out, write_shards(out, SETTINGS, images=14, workers=1, shard_images=4)


def _bytes(out):
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tar"))}


@pytest.mark.egl
def test_manifest_and_members(written):
    out, manifest = written
    assert json.loads((out / "manifest.json").read_text()) == manifest
    assert manifest["images"] == 14
    assert [shard["images"] for shard in manifest["shards"]] == [4, 4, 4, 2]
    with tarfile.open(out / "shard-000003.tar") as tar:
        names = tar.getnames()
        assert names == [f"0000001{i}.{e}" for i in "23" for e in ("jpg", "visible.png", "complete.png", "json")]
        assert {(m.mtime, m.uid, m.mode) for m in tar} == {(0, 0, 0o644)}
        picture = cv2.imdecode(np.frombuffer(tar.extractfile(names[0]).read(), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (64, 64, 3)


@pytest.mark.egl
def test_bytes_do_not_depend_on_workers_and_an_interrupted_run_resumes(written, tmp_path):
    out, manifest = written
    # As a killed run leaves it: one complete shard, one truncated, the others missing, and a manifest of the first two.
    whole = (out / "shard-000000.tar").read_bytes()
    (tmp_path / "shard-000000.tar").write_bytes(whole)
    (tmp_path / "shard-000001.tar").write_bytes((out / "shard-000001.tar").read_bytes()[:1000])
    begun = {**manifest, "images": 8, "shards": manifest["shards"][:2]}
    (tmp_path / "manifest.json").write_text(json.dumps(begun))
    kept = (tmp_path / "shard-000000.tar").stat().st_mtime_ns
    seen = []
    again = write_shards(tmp_path, SETTINGS, images=14, workers=2, shard_images=4, progress=seen.append)
    assert again == manifest
    assert _bytes(tmp_path) == _bytes(out)
    assert (tmp_path / "shard-000000.tar").stat().st_mtime_ns == kept
    assert seen[0] == 4
    assert seen == sorted(seen)
    assert seen[-1] == 14


@pytest.mark.egl
def test_other_settings_are_refused(written):
    out, _ = written
    with pytest.raises(ValueError, match="choose an empty folder"):
        write_shards(out, Settings(preset="crop", size=64, seed=6), images=14, shard_images=4)


@pytest.mark.parametrize("wrong", [{"images": 0}, {"images": 1, "workers": 0}, {"images": 1, "shard_images": 0}])
def test_counts_are_checked(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        write_shards(tmp_path, SETTINGS, **wrong)


@pytest.mark.egl
def test_a_shard_is_held_against_its_sha256(written, tmp_path):
    """A disk that was full, or failed, can leave a file of the right size with other bytes."""
    out, manifest = written
    for path in out.iterdir():
        shutil.copy(path, tmp_path / path.name)
    damaged = tmp_path / "shard-000001.tar"
    data = damaged.read_bytes()
    damaged.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    # What another run is writing stays; what a killed one has left goes.
    with atomic_write(tmp_path / "shard-000007.tar") as theirs:
        assert write_shards(tmp_path, SETTINGS, images=14, shard_images=4) == manifest
        assert theirs.exists()
    (tmp_path / "shard-000007.tar").unlink()
    assert _bytes(tmp_path) == _bytes(out)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "text",
    ["[]", '{"shards": 5}', '{"shards": null}', '{"shards": [1]}', '{"shards": [{"name": "a"}]}', "{", "[" * 500],
)
def test_a_manifest_that_is_none_is_a_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json must be"):
        write_shards(tmp_path, SETTINGS, images=4)


@contextmanager
def largest_file(size):
    """Files that this process writes may have so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.egl
def test_a_full_disk_is_a_line_and_the_same_call_goes_on(written, tmp_path, capsys):
    out, manifest = written
    (tmp_path / "a").mkdir()
    shutil.copy(out / "shard-000000.tar", tmp_path / "a")
    begun = {**manifest, "images": 4, "shards": manifest["shards"][:1]}
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(begun))
    with largest_file(4096), pytest.raises(OSError, match="File too large") as caught:
        write_shards(tmp_path / "a", SETTINGS, images=14, workers=2, shard_images=4)
    assert str(caught.value.filename).startswith(str(tmp_path / "a" / "shard-00000"))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["manifest.json", "shard-000000.tar"]
    assert write_shards(tmp_path / "a", SETTINGS, images=14, workers=2, shard_images=4) == manifest
    assert _bytes(tmp_path / "a") == _bytes(out)
    with largest_file(4096):
        assert main(["synth", str(tmp_path / "b"), "-n", "3", "--size", "64", "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error == f"knuckle: {tmp_path}/b/shard-000000.tar: File too large\n"
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.egl
def test_an_interrupt_keeps_whole_shards_and_their_list(written, tmp_path):
    out, manifest = written

    def interrupt(done):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, SETTINGS, images=14, shard_images=4, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "shard-000000.tar", "shard-000001.tar"]
    assert json.loads((tmp_path / "manifest.json").read_text())["shards"] == manifest["shards"][:2]
    seen = []
    assert write_shards(tmp_path, SETTINGS, images=14, shard_images=4, progress=seen.append) == manifest
    assert seen[0] == 8
    assert _bytes(tmp_path) == _bytes(out)


@pytest.mark.egl
def test_a_set_is_written_to_and_extended_in_a_place_of_fsspec(written):
    out, manifest = written
    files = fsspec.filesystem("memory")
    write_shards("memory://bucket/pictures", SETTINGS, images=8, shard_images=4)
    seen = []
    assert write_shards("memory://bucket/pictures", SETTINGS, 14, 2, 4, seen.append) == manifest
    assert seen[0] == 8
    assert json.loads(files.cat_file("/bucket/pictures/manifest.json")) == manifest
    assert {path.rpartition("/")[2]: files.cat_file(path) for path in files.glob("/bucket/pictures/*.tar")} == _bytes(
        out
    )
    with pytest.raises(ValueError, match="memory://bucket/pictures must hold pictures of the same settings"):
        write_shards("memory://bucket/pictures", Settings(preset="crop", size=64, seed=6), images=14, shard_images=4)


def test_without_opengl_there_is_a_line_and_no_file(tmp_path, capsys, monkeypatch):
    # As where the libraries are installed but no driver: workers inherit it.
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
    assert main(["synth", str(tmp_path / "out"), "-n", "3", "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("knuckle: OpenGL could not be started")
    assert error.endswith("apt-get install libegl1 libgl1 libgl1-mesa-dri\n")
    assert error.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("damaged", [b"no picture", b""])
def test_a_background_that_cannot_be_read_is_named(tmp_path, capsys, damaged):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(damaged)
    arguments = ["--backgrounds", str(tmp_path / "photos"), "--workers", "1"]
    assert main(["synth", str(tmp_path / "out"), "-n", "3", *arguments]) == 2
    error = capsys.readouterr().err
    assert f"backgrounds must be pictures but {tmp_path}/photos/a.jpg is none" in error
    assert error.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_target_that_is_no_folder_is_a_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["synth", str(tmp_path / "file" / "out"), "-n", "3"]) == 2
    assert capsys.readouterr().err == f"knuckle: {tmp_path}/file/out: Not a directory\n"
