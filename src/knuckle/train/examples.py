"""Batches made of a source's examples, each from a generator seeded by the run, the step and its place in the batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from knuckle.systems.system import Source, Stage
from knuckle.train.order import Order


def make_batch(
    source: Source,
    indices: np.ndarray,
    places: Sequence[int],
    seed: tuple[int, ...],
    pool: ThreadPoolExecutor | None = None,
) -> Any:
    """Some of the examples of a batch.

    Args:
        source: of the examples.
        indices: of the whole batch.
        places: which of them, so that an example is the same however a batch is divided.
        seed: of the batch; the example at a place draws from a generator seeded with (*seed, place).
        pool: threads to make them on; None makes them here.
    """

    def example(place: int) -> Any:
        return source.sample(int(indices[place]), np.random.default_rng([*seed, place]))

    return source.collate(list((map if pool is None else pool.map)(example, places)))


class _Steps:
    """Steps of a stage as a torch data set: item i is this process's part of batch i."""

    def __init__(self, source: Source, order: Order, stage: Stage, number: int, rank: int, ranks: int) -> None:
        self._source, self._order, self._stage, self._number = source, order, stage, number
        self._rank, self._ranks = rank, ranks

    def __getitem__(self, item: tuple[int, tuple[int, ...]]) -> Any:
        step, seed = item
        indices = self._order.indices(self._stage, self._number, step)
        return make_batch(self._source, indices, range(self._rank, len(indices), self._ranks), seed)


def prefetched(
    source: Source,
    order: Order,
    stage: Stage,
    number: int,
    first: int,
    seeds: Iterator[tuple[int, ...]],
    workers: int,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Any]:
    """The batches of a stage from step `first` on, made ahead by worker processes, the same as those made here.

    Args:
        source, order: of the examples.
        stage, number: the stage, and which it is.
        first: step of the stage.
        seeds: of the batches from there on.
        workers: processes.
        rank, ranks: which part of every batch.
    """
    steps = ((first + i, seed) for i, seed in enumerate(seeds))
    data: Any = _Steps(source, order, stage, number, rank, ranks)
    # One batch an item: the sampler says which step, the worker makes the whole of it. Workers are forked: records are
    # memory-mapped and would otherwise be copied.
    return iter(DataLoader(data, batch_size=None, sampler=steps, num_workers=workers, multiprocessing_context="fork"))  # pyright: ignore[reportArgumentType]
