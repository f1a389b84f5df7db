"""The least-squares objective of a fit, term by term, with exact residual Jacobians.

Residuals are evaluated in the hand frame: the targets are rotated into it instead of the hand out of it. The
translation enters linearly and is eliminated: its optimum for any pose is the weighted mean of the residuals.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from knuckle.fit.kinematics import CROSS_BASIS, Kinematics, PosedJoints, angle_jacobian, pose, shape_jacobian
from knuckle.fit.skinning import LinearSkinning, fill_vertex_jacobian, skin_vertices
from knuckle.fit.solver import Estimate, NormalEquations
from knuckle.skeleton import TIPS as TIP_JOINTS

TIPS = np.array(TIP_JOINTS)
# Tip, DIP, PIP and MCP of index, middle, ring and little finger.
BENDING = np.array([[4 * finger + 4, 4 * finger + 3, 4 * finger + 2, 4 * finger + 1] for finger in range(1, 5)])


@dataclass(frozen=True, eq=False)
class Targets:
    """Observed points of the hand: its 21 joints, or the vertices of its mesh.

    Attributes:
        points: (B, N, 3) metres, of a right hand, near the origin.
        weights: (B, N) inverse variances, 1/m^2; zero for a point that was not observed.
    """

    points: Float[np.ndarray, "B N 3"]
    weights: Float[np.ndarray, "B N"]

    def take(self, index: Int[np.ndarray, " n"]) -> "Targets":
        """Those with the given indices, in increasing order and each at most once."""
        # Nothing is copied as long as there are all: of one hand at every step.
        return self if len(index) == len(self.points) else Targets(self.points[index], self.weights[index])


@dataclass(eq=False)
class NormalAccumulator:
    """Accumulates the normal equations of point residuals, the translation still among the unknowns.

    Attributes:
        cost (B,), gradient (B, P), hessian (B, P, P): as in `solver.NormalEquations`.
        cross_block: (B, 3, P) block of the Hessian between translation and the other unknowns.
        translation_gradient: (B, 3) weighted sum of the residuals.
        weight: (B,) sum of the weights, the diagonal of the translation's own block.
    """

    cost: Float[np.ndarray, " B"]
    gradient: Float[np.ndarray, "B P"]
    hessian: Float[np.ndarray, "B P P"]
    cross_block: Float[np.ndarray, "B 3 P"]
    translation_gradient: Float[np.ndarray, "B 3"]
    weight: Float[np.ndarray, " B"]

    def add_points(self, residual, jacobian, weights) -> None:
        """Add points with residual (B, N, 3), jacobian (B, N, 3, P) and weights (B, N)."""
        batch, points, _, unknowns = jacobian.shape
        weighted = jacobian * weights[:, :, None, None]
        flat = weighted.reshape(batch, 3 * points, unknowns).transpose(0, 2, 1)
        self.hessian += flat @ jacobian.reshape(batch, 3 * points, unknowns)
        self.gradient += (flat @ residual.reshape(batch, 3 * points, 1))[..., 0]
        self.cross_block += weighted.sum(axis=1)
        weighted_residual = residual * weights[..., None]
        self.cost += (weighted_residual * residual).sum(axis=(1, 2))
        self.translation_gradient += weighted_residual.sum(axis=1)
        self.weight += weights.sum(axis=1)

    def eliminate_translation(self) -> NormalEquations:
        """The normal equations at the optimal translation (Schur complement of its block)."""
        mean = self.translation_gradient / self.weight[:, None]
        return NormalEquations(
            self.cost - (mean * self.translation_gradient).sum(axis=1),
            self.gradient - np.matmul(mean[:, None, :], self.cross_block)[:, 0],
            self.hessian
            - np.matmul((self.cross_block / self.weight[:, None, None]).transpose(0, 2, 1), self.cross_block),
            self.weight,
        )


@dataclass(frozen=True, eq=False)
class Objective:
    """The sum of squares of a batch of hands.

    cost = sum over joints and vertices of |R p + t - y|^2 / uncertainty^2
           + shape_weight |shape - shape_mean|^2
           + sum over angles of angle_weights (angle - angle_mean)^2
           + bend_weight sum over four fingers of max(0, -bend)^2

    Attributes:
        kin: the hand.
        joints: the observed joints, or None.
        tip_skinning: skinning of the fingertips where these are vertices (MANO), None where the last bone moves them.
        skinning: skinning of the mesh, where vertices were observed.
        vertices: the observed vertices, or None.
        shape: (B, S) the shape where it is held fixed, None where it is an unknown.
        shape_mean: (S,) mean of the shape prior.
        shape_weight: weight of the squared deviation from it.
        angle_mean, angle_weights: (A,) the same for every angle.
        bend_weight: weight of the squared bend inconsistency.
    """

    kin: Kinematics
    joints: Targets | None
    tip_skinning: LinearSkinning | None
    skinning: LinearSkinning | None
    vertices: Targets | None
    shape: Float[np.ndarray, "B S"] | None
    shape_mean: Float[np.ndarray, " S"]
    shape_weight: float
    angle_mean: Float[np.ndarray, " A"]
    angle_weights: Float[np.ndarray, " A"]
    bend_weight: float

    @property
    def unknowns(self) -> int:
        return 3 + self.kin.angle_count + (self.kin.shape_count if self.shape is None else 0)

    def split(self, index: Int[np.ndarray, " n"], values: Float[np.ndarray, "n N"]) -> tuple[np.ndarray, np.ndarray]:
        """Angles (n, A) and shape (n, S) of the problems with these indices."""
        count = self.kin.angle_count
        return values[:, :count], values[:, count:] if self.shape is None else self.shape[index]

    def cost(self, index: Int[np.ndarray, " n"], estimate: Estimate) -> Float[np.ndarray, " n"]:
        """`evaluate(index, estimate).cost`, without the derivatives."""
        angles, shape = self.split(index, estimate.values)
        posed = pose(self.kin, angles, shape)
        joints = posed.joints
        if self.tip_skinning is not None:
            joints = joints.copy()
            joints[:, TIPS] = skin_vertices(self.tip_skinning, posed, shape).points
        squares = weights = np.zeros(len(index))
        sums = np.zeros((len(index), 3))
        for targets, points in ((self.joints, joints), (self.vertices, None)):
            if targets is None:
                continue
            if points is None:
                assert self.skinning is not None
                points = skin_vertices(self.skinning, posed, shape).points
            seen = targets.take(index)
            residual = points - seen.points @ estimate.rotation
            weighted = residual * seen.weights[..., None]
            squares = squares + (weighted * residual).sum(axis=(1, 2))
            sums = sums + weighted.sum(axis=1)
            weights = weights + seen.weights.sum(axis=1)
        cost = squares - (sums / weights[:, None] * sums).sum(axis=1)
        if self.bend_weight:
            residual = np.maximum(-bend_of(joints)[0], 0.0)
            cost += self.bend_weight * np.square(residual).sum(axis=1)
        deviation = angles - self.angle_mean
        cost += (self.angle_weights * deviation * deviation).sum(axis=1)
        if self.shape is None and self.shape_weight:
            deviation = shape - self.shape_mean
            cost += (self.shape_weight * deviation * deviation).sum(axis=1)
        return cost

    def evaluate(self, index: Int[np.ndarray, " n"], estimate: Estimate) -> NormalEquations:
        """The sum of squares and its derivatives, the translation eliminated."""
        angles, shape = self.split(index, estimate.values)
        posed = pose(self.kin, angles, shape)
        sums = empty_accumulator(len(index), self.unknowns)
        joints, jacobian = self._joints(posed, shape)
        if self.joints is not None:
            targets = self.joints.take(index)
            turned = targets.points @ estimate.rotation
            sums.add_points(joints - turned, with_rotation(jacobian, turned), targets.weights)
        if self.skinning is not None and self.vertices is not None:
            targets = self.vertices.take(index)
            turned = targets.points @ estimate.rotation
            skinned, slope = self._skinned_vertices(self.skinning, posed, shape)
            sums.add_points(skinned - turned, with_rotation(slope, turned), targets.weights)
        normal = sums.eliminate_translation()
        if self.bend_weight:
            add_bend(normal, joints, jacobian, self.bend_weight)
        count = self.kin.angle_count
        add_prior(normal, slice(3, 3 + count), angles - self.angle_mean, self.angle_weights)
        if self.shape is None and self.shape_weight:
            add_prior(normal, slice(3 + count, None), shape - self.shape_mean, self.shape_weight)
        return normal

    def _joints(self, posed: PosedJoints, shape: Float[np.ndarray, "n S"]) -> tuple[np.ndarray, np.ndarray]:
        """Joints (n, 21, 3) and their Jacobian (n, 21, 3, P), its three columns of rotation left zero."""
        batch, unknowns = len(shape), self.unknowns
        jacobian = np.zeros((batch, 21, 3, unknowns))
        rows, angles = self.kin.entries
        jacobian.reshape(batch, 63, unknowns)[:, rows, 3 + angles] = angle_jacobian(self.kin, posed).reshape(batch, -1)
        if self.shape is None:
            jacobian[..., 3 + self.kin.angle_count :] = shape_jacobian(self.kin, posed)
        if self.tip_skinning is None:
            return posed.joints, jacobian
        joints = posed.joints.copy()
        joints[:, TIPS], jacobian[:, TIPS] = self._skinned_vertices(self.tip_skinning, posed, shape)
        return joints, jacobian

    def _skinned_vertices(
        self, skinning: LinearSkinning, posed: PosedJoints, shape: Float[np.ndarray, "n S"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (n, N, 3) and their Jacobian (n, N, 3, P), its three columns of rotation left zero."""
        skinned = skin_vertices(skinning, posed, shape)
        jacobian = np.zeros((*skinned.points.shape, self.unknowns))
        fill_vertex_jacobian(jacobian, skinning, self.kin, posed, skinned, with_shape=self.shape is None)
        return skinned.points, jacobian


