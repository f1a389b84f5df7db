"""Forward kinematics of the joints and its analytic Jacobian, in NumPy: evaluated at every step of the solver.

`HandModel.joints` is the reference; this is a faster implementation of the same function, and the tests compare
them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from knuckle.geometry.rotation import cross_matrix, cross_product
from knuckle.handmodel.angles import ANGLE_JOINT
from knuckle.handmodel.model import HandModel

CHAINS = 5  # fingers
LEVELS = 3  # articulated bones of a finger
BONES = CHAINS * LEVELS

# p @ CROSS_BASIS is the flattened 3x3 matrix whose column k is e_k x p.
CROSS_BASIS = np.array(
    [
        [0, 0, 0, 0, 0, 1, 0, -1, 0],
        [0, 0, -1, 0, 0, 0, 1, 0, 0],
        [0, 1, 0, -1, 0, 0, 0, 0, 0],
    ],
    dtype=np.float64,
)
_IDENTITY = np.eye(3)


@dataclass(frozen=True, eq=False)
class Kinematics:
    """Constants of the forward kinematics, as five chains of three bones.

    Bones are numbered without the hand and the forearm: finger bone 3 * chain + level, as in C21 order.

    Attributes:
        joints: (21, 3) rest joints, metres, hand frame.
        shape_joints: (S, 21, 3) their linear change per unit of shape.
        segments: (5, 3, 3) rest vectors from the pivot of each bone to the next joint.
        shape_segments: (5, 3, 3, S) their change per unit of shape.
        axes: (A, 3) unit rotation axis of every angle, hand frame at rest.
        skew, skew2: (A, 3, 3) cross-product matrix of each axis and its square.
        bone: (A,) finger bone each angle rotates.
        slots: slots[k] are the angles that are the k-th of their bone, in order of composition; slots[0] has one for
            every bone, in their order.
        slot_bones: their bones.
        summed: the angles of a bone are summed to a rotation vector (MANO's convention) and not composed.
        pairs: (3, M) angle, joint and pivot joint of every non-zero block of the Jacobian.
        entries: (2, 3 M) row, of 63 coordinates, and angle of every entry of these blocks.
    """

    joints: Float[np.ndarray, "21 3"]
    shape_joints: Float[np.ndarray, "S 21 3"]
    segments: Float[np.ndarray, "5 3 3"]
    shape_segments: Float[np.ndarray, "5 3 3 S"]
    axes: Float[np.ndarray, "A 3"]
    skew: Float[np.ndarray, "A 3 3"]
    skew2: Float[np.ndarray, "A 3 3"]
    bone: Int[np.ndarray, " A"]
    slots: tuple[np.ndarray, ...]
    slot_bones: tuple[np.ndarray, ...]
    summed: bool
    pairs: Int[np.ndarray, "3 M"]
    entries: Int[np.ndarray, "2 K"]

    @property
    def angle_count(self) -> int:
        return self.axes.shape[0]

    @property
    def shape_count(self) -> int:
        return self.shape_joints.shape[0]


@dataclass(frozen=True, eq=False)
class PosedJoints:
    """A batch of posed hands, in the hand frame.

    Attributes:
        joints: (B, 21, 3) metres.
        bones: (B, 15, 3, 3) rotation of every finger bone, rest to posed.
        axes: (B, A, 3) rotation axis of every angle in the posed hand.
        rest_joints: (B, 21, 3) rest joints of this shape.
    """

    joints: Float[np.ndarray, "B 21 3"]
    bones: Float[np.ndarray, "B 15 3 3"]
    axes: Float[np.ndarray, "B A 3"]
    rest_joints: Float[np.ndarray, "B 21 3"]


def kinematics_of(model: HandModel) -> Kinematics:
    """The constants of a HandModel in the layout of the solver.

    Raises:
        TypeError: its constants are not NumPy arrays.
    """
    for name in ("joints_rest", "angle_axis"):
        if not isinstance(getattr(model, name), np.ndarray):
            raise TypeError(
                f"model must hold NumPy arrays but its {name} is a {type(getattr(model, name)).__name__}; "
                "fit with the model it came from, before .to(tensor)"
            )
    bone = np.array(ANGLE_JOINT)
    joints = np.asarray(model.joints_rest, dtype=np.float64)
    shape_joints = np.asarray(model.shape_joints, dtype=np.float64)
    chained = joints[1:].reshape(CHAINS, LEVELS + 1, 3)
    shape_chained = shape_joints[:, 1:].reshape(-1, CHAINS, LEVELS + 1, 3)
    axes = np.asarray(model.angle_axis, dtype=np.float64)
    skew = cross_matrix(axes)
    return Kinematics(
        joints=joints,
        shape_joints=shape_joints,
        segments=np.diff(chained, axis=1),
        shape_segments=np.ascontiguousarray(np.diff(shape_chained, axis=2).transpose(1, 2, 3, 0)),
        axes=axes,
        skew=skew,
        skew2=skew @ skew,
        bone=bone,
        slots=(slots := _slots(bone)),
        slot_bones=tuple(bone[slot] for slot in slots),
        summed=model.angle_convention == "summed",
        pairs=(pairs := _pairs(bone)),
        entries=np.stack([(3 * pairs[1][:, None] + np.arange(3)).reshape(-1), np.repeat(pairs[0], 3)]),
    )


def _slots(bone: Int[np.ndarray, " A"]) -> tuple[np.ndarray, ...]:
    place = np.array([np.sum(bone[:i] == b) for i, b in enumerate(bone)])
    return tuple(np.flatnonzero(place == k) for k in range(int(place.max()) + 1))


def _pairs(bone: Int[np.ndarray, " A"]) -> Int[np.ndarray, "3 M"]:
    rows = []
    for angle, b in enumerate(bone):
        chain, level = divmod(int(b), LEVELS)
        base = 1 + 4 * chain
        rows += [(angle, base + further, base + level) for further in range(level + 1, LEVELS + 1)]
    return np.array(rows).T


def pose(kin: Kinematics, angles: Float[np.ndarray, "B A"], shape: Float[np.ndarray, "B S"]) -> PosedJoints:
    """Joints of a batch of hands in the hand frame, and the intermediate values that their Jacobians need."""
    local, prefixed = (_summed_rotations if kin.summed else _composed_rotations)(kin, angles)
    batch = angles.shape[0]
    local = local.reshape(batch, CHAINS, LEVELS, 3, 3)
    bones = np.empty_like(local)
    bones[:, :, 0] = local[:, :, 0]
    np.matmul(bones[:, :, 0], local[:, :, 1], out=bones[:, :, 1])
    np.matmul(bones[:, :, 1], local[:, :, 2], out=bones[:, :, 2])

    rest = kin.joints + (shape @ kin.shape_joints.reshape(kin.shape_count, 63)).reshape(batch, 21, 3)
    chained = rest[:, 1:].reshape(batch, CHAINS, LEVELS + 1, 3)
    joints = rest.copy()
    posed = joints[:, 1:].reshape(batch, CHAINS, LEVELS + 1, 3)
    steps = np.matmul(bones, (chained[:, :, 1:] - chained[:, :, :-1])[..., None])[..., 0]
    posed[:, :, 1:] = posed[:, :, :1] + np.cumsum(steps, axis=2)

    parents = np.empty_like(bones)
    parents[:, :, 0] = _IDENTITY
    parents[:, :, 1:] = bones[:, :, :-1]
    parents = parents.reshape(batch, BONES, 3, 3)
    axes = np.matmul(parents[:, kin.bone], prefixed[..., None])[..., 0]
    return PosedJoints(joints, bones.reshape(batch, BONES, 3, 3), axes, rest)


def _composed_rotations(kin: Kinematics, angles: Float[np.ndarray, "B A"]) -> tuple[np.ndarray, np.ndarray]:
    """(B, 15, 3, 3) local rotations and (B, A, 3) each axis rotated by the angles composed before it."""
    turns = _IDENTITY + np.sin(angles)[:, :, None, None] * kin.skew
    turns += (1 - np.cos(angles))[:, :, None, None] * kin.skew2
    local = turns[:, kin.slots[0]]
    axes = np.empty((len(angles), kin.angle_count, 3))
    axes[:] = kin.axes
    for slot, bones in zip(kin.slots[1:], kin.slot_bones[1:], strict=True):
        before = local[:, bones]
        axes[:, slot] = np.matmul(before, kin.axes[slot][..., None])[..., 0]
        local[:, bones] = np.matmul(before, turns[:, slot])
    return local, axes


def _summed_rotations(kin: Kinematics, angles: Float[np.ndarray, "B A"]) -> tuple[np.ndarray, np.ndarray]:
    """As `_composed_rotations`, with the axes times their angles summed to one rotation vector per bone."""
    vectors = np.zeros((len(angles), BONES, 3))
    for slot in kin.slots:
        vectors[:, kin.bone[slot]] += angles[:, slot, None] * kin.axes[slot]
    square = np.sum(vectors**2, axis=-1)[..., None, None]
    length = np.sqrt(square)
    # Taylor series below 1e-4 rad: the quotients lose precision there, and the series is exact to 1e-17.
    small = length < 1e-4
    safe = np.where(small, 1.0, length)
    sinc = np.where(small, 1 - square / 6, np.sin(safe) / safe)
    versine = np.where(small, 0.5 - square / 24, (1 - np.cos(safe)) / safe**2)
    cubic = np.where(small, 1 / 6 - square / 120, (safe - np.sin(safe)) / safe**3)
    skew = cross_matrix(vectors)
    skew2 = skew @ skew
    local = np.eye(3) + sinc * skew + versine * skew2
    # The left Jacobian of SO(3), which maps changes of the rotation vector to rotations (Sola et al., 2018, Eq. 145).
    left = np.eye(3) + versine * skew + cubic * skew2
    return local, np.matmul(left[:, kin.bone], kin.axes[..., None])[..., 0]


def angle_jacobian(kin: Kinematics, posed: PosedJoints) -> Float[np.ndarray, "B M 3"]:
    """Derivative of joint kin.pairs[1] with respect to angle kin.pairs[0], metres per radian; zero for other pairs."""
    angle, joint, pivot = kin.pairs
    return cross_product(posed.axes[:, angle], posed.joints[:, joint] - posed.joints[:, pivot])


def shape_jacobian(kin: Kinematics, posed: PosedJoints) -> Float[np.ndarray, "B 21 3 S"]:
    """Derivative of the joints with respect to shape, metres per unit."""
    batch, count = len(posed.joints), kin.shape_count
    rest = kin.shape_joints.transpose(1, 2, 0)
    jacobian = np.empty((batch, 21, 3, count))
    jacobian[:] = rest
    chains = jacobian[:, 1:].reshape(batch, CHAINS, LEVELS + 1, 3, count)
    steps = np.matmul(posed.bones.reshape(batch, CHAINS, LEVELS, 3, 3), kin.shape_segments)
    chains[:, :, 1:] = chains[:, :, :1] + np.cumsum(steps, axis=2)
    return jacobian


def rotation_of(vector: Float[np.ndarray, "B 3"]) -> Float[np.ndarray, "B 3 3"]:
    """The rotation matrices of rotation vectors: geometry.rotation.axis_angle_to_matrix, several times faster here."""
    # Never zero: both quotients have their limits there, and lose no precision on the way.
    length = np.sqrt(np.maximum(np.square(vector).sum(axis=1), 1e-24))[:, None, None]
    half = np.sin(0.5 * length) / length
    skew = (vector @ CROSS_BASIS).reshape(-1, 3, 3).swapaxes(1, 2)
    return _IDENTITY + (np.sin(length) / length) * skew + (2 * half * half) * (skew @ skew)
