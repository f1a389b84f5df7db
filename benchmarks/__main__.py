"""Runs a paper's tables with knuckle, and writes benchmarks/README.md from the results.

    python -m benchmarks shipped --list
    python -m benchmarks shipped --preset tiny --row 'without*' --seeds 0,1
    python -m benchmarks shipped --preset full --background
    python -m benchmarks --render

What has a result in benchmarks/results is not run again. Ctrl-C loses nothing: the same command goes on from there.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.papers import PAPERS, open_paper
from benchmarks.render import write_readme
from benchmarks.results import ROOT, RUNS, Job, read_result
from benchmarks.run import Runner, jobs_of, state_of
from benchmarks.tables import PRESETS


def parse_seeds(text: str) -> list[int]:
    """Numbers from "0,1,2"."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0:
        raise argparse.ArgumentTypeError(f"must be numbers such as 0,1,2 but got {text!r}")
    return list(dict.fromkeys(seeds))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 all asked for has a result, 1 some failed, 2 wrong words, 130 interrupted."""
    parser = argparse.ArgumentParser("benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paper", nargs="?", help=", ".join(PAPERS))
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--row", default="*", metavar="PATTERN", help="of rows' names, with * and ?")
    parser.add_argument("--table", default="*", metavar="PATTERN", help="of tables' titles likewise")
    parser.add_argument("--seeds", type=parse_seeds, help="such as 0,1,2; each row's own where not given")
    parser.add_argument(
        "--nice", type=int, default=19, choices=range(20), metavar="0..19", help="19: gives way to all else"
    )
    parser.add_argument("--background", action="store_true", help="detach, with a log file")
    parser.add_argument("--list", action="store_true", help="what there is, and what has a result")
    parser.add_argument("--render", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args(arguments)
    if options.render:
        print(f"wrote {write_readme().relative_to(ROOT)}")
        return 0
    if options.paper is None:
        parser.error(f"a paper must be named, one of {', '.join(PAPERS)}")
    try:
        jobs = jobs_of(open_paper(options.paper), options.preset, options.row, options.seeds, options.table)
        if options.list:
            return show(jobs)
        if options.background:
            return detach(list(sys.argv[1:] if arguments is None else arguments), RUNS / options.paper / options.preset)
        failed = Runner(nice=options.nice).run(jobs)
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there", file=sys.stderr)
        return 130
    print(f"{len(jobs) - len(failed)} of {len(jobs)} have a result; python -m benchmarks --render writes the tables")
    return 1 if failed else 0


def show(jobs: Sequence[Job]) -> int:
    """Prints the jobs, how far each is, and the commands of the first of each row."""
    seen = set()
    for job in jobs:
        if job.row.slug not in seen:
            seen.add(job.row.slug)
            print(f"{job.row.run_name}")
            print("\n".join(f"    {command}" for command in job.commands()))
        print(f"  seed {job.seed}: {state_of(job)}")
    print(f"{sum(read_result(job) is not None for job in jobs)} of {len(jobs)} have a result")
    return 0


def detach(arguments: list[str], folder: Path) -> int:
    """Starts the same call without --background in a session of its own, its output in a log file."""
    words = [word for word in arguments if word != "--background"]
    log = ROOT / folder / f"{datetime.now():%Y%m%d-%H%M%S}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "benchmarks", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(f"runs in the background\n  watch:  tail -f {log.relative_to(ROOT)}\n  stop:   kill {process.pid}")
    return 0


if __name__ == "__main__":
    # Told to end by a signal is Ctrl-C. What was started in the background ignores Ctrl-C, and so would its commands.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
