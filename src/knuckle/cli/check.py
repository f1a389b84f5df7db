"""`knuckle check`: verify unit, joint order, side and anatomical plausibility of recorded joints."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def check(
    poses: Path,
    *,
    side: Literal["left", "right"] | None = None,
    track: Annotated[int | None, Parameter(name="--id")] = None,
    limits: Path | None = None,
    json: bool = False,
) -> int:
    """Find anatomically impossible poses and their causes: limits, bone proportions, side, unit, joint order.

    The exit status is 0 when there are no findings, 1 when there are, 2 when joints are missing or the file cannot be
    read.

    Examples:

        knuckle check recording.npy

        knuckle check left_hand.json --side left --json

        knuckle check recording.npy --limits my_limits.npz

    Parameters
    ----------
    poses
        A .npy, .npz (array `joints`) or .json file of (N, 21, 3) joints, expected to be in metres and in the common
        order: wrist, then thumb, index, middle, ring, little, each from base to tip. Or a .json, .jsonl, .npz or .csv
        file of `knuckle predict`.
    side
        Which hand was recorded; as the file says, right where it does not. Of a file with both, the one to check.
    track
        Of a video with several hands, the one to check.
    limits
        A file of `knuckle limits`, such as of the same person, in place of the limits of all human hands.
    json
        Print the report as JSON.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.check import check_poses
    from knuckle.cli.options import chosen_hands
    from knuckle.handmodel import HandLimits
    from knuckle.posefile import require_finite

    known = None if limits is None else HandLimits.load(limits)
    recording, side = chosen_hands(poses, side, track)
    joints = recording.joints
    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=len(joints))
        report = check_poses(
            joints,
            side,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            limits=known,
        )
    if json:
        import json as json_text

        print(json_text.dumps(report.to_json(), indent=1))
    else:
        print("\n".join(report.lines()))
    require_finite(joints, poses)
    return 0 if report.ok else 1
