"""The motion of each hand of a video, kept as numbers until animations are made of it."""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.export.hand import motion_of, skinned_mesh_of
from knuckle.export.skinned_mesh import Motion, SkinnedMesh
from knuckle.handmodel import HandModel
from knuckle.predict.output import PictureResult

_ANGLES = slice(3, 26)
_ROTATION = slice(26, 35)
_TRANSLATION = slice(35, 38)
_COLUMNS = 38  # frame, time, left, and the above


class RecordedHand(NamedTuple):
    """One hand of a video.

    Attributes:
        id: of its track; in a picture, its place in the list.
        mesh: in its last shape, named by side and id.
        motion: at the times of the frames it was seen in.
    """

    id: int
    mesh: SkinnedMesh
    motion: Motion


class HandRecording:
    """Collects the hands of each frame: 38 numbers a hand, no pictures and no meshes."""

    def __init__(self) -> None:
        self._times = array("d")
        self._rows: dict[int, array[float]] = {}
        self._shapes: dict[tuple[int, bool], np.ndarray] = {}

    def add(self, result: PictureResult) -> None:
        """The next frame, or a picture."""
        self._times.append(result.time or 0.0)
        for place, hand in enumerate(result.hands):
            number, left = place if hand.id is None else hand.id, hand.side == "left"
            row = self._rows.setdefault(number, array("d"))
            row.extend([len(self._times) - 1, self._times[-1], left, *hand.angles.values()])
            row.extend(hand.T_camera_hand[:3, :3].ravel().tolist())
            row.extend(hand.T_camera_hand[:3, 3].tolist())
            self._shapes[number, left] = hand.shape

    @property
    def begin(self) -> float:
        """Seconds, of the first frame."""
        return self._times[0]

    def fps(self, stated: float) -> float:
        """Mean frames per second of the recording; the stated rate where it has no two frames."""
        seconds = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / seconds if seconds > 0 else stated

    def hands(self, model: HandModel) -> Iterator[RecordedHand]:
        """The hands, in the order of their ids.

        A hand has one mesh. Where a track took a while to find out its side, the frames of the other side are left out.
        """
        for number in sorted(self._rows):
            rows = np.array(self._rows[number], np.float64).reshape(-1, _COLUMNS)
            left = bool(rows[:, 2].mean() > 0.5)
            side: Literal["left", "right"] = "left" if left else "right"
            rows = self._held(rows[rows[:, 2] == left])
            mesh = skinned_mesh_of(model, self._shapes[number, left], side)
            rotation = rows[:, _ROTATION].reshape(-1, 3, 3)
            motion = motion_of(model, rows[:, _ANGLES], rotation, rows[:, _TRANSLATION], side, times=rows[:, 1])
            yield RecordedHand(number, replace(mesh, name=f"{side}_hand_{number}"), motion)

    def _held(self, rows: Float[np.ndarray, "N 38"]) -> Float[np.ndarray, "M 38"]:
        """With one more row at the end of each gap: a hand out of sight stays as it was, and does not drift.

        Readers interpolate between the keys before and after a gap, however long it is.
        """
        ends = np.flatnonzero(np.diff(rows[:, 0]) > 1)
        held = rows[ends].copy()
        held[:, 0] = rows[ends + 1, 0] - 1
        held[:, 1] = np.array(self._times)[held[:, 0].astype(int)]
        return np.insert(rows, ends + 1, held, axis=0)
