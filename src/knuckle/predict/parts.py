"""Predicting files in parts: in this process, in several, or on the machines of a Ray cluster.

An interrupted run keeps a note of every part that is done, beside the results; the same call then goes on from there.
"""

import json
import platform
import secrets
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from knuckle.files import parse_json, read_bytes, remove_leftovers
from knuckle.fit.to_mano import ManoFitter
from knuckle.predict.network import Device
from knuckle.predict.output import Target
from knuckle.predict.predictor import Predictor
from knuckle.predict.run import OnFrame, RunOptions, RunSummary, mano_fitters, predict_file
from knuckle.predict.sources import SHARDS, VIDEOS, expand, stems
from knuckle.version import __version__
from knuckle.workers import KeptParts, OpenWork, Work, Workers, digest, map_parts

KEPT = ".unfinished-parts"  # a folder in that of the results, while the run lasts
_PICTURES = 16  # of a part: an eighth of a second's work; a video or a shard is a part by itself

# The files of a part, each with the name of its results.
Part: TypeAlias = tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class PredictorRecipe:
    """What another process, or another machine, opens the same predictor from.

    Attributes:
        hand: content of the hand network's ONNX file; other machines need not have it.
        threads, device, shape: see `Predictor`.
        objects: content of the file of a network of held objects, if there is one.
    """

    hand: bytes
    threads: int = 2
    device: Device = "cpu"
    shape: np.ndarray | None = None
    objects: bytes | None = None

    def open(self) -> Predictor:
        """The predictor."""
        with tempfile.TemporaryDirectory(prefix="knuckle-") as folder:
            hand, objects = Path(folder) / "hand.onnx", Path(folder) / "objects.onnx"
            hand.write_bytes(self.hand)
            objects.write_bytes(self.objects or b"")
            held = None if self.objects is None else objects
            return Predictor(hand=hand, objects=held, threads=self.threads, device=self.device, shape=self.shape)

    def key(self) -> str:
        """Another one for predictors with other results."""
        shape = None if self.shape is None else self.shape.tolist()
        return digest(self.hand, self.objects or b"", [__version__, self.threads, self.device, shape])


def predict_sources(
    predictor: Predictor,
    recipe: PredictorRecipe,
    sources: Sequence[str],
    out: Path,
    options: RunOptions,
    workers: Workers | None = None,
    on_start: Callable[[int], None] = lambda count: None,
    on_file: Callable[[int], None] = lambda done: None,
    on_frame: OnFrame = lambda path, done, expected: None,
) -> RunSummary:
    """Like predict_files, for files, folders, patterns and videos; a source that matches no file is a problem.

    Parts of a run that was interrupted are not done again, if neither their files nor the arguments have changed.

    Args:
        predictor: finds the hands where this process does the work.
        recipe: of the same predictor, for other processes.
        sources: as typed. Workers on other machines find them, and `out`, under the same paths.
        out: the folder for results.
        options: what to write.
        workers: who does it; this process if None.
        on_start: called with the number of files.
        on_file: called every so often with the number of files that are done.
        on_frame: called after each frame of a video, where this process does the work.

    Raises:
        OSError: the disk is full, or another machine does not see `out`.
        ImportError, ChildProcessError: as of `map_parts`.
    """
    workers = workers or Workers(0)
    # Once, here, where the files are; workers get what was made of them.
    fitters = mano_fitters(options, predictor.model)
    files, problems = expand(list(sources))
    on_start(len(files))
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    parts = _parts_of(files)
    names = [digest(recipe.key(), _described(options), _about(part)) for part in parts]
    kept = KeptParts(out / KEPT)
    summaries = {number: found for number, name in enumerate(names) if (found := kept.load(name)) is not None}
    done = {number: len(parts[number]) for number in summaries}
    pending = [number for number in range(len(parts)) if number not in summaries]

    def report(number: int, files_done: int) -> None:
        done[pending[number]] = files_done
        on_file(sum(done.values()))

    probe = f"probe-{secrets.token_hex(6)}"
    try:
        if workers.here:
            open_work: OpenWork = partial(partial, _predict_part, predictor, out, options, fitters, on_frame)
        else:
            kept.save(probe, b"")
            open_work = partial(_open, recipe, out.absolute(), probe, options, fitters)
        results = map_parts(open_work, [parts[number] for number in pending], workers, report)
        with closing(results):
            for number, result in results:
                summaries[pending[number]] = result
                # What went wrong may go right next time. Of a single part there is nothing to go on from.
                if len(parts) > 1 and not parse_json(result, KEPT)["problems"]:
                    kept.save(names[pending[number]], result)
                report(number, len(parts[pending[number]]))
    finally:
        kept.remove(probe)
        for folder in [out, *(out / stem for part in parts for path, stem in part if path.suffix.lower() in SHARDS)]:
            remove_leftovers(folder)
    kept.clear()
    summary = RunSummary(problems=problems)
    for number in range(len(parts)):
        summary.add(_unpacked(summaries[number], predictor, out, options))
    return summary


