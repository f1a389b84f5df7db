"""Least-squares fit of the hand model to joints or a mesh: angles, shape, rotation and translation."""

import warnings
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from knuckle.arrays import Array
from knuckle.fit.constants import FitConstants
from knuckle.fit.inputs import MIRROR, Problem, angle_prior, checked_limits, flat_side, flat_targets
from knuckle.fit.kinematics import pose
from knuckle.fit.objective import Targets
from knuckle.fit.search import SearchOptions, SearchResult, search
from knuckle.fit.shared import search_shared
from knuckle.fit.skinning import LinearSkinning
from knuckle.fit.solver import Estimate
from knuckle.handmodel.limits import angle_limits as preset_limits
from knuckle.handmodel.model import HandModel
from knuckle.handmodel.placement import Side

# Default standard deviations of each coordinate, metres: the noise of recorded joints, and how far a person's mesh
# departs from the model's.
JOINT_UNCERTAINTY = 0.003
VERTEX_UNCERTAINTY = 0.01
# Metres: farther from the joints on average no hand is that has about their size.
_WARN_ABOVE = 0.2
_CONJUGATE = MIRROR[:, None] * MIRROR


@dataclass(frozen=True, eq=False)
class Fit:
    """The hands that `fit_hand` result, with the leading axes of its input.

    Attributes:
        angles: (..., 23) radians, within the limits.
        shape: (..., S).
        T_camera_hand: (..., 4, 4) rigid; a left hand's joints are `T_camera_hand @ (diag(-1, 1, 1) joints_hand)`.
        joints: (..., 21, 3) metres, camera frame: the model's joints of this fit.
        error: (...) metres, mean distance to the observed joints, or to the vertices where no joints were given.
        iterations: (...) steps tried, summed over all starts.
        converged: (...) false where the maximum number of steps was reached first.
        vectors: (..., 15, 3) rotation vectors of the finger joints, thumb to little finger, where a network gave these
            and no angles: the joints are of them, and the angles the closest ones.
    """

    angles: Float[np.ndarray, "*batch 23"]
    shape: Float[np.ndarray, "*batch S"]
    T_camera_hand: Float[np.ndarray, "*batch 4 4"]
    joints: Float[np.ndarray, "*batch 21 3"]
    error: Float[np.ndarray, "*batch"]
    iterations: Int[np.ndarray, "*batch"]
    converged: Bool[np.ndarray, "*batch"]
    vectors: Float[np.ndarray, "*batch 15 3"] | None = None

    def __getitem__(self, index: Any) -> "Fit":
        """Select hands by an index of the leading axes: `fit[-1]` of a video initialises the next frame."""
        lead = self.angles[..., 0].ndim
        every = (index if isinstance(index, tuple) else (index,)) + (Ellipsis,)
        if lead == 0:
            raise IndexError("fit must have leading axes to be indexed but is of one hand; use it as it is")
        selected = {f.name: np.asarray(v[every]) for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return Fit(**selected)


def fit_hand(
    model: HandModel | FitConstants,
    joints: Array | None = None,
    vertices: Array | None = None,
    *,
    side: Side = "right",
    joint_uncertainty: Array | float | None = None,
    vertex_uncertainty: Array | float | None = None,
    shape: Literal["free", "shared"] | Array = "free",
    shape_regularisation: float = 0.03,
    shape_mean: Array | None = None,
    limits: Array | str | None = "default",
    shape_limits: Array | None = None,
    angle_regularisation: float = 0.1,
    bend_weight: float = 0.0,
    initial: Fit | None = None,
    iterations: int = 50,
    tolerance: float = 1e-5,
    restart_above: float = 0.01,
) -> Fit:
    """Fit hands to the joints, the mesh, or both.

    Minimises, by damped Gauss-Newton within the limits,

        sum |model point - observed point|^2 / uncertainty^2 + shape_regularisation |shape - shape_mean|^2
        + angle_regularisation |angles / half their range|^2
        + bend_weight sum over index to little finger of max(0, -bend)^2

    Apart from the last term this is twice the negative log posterior where the observed coordinates have independent
    Gaussian errors, the uncertainties being their standard deviations, and shape and angles have Gaussian priors.

    Args:
        model: the hand, with NumPy constants; or `FitConstants.of(model)`, which is then not worked out in every call.
        joints: (..., 21, 3) metres, common order, any frame that is a rotation and a translation away from the hand's.
        vertices: (..., V, 3) metres, in the model's vertex order. Those of the forearm are ignored: it moves with
            the wrist, which is not fitted.
        side: "left", "right", or a boolean array of the leading axes, true for a left hand.
        joint_uncertainty: (..., 21) standard deviation of each coordinate of a joint, metres; infinite for a joint that
            was not observed, whose coordinates are then ignored. 3 mm where None.
        vertex_uncertainty: (..., V) the same for each vertex; 10 mm where None.
        shape: "free", one per hand; "shared", one for all hands, as of one person; or (..., S), held fixed.
        shape_regularisation: weight of the squared shape; 1 is the prior of the adult population where the joints'
            errors are independent with their stated uncertainty. 0 switches it off. With "shared" it also counts once
            per hand: the difference between model and person is much the same in every picture and does not average
            out.
        shape_mean: (S,) mean of the shape prior; zero, the average adult, where None.
        limits: (23, 2) radians, or a preset's name: "default" or "s4"; None for no limits. Never exceeded. "default"
            means no limits for a model whose angles are summed (MANO): the preset is not defined for it.
        shape_limits: (S, 2); the model's own where None. Never exceeded, except by a shape that is held fixed.
        angle_regularisation: weight of the squared angles, each in units of half the range of its limits. Joints
            hardly determine some rotations of the thumb; a small weight keeps these small and consistent from frame
            to frame.
        bend_weight: cost of a finger whose DIP and PIP are bent by 90 degrees in opposite directions
            (Fan & Wang, Eq. 3, squared and with unit bones). 0 switches it off; 10 is mild at the default uncertainty.
        initial: an earlier fit to start from, such as the previous frame's; leading axes broadcast. A hand with a large
            residual from there is also started cold.
        iterations: maximum number of steps per start.
        tolerance: metres; a fit has converged when the predicted reduction of a step is below this root mean square
            residual.
        restart_above: metres; a hand whose root mean square residual exceeds it is refitted from two more starts.

    Returns:
        The fits, with the leading axes of joints or vertices. Directions that the points do not determine (the
        girth, from joints alone) keep their initial value: zero, or that of `initial`.

    Raises:
        ValueError: neither joints nor vertices were given, a shape does not match, an observed point is not finite, an
            uncertainty is not positive, or an option is unknown.
        TypeError: the model's constants are not NumPy arrays.

    Warns:
        UserWarning: hands are 0.2 m off on average, as where the points are in another unit.

    Note:
        The closest hand is found, whatever the points are. Those of a hand in metres, in the common order and of its
        side are within a centimetre of it (`Fit.error`); `knuckle.check.check_poses` says what is wrong with others.

    Source: Levenberg-Marquardt with an active set (Nocedal & Wright, Numerical Optimization, 2006, sections 10.3 and
    16.7); translation eliminated as a linear unknown; the shared shape by variable projection.
    """
    hand = model if isinstance(model, FitConstants) else FitConstants.of(model)
    kin = hand.kin
    options = SearchOptions(iterations, tolerance, restart_above)
    skinning = None if vertices is None else hand.skinning
    seen, leading, centre, left = _centred_targets(
        skinning, joints, vertices, side, joint_uncertainty, vertex_uncertainty
    )
    angle_limits = _angle_limits(hand, limits)
    angle_mean, angle_weights = angle_prior(angle_limits, _weight(angle_regularisation, "angle_regularisation"))
    problem = Problem(
        kin=kin,
        tip_skinning=hand.tip_skinning,
        skinning=skinning,
        joints=seen[0],
        vertices=seen[1],
        centre=centre,
        left=left,
        limits=angle_limits,
        shape_limits=hand.shape_limits
        if shape_limits is None
        else checked_limits(shape_limits, kin.shape_count, "shape_limits"),
        shape_mean=_checked_shape_mean(shape_mean, kin.shape_count),
        shape_weight=_weight(shape_regularisation, "shape_regularisation"),
        angle_mean=angle_mean,
        angle_weights=angle_weights,
        bend_weight=_weight(bend_weight, "bend_weight"),
    )
    warm = None if initial is None else _warm_start(problem, initial, leading)
    if isinstance(shape, str) and shape == "shared":
        if problem.count == 0:
            raise ValueError(
                "shape must be 'free' for an empty batch but got 'shared'; an empty batch has no shape to share"
            )
        result = search_shared(problem, warm, options)
    else:
        result = search(problem, _fixed_shape(problem, shape, leading), warm, options)
    fit = _to_fit(hand.model, problem, result, leading)
    if (fit.error > _WARN_ABOVE).any():
        warnings.warn(
            f"the points must be those of hands in metres but are up to {fit.error.max():.3g} m away from the fit; "
            "knuckle.check.check_poses(joints, side) says in which unit and order they are",
            stacklevel=2,
        )
    return fit


def _centred_targets(skinning: LinearSkinning | None, joints, vertices, side, joint_uncertainty, vertex_uncertainty):
    """Targets of joints and vertices, mirrored to right hands and centred; leading axes; centre (N, 3); left (N,)."""
    if joints is None and vertices is None:
        raise ValueError("joints or vertices must be given but both are None; give one of them, or both")
    flat = []
    shapes = []
    for points, uncertainty, default, count, name in (
        (joints, joint_uncertainty, JOINT_UNCERTAINTY, 21, "joints"),
        (vertices, vertex_uncertainty, VERTEX_UNCERTAINTY, 0 if skinning is None else len(skinning.rest), "vertices"),
    ):
        targets, leading = (None, None) if points is None else flat_targets(points, uncertainty, default, count, name)
        flat.append(targets)
        shapes.append(leading)
    if None not in shapes and shapes[0] != shapes[1]:
        raise ValueError(
            f"joints and vertices must be of as many hands but got leading axes {shapes[0]} and {shapes[1]}"
        )
    leading = shapes[0] if shapes[0] is not None else shapes[1]
    left = flat_side(side, leading)
    mirror = np.where(left[:, None], MIRROR, 1.0)[:, None]
    first = flat[0] or flat[1]
    share = first.weights / first.weights.sum(axis=1, keepdims=True)
    centre = (first.points * mirror * share[..., None]).sum(axis=1)
    if flat[1] is not None and skinning is not None:
        # The forearm's vertices depend on the wrist angles, which are not fitted.
        flat[1] = Targets(flat[1].points, flat[1].weights * (skinning.forearm == 0))
    centred = [t and Targets(t.points * mirror - centre[:, None], t.weights) for t in flat]
    return centred, leading, centre, left


def _angle_limits(hand: FitConstants, limits: Any) -> Float[np.ndarray, "a 2"]:
    if isinstance(limits, str):
        if limits == "default":
            return hand.default_limits
        limits = preset_limits(limits)
    return checked_limits(limits, hand.kin.angle_count, "limits")


def _weight(value: Any, name: str) -> float:
    if not (isinstance(value, int | float | np.number) and 0 <= value < np.inf):
        raise ValueError(f"{name} must be a finite number, zero or above, but got {value!r}; 0 switches it off")
    return float(value)


def _checked_shape_mean(mean: Any, count: int) -> Float[np.ndarray, " S"]:
    vector = np.zeros(count) if mean is None else np.asarray(mean, dtype=np.float64)
    if vector.shape != (count,) or not np.isfinite(vector).all():
        raise ValueError(f"shape_mean must be {count} finite numbers but got {vector}")
    return vector


def _fixed_shape(problem: Problem, shape: Any, leading: tuple[int, ...]) -> Float[np.ndarray, "N S"] | None:
    if isinstance(shape, str):
        if shape != "free":
            raise ValueError(f"shape must be 'free', 'shared' or an array but got {shape!r}")
        return None
    array = np.asarray(shape, dtype=np.float64)
    count = problem.kin.shape_count
    if array.shape[-1:] != (count,) or not np.isfinite(array).all():
        raise ValueError(
            f"shape must be 'free', 'shared' or finite numbers (..., {count}), in the order of shape_names, but got "
            f"an array of shape {array.shape}"
        )
    try:
        return np.broadcast_to(array, (*leading, count)).reshape(-1, count)
    except ValueError as error:
        raise ValueError(f"shape must broadcast to the leading axes {leading} but got {array.shape}") from error


def _warm_start(problem: Problem, initial: Fit, leading: tuple[int, ...]) -> tuple[Estimate, Float[np.ndarray, "N S"]]:
    """Initial rotation and angles, and shape, as right hands with flattened leading axes."""
    try:
        parts = [
            (part if part.shape == (*leading, *tail) else np.broadcast_to(part, (*leading, *tail))).reshape(-1, *tail)
            for part, tail in (
                (initial.T_camera_hand[..., :3, :3], (3, 3)),
                (initial.angles, (problem.kin.angle_count,)),
                (initial.shape, (problem.kin.shape_count,)),
            )
        ]
    except ValueError as error:
        raise ValueError(
            f"initial must be a fit whose leading axes broadcast to {leading} but its angles are "
            f"{initial.angles.shape} and its shape {initial.shape.shape}; fit with the same model"
        ) from error
    return Estimate(_mirrored(parts[0], problem.left), parts[1]), parts[2]


def _mirrored(rotation: Float[np.ndarray, "N 3 3"], left: Bool[np.ndarray, " N"]) -> Float[np.ndarray, "N 3 3"]:
    """Conjugate by the mirror D, D R D, where the hand is a left one; its own inverse."""
    return rotation * np.where(left[:, None, None], _CONJUGATE, 1.0) if left.any() else rotation


def _to_fit(model: HandModel, problem: Problem, result: SearchResult, leading: tuple[int, ...]) -> Fit:
    """The solution in the camera frame, left hands mirrored back."""
    count = problem.count
    unplaced = model(result.angles, shape=result.shape) if problem.vertices is not None else None
    if unplaced is not None:
        in_hand = unplaced.joints
    elif problem.tip_skinning is not None:
        in_hand = model.joints(result.angles, shape=result.shape)
    else:
        in_hand = pose(problem.kin, result.angles, result.shape).joints
    turned = in_hand @ result.rotation.swapaxes(-1, -2)
    seen_points = [] if problem.joints is None else [(problem.joints, turned)]
    if problem.vertices is not None and unplaced is not None:
        seen_points.append((problem.vertices, unplaced.vertices @ result.rotation.swapaxes(-1, -2)))
    residual = np.concatenate([targets.points - points for targets, points in seen_points], axis=1)
    weights = np.concatenate([targets.weights for targets, _ in seen_points], axis=1)
    offset = (weights[..., None] * residual).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    measured = slice(0, 21) if problem.joints is not None else slice(None)
    distance = np.sqrt(np.square(residual[:, measured] - offset[:, None]).sum(axis=-1))
    seen = weights[:, measured] > 0
    mirror = np.where(problem.left[:, None], MIRROR, 1.0)
    T = np.zeros((count, 4, 4))
    T[:, :3, :3] = _mirrored(result.rotation, problem.left)
    T[:, :3, 3] = (offset + problem.centre) * mirror
    T[:, 3, 3] = 1.0
    joints = (turned + (offset + problem.centre)[:, None]) * mirror[:, None]
    return Fit(
        angles=result.angles.reshape(*leading, problem.kin.angle_count),
        shape=result.shape.reshape(*leading, problem.kin.shape_count),
        T_camera_hand=T.reshape(*leading, 4, 4),
        joints=joints.reshape(*leading, 21, 3),
        error=((distance * seen).sum(axis=1) / seen.sum(axis=1)).reshape(leading),
        iterations=result.iterations.reshape(leading),
        converged=result.converged.reshape(leading),
    )
