"""Linear blend skinning of mesh vertices and its analytic Jacobian with respect to angles and shape."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from knuckle.fit.kinematics import BONES, CHAINS, LEVELS, Kinematics, PosedJoints, shape_jacobian
from knuckle.geometry.align import align_similarity
from knuckle.geometry.rotation import cross_matrix, cross_product
from knuckle.handmodel.model import HandModel

PIVOTS = np.array([1 + 4 * chain + level for chain in range(CHAINS) for level in range(LEVELS)])


@dataclass(frozen=True, eq=False)
class LinearSkinning:
    """Constants of linear blend skinning for some or all vertices of a hand.

    Attributes:
        rest: (N, 3) metres, hand frame.
        shape: (N, 3, S) displacement per unit of shape.
        weights: (N, 16) of the hand and the 15 finger bones. The forearm's are added to the hand's: it is not posed.
        forearm: (N,) weight of the forearm included in the hand's.
        correctives: (135, N, 3) pose correctives per entry of the local rotations minus identity, or None.
        moved: for each finger the vertices that its bones move.
    """

    rest: Float[np.ndarray, "N 3"]
    shape: Float[np.ndarray, "N 3 S"]
    weights: Float[np.ndarray, "N 16"]
    forearm: Float[np.ndarray, " N"]
    correctives: Float[np.ndarray, "135 N 3"] | None
    moved: tuple[Int[np.ndarray, " _"], ...]


def linear_skinning_of(model: HandModel, subset: Sequence[int] | None = None) -> LinearSkinning:
    """The skinning of a model's vertices, or of a subset of them."""
    chosen = slice(None) if subset is None else np.asarray(subset)
    weights = np.asarray(model.weights, dtype=np.float64)[chosen]
    forearm = weights[:, 1 + BONES :].sum(axis=1)
    folded = weights[:, : 1 + BONES].copy()
    folded[:, 0] += forearm
    by_finger = folded[:, 1:].reshape(-1, CHAINS, LEVELS).sum(axis=2)
    return LinearSkinning(
        rest=np.asarray(model.vertices, dtype=np.float64)[chosen],
        shape=np.ascontiguousarray(np.asarray(model.shape_vertices, dtype=np.float64)[:, chosen].transpose(1, 2, 0)),
        weights=folded,
        forearm=forearm,
        correctives=None if model.pose_vertices is None else np.ascontiguousarray(model.pose_vertices[:, chosen]),
        moved=tuple(np.flatnonzero(column > 0) for column in by_finger.T),
    )


@dataclass(frozen=True, eq=False)
class PosedVertices:
    """A batch of posed vertices, in the hand frame, and the intermediate values that their Jacobians need.

    Attributes:
        points: (B, N, 3) metres.
        rest: (B, N, 3) rest vertices of this shape, with the pose correctives added.
        rotations, offsets: (B, 16, 3, 3) and (B, 16, 3) rest to posed, of the hand and the finger bones.
        blended: (B, N, 3, 3) the rotations blended with each vertex's weights.
    """

    points: Float[np.ndarray, "B N 3"]
    rest: Float[np.ndarray, "B N 3"]
    rotations: Float[np.ndarray, "B 16 3 3"]
    offsets: Float[np.ndarray, "B 16 3"]
    blended: Float[np.ndarray, "B N 3 3"]


def skin_vertices(skinning: LinearSkinning, posed: PosedJoints, shape: Float[np.ndarray, "B S"]) -> PosedVertices:
    """LinearSkinning the vertices of a batch of posed hands."""
    batch, count = len(shape), len(skinning.rest)
    rest = skinning.rest + (skinning.shape @ shape[:, None, :, None])[..., 0]
    if skinning.correctives is not None:
        feature = (_local_rotations(posed) - np.eye(3)).reshape(batch, 9 * BONES)
        rest = rest + (feature @ skinning.correctives.reshape(9 * BONES, 3 * count)).reshape(batch, count, 3)
    rotations = np.concatenate([np.broadcast_to(np.eye(3), (batch, 1, 3, 3)), posed.bones], axis=1)
    pivots = posed.rest_joints[:, PIVOTS]
    offsets = np.zeros((batch, 1 + BONES, 3))
    offsets[:, 1:] = posed.joints[:, PIVOTS] - np.matmul(posed.bones, pivots[..., None])[..., 0]
    blended = (skinning.weights @ rotations.reshape(batch, 1 + BONES, 9)).reshape(batch, count, 3, 3)
    points = np.matmul(blended, rest[..., None])[..., 0] + skinning.weights @ offsets
    return PosedVertices(points, rest, rotations, offsets, blended)


def _local_rotations(posed: PosedJoints) -> Float[np.ndarray, "B 15 3 3"]:
    bones = posed.bones.reshape(-1, CHAINS, LEVELS, 3, 3)
    local = bones.copy()
    local[:, :, 1:] = bones[:, :, :-1].swapaxes(-1, -2) @ bones[:, :, 1:]
    return local.reshape(-1, BONES, 3, 3)


