"""Validation of the fields of Sample and Hand."""

from typing import Any

import numpy as np

_KINDS = {"floating-point": "f", "boolean": "b", "8-bit": "u"}


def check_array(name: str, value: Any, shape: tuple[int | str, ...], kind: str = "floating-point") -> None:
    """Raise unless the value is a NumPy array of that shape and kind.

    Args:
        name: of the field, for the message.
        value: of the field.
        shape: sizes; a string stands for any positive size.
        kind: "floating-point" (32 or 64 bit), "boolean" or "8-bit".

    Raises:
        ValueError: it is not; the message has what was expected and what was given.
    """
    wanted = f"must be a {kind} array ({', '.join(map(str, shape))})"
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} {wanted} but got {type(value).__name__}; convert it with numpy.asarray")
    if value.dtype.kind != _KINDS[kind] or (kind == "8-bit" and value.dtype.itemsize != 1) or value.dtype == np.float16:
        raise ValueError(f"{name} {wanted} but got the dtype {value.dtype}; convert it with astype")
    fits = all(
        have == want if isinstance(want, int) else have > 0 for have, want in zip(value.shape, shape, strict=False)
    )
    if value.ndim != len(shape) or not fits:
        raise ValueError(f"{name} {wanted} but got the shape {value.shape}")


def check_finite(name: str, value: np.ndarray, rows_may_miss: bool = False) -> None:
    """Raise unless every number is finite; `rows_may_miss` also admits rows that are entirely NaN.

    Raises:
        ValueError: a number is infinite or NaN where it must not be.
    """
    bad = ~np.isfinite(value)
    if rows_may_miss:
        bad &= ~np.isnan(value).all(axis=-1, keepdims=True)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        hint = "make the whole row NaN where there is no label" if rows_may_miss else "leave the field out instead"
        raise ValueError(f"{name} must be finite but got {value[where]} at {list(where)}; {hint}")


def check_rigid(name: str, value: Any) -> None:
    """Raise unless the value is a (4, 4) rigid motion with a proper rotation.

    Raises:
        ValueError: it has another shape, another last row, or no proper rotation.
    """
    check_array(name, value, (4, 4))
    check_finite(name, value)
    rotation = value[:3, :3].astype(np.float64)
    if not np.array_equal(value[3], [0, 0, 0, 1]):
        raise ValueError(f"{name} must have the last row 0, 0, 0, 1 but got {value[3].tolist()}; is it transposed?")
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise ValueError(
            f"{name} must hold a rotation but its determinant is {np.linalg.det(rotation):.4g} and its rows are "
            f"{np.linalg.norm(rotation, axis=1).round(4).tolist()} long; size belongs in shape, and a left hand's "
            "mirror in side"
        )


def check_box(name: str, value: Any) -> None:
    """Raise unless the value is a box (x0, y0, x1, y1) with x1 > x0 and y1 > y0.

    Raises:
        ValueError: it has another shape or no area.
    """
    check_array(name, value, (4,))
    check_finite(name, value)
    if not (value[2] > value[0] and value[3] > value[1]):
        raise ValueError(f"{name} must be (x0, y0, x1, y1) with x1 > x0 and y1 > y0 but got {value.tolist()}")


def check_side(value: Any) -> None:
    """Raise unless the value is "left" or "right".

    Raises:
        ValueError: it is neither.
    """
    if value not in ("left", "right"):
        raise ValueError(f'side must be "left" or "right" but got {value!r}')
