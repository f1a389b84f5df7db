"""NumPy arrays, one row for each hand; of a video for each hand in each frame, in the order of the frames."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.sample import Hand, HeldObject

# Frames whose arrays are joined, as many small ones take several times the memory.
_AT_ONCE = 256


def _picture(result: PictureResult, target: Target) -> None:
    arrays = _arrays(result.hands)
    arrays["vertices_camera"] = _stacked(result.hands, "vertices_camera", (0, 3))
    if any(hand.vertices_network is not None for hand in result.hands):
        arrays["vertices_network"] = _stacked(result.hands, "vertices_network", (0, 3))
    with atomic_write(target.named(".npz")) as unfinished:
        np.savez(unfinished, allow_pickle=False, **arrays)


@contextmanager
def _video(video: VideoInfo, target: Target) -> Iterator[AddFrame]:
    """In 32 bits, and without the meshes: angles, shape and T_camera_hand give them again."""
    parts = [_frame_arrays((), 0, 0.0)]

    def add(result: PictureResult) -> None:
        assert result.frame is not None
        assert result.time is not None
        if result.hands:
            parts.append(_frame_arrays(result.hands, result.frame, result.time))
        if len(parts) > _AT_ONCE:
            parts[1:] = [_joined(parts[1:])]

    # Checked when the file is opened, not after an hour.
    with atomic_write(target.named(".npz")) as unfinished:
        yield add
        np.savez(unfinished, allow_pickle=False, **_joined(parts))


def _frame_arrays(hands: Sequence[Hand], frame: int, time: float) -> dict[str, np.ndarray]:
    arrays = {name: _compact(array) for name, array in _arrays(hands).items()}
    count = len(hands)
    ids = np.array([-1 if hand.id is None else hand.id for hand in hands], np.int64)
    return {"frame": np.full(count, frame), "time": np.full(count, time, np.float64), "id": ids} | arrays


def _compact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _stacked(hands: Sequence[Hand], name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([getattr(h, name) for h in hands]) if hands else np.zeros((0, *shape))


def _arrays(hands: Sequence[Hand]) -> dict[str, np.ndarray]:
    arrays = {
        "joints_camera": _stacked(hands, "joints_camera", (21, 3)),
        "joints_image": _stacked(hands, "joints_image", (21, 2)),
        "joints_network": _stacked(hands, "joints_network", (21, 3)),
        "joint_uncertainty_mm": _stacked(hands, "joint_uncertainty_mm", (21,)),
        "shape": _stacked(hands, "shape", (10,)),
        "T_camera_hand": _stacked(hands, "T_camera_hand", (4, 4)),
        "box": _stacked(hands, "box", (4,)),
    }
    arrays["angles"] = np.array([list(h.angles.values()) for h in hands]).reshape(-1, 23)
    arrays["left"] = np.array([h.side == "left" for h in hands], bool)
    arrays["score"] = np.array([h.score for h in hands], float)
    return arrays | _object_arrays([h.object for h in hands])


def _object_arrays(objects: Sequence[HeldObject | None]) -> dict[str, np.ndarray]:
    """NaN and an empty name stand for what is missing."""

    def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = [None if held is None else getattr(held, name) for held in objects]
        return np.array([np.full(shape, np.nan) if v is None else v for v in values], float).reshape(-1, *shape)

    return {
        "object_corners_camera": stacked("corners_camera", (8, 3)),
        "T_camera_object": stacked("T_camera_object", (4, 4)),
        "object_category": np.array([(held and held.category) or "" for held in objects], str),
        "object_category_probability": stacked("category_probability", ()),
        "object_probability": stacked("probability", ()),
        "object_corner_uncertainty_mm": stacked("corner_uncertainty_mm", (8,)),
    }


ARRAYS = Format(_picture, _video)
