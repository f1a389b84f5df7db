"""What of a picture shows a hand, and what of it lies on the hand, hidden parts too."""

from dataclasses import dataclass

import numpy as np

from knuckle.sample.validate import check_array


@dataclass(frozen=True, eq=False)
class HandMasks:
    """Masks of a picture.

    Attributes:
        visible: (H, W) bool, pixels that show the hand; None where that is not known.
        complete: (H, W) bool, pixels that the hand covers, also those where something lies in front of it; likewise.

    Raises:
        ValueError: they differ in size, or are not boolean.
    """

    visible: np.ndarray | None = None
    complete: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = {name: mask for name in ("visible", "complete") if (mask := getattr(self, name)) is not None}
        for name, mask in given.items():
            check_array(name, mask, ("H", "W"), "boolean")
        if len({mask.shape for mask in given.values()}) > 1:
            raise ValueError(f"visible and complete must agree in size but got {[m.shape for m in given.values()]}")