def _parts_of(files: Sequence[Path]) -> list[Part]:
    """Pictures in groups, each video and each shard alone."""
    parts: list[list[tuple[Path, str]]] = []
    full = True
    for path, stem in zip(files, stems(list(files)), strict=True):
        alone = path.suffix.lower() in VIDEOS | SHARDS
        if full or alone:
            parts.append([])
        parts[-1].append((path, stem))
        full = alone or len(parts[-1]) == _PICTURES
    return [tuple(part) for part in parts]


def _about(part: Part) -> list[Any]:
    """All that tells a part's files from others of the same names."""
    found = []
    for path, stem in part:
        try:
            about = path.stat()
            found.append([str(path.absolute()), stem, about.st_size, about.st_mtime_ns])
        except OSError:  # reported when it is read
            found.append([str(path.absolute()), stem, None, None])
    return found


def _described(options: RunOptions) -> list[Any]:
    K = None if options.K is None else options.K.tolist()
    mano = [digest(read_bytes(file)) for file in options.mano]
    return [sorted(options.save), K, options.fov, options.max_hands, options.overlay, mano]


def _open(recipe: PredictorRecipe, out: Path, probe: str, options: RunOptions, fitters: Sequence[ManoFitter]) -> Work:
    """A worker's own predictor.

    Raises:
        FileNotFoundError: it is on a machine that has another folder under this name, or none.
    """
    if KeptParts(out / KEPT).load(probe) is None:
        raise FileNotFoundError(
            f"{out} must be one folder on all machines but is not there on {platform.node()}; use a shared folder"
        )
    cv2.setNumThreads(recipe.threads)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return partial(_predict_part, recipe.open(), out, options, fitters, lambda path, done, expected: None)


def _predict_part(
    predictor: Predictor,
    out: Path,
    options: RunOptions,
    fitters: Sequence[ManoFitter],
    on_frame: OnFrame,
    part: Part,
) -> Generator[int, None, bytes]:
    """Predicts the files of a part; returns its summary as JSON."""
    summary = RunSummary()
    for done, (path, stem) in enumerate(part, start=1):
        target = Target(out / stem, predictor.model, options.overlay, fitters)
        summary.add(predict_file(predictor, path, target, options, on_frame))
        yield done
    packed = {name: getattr(summary, name) for name in ("pictures", "hands", "problems", "empty")}
    return json.dumps(packed | {"written": [target.out.name for target in summary.targets]}).encode()


def _unpacked(data: bytes, predictor: Predictor, out: Path, options: RunOptions) -> RunSummary:
    packed = parse_json(data, KEPT)
    targets = [Target(out / stem, predictor.model, options.overlay) for stem in packed["written"]]
    return RunSummary(packed["pictures"], packed["hands"], packed["problems"], targets, packed["empty"])
