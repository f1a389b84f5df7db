"""Loading of MANO files as a HandModel, and conversion between MANO's parameters and HandModel's.

The hand is transformed once, while loading, into the hand frame of HandModel: joints in the common order, the wrist
at the origin, +x to the thumb. What remains specific to MANO is confined to four functions here:
pose (45 axis-angle numbers) <-> rotations, and (global_orient, trans) <-> T_camera_hand.

The frame of a right MANO hand has the fingers along -x, the thumb along +z and the palm towards -y. A left file's
hand is its mirror image, x -> -x; it is mirrored into a right one, so that side="left" gives the file's own mesh.

MANO rotates the hand about its wrist joint J0, which is not the origin of its frame and depends on the shape:
`x_camera = R (x - J0) + J0 + trans`. In the hand frame the wrist is the origin and that becomes T_camera_hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import array_api_compat
import numpy as np
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.files import RefusedFile, load_npz, load_pickle
from knuckle.geometry.rigid import make_rigid
from knuckle.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from knuckle.handmodel.angles import ANGLE_NAMES, Convention, check_rotations
from knuckle.handmodel.model import HandModel
from knuckle.skeleton import TIPS

# The vertex taken for each fingertip, thumb to little finger. Public code differs, which changes scores by millimetres.
TIP_VERTICES: Mapping[str, tuple[int, int, int, int, int]] = MappingProxyType(
    {
        "freihand": (744, 320, 443, 555, 672),
        "manopth": (745, 317, 444, 556, 673),
        "manopth_left": (745, 317, 445, 556, 673),  # manopth's choice for left files; I2L-MeshNet's for right ones
        "mobilehand": (745, 333, 444, 555, 672),
        "minimal_hand": (744, 333, 444, 555, 672),
    }
)
_NAIL = (747, 720)  # the two sides of the thumb's nail, which define the axis of its IP joint
# MANO's joints in our order of bones: the hand, then thumb, index, middle, ring, little.
_BONES = (0, 13, 14, 15, 1, 2, 3, 4, 5, 6, 10, 11, 12, 7, 8, 9)
_PARENTS = (0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
# Rows: the axes of the hand frame (thumb side, fingers, palm) in MANO's frame.
_HAND_FROM_MANO = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_MAX_BYTES = 2**27  # a MANO file has 4 MB
_MANO_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")


@dataclass(frozen=True, eq=False)
class ManoFile:
    """The data of a MANO file that conversion of MANO's own parameters needs.

    Attributes:
        is_left: the file is of a left hand.
        wrist: (3,) rest position of the wrist in the file's frame, shape zero.
        wrist_shape: (S, 3) its displacement per unit of each shape parameter.
        hands_mean: (45,) the mean pose, in the file's order, axis-angle.
        hands_components: (45, 45) principal components of the pose, one a row.
    """

    is_left: bool
    wrist: Float[np.ndarray, "3"]
    wrist_shape: Float[np.ndarray, "s 3"]
    hands_mean: Float[np.ndarray, "45"]
    hands_components: Float[np.ndarray, "c 45"]


def load_mano(
    path: Path,
    tips: str | Sequence[int] = "manopth",
    angle_convention: Convention = "composed",
    left_shapes: Literal["mirrored", "as_stored"] = "mirrored",
) -> HandModel:
    """A HandModel from MANO_RIGHT or MANO_LEFT, .pkl or .npz.

    Args:
        path: the file; SMPL-X's key names for the hands' mean and components are supported too.
        tips: a key of TIP_VERTICES or five vertex numbers, thumb to little finger.
        angle_convention: "composed", as the free hand's, with the thumb's axes along and across its bones; or
            "summed", Fan & Wang's 23x45 map, in which the three angles named flexion, abduction and rotation of
            the thumb's CMC and MCP are MANO's x, y and z.
        left_shapes: the published MANO_LEFT has the right hand's shape directions, not mirrored, so that the
            same betas give a left and a right hand of different shape. "mirrored" corrects that where detected;
            "as_stored" keeps it, for betas that were fitted with the file as it is (DexYCB's).

    Raises:
        ValueError: the file is not a MANO file or contains code (RefusedFile), or an option is unknown.
        OSError: it cannot be read.
    """
    data = load_npz(path, _MAX_BYTES) if path.suffix == ".npz" else load_pickle(path, _MAX_BYTES)
    arrays = _checked(data, path)
    regressor, template, directions = arrays["J_regressor"], arrays["v_template"], arrays["shapedirs"]
    is_left = bool((regressor @ template)[4, 0] > (regressor @ template)[0, 0])
    if left_shapes not in ("mirrored", "as_stored"):
        raise ValueError(f"left_shapes must be 'mirrored' or 'as_stored' but got {left_shapes!r}")
    if is_left and left_shapes == "mirrored" and _shapes_are_not_mirrored(template, directions):
        directions = directions * np.array([-1.0, 1.0, 1.0])[:, None]
    turn = _hand_from_file(is_left)
    joints = (regressor @ template)[list(_BONES)]
    shape_joints = np.einsum("jv,vcs->sjc", regressor[list(_BONES)], directions)
    wrist, wrist_shape = joints[0], shape_joints[:, 0]
    vertices = (template - wrist) @ turn.T
    faces = arrays["f"].astype(np.int64)
    shape_vertices = (np.moveaxis(directions, 2, 0) - wrist_shape[:, None]) @ turn.T
    tip_vertices = _tips(tips)
    pose = arrays["posedirs"].reshape(-1, 3, 15, 3, 3)[:, :, [bone - 1 for bone in _BONES[1:]]]
    pose_vertices = np.einsum("vckij,dc,pi,qj->kpqvd", pose, turn, turn, turn, optimize=True)
    joints_rest = _with_tips((joints - wrist) @ turn.T, vertices[list(tip_vertices)])
    return HandModel(
        name="mano",
        vertices=vertices,
        faces=faces[:, ::-1].copy() if is_left else faces,
        joints_rest=joints_rest,
        weights=arrays["weights"][:, list(_BONES)],
        shape_names=tuple(f"beta_{i}" for i in range(directions.shape[2])),
        shape_vertices=shape_vertices,
        shape_joints=_with_tips((shape_joints - wrist_shape[:, None]) @ turn.T, shape_vertices[:, list(tip_vertices)]),
        shape_limits=np.tile([-3.0, 3.0], (directions.shape[2], 1)),  # betas are in standard deviations
        angle_axis=_angle_axes(joints_rest, vertices[list(_NAIL)], angle_convention),
        angle_convention=angle_convention,
        pose_vertices=pose_vertices.reshape(135, len(vertices), 3),
        tip_vertices=tip_vertices,
        mano=ManoFile(is_left, wrist, wrist_shape, arrays["hands_mean"], arrays["hands_components"]),
    )


def _hand_from_file(is_left: bool) -> np.ndarray:
    """(3, 3) from the file's axes to the hand frame's; improper for a left file, which it mirrors."""
    return _HAND_FROM_MANO @ _MIRROR if is_left else _HAND_FROM_MANO


def _checked(data: Any, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a MANO file, float64 and int64, their shapes checked."""
    if not isinstance(data, dict) or not all(key in data for key in _MANO_KEYS):
        found = ", ".join(map(str, list(data)[:20])) if isinstance(data, dict) else type(data).__name__
        raise RefusedFile(f"{path} must hold MANO's {', '.join(_MANO_KEYS)} but holds {found}")
    arrays = {key: _numbers(data[key], key, path) for key in _MANO_KEYS}
    for key, axes in (("v_template", 2), ("shapedirs", 3), ("f", 2)):
        if arrays[key].ndim != axes:
            raise RefusedFile(f"{path} must hold {key} of {axes} axes but holds {arrays[key].shape}")
    count = len(arrays["v_template"])
    expected = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, arrays["shapedirs"].shape[-1]),
        "posedirs": (count, 3, 135),
        "J_regressor": (16, count),
        "weights": (count, 16),
        "kintree_table": (2, 16),
        "f": (arrays["f"].shape[0], 3),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise RefusedFile(f"{path} must hold {key} of shape {shape} but holds {arrays[key].shape}")
    if count <= max(_NAIL):
        raise RefusedFile(f"{path} must hold MANO's 778 vertices but holds {count}")
    if tuple(arrays["kintree_table"][0, 1:].astype(np.int64)) != _PARENTS:
        raise RefusedFile(f"{path} must hold the joint tree of one MANO hand but holds {arrays['kintree_table'][0]}")
    for key, default in (("hands_mean", np.zeros(45)), ("hands_components", np.eye(45))):
        # SMPL-X ends the names in r or l; a file of one hand has one of them
        named = [name for name in (key, f"{key}r", f"{key}l") if name in data]
        arrays[key] = _numbers(data[named[0]], key, path) if named else default
        if arrays[key].shape[-1:] != (45,) or arrays[key].ndim != default.ndim:
            raise RefusedFile(f"{path} must hold {key} of 45 columns but holds {arrays[key].shape}")
    faces = arrays["f"]
    if len(faces) == 0 or faces.min() < 0 or faces.max() >= count or (faces != np.rint(faces)).any():
        raise RefusedFile(f"{path} must hold faces of vertices 0 to {count - 1} but holds others")
    return arrays


