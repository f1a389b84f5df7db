"""Crops of hands with as many of each category of held object in a batch as of every other."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from knuckle.sample import Batch, Sample
from knuckle.systems.crops import Crops
from knuckle.systems.system import Part


class BalancedCrops:
    """The source (`knuckle.systems.system.Source`) of the same examples, each data set in parts by category.

    A part is named NAME/CATEGORY, NAME alone where a set has no categories, or holds what has none. The parts of a set
    share its share of a batch alike; sets without a share divide what the others leave by their sizes.

    Args:
        crops: whose records have the label object_category.
        categories: that count; others are as none.
    """

    def __init__(self, crops: Crops, categories: Sequence[str]) -> None:
        self._crops = crops
        shares = _shares(crops.parts)
        self.parts: list[Part] = []
        order, begin = [], 0
        for part, share in zip(crops.parts, shares, strict=True):
            rows = np.arange(begin, begin + part.count)
            begin += part.count
            kinds = np.array([crops.category(int(i)) or "" for i in rows])
            kinds[~np.isin(kinds, categories)] = ""
            names = sorted(set(kinds.tolist()))
            for name in names:
                chosen = rows[kinds == name]
                title = f"{part.name}/{name}" if name else part.name
                self.parts.append(replace(part, name=title, count=len(chosen), share=share / len(names)))
                order.append(chosen)
        self._order = np.concatenate(order)

    def __len__(self) -> int:
        return len(self._crops)

    def group(self, index: int) -> str:
        """See Source."""
        return self._crops.group(int(self._order[index]))

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """See Source."""
        return self._crops.sample(int(self._order[index]), rng)

    def collate(self, samples: Sequence[Any]) -> Batch:
        """See Source."""
        return self._crops.collate(samples)


def _shares(parts: Sequence[Part]) -> list[float]:
    """Each set's share of a batch."""
    given = sum(part.share for part in parts if part.share is not None)
    rest = sum(part.count for part in parts if part.share is None)
    return [(1.0 - given) * part.count / rest if part.share is None else part.share for part in parts]
