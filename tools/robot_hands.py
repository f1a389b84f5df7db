"""Small URDF files of three robots' hands, after their published joint layouts: frames, axes, limits, fingertips.

    python tools/robot_hands.py FOLDER

Right hands, without meshes and masses: what retargeting reads of a URDF. Their makers' files are the ones to work with;
these are for measuring and tests.

Sources of the numbers: Wonik Robotics, Allegro Hand 4.0, and Shadow Robot, Dexterous Hand E3M5 (the descriptions in
their ROS packages); Shaw et al., LEAP Hand, RSS 2023 (leaphand.com); fingertips as the collection dex-urdf has them.
"""

import argparse
from collections.abc import Callable
from math import pi
from pathlib import Path
from typing import NamedTuple

Vector = tuple[float, float, float]
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_QUARTER = pi / 2


class _Joint(NamedTuple):
    """A joint and its child link, which has the joint's name; fixed without limits. Metres, radians."""

    name: str
    parent: str
    xyz: Vector
    limits: tuple[float, float] | None = None
    axis: Vector = _Z
    rpy: Vector = (0.0, 0.0, 0.0)


def _negative(axis: Vector) -> Vector:
    return (-axis[0], -axis[1], -axis[2])


def allegro() -> list[_Joint]:
    """Four fingers of four joints each; they point along z, the palm towards x."""
    joints = []
    for first, y, z, tilt in (
        (0, 0.0435, -0.001542, -pi / 36),
        (4, 0.0, 0.0007, 0.0),
        (8, -0.0435, -0.001542, pi / 36),
    ):
        names = [f"joint_{first + number}.0" for number in range(4)]
        joints += [
            _Joint(names[0], "base", (0.0, y, z), (-0.47, 0.47), _Z, (tilt, 0.0, 0.0)),
            _Joint(names[1], names[0], (0.0, 0.0, 0.0164), (-0.196, 1.61), _Y),
            _Joint(names[2], names[1], (0.0, 0.0, 0.054), (-0.174, 1.709), _Y),
            _Joint(names[3], names[2], (0.0, 0.0, 0.0384), (-0.227, 1.618), _Y),
            _Joint(f"{names[3]}_tip", names[3], (0.0, 0.0, 0.0267)),
        ]
    turn = (0.0, -95 * pi / 180, -_QUARTER)
    return [
        *joints,
        _Joint("joint_12.0", "base", (-0.0182, 0.019333, -0.045987), (0.263, 1.396), _negative(_X), turn),
        _Joint("joint_13.0", "joint_12.0", (-0.027, 0.005, 0.0399), (-0.105, 1.163), _Z),
        _Joint("joint_14.0", "joint_13.0", (0.0, 0.0, 0.0177), (-0.189, 1.644), _Y),
        _Joint("joint_15.0", "joint_14.0", (0.0, 0.0, 0.0514), (-0.162, 1.719), _Y),
        _Joint("joint_15.0_tip", "joint_15.0", (0.0, 0.0, 0.0423)),
    ]


def leap() -> list[_Joint]:
    """Four fingers of four joints each, of which the first bends and the second spreads."""
    joints = [_Joint("palm", "base", (0.0, 0.038, 0.098), rpy=(0.0, -_QUARTER, 0.0))]
    for first, y in ((0, 0.023), (4, -0.0224), (8, -0.0678)):
        spread, bend, middle, end = (str(first + number) for number in range(4))
        joints += [
            _Joint(bend, "palm", (-0.007, y, -0.0187), (-0.314, 2.23), _negative(_Z), (_QUARTER, _QUARTER, 0.0)),
            _Joint(spread, bend, (-0.0122, 0.0381, 0.0145), (-1.047, 1.047), _negative(_Z), (-_QUARTER, 0.0, _QUARTER)),
            _Joint(middle, spread, (0.015, 0.0143, -0.013), (-0.506, 1.885), _negative(_Z), (_QUARTER, -_QUARTER, 0.0)),
            _Joint(end, middle, (0.0, -0.0361, 0.0002), (-0.366, 2.042), _negative(_Z)),
            _Joint(f"{end}_tip", end, (0.0, -0.048, 0.015)),
        ]
    return [
        *joints,
        _Joint("12", "palm", (-0.0693, -0.0012, -0.0216), (-0.349, 2.094), _negative(_Z), (0.0, _QUARTER, 0.0)),
        _Joint("13", "12", (0.0, 0.0143, -0.013), (-0.47, 2.443), _negative(_Z), (_QUARTER, -_QUARTER, 0.0)),
        _Joint("14", "13", (0.0, 0.0145, -0.017), (-1.2, 1.9), _negative(_Z), (-_QUARTER, 0.0, 0.0)),
        _Joint("15", "14", (0.0, 0.0466, 0.0002), (-1.34, 1.88), _negative(_Z), (0.0, 0.0, pi)),
        _Joint("15_tip", "15", (0.0, -0.06, -0.015)),
    ]


