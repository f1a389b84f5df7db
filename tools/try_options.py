"""Options of the hand network's training beside each other: a table of errors, mean and spread over seeds, in Markdown.

    python tools/try_options.py WORK --data pictures@0.7 --data weak:photographs:2d@0.3 --steps 2000
        --held-out PICTURES --held-things PICTURES --photographs FOLDER [--option "--set fuse=48" ...]

Every row is trained from one checkpoint for as many steps, on the same examples: as the system `shipped` is by default,
with fusion between fingers, with the mask of the whole hand as a further task, and with each --option, which is more of
`knuckle train`. PICTURES are of `knuckle synth`, drawn with another seed than those of --data; FOLDER has photographs
and their truth.json (`tools/score_photographs.py`). The former are scored with crops from the truth, the photographs as
`knuckle predict` finds their hands, a missed one at 50 mm and 50 px. The time is the processor's, of one crop.

The same command goes on where it was stopped.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.network import HandGraph
from knuckle.train import checkpoint
from score_photographs import read_hands, read_truth, score_joints

OPTIONS = ("", "--set fuse=24", "--set stages.0.losses.mask=1")
METRICS = ("PA-MPJPE, mm", "2D, px")
_KNUCKLE = (sys.executable, "-c", "import sys; from knuckle.cli import main; sys.exit(main())")
_LOOKS = 100  # of which the fastest counts: other work on the machine slows some down

Scores = dict[str, float]


class TrialFailed(RuntimeError):
    """A command ended with an error, or the folder is of another trial; the message says what to do."""


@dataclass(frozen=True)
class Trial:
    """What a network is trained and scored with, beside the option and the seed.

    Attributes:
        work: folder of all runs.
        train: of `knuckle train shipped`, in all rows alike.
        generated: folders of generated pictures by the name of their columns.
        photographs: folder with truth.json.
    """

    work: Path
    train: tuple[str, ...]
    generated: dict[str, Path]
    photographs: Path

    def folder(self, option: str, seed: int) -> Path:
        """Of one run."""
        return self.work / (re.sub(r"[^\w.=-]+", "-", option).strip("-") or "default") / f"seed-{seed}"

    def command(self, option: str, seed: int) -> list[str]:
        """Of `knuckle`: what trains one run."""
        out = str(self.folder(option, seed) / "run")
        return ["train", "shipped", "--out", out, "--seed", str(seed), *self.train, *shlex.split(option)]


def run(trial: Trial, option: str, seed: int, call: Callable[[Sequence[str]], None]) -> Scores:
    """Trains and scores one network, or reads what it scored; `call` runs a command of `knuckle`.

    Raises:
        TrialFailed: the folder holds the scores of another training.
    """
    folder, train = trial.folder(option, seed), trial.command(option, seed)
    about = {
        "train": train,
        "scored on": [str(path) for path in (*trial.generated.values(), trial.photographs)],
    }
    done = folder / "scores.json"
    if done.exists():
        kept = json.loads(done.read_text())
        if {name: kept[name] for name in about} != about:
            raise TrialFailed(f"{done} must be of this command but is of another; take another WORK, or remove it")
        return kept["scores"]
    _share_records(folder / "run", trial.work / "records")
    call(train)
    network = checkpoint.newest(folder / "run")
    if network is None:
        raise TrialFailed(f"knuckle train must leave a checkpoint in {folder / 'run'} but left none")
    model = folder / "hand.onnx"
    call(["export", str(network), "--out", str(model)])
    scores: Scores = {}
    for name, pictures in trial.generated.items():
        file = folder / f"{name}.json"
        rules = ["--protocol", "own", "--root", str(pictures), "--crops", "truth", "--resamples", "0"]
        call(["eval", str(model), *rules, "--json", str(file)])
        found = json.loads(file.read_text())["scores"]
        scores |= {
            f"{name}, {METRICS[0]}": found["joints_pa"]["value"],
            f"{name}, {METRICS[1]}": found["image"]["value"],
        }
    scores |= _score_photographs(trial.photographs, folder, model, call)
    scores["ms a crop"] = _milliseconds(model)
    with atomic_write(done) as file:
        file.write_text(json.dumps(about | {"scores": scores}, indent=1) + "\n")
    return scores


def _share_records(run: Path, records: Path) -> None:
    """Decoded pictures are large, and the same for all seeds."""
    records.mkdir(parents=True, exist_ok=True)
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "records").exists():
        (run / "records").symlink_to(records.resolve(), target_is_directory=True)


def _score_photographs(photographs: Path, folder: Path, model: Path, call: Callable[[Sequence[str]], None]) -> Scores:
    pictures, hands = photographs / "images", folder / "photographs"
    call(["predict", str(pictures if pictures.is_dir() else photographs), "--out", str(hands), "--model", str(model)])
    truth = read_truth(photographs)
    scores = score_joints(truth, read_hands(hands, truth))
    values = (scores.pa_mm.mean(), scores.pixels.mean())
    return {f"photographs, {metric}": float(value) for metric, value in zip(METRICS, values, strict=True)}


def _milliseconds(model: Path) -> float:
    graph = HandGraph(model, threads=1)
    picture = np.zeros((graph.contract.crop.size,) * 2 + (3,), np.uint8)
    times = []
    for _ in range(_LOOKS):
        start = time.process_time()
        graph(picture, [np.eye(2, 3)])
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def table(scores: dict[str, list[Scores]]) -> str:
    """Markdown: a row for each option; mean and standard deviation over its seeds."""
    columns = list(next(iter(scores.values()))[0])
    lines = [f"| training | {' | '.join(columns)} | seeds |", "|---" * (len(columns) + 2) + "|"]
    for option, of_seeds in scores.items():
        cells = [_cell([one[column] for one in of_seeds]) for column in columns]
        lines.append(f"| {f'`{option}`' if option else 'default'} | {' | '.join(cells)} | {len(of_seeds)} |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def call_knuckle(words: Sequence[str]) -> None:
    """Runs `knuckle`; after Ctrl-C, which it gets too, it is let write its checkpoint.

    Raises:
        TrialFailed: it ended with an error, which it has printed.
    """
    print("$ knuckle", shlex.join(words), file=sys.stderr, flush=True)
    with subprocess.Popen([*_KNUCKLE, *words]) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if status:
        raise TrialFailed(f"`knuckle {words[0]}` must end without an error but ended with status {status}")


def main(arguments: list[str] | None = None, call: Callable[[Sequence[str]], None] = call_knuckle) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for runs and scores")
    parser.add_argument("--data", action="append", required=True, metavar="SPEC", help="as of `knuckle train`")
    parser.add_argument("--held-out", type=Path, required=True, metavar="PICTURES", help="as those trained on")
    parser.add_argument("--held-things", type=Path, required=True, metavar="PICTURES", help="of hands that hold things")
    parser.add_argument("--photographs", type=Path, required=True, metavar="FOLDER", help="with truth.json")
    parser.add_argument("--from-checkpoint", type=Path, default=Path("checkpoints/hand"), metavar="FOLDER")
    parser.add_argument("--option", action="append", default=[], help='a further row: "--set fuse=48 --rate 5e-4"')
    parser.add_argument("--training", default="", help='of all rows: "--threads 1 --batch 128"')
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.steps < 1:
        parser.error(f"--seeds and --steps must be 1 or more but got {options.seeds} and {options.steps}")
    train = [word for spec in options.data for word in ("--data", spec)]
    train += ["--steps", str(options.steps), "--from-checkpoint", str(options.from_checkpoint)]
    generated = {"held out": options.held_out, "held things": options.held_things}
    trial = Trial(options.work, (*train, *shlex.split(options.training)), generated, options.photographs)
    scores: dict[str, list[Scores]] = {}
    try:
        # Seed by seed: what is stopped early has some of every row.
        for seed in range(options.seeds):
            for option in dict.fromkeys((*OPTIONS, *options.option)):
                found = run(trial, option, seed, call)
                scores.setdefault(option, []).append(found)
    except KeyboardInterrupt:
        print("try_options: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except (TrialFailed, OSError, ValueError) as error:
        print(f"try_options: {error}", file=sys.stderr)
        return 1
    finally:
        if scores:
            print(table(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
