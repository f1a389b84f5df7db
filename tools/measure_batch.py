"""Times `Predictor.batch` beside a loop over the same pictures.

python tools/measure_batch.py [PICTURE...]     examples/hand.jpg if none is given

Both take turns, ten times each. Time of the processor is what both cost it, elapsed time what a person waits; the
latter is only worth reading on a machine that does nothing else.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from knuckle import Predictor, read_image

PICTURES, ROUNDS = 16, 10


def times(run: Callable[[], object]) -> tuple[float, float]:
    """Elapsed and processor's milliseconds a picture."""
    elapsed, processor = time.perf_counter(), time.process_time()
    run()
    return 1e3 * (time.perf_counter() - elapsed) / PICTURES, 1e3 * (time.process_time() - processor) / PICTURES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", default=[Path("examples/hand.jpg")])
    given = [read_image(path) for path in parser.parse_args().pictures]
    images = [given[i % len(given)] for i in range(PICTURES)]
    one_by_one, together = Predictor(), Predictor(threads=1)
    ways = {"loop": lambda: [one_by_one(image) for image in images], "batch": lambda: together.batch(images)}
    found = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, run in ways.items():
            found[name].append(times(run))
    # The first time is a warm-up.
    medians = {name: np.median(measured[1:], axis=0) for name, measured in found.items()}
    for name, (elapsed, processor) in medians.items():
        print(f"{name:6} {elapsed:7.1f} ms elapsed, {processor:7.1f} ms of the processor a picture")
    ratio = medians["batch"] / medians["loop"]
    print(f"batch / loop: {ratio[0]:.2f} elapsed, {ratio[1]:.2f} of the processor; {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
