"""The stages that construct the rest pose, in order."""

from typing import NamedTuple

import numpy as np

from .angles import flexion_direction, nail_roll
from .flatten import flatten
from .pivots import SOURCE_SCALE, anatomical_pivots, unit
from .proportions import FINGER_BASES, rest_joints
from .region import Region
from .relax import relax
from .sections import triangulate
from .surface import close, level_rim, split_quads, take_corners
from .weights import FOREARM, skin_weights


class Rest(NamedTuple):
    """The flat hand: closed surface, joints, full skin weights."""

    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3), the cap's last
    open_faces_uv: np.ndarray  # (F - C, 3) the source's texture vertices
    cap: np.ndarray  # (C, 3)
    nail: np.ndarray  # (F,)
    joints: np.ndarray  # (21, 3)
    weights: np.ndarray  # (V, 17)


def nail_normals(vertices: np.ndarray, region: Region) -> np.ndarray:
    """(5, 3) the mean outward direction of each finger's nail."""
    normals = []
    for finger in range(len(FINGER_BASES)):
        own = region.quads[region.nail & (region.finger[region.quads].mean(axis=1)[:, finger] > 0.5)]
        corner = vertices[own]
        normals.append(unit(np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1]).sum(axis=0)))
    return np.stack(normals)


def build_rest(region: Region) -> Rest:
    """Straighten, stretch, close and weight the hand."""
    posed = region.vertices * SOURCE_SCALE
    triangles = triangulate(region.quads)
    pivots = anatomical_pivots(posed, triangles, region.finger, region.joints * SOURCE_SCALE)
    joints = rest_joints()
    posed_weights = skin_weights(posed, region.quads, pivots, region.finger, -nail_normals(posed, region))
    unrolled = flatten(posed, triangles, pivots, joints, posed_weights, np.zeros(5))
    rolls = np.array([nail_roll(k, normal) for k, normal in enumerate(nail_normals(unrolled, region))])
    flat = flatten(posed, triangles, pivots, joints, posed_weights, rolls)
    flat = relax(posed, flat, triangles, posed_weights)
    flat = level_rim(flat, region.rim)
    flexions = np.stack([flexion_direction(finger) for finger in range(5)])
    weights = skin_weights(flat, region.quads, joints, region.finger, flexions)
    split = split_quads(flat, region.quads)
    vertices, cap = close(flat, region.rim)
    faces = np.concatenate([take_corners(region.quads, split), cap])
    cap_weights = np.zeros((1, weights.shape[1]))
    cap_weights[0, FOREARM] = 1
    return Rest(
        vertices=vertices,
        faces=faces,
        open_faces_uv=take_corners(region.quads_uv, split),
        cap=cap,
        nail=np.concatenate([np.repeat(region.nail, 2), np.zeros(len(cap), dtype=bool)]),
        joints=joints,
        weights=np.concatenate([weights, cap_weights]),
    )
