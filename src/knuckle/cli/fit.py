"""`knuckle fit`: fit the hand model to recorded joints."""

import sys
from pathlib import Path
from typing import Literal

_FINDING_MM = 50.0


def fit(
    poses: Path,
    *,
    out: Path,
    side: Literal["left", "right"] = "right",
    shape: Literal["free", "shared"] = "free",
    glb: bool = False,
    bvh: bool = False,
    json: bool = False,
    fps: float = 30.0,
) -> int:
    """Fit angles, shape and placement of the hand model to recorded joints, within joint limits.

    Writes OUT/fit.npz: angles (N, 23) in radians and angle_names, shape (N, 10) and shape_names, rotation (N, 3, 3),
    translation (N, 3) and joints (N, 21, 3) in metres, error_mm (N,), side. After an interruption with Ctrl-C the
    same command resumes where it stopped. The exit status is 1 where the joints are no hand's: 50 mm off on average.

    Examples:

        knuckle fit recording.npy --out fitted

        knuckle fit left_hand.json --out fitted --side left --glb --bvh --fps 60

    Parameters
    ----------
    poses
        A .npy, .npz (array `joints`) or .json file of (N, 21, 3) joints in metres: wrist, then thumb, index, middle,
        ring, little, each from base to tip. `knuckle check` verifies this.
    out
        Folder to write to.
    side
        Which hand was recorded.
    shape
        One shape per frame (free), or one for all frames (shared).
    glb
        Also write OUT/hand.glb, a skinned, animated mesh.
    bvh
        Also write OUT/hand.bvh, an animated skeleton.
    json
        Also write OUT/fit.json, with the angles by name.
    fps
        Frames per second of the recording, for the animations.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from knuckle.files import remove_leftovers
    from knuckle.jobs import fit_recording, write_recording
    from knuckle.posefile import read_poses, require_finite, require_near

    if not 0.001 <= fps <= 1e6:
        raise ValueError(f"--fps must be above zero, from 0.001 to 1,000,000, but got {fps}")
    joints = read_poses(poses)
    require_finite(joints, poses)
    require_near(joints, poses)
    remove_leftovers(out)
    columns = (TextColumn("fitting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=len(joints))
        resume_file = out / "fit.unfinished.npz"
        fitted = fit_recording(
            joints, side, shape, resume_file=resume_file, progress=lambda done: progress.update(task, completed=done)
        )
    written = write_recording(fitted, out, glb=glb, bvh=bvh, json=json, fps=fps)
    error = fitted.error_mm
    print(
        f"{len(fitted)} {side} hands fitted: mean error {error.mean():.2f} mm, worst {error.max():.2f} mm; "
        f"{', '.join(str(path) for path in written)}"
    )
    # No hand is this far from the model's; metres taken for millimetres are.
    if error.mean() > _FINDING_MM:
        print(
            f"knuckle fit: the joints must be a hand's in metres but are {error.mean():.0f} mm off on average; "
            f"`knuckle check {poses}` says why",
            file=sys.stderr,
        )
        return 1
    return 0
