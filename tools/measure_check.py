"""Detection and false alarm rates of `knuckle check` on recorded hands.

    python tools/measure_check.py RECORDING ... [--frames 300]

A recording is as in tools/measure_fit.py. Each is checked as it is and with one corruption at a time: as a whole file,
and frame by frame as files of one frame. Hands of the model in random poses of the generator and random shapes
(from a small child's to a large man's) are added, with and without noise. Not with every angle anywhere within its
limits: such hands are mostly impossible, and are found to be.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from build_human_limits import model_hands
from knuckle.check import check_poses
from knuckle.handmodel import HandModel
from knuckle.skeleton import from_common, wrist_to_palm
from measure_fit import read_recording

OTHER = {"left": "right", "right": "left"}
# name -> (transformation of the joints, whether the wrong side is given, the expected kinds of finding)
CORRUPTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool, set[str]]] = {
    "as it is": (lambda joints: joints, False, set()),
    "other side": (lambda joints: joints, True, {"side"}),
    "millimetres": (lambda joints: 1000 * joints, False, {"unit"}),
    "centimetres": (lambda joints: 100 * joints, False, {"unit"}),
    **{
        f"order {name}": (lambda joints, name=name: from_common(joints, name), False, {"order"})
        for name in ("rhd", "stb", "mano_manopth", "mano_minimal_hand", "fpha", "interhand", "ait")
    },
    "palm as root": (lambda joints: wrist_to_palm(joints, "middle_2"), False, {"root"}),
    "all at once": (lambda joints: 1000 * from_common(joints, "rhd"), True, {"side", "unit", "order"}),
}


def measure(model: HandModel, joints: np.ndarray, side: str) -> list[tuple[str, str, float, float]]:
    """For each corruption: the file's verdict, and the fractions of frames with expected and with other findings."""
    rows = []
    for name, (corrupt, swapped, expected) in CORRUPTIONS.items():
        corrupted, given = corrupt(joints), OTHER[side] if swapped else side
        whole = {finding.kind for finding in check_poses(corrupted, given, model).findings}
        verdict = "right" if whole == expected else f"{', '.join(sorted(whole)) or 'nothing'}"
        found = [{finding.kind for finding in check_poses(frame[None], given, model).findings} for frame in corrupted]
        named = float(np.mean([kinds >= expected for kinds in found]))
        more = float(np.mean([bool(kinds - expected) for kinds in found]))
        rows.append((name, verdict, named, more))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=300, help="of each recording, and random hands")
    arguments = parser.parse_args()
    model, console = HandModel.open(), Console()
    random = model_hands(model, arguments.frames, np.random.default_rng(0))[-arguments.frames :]
    noise = np.random.default_rng(1).normal(size=random.shape)
    sets = [("random hands", "right", random), ("random hands, 3 mm noise", "right", random + 0.003 * noise)]
    for path in arguments.recordings:
        sets += [(f"{path.name} {side}", side, joints) for side, joints in read_recording(path).items()]
    for title, side, joints in sets:
        table = Table(title=f"{title}: {len(joints[: arguments.frames])} frames", min_width=90)
        for column in ("given", "the file is called", "frames named, %", "frames with anything else, %"):
            table.add_column(column, justify="left" if column.endswith(("given", "called")) else "right")
        for name, verdict, named, more in measure(model, joints[: arguments.frames], side):
            table.add_row(name, verdict, f"{100 * named:.1f}", f"{100 * more:.1f}")
        console.print(table)


if __name__ == "__main__":
    main()
