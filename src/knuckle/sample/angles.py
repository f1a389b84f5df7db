"""The 23 angles of one hand: an array whose entries have names."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Float

from knuckle.handmodel import ANGLE_NAMES

_PLACES = {name: place for place, name in enumerate(ANGLE_NAMES)}


class Angles(Mapping[str, float]):
    """23 angles in radians, by name; read-only.

        hand.angles["index_pip_flexion"]  # a float
        np.degrees(hand.angles)  # (23,), in the order of hand.angles.names

    Args:
        values: 23 numbers in the order of `handmodel.ANGLE_NAMES`, or numbers by exactly these names.

    Raises:
        ValueError: there are more or fewer, they have other names, or one is not finite.
    """

    __slots__ = ("_values",)

    names = ANGLE_NAMES

    def __init__(self, values: Any) -> None:
        if isinstance(values, Mapping):
            if set(values) != set(ANGLE_NAMES):
                wrong = sorted(set(values) ^ set(ANGLE_NAMES))
                raise ValueError(f"angles must be named as handmodel.ANGLE_NAMES but differ in {', '.join(wrong)}")
            values = [values[name] for name in ANGLE_NAMES]
        if len(values) != len(ANGLE_NAMES):
            raise ValueError(f"angles must be {len(ANGLE_NAMES)} but got {len(values)}")
        self._values = np.array([float(value) for value in values])
        if not np.isfinite(self._values).all():
            place = int(np.flatnonzero(~np.isfinite(self._values))[0])
            raise ValueError(f"angles must be finite but got {self._values[place]} for {ANGLE_NAMES[place]}")
        self._values.flags.writeable = False

    def __getitem__(self, name: str) -> float:
        try:
            return float(self._values[_PLACES[name]])
        except KeyError:
            close = get_close_matches(str(name), ANGLE_NAMES, 3, 0.5)
            hint = f", such as {' or '.join(close)}" if close else ""
            raise KeyError(f"must be one of the 23 names in hand.angles.names{hint}, but got {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(ANGLE_NAMES)

    def __len__(self) -> int:
        return len(ANGLE_NAMES)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float[np.ndarray, "23"]:
        return np.array(self._values, dtype=dtype, copy=copy)

    def __reduce__(self) -> tuple[type["Angles"], tuple[list[float]]]:
        return Angles, (self._values.tolist(),)

    def __repr__(self) -> str:
        return f"Angles({', '.join(f'{name}={value:.3f}' for name, value in self.items())})"
