"""Batches in an order, and with augmentations, that depend on the seed and the step alone.

So a run that was stopped goes on with exactly the batches it would have had.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from knuckle.systems.system import Records, System

# One record in so many is held out.
HELD_OUT = 50


def count_records(records: Records) -> int:
    """The number of examples."""
    return len(next(iter(records.values())))


def held_out(records: Records) -> np.ndarray:
    """Indices never trained on."""
    return np.arange(0, count_records(records), HELD_OUT)


def order_of_epoch(records: Records, seed: int, epoch: int) -> np.ndarray:
    """All indices to train on, shuffled."""
    count = count_records(records)
    kept = np.setdiff1d(np.arange(count), held_out(records)) if count > HELD_OUT else np.arange(count)
    return np.random.default_rng([seed, 1, epoch]).permutation(kept)


def indices_of_step(records: Records, seed: int, step: int, size: int) -> np.ndarray:
    """Which records a step sees: epochs follow each other without a seam."""
    first = step * size
    length = len(order_of_epoch(records, seed, 0))
    wanted = np.arange(first, first + size)
    epochs = {int(e): order_of_epoch(records, seed, int(e)) for e in np.unique(wanted // length)}
    return np.array([epochs[int(at // length)][at % length] for at in wanted])


def make_batch(
    system: System, records: Records, indices: np.ndarray, seed: tuple[int, ...], pool: ThreadPoolExecutor | None = None
) -> dict[str, Tensor]:
    """Augments one example for each index, on the pool's threads if there is one, and stacks them.

    Args:
        seed: of this batch; example i draws from a generator seeded with (*seed, i).
    """
    job = partial(_example, system, records, seed)
    run = map if pool is None else pool.map
    examples: list[Mapping[str, np.ndarray]] = list(run(job, range(len(indices)), indices.tolist()))
    return {name: torch.from_numpy(np.stack([e[name] for e in examples])) for name in examples[0]}


def _example(
    system: System, records: Records, seed: tuple[int, ...], place: int, index: int
) -> Mapping[str, np.ndarray]:
    return system.example(records, int(index), np.random.default_rng([*seed, place]))
