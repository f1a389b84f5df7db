"""Predicted MANO parameters, or the meshes of MANO networks, as arrays of hands."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.geometry.rotation import matrix_to_axis_angle
from knuckle.handmodel import HandModel
from knuckle.handmodel.mano import mano_to_rigid, pose_to_rotations

# Names of the same array in different programs.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "joints": ("joints", "pred_keypoints_3d", "keypoints_3d", "joints_camera", "xyz"),
    "vertices": ("vertices", "verts", "pred_vertices", "vertices_camera"),
    "joints_image": ("joints_image", "pred_keypoints_2d_full"),
    "cam_t": ("cam_t", "pred_cam_t_full"),
    "is_right": ("is_right", "right"),
    "pose": ("pose", "mano_pose", "handPose"),
    "finger_pose": ("hand_pose",),
    "global_orient": ("global_orient",),
    "shape": ("betas", "shape", "handBeta"),
    "trans": ("trans", "transl", "handTrans"),
}


def mano_arrays(
    stored: Mapping[str, np.ndarray], path: Path, model: HandModel | None, flat_hand_mean: bool
) -> dict[str, np.ndarray]:
    """Joints and vertices of an .npz or .json with MANO's parameters, or with joints and vertices.

    Stored vertices and joints are used as they are (with cam_t added, which HaMeR and WiLoR store separately).
    Otherwise pose (48, or hand_pose 45 and global_orient 3, as axis-angle or matrices), betas (10) and trans (3) pose
    the user's own MANO file.

    Args:
        stored: arrays with N rows each.
        path: the file, for messages.
        model: HandModel.load of the user's MANO file, of the predicted side; required for parameters.
        flat_hand_mean: whether the zero pose is the flat hand, rather than MANO's mean pose.

    Returns:
        "joints" and "vertices", (N, 21, 3) and (N, V, 3), and "joints_image" and "left" where stored.

    Raises:
        BrokenDataset: there is neither geometry nor a full set of parameters, or no model to pose.
    """
    found = {k: stored[n] for k, names in _NAMES.items() for n in names[::-1] if n in stored}
    arrays = {k: np.asarray(found[k]) for k in ("joints", "vertices", "joints_image") if k in found}
    if "joints" in arrays or "vertices" in arrays:
        if "cam_t" in found:
            cam_t = np.asarray(found["cam_t"], np.float64).reshape(-1, 1, 3)
            arrays |= {k: arrays[k] + cam_t for k in ("joints", "vertices") if k in arrays}
    else:
        arrays |= _from_parameters(found, path, model, flat_hand_mean)
    if "is_right" in found:
        arrays["left"] = np.asarray(found["is_right"]).reshape(-1) < 0.5
    return arrays


def _from_parameters(
    found: Mapping[str, np.ndarray], path: Path, model: HandModel | None, flat_hand_mean: bool
) -> dict[str, np.ndarray]:
    if "pose" in found:
        pose = _axis_angles(found["pose"], 16, path)
    elif "finger_pose" in found and "global_orient" in found:
        fingers = _axis_angles(found["finger_pose"], 15, path)
        global_orient = _axis_angles(found["global_orient"], 1, path)
        pose = np.concatenate([global_orient, fingers], axis=1)
    else:
        raise BrokenDataset(f"{path} must hold joints, vertices, or MANO's pose but holds {', '.join(found) or 'none'}")
    if model is None:
        raise BrokenDataset(f"{path} holds MANO parameters, which take the MANO file they are for; name it with --mano")
    n = len(pose)
    shape = np.asarray(found.get("shape", np.zeros((n, 10))), np.float64).reshape(n, -1)[:, :10]
    translation = np.asarray(found.get("trans", np.zeros((n, 3))), np.float64).reshape(n, 3)
    side = "left" if model.mano is not None and model.mano.is_left else "right"
    posed = model(
        rotations=pose_to_rotations(model, pose[:, 3:], flat_hand_mean),
        shape=shape,
        T_camera_hand=mano_to_rigid(model, pose[:, :3], translation, shape),
        side=side,
    )
    left = np.full(n, side == "left")
    return {"joints": np.asarray(posed.joints), "vertices": np.asarray(posed.vertices), "left": left}


def _axis_angles(values: np.ndarray, joints: int, path: Path) -> np.ndarray:
    """(N, 3 joints) axis-angle vectors, from axis-angle vectors or matrices."""
    values = np.asarray(values, np.float64)
    size = values[0].size if len(values) else 3 * joints
    if size == 3 * joints:
        return values.reshape(-1, 3 * joints)
    if size == 9 * joints:
        return np.asarray(matrix_to_axis_angle(values.reshape(-1, joints, 3, 3))).reshape(-1, 3 * joints)
    raise BrokenDataset(f"{path} must hold {joints} rotations a hand, axis-angle or 3 x 3, but holds {size} numbers")
