"""Stage 3: anatomical joint positions in the source's posed hand.

The source's MCP joints lie at the web, 12 mm too distal, its finger joints near the dorsal surface, its wrist 1 cm too
proximal. Here each is moved to the centre of the cross-section at its anatomical position.
"""

import numpy as np

from .proportions import FINGER_BASES, REST
from .sections import section_centre, section_loops

# Scales the source's hand (wrist to middle tip 17.3 cm with the corrected wrist) to the average adult's.
SOURCE_SCALE = 1.065
WRIST_SHIFT = 0.0095
# An MCP's centre lies in the metacarpal's head, a little nearer to the back of the hand than to the palm.
MCP_DEPTH = 0.42
TIP_INSET = 0.0025
# The thumb's MCP lies on the source's first phalanx; its CMC on the trapezium, both relative to the wrist.
THUMB_MCP_SHARE = 0.90
THUMB_CMC = (0.0237, 0.0200, 0.0150)


def unit(vector: np.ndarray) -> np.ndarray:
    """Unit vectors along the last axis."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def depth_range(vertices: np.ndarray, triangles: np.ndarray, point: np.ndarray) -> tuple[float, float]:
    """Lowest and highest z at which the line through `point` along z meets the surface around it."""
    heights = []
    for loop in section_loops(vertices, triangles, point, np.array([0.0, 1.0, 0.0])):
        ahead = np.roll(loop, -1, axis=0)
        for a, b in zip(loop, ahead, strict=True):
            if (a[0] - point[0]) * (b[0] - point[0]) <= 0 and a[0] != b[0]:
                heights.append(a[2] + (point[0] - a[0]) / (b[0] - a[0]) * (b[2] - a[2]))
    if len(heights) < 2:
        raise ValueError(f"the line along z through {point} must pass through the hand but does not")
    return min(heights), max(heights)


def anatomical_pivots(
    vertices: np.ndarray, triangles: np.ndarray, finger_weight: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """The 21 joints in the source's pose, at the centres of cross-sections.

    Args:
        vertices: (V, 3) the scaled source surface, metres.
        triangles: (T, 3) its triangles.
        finger_weight: (V, 5) the source's weight of each finger.
        source: (21, 3) the source's joints, with the same scale.

    Returns:
        (21, 3) joints in the frame of `vertices`.
    """
    joints = source.copy()
    across = np.array([0.0, 1.0, 0.0])
    joints[0] = section_centre(vertices, triangles, source[0] + [0.0, WRIST_SHIFT, 0.0], across)
    for finger, base in enumerate(FINGER_BASES):
        bones = unit(np.diff(source[base : base + 4], axis=0))
        first_hinge = base + 2 if finger == 0 else base + 1
        for joint in range(first_hinge, base + 3):
            normal = bones[joint - base - 1] + bones[joint - base]
            joints[joint] = section_centre(vertices, triangles, source[joint], normal)
        last = joints[base + 2]
        own = vertices[finger_weight[:, finger] > 0.5]
        along = unit(source[base + 3] - source[base + 2])
        end = ((own - last) @ along).max()
        near = section_centre(vertices, triangles, last + along * (end - 2 * TIP_INSET), along)
        joints[base + 3] = near + along * TIP_INSET
        if finger == 0:
            joints[2] = joints[3] + THUMB_MCP_SHARE * (source[2] - joints[3])
            joints[1] = joints[0] + THUMB_CMC
            continue
        # The proximal phalanx extends beyond the web to the metacarpal's head.
        stretch = np.linalg.norm(joints[base + 2] - joints[base + 1]) / REST[finger].lengths[1]
        back = unit(source[base] - source[base + 1])
        joints[base] = joints[base + 1] + back * REST[finger].lengths[0] * min(stretch, 1.0)
        low, high = depth_range(vertices, triangles, joints[base])
        joints[base, 2] = low + MCP_DEPTH * (high - low)
    return joints
