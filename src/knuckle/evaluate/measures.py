"""What is measured of a hand where it is predicted, picture in hand: masks, and the held object's category."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from knuckle.sample import Hand, Sample

# Hidden parts of fewer pixels are all border.
_MIN_HIDDEN = 20
MEASURES: Mapping[str, tuple[str, str, float]] = MappingProxyType(
    {
        "mask_visible_iou": ("mask of what is visible, IoU", "", 1.0),
        "mask_complete_iou": ("mask of the whole hand, IoU", "", 1.0),
        "mask_hidden_iou": ("the same within the held object, IoU", "", 1.0),
        "category_right": ("category of the held object", "%", 100.0),
    }
)


def measures_of(hand: Hand | None, sample: Sample) -> dict[str, float]:
    """Intersection over union of masks, and whether the category is right (1 or 0); what cannot be said is left out.

    The hidden part is compared within the held object's visible pixels: which of them lie in front of the hand. Hands
    with fewer than 20 such pixels do not count.

    Args:
        hand: as predicted.
        sample: the labels, with masks where there are any.
    """
    if hand is None:
        return {}
    found: dict[str, float] = {}
    masks = hand.masks
    if masks is not None:
        if masks.visible is not None and sample.mask_visible is not None and sample.mask_visible.any():
            found["mask_visible_iou"] = iou(masks.visible, sample.mask_visible)
        whole = sample.mask_complete
        if masks.complete is not None and whole is not None and whole.any():
            found["mask_complete_iou"] = iou(masks.complete, whole)
            behind = None if sample.object_mask is None else whole & sample.object_mask
            if behind is not None and behind.sum() >= _MIN_HIDDEN:
                found["mask_hidden_iou"] = iou(masks.complete & np.asarray(sample.object_mask), behind)
    if hand.object is not None and hand.object.category is not None and sample.object_category is not None:
        found["category_right"] = float(hand.object.category == sample.object_category)
    return found


def iou(guess: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks of one size, at least one of which is not empty."""
    return float((guess & truth).sum() / (guess | truth).sum())


def stacked(rows: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Each measure of N hands as (N,), NaN where it is left out; none that all leave out."""
    names = [name for name in MEASURES if any(name in row for row in rows)]
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
