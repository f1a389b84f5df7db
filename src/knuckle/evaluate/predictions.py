"""Predictions from files: their format is detected, and they are put in the truth's order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from knuckle.datasets.folder import map_array
from knuckle.datasets.layout import BrokenDataset, choice, read_picture, require
from knuckle.evaluate.adapters import ADAPTERS, RELATIVE, PredictedHand, detect_format, format_of
from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.extras import picture_of
from knuckle.evaluate.mano import mano_arrays
from knuckle.evaluate.matching import match_hands
from knuckle.files import (
    RefusedFile,
    load_json,
    load_npz,
    number_array,
    open_archive,
    parse_json,
    read_member,
    read_text,
)
from knuckle.handmodel import HandModel
from knuckle.skeleton import ORDERS, to_common

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
AXES = {"opencv": (1.0, 1.0, 1.0), "opengl": (1.0, -1.0, -1.0)}
FORMATS = ("arrays", "submission", "dexycb", "mano", *ADAPTERS)

_FILE_BYTES = 2**26  # of one picture's JSON; and at least of all
_HAND_BYTES = 2**17
_MIN_DEPTH = 0.1  # metres; hands nearer than this are taken for ones about the origin

_LAYOUT = (
    "  a folder with one .json per picture, named after it (knuckle, MediaPipe, OpenPose, MMPose)\n"
    "  a folder with joints.npy (N, 21, 3), vertices.npy (N, V, 3), ...; or a joints .npy alone\n"
    "  a .npz with joints, vertices, or MANO's pose, betas, trans\n"
    "  pred.json or pred.zip as FreiHAND's and HO-3D's servers take it; DexYCB's .txt"
)


@dataclass(frozen=True)
class Conventions:
    """Conventions of arrays whose format does not fix them: joint order, unit, axes.

    mano: HandModel.load of the user's MANO file, for predictions that are its parameters. flat_hand_mean: whether their
    zero pose is the flat hand.
    """

    order: str = "common"
    unit: str = "m"
    axes: str = "opencv"
    mano: HandModel | None = None
    flat_hand_mean: bool = False

    def __post_init__(self) -> None:
        choice("order", self.order, tuple(ORDERS))
        choice("unit", self.unit, tuple(UNITS))
        choice("axes", self.axes, tuple(AXES))

    @property
    def plain(self) -> bool:
        """Whether points need no conversion, and so no copy."""
        return self.unit == "m" and self.axes == "opencv"

    def points(self, values: np.ndarray) -> np.ndarray:
        """(..., 3) points converted to metres, x right, y down, z forward."""
        return values if self.plain else np.asarray(values, np.float64) * (UNITS[self.unit] * np.array(AXES[self.axes]))

    def joints(self, values: np.ndarray) -> np.ndarray:
        """(..., 21, 3) joints converted like points, in the common order."""
        values = self.points(values)
        return values if self.order == "common" else np.asarray(to_common(np.asarray(values), self.order))


def read_predictions(
    path: Path | str,
    truth: Truth,
    *,
    format: str | None = None,
    conventions: Conventions | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predictions of a folder or file for the hands of a truth.

    Args:
        path: a folder or file in one of FORMATS.
        truth: the hands to match. Files per picture are matched by the picture's name, arrays by their order.
        format: one of FORMATS; None detects it.
        conventions: of arrays (.npy, .npz); None for metres, the common order, x right, y down, z forward.
        advance: called after every file.

    Returns:
        Predictions.

    Raises:
        FileNotFoundError: there is nothing at path.
        BrokenDataset: a file is damaged or of an unknown format, or its counts do not fit the truth.
    """
    path = require(Path(path), _LAYOUT)
    conventions = conventions or Conventions()
    if format is not None:
        choice("format", format, FORMATS)
    if path.is_dir():
        if format == "arrays" or (format is None and (path / "joints.npy").exists()):
            return _from_arrays(path, truth, conventions)
        return _from_folder(path, truth, format, advance)
    match path.suffix:
        case ".npy":
            joints = conventions.joints(map_array(path, (21, 3)))
            return _arrays({"joints": joints}, truth, str(path))
        case ".npz":
            return _from_npz(path, truth, conventions)
        case ".txt":
            return _from_dexycb(path, truth)
        case ".zip":
            return _from_submission(unzipped(path, len(truth)), path, truth)
        case ".json" | ".jsonl":
            return _from_json(path, truth, format, conventions)
    raise BrokenDataset(f"{path} must be a folder, .json, .zip, .npy, .npz or .txt; predictions can be\n{_LAYOUT}")


