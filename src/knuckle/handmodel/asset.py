"""A HandModel from a file in the layout of the free hand's, which tools/build_hand_asset.py writes."""

import os

import numpy as np

from knuckle.files import RefusedFile, load_npz
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.model import BONE_NAMES, HandModel


def load_asset(path: str | os.PathLike[str]) -> HandModel:
    """Read the free hand, or another built the same way: NumPy, float64.

    Args:
        path: a .npz file, see tools/build_hand_asset.py for its keys.

    Raises:
        RefusedFile: keys are missing, or the file's bones or angles are not knuckle's.
        OSError: it cannot be read.
    """
    asset = load_npz(path)
    for key, expected in (("bone_names", BONE_NAMES), ("angle_names", ANGLE_NAMES)):
        found = tuple(str(name) for name in asset.get(key, ()))
        if found != expected:
            raise RefusedFile(f"{path} must have the {key} {expected} but has {found}; rebuild the asset")
    weights = np.zeros((len(asset["vertices"]), len(BONE_NAMES)))
    # add, not put: an unused place may repeat a bone with the weight zero
    np.add.at(
        weights, (np.arange(len(weights))[:, None], asset["weights_index"].astype(np.int64)), asset["weights_value"]
    )
    # float32 rounding of the file; the sum must be one to the last digit for rigid motions to stay rigid
    weights /= weights.sum(axis=1, keepdims=True)
    return HandModel(
        name="open",
        vertices=asset["vertices"].astype(np.float64),
        faces=asset["faces"].astype(np.int64),
        joints_rest=asset["joints"].astype(np.float64),
        weights=weights,
        shape_names=tuple(str(name) for name in asset["shape_names"]),
        shape_vertices=asset["shape_vertices"].astype(np.float64),
        shape_joints=asset["shape_joints"].astype(np.float64),
        shape_limits=asset["shape_limits"].astype(np.float64),
        angle_axis=_unit(asset["angle_axis"].astype(np.float64)),
        wrist_angle_axis=_unit(asset["wrist_angle_axis"].astype(np.float64)),
        pose_vertices=_pose_vertices(asset["corrective_direction"], asset["corrective_vertices"]),
        uv=asset["uv"].astype(np.float64),
        faces_uv=asset["faces_uv"].astype(np.int64),
        face_part=asset["face_part"].astype(np.int64),
        part_names=tuple(str(name) for name in asset["part_names"]),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _pose_vertices(directions: np.ndarray, correctives: np.ndarray) -> np.ndarray:
    """(135, V, 3) of the bones' (15, 3) directions d and (15, V, 3) correctives, which count 1 - d . R d times.

    That is -d . (R - 1) d, linear in the rotation minus identity as HandModel.pose_vertices has it.
    """
    directions = _unit(directions.astype(np.float64))
    outer = -directions[:, :, None] * directions[:, None, :]
    product = outer.reshape(15, 9, 1, 1) * correctives.astype(np.float64)[:, None]
    return product.reshape(135, *correctives.shape[1:])
