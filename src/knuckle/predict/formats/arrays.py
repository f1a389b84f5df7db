"""NumPy arrays, one row for each hand; of a video for each hand in each frame, in the order of the frames."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, Format, PictureResult, Target, VideoInfo
from knuckle.results import hand_arrays
from knuckle.sample import Hand

# Frames whose arrays are joined, as many small ones take several times the memory.
_AT_ONCE = 256


def _picture(result: PictureResult, target: Target) -> None:
    arrays = hand_arrays(result.hands)
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
    arrays = {name: _compact(array) for name, array in hand_arrays(hands).items()}
    count = len(hands)
    ids = np.array([-1 if hand.id is None else hand.id for hand in hands], np.int64)
    return {"frame": np.full(count, frame), "time": np.full(count, time, np.float64), "id": ids} | arrays


def _compact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _stacked(hands: Sequence[Hand], name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([getattr(h, name) for h in hands]) if hands else np.zeros((0, *shape))


ARRAYS = Format(_picture, _video)
