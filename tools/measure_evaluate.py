"""Time and memory of `knuckle eval` on a whole training set of meshes.

    python tools/measure_evaluate.py [--hands 130240] [--folder DIR]

Writes truth and predictions as .npy files (2.5 GB for 130,240 hands of 778 vertices, removed afterwards unless a folder
is given), memory-maps them and evaluates them under FreiHAND's protocol.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from knuckle.evaluate import PROTOCOLS, evaluate
from knuckle.evaluate.table import print_report
from timings.evaluation import read_arrays, write_arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hands", type=int, default=130_240)
    parser.add_argument("--folder", type=Path, help="keep the arrays here, and reuse them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "meshes.npy").exists():
            # In a child process, so that its memory does not count as that of the evaluation.
            child = os.fork()
            if child == 0:
                write_arrays(folder, options.hands)
                os._exit(0)
            os.waitpid(child, 0)
        begun, load = time.perf_counter(), os.getloadavg()[0]
        truth, predictions = read_arrays(folder)
        with Progress(disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("scoring", total=len(truth))
            report = evaluate(truth, predictions, PROTOCOLS["freihand"], advance=lambda n: progress.advance(task, n))
        seconds = time.perf_counter() - begun
    print_report(report, Console())
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{len(truth)} hands in {seconds:.1f} s on {os.cpu_count()} cores ({used.ru_utime + used.ru_stime:.1f} s of "
        f"processor time), {1e3 * seconds / len(truth):.3f} ms a hand, peak memory {used.ru_maxrss / 1e6:.2f} GB, "
        f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    )


if __name__ == "__main__":
    main()
