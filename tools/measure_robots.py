"""How well robots' hands follow a person's: limits, directions of the fingers, pinches, time.

    python tools/measure_robots.py [URDF...]                       generated poses; the hands of tools/robot_hands.py
    python tools/measure_robots.py --recording hands/clip.jsonl    a video of `knuckle predict` too
    python tools/measure_robots.py --draw pictures                 person and robot side by side

Poses are the generator's, of average hands, in random order, so that each is found from far away. Directions are
between a person's finger, from its base to its tip, and the robot's. Pinches are where a person's thumb and another tip
are within 15 mm; the gap is then the robot's. Times are of the processor, on one thread.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from knuckle.geometry.align import align_rigid
from knuckle.handmodel import HandModel, angle_limits, named_pose, pose_names
from knuckle.recording import read_recording
from knuckle.retarget import RobotHand, RobotMotion, retarget
from knuckle.skeleton import FINGER_JOINTS
from knuckle.synth.poses import random_angles
from robot_hands import ROBOTS, urdf

PINCH = 0.015  # metres
DRAWN = ("flat", "fist", "pinch_index", "ok", "peace", "thumbs_up", "point", "half_closed")
SIDE, PALM = 220, [0, 1, 5, 9, 13, 17]
COLOURS = {"thumb": (60, 60, 200), "index": (40, 150, 40), "middle": (200, 130, 30), "ring": (160, 60, 160)}


def generated_poses(count: int, seed: int) -> np.ndarray:
    """(N, 21, 3) right hands, metres."""
    rng, model = np.random.default_rng(seed), HandModel.open()
    bank = {name: named_pose(name) for name in pose_names()}
    limits = angle_limits()
    angles = [random_angles(rng, bank, limits, model.joints)[1] for _ in range(count)]
    return np.asarray(model.joints(np.stack(angles)))


def row(robot: RobotHand, joints: np.ndarray) -> tuple[str, ...]:
    """The figures of one robot and one recording."""
    started = time.process_time()
    motion = retarget(robot, joints)
    milliseconds = 1000 * (time.process_time() - started) / len(joints)
    low, high = robot.limits.T
    outside = int(((motion.positions < low) | (motion.positions > high)).any(axis=1).sum())
    error = np.degrees(motion.direction_error)
    return (
        f"{robot.name} ({len(robot.joint_names)} joints)",
        str(outside),
        f"{np.median(error):.1f}",
        f"{np.quantile(error.max(axis=1), 0.9):.1f}",
        ", ".join(f"{f} {e:.1f}" for f, e in zip(robot.fingers, np.median(error, axis=0), strict=True)),
        pinch(robot, motion, joints),
        f"{milliseconds:.2f}",
    )


def pinch(robot: RobotHand, motion: RobotMotion, joints: np.ndarray) -> str:
    """Median millimetres between the robot's thumb and fingertip where the person's touch, and how many these are."""
    thumb, gaps = FINGER_JOINTS["thumb"][-1], []
    for frame, finger in np.ndindex(len(joints), len(robot.fingers)):
        tip = FINGER_JOINTS[robot.fingers[finger]][-1]
        if finger and np.linalg.norm(joints[frame, thumb] - joints[frame, tip]) < PINCH:
            ends = [chain[-1] for chain in robot.chains(motion.positions[frame])]
            gaps.append(1000 * float(np.linalg.norm(ends[0] - ends[finger])))
    return f"{np.median(gaps):.0f} mm of {len(gaps)}" if gaps else "none"


def in_robot(robot: RobotHand, joints: np.ndarray) -> np.ndarray:
    """(21, 3) a person's joints, turned into the frame of the robot's base, the wrist at the origin."""
    rest = np.asarray(HandModel.open().joints(np.zeros(23), side=robot.side))
    R_camera_hand, _ = align_rigid(rest[PALM], joints[PALM])
    return (joints - joints[0]) @ R_camera_hand @ robot.R_robot_hand.T


def draw(robot: RobotHand, joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """A row for each pose that has a name: the person from two sides, then the robot, fingers in the same colours."""
    rows = []
    for positions, person, name in zip(retarget(robot, joints).positions, joints, names, strict=True):
        if not name:
            continue
        chains = robot.chains(positions)
        placed = in_robot(robot, person)
        persons = [placed[[0, *FINGER_JOINTS[finger]]] for finger in robot.fingers]
        # The hand's axes in the robot's frame: fingers up; from the palm's side, then from the thumb's.
        out_of_palm, across, along = robot.R_robot_hand.T
        views = []
        for title, fingers in ((f"{name}: person", persons), (robot.name, chains)):
            centre = np.concatenate(fingers).mean(axis=0)
            for right in (across, out_of_palm):
                views.append(picture(fingers, robot.fingers, centre, right, along, title))
        rows.append(np.concatenate(views, axis=1))
    return np.concatenate(rows)


def picture(chains: list, fingers: tuple[str, ...], centre: np.ndarray, right: np.ndarray, up: np.ndarray, title: str):
    """(H, W, 3) BGR: chains seen along the direction that is orthogonal to right and up; 22 cm high."""
    image = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for chain, finger in zip(chains, fingers, strict=True):
        flat = np.stack([(chain - centre) @ right, (chain - centre) @ -up], axis=-1) * SIDE / 0.24 + SIDE / 2
        colour = COLOURS.get(finger, (120, 120, 30))
        points = flat.round().astype(int)
        for one, other in itertools.pairwise(points):
            cv2.line(image, one.tolist(), other.tolist(), colour, 3, cv2.LINE_AA)
        cv2.circle(image, points[-1].tolist(), 5, colour, -1, cv2.LINE_AA)
    cv2.putText(image, title, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urdf", type=Path, nargs="*", help="right hands; tools/robot_hands.py's if none is given")
    parser.add_argument("--poses", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recording", type=Path, help="of `knuckle predict` or `knuckle fit`, with right hands")
    parser.add_argument("--id", type=int, help="the track of the recording, where there are several")
    parser.add_argument("--draw", type=Path, help="folder for a picture of each robot")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = options.urdf
        for name in () if paths else ROBOTS:
            paths.append(Path(folder) / f"{name}.urdf")
            paths[-1].write_text(urdf(name))
        robots = [RobotHand.load(path) for path in paths]
    sets = {f"{options.poses} generated poses": generated_poses(options.poses, options.seed)}
    if options.recording:
        hands = read_recording(options.recording).of_one_side("right")[0].of_one_track(options.id)
        sets[f"{options.recording.name}, {len(hands)} frames"] = hands.joints
    for title, joints in sets.items():
        table = Table(title=title, min_width=100)
        for column in ("robot", "frames outside limits", "direction, median", "worst finger, 90 %", "by finger"):
            table.add_column(column)
        for column in ("gap in pinches", "ms a frame"):
            table.add_column(column)
        for robot in robots:
            table.add_row(*row(robot, joints))
        Console(width=180).print(table)
    if options.draw:
        options.draw.mkdir(parents=True, exist_ok=True)
        named = np.asarray(HandModel.open().joints(np.stack([named_pose(name) for name in DRAWN])))
        drawn: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {"": (named, DRAWN)}
        if options.recording:
            joints = list(sets.values())[-1]
            some = np.linspace(0, len(joints) - 1, len(DRAWN)).astype(int)
            frames = tuple(f"frame {number}" if number in some else "" for number in range(len(joints)))
            drawn["-recording"] = joints, frames
        for robot in robots:
            for suffix, (shown, titles) in drawn.items():
                cv2.imwrite(str(options.draw / f"{robot.name}{suffix}.png"), draw(robot, shown, titles))


if __name__ == "__main__":
    main()