def _numbers(values: Any, key: str, path: Path) -> np.ndarray:
    """The entry of a file as finite float64."""
    try:
        array = np.asarray(values)
        array = array.astype(np.float64) if array.dtype.kind in "fiu" else None
    except (TypeError, ValueError):  # lists of different lengths
        array = None
    if array is None or not np.isfinite(array).all():
        raise RefusedFile(f"{path} must hold {key} as finite numbers but holds something else; get the file again")
    return array


def _shapes_are_not_mirrored(template: np.ndarray, directions: np.ndarray) -> bool:
    """Whether a left file's shape directions are a right hand's.

    The first of them is size: it scales the hand about its centre along every axis. Where x is not mirrored, the hand
    shrinks along x as it grows along z.
    """
    growth = np.einsum("vc,vc->c", template - template.mean(axis=0), directions[:, :, 0])
    return bool(growth[0] * growth[2] < 0)


def _tips(tips: str | Sequence[int]) -> tuple[int, ...]:
    if isinstance(tips, str):
        if tips not in TIP_VERTICES:
            raise ValueError(f"tips must be one of {', '.join(TIP_VERTICES)} or five vertices but got {tips!r}")
        return TIP_VERTICES[tips]
    if len(tips) != 5:
        raise ValueError(f"tips must be five vertices, thumb to little finger, but got {len(tips)}")
    return tuple(int(tip) for tip in tips)


