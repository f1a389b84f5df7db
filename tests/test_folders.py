"""Folders to write into, here and on fsspec's file systems: files are whole or not there."""

import builtins
import hashlib

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from knuckle.files import InputError, is_url, open_folder


class PlainDisk(LocalFileSystem):
    """A file system whose half-written files are seen, with room for so many bytes in a file."""

    protocol = "plaindisk"
    room = 1000

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("plaindisk://"))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        with self.open(path, "wb") as file:
            file.write(value[: self.room])
            if len(value) > self.room:
                raise OSError(28, "No space left on device")


@pytest.fixture(params=["path", "file", "memory", "plaindisk"])
def place(request, tmp_path):
    fsspec.register_implementation("plaindisk", PlainDisk, clobber=True)
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    kinds = {
        "path": tmp_path / "set",
        "file": f"file://{tmp_path}/set",
        "memory": "memory://bucket/set",
        "plaindisk": f"plaindisk://{tmp_path}/set",
    }
    return kinds[request.param]


def test_a_file_is_written_read_and_replaced(place):
    folder = open_folder(place)
    folder.prepare()
    assert folder.read("manifest.json") is None
    for data in (b"{}", b"{1}"):
        folder.write("manifest.json", data)
        assert open_folder(place).read("manifest.json") == data
    assert folder.holds("manifest.json", 3, hashlib.sha256(b"{1}").hexdigest())
    assert not folder.holds("manifest.json", 2, "")
    assert not folder.holds("other", 2, "")
    folder.tidy()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    fsspec.register_implementation("plaindisk", PlainDisk, clobber=True)
    folder = open_folder(f"plaindisk://{tmp_path}/set")
    folder.prepare()
    folder.write("shard.tar", b"old")
    with pytest.raises(OSError, match=r"set/shard\.tar could not be written \(.*No space left on device\); check"):
        folder.write("shard.tar", bytes(2000))
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["shard.tar"]
    assert (tmp_path / "set" / "shard.tar").read_bytes() == b"old"


def test_which_places_are_urls():
    assert all(map(is_url, ["s3://bucket/a", "memory://a", "simplecache::s3://bucket/a"]))
    assert not any(map(is_url, ["a/b", "/a", "C:/a", "a:b", "file:///a"]))


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(ValueError, match="nope://a must be a path, or a URL that fsspec knows"):
        open_folder("nope://a")
    imported = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] in ("fsspec", "s3fs"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs fsspec; install it with `pip install \'knuckle\[remote\]\'`"):
        open_folder("s3://bucket/a")
    monkeypatch.undo()
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (_ for _ in ()).throw(ImportError("Install s3fs")))
    with pytest.raises(ImportError, match="s3://bucket/a needs another package: Install s3fs"):
        open_folder("s3://bucket/a")


def test_a_manifest_of_too_many_bytes_is_refused(monkeypatch):
    monkeypatch.setattr("knuckle.files.folders.MAX_BYTES", 10)
    folder = open_folder("memory://large")
    folder.write("manifest.json", bytes(11))
    with pytest.raises(InputError, match="must be at most 10 bytes but has 11"):
        folder.read("manifest.json")
