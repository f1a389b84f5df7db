"""Which examples a step sees, by the seed and the step alone: a run that was stopped goes on with its own batches."""

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from knuckle.systems.system import Part, Source, Stage

# Part of a data set above which a single group is too large to be held out.
_LARGEST_GROUP = 0.1


class Order:
    """The order of a source's examples.

    Whole groups are held out, the same ones in every run: a group is a picture, a video or a subject. A group that is
    held out of one part is held out of all: the same pictures may be there twice, once with labels in space and once
    without. Sets in which every group is too large are used for training as a whole.

    Args:
        source: of the examples.
        seed: of the run.

    Attributes:
        held_out: indices never trained on, of each part.
    """

    def __init__(self, source: Source, seed: int) -> None:
        self._seed = seed
        self.parts = list(source.parts)
        self.held_out: list[np.ndarray] = []
        self._kept: list[np.ndarray] = []
        ends = np.cumsum([part.count for part in self.parts])
        every = [np.arange(end - part.count, end) for part, end in zip(self.parts, ends, strict=True)]
        groups = [np.array([source.group(int(i)) for i in indices]) for indices in every]
        chosen = list(_held_out(groups, [part.held_out for part in self.parts]))
        for indices, names in zip(every, groups, strict=True):
            out = np.isin(names, chosen)
            self.held_out.append(indices[out])
            self._kept.append(indices[~out])
        self._epoch = lru_cache(maxsize=2 * len(self.parts) + 2)(self._shuffled)

    def indices(self, stage: Stage, number: int, step: int) -> np.ndarray:
        """The examples of a step.

        Args:
            stage: at hand, and which it is in the run, `number`.
            step: of the stage.

        Returns:
            (stage.batch,) indices, shuffled. In each part, epochs follow each other without a seam.
        """
        found = []
        for pool, count in self._pools(stage):
            length = sum(len(self._kept[i]) for i in pool)
            at = np.arange(step * count, (step + 1) * count)
            for epoch in np.unique(at // length):
                found.append(self._epoch(pool, number, int(epoch))[at[at // length == epoch] % length])
        every = np.concatenate(found)
        return np.random.default_rng([self._seed, 4, number, step]).permutation(every)

    def _shuffled(self, pool: tuple[int, ...], number: int, epoch: int) -> np.ndarray:
        every = np.concatenate([self._kept[i] for i in pool])
        return np.random.default_rng([self._seed, 1, number, epoch, *pool]).permutation(every)

    def _pools(self, stage: Stage) -> list[tuple[tuple[int, ...], int]]:
        """Parts that are drawn from together, with their number of examples in a batch."""
        counts = examples_of_batch(self.parts, stage.batch, stage.mix)
        pools: list[tuple[tuple[int, ...], int]] = [
            ((i,), count) for i, count in enumerate(counts) if count is not None and count > 0
        ]
        rest = tuple(i for i, count in enumerate(counts) if count is None)
        if rest:
            pools.append((rest, stage.batch - sum(count for _, count in pools)))
        return pools


def examples_of_batch(parts: Sequence[Part], batch: int, mix: Mapping[str, float]) -> list[int | None]:
    """How many examples of a batch come from each part; None for those that fill the rest in proportion to their sizes.

    Args:
        parts: with the shares of the command line.
        batch: examples a step.
        mix: shares by name, over those.

    Raises:
        ValueError: the mix names no part, or the shares cannot be met.
    """
    unknown = set(mix) - {part.name for part in parts}
    if unknown:
        names = ", ".join(part.name for part in parts)
        raise ValueError(f"mix must name data sets of the run ({names}) but names {', '.join(sorted(unknown))}")
    if wrong := {name: share for name, share in mix.items() if not 0 <= share <= 1}:
        raise ValueError(f"shares of a mix must be 0 to 1 but got {wrong}")
    shares = [mix.get(part.name, part.share) for part in parts]
    given = sum(share for share in shares if share is not None)
    open_parts = [part.name for part, share in zip(parts, shares, strict=True) if share is None]
    if given > 1 + 1e-6 or (open_parts and given > 1 - 1e-6):
        rest = f"; nothing is left for {', '.join(open_parts)}" if open_parts else ""
        raise ValueError(f"shares of a batch must add up to at most 1 but add up to {given:g}{rest}")
    if not open_parts and not given > 0:
        raise ValueError("a mix must draw from one data set at least but leaves all of them out")
    if open_parts:
        counts = [None if share is None else round(share * batch) for share in shares]
    else:
        # Without a rest the shares are taken as ratios.
        ends = np.rint(np.cumsum([0.0 if s is None else s for s in shares]) / given * batch).astype(int)
        counts = [int(c) for c in np.diff(ends, prepend=0)]
    counts = [1 if count == 0 and share else count for count, share in zip(counts, shares, strict=True)]
    fixed = sum(count for count in counts if count is not None)
    if fixed + bool(open_parts) > batch:
        raise ValueError(f"a batch of {batch} is too small for {len(parts)} data sets with shares; make it larger")
    if not open_parts and fixed < batch:
        largest = int(np.argmax([c or 0 for c in counts]))
        counts[largest] = (counts[largest] or 0) + batch - fixed
    return counts


def _held_out(parts: Sequence[np.ndarray], shares: Sequence[float]) -> set[str]:
    """The groups that are held out.

    Args:
        parts: the group of each example, part by part.
        shares: of each part, how much of it is held out.
    """
    counted = [dict(zip(*np.unique(groups, return_counts=True), strict=True)) for groups in parts]
    large = {
        name
        for counts, groups in zip(counted, parts, strict=True)
        for name, count in counts.items()
        if count > _LARGEST_GROUP * len(groups)
    }
    chosen: set[str] = set()
    for counts, groups, share in zip(counted, parts, shares, strict=True):
        covered = 0
        for name in sorted(counts, key=lambda name: zlib.crc32(str(name).encode())):
            if covered >= share * len(groups):
                break
            if name not in large:
                chosen.add(str(name))
                covered += counts[name]
    return chosen