def _with_tips(bones: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """(..., 21, 3) joints of (..., 16, 3) in our order of bones and (..., 5, 3) fingertips."""
    joints = np.zeros((*bones.shape[:-2], 21, 3))
    joints[..., [i for i in range(21) if i not in TIPS], :] = bones
    joints[..., list(TIPS), :] = tips
    return joints


def _angle_axes(joints: np.ndarray, nail: np.ndarray, convention: Convention) -> np.ndarray:
    """(23, 3) axes of the 23 angles from rest joints (21, 3) and the nail's sides (2, 3), all in the hand frame.

    In MANO's axes: a finger joint flexes about (-sin a, 0, cos a) with a the angle of the bone proximal to it, the MCPs
    abduct about y, and the thumb's IP joint flexes about the nail's width, tilted likewise (Fan & Wang; Lim et al.).
    """
    mano_joints, (left, right) = joints @ _HAND_FROM_MANO, nail @ _HAND_FROM_MANO

    def tilt(joint: int) -> float:
        bone = mano_joints[joint] - mano_joints[joint - 1 if joint % 4 != 1 else 0]
        return float(np.arctan(bone[2] / bone[0]))

    axes = {}
    for finger, base in (("index", 5), ("middle", 9), ("ring", 13), ("little", 17)):
        axes[f"{finger}_mcp_abduction"] = np.array([0.0, 1.0, 0.0])
        for level, name in enumerate(("mcp", "pip", "dip")):
            angle = tilt(base + level)
            axes[f"{finger}_{name}_flexion"] = np.array([-np.sin(angle), 0.0, np.cos(angle)])
    nail_tilt, angle = np.arctan((left[1] - right[1]) / (left[2] - right[2])), tilt(3)
    flexion = np.array([-np.cos(nail_tilt) * np.sin(angle), np.sin(nail_tilt), np.cos(nail_tilt) * np.cos(angle)])
    axes["thumb_ip_flexion"] = flexion
    for name, joint in (("cmc", 1), ("mcp", 2)):
        if convention == "summed":
            rows = np.eye(3)
        else:
            bone = mano_joints[joint + 1] - mano_joints[joint]
            bone /= np.linalg.norm(bone)
            across = flexion - (flexion @ bone) * bone
            across /= np.linalg.norm(across)
            # Abduction lifts the bone out of the palm, towards -y; pronation is a negative rotation about the bone.
            lift = np.cross(across, bone)
            rows = np.stack([across, lift if np.cross(lift, bone)[1] < 0 else -lift, -bone])
        for row, motion in zip(rows, ("flexion", "abduction", "rotation"), strict=True):
            axes[f"thumb_{name}_{motion}"] = row
    return np.stack([axes[name] for name in ANGLE_NAMES]) @ _HAND_FROM_MANO.T


def _file_of(model: HandModel) -> ManoFile:
    if model.mano is None:
        raise ValueError(f"model must be loaded from a MANO file but is {model.name!r}; see HandModel.load")
    return model.mano


def _constant(values: np.ndarray, like: Array) -> Array:
    return namespace(like).asarray(values, dtype=like.dtype, device=array_api_compat.device(like))


def pca_to_pose(model: HandModel, coefficients: Float[Array, "*batch c"]) -> Float[Array, "*batch 45"]:
    """MANO's pose from the coefficients of its first principal components; the mean is not added.

    Args:
        coefficients: (..., n), n at most 45.
    """
    basis = _constant(_file_of(model).hands_components, coefficients)
    return coefficients @ basis[: coefficients.shape[-1], :]


def pose_to_rotations(
    model: HandModel, pose: Float[Array, "*batch 45"], flat_hand_mean: bool
) -> Float[Array, "*batch 15 3 3"]:
    """MANO's hand pose as the rotations that HandModel takes.

    Args:
        model: loaded from the MANO file of the side that the pose is for.
        pose: (..., 45) axis-angle, 15 joints in MANO's order: index, middle, little, ring, thumb.
        flat_hand_mean: True where a zero pose is the flat hand (HO-3D); False where it is the file's mean, curled
            pose, which is added (FreiHAND). Data sets differ, so there is no default.

    Returns:
        (..., 15, 3, 3) in the common order and the hand frame.
    """
    file, xp = _file_of(model), namespace(pose)
    if not flat_hand_mean:
        pose = pose + _constant(file.hands_mean, pose)
    local = axis_angle_to_matrix(xp.reshape(pose, (*pose.shape[:-1], 15, 3)))
    turn = _constant(_hand_from_file(file.is_left), pose)
    order = xp.asarray([b - 1 for b in _BONES[1:]], device=array_api_compat.device(pose))
    return turn @ xp.take(local, order, axis=-3) @ xp.matrix_transpose(turn)


def rotations_to_pose(
    model: HandModel, rotations: Float[Array, "*batch 15 3 3"], flat_hand_mean: bool
) -> Float[Array, "*batch 45"]:
    """The inverse of pose_to_rotations, each joint's rotation vector no longer than pi."""
    check_rotations(rotations)
    file, xp = _file_of(model), namespace(rotations)
    turn = _constant(_hand_from_file(file.is_left), rotations)
    order = xp.asarray([_BONES.index(i) - 1 for i in range(1, 16)], device=array_api_compat.device(rotations))
    local = xp.take(xp.matrix_transpose(turn) @ rotations @ turn, order, axis=-3)
    pose = xp.reshape(matrix_to_axis_angle(local), (*rotations.shape[:-3], 45))
    return pose if flat_hand_mean else pose - _constant(file.hands_mean, pose)


def mano_to_rigid(
    model: HandModel,
    global_orient: Float[Array, "*batch 3"],
    trans: Float[Array, "*batch 3"],
    shape: Float[Array, "*#batch s"] | None = None,
) -> Float[Array, "*batch 4 4"]:
    """MANO's global rotation and translation as T_camera_hand; use it with side="left" for a left file.

    Args:
        model: loaded from the MANO file of the side that the parameters are for.
        global_orient: (..., 3) axis-angle, about the wrist.
        trans: (..., 3) metres.
        shape: (..., S) betas, on which the position of the wrist depends.
    """
    file, xp = _file_of(model), namespace(global_orient)
    mirror = _MIRROR if file.is_left else np.eye(3)
    turn = _constant(_hand_from_file(file.is_left).T @ mirror, global_orient)
    wrist = _wrist(file, global_orient, shape)
    return make_rigid(axis_angle_to_matrix(global_orient) @ turn, xp.broadcast_to(wrist, trans.shape) + trans)


def rigid_to_mano(
    model: HandModel, T_camera_hand: Float[Array, "*batch 4 4"], shape: Float[Array, "*#batch s"] | None = None
) -> tuple[Float[Array, "*batch 3"], Float[Array, "*batch 3"]]:
    """The inverse of mano_to_rigid: (..., 3) global_orient and (..., 3) trans."""
    file, xp = _file_of(model), namespace(T_camera_hand)
    mirror = _MIRROR if file.is_left else np.eye(3)
    turn = _constant(_hand_from_file(file.is_left).T @ mirror, T_camera_hand)
    rotation = T_camera_hand[..., :3, :3] @ xp.matrix_transpose(turn)
    return matrix_to_axis_angle(rotation), T_camera_hand[..., :3, 3] - _wrist(file, T_camera_hand, shape)


def _wrist(file: ManoFile, like: Array, shape: Array | None) -> Array:
    wrist = _constant(file.wrist, like)
    return wrist if shape is None else wrist + shape @ _constant(file.wrist_shape, like)