def shadow() -> list[_Joint]:
    """Five fingers on a wrist of two joints; they point along z, the palm towards -y."""
    bend, spread = (-pi / 12, _QUARTER), (-pi / 9, pi / 9)
    joints = [
        _Joint("WRJ2", "base", (0.0, -0.01, 0.21301), (-pi / 6, pi / 18), _Y),
        _Joint("WRJ1", "WRJ2", (0.0, 0.0, 0.034), (-2 * pi / 9, 7 * pi / 45), _X),
        _Joint("LFJ5", "WRJ1", (-0.033, 0.0, 0.02071), (0.0, pi / 4), _X, (0.0, -0.9599, 0.0)),
    ]
    for finger, parent, base, axis, rpy in (
        ("FF", "WRJ1", (0.033, 0.0, 0.095), _negative(_Y), (0.0, 0.0, 0.0)),
        ("MF", "WRJ1", (0.011, 0.0, 0.099), _negative(_Y), (0.0, 0.0, 0.0)),
        ("RF", "WRJ1", (-0.011, 0.0, 0.095), _Y, (0.0, 0.0, 0.0)),
        ("LF", "LFJ5", (0.05397275, 0.0, 0.03779463), _Y, (0.0, 0.9599, 0.0)),
    ):
        joints += [
            _Joint(f"{finger}J4", parent, base, spread, axis, rpy),
            _Joint(f"{finger}J3", f"{finger}J4", (0.0, 0.0, 0.0), bend, _X),
            _Joint(f"{finger}J2", f"{finger}J3", (0.0, 0.0, 0.045), (0.0, _QUARTER), _X),
            _Joint(f"{finger}J1", f"{finger}J2", (0.0, 0.0, 0.025), (0.0, _QUARTER), _X),
            _Joint(f"{finger}tip", f"{finger}J1", (0.0, 0.0, 0.026)),
        ]
    turn = (-pi / 4, 0.0, -_QUARTER)
    return [
        *joints,
        _Joint("THJ5", "WRJ1", (0.034, -0.00858, 0.029), (-pi / 3, pi / 3), _negative(_Z), turn),
        _Joint("THJ4", "THJ5", (0.0, 0.0, 0.0), (0.0, 7 * pi / 18), _Y),
        _Joint("THJ3", "THJ4", (0.0, 0.0, 0.038), (-pi / 15, pi / 15), _Y),
        _Joint("THJ2", "THJ3", (0.0, 0.0, 0.0), (-2 * pi / 9, 2 * pi / 9), _X),
        _Joint("THJ1", "THJ2", (0.0, 0.0, 0.032), bend, _X),
        _Joint("THtip", "THJ1", (0.0, 0.0, 0.0275)),
    ]


ROBOTS: dict[str, Callable[[], list[_Joint]]] = {"allegro": allegro, "leap": leap, "shadow": shadow}


def urdf(name: str) -> str:
    """The URDF of one of ROBOTS."""
    lines = [f'<robot name="{name}"><link name="base"/>']
    for joint in ROBOTS[name]():
        moving = ""
        if joint.limits is not None:
            low, high = joint.limits
            limit = f'<limit lower="{low:.6f}" upper="{high:.6f}" effort="1" velocity="1"/>'
            moving = f'<axis xyz="{_text(joint.axis)}"/>{limit}'
        lines.append(
            f'<link name="{joint.name}"/><joint name="{joint.name}" type="{"revolute" if moving else "fixed"}">'
            f'<parent link="{joint.parent}"/><child link="{joint.name}"/>'
            f'<origin xyz="{_text(joint.xyz)}" rpy="{_text(joint.rpy)}"/>{moving}</joint>'
        )
    return "\n".join([*lines, "</robot>", ""])


def _text(vector: Vector) -> str:
    return " ".join(f"{value:.8g}" for value in vector)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in ROBOTS:
        (out / f"{name}.urdf").write_text(urdf(name))


if __name__ == "__main__":
    main()
