"""`knuckle fit`: fit the hand model to recorded joints."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

_FINDING_MM = 25.0


def fit(
    poses: Path,
    *,
    out: Path,
    side: Literal["left", "right"] | None = None,
    track: Annotated[int | None, Parameter(name="--id")] = None,
    shape: Literal["free", "shared"] = "free",
    glb: bool = False,
    bvh: bool = False,
    json: bool = False,
    fps: float | None = None,
    robot: Path | None = None,
    tips: str | None = None,
    force: bool = False,
) -> int:
    """Fit angles, shape and placement of the hand model to recorded joints, within joint limits; move a robot's hand.

    Writes OUT/fit.npz: angles (N, 23) in radians and angle_names, shape (N, 10) and shape_names, rotation (N, 3, 3),
    translation (N, 3) and joints (N, 21, 3) in metres, error_mm (N,), side. After an interruption with Ctrl-C the
    same command resumes where it stopped. Joints in another unit or joint order, of the other side or of no hand are
    refused, with what `knuckle check` found. The exit status is 1 where they are 25 mm off on average, as no hand is.

    Examples:

        knuckle fit recording.npy --out fitted

        knuckle fit left_hand.json --out fitted --side left --glb --bvh --fps 60

        knuckle fit hands/clip.jsonl --out fitted --id 0 --robot allegro_right.urdf

    Parameters
    ----------
    poses
        A .npy, .npz (array `joints`) or .json file of (N, 21, 3) joints in metres: wrist, then thumb, index, middle,
        ring, little, each from base to tip. Or a .json, .jsonl, .npz or .csv file of `knuckle predict`.
    out
        Folder to write to.
    side
        Which hand was recorded; as the file says, right where it does not. Of a file with both, the one to fit.
    track
        Of a video with several hands, the one to fit.
    shape
        One shape per frame (free), or one for all frames (shared).
    glb
        Also write OUT/hand.glb, a skinned, animated mesh.
    bvh
        Also write OUT/hand.bvh, an animated skeleton.
    json
        Also write OUT/fit.json, with the angles by name.
    fps
        Frames per second of the recording, for the animations; as the file says, 30 where it does not.
    robot
        A robot's hand as a URDF file, of the same side: also write OUT/robot.npz and OUT/robot.csv, its joints'
        positions in which its fingers point as the person's do (needs `pip install 'knuckle[robot]'`).
    tips
        The robot's fingertip links, where they are not found by themselves: thumb=LINK,index=LINK,...
    force
        Fit also what `knuckle check` finds to be in another unit, joint order, of the other side, or no hand.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.cli.options import chosen_hands, named_tips
    from knuckle.files import remove_leftovers
    from knuckle.jobs import fit_recording, require_conventions, write_recording, write_robot
    from knuckle.posefile import require_distinct, require_finite, require_near, require_space
    from knuckle.retarget import RobotHand

    if fps is not None and not 0.001 <= fps <= 1e6:
        raise ValueError(f"--fps must be above zero, from 0.001 to 1,000,000, but got {fps}")
    if tips is not None and robot is None:
        raise ValueError("--tips names links of a robot's hand but there is none; give --robot FILE too")
    recording, side = chosen_hands(poses, side, track)
    joints, fps = recording.joints, recording.fps(30.0) if fps is None else fps
    require_finite(joints, poses)
    require_near(joints, poses)
    require_distinct(joints, poses)
    require_space(joints, poses)
    if not force:
        require_conventions(joints, side, poses)
    # Before hours are spent on fitting for a robot that is no hand.
    follower = None if robot is None else RobotHand.load(robot, side, named_tips(tips))
    remove_leftovers(out)
    columns = (TextColumn("fitting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=len(joints))
        resume_file = out / "fit.unfinished.npz"
        fitted = fit_recording(
            joints, side, shape, resume_file=resume_file, progress=lambda done: progress.update(task, completed=done)
        )
    written = write_recording(fitted, out, glb=glb, bvh=bvh, json=json, fps=fps)
    if follower is not None:
        written += write_robot(follower, fitted.joints, out, fps)
    error = fitted.error_mm
    print(
        f"{len(fitted)} {side} {'hand' if len(fitted) == 1 else 'hands'} fitted: "
        f"mean error {error.mean():.2f} mm, worst {error.max():.2f} mm; "
        f"{', '.join(str(path) for path in written)}"
    )
    # No hand is this far from the model's; metres taken for millimetres are.
    if error.mean() > _FINDING_MM:
        print(
            f"knuckle fit: the joints must be those of a hand but are {error.mean():.0f} mm off on average; "
            f"`knuckle check {poses}` says why",
            file=sys.stderr,
        )
        return 1
    return 0
