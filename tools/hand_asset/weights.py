"""Stage 4: skinning weights.

The weight of a finger's vertex is distributed between hand, proximal, middle and distal bone by its position along the
finger; in the palm and at the webs also between neighbouring fingers. Blends are wide on the palmar side, where soft
tissue is compressed, and narrow on the back, at the knuckles.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from .pivots import unit
from .proportions import FINGER_BASES

BONE_COUNT = 17
FOREARM = 16
MAX_BONES = 4


class Blend(NamedTuple):
    """Where a joint's blend starts and ends along the finger, metres from the joint, on either side of it."""

    back: tuple[float, float]
    palm: tuple[float, float]


FINGER_MCP = Blend(back=(-0.004, 0.011), palm=(-0.006, 0.021))
LITTLE_MCP = Blend(back=(-0.004, 0.009), palm=(-0.006, 0.016))
PIP = Blend(back=(-0.0050, 0.0055), palm=(-0.0050, 0.0050))
DIP = Blend(back=(-0.0040, 0.0045), palm=(-0.0040, 0.0040))
THUMB_CMC = Blend(back=(-0.010, 0.016), palm=(-0.012, 0.022))
THUMB_MCP = Blend(back=(-0.008, 0.009), palm=(-0.009, 0.010))
THUMB_IP = Blend(back=(-0.0055, 0.0060), palm=(-0.0055, 0.0055))
WRIST = (-0.018, 0.016)
# Half the height over which a blend changes from its back to its palm form.
FINGER_RADIUS = 0.009
# Metres from its metacarpal's ray at which a finger's influence on the palm decays.
COLUMN_WIDTH = 0.0085
THENAR_RADIUS = (0.013, 0.030)
SMOOTHING_ROUNDS = 4
# The first web, between thumb and index, follows both: its weights are smoothed more, within this distance.
WEB_ROUNDS = 10
WEB_RADIUS = 0.022


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth in between."""
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3 - 2 * clipped)


def adjacency(vertex_count: int, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) averaging matrix over each vertex's neighbours along edges."""
    a, b = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    links = sparse.coo_matrix((np.ones(len(a)), (a, b)), shape=(vertex_count, vertex_count)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    return sparse.diags(1 / np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)) @ links


def share_beyond(
    vertices: np.ndarray, joint: np.ndarray, along: np.ndarray, palmar: np.ndarray, blend: Blend
) -> np.ndarray:
    """(V,) weight of the bones distal to a joint: 0 before the blend, 1 after it."""
    offset = vertices - joint
    height = smoothstep((offset @ palmar / FINGER_RADIUS + 1) / 2)
    start = blend.back[0] + height * (blend.palm[0] - blend.back[0])
    end = blend.back[1] + height * (blend.palm[1] - blend.back[1])
    return smoothstep((offset @ along - start) / (end - start))


def finger_columns(vertices: np.ndarray, joints: np.ndarray, finger: np.ndarray) -> np.ndarray:
    """(V, 4) weights of the four fingers for each vertex, rows sum to one: its own beyond the web, blended before."""
    lateral = []
    for base in FINGER_BASES[1:]:
        # The rays of the metacarpals fan out from the wrist bones, a third of the way in from the wrist's width.
        origin = joints[0] + 0.3 * (joints[base] - joints[0]) * [1, 0, 1]
        share = np.clip((vertices[:, 1] - origin[1]) / (joints[base, 1] - origin[1]), 0, 1)
        lateral.append(vertices[:, 0] - (origin[0] + share * (joints[base, 0] - origin[0])))
    pull = np.exp(-((np.stack(lateral, axis=1) / COLUMN_WIDTH) ** 2)) + 1e-12
    columns = pull / pull.sum(axis=1, keepdims=True)
    total = finger[:, 1:].sum(axis=1, keepdims=True)
    own = finger[:, 1:] / np.maximum(total, 1e-9)
    certain = smoothstep((total - 0.2) / 0.6)
    return (certain * own + (1 - certain) * columns) * (1 - finger[:, :1])


