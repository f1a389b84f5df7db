"""JSON that nobody vouches for: bounded in size, in depth, and in what it becomes in memory."""

import json
import math
import os
from typing import Any

import numpy as np

from knuckle.files.reading import MAX_BYTES, RefusedFile, read_bytes

_MAX_DEPTH = 64
# What Python takes for a list and for an entry of one. Text of numbers becomes less than twelve times its size; text
# of empty lists becomes more than twenty times, and only a quarter of a gigabyte of that is allowed.
_LIST_BYTES, _ENTRY_BYTES = 64, 32
_FREE, _GROWTH = 2**28, 12
_MAX_DIGITS = 18  # of a whole number: what 64 bits hold
_PIECE = 2**20
_NOT_BRACKETS = bytes(i for i in range(256) if i not in b"[]{}")
_STEP_OF = np.zeros(256, np.int8)
_STEP_OF[list(b"[{")], _STEP_OF[list(b"]}")] = 1, -1


def load_json(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        RefusedFile: it is larger, or as of `parse_json`.
        OSError: it cannot be read.
    """
    return parse_json(read_bytes(path, max_bytes), str(path))


def parse_json(data: bytes | str, source: str) -> Any:
    """JSON text as Python's dicts, lists, text and numbers.

    Args:
        data: the text; bytes of UTF-8, or UTF-16 and UTF-32 with a mark.
        source: for messages.

    Raises:
        RefusedFile: it is not JSON, nests too deep, holds a whole number of more than 18 digits, or would take far more
            memory than text of numbers of its size.
    """
    text = data.encode("utf-8", "replace") if isinstance(data, str) else data
    # Brackets inside of text count too, which files of numbers and names do not have.
    becomes = _LIST_BYTES * (text.count(b"[") + text.count(b"{")) + _ENTRY_BYTES * text.count(b",")
    if becomes > _FREE + _GROWTH * len(text):
        raise RefusedFile(
            f"{source} must hold numbers and names but is mostly brackets and commas: its {len(text)} bytes would take "
            f"{becomes} in memory; write it again"
        )
    if _depth(text) > _MAX_DEPTH:
        raise RefusedFile(
            f"{source} must be a JSON text of at most {_MAX_DEPTH} nested lists and objects but nests more; "
            "write it again"
        )
    try:
        return json.loads(data, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise RefusedFile(
            f"{source} must be a JSON text but is truncated or not JSON ({error}); check what wrote "
            "it, and write it again"
        ) from None


def _depth(text: bytes) -> int:
    """How many brackets are open at most."""
    level = deepest = 0
    for start in range(0, len(text), _PIECE):
        brackets = text[start : start + _PIECE].translate(None, _NOT_BRACKETS)
        if brackets:
            levels = level + np.cumsum(_STEP_OF[np.frombuffer(brackets, np.uint8)], dtype=np.int64)
            level, deepest = int(levels[-1]), max(deepest, int(levels.max()))
    return deepest


def number_array(values: Any, source: str) -> np.ndarray:
    """Nested lists of JSON numbers as a float64 array; null is NaN.

    Python would take true and "1.5" for numbers too.

    Raises:
        RefusedFile: there is something else than a number, or lists differ in length.
    """
    try:
        return np.asarray(_numbers(values, source, _MAX_DEPTH // 2), np.float64)
    except (ValueError, TypeError) as error:
        if isinstance(error, RefusedFile):
            raise
        raise RefusedFile(
            f"{source} must hold lists of equal length but holds lists of other lengths or types"
        ) from None


def _numbers(values: Any, source: str, depth: int) -> Any:
    if isinstance(values, list) and depth:
        return [v if type(v) is float else _numbers(v, source, depth - 1) for v in values]
    if values is None:
        return math.nan
    if isinstance(values, bool) or not isinstance(values, int | float):
        raise RefusedFile(f"{source} must hold numbers but holds {str(values)[:40]!r}; write numbers")
    return float(values)


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS + digits.startswith("-"):
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)
