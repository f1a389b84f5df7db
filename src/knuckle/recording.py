"""Recorded hands with what files say of them: side, track, time; all that `knuckle predict` writes is read."""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.files import InputError, load_json, load_npz, number_array, parse_json, read_text
from knuckle.posefile import read_poses
from knuckle.skeleton import JOINT_NAMES

_COLUMNS = tuple(f"{joint}_{axis}" for joint in JOINT_NAMES for axis in "xyz")
# Files of `knuckle predict` without joints in space; what to give instead.
_OTHERS = {
    ".coco.json": "holds joints in the picture only",
    ".glb": "is a mesh",
    ".bvh": "is a skeleton's motion",
    ".rrd": "is for the Rerun viewer",
}


@dataclass(frozen=True, eq=False)
class Recording:
    """N recorded hands, in the order of the file.

    Attributes:
        joints: (N, 21, 3) in the file's unit and order.
        left: (N,) true for left hands; None where the file does not say.
        track: (N,) ids of tracks in a video; None where there are none.
        time: (N,) seconds; None where there are none.
    """

    joints: Float[np.ndarray, "N 21 3"]
    left: Bool[np.ndarray, " N"] | None = None
    track: Int[np.ndarray, " N"] | None = None
    time: Float[np.ndarray, " N"] | None = None

    def __len__(self) -> int:
        return len(self.joints)

    def fps(self, otherwise: float) -> float:
        """Usual rate of the frames; `otherwise` where there are no times, or none after the other."""
        if self.time is None or len(self.time) < 2 or not self.time[-1] > self.time[0]:
            return otherwise
        # Frames without the hand count as well: the usual step between two frames.
        step = float(np.median(np.diff(self.time)))
        return 1.0 / step if 0 < step < math.inf else otherwise

    def of_one_side(self, side: Literal["left", "right"] | None) -> "tuple[Recording, Literal['left', 'right']]":
        """The hands of one side, and which it is.

        Args:
            side: the wanted one; None for the file's own, and right where the file does not say.

        Raises:
            ValueError: the file has hands of both sides and none is wanted, or none of the wanted side.
        """
        if self.left is None:
            return self, side or "right"
        if side is None:
            if self.left.any() and not self.left.all():
                count = int(self.left.sum())
                raise ValueError(f"has {len(self) - count} right hands and {count} left ones; choose with --side")
            side = "left" if self.left.any() else "right"
        chosen = self.left == (side == "left")
        if not chosen.any():
            raise ValueError(f"has no {side} hands; leave --side out, or give another file")
        return self._only(chosen), side

    def of_one_track(self, track: int | None) -> "Recording":
        """The hands of one track.

        Args:
            track: its id; None where there is only one.

        Raises:
            ValueError: there are several and none is wanted, or none of that id.
        """
        if self.track is None:
            if track is not None:
                raise ValueError(f"has no tracks but --id is {track}; leave it out")
            return self
        ids, counts = np.unique(self.track, return_counts=True)
        if track is None and len(ids) > 1:
            found = ", ".join(f"{number} ({count} frames)" for number, count in zip(ids, counts, strict=True))
            raise ValueError(f"has the tracks {found}; choose one with --id")
        if track is not None and track not in ids:
            raise ValueError(f"has the tracks {', '.join(map(str, ids))} but --id is {track}")
        return self._only(self.track == (ids[0] if track is None else track))

    def _only(self, chosen: Bool[np.ndarray, " N"]) -> "Recording":
        parts = {name: getattr(self, name) for name in ("joints", "left", "track", "time")}
        return replace(self, **{name: None if part is None else part[chosen] for name, part in parts.items()})


