"""A robot's hand from a URDF file, and which of its fingers are a person's.

Fingers are matched once: flat and half closed, the two hands are laid over each other by a similarity, which tells
which finger is which, and the rotation from the hand's frame to the robot's base. Kinematics are Pinocchio's
(`pip install 'knuckle[robot]'`).
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.files import InputError, read_text
from knuckle.geometry.align import align_similarity
from knuckle.handmodel import HandModel, named_pose
from knuckle.skeleton import FINGER_JOINTS, FINGERS

_MAX_BYTES = 2**24
_MAX_JOINTS = 1000
# Added to the name of a link that has a joint's.
_LINK = "_link"
# The hand of the other side must fit so much better before the robot's side is taken for a mistake.
_OTHER_SIDE = 0.7


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
        pinocchio_module().framesForwardKinematics(model, data, neutral)
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
                [_length(chain_of(model, data, ends[i], base)) for i, base in zip(order, bases, strict=True)]
            ),
            model=model,
        )

    def chains(self, positions: Float[np.ndarray, " J"]) -> list[Float[np.ndarray, "n 3"]]:
        """The joints of each finger from the palm to its tip, metres, in the frame of the robot's base."""
        data = self.model.createData()
        pinocchio_module().framesForwardKinematics(self.model, data, positions)
        return [chain_of(self.model, data, self.model.getFrameId(tip)) for tip in self.tips]


def pinocchio_module() -> Any:
    """Pinocchio; imported when it is needed, as it is an extra."""
    try:
        import pinocchio
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "retargeting requires Pinocchio; install it with `pip install 'knuckle[robot]'`"
        ) from None
    return pinocchio


def _read_model(path: Path) -> Any:
    build = pinocchio_module().buildModelFromXML
    text = read_text(path, _MAX_BYTES)
    # Its parsers follow a chain of joints by recursion, until the stack ends.
    if text.count("<joint") > _MAX_JOINTS:
        raise InputError(f"{path} must have at most {_MAX_JOINTS} joints but has more; leave all but the hand out")
    try:
        model = build(text, mimic=True)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path} must be a robot's URDF but cannot be read ({reason}); convert xacro files first"
        ) from None
    # URDF allows a link to have a joint's name; Pinocchio looks both up in one list.
    joints = {frame.name for frame in model.frames if frame.type != pinocchio_module().FrameType.BODY}
    for frame in model.frames:
        if frame.type == pinocchio_module().FrameType.BODY and frame.name in joints:
            frame.name += _LINK
    return model


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
    reduced = (
        pinocchio_module().buildReducedModel(model, shared, pinocchio_module().neutral(model)) if shared else model
    )
    if reduced.nq != reduced.nv or not np.isfinite([reduced.lowerPositionLimit, reduced.upperPositionLimit]).all():
        raise InputError(f"{path} must have revolute joints with limits but has others; replace continuous ones")
    return reduced


def _ends(model: Any) -> list[int]:
    """Frames of the links at which the chain ends, of chains with two moving joints or more of their own."""
    above = {frame.parentFrame for frame in model.frames if frame.type != pinocchio_module().FrameType.BODY}
    bodies = [
        i for i, frame in enumerate(model.frames) if frame.type == pinocchio_module().FrameType.BODY and i not in above
    ]
    supports = {end: set(model.supports[model.frames[end].parentJoint]) - {0} for end in bodies}
    moving = [end for end in bodies if supports[end]]
    # A link at the palm ends no finger: all its joints are those of others too.
    ends = [end for end in moving if not any(supports[end] < supports[other] for other in moving)]
    # Of several links at one finger's end (a tip, a sensor) the farthest counts.
    data = model.createData()
    pinocchio_module().framesForwardKinematics(model, data, pinocchio_module().neutral(model))
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
    body = pinocchio_module().FrameType.BODY
    links = [link if model.existFrame(link, body) else link + _LINK for link in tips.values()]
    for given, link in zip(tips.values(), links, strict=True):
        if not model.existFrame(link, body):
            ends = ", ".join(model.frames[end].name for end in _ends(model))
            raise InputError(f"{path} must have the link {given!r} but has not; its fingers end in {ends}")
    return [model.getFrameId(link) for link in links]


def _base(model: Any, data: Any, end: int, wanted: np.ndarray) -> int:
    """The joint of a finger that is nearest to where the person's finger begins; the first of equals."""
    joints = [joint for joint in model.supports[model.frames[end].parentJoint] if joint][:-1]
    return min(joints, key=lambda joint: round(float(np.linalg.norm(data.oMi[joint].translation - wanted)), 6))


def chain_of(model: Any, data: Any, end: int, base: int = 1) -> np.ndarray:
    """(n, 3) the joints of a finger from its base (its first joint), and its tip."""
    joints = [joint for joint in model.supports[model.frames[end].parentJoint] if joint >= base]
    return np.array([*(data.oMi[joint].translation for joint in joints), data.oMf[end].translation])


def _points(model: Any, data: Any, ends: list[int], q: np.ndarray) -> np.ndarray:
    """(1, 2 F, 3) base and tip of each finger."""
    pinocchio_module().framesForwardKinematics(model, data, q)
    chains = [chain_of(model, data, end) for end in ends]
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
