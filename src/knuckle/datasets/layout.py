"""Reading the files of a data set, with errors that name the file and the expected layout."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.files import InputError, RefusedFile, load_json, number_array, open_regular, read_text
from knuckle.image import PictureError, decode_pixels, picture_bytes

# Characters of JSON text parsed at once: bounds the memory that a file of several gigabytes takes to read.
_CHUNK_CHARS = 1 << 24
# Of it without a comma: more than any number and the line breaks around it.
_MAX_REST = 1 << 20
# Annotations of whole data sets in one file: InterHand2.6M's have more than a gigabyte.
_MAX_JSON = 1 << 32
# Numbers of one picture or sequence, as text.
_MAX_TEXT = 1 << 26


class BrokenDataset(InputError):
    """A data set's file is damaged or is not what its layout describes; the message names the file and what to do."""


def require(path: Path, layout: str) -> Path:
    """The path, if it exists.

    Args:
        path: a file or folder.
        layout: how the data set is laid out, for the message.

    Raises:
        FileNotFoundError: it does not exist; the message shows the layout.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} must exist but does not; the data set is laid out as\n{layout}")
    return path


def read_json(path: Path, layout: str) -> Any:
    """A whole JSON file.

    Args:
        path: the file.
        layout: for the message when it is missing.

    Raises:
        FileNotFoundError: it is missing.
        BrokenDataset: it is truncated, or not JSON.
    """
    try:
        return load_json(require(path, layout), _MAX_JSON)
    except RefusedFile as error:
        raise BrokenDataset(f"{error}; or fetch it again") from None


@contextmanager
def records_of(path: Path) -> Iterator[None]:
    """A body that walks through the records of a file, any of which may lack an entry or have one of another type.

    Raises:
        BrokenDataset: in place of what Python raises of such a record.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        raise BrokenDataset(
            f"{path} must be laid out as its data set is but has another record ({type(error).__name__}: "
            f"{str(error)[:80]}); fetch it again"
        ) from error


def read_lines(path: Path, layout: str) -> list[str]:
    """The lines of a small text file.

    Args:
        path: the file.
        layout: for the message when it is missing.

    Raises:
        FileNotFoundError: it is missing.
        BrokenDataset: it is no regular file, larger than 64 MB, or not UTF-8.
    """
    try:
        return read_text(require(path, layout), _MAX_TEXT).splitlines()
    except RefusedFile as error:
        raise BrokenDataset(str(error)) from None


