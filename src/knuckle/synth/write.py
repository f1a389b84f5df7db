"""Writes sets of pictures as WebDataset shards: with several processes, the same bytes whatever their number, and
resuming after the last complete shard."""

import hashlib
import io
import json
import multiprocessing
import signal
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.files import InputError, atomic_write, load_json, remove_leftovers
from knuckle.synth.generate import Generator, Picture, Settings

SHARD_IMAGES = 250
MANIFEST = "manifest.json"
FORMAT = "knuckle-synth-1"
_JPEG_QUALITY = 95
_MAX_WORKERS = 512


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
    out: Path,
    settings: Settings,
    images: int,
    workers: int = 1,
    shard_images: int = SHARD_IMAGES,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Writes pictures 0 .. images - 1 into out as shard-000000.tar, ... and a manifest.

    Complete shards are kept, so an interrupted call resumes when repeated, and a set can be extended.

    Args:
        out: the folder. settings: what to render. images: how many. workers: processes.
        shard_images: pictures per shard. progress: called every so often with the number of pictures done so far.

    Returns:
        The manifest.

    Raises:
        ValueError: out holds a set with other settings, or a number is out of range.
        ImportError, OSError: pictures cannot be rendered or written here.
        RuntimeError: a worker process was killed.
    """
    for name, number in (("images", images), ("workers", workers), ("shard_images", shard_images)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1 but got {number}")
    if workers > _MAX_WORKERS:
        raise ValueError(f"workers must be at most {_MAX_WORKERS} but got {workers}; as many as cores are the fastest")
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    plan = {"format": FORMAT, "settings": settings.for_manifest(), "shard_images": shard_images}
    known = _check_plan(out, plan)
    starts = range(0, images, shard_images)
    jobs = {f"shard-{i:06d}.tar": range(s, min(s + shard_images, images)) for i, s in enumerate(starts)}
    done = {name: known[name] for name in jobs if _is_complete(out / name, known.get(name), len(jobs[name]))}
    pending = {name: numbers for name, numbers in jobs.items() if name not in done}
    if not (out / MANIFEST).exists():
        _write_manifest(out, plan, known)
    report = progress or (lambda _: None)
    report(sum(len(jobs[name]) for name in done))
    if pending:
        for name, entry in _render_shards(out, settings, pending, workers, sum(len(jobs[n]) for n in done), report):
            done[name] = entry
            _write_manifest(out, plan, {**known, **done})
    return _write_manifest(out, plan, {**known, **done})


def _check_plan(out: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """The shards that the folder's manifest lists, by name."""
    path = out / MANIFEST
    if not path.exists():
        return {}
    manifest = load_json(path)
    if not isinstance(manifest, dict) or not all(_is_entry(shard) for shard in manifest.get("shards", [None])):
        raise InputError(f"{path} must be a manifest of `knuckle synth` but is another file; choose an empty folder")
    for key, value in plan.items():
        if manifest.get(key) != value:
            raise ValueError(
                f"{out} must hold pictures of the same {key} but was started with {manifest.get(key)}, not {value}; "
                "choose an empty folder"
            )
    return {shard["name"]: shard for shard in manifest["shards"]}


def _is_entry(shard: Any) -> bool:
    kinds = {"name": str, "images": int, "bytes": int, "sha256": str}
    return isinstance(shard, dict) and all(isinstance(shard.get(key), kind) for key, kind in kinds.items())


def _is_complete(path: Path, entry: dict[str, Any] | None, images: int) -> bool:
    """Whether a shard is the one that the manifest lists, byte by byte: a disk that was full keeps the size alone."""
    if entry is None or entry["images"] != images or not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    return _sha256(path) == entry["sha256"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(out: Path, plan: dict[str, Any], shards: dict[str, Any]) -> dict[str, Any]:
    listed = [shards[name] for name in sorted(shards)]
    manifest = {**plan, "images": sum(s["images"] for s in listed), "shards": listed}
    with atomic_write(out / MANIFEST) as path:
        path.write_text(json.dumps(manifest, indent=1))
    return manifest


def _render_shards(
    out: Path,
    settings: Settings,
    pending: dict[str, range],
    workers: int,
    before: int,
    report: Callable[[int], None],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Renders the pending shards and yields each one's entry of the manifest when it is complete."""
    context = multiprocessing.get_context("spawn")  # an OpenGL context must not be forked
    counter = context.Value("l", 0)
    jobs, results = context.SimpleQueue(), context.SimpleQueue()
    for name, numbers in pending.items():
        jobs.put((out / name, numbers))
    processes = [
        context.Process(target=_work, args=(settings, jobs, results, counter), daemon=True)
        for _ in range(min(workers, len(pending)))
    ]
    try:
        for process in processes:
            jobs.put(None)  # tells one worker to stop
            process.start()
        remaining = len(pending)
        while remaining:
            if results.empty():
                _check_alive(processes)
                time.sleep(0.1)
            else:
                name, entry = results.get()
                if isinstance(entry, Exception):
                    raise entry
                remaining -= 1
                yield name, entry
            report(before + counter.value)
    finally:
        # After an interrupt the unfinished shards have temporary names; they are rendered again next time.
        for process in processes:
            process.terminate()
            process.join()
        remove_leftovers(out)


def _check_alive(processes: list[Any]) -> None:
    failed = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
    if failed:
        raise RuntimeError(
            f"a worker must not end early but did, with status {failed[0]}; call again with fewer workers to resume"
        )


def _work(settings: Settings, jobs: Any, results: Any, counter: Any) -> None:
    """Body of a worker process: renders shards until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    cv2.setNumThreads(1)
    path = None
    try:
        generator = Generator(settings)
        while (job := jobs.get()) is not None:
            path, numbers = job
            with atomic_write(path) as part:
                digest = write_tar(part, _pictures(generator, numbers, counter))
            entry = {"name": path.name, "images": len(numbers), "bytes": path.stat().st_size, "sha256": digest}
            results.put((path.name, entry))
        generator.close()
    except (ImportError, RuntimeError, ValueError, OSError) as error:  # raised again in the parent
        results.put((path.name if path else "", error))


def _pictures(generator: Generator, numbers: range, counter: Any) -> Iterator[tuple[str, dict[str, bytes]]]:
    parent = multiprocessing.parent_process()
    for number in numbers:
        if parent is not None and not parent.is_alive():
            raise RuntimeError("the parent process must be alive but has ended; call again to resume")
        yield f"{number:08d}", encode(generator.picture(number))
        with counter.get_lock():
            counter.value += 1


def write_tar(path: Path, pictures: Iterator[tuple[str, dict[str, bytes]]]) -> str:
    """Writes pictures (name, files by ending) as an uncompressed tar whose bytes depend on nothing else.

    Returns:
        The file's SHA-256 in hexadecimal.
    """
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, files in pictures:
            for ending, data in files.items():
                member = tarfile.TarInfo(f"{name}.{ending}")
                member.size = len(data)
                member.mode = 0o644  # and no owner, no time: the same bytes on every machine and day
                tar.addfile(member, io.BytesIO(data))
    return _sha256(path)
