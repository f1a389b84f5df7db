"""Loading of a HandModel from an asset as written by tools/build_hand_asset.py."""

import os

import numpy as np

from knuckle.files import RefusedFile, load_npz
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.handmodel.model import BONE_NAMES, HandModel


def load_asset(path: str | os.PathLike[str]) -> HandModel:
    """Read the free hand, or another asset of the same layout: NumPy, float64.

    Args:
        path: a .npz file, see tools/build_hand_asset.py for its keys.

    Raises:
        RefusedFile: keys are missing, or the file's bones or angles are not knuckle's.
        OSError: it cannot be read.
    """
    asset = load_npz(path)
    try:
        return _hand_of(asset, path)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        if isinstance(error, RefusedFile):
            raise
        raise RefusedFile(f"{path} must be of tools/build_hand_asset.py but is not ({error}); build it") from error


def _hand_of(asset: dict[str, np.ndarray], path: str | os.PathLike[str]) -> HandModel:
    for key, expected in (("bone_names", BONE_NAMES), ("angle_names", ANGLE_NAMES)):
        found = tuple(asset[key].ravel().tolist())
        if found != expected:
            raise RefusedFile(f"{path} must have the {key} {expected} but has {found}; rebuild the asset")
    weights = np.zeros((len(asset["vertices"]), len(BONE_NAMES)))
    # Add instead of assign: an unused slot may repeat a bone with weight zero.
    np.add.at(
        weights, (np.arange(len(weights))[:, None], asset["weights_index"].astype(np.int64)), asset["weights_value"]
    )
    # The file's weights are rounded to float32; they must sum to one exactly for rigid motions to stay rigid.
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
    """(135, V, 3) of the bones' (15, 3) directions d and (15, V, 3) correctives, whose weight is 1 - d . R d.

    That weight equals -d . (R - 1) d, linear in the rotation minus identity as HandModel.pose_vertices requires.
    """
    directions = _unit(directions.astype(np.float64))
    outer = -directions[:, :, None] * directions[:, None, :]
    product = outer.reshape(15, 9, 1, 1) * correctives.astype(np.float64)[:, None]
    return product.reshape(135, *correctives.shape[1:])
