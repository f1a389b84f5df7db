"""A skinned mesh and a motion to write."""

import numpy as np

from knuckle.export.hand import skinned_mesh_of
from knuckle.export.skinned_mesh import Motion, SkinnedMesh
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel


def rest_skin(side: str) -> SkinnedMesh:
    return skinned_mesh_of(HandModel.open(), side=side)


def swing(frames: int, seed: int = 0) -> Motion:
    """A random smooth motion in front of the camera."""
    rng = np.random.default_rng(seed)
    start, speed = rng.normal(size=(2, 17, 3)) * 0.5
    time = np.arange(frames)[:, None, None]
    return Motion(axis_angle_to_matrix(start + 0.3 * speed * time), np.asarray([0, 0, 0.5]) + 0.01 * time[:, 0])
