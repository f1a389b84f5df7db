"""`knuckle limits`: learn the limits of hands from a data set or a recording."""

from pathlib import Path
from typing import Literal


def limits(
    data: str,
    *,
    out: Path,
    side: Literal["left", "right"] = "right",
    bone: tuple[int, int] = (0, 9),
    convention: Literal["paper", "shortest"] = "paper",
    percentiles: tuple[float, float] = (0.05, 99.95),
    share: float = 0.9995,
    limit: int | None = None,
    plot: Path | None = None,
) -> int:
    """Learn the limits of hands: lengths of bones, the palm's shape, and which flexion goes with which abduction.

    They are what biomechanical losses and `knuckle check --limits` hold hands against. Of a data set only the labels
    of its split to train on are read.

    Examples:

        knuckle limits freihand:FreiHAND_pub_v2 --out limits.npz

        knuckle limits pictures --out limits.npz --plot limits.png

        knuckle limits my_hand.npy --side left --out my_limits.npz

    Parameters
    ----------
    data
        A folder of `knuckle synth`; a data set, NAME:ROOT or NAME:ROOT:SPLIT, as for `knuckle train`; or a .npy, .npz
        or .json file of (N, 21, 3) recorded joints. At least 100 hands with 3D joints.
    out
        The .npz file to write.
    side
        Which hand was recorded; data sets name the side of every hand themselves.
    bone
        The two joints between which the length is 1: 0 9 for wrist to middle MCP, 9 10 for middle MCP to PIP. Use the
        one that the network's joints are divided by.
    convention
        How the frame of a finger's bone follows from its parent's: by its own angles (paper), or by the smallest
        rotation (shortest), as in the public code.
    percentiles
        Lowest and highest percentile of lengths and of the palm's quantities within the limits.
    share
        Fraction of the pairs of angles that stay within their region as it is simplified.
    limit
        Pictures, labels or frames to read at most.
    plot
        Also draw the regions of the angles with the hands they were learned from, as a .png.
    """
    from knuckle.cli.progress import progress_bar
    from knuckle.datasets.space import read_joints
    from knuckle.handmodel.learn_ranges import learn_limits, measure_for_limits

    if out.suffix.lower() != ".npz":
        raise ValueError(f"--out must be a .npz file but got {out}")
    if plot is not None and plot.suffix.lower() != ".png":
        raise ValueError(f"--plot must be a .png file but got {plot}")
    with progress_bar() as bar:
        task = bar.add_task("reading labels", total=None)
        joints, left = read_joints(
            data, side == "left", limit, lambda done, total: bar.update(task, completed=done, total=total)
        )
    learned = learn_limits(
        joints, left, bone=bone, convention=convention, percentiles=percentiles, share=share, source=data
    )
    learned.save(out)
    print("\n".join(learned.lines()))
    written = [out]
    if plot is not None:
        from knuckle.view.limits import write_limits_plot

        angles = measure_for_limits(joints, left, bone, convention).angles
        write_limits_plot(plot, learned, angles, f"{data}: {learned.count} hands")
        written.append(plot)
    print(", ".join(str(path) for path in written))
    return 0
