"""What a model says about a part of a set, as a file: an evaluation that was interrupted goes on from those."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np

from knuckle.evaluate.adapters import PredictedHand
from knuckle.evaluate.data import Truth
from knuckle.evaluate.matching import PredictedRow
from knuckle.evaluate.measures import MEASURES
from knuckle.evaluate.sources import SetPictures
from knuckle.workers import digest

_ARRAYS = ("joints", "joints_image", "vertices", "corners")
_SIDES: tuple[Literal["right", "left"] | None, ...] = ("right", "left", None)


def pack_rows(rows: Sequence[PredictedRow]) -> bytes:
    """The rows as a .npz file; `unpack_rows` gives them back to the last bit."""
    hands = [hand for row in rows for hand in row.hands]
    arrays: dict[str, Any] = {
        "picture": np.array([row.picture for row in rows], np.str_),
        "placed": np.array([row.placed for row in rows], bool),
        "count": np.array([len(row.hands) for row in rows], np.int64),
        "side": np.array([_SIDES.index(hand.side) for hand in hands], np.int64),
        "score": np.array([hand.score for hand in hands], np.float64),
    }
    for name in MEASURES:
        arrays[name] = np.array([row.measures.get(name, np.nan) for row in rows], np.float64)
    for name in _ARRAYS:
        values = [getattr(hand, name) for hand in hands]
        known = [i for i, value in enumerate(values) if value is not None]
        arrays[f"{name}_of"] = np.array(known, np.int64)
        arrays[name] = np.stack([values[i] for i in known]) if known else np.zeros(0)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def unpack_rows(arrays: Mapping[str, np.ndarray]) -> list[PredictedRow]:
    """The rows of the arrays of such a file."""
    owned: dict[str, dict[int, np.ndarray]] = {
        name: dict(zip(arrays[f"{name}_of"].tolist(), arrays[name], strict=True)) for name in _ARRAYS
    }
    hands = [
        PredictedHand(_SIDES[side], score, **{name: owned[name].get(i) for name in _ARRAYS})
        for i, (side, score) in enumerate(zip(arrays["side"].tolist(), arrays["score"].tolist(), strict=True))
    ]
    ends = np.cumsum(arrays["count"]).tolist()
    measures = [
        {name: value for name, value in zip(MEASURES, values, strict=True) if not np.isnan(value)}
        for values in zip(*(arrays[name].tolist() for name in MEASURES), strict=True)
    ]
    return [
        PredictedRow(picture, placed, tuple(hands[end - count : end]), measured)
        for picture, placed, count, end, measured in zip(
            arrays["picture"].tolist(), arrays["placed"].tolist(), arrays["count"].tolist(), ends, measures, strict=True
        )
    ]


def part_name(pictures: SetPictures, part: range, truth: Truth) -> str:
    """Another one when a picture or a label of the part is another."""
    if pictures.shards:
        paths = [pictures.shards[number] for number in part]
        return digest(["shard", *(_about(path) for path in paths)])
    rows = slice(part.start, part.stop)
    labels = [getattr(truth, field.name) for field in fields(truth) if field.name in ("joints", "joints_image", "K")]
    data = [np.ascontiguousarray(array[rows]).tobytes() for array in labels if array is not None]
    names = [truth.ids[rows], truth.categories[rows], [_about(p) for p in truth.pictures[rows]]]
    return digest([str(pictures.root.absolute()), *names], *data)


def _about(path: Any) -> list[Any]:
    try:
        about = path.stat()
    except OSError:  # reported when it is read
        return [str(path.absolute()), None, None]
    return [str(path.absolute()), about.st_size, about.st_mtime_ns]