def _from_folder(path: Path, truth: Truth, format: str | None, advance: Callable[[], None]) -> Predictions:
    files = sorted(path.rglob("*.json"))
    if not files:
        raise BrokenDataset(f"{path} must hold .json files, or joints.npy, but has none; predictions can be\n{_LAYOUT}")
    found: dict[str, list[PredictedHand]] = {}
    sizes = dict(zip((picture_of(i).rpartition("/")[2] for i in truth.ids), truth.pictures, strict=False))
    for file in files:
        data = _load_json(file, _FILE_BYTES)
        format = format or detect_format(data, file)
        # OpenPose adds "_keypoints" to the picture's name.
        name = str(file.relative_to(path).with_suffix("")).removesuffix("_keypoints")
        last = name.rpartition("/")[2]
        found[name] = _adapt(format, data, file, _size_reader(data, sizes.get(last), file))
        advance()
    assert format is not None
    # Pictures of shards have no folders in their names, and what `knuckle predict` writes of a shard is in one.
    flat = {name.rpartition("/")[2]: hands for name, hands in found.items()}
    if len(flat) == len(found) and not any("/" in name for name in truth.ids):
        found = flat
    return match_hands(truth, found, format not in RELATIVE, f"{path} ({format}, {len(files)} files)")


def _adapt(format: str, data: Any, file: Path, size: Callable[[], tuple[int, int]]) -> list[PredictedHand]:
    if format not in ADAPTERS:
        raise BrokenDataset(f"format must be one of {', '.join(ADAPTERS)} for JSON by picture but got {format!r}")
    try:
        return ADAPTERS[format](data, size)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        if isinstance(error, BrokenDataset):
            raise
        raise BrokenDataset(
            f"{file} must be {format}'s output but is not ({type(error).__name__}: {error}); name another --format"
        ) from error


def _size_reader(data: Any, picture: Path | None, file: Path) -> Callable[[], tuple[int, int]]:
    def size() -> tuple[int, int]:
        stored = data.get("size", data.get("image_size")) if isinstance(data, dict) else None
        if stored is not None:
            return int(stored[0]), int(stored[1])
        if picture is None:
            raise BrokenDataset(
                f"{file} must hold the picture's size ('size': [w, h]), because the picture is not available"
            )
        height, width = read_picture(picture, "").shape[:2]
        return width, height

    return size


def _from_json(path: Path, truth: Truth, format: str | None, conventions: Conventions) -> Predictions:
    if path.suffix == ".jsonl":
        frames = _frames(path, len(truth))
        found = {
            str(Path(n).with_suffix("")): _adapt("knuckle", d, path, _unknown_size(path)) for n, d in frames.items()
        }
        return match_hands(truth, found, True, f"{path} (knuckle)")
    data = _load_json(path, most_bytes(len(truth)))
    if format == "submission" or (format is None and _is_submission(data)):
        return _from_submission(data, path, truth)
    if format == "mano" or (format is None and isinstance(data, dict) and {"vertices", "pose", "joints"} & data.keys()):
        return _from_mano(_lists(data), path, truth, conventions)
    format = format or detect_format(data, path)
    if format == "mmpose" and isinstance(data, dict) and "instance_info" in data:
        # A video: its frames are those of the truth, in order.
        frames = data["instance_info"]
        _require_count(len(frames), truth, path)
        found = {
            picture_of(n): _adapt(format, f, path, _unknown_size(path)) for n, f in zip(truth.ids, frames, strict=True)
        }
        return match_hands(truth, found, True, f"{path} ({format})")
    of_pictures = isinstance(data, dict) and format_of(data) is None
    if of_pictures and all(isinstance(v, (dict, list)) for v in data.values()):
        found = {str(Path(n).with_suffix("")): _adapt(format, d, path, _unknown_size(path)) for n, d in data.items()}
        return match_hands(truth, found, format not in RELATIVE, f"{path} ({format})")
    found = {path.stem: _adapt(format, data, path, _size_reader(data, None, path))}
    return match_hands(truth, found, format not in RELATIVE, f"{path} ({format})")


