"""Kills commands at random moments, runs them again, and compares with a run that was left alone.

    python tools/kill_commands.py --kills 20

Under their final names there may only be whole files, those of the undisturbed run, after the kill and after the next
run; then nothing else is left either.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "hand.jpg"
_KNUCKLE = "import sys; from knuckle.cli import main; sys.exit(main())"
_SYNTH = (
    "import sys; from pathlib import Path; from knuckle.synth import Settings, write_shards\n"
    "if __name__ == '__main__': write_shards(Path(sys.argv[1]), Settings('crop', 128, 3), 320, 2, 8)"
)
_NETWORK = (
    "stem=[8]",
    "widths=[8, 16, 16]",
    "blocks=[1, 1, 1]",
    "width=16",
    "layers=1",
    "crop.size=32",
    "crop.patch=48",
)
_TIME = re.compile(rb'"seconds": [\d.]+')  # a checkpoint says how long it took
_SMALL = tuple(word for setting in _NETWORK for word in ("--set", setting))


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Attributes:
        arguments: of it, `OUT` standing for the folder of its results.
        ignored: what of that may differ between two runs: times, and logs of what was done when.
        parts: a pattern of the files that it writes one after the other. It is killed when a random number of them is
            there; without a pattern at a random moment, on a busy machine maybe before it begins or after it ends.
    """

    arguments: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    parts: str = ""