def with_rotation(
    jacobian: Float[np.ndarray, "n N 3 P"], turned: Float[np.ndarray, "n N 3"]
) -> Float[np.ndarray, "n N 3 P"]:
    """Write the first three columns of the Jacobian of (points - rotated targets); the targets rotate inversely."""
    jacobian[..., :3] = (turned @ CROSS_BASIS).reshape(*turned.shape, 3)
    return jacobian


def empty_accumulator(batch: int, unknowns: int) -> NormalAccumulator:
    return NormalAccumulator(
        np.zeros(batch),
        np.zeros((batch, unknowns)),
        np.zeros((batch, unknowns, unknowns)),
        np.zeros((batch, 3, unknowns)),
        np.zeros((batch, 3)),
        np.zeros(batch),
    )


def add_prior(
    normal: NormalEquations,
    unknowns: slice,
    deviation: Float[np.ndarray, "B N"],
    weights: Float[np.ndarray, " N"] | float,
) -> None:
    """Add the sum of weights * deviation^2 of the given unknowns."""
    pull = weights * deviation
    normal.cost[:] += (pull * deviation).sum(axis=1)
    normal.gradient[:, unknowns] += pull
    np.einsum("bii->bi", normal.hessian)[:, unknowns] += weights


def add_bend(normal: NormalEquations, joints: Float[np.ndarray, "B 21 3"], jacobian, weight: float) -> None:
    """Add weight * max(0, -bend)^2 of index to little finger: DIP and PIP should bend in the same direction.

    bend = (u1 x u2) . (u2 x u3) with u1, u2, u3 the unit bones DIP-tip, PIP-DIP and MCP-PIP.

    Source: Fan & Wang, Eq. 3, with unit bones: without normalisation the cost would depend strongly on bone length.
    Squared here to be a least-squares term.
    """
    bend, slope = bend_consistency(joints, jacobian)
    residual = np.maximum(-bend, 0.0)
    if not residual.any():
        return
    slope = np.where(residual[..., None] > 0, -slope, 0.0)
    slope[..., :3] = 0.0  # bending does not depend on the hand's rotation
    normal.cost[:] += weight * np.sum(residual**2, axis=1)
    normal.gradient[:] += weight * np.matmul(residual[:, None], slope)[:, 0]
    normal.hessian[:] += weight * (slope.transpose(0, 2, 1) @ slope)