def read_recording(path: Path | str) -> Recording:
    """Read recorded hands.

    Args:
        path: what `posefile.read_poses` takes; or a .json, .jsonl, .npz or .csv file of `knuckle predict`, or a
            fit.json or fit.npz of `knuckle fit`.

    Raises:
        InputError: the file is another one, damaged, or holds no hand; it is named.
        OSError: it cannot be read.
    """
    path = Path(path)
    for ending, what in _OTHERS.items():
        if path.name.lower().endswith(ending):
            raise InputError(
                f"{path} {what}; give the .json, .jsonl, .npz or .csv that `knuckle predict --save` writes"
            )
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _of_frames(path, _lines(path))
    if suffix == ".csv":
        return _of_table(path)
    if suffix == ".npz":
        return _of_arrays(path)
    if suffix == ".json":
        content = load_json(path)
        if isinstance(content, Mapping) and content.get("format") == "knuckle-fit":
            joints = [frame["joints"] for frame in content.get("frames", [])]
            return _recording(path, joints, [content.get("side") == "left"] * len(joints))
        if isinstance(content, Mapping) and "hands" in content:
            return _of_frames(path, iter([content]))
    return Recording(read_poses(path))


def _of_frames(path: Path, frames: Iterator[Any]) -> Recording:
    """Of the objects that `knuckle predict` writes, of pictures or of frames of a video."""
    joints, left, track, time = [], [], [], []
    try:
        for frame in frames:
            for hand in frame["hands"]:
                joints.append(hand["joints_camera"])
                left.append(hand["side"] == "left")
                track.append(hand["id"])
                time.append(frame.get("time"))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} must hold hands as `knuckle predict` writes them but lacks {error}") from None
    return _recording(path, joints, left, track, time)


def _of_table(path: Path) -> Recording:
    rows = list(csv.DictReader(read_text(path).splitlines()))
    missing = [name for name in ("side", *_COLUMNS) if rows and name not in rows[0]]
    if missing:
        raise InputError(f"{path} must be a table of `knuckle predict` but lacks the column {missing[0]}; convert it")
    try:
        joints = [[float(row[name]) for name in _COLUMNS] for row in rows]
        track = [int(row["id"]) if row.get("id") else None for row in rows]
        time = [float(row["time"]) if row.get("time") else None for row in rows]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} must hold numbers but does not ({error}); write it again") from None
    places = np.reshape(joints, (-1, 21, 3)).tolist()
    return _recording(path, places, [row["side"] == "left" for row in rows], track, time)


def _of_arrays(path: Path) -> Recording:
    arrays = load_npz(path)
    if "joints" not in arrays and "joints_camera" in arrays:
        joints = arrays["joints_camera"]
        named = {name: arrays[name].tolist() for name in ("left", "id", "time") if name in arrays}
        if joints.ndim != 3 or joints.dtype.kind != "f" or any(len(named[name]) != len(joints) for name in named):
            raise InputError(f"{path} must hold a row for each hand but does not; write it again")
        return _recording(path, joints.tolist(), named.get("left"), named.get("id"), named.get("time"))
    recording = Recording(read_poses(path))
    if "side" in arrays:
        return replace(recording, left=np.full(len(recording), str(arrays["side"]) == "left"))
    return recording


def _recording(
    path: Path, joints: list, left: list | None = None, track: list | None = None, time: list | None = None
) -> Recording:
    """Of lists; those in which something is missing count as absent."""
    if not joints:
        raise InputError(f"{path} must hold at least one hand but holds none; give a file with hands")
    array = number_array(joints, str(path))
    if array.shape != (len(joints), 21, 3):
        raise InputError(f"{path} must hold 21 joints of three numbers for each hand but got the shape {array.shape}")
    known = {"left": (left, bool), "track": (track, np.int64), "time": (time, np.float64)}
    parts = {
        name: np.array(values, kind)
        for name, (values, kind) in known.items()
        if values is not None and all(value is not None for value in values)
    }
    return Recording(array.astype(np.float64), **parts)


def _lines(path: Path) -> Iterator[Any]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield parse_json(line, f"{path}, line {number}")
