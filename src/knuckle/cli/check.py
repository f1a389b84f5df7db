"""`knuckle check`: verify unit, joint order, side and anatomical plausibility of recorded joints."""

import sys
from pathlib import Path
from typing import Literal


def check(
    poses: Path, *, side: Literal["left", "right"] = "right", limits: Path | None = None, json: bool = False
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
        order: wrist, then thumb, index, middle, ring, little, each from base to tip.
    side
        Which hand was recorded.
    limits
        A file of `knuckle limits`, such as of the same person, in place of the limits of all human hands.
    json
        Print the report as JSON.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.check import check_poses
    from knuckle.handmodel import HandLimits
    from knuckle.posefile import read_poses, require_finite

    known = None if limits is None else HandLimits.load(limits)
    joints = read_poses(poses)
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
