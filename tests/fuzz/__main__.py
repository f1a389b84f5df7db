"""`python -m fuzz`: damaged files for every reader, and a table of what became of them."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fuzz.limits import Outcome, Read, outcomes
from fuzz.mutate import damaged
from fuzz.target import Target
from fuzz.targets import TARGETS

_BATCH = 500


def reads(target: Target, seeds: list[bytes], folder: Path, first: int, count: int, seed: int) -> Iterator[Read]:
    """The damaged files `first` to `first + count`, which are made when they are read."""

    path = target.prepare(folder)
    for number in range(first, first + count):
        yield Read(
            lambda number=number: path.write_bytes(damaged(seeds, np.random.default_rng([seed, number]))),
            lambda: target.read(path),
        )


def fuzzed(name: str, count: int, seed: int) -> Iterator[Outcome]:
    """What becomes of `count` damaged files for a reader."""
    target = TARGETS[name]
    seeds = target.seeds()
    for first in range(0, count, _BATCH):
        # In memory where that can be had: the disk is no part of this.
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
            part = min(_BATCH, count - first)
            yield from outcomes(reads(target, seeds, Path(folder), first, part, seed))


def main() -> int:
    """Prints a line for each reader, and each fault with what makes it again; 1 where there is a fault."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this reader; may be repeated")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    names = options.target or list(TARGETS)
    faults = 0
    print(f"| {'reader':18} | inputs | read | refused | faults | slowest, s | most memory, MB | minutes |")
    print(f"|{'-' * 20}|---|---|---|---|---|---|---|")
    for name in names:
        began, found = time.monotonic(), []
        for number, outcome in enumerate(fuzzed(name, -(-options.inputs // len(names)), options.seed)):
            found.append(outcome)
            if outcome.fault:
                faults += 1
                print(f"{name}, seed {options.seed}, input {number}: {outcome.fault}", file=sys.stderr, flush=True)
        ended = [outcome.ended for outcome in found]
        print(
            f"| {name:18} | {len(found)} | {ended.count('read')} | {ended.count('refused')} "
            f"| {sum(bool(o.fault) for o in found)} | {max(o.seconds for o in found):.2f} "
            f"| {max(o.megabytes for o in found):.0f} | {(time.monotonic() - began) / 60:.1f} |",
            flush=True,
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
