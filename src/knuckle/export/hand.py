"""From a `HandModel` with angles and a shape to the `SkinnedMesh` and `Motion` that files are written from."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from knuckle.export.skinned_mesh import MIRROR, Motion, SkinnedMesh, local_rotations
from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ROTATING_JOINTS
from knuckle.handmodel.model import BONE_NAMES
from knuckle.skeleton import JOINT_NAMES, PARENTS, TIPS

_AT_ONCE = 256  # frames
_INFLUENCES = 4  # glTF's JOINTS_0 and WEIGHTS_0 hold four bones per vertex, as game engines support


def skinned_mesh_of(
    model: HandModel, shape: Float[np.ndarray, " S"] | None = None, side: Literal["left", "right"] = "right"
) -> SkinnedMesh:
    """The hand at rest in one shape, ready to be written.

    Args:
        model: a hand of NumPy arrays.
        shape: (S,) in the model's units; None is the average adult.
        side: "left" or "right".

    Note:
        Each vertex keeps its four largest skinning weights. The open hand's pose correctives, one per joint, are
        included; a MANO hand's, nine per joint, are left out.
    """
    faces = np.asarray(model.faces_of(side)).astype(np.int64)
    mirror = MIRROR if side == "left" else np.eye(3)
    rest = model(shape=shape)
    joints = rest.joints @ mirror
    names = BONE_NAMES[: model.weights.shape[1]]
    pivots = [JOINT_NAMES.index(name) if name in ROTATING_JOINTS else 0 for name in names]
    strongest = np.argsort(-model.weights, axis=1, kind="stable")[:, :_INFLUENCES]
    uv, faces_uv = model.uv, model.faces_uv
    if uv is None or faces_uv is None:
        uv, faces_uv = np.zeros((1, 2)), np.zeros_like(faces)
    elif side == "left":
        faces_uv = faces_uv[:, ::-1]
    return SkinnedMesh(
        side=side,
        vertices=rest.vertices @ mirror,
        faces=faces,
        uv=uv,
        faces_uv=faces_uv.astype(np.int64),
        weights_index=strongest,
        weights_value=np.take_along_axis(model.weights, strongest, axis=1),
        bone_names=names,
        bone_parent=np.asarray([_parent(name, names) for name in names]),
        bone_positions=joints[pivots],
        tips={JOINT_NAMES[tip]: (names.index(JOINT_NAMES[tip - 1]), joints[tip]) for tip in TIPS},
        correctives={f"{name}_bend": target @ mirror for name, _, target in _correctives(model)},
    )


def motion_of(
    model: HandModel,
    angles: Float[np.ndarray, "N A"],
    rotation: Float[np.ndarray, "N 3 3"] | None = None,
    translation: Float[np.ndarray, "N 3"] | None = None,
    side: Literal["left", "right"] = "right",
    fps: float = 30.0,
    times: Float[np.ndarray, " N"] | None = None,
) -> Motion:
    """Rotations of the bones in each frame.

    Args:
        model: the hand that the `SkinnedMesh` was made from.
        angles: (N, 23) radians.
        rotation, translation: (N, 3, 3) and (N, 3), the parts of T_camera_hand; None leaves the hand in its frame.
        side: as for the mesh.
        fps: frames per second.
        times: (N,) seconds of the frames where they are at no equal distances.
    """
    count = len(angles)
    features = model.rotations(angles) - np.eye(3)
    weights = [
        (features[:, ROTATING_JOINTS.index(name)] * share).sum((-1, -2)) for name, share, _ in _correctives(model)
    ]
    # The model poses the whole mesh with the bones, which is a hundred times the memory.
    parts = [model(angles=angles[i : i + _AT_ONCE]).bone_transforms for i in range(0, max(count, 1), _AT_ONCE)]
    turned = np.broadcast_to(np.concatenate(parts), (count, model.weights.shape[1], 4, 4))
    parents = np.asarray([_parent(name, BONE_NAMES) for name in BONE_NAMES[: turned.shape[1]]])
    local = local_rotations(turned, parents)
    if side == "left":
        local = MIRROR @ local @ MIRROR
    if rotation is not None:
        local[:, 0] = rotation @ local[:, 0]
    return Motion(
        rotations=local,
        translation=np.zeros((count, 3)) if translation is None else translation,
        corrective_weights=np.stack(weights, axis=-1) if weights else None,
        fps=fps,
        times=times,
    )


def _correctives(model: HandModel) -> list[tuple[str, Float[np.ndarray, "3 3"], Float[np.ndarray, "V 3"]]]:
    """Joint, share and target of each corrective: the vertices move by sum((R - 1) * share) times the target.

    The model has nine displacement fields per joint, one for each entry of R - 1. Where they are multiples of a single
    field, as the open hand's are, that field can be a morph target; other joints are left out.
    """
    found = []
    if model.pose_vertices is None:
        return found
    for name, fields in zip(ROTATING_JOINTS, model.pose_vertices.reshape(15, 9, -1), strict=True):
        strongest = fields[np.argmax(np.linalg.norm(fields, axis=1))]
        square = float(strongest @ strongest)
        if square == 0:
            continue
        share = fields @ strongest / square
        if np.abs(fields - share[:, None] * strongest).max() < 1e-6:
            # Scaled so that the weight is 1 for a bend by a right angle: there d . R d is 0, see asset.py.
            turns = -share.reshape(3, 3).trace()
            found.append((name, share.reshape(3, 3) / turns, strongest.reshape(-1, 3) * turns))
    return found


def _parent(name: str, names: tuple[str, ...]) -> int:
    """Index of a bone's parent, -1 for the hand itself."""
    if name == "hand":
        return -1
    if name not in ROTATING_JOINTS:
        return 0
    above = JOINT_NAMES[PARENTS[JOINT_NAMES.index(name)]]
    return names.index(above) if above in names else 0
