"""MANO's parameters of each hand, for who has the MANO files; see knuckle.fit.to_mano. Side by side with ours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields

import numpy as np

from knuckle.files import atomic_write
from knuckle.fit.to_mano import ManoFitter, ManoParameters
from knuckle.predict.output import AddFrame, PictureResult, Target, format_of_frames

_AT_ONCE = 64  # hands


@contextmanager
def _written(target: Target) -> Iterator[AddFrame]:
    """Collects the hands and fits them at the end, many at once: one by one takes ten times as long."""
    rows: list[tuple[bool, int, float, int, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(result: PictureResult) -> None:
        for hand in result.hands:
            frame, time = result.frame or 0, result.time or 0.0
            number = -1 if hand.id is None else hand.id
            rows.append(
                (hand.side == "left", frame, time, number, np.asarray(hand.angles), hand.shape, hand.T_camera_hand)
            )

    with atomic_write(target.named(".mano.npz")) as unfinished:
        yield add
        missing = {"left" if row[0] else "right" for row in rows} - {fitter.side for fitter in target.mano}
        if missing:
            raise ValueError(
                f"MANO parameters of {' and '.join(sorted(missing))} hands need --mano with that side's file too"
            )
        arrays = {name: np.array([row[i] for row in rows], kind) for i, (name, kind) in enumerate(_COLUMNS)}
        arrays |= _parameters(rows, target.mano)
        np.savez(unfinished, allow_pickle=False, **arrays)


_COLUMNS = (("left", bool), ("frame", np.int64), ("time", np.float64), ("id", np.int64))


def _parameters(rows: Sequence[tuple], fitters: Sequence[ManoFitter]) -> dict[str, np.ndarray]:
    """The fields of ManoParameters with a row for each hand."""
    shapes = {"global_orient": (3,), "hand_pose": (45,), "betas": (10,), "transl": (3,)}
    arrays = {f.name: np.full((len(rows), *shapes.get(f.name, ())), np.nan) for f in fields(ManoParameters)}
    for fitter in fitters:
        own = [i for i, row in enumerate(rows) if row[0] == (fitter.side == "left")]
        for start in range(0, len(own), _AT_ONCE):
            part = own[start : start + _AT_ONCE]
            found = fitter(*(np.stack([rows[i][column] for i in part]) for column in (4, 5, 6)))
            for name, array in arrays.items():
                array[part] = getattr(found, name)
    return arrays


MANO = format_of_frames(_written)
