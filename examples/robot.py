"""Move a robot's hand as a person's hand moves.

    python examples/robot.py HAND.urdf [PICTURE...]

HAND.urdf is your robot's (Allegro, Shadow, LEAP, ...); the pictures are consecutive frames. Takes
`pip install 'knuckle[robot]'`.
"""

import sys

import numpy as np

import knuckle
from knuckle.retarget import RobotHand, retarget


def main(urdf: str, *pictures: str) -> None:
    robot = RobotHand.load(urdf, side="right")
    print(f"{robot.name}: {len(robot.joint_names)} joints, fingers {', '.join(robot.fingers)}")
    found = knuckle.predict(pictures or ["examples/hand.jpg"])
    joints = [hand.joints_camera for hands in found for hand in hands if hand.side == robot.side]
    if not joints:
        sys.exit(f"the pictures must show a {robot.side} hand but show none")
    motion = retarget(robot, np.stack(joints))
    for number, positions in enumerate(np.degrees(motion.positions)):
        joined = ", ".join(f"{name} {value:.0f}" for name, value in zip(motion.joint_names, positions, strict=True))
        print(f"frame {number}: {joined} degrees")


if __name__ == "__main__":
    main(*sys.argv[1:])
