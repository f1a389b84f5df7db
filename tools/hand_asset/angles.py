"""Stage 7: the axes of the 23 angles, at rest, in the frame of the right hand."""

import numpy as np

from .pivots import unit
from .proportions import FINGER_NAMES, finger_direction

BONE_NAMES = (
    "hand", "thumb_cmc", "thumb_mcp", "thumb_ip",
    *(f"{finger}_{joint}" for finger in FINGER_NAMES[1:] for joint in ("mcp", "pip", "dip")),
    "forearm",
)  # fmt: skip
BONE_JOINTS = (0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 0)
BONE_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14, 0)
# Degrees by which a finger's flexion axes are rotated about its bone, positive towards the thumb: flexed fingers
# converge towards the scaphoid, the little finger most.
OBLIQUITY = {"index": -8.0, "middle": -4.0, "ring": 2.0, "little": 9.0}
# Degrees by which the thumb's nail faces away from the back of the hand, towards the side.
THUMB_ROLL = 68.0


def flexion_direction(finger: int) -> np.ndarray:
    """(3,) the unit direction, perpendicular to the bone at rest, towards which a finger flexes."""
    along = finger_direction(finger)
    palmar = np.array([0.0, 0.0, 1.0])
    # Perpendicular to the bone in the palm's plane, towards the thumb's side of the hand.
    radial = np.cross(along, palmar)
    name = FINGER_NAMES[finger]
    roll = np.deg2rad(-THUMB_ROLL if name == "thumb" else OBLIQUITY[name])
    return np.cos(roll) * palmar + np.sin(roll) * radial


def nail_roll(finger: int, nail_normal: np.ndarray) -> float:
    """Radians by which a finger must be rotated about its bone so that its nail faces away from its flexion."""
    along = finger_direction(finger)
    wanted = -flexion_direction(finger)
    actual = unit(nail_normal - along * (along @ nail_normal))
    return float(np.arctan2(np.cross(actual, wanted) @ along, actual @ wanted))


def angle_axes() -> tuple[list[str], list[int], np.ndarray]:
    """Names, bones (index into BONE_NAMES) and (23, 3) unit axes, in the order of the 23 angles.

    Positive: flexion to the palm; abduction of a finger to the thumb's side, of the thumb away from the palm;
    rotation of the thumb in pronation, pulp towards the fingers.
    """
    names: list[str] = []
    bones: list[int] = []
    axes: list[np.ndarray] = []

    def add(joint: str, motion: str, axis: np.ndarray) -> None:
        names.append(f"{joint}_{motion}")
        bones.append(BONE_NAMES.index(joint))
        axes.append(unit(axis))

    along, towards = finger_direction(0), flexion_direction(0)
    hinge = np.cross(along, towards)
    for joint in ("thumb_cmc", "thumb_mcp"):
        add(joint, "flexion", hinge)
        add(joint, "abduction", -towards)
        add(joint, "rotation", -along)
    add("thumb_ip", "flexion", hinge)
    for finger, name in enumerate(FINGER_NAMES):
        if name == "thumb":
            continue
        hinge = np.cross(finger_direction(finger), flexion_direction(finger))
        add(f"{name}_mcp", "abduction", np.array([0.0, 0.0, -1.0]))
        for joint in ("mcp", "pip", "dip"):
            add(f"{name}_{joint}", "flexion", hinge)
    return names, bones, np.stack(axes)


# Flexion bends the hand palmwards, deviation towards the thumb's side; the forearm moves, the hand does not.
WRIST_ANGLES = (("wrist_flexion", (-1.0, 0.0, 0.0)), ("wrist_deviation", (0.0, 0.0, 1.0)))