def segment_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(V,) distance of points to a segment."""
    axis = end - start
    share = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
    return np.linalg.norm(points - start - share[:, None] * axis, axis=1)


def chain_weights(
    vertices: np.ndarray,
    joints: np.ndarray,
    base: int,
    blends: tuple[Blend, Blend, Blend],
    palmar: np.ndarray,
    before: np.ndarray,
) -> np.ndarray:
    """(V, 3) the weights of a finger's three bones; `before` is the direction of the bone proximal to it."""
    bones = unit(np.diff(joints[base : base + 4], axis=0))
    normals = [unit(before + bones[0]), unit(bones[0] + bones[1]), unit(bones[1] + bones[2])]
    beyond = [
        share_beyond(
            vertices, joints[base + k], normals[k], unit(palmar - normals[k] * (normals[k] @ palmar)), blends[k]
        )
        for k in range(3)
    ]
    first, second, third = beyond
    return np.stack([first * (1 - second), first * second * (1 - third), first * second * third], axis=1)


def skin_weights(
    vertices: np.ndarray,
    faces: np.ndarray,
    joints: np.ndarray,
    finger: np.ndarray,
    palmar: np.ndarray,
    rounds: int = SMOOTHING_ROUNDS,
) -> np.ndarray:
    """(V, 17) skinning weights, rows sum to one, in the asset's bone order.

    Args:
        vertices: (V, 3) metres, near the hand frame.
        faces: (F, 3 or 4) polygons, for smoothing.
        joints: (21, 3) in the pose of `vertices`.
        finger: (V, 5) the source's weight of each finger, to separate neighbouring fingers.
        palmar: (5, 3) for each finger the direction it flexes to, in this pose.
        rounds: smoothing steps over the palm.
    """
    weights = np.zeros((len(vertices), BONE_COUNT))
    columns = finger_columns(vertices, joints, finger)
    for k, base in enumerate(FINGER_BASES[1:]):
        blends = (LITTLE_MCP if k == 3 else FINGER_MCP, PIP, DIP)
        before = unit(joints[base] - joints[0])
        shares = chain_weights(vertices, joints, base, blends, palmar[k + 1], before)
        weights[:, 4 + 3 * k : 7 + 3 * k] = columns[:, k : k + 1] * shares
    free = 1 - weights[:, 4:16].sum(axis=1, keepdims=True)
    thumb_bone = unit(joints[2] - joints[1])
    shares = chain_weights(vertices, joints, 1, (THUMB_CMC, THUMB_MCP, THUMB_IP), palmar[0], thumb_bone)
    near, far = THENAR_RADIUS
    reach = segment_distance(vertices, joints[1], joints[2])
    thenar = np.maximum(smoothstep((far - reach) / (far - near)), smoothstep(finger[:, 0] / 0.8))
    weights[:, 1:4] = free * thenar[:, None] * shares
    free = 1 - weights.sum(axis=1)
    weights[:, FOREARM] = free * smoothstep((WRIST[1] - (vertices[:, 1] - joints[0, 1])) / (WRIST[1] - WRIST[0]))
    weights[:, 0] = np.maximum(1 - weights.sum(axis=1), 0)
    return smooth_over_palm(weights, vertices, faces, joints, rounds)


def smooth_over_palm(
    weights: np.ndarray, vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, rounds: int
) -> np.ndarray:
    """Smooth the weights where hand, fingers and thumb meet; beyond the webs they are unchanged."""
    mean = adjacency(len(vertices), faces)
    beyond = weights[:, [2, 3, 5, 6, 8, 9, 11, 12, 14, 15]].sum(axis=1)
    palm = 0.5 * (1 - smoothstep(beyond / 0.2))[:, None]
    distance = np.linalg.norm(vertices - (joints[2] + joints[5]) / 2, axis=1)
    web = 0.5 * np.exp(-((distance / WEB_RADIUS) ** 2))[:, None]
    for loose in [palm] * rounds + [web] * WEB_ROUNDS:
        weights = (1 - loose) * weights + loose * (mean @ weights)
    return weights / weights.sum(axis=1, keepdims=True)


def strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V, 4) bone indices and (V, 4) weights that sum to one, in descending order."""
    index = np.argsort(-weights, axis=1, kind="stable")[:, :MAX_BONES]
    value = np.take_along_axis(weights, index, axis=1)
    value = np.where(value < 1e-3, 0.0, value)
    return index, value / value.sum(axis=1, keepdims=True)
