"""A person's hand onto a robot's: joint positions of a hand given as URDF whose fingertips point as the person's do.

The robot's fingers are matched with a person's once: flat and half closed, the two hands are laid over each other by a
similarity, which tells which finger is which, and the rotation from the hand's frame to the robot's base. Then, frame
by frame, damped Gauss-Newton within the joints' limits minimises the sum over the fingers of

    | tip - base - (robot's finger length / person's) R (person's tip - base) |^2

and, where thumb and fingertip come near each other, of the distance between the vectors from one to the other, so that
a pinch stays a pinch. Kinematics are Pinocchio's (`pip install 'knuckle[robot]'`).

Source of the objective: Handa et al., DexPilot, ICRA 2020, with vectors from each finger's base, which robots of other
proportions can reach, in place of those from the wrist.
"""

import csv
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.files import InputError, atomic_write, read_text
from knuckle.geometry.align import align_rigid, align_similarity
from knuckle.handmodel import HandModel, named_pose
from knuckle.skeleton import FINGER_JOINTS, FINGERS

_MAX_BYTES = 2**24
_MAX_JOINTS = 1000
# Joints that no angle moves, and the thumb's base.
_PALM = [0, 1, 5, 9, 13, 17]
# The hand of the other side must fit so much better before the robot's side is taken for a mistake.
_OTHER_SIDE = 0.7
# Metres between thumb and fingertip at which the vector between them begins to count, and its weight in a pinch.
_PINCH_REACH, _PINCH_WEIGHT = 0.03, 2.0
# Of the step from the frame before, and from the middle of the limits, relative to a finger's length per radian.
_STEADY, _MIDDLE = 0.03, 0.01
_ITERATIONS, _CONVERGED = 15, 1e-3


@dataclass(frozen=True, eq=False)
class RobotHand:
    """A robot's hand from a URDF file, and how a person's fingers correspond to its own.

    Attributes:
        name: of the robot.
        side: of the person's hand that it follows.
        joint_names: J names, in the order of positions. Joints that mimic others are not among them, nor are those
            above all fingers (a wrist): they stay at zero.
        limits: (J, 2) radians.
        fingers: F names of `skeleton.FINGERS`; bases: the joint of each that corresponds to the person's, and tips: the
            link at its end.
        R_robot_hand: (3, 3) from the hand's frame to that of the robot's base.
        lengths: (F,) metres from base to tip of each finger, along its joints.
        model: Pinocchio's, with the wrist's joints locked.
    """

    name: str
    side: Literal["left", "right"]
    joint_names: tuple[str, ...]
    limits: Float[np.ndarray, "J 2"]
    fingers: tuple[str, ...]
    bases: tuple[str, ...]
    tips: tuple[str, ...]
    R_robot_hand: Float[np.ndarray, "3 3"]
    lengths: Float[np.ndarray, " F"]
    model: Any

    @classmethod
    def load(
        cls, path: Path | str, side: Literal["left", "right"] = "right", tips: Mapping[str, str] | None = None
    ) -> "RobotHand":
        """Read a URDF file; meshes are not read.

        Args:
            path: of the file.
            side: of the person's hand; the robot's own.
            tips: the link at the end of each finger, by names of `skeleton.FINGERS`; found by geometry if None.

        Raises:
            ModuleNotFoundError: Pinocchio is not installed.
            InputError: the file is not a hand's URDF, or of the other side, or lacks a link.
            OSError: it cannot be read.
        """
        model = _reduced(_read_model(Path(path)), path, tips)
        data = model.createData()
        ends = _ends(model)
        if tips is not None:
            ends = _given(tips, model, path)
            matches = [tuple(tips)]
        else:
            # A hand of four fingers has no little one.
            matches = list(itertools.permutations(FINGERS[: len(ends)]))
        neutral = np.clip(np.zeros(model.nq), model.lowerPositionLimit, model.upperPositionLimit)
        middle = (model.lowerPositionLimit + model.upperPositionLimit) / 2
        robot = np.concatenate([_points(model, data, ends, q) for q in (neutral, middle)])
        best, other = (
            min((_overlay(fingers, robot, which) for fingers in matches), key=lambda found: found.cost)
            for which in (side, "left" if side == "right" else "right")
        )
        if other.cost < _OTHER_SIDE * best.cost:
            raise InputError(f"{path} must be a {side} hand but fits the other side better; give the other side's URDF")
        order = sorted(range(len(ends)), key=lambda i: FINGERS.index(best.fingers[i]))
        _pin().framesForwardKinematics(model, data, neutral)
        bases = [_base(model, data, ends[i], best.bases[i]) for i in order]
        return cls(
            name=model.name,
            side=side,
            joint_names=tuple(name for name, count in zip(model.names, model.nqs, strict=True) if count),
            limits=np.stack([model.lowerPositionLimit, model.upperPositionLimit], axis=1),
            fingers=tuple(best.fingers[i] for i in order),
            bases=tuple(model.names[base] for base in bases),
            tips=tuple(model.frames[ends[i]].name for i in order),
            R_robot_hand=best.rotation,
            lengths=np.array(
                [_length(_chain(model, data, ends[i], base)) for i, base in zip(order, bases, strict=True)]
            ),
            model=model,
        )

    def chains(self, positions: Float[np.ndarray, " J"]) -> list[Float[np.ndarray, "n 3"]]:
        """The joints of each finger from the palm to its tip, metres, in the frame of the robot's base."""
        data = self.model.createData()
        _pin().framesForwardKinematics(self.model, data, positions)
        return [_chain(self.model, data, self.model.getFrameId(tip)) for tip in self.tips]


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
    wanted, pinches = _targets(robot, joints)
    solver = _Solver(robot)
    positions = np.clip(np.zeros(len(robot.joint_names)), *robot.limits.T)
    rows, vectors = [], []
    for tips, thumb in zip(wanted, pinches, strict=True):
        positions = solver.solve(positions, tips, thumb)
        rows.append(positions)
        vectors.append(solver.vectors(positions))
    found = np.array(vectors).reshape(wanted.shape)
    cross = np.linalg.norm(np.cross(found, wanted), axis=-1)
    error = np.arctan2(cross, (found * wanted).sum(-1))
    return RobotMotion(robot.joint_names, np.array(rows).reshape(len(joints), -1), robot.fingers, error)