def read_number_list(path: Path, shape: tuple[int, ...], layout: str) -> np.ndarray:
    """A JSON file that holds one long list of equal nested lists of numbers, in bounded memory.

    `json` would take some forty bytes per number: twelve gigabytes for FreiHAND's training meshes.

    Args:
        path: the file.
        shape: of every entry of the list: (21, 3) for joints, () for plain numbers.
        layout: for the message when the file is missing.

    Returns:
        (N, *shape) float64.

    Raises:
        FileNotFoundError: the file is missing.
        BrokenDataset: it is truncated, holds something other than numbers, or entries of another shape.
    """
    per_entry = math.prod(shape)
    parts: list[np.ndarray] = []
    opened = closed = 0
    rest = ""
    with open_regular(require(path, layout)) as binary, io.TextIOWrapper(binary, "utf-8", errors="replace") as file:
        while piece := file.read(_CHUNK_CHARS):
            opened += piece.count("[")
            closed += piece.count("]")
            text = rest + piece.replace("[", " ").replace("]", " ")
            # A number may be split between chunks: what follows the last comma is kept for the next chunk.
            cut = text.rfind(",")
            rest = text[cut + 1 :]
            if cut >= 0:
                parts.append(_numbers(text[:cut], path))
            if len(rest) > _MAX_REST:
                raise BrokenDataset(
                    f"{path} must hold numbers with commas between but has none for long; fetch it again"
                )
        if rest.strip():
            parts.append(_numbers(rest, path))
    if opened == 0 or opened != closed:
        raise BrokenDataset(
            f"{path} must be a list of lists but has {opened} opening and {closed} closing brackets: it is truncated; "
            "fetch it again"
        )
    flat = np.concatenate(parts) if parts else np.zeros(0)
    lists = (opened - 1) / (sum(math.prod(shape[:i]) for i in range(len(shape))) or 1) if shape else None
    if flat.size % per_entry or (lists is not None and lists != flat.size // per_entry):
        wanted = " x ".join(map(str, shape)) or "single"
        raise BrokenDataset(
            f"{path} must hold {wanted} numbers an entry but holds {flat.size} in {opened} lists; fetch it again"
        )
    return flat.reshape(-1, *shape)


def _numbers(text: str, path: Path) -> np.ndarray:
    try:
        return np.array([float(word) for word in text.split(",")])
    except ValueError as error:
        raise BrokenDataset(f"{path} must hold numbers only but has {error}; fetch it again") from error


def same_length(path: Path, found: int, expected: int, of: Path) -> None:
    """Raise unless two annotation files of a set have as many entries.

    Args:
        path: the file that was read, `found` its entries.
        found: how many it has.
        expected: how many `of` has.
        of: the file it must agree with.

    Raises:
        BrokenDataset: they differ.
    """
    if found != expected:
        raise BrokenDataset(
            f"{path} must have as many entries as {of.name}, {expected}, but has {found}; fetch it again"
        )


def read_numbers(path: Path, count: int | None, layout: str, separator: str = ",") -> np.ndarray:
    """Numbers of a small text file.

    Args:
        path: the file.
        count: how many numbers there must be; None for any.
        layout: for the message when the file is missing.
        separator: between numbers; line ends separate too.

    Returns:
        (count,) float64.

    Raises:
        FileNotFoundError: the file is missing.
        BrokenDataset: it holds another number of numbers, or something else.
    """
    words = " ".join(read_lines(path, layout)).replace(separator, " ").split()
    try:
        values = np.array([float(w) for w in words])
    except ValueError as error:
        raise BrokenDataset(f"{path} must hold numbers only but has {error}; fetch it again") from error
    if count is not None and values.size != count:
        raise BrokenDataset(f"{path} must hold {count} numbers but holds {values.size}; fetch it again")
    return values


def read_picture(path: Path, layout: str, grey: bool = False) -> np.ndarray:
    """A picture or mask of a data set.

    Args:
        path: the file.
        layout: for the message when it is missing.
        grey: read as one channel, such as a mask's labels.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W) uint8.

    Raises:
        FileNotFoundError: it is missing.
        BrokenDataset: it cannot be decoded.
    """
    # As stored: pixels of a data set belong to its camera, whatever the orientation tag.
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    try:
        picture = decode_pixels(picture_bytes(require(path, layout)), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except PictureError as error:
        raise BrokenDataset(
            f"{path} must be a picture but {str(error).removeprefix(f'{path}: ')}; fetch it again"
        ) from None
    return picture if grey else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, if it is one of those allowed.

    Args:
        name: of the argument, for the message.
        value: to check.
        allowed: values.

    Raises:
        ValueError: it is not among them.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)} but got {value!r}")
    return value


def entry(record: Any, key: str, shape: tuple[int, ...] | None, path: Path) -> np.ndarray:
    """An array of an annotation record.

    Args:
        record: a dict read from a file.
        key: its entry.
        shape: to reshape it to; None for any.
        path: the file, for the message.

    Returns:
        float64 array.

    Raises:
        BrokenDataset: the entry is missing, or of another size.
    """
    if not isinstance(record, dict) or key not in record:
        has = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
        raise BrokenDataset(f"{path} must have the entry {key!r} but has {has}; is it another data set's file?")
    value = record[key]
    try:
        # Of JSON, where text and true are no numbers; arrays come from pickles and .mat files.
        value = number_array(value, key) if isinstance(value, list) else np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BrokenDataset(f"{path}: {key!r} must hold numbers but got {type(record[key]).__name__}") from error
    if shape is None:
        return value
    if value.size != math.prod(shape):
        raise BrokenDataset(f"{path}: {key!r} must be {shape} but got {value.shape}; fetch it again")
    return value.reshape(shape)
