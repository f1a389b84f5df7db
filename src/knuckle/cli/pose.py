"""`knuckle pose`: a named pose as a mesh or a picture."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def pose(
    name: str | None = None,
    *,
    out: Path | None = None,
    side: Literal["left", "right"] = "right",
    list_all: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> int:
    """Write a named pose of the hand as a mesh or a picture.

    Examples:

        knuckle pose --list

        knuckle pose fist --out fist.glb

        knuckle pose pinch_index --out pinch.png --side left

    Parameters
    ----------
    name
        One of the names that --list prints.
    out
        The file: .glb is a mesh with bones, .obj a mesh, .png a picture of four views.
    side
        Which hand.
    list_all
        Print all names with their descriptions.
    """
    from knuckle.handmodel.poses import named_pose, pose_bank

    if list_all:
        width = max(map(len, pose_bank()))
        for known, entry in pose_bank().items():
            print(f"{known:{width}}  {entry.about}")
        return 0
    if name is None or out is None:
        raise ValueError("a pose's name and --out FILE must be given; `knuckle pose --list` prints the names")
    from knuckle.jobs import write_pose

    write_pose(named_pose(name), out, side, title=name)
    print(f"{out}: {name}, {side} hand")
    return 0