def fill_vertex_jacobian(
    jacobian: Float[np.ndarray, "B N 3 P"],
    skinning: LinearSkinning,
    kin: Kinematics,
    posed: PosedJoints,
    skinned: PosedVertices,
    with_shape: bool,
) -> None:
    """Write the derivatives of the points with respect to angles, and shape where it is an unknown, from column 3 on.

    The other columns, and those of angles that do not move a point, are not written.
    """
    for chain, moved in enumerate(skinning.moved):
        bones = slice(LEVELS * chain, LEVELS * (chain + 1))
        weights = skinning.weights[moved, 1:][:, bones]
        turned = np.matmul(skinned.rest[:, None, moved], skinned.rotations[:, 1:][:, bones].swapaxes(-1, -2))
        carried = (turned + skinned.offsets[:, 1:][:, bones, None]) * weights.T[..., None]
        # An angle moves its bone and those distal to it; the sums run from tip to base.
        carried = np.cumsum(carried[:, ::-1], axis=1)[:, ::-1]
        share = np.cumsum(weights.T[::-1], axis=0)[::-1]
        lever = carried - share[..., None] * posed.joints[:, PIVOTS[bones], None]
        angles = np.flatnonzero(kin.bone // LEVELS == chain)
        columns = cross_product(posed.axes[:, angles, None], lever[:, kin.bone[angles] % LEVELS])
        jacobian[:, moved[:, None, None], np.arange(3)[:, None], 3 + angles] = columns.transpose(0, 2, 3, 1)
    if skinning.correctives is not None:
        add_corrective_jacobian(jacobian, skinning.correctives, kin, posed, skinned)
    if with_shape:
        fill_shape_jacobian(jacobian, skinning, kin, posed, skinned)


def add_corrective_jacobian(
    jacobian: Float[np.ndarray, "B N 3 P"],
    correctives: Float[np.ndarray, "135 N 3"],
    kin: Kinematics,
    posed: PosedJoints,
    skinned: PosedVertices,
) -> None:
    """Add the derivatives of the points through the pose correctives: an angle changes its own bone's rotation."""
    batch, count = skinned.points.shape[:2]
    turn = cross_matrix(posed.axes) @ posed.bones[:, kin.bone]
    inner = kin.bone % LEVELS > 0
    turn[:, inner] = posed.bones[:, kin.bone[inner] - 1].swapaxes(-1, -2) @ turn[:, inner]
    blocks = correctives.reshape(BONES, 9, 3 * count)
    slope = np.empty((batch, kin.angle_count, 3 * count))
    for bone in range(BONES):
        angles = np.flatnonzero(kin.bone == bone)
        slope[:, angles] = turn[:, angles].reshape(batch, len(angles), 9) @ blocks[bone]
    columns = slope.reshape(batch, kin.angle_count, count, 3).transpose(0, 2, 3, 1)
    jacobian[..., 3 : 3 + kin.angle_count] += np.matmul(skinned.blended, columns)


def fill_shape_jacobian(
    jacobian: Float[np.ndarray, "B N 3 P"],
    skinning: LinearSkinning,
    kin: Kinematics,
    posed: PosedJoints,
    skinned: PosedVertices,
) -> None:
    batch, count, shapes = len(jacobian), len(skinning.rest), kin.shape_count
    pivots = np.zeros((batch, 1 + BONES, 3, shapes))
    rest_pivots = kin.shape_joints[:, PIVOTS].transpose(1, 2, 0)
    pivots[:, 1:] = shape_jacobian(kin, posed)[:, PIVOTS] - np.matmul(posed.bones, rest_pivots)
    moved_pivots = (skinning.weights @ pivots.reshape(batch, 1 + BONES, 3 * shapes)).reshape(batch, count, 3, shapes)
    jacobian[..., 3 + kin.angle_count :] = np.matmul(skinned.blended, skinning.shape) + moved_pivots


def joints_from_mesh(
    skinning: LinearSkinning, kin: Kinematics, vertices: Float[np.ndarray, "B N 3"], weights: Float[np.ndarray, "B N"]
) -> Float[np.ndarray, "B 21 3"]:
    """Approximate joints of a mesh in any pose and shape, as an initial estimate.

    Every bone is aligned independently, by a similarity, to the vertices it moves most; a joint is the mean of where
    its two bones place it.
    """
    owner = np.argmax(skinning.weights, axis=1)
    placed = np.empty((len(vertices), 1 + BONES, 21, 3))
    for bone in range(1 + BONES):
        mine = np.flatnonzero((owner == bone) & (skinning.forearm < 0.5))
        scale, rotation, offset = align_similarity(
            np.broadcast_to(skinning.rest[mine], (len(vertices), len(mine), 3)),
            vertices[:, mine],
            weights[:, mine] * skinning.weights[mine, bone],
        )
        placed[:, bone] = scale[:, None, None] * (kin.joints @ rotation.swapaxes(-1, -2)) + offset[:, None]
    near = np.zeros((21, 1 + BONES))
    near[[0, 1, 5, 9, 13, 17], 0] = 1.0
    for bone, pivot in enumerate(PIVOTS):
        near[pivot, 1 + bone] = near[pivot + 1, 1 + bone] = 1.0
    near /= near.sum(axis=1, keepdims=True)
    return np.einsum("jb,nbjc->njc", near, placed)
