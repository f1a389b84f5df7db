"""Positions of a robot's joints that follow a person's hand.

Frame by frame, damped Gauss-Newton within the joints' limits minimises the sum over the fingers of

    | tip - base - (robot's finger length / person's) R (person's tip - base) |^2

and, with less weight, of the difference between the directions of the last bones, which decides among the ways in which
a finger can reach its tip; where thumb and fingertip come near each other, of the distance between the vectors from one
to the other, so that a pinch stays a pinch.

Source of the objective: Handa et al., DexPilot, ICRA 2020, with vectors from each finger's base, which robots of other
proportions can reach, in place of those from the wrist, and with the last bones.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.files import atomic_write
from knuckle.geometry.align import align_rigid
from knuckle.handmodel import HandModel
from knuckle.retarget.robot import RobotHand, pinocchio_module
from knuckle.skeleton import FINGER_JOINTS

# Joints that no angle moves, and the thumb's base.
_PALM = [0, 1, 5, 9, 13, 17]
# Metres between thumb and fingertip at which the vector between them begins to count, and its weight in a pinch.
_PINCH_REACH, _PINCH_WEIGHT = 0.03, 2.0
# Weight of the last bones' ends, as they are seen from their joints.
_LAST_BONE = 0.6
# Of the step from the frame before, and from the middle of the limits, relative to a finger's length per radian.
_STEADY, _MIDDLE = 0.03, 0.01
_ITERATIONS, _CONVERGED = 30, 1e-3
# (3, 9): `(a @ _CROSS).reshape(3, 3) @ b` is b x a, for which np.cross takes ten times as long.
_CROSS = np.cross(np.eye(3), np.eye(3)[:, None]).transpose(0, 2, 1).reshape(3, 9)


@dataclass(frozen=True, eq=False)
class RobotMotion:
    """N frames of a robot's hand.

    Attributes:
        joint_names: J names.
        positions: (N, J) radians, within the limits.
        fingers: F names.
        direction_error: (N, F) radians between each robot's finger, from its base to its tip, and the person's.
    """

    joint_names: tuple[str, ...]
    positions: Float[np.ndarray, "N J"]
    fingers: tuple[str, ...]
    direction_error: Float[np.ndarray, "N F"]

    def write_npz(self, path: Path | str) -> None:
        """Write joint_names, positions, fingers and direction_error as arrays, atomically."""
        with atomic_write(path) as unfinished:
            np.savez(
                unfinished,
                allow_pickle=False,
                joint_names=np.array(self.joint_names),
                positions=self.positions,
                fingers=np.array(self.fingers),
                direction_error=self.direction_error,
            )

    def write_csv(self, path: Path | str, fps: float) -> None:
        """Write a row for each frame: time in seconds, then a column for each joint, atomically."""
        with atomic_write(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["time", *self.joint_names])
            rows.writerows(
                [f"{frame / fps:.6f}", *(f"{value:.6f}" for value in row)]
                for frame, row in enumerate(self.positions.tolist())
            )


def retarget(robot: RobotHand, joints: Float[np.ndarray, "N 21 3"]) -> RobotMotion:
    """Joint positions of a robot's hand that follow a person's.

    Args:
        robot: of the side of the hand.
        joints: (N, 21, 3) metres, common order, any frame; consecutive frames of one hand.

    Raises:
        ValueError: joints are of another shape, or not finite.
    """
    joints = np.asarray(joints, float)
    if joints.ndim != 3 or joints.shape[1:] != (21, 3) or not np.isfinite(joints).all():
        raise ValueError(f"joints must be finite and of the shape (N, 21, 3) but got {joints.shape}; leave frames out")
    targets = _targets(robot, joints)
    solver = _Solver(robot)
    positions = np.clip(np.zeros(len(robot.joint_names)), *robot.limits.T)
    rows, vectors = [], []
    for target in map(_Targets, *targets):
        positions = solver.solve(positions, target)
        rows.append(positions)
        vectors.append(solver.vectors(positions))
    found = np.array(vectors).reshape(targets.tips.shape)
    cross = np.linalg.norm(np.cross(found, targets.tips), axis=-1)
    error = np.arctan2(cross, (found * targets.tips).sum(-1))
    return RobotMotion(robot.joint_names, np.array(rows).reshape(len(joints), -1), robot.fingers, error)


class _Targets(NamedTuple):
    """What the robot's F fingers are to do, (..., F, 3) in the frame of the robot's base.

    Attributes:
        tips: metres from each finger's base to its tip.
        thumb: metres from each person's fingertip to the thumb's.
        bones: unit directions of the last bones.
    """

    tips: np.ndarray
    thumb: np.ndarray
    bones: np.ndarray


def _targets(robot: RobotHand, joints: Float[np.ndarray, "N 21 3"]) -> _Targets:
    """The targets of N frames."""
    rest = np.asarray(HandModel.open().joints(np.zeros(23), side=robot.side))
    R_camera_hand, _ = align_rigid(np.broadcast_to(rest[_PALM], (len(joints), len(_PALM), 3)), joints[:, _PALM])
    in_robot = joints @ (R_camera_hand @ robot.R_robot_hand.T)
    chains = [list(FINGER_JOINTS[finger]) for finger in robot.fingers]
    bones = np.linalg.norm(np.diff(joints[:, chains], axis=2), axis=-1).sum(-1)
    scale = robot.lengths / np.median(bones, axis=0) if len(joints) else robot.lengths
    bases, tips = in_robot[:, [c[0] for c in chains]], in_robot[:, [c[-1] for c in chains]]
    last = tips - in_robot[:, [c[-2] for c in chains]]
    last /= np.maximum(np.linalg.norm(last, axis=-1, keepdims=True), 1e-9)
    return _Targets((tips - bases) * scale[:, None], in_robot[:, [FINGER_JOINTS["thumb"][-1]]] - tips, last)


class _Solver:
    """Finds the positions of one frame after the other."""

    def __init__(self, robot: RobotHand) -> None:
        self._pin = pinocchio_module()
        self._robot, self._model, self._data = robot, robot.model, robot.model.createData()
        self._frames = [self._model.getFrameId(tip) for tip in robot.tips]
        self._bases = [self._model.getJointId(base) for base in robot.bases]
        self._ends = [self._model.frames[frame].parentJoint for frame in self._frames]
        self._thumb = robot.fingers.index("thumb") if "thumb" in robot.fingers else None
        self._middle = robot.limits.mean(axis=1)
        length = float(robot.lengths.mean())
        self._steady, self._to_middle = (_STEADY * length) ** 2, (_MIDDLE * length) ** 2

    def vectors(self, positions: np.ndarray) -> np.ndarray:
        """(F, 3) from the base to the tip of each finger."""
        self._pin.framesForwardKinematics(self._model, self._data, positions)
        return self._places() - self._base_places()

    def _places(self) -> np.ndarray:
        return np.array([self._data.oMf[frame].translation for frame in self._frames])

    def _base_places(self) -> np.ndarray:
        return np.array([self._data.oMi[joint].translation for joint in self._bases])

    def solve(self, start: np.ndarray, targets: _Targets) -> np.ndarray:
        """The positions in one frame."""
        low, high = self._robot.limits.T
        q, damping = start, 1e-6
        cost, gradient, hessian = self._equations(q, start, targets)
        for _ in range(_ITERATIONS):
            # Joints at a limit that would be pushed beyond it do not take part in the step.
            free = ~(((q <= low) & (gradient > 0)) | ((q >= high) & (gradient < 0)))
            step = np.zeros(len(q))
            inner = hessian[np.ix_(free, free)] + damping * np.eye(int(free.sum()))
            step[free] = -np.linalg.solve(inner, gradient[free])
            tried = np.clip(q + step, low, high)
            new = self._equations(tried, start, targets)
            if new[0] > cost:
                damping *= 10
                continue
            moved = float(np.abs(tried - q).max(initial=0.0))
            q, (cost, gradient, hessian), damping = tried, new, max(damping / 10, 1e-9)
            if moved < _CONVERGED:
                break
        return q

    def _equations(self, q: np.ndarray, start: np.ndarray, targets: _Targets) -> tuple[float, np.ndarray, np.ndarray]:
        """Cost, half its gradient and half its Gauss-Newton Hessian."""
        self._pin.computeJointJacobians(self._model, self._data, q)
        self._pin.updateFramePlacements(self._model, self._data)
        places = self._places()
        world = self._pin.LOCAL_WORLD_ALIGNED
        whole = np.array([self._pin.getFrameJacobian(self._model, self._data, frame, world) for frame in self._frames])
        jacobians = whole[:, :3]
        of_bases = np.array(
            [self._pin.getJointJacobian(self._model, self._data, joint, world)[:3] for joint in self._bases]
        )
        residual, rows = [places - self._base_places() - targets.tips], [jacobians - of_bases]
        bones = places - np.array([self._data.oMi[joint].translation for joint in self._ends])
        wanted = targets.bones * np.linalg.norm(bones, axis=-1, keepdims=True)
        residual.append(_LAST_BONE * (bones - wanted))
        rows.append(_LAST_BONE * (bones @ _CROSS).reshape(-1, 3, 3) @ whole[:, 3:])
        if self._thumb is not None:
            near = _PINCH_WEIGHT * np.exp(-((np.linalg.norm(targets.thumb, axis=-1) / _PINCH_REACH) ** 2))
            near[self._thumb] = 0.0
            residual.append(near[:, None] * (places[self._thumb] - places - targets.thumb))
            rows.append(near[:, None, None] * (jacobians[self._thumb] - jacobians))
        r = np.concatenate(residual).ravel()
        J = np.concatenate(rows).reshape(len(r), -1)
        since, off = q - start, q - self._middle
        cost = float(r @ r + self._steady * since @ since + self._to_middle * off @ off)
        gradient = J.T @ r + self._steady * since + self._to_middle * off
        return cost, gradient, J.T @ J + (self._steady + self._to_middle) * np.eye(len(q))
