"""Hands with known ground truth, for the tests of knuckle.fit."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np

from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits

LIMITS = angle_limits("default")


@cache
def open_hand() -> HandModel:
    return HandModel.open()


@cache
def summed_hand() -> HandModel:
    """The free hand with MANO's conventions: summed angles, fingertips that are vertices, pose correctives."""
    model = open_hand()
    tips = tuple(
        int(np.argmin(np.linalg.norm(model.vertices - model.joints_rest[j], axis=1))) for j in (4, 8, 12, 16, 20)
    )
    rest = model.joints_rest.copy()
    rest[[4, 8, 12, 16, 20]] = model.vertices[list(tips)]
    shape_joints = model.shape_joints.copy()
    shape_joints[:, [4, 8, 12, 16, 20]] = model.shape_vertices[:, list(tips)]
    rng = np.random.default_rng(5)
    return replace(
        model,
        angle_convention="summed",
        tip_vertices=tips,
        joints_rest=rest,
        shape_joints=shape_joints,
        pose_vertices=rng.normal(scale=2e-4, size=(135, len(model.vertices), 3)),
    )


def random_hands(count: int, seed: int = 0, spread: float = 1.0, shapes: float = 1.0) -> SimpleNamespace:
    """angles, shape and T_camera_hand of random hands within limits; spread 1 reaches the limits."""
    rng = np.random.default_rng(seed)
    middle, half = LIMITS.mean(axis=1), (LIMITS[:, 1] - LIMITS[:, 0]) / 2
    limits = open_hand().shape_limits
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = axis_angle_to_matrix(rng.normal(size=(count, 3)) * 2)
    T[:, :3, 3] = rng.normal(size=(count, 3)) * 0.2 + [0, 0, 0.6]
    return SimpleNamespace(
        angles=middle + spread * rng.uniform(-1, 1, size=(count, 23)) * half,
        shape=np.clip(shapes * rng.normal(size=(count, 10)), limits[:, 0], limits[:, 1]),
        T=T,
    )


def distance_mm(one, other):
    return 1e3 * np.linalg.norm(one - other, axis=-1)
