"""The hand model and the fit, and straightforward implementations as baselines."""

from functools import cache

import numpy as np
import torch
from scipy.optimize import least_squares

from knuckle.fit import FitConstants, fit_hand
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.predict.ik import IKGraph
from knuckle.weights import weights_path
from timings.timing import Task

HANDS = 64
FIT_BATCH = 256


@cache
def numpy_model() -> HandModel:
    return HandModel.open()


def random_pose(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles (count, 23) within limits and shape (count, 10) of ordinary people, the same in every call."""
    rng = np.random.default_rng(0)
    low, high = angle_limits().T
    return rng.uniform(low, high, size=(count, len(low))), rng.normal(size=(count, 10))


@cache
def random_joints(count: int) -> np.ndarray:
    angles, shape = random_pose(count)
    shape = np.clip(shape, *np.asarray(numpy_model().shape_limits).T)
    turn = axis_angle_to_matrix(np.random.default_rng(1).normal(size=(count, 3)) * 2)
    return numpy_model().joints(angles, shape=shape) @ turn.swapaxes(-1, -2) + np.array([0.1, 0.0, 0.6])


def torch_skinning() -> Task:
    """64 hands in float32, angles and shape to vertices."""
    angles, shape = (torch.tensor(x, dtype=torch.float32) for x in random_pose(HANDS))
    model = numpy_model().to(angles)

    def run(_: int) -> object:
        with torch.no_grad():
            return model(angles, shape=shape).vertices

    return Task(run, goal_ms=4.0, against="skinning, torch, 64 hands, blended 4x4 by einsum")


def torch_skinning_backward() -> Task:
    """The same, and the gradient of the vertices' sum of squares by angles and shape."""
    angles, shape = (torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in random_pose(HANDS))
    model = numpy_model().to(angles.detach())

    def run(_: int) -> object:
        return torch.autograd.grad(model(angles, shape=shape).vertices.square().sum(), (angles, shape))

    return Task(run, goal_ms=12.0)


def torch_skinning_einsum() -> Task:
    """The common implementation: 4x4 matrices blended per vertex by einsum, from precomputed bones."""
    angles, shape = (torch.tensor(x, dtype=torch.float32) for x in random_pose(HANDS))
    model = numpy_model().to(angles)
    with torch.no_grad():
        bones = model(angles, shape=shape).bone_transforms

    def run(_: int) -> object:
        with torch.no_grad():
            rest = model.vertices + torch.einsum("bs,svc->bvc", shape, model.shape_vertices)
            blended = torch.einsum("vj,bjrc->bvrc", model.weights, bones)
            return torch.einsum("bvrc,bvc->bvr", blended[..., :3, :3], rest) + blended[..., :3, 3]

    return Task(run)


def numpy_skinning() -> Task:
    """One hand in float32."""
    angles, shape = (x[0].astype(np.float32) for x in random_pose(1))
    model = numpy_model().to(angles)
    return Task(
        lambda _: model(angles, shape=shape).vertices, goal_ms=0.5, against="skinning, NumPy, a vertex at a time"
    )


def numpy_skinning_naive() -> Task:
    """One hand, vertex by vertex, from precomputed bones."""
    angles, shape = (x[0] for x in random_pose(1))
    model = numpy_model()
    bones = model(angles, shape=shape).bone_transforms
    rest = model.vertices + np.tensordot(shape, model.shape_vertices, 1)

    def run(_: int) -> object:
        posed = np.empty_like(rest)
        for v, point in enumerate(rest):
            blended = np.tensordot(model.weights[v], bones, 1)
            posed[v] = blended[:3, :3] @ point + blended[:3, 3]
        return posed

    return Task(run)


def fit_one() -> Task:
    """One hand from 21 joints: cold start, shape free, regularisation off."""
    model, joints = numpy_model(), random_joints(FIT_BATCH)
    return Task(
        lambda run: fit_hand(model, joints[run % FIT_BATCH], shape_regularisation=0.0, angle_regularisation=0.0),
        goal_ms=4.0,
        against="fit, one hand, scipy least_squares",
    )


def fit_one_warm() -> Task:
    """One hand, initialised with the previous frame's fit, angles a degree away, shape fixed."""
    model = numpy_model()
    angles, shape = random_pose(1)
    motion = np.radians(1.0) * np.random.default_rng(2).choice([-1, 1], size=(2, 1, 23))
    frames = model.joints(angles * 0.5 + motion, shape=shape)
    before = fit_hand(model, frames[0], shape=shape)
    return Task(lambda _: fit_hand(model, frames[1], shape=shape, initial=before))


def fit_one_prepared() -> Task:
    """The same, with the hand's constants worked out before, as prediction does."""
    model = numpy_model()
    constants = FitConstants.of(model)
    angles, shape = random_pose(1)
    motion = np.radians(1.0) * np.random.default_rng(2).choice([-1, 1], size=(2, 1, 23))
    frames = model.joints(angles * 0.5 + motion, shape=shape)
    before = fit_hand(constants, frames[0], shape=shape)
    return Task(
        lambda _: fit_hand(constants, frames[1], shape=shape, initial=before),
        against="fit, one hand, next frame of a video",
    )


def network_one() -> Task:
    """Angles, shape and placement of one hand by the network."""
    network, joints = IKGraph(weights_path("ik"), numpy_model()), random_joints(FIT_BATCH)
    return Task(lambda run: network(joints[run % FIT_BATCH]), goal_ms=0.3, against="fit, one hand")


def network_batch() -> Task:
    """256 hands at once, an item per hand."""
    network, joints = IKGraph(weights_path("ik"), numpy_model()), random_joints(FIT_BATCH)
    return Task(lambda _: network(joints), items=FIT_BATCH, goal_ms=0.05, against="fit, 256 hands, per hand")


def fit_from_network() -> Task:
    """One hand from 21 joints, begun where the network says; the same tolerance as from the closed form."""
    constants, joints = FitConstants.of(numpy_model()), random_joints(FIT_BATCH)
    network = IKGraph(weights_path("ik"), constants)

    def run(index: int) -> object:
        seen = joints[index % FIT_BATCH]
        return fit_hand(constants, seen, initial=network(seen), shape_regularisation=0.0, angle_regularisation=0.0)

    return Task(run, against="fit, one hand")


def fit_batch() -> Task:
    """256 hands at once, an item per hand."""
    model, joints = numpy_model(), random_joints(FIT_BATCH)
    return Task(
        lambda _: fit_hand(model, joints, shape_regularisation=0.0, angle_regularisation=0.0),
        items=FIT_BATCH,
        goal_ms=1.0,
        against="fit, one hand",
    )


def fit_mesh() -> Task:
    """One hand from its mesh."""
    model = numpy_model()
    angles, shape = random_pose(1)
    vertices = model(angles * 0.8, shape=shape * 0.5).vertices
    return Task(lambda _: fit_hand(model, vertices=vertices, shape_regularisation=0.0, angle_regularisation=0.0))


def fit_one_scipy() -> Task:
    """The same least-squares problem in SciPy's bounded trust region, with a finite-difference Jacobian.

    It starts from the right orientation and a flat hand, which avoids the cold start.
    """
    model = numpy_model()
    angles, shape = random_pose(8)
    shape = np.clip(shape, *np.asarray(model.shape_limits).T)
    seen = model.joints(angles, shape=shape)
    limits = np.concatenate([np.tile([-np.inf, np.inf], (6, 1)), angle_limits(), np.asarray(model.shape_limits)])

    def run(index: int) -> object:
        def residual(x: np.ndarray) -> np.ndarray:
            joints = model.joints(x[6:29], shape=x[29:])
            return ((joints @ axis_angle_to_matrix(x[:3]).T + x[3:6]) - seen[index % 8]).ravel() / 0.003

        return least_squares(residual, np.zeros(39), bounds=limits.T, xtol=1e-5, ftol=1e-5)

    return Task(run)