def _unknown_size(path: Path) -> Callable[[], tuple[int, int]]:
    def size() -> tuple[int, int]:
        raise BrokenDataset(f"{path} must be one file per picture for normalised landmarks, to know the picture's size")

    return size


def _is_submission(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 2 and all(isinstance(d, list) and len(d) > 0 for d in data)


def _from_submission(data: Any, path: Path, truth: Truth, ho3d: bool | None = None) -> Predictions:
    """[joints, meshes] as for the leaderboards; HO-3D's OpenGL axes and MANO order are detected by the sign of z."""
    if not _is_submission(data):
        raise BrokenDataset(f"{path} must be [joints, meshes], two lists of one entry per picture; see\n{_LAYOUT}")
    _require_count(len(data[0]), truth, path)
    _require_count(len(data[1]), truth, path)
    joints = _array(data[0], (21, 3), path)
    counts = {len(v) if isinstance(v, list) else 0 for v in data[1]}
    vertices = _array(data[1], (next(iter(counts)), 3), path) if len(counts) == 1 and 0 not in counts else None
    behind = bool((joints[..., 2] < 0).mean() > 0.5) if ho3d is None else ho3d
    convention = Conventions("ho3d", "m", "opengl") if behind else Conventions()
    name = "HO-3D submission" if behind else "FreiHAND submission"
    return _arrays(
        {
            "joints": convention.joints(joints),
            **({} if vertices is None else {"vertices": convention.points(vertices)}),
        },
        truth,
        f"{path} ({name})",
    )


def _from_dexycb(path: Path, truth: Truth) -> Predictions:
    """DexYCB's results: a line per picture with its index in the split and 63 coordinates, millimetres."""
    joints = np.full((len(truth), 21, 3), np.nan)
    for number, line in enumerate(_text(path, len(truth)).splitlines(), start=1):
        words = line.split(",")
        if not line.strip():
            continue
        if len(words) != 64 or not words[0].strip().isdecimal() or not int(words[0][:18]) < len(truth):
            raise BrokenDataset(f"{path}, line {number}, must be a number below {len(truth)} and 63 coordinates")
        try:
            joints[int(words[0])] = np.array([float(w) for w in words[1:]]).reshape(21, 3) / 1000.0
        except ValueError as error:
            raise BrokenDataset(f"{path}, line {number}, must hold 63 coordinates but has {error}") from None
    return _arrays({"joints": joints}, truth, f"{path} (DexYCB)")


def _from_arrays(path: Path, truth: Truth, conventions: Conventions) -> Predictions:
    names = {"joints": (21, 3), "vertices": (None, 3), "joints_image": (21, 2), "corners": (8, 3), "left": ()}
    arrays = {n: map_array(path / f"{n}.npy", s) for n, s in names.items() if (path / f"{n}.npy").exists()}
    return _arrays(_converted(arrays, conventions), truth, f"{path} (arrays)")


def _from_npz(path: Path, truth: Truth, conventions: Conventions) -> Predictions:
    return _from_mano(load_npz(path, max_bytes=_FILE_BYTES + len(truth) * _HAND_BYTES), path, truth, conventions)


def _from_mano(stored: dict[str, np.ndarray], path: Path, truth: Truth, conventions: Conventions) -> Predictions:
    arrays = _converted(mano_arrays(stored, path, conventions.mano, conventions.flat_hand_mean), conventions)
    points = arrays.get("joints", arrays.get("vertices"))
    # Networks without a full-picture camera keep the hand about the origin.
    absolute = points is None or float(np.nanmedian(points[:, :1, 2])) > _MIN_DEPTH
    return replace(_arrays(arrays, truth, str(path)), absolute=absolute)


def _converted(arrays: dict[str, np.ndarray], conventions: Conventions) -> dict[str, np.ndarray]:
    changed = dict(arrays)
    for name in ("vertices", "corners"):
        if name in arrays:
            changed[name] = conventions.points(arrays[name])
    if "joints" in arrays:
        changed["joints"] = conventions.joints(arrays["joints"])
    if "joints_image" in arrays and conventions.order != "common":
        changed["joints_image"] = np.asarray(to_common(arrays["joints_image"], conventions.order))
    return changed


def _arrays(arrays: dict[str, np.ndarray], truth: Truth, source: str) -> Predictions:
    """Predictions of arrays in the truth's order; a hand whose joints (or pixels) are all NaN is missing."""
    known = {k: arrays[k] for k in ("joints", "vertices", "joints_image", "corners", "left") if k in arrays}
    if not known.keys() - {"left"}:
        raise BrokenDataset(f"{source} must hold joints, vertices or joints_image but holds {', '.join(arrays)}")
    for name, values in known.items():
        if len(values) != len(truth):
            raise BrokenDataset(
                f"{source}: {name} must hold {len(truth)} hands, one per label, but holds {len(values)}"
            )
    points = known.get("joints", known.get("joints_image"))
    if points is None:
        points = known["vertices"][:, :1]  # one vertex suffices: reading all of a memory-mapped mesh is slow
    left = known.get("left")
    return Predictions(
        present=np.asarray(~np.isnan(points).all(axis=(1, 2))),
        joints=known.get("joints"),
        vertices=known.get("vertices"),
        joints_image=known.get("joints_image"),
        corners=known.get("corners"),
        left=None if left is None else np.asarray(left, bool),
        source=source,
    )


def _require_count(count: int, truth: Truth, path: Path) -> None:
    if count != len(truth):
        raise BrokenDataset(f"{path} must hold {len(truth)} hands, one per label of the split, but holds {count}")


def _array(values: Any, shape: tuple[int, ...], path: Path) -> np.ndarray:
    try:
        return number_array(values, str(path)).reshape(len(values), *shape)
    except (TypeError, ValueError) as error:
        raise BrokenDataset(f"{path} must hold {shape} numbers an entry but does not ({error})") from error


def most_bytes(hands: int) -> int:
    """Bytes of JSON that so many predicted hands may take, with meshes of up to three thousand vertices."""
    return _FILE_BYTES + hands * _HAND_BYTES


def unzipped(path: Path, hands: int) -> Any:
    """The content of the pred.json in a .zip.

    Args:
        path: the .zip.
        hands: how many it should hold, which bounds what it may unpack to.

    Raises:
        BrokenDataset: it is not a .zip with a pred.json alone, or pred.json is larger or not JSON.
    """
    try:
        with open_archive(path) as archive:
            members = archive.infolist()
            if [member.filename for member in members] != ["pred.json"]:
                names = ", ".join(member.filename for member in members[:6]) or "nothing"
                raise RefusedFile(f"{path} must hold pred.json and nothing else but holds {names}; pack it again")
            return parse_json(read_member(archive, members[0], most_bytes(hands), f"{path}[pred.json]"), str(path))
    except RefusedFile as error:
        raise BrokenDataset(str(error)) from None


def _load_json(path: Path, max_bytes: int) -> Any:
    try:
        return load_json(path, max_bytes)
    except RefusedFile as error:
        raise BrokenDataset(str(error)) from None


def _text(path: Path, hands: int) -> str:
    try:
        return read_text(path, most_bytes(hands))
    except RefusedFile as error:
        raise BrokenDataset(str(error)) from None


def _frames(path: Path, hands: int) -> dict[str, Any]:
    """The objects of a .jsonl by the names of their pictures, or their numbers."""
    frames = {}
    for number, line in enumerate(filter(str.strip, _text(path, hands).splitlines())):
        data = parse_json(line, f"{path}, line {number + 1},")
        if not isinstance(data, dict):
            raise BrokenDataset(f"{path}, line {number + 1}, must be an object but is a {type(data).__name__}")
        frames[str(data.get("image", data.get("frame", number)))] = data
    return frames


def _lists(data: Any) -> dict[str, np.ndarray]:
    """The arrays in a JSON object; whether hands are right ones may be numbers or true and false."""
    if not isinstance(data, dict):
        raise BrokenDataset(f"MANO's parameters must be in an object but are in a {type(data).__name__}")
    return {
        name: np.asarray(values, bool) if name in ("is_right", "right") else number_array(values, name)
        for name, values in data.items()
        if isinstance(values, list)
    }