def commands(folder: Path) -> dict[str, Killed]:
    """The commands by name; their inputs are written into `folder`."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(8):
        shutil.copy(EXAMPLE, pictures / f"{number}.jpg")
    _film(folder / "film.mp4")
    hands = _truth(folder / "truth")
    script = folder / "synth.py"
    script.write_text(_SYNTH)
    knuckle = (sys.executable, "-c", _KNUCKLE)
    kinds = ("--save", "json,overlay,glb,bvh,npz,csv,coco")
    data = folder / "truth"
    scores = ("--json", "OUT/scores.json", "--plots", "OUT/plots")
    training = ("--steps", "12", "--batch", "4", "--threads", "1", "--save-every", "4", *_SMALL)
    return {
        "predict, pictures": Killed((*knuckle, "predict", str(pictures), "--out", "OUT", *kinds)),
        "predict, a video": Killed((*knuckle, "predict", str(folder / "film.mp4"), "--out", "OUT", *kinds)),
        "synth": Killed((sys.executable, str(script), "OUT"), parts="shard-*.tar"),
        "eval": Killed((*knuckle, "eval", str(hands), "--protocol", "own", "--root", str(data), *scores)),
        "train": Killed(
            (*knuckle, "train", "shipped", "--data", f"truth:{data}", "--out", "OUT", *training),
            ("log.jsonl", "records"),
        ),
    }


def _film(path: Path) -> None:
    import av
    import cv2

    from knuckle.image import read_picture

    image = cv2.resize(read_picture(EXAMPLE), (320, 240))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(np.roll(image, number, axis=1).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _truth(folder: Path) -> Path:
    """A small data set of the example, and predictions for it; their folder is returned."""
    import json

    from knuckle import Predictor
    from knuckle.image import read_picture

    image = read_picture(EXAMPLE)
    (hand,) = Predictor()(image, max_hands=1)
    (folder / "images").mkdir(parents=True)
    (folder / "predictions").mkdir()
    entries = []
    for number in range(24):
        shutil.copy(EXAMPLE, folder / "images" / f"{number}.jpg")
        joints = (hand.joints_camera + np.array([0.0, 0.0, 0.001 * number])).tolist()
        entries.append({"image": f"{number}.jpg", "side": hand.side, "joints_camera": joints})
        entries[-1]["K"] = np.asarray(hand.camera.K).tolist()
        found = {"size": list(image.shape[1::-1]), "hands": [hand.to_json()]}
        (folder / "predictions" / f"{number}.json").write_text(json.dumps(found))
    (folder / "truth.json").write_text(json.dumps(entries))
    return folder / "predictions"


def contents(out: Path, ignored: tuple[str, ...]) -> dict[str, bytes]:
    """The files under final names: hidden ones are unfinished."""
    found = {}
    for path in sorted(out.rglob("*")):
        parts = path.relative_to(out).parts
        if path.is_file() and not any(part.startswith(".") or part in ignored for part in parts):
            data = path.read_bytes()
            found["/".join(parts)] = _TIME.sub(b"", data) if path.name == "config.json" else data
    return found


@dataclass(frozen=True)
class Moment:
    """When a command is killed: so many seconds after so many of its parts are there."""

    seconds: float
    parts: int = 0


def run(command: Killed, out: Path, moment: Moment | None = None) -> bool:
    """Runs a command; whether it was killed at the moment, with all its processes, before it ended."""
    arguments = [part.replace("OUT", str(out)) for part in command.arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(arguments, stdout=quiet, stderr=subprocess.PIPE, start_new_session=True)
    while moment is not None and len(list(out.glob(command.parts or "*"))) < moment.parts and process.poll() is None:
        time.sleep(0.01)
    try:
        _, errors = process.communicate(timeout=None if moment is None else moment.seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    if process.returncode != 0:
        raise RuntimeError(f"{arguments} must end with 0 but ended with {process.returncode}: {errors.decode()[-500:]}")
    return False


def random_moment(command: Killed, out: Path, seconds: float, rng: np.random.Generator) -> Moment:
    """While the command works; `out` and `seconds` are those of the undisturbed run."""
    parts = len(list(out.glob(command.parts))) if command.parts else 0
    if parts < 2:
        return Moment(float(rng.uniform(0.3, 1.0)) * seconds)
    return Moment(float(rng.uniform(0.0, seconds / parts)), int(rng.integers(parts - 1)))


def differences(found: dict[str, bytes], expected: dict[str, bytes], partial: bool) -> list[str]:
    """What is not as in the undisturbed run; `partial`: files may be missing, and lists of files shorter."""
    wrong = [f"{name} is not whole" for name in found if name in expected and found[name] != expected[name]]
    wrong += [f"{name} is too much" for name in found if name not in expected]
    wrong += [] if partial else [f"{name} is missing" for name in expected if name not in found]
    # A manifest lists the shards so far, and older checkpoints are removed by newer ones.
    return [line for line in wrong if not partial or not line.startswith(("manifest.json", "step-"))]


def main() -> int:
    """Prints a line for each command; 1 where a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", action="append", default=None)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    harm = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, command in commands(folder).items():
            if options.only and name not in options.only:
                continue
            rng = np.random.default_rng(options.seed)
            out = folder / "out"
            began = time.monotonic()
            run(command, out)
            seconds = time.monotonic() - began
            moments = [random_moment(command, out, seconds, rng) for _ in range(options.kills)]
            expected, left, killed = contents(out, command.ignored), 0, 0
            for number, moment in enumerate(moments):
                shutil.rmtree(out)
                killed += run(command, out, moment)
                out.mkdir(exist_ok=True)
                wrong = differences(contents(out, command.ignored), expected, partial=True)
                left += any(path.name.startswith(".") for path in out.rglob("*"))
                run(command, out)
                wrong += differences(contents(out, command.ignored), expected, partial=False)
                wrong += [f"{p.name} is left" for p in out.rglob(".*") if not set(p.parts) & set(command.ignored)]
                for line in wrong:
                    harm += 1
                    print(
                        f"{name}, kill {number} after {moment.parts} parts and {moment.seconds:.2f} s: {line}",
                        flush=True,
                    )
            shutil.rmtree(out)
            print(
                f"{name}: {killed} of {options.kills} killed within {seconds:.1f} s, {left} left unfinished files, "
                f"{len(expected)} results identical afterwards" + (f", {harm} PROBLEMS so far" if harm else ""),
                flush=True,
            )
    return 1 if harm else 0


if __name__ == "__main__":
    sys.exit(main())