def _targets(robot: RobotHand, joints: Float[np.ndarray, "N 21 3"]) -> tuple[np.ndarray, np.ndarray]:
    """(N, F, 3) from base to tip of each finger, and (N, F, 3) from each tip to the thumb's; robot's base and size."""
    rest = np.asarray(HandModel.open().joints(np.zeros(23), side=robot.side))
    R_camera_hand, _ = align_rigid(np.broadcast_to(rest[_PALM], (len(joints), len(_PALM), 3)), joints[:, _PALM])
    in_robot = joints @ (R_camera_hand @ robot.R_robot_hand.T)
    chains = [list(FINGER_JOINTS[finger]) for finger in robot.fingers]
    bones = np.linalg.norm(np.diff(joints[:, chains], axis=2), axis=-1).sum(-1)
    scale = robot.lengths / np.median(bones, axis=0) if len(joints) else robot.lengths
    bases, tips = in_robot[:, [c[0] for c in chains]], in_robot[:, [c[-1] for c in chains]]
    return (tips - bases) * scale[:, None], in_robot[:, [FINGER_JOINTS["thumb"][-1]]] - tips


class _Solver:
    """Finds the positions of one frame after the other."""

    def __init__(self, robot: RobotHand) -> None:
        self._pin = _pin()
        self._robot, self._model, self._data = robot, robot.model, robot.model.createData()
        self._frames = [self._model.getFrameId(tip) for tip in robot.tips]
        self._bases = [self._model.getJointId(base) for base in robot.bases]
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

    def solve(self, start: np.ndarray, tips: np.ndarray, thumb: np.ndarray) -> np.ndarray:
        """The positions; `tips` and `thumb` as of _targets."""
        low, high = self._robot.limits.T
        q, damping = start, 1e-6
        cost, gradient, hessian = self._equations(q, start, tips, thumb)
        for _ in range(_ITERATIONS):
            # Joints at a limit that would be pushed beyond it do not take part in the step.
            free = ~(((q <= low) & (gradient > 0)) | ((q >= high) & (gradient < 0)))
            step = np.zeros(len(q))
            inner = hessian[np.ix_(free, free)] + damping * np.eye(int(free.sum()))
            step[free] = -np.linalg.solve(inner, gradient[free])
            tried = np.clip(q + step, low, high)
            new = self._equations(tried, start, tips, thumb)
            if new[0] > cost:
                damping *= 10
                continue
            moved = float(np.abs(tried - q).max(initial=0.0))
            q, (cost, gradient, hessian), damping = tried, new, max(damping / 10, 1e-9)
            if moved < _CONVERGED:
                break
        return q

    def _equations(
        self, q: np.ndarray, start: np.ndarray, tips: np.ndarray, thumb: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Cost, half its gradient and half its Gauss-Newton Hessian."""
        self._pin.computeJointJacobians(self._model, self._data, q)
        self._pin.updateFramePlacements(self._model, self._data)
        places = self._places()
        world = self._pin.LOCAL_WORLD_ALIGNED
        jacobians = np.array(
            [self._pin.getFrameJacobian(self._model, self._data, frame, world)[:3] for frame in self._frames]
        )
        of_bases = np.array(
            [self._pin.getJointJacobian(self._model, self._data, joint, world)[:3] for joint in self._bases]
        )
        residual, rows = [places - self._base_places() - tips], [jacobians - of_bases]
        if self._thumb is not None:
            near = _PINCH_WEIGHT * np.exp(-((np.linalg.norm(thumb, axis=-1) / _PINCH_REACH) ** 2))
            near[self._thumb] = 0.0
            residual.append(near[:, None] * (places[self._thumb] - places - thumb))
            rows.append(near[:, None, None] * (jacobians[self._thumb] - jacobians))
        r = np.concatenate(residual).ravel()
        J = np.concatenate(rows).reshape(len(r), -1)
        since, off = q - start, q - self._middle
        cost = float(r @ r + self._steady * since @ since + self._to_middle * off @ off)
        gradient = J.T @ r + self._steady * since + self._to_middle * off
        return cost, gradient, J.T @ J + (self._steady + self._to_middle) * np.eye(len(q))


def _pin() -> Any:
    """Pinocchio; imported when it is needed, as it is an extra."""
    try:
        import pinocchio
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "retargeting requires Pinocchio; install it with `pip install 'knuckle[robot]'`"
        ) from None
    return pinocchio


def _read_model(path: Path) -> Any:
    build = _pin().buildModelFromXML
    text = read_text(path, _MAX_BYTES)
    # Its parsers follow a chain of joints by recursion, until the stack ends.
    if text.count("<joint") > _MAX_JOINTS:
        raise InputError(f"{path} must have at most {_MAX_JOINTS} joints but has more; leave all but the hand out")
    try:
        return build(text, mimic=True)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path} must be a robot's URDF but cannot be read ({reason}); convert xacro files first"
        ) from None


def _reduced(model: Any, path: Path | str, tips: Mapping[str, str] | None) -> Any:
    """The model without the joints that move all fingers at once, such as a wrist's."""
    ends = _ends(model) if tips is None else _given(tips, model, path)
    if not 2 <= len(ends) <= len(FINGERS):
        found = ", ".join(model.frames[end].name for end in ends) or "none"
        raise InputError(
            f"{path} must have two to five fingers but has the ends {found}; name them: --tips thumb=LINK,index=LINK"
        )
    supports = [set(model.supports[model.frames[end].parentJoint]) for end in ends]
    shared = sorted(set.intersection(*supports) - {0})
    reduced = _pin().buildReducedModel(model, shared, _pin().neutral(model)) if shared else model
    if reduced.nq != reduced.nv or not np.isfinite([reduced.lowerPositionLimit, reduced.upperPositionLimit]).all():
        raise InputError(f"{path} must have revolute joints with limits but has others; replace continuous ones")
    return reduced


def _ends(model: Any) -> list[int]:
    """Frames of the links at which the chain ends, of chains with two moving joints or more of their own."""
    above = {frame.parentFrame for frame in model.frames if frame.type != _pin().FrameType.BODY}
    bodies = [i for i, frame in enumerate(model.frames) if frame.type == _pin().FrameType.BODY and i not in above]
    supports = {end: set(model.supports[model.frames[end].parentJoint]) - {0} for end in bodies}
    moving = [end for end in bodies if supports[end]]
    # A link at the palm ends no finger: all its joints are those of others too.
    ends = [end for end in moving if not any(supports[end] < supports[other] for other in moving)]
    # Of several links at one finger's end (a tip, a sensor) the farthest counts.
    data = model.createData()
    _pin().framesForwardKinematics(model, data, _pin().neutral(model))
    best: dict[int, int] = {}
    for end in ends:
        joint = model.frames[end].parentJoint
        far = [
            np.linalg.norm(data.oMf[i].translation - data.oMi[joint].translation) for i in (end, best.get(joint, end))
        ]
        best[joint] = end if far[0] >= far[1] else best[joint]
    return [end for end in best.values() if len(supports[end]) >= 2]


def _given(tips: Mapping[str, str], model: Any, path: Path | str) -> list[int]:
    unknown = set(tips) - set(FINGERS)
    if unknown:
        raise InputError(f"--tips must name fingers among {', '.join(FINGERS)} but got {', '.join(sorted(unknown))}")
    for link in tips.values():
        if not model.existFrame(link):
            ends = ", ".join(model.frames[end].name for end in _ends(model))
            raise InputError(f"{path} must have the link {link!r} but has not; its fingers end in {ends}")
    return [model.getFrameId(link) for link in tips.values()]


def _base(model: Any, data: Any, end: int, wanted: np.ndarray) -> int:
    """The joint of a finger that is nearest to where the person's finger begins; the first of equals."""
    joints = [joint for joint in model.supports[model.frames[end].parentJoint] if joint][:-1]
    return min(joints, key=lambda joint: round(float(np.linalg.norm(data.oMi[joint].translation - wanted)), 6))


def _chain(model: Any, data: Any, end: int, base: int = 1) -> np.ndarray:
    """(n, 3) the joints of a finger from its base (its first joint), and its tip."""
    joints = [joint for joint in model.supports[model.frames[end].parentJoint] if joint >= base]
    return np.array([*(data.oMi[joint].translation for joint in joints), data.oMf[end].translation])


def _points(model: Any, data: Any, ends: list[int], q: np.ndarray) -> np.ndarray:
    """(1, 2 F, 3) base and tip of each finger."""
    _pin().framesForwardKinematics(model, data, q)
    chains = [_chain(model, data, end) for end in ends]
    return np.array([[c[0] for c in chains] + [c[-1] for c in chains]])


def _length(chain: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=-1).sum())


class _Overlay(NamedTuple):
    """How a person's hand lies over a robot's: squared distances, whose fingers these are, the rotation from the hand's
    frame to the robot's, and where the person's fingers begin (F, 3)."""

    cost: float
    fingers: tuple[str, ...]
    rotation: np.ndarray
    bases: np.ndarray


def _overlay(fingers: tuple[str, ...], robot: Float[np.ndarray, "2 n 3"], side: str) -> _Overlay:
    """Lays a person's hand, flat and half closed, over a robot's."""
    model = HandModel.open()
    chains = [FINGER_JOINTS[finger] for finger in fingers]
    places = [c[0] for c in chains] + [c[-1] for c in chains]
    poses = np.stack([np.zeros(23), named_pose("half_closed")])
    person = np.asarray(model.joints(poses, side="left" if side == "left" else "right"))[:, places].reshape(-1, 3)
    scale, rotation, translation = align_similarity(person, robot.reshape(-1, 3))
    placed = scale * person @ rotation.T + translation
    cost = float(np.square(placed - robot.reshape(-1, 3)).sum())
    return _Overlay(cost, fingers, rotation, placed[: len(fingers)])
