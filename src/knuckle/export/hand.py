"""From a `HandModel` with angles and a shape to the `Skin` and `Motion` that mesh files are written from."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from knuckle.export.skin import MIRROR, Motion, Skin, local_rotations
from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ROTATING_JOINTS
from knuckle.handmodel.model import BONE_NAMES
from knuckle.skeleton import JOINT_NAMES, PARENTS, TIPS

_INFLUENCES = 4  # glTF's JOINTS_0 and WEIGHTS_0 hold four bones a vertex, and so does every game engine


def skin_of(
    model: HandModel, shape: Float[np.ndarray, " S"] | None = None, side: Literal["left", "right"] = "right"
) -> Skin:
    """The hand at rest in one shape, ready to be written.

    Args:
        model: a hand of NumPy arrays.
        shape: (S,) in the model's units; None is the average adult.
        side: "left" or "right".

    Note:
        Of bones that move a vertex only the four strongest are kept. What a MANO hand's vertices do beyond following
        their bones (its pose correctives) has no place in a skinned mesh and is left out.
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
    return Skin(
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
    )


def motion_of(
    model: HandModel,
    angles: Float[np.ndarray, "N A"],
    rotation: Float[np.ndarray, "N 3 3"] | None = None,
    translation: Float[np.ndarray, "N 3"] | None = None,
    side: Literal["left", "right"] = "right",
    fps: float = 30.0,
) -> Motion:
    """How the bones stand in each frame.

    Args:
        model: the hand that the `Skin` is of.
        angles: (N, 23) radians.
        rotation, translation: (N, 3, 3) and (N, 3), the parts of T_camera_hand; None leaves the hand in its frame.
        side: as the skin's.
        fps: frames a second.
    """
    count = len(angles)
    turned = np.broadcast_to(model(angles=angles).bone_transforms, (count, model.weights.shape[1], 4, 4))
    parents = np.asarray([_parent(name, BONE_NAMES) for name in BONE_NAMES[: turned.shape[1]]])
    local = local_rotations(turned, parents)
    if side == "left":
        local = MIRROR @ local @ MIRROR
    if rotation is not None:
        local[:, 0] = rotation @ local[:, 0]
    return Motion(local, np.zeros((count, 3)) if translation is None else translation, fps)


def _parent(name: str, names: tuple[str, ...]) -> int:
    """The bone a bone hangs on, -1 for the hand itself."""
    if name == "hand":
        return -1
    if name not in ROTATING_JOINTS:
        return 0
    above = JOINT_NAMES[PARENTS[JOINT_NAMES.index(name)]]
    return names.index(above) if above in names else 0
