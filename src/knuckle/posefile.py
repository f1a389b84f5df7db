"""Reading of recorded hand poses: 21 joints per frame."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from knuckle.files import InputError, load_json, load_npy, load_npz, number_array

SUFFIXES = (".npy", ".npz", ".json")
# Accepted keys of the joints in a .json object.
_KEYS = ("joints", "joints_camera")
# Metres. More than any hand is away, also in other units; squares of it are exact enough in 32 bits, as GLB has them.
_FARTHEST = 1e6


def read_poses(path: Path | str) -> Float[np.ndarray, "N 21 3"]:
    """Read (N, 21, 3) joints.

    Args:
        path: a .npy file; a .npz file with the array `joints`; or a .json file: nested lists, an object with
            `joints` (or `joints_camera`), or a list of such objects, one per frame. One frame may be (21, 3).

    Returns:
        (N, 21, 3) float64, N >= 1, unchanged; NaN is allowed: see `require_finite`.

    Raises:
        InputError: the file is of another format, damaged or empty, or its content does not match; it is named.
        OSError: it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} must be a .npy, .npz or .json file but ends in {suffix or 'nothing'!r}; convert it")
    if suffix == ".json":
        joints = _from_json(path)
    elif suffix == ".npy":
        joints = load_npy(path)
    else:
        arrays = load_npz(path)
        if "joints" not in arrays:
            raise InputError(
                f"{path} must hold the array 'joints' but holds {_listed(arrays)}; save it under that name"
            )
        joints = arrays["joints"]
    return _checked(joints, path)


def require_finite(joints: Float[np.ndarray, "N 21 3"], path: Path | str) -> None:
    """Raise an error where joints are not finite.

    Raises:
        InputError: names the first such frame and joint, and how many frames have one.
    """
    broken = ~np.isfinite(joints).all(axis=-1)
    if broken.any():
        frame, joint = (int(i) for i in np.argwhere(broken)[0])
        raise InputError(
            f"{path} must hold finite joints but frame {frame}, joint {joint} is {joints[frame, joint].tolist()} "
            f"({int(broken.any(axis=-1).sum())} of {len(joints)} frames have such joints); leave those frames out"
        )


def require_distinct(joints: Float[np.ndarray, "N 21 3"], path: Path | str) -> None:
    """Raise an error where two joints of a frame are at exactly the same point, as missing ones that were set to zero.

    Raises:
        InputError: names the first such frame and pair of joints, and how many frames have one.
    """
    ordered = np.sort(np.ascontiguousarray(joints).view([("", joints.dtype)] * 3)[..., 0], axis=1)
    same = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if same.any():
        frame = int(same.argmax())
        points = joints[frame]
        first, second = next(
            (i, j) for i, j in itertools.combinations(range(21), 2) if np.array_equal(points[i], points[j])
        )
        raise InputError(
            f"{path} must hold 21 different points in each frame but joints {first} and {second} of frame {frame} are "
            f"both {points[first].tolist()} ({int(same.sum())} of {len(joints)} frames have such joints); leave "
            "those frames out, do not set missing joints to zero"
        )


def require_space(joints: Float[np.ndarray, "N 21 3"], path: Path | str) -> None:
    """Raise an error where one coordinate is the same everywhere, as the third of joints in a picture is.

    Raises:
        InputError: names the coordinate and its value.
    """
    for axis, name in enumerate("xyz"):
        if len(joints) and np.ptp(joints[..., axis]) == 0.0:
            raise InputError(
                f"{path} must hold joints in space but {name} is {joints[0, 0, axis]:g} in all of them, as of joints "
                "in a picture; a picture's joints in space are what `knuckle predict` gives"
            )


def require_near(joints: Float[np.ndarray, "N 21 3"], path: Path | str) -> None:
    """Raise an error where coordinates are no hand's in any unit.

    Raises:
        InputError: names the first frame that is farther away than a thousand kilometres.
    """
    far = (np.abs(joints) > _FARTHEST).any(axis=(1, 2))
    if far.any():
        frame = int(far.argmax())
        raise InputError(
            f"{path} must hold joints in metres but frame {frame} has a coordinate of "
            f"{np.abs(joints[frame]).max():.3g}; check what wrote it"
        )


def _checked(joints: np.ndarray, path: Path) -> Float[np.ndarray, "N 21 3"]:
    if joints.dtype.kind not in "fiu":
        raise InputError(f"{path} must hold numbers but holds {joints.dtype}; save the joints as an array of floats")
    if joints.ndim == 2:
        joints = joints[None]
    if joints.ndim != 3 or joints.shape[1:] != (21, 3):
        raise InputError(f"{path} must hold joints of shape (N, 21, 3) but got {joints.shape}; one row per joint")
    if len(joints) == 0:
        raise InputError(f"{path} must hold at least one pose but holds none; check what wrote it")
    return joints.astype(np.float64)


def _from_json(path: Path) -> np.ndarray:
    content = load_json(path)
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        content = [_joints_of(item, path) for item in content]
    elif isinstance(content, dict):
        content = _joints_of(content, path)
    return number_array(content, str(path))


def _joints_of(item: dict[str, Any], path: Path) -> Any:
    for key in _KEYS:
        if key in item:
            return item[key]
    raise InputError(f"{path} must hold 'joints' but its object holds {_listed(item)}; rename the key of the joints")


def _listed(names: dict[str, Any]) -> str:
    shown = list(names)[:6]
    return ", ".join(repr(name) for name in shown) + (", ..." if len(names) > 6 else "") if shown else "nothing"
