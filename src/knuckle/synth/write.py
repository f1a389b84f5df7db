"""Writes sets of pictures as WebDataset shards: with any number of processes or machines, the same bytes whatever their
number, and resuming after the last complete shard."""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import cv2
import numpy as np

from knuckle.files import Folder, InputError, open_folder, parse_json
from knuckle.synth.generate import Generator as PictureGenerator
from knuckle.synth.generate import Picture, Settings
from knuckle.workers import Work, Workers, map_parts

SHARD_IMAGES = 250
MANIFEST = "manifest.json"
FORMAT = "knuckle-synth-1"
_JPEG_QUALITY = 95
_MANIFEST_SHARE = 0.05  # of the time may go into writing manifests between shards, which takes long to a remote place


def encode(picture: Picture) -> dict[str, bytes]:
    """The files of one picture by their endings: jpg, visible.png, complete.png, json."""
    return {
        "jpg": _encoded(".jpg", picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]),
        "visible.png": _encoded(".png", picture.visible, [cv2.IMWRITE_PNG_COMPRESSION, 3]),
        "complete.png": _encoded(".png", picture.complete, [cv2.IMWRITE_PNG_COMPRESSION, 3]),
        "json": json.dumps(picture.label, separators=(",", ":")).encode(),
    }


def _encoded(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of shape {pixels.shape} as {suffix}")
    return data.tobytes()


def write_shards(
    out: str | os.PathLike[str],
    settings: Settings,
    images: int,
    workers: int | Workers = 1,
    shard_images: int = SHARD_IMAGES,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Writes pictures 0 .. images - 1 into out as shard-000000.tar, ... and a manifest.

    Complete shards are kept, so an interrupted call resumes when repeated, and a set can be extended. Workers send
    their shards to this process, which writes them: no other one needs to reach `out`.

    Args:
        out: the folder, or the URL of one (see knuckle.files.open_folder). settings: what to render. images: how many.
        workers: processes, or who else renders. shard_images: pictures per shard.
        progress: called every so often with the number of pictures done so far.

    Returns:
        The manifest.

    Raises:
        ValueError: out holds a set with other settings, a number is out of range, or a background is unreadable.
        ImportError, OSError: pictures cannot be rendered or written here.
        ChildProcessError: several workers died of the same shard.
    """
    for name, number in (("images", images), ("shard_images", shard_images)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1 but got {number}")
    if not isinstance(workers, Workers):
        if workers < 1:
            raise ValueError(f"workers must be at least 1 but got {workers}")
        workers = Workers(workers)
    described = settings.for_manifest()
    folder = open_folder(out)
    folder.prepare()
    manifest = _Manifest(folder, {"format": FORMAT, "settings": described, "shard_images": shard_images})
    starts = range(0, images, shard_images)
    jobs = {f"shard-{i:06d}.tar": range(s, min(s + shard_images, images)) for i, s in enumerate(starts)}
    done = {name: len(numbers) for name, numbers in jobs.items() if manifest.has(name, len(numbers))}
    pending = [name for name in jobs if name not in done]

    def report(part: int, rendered: int) -> None:
        done[pending[part]] = rendered
        if progress is not None:
            progress(sum(done.values()))

    if progress is not None:
        progress(sum(done.values()))
    shards = map_parts(partial(_open_renderer, settings, described), [jobs[name] for name in pending], workers, report)
    try:
        for part, tar in shards:
            name = pending[part]
            folder.write(name, tar)
            manifest.add(name, len(jobs[name]), tar)
            report(part, len(jobs[name]))
    finally:  # Ctrl-C, a full disk: what is complete is listed, and found again next time
        shards.close()
        folder.tidy()
        manifest.write()
    return manifest.content()


class _Manifest:
    """The manifest of a folder: what was to be drawn, and which shards are complete.

    Raises:
        InputError: the folder's manifest is another kind of file.
        ValueError: it is of another set.
    """

    def __init__(self, folder: Folder, plan: dict[str, Any]) -> None:
        self._folder, self._plan = folder, plan
        self._shards = _check_plan(folder, plan)
        self._written: dict[str, Any] | None = self.content() if self._shards else None
        self._next = 0.0  # time to write it again

    def has(self, name: str, images: int) -> bool:
        """Whether the folder holds this shard as it is listed."""
        entry = self._shards.get(name)
        if entry is None or entry["images"] != images:
            return False
        return self._folder.holds(name, entry["bytes"], entry["sha256"])

    def add(self, name: str, images: int, tar: bytes) -> None:
        """Lists a shard that is in the folder."""
        entry = {"name": name, "images": images, "bytes": len(tar), "sha256": hashlib.sha256(tar).hexdigest()}
        self._shards[name] = entry
        if time.monotonic() >= self._next:
            self.write()

    def content(self) -> dict[str, Any]:
        listed = [self._shards[name] for name in sorted(self._shards)]
        return {**self._plan, "images": sum(s["images"] for s in listed), "shards": listed}

    def write(self) -> None:
        """Writes it, unless it is there as it is, or lists nothing."""
        content = self.content()
        if not self._shards or content == self._written:
            return
        began = time.monotonic()
        self._folder.write(MANIFEST, json.dumps(content, indent=1).encode())
        self._written = content
        self._next = time.monotonic() + (time.monotonic() - began) / _MANIFEST_SHARE


def _check_plan(folder: Folder, plan: dict[str, Any]) -> dict[str, Any]:
    """The shards that the folder's manifest lists, by name."""
    data = folder.read(MANIFEST)
    if data is None:
        return {}
    manifest = parse_json(data, f"{folder}/{MANIFEST}")
    shards = manifest.get("shards") if isinstance(manifest, dict) else None
    if not isinstance(shards, list) or not all(_is_entry(shard) for shard in shards):
        raise InputError(
            f"{folder}/{MANIFEST} must be a manifest of `knuckle synth` but is another file; choose an empty folder"
        )
    for key, value in plan.items():
        if manifest.get(key) != value:
            raise ValueError(
                f"{folder} must hold pictures of the same {key} but was started with {manifest.get(key)}, not {value}; "
                "choose an empty folder"
            )
    return {shard["name"]: shard for shard in shards}


def _is_entry(shard: Any) -> bool:
    kinds = {"name": str, "images": int, "bytes": int, "sha256": str}
    return isinstance(shard, dict) and all(isinstance(shard.get(key), kind) for key, kind in kinds.items())


def _open_renderer(settings: Settings, described: dict[str, Any]) -> Work:
    """A worker's own renderer.

    Raises:
        ValueError: its backgrounds are not those of the machine that the command runs on, or cannot be read.
        ImportError, OSError: nothing can be rendered there.
    """
    cv2.setNumThreads(1)
    if settings.for_manifest() != described:
        raise ValueError("backgrounds and hdri must be the same files on all machines but are not; use a shared folder")
    return partial(_shard, PictureGenerator(settings))


def _shard(generator: PictureGenerator, numbers: range) -> Generator[int, None, bytes]:
    """The pictures as an uncompressed tar whose bytes depend on nothing else."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for done, number in enumerate(numbers, start=1):
            for ending, content in encode(generator.picture(number)).items():
                member = tarfile.TarInfo(f"{number:08d}.{ending}")
                member.size = len(content)
                member.mode = 0o644  # and no owner, no time: the same bytes on every machine and day
                tar.addfile(member, io.BytesIO(content))
            yield done
    return data.getvalue()