def bend_consistency(joints: Float[np.ndarray, "B 21 3"], jacobian: Float[np.ndarray, "B 21 3 P"]):
    """(B, 4) `bend` of `add_bend` and its Jacobian (B, 4, P)."""
    bend, unit, length, (d12, d23) = bend_of(joints)
    u1, u2, u3 = unit[:, :, 0], unit[:, :, 1], unit[:, :, 2]
    by_unit = np.stack([u2 * d23 - u3, u1 * d23 + u3 * d12, u2 * d12 - u1], axis=2)
    by_bone = (by_unit - unit * np.sum(unit * by_unit, axis=-1, keepdims=True)) / length
    rows = jacobian[:, BENDING]
    by_unknown = rows[:, :, :-1] - rows[:, :, 1:]
    return bend, np.sum(by_bone[..., None] * by_unknown, axis=(2, 3))


def bend_of(joints: Float[np.ndarray, "B 21 3"]):
    """(B, 4) `bend` of `add_bend`; unit bones (B, 4, 3, 3), their lengths, and products of neighbours."""
    chain = joints[:, BENDING]
    bones = chain[:, :, :-1] - chain[:, :, 1:]
    length = np.maximum(np.sqrt(np.sum(bones**2, axis=-1, keepdims=True)), 1e-9)
    unit = bones / length
    u1, u2, u3 = unit[:, :, 0], unit[:, :, 1], unit[:, :, 2]
    d12, d23, d13 = (np.sum(a * b, axis=-1, keepdims=True) for a, b in ((u1, u2), (u2, u3), (u1, u3)))
    # Lagrange's identity; the square of u2 is one.
    return (d12 * d23 - d13)[..., 0], unit, length, (d12, d23)
