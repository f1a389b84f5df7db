"""What `make bench` runs: times, beside the last ones kept on this machine, and ratios between ways of doing a thing.

    python tools/bench.py [--only TEXT] [--seconds 2] [--rounds 5] [--out out/bench]
    MEDIAPIPE=~/mediapipe/bin/python PICTURES=~/pictures python tools/bench.py --only picture

To add a benchmark, write a function that returns a `Task` and give it a line in BENCHMARKS.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from timings import evaluation, hand, losses, predict
from timings.timing import Task, Timing, time_tasks

BENCHMARKS: dict[str, Callable[[], Task]] = {
    "skinning, torch, 64 hands": hand.torch_skinning,
    "skinning, torch, 64 hands, with backward": hand.torch_skinning_backward,
    "skinning, torch, 64 hands, blended 4x4 by einsum": hand.torch_skinning_einsum,
    "skinning, NumPy, one hand": hand.numpy_skinning,
    "skinning, NumPy, a vertex at a time": hand.numpy_skinning_naive,
    "fit, one hand": hand.fit_one,
    "fit, one hand, next frame of a video": hand.fit_one_warm,
    "fit, one hand, next frame of a video, constants kept": hand.fit_one_prepared,
    "fit, 256 hands, per hand": hand.fit_batch,
    "fit, one hand, from its mesh": hand.fit_mesh,
    "fit, one hand, scipy least_squares": hand.fit_one_scipy,
    "inverse kinematics by the network, one hand": hand.network_one,
    "inverse kinematics by the network, 256 hands, per hand": hand.network_batch,
    "fit, one hand, from the network": hand.fit_from_network,
    "biomechanical losses, 64 hands, with gradient": losses.few,
    "biomechanical losses, 64 hands, a hand at a time": losses.few_naive,
    "biomechanical losses, 4,096 hands, with gradient": losses.many,
    "evaluation, meshes, per hand": evaluation.freihand,
    "evaluation, meshes, a hand at a time": evaluation.freihand_naive,
    "picture to hands": predict.whole,
    "picture to hands, and what they hold": predict.with_objects,
    "picture to hands: decoding before it": predict.decode,
    "picture to hands: detector": predict.detect,
    "picture to hands: passes of the hand network": predict.estimate,
    "picture to hands: fit and mesh": predict.explain,
    "a video's next frame": predict.next_frame,
}
# Where it is installed; see timings/predict.py.
if os.environ.get("MEDIAPIPE"):
    BENCHMARKS[predict.MEDIAPIPE] = predict.mediapipe
    if os.environ.get("VIDEO"):
        BENCHMARKS[predict.MEDIAPIPE_VIDEO] = predict.mediapipe_video


def machine() -> dict[str, object]:
    """What the times depend on."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads_numpy": os.environ.get("OMP_NUM_THREADS", "unset"),
        "threads_torch": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


def processor_name() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def last_kept(folder: Path) -> dict[str, float]:
    """The newest median of every benchmark among the results in the folder."""
    medians: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        medians |= {name: row["median"] for name, row in json.loads(path.read_text())["ms"].items()}
    return medians


def keep(folder: Path, about: dict[str, object], timings: dict[str, Timing]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps({"machine": about, "ms": {n: asdict(t) for n, t in timings.items()}}, indent=1))
    return path


def table_of(tasks: dict[str, Task], timings: dict[str, Timing], before: dict[str, float]) -> Table:
    table = Table(title="Milliseconds")
    table.add_column("benchmark")
    for column in ("median", "10-90 %", "minimum", "goal", "to last"):
        table.add_column(column, justify="right")
    table.add_column("times as fast as")
    for name, timing in timings.items():
        task = tasks[name]
        goal = ""
        if task.goal_ms is not None:
            goal = f"{task.goal_ms:g}" + ("" if timing.median <= task.goal_ms else " missed")
        against = timings.get(task.against or "")
        table.add_row(
            name,
            f"{timing.median:.3f}",
            f"{timing.low:.3f}-{timing.high:.3f}",
            f"{timing.minimum:.3f}",
            goal,
            f"{timing.median / before[name]:.2f}" if name in before else "",
            "" if against is None else f"{against.median / timing.median:.1f}  {task.against}",
        )
    return table


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run the benchmarks whose name holds this")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args(arguments)
    console = Console(width=160)
    tasks = {name: prepare() for name, prepare in BENCHMARKS.items() if options.only in name}
    if not tasks:
        parser.error(f"--only must be part of a name but got {options.only!r}; the names are {', '.join(BENCHMARKS)}")
    about = machine()
    with console.status(f"timing {len(tasks)} benchmarks"):
        timings = time_tasks(tasks, options.seconds, options.rounds)
    before = last_kept(options.out)
    console.print(table_of(tasks, timings, before))
    console.print(", ".join(f"{name} {value}" for name, value in about.items()))
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        console.print("the machine is busy with other things: look at the minima, not at the medians")
    console.print(f"kept in {keep(options.out, about, timings)}")


if __name__ == "__main__":
    main()
