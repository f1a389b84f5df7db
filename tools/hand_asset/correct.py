"""Stage 10: pose correctives for the artefacts of linear blend skinning at bent joints.

Linear blending of two bones' transforms loses volume on the back of a bent joint: the knuckle collapses. The surface
there should keep its distance from the joint and rotate by its weight times the angle. The difference at a right
angle, transformed to the rest pose, is that bone's corrective; its weight is 1 - cos of the angle between the bone
and its rest direction.
"""

import numpy as np

from .angles import BONE_JOINTS, BONE_PARENTS, angle_axes
from .flatten import rotation_about
from .weights import FOREARM, smoothstep

# The angle at which the corrective is exact.
RIGHT_ANGLE = np.pi / 2
# Metres above a joint's flexion axis at which the correction is complete: the palmar side is not corrected.
FULL_HEIGHT = 0.004
# Metres; smaller displacements are set to zero.
MIN_SHIFT = 2e-5


def descendants(bone: int) -> list[int]:
    """A bone and all its descendants."""
    found = [bone]
    for candidate in range(bone + 1, len(BONE_PARENTS)):
        if BONE_PARENTS[candidate] in found:
            found.append(candidate)
    return found


def correctives(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correctives of the 15 finger bones.

    Args:
        vertices: (V, 3) rest.
        joints: (21, 3) rest.
        weights: (V, 17) skinning weights, as the asset stores them.

    Returns:
        (15, V, 3) metres, to be added at rest, times 1 - d . R d, where R is the bone's own rotation and d its
        direction; and (15, 3) those unit directions.
    """
    names, bones, axes = angle_axes()
    result = np.zeros((FOREARM - 1, len(vertices), 3))
    directions = np.zeros((FOREARM - 1, 3))
    for name, bone, axis in zip(names, bones, axes, strict=True):
        if not name.endswith("flexion"):
            continue
        joint = BONE_JOINTS[bone]
        along = joints[joint + 1] - joints[joint]
        directions[bone - 1] = along / np.linalg.norm(along)
        if name == "thumb_cmc_flexion":
            # The blend between thumb and palm is too wide here for a corrective of one angle.
            continue
        palmar = np.cross(axis, directions[bone - 1])
        offset = vertices - joints[joint]
        share = weights[:, descendants(bone)].sum(axis=1)
        turn = rotation_about(axis, RIGHT_ANGLE)
        blended = (1 - share)[:, None] * offset + share[:, None] * (offset @ turn.T)
        # The offset across the bone rotates by its weight; the one along it is blended linearly, or it would bulge.
        lengthwise = (offset @ directions[bone - 1])[:, None] * directions[bone - 1]
        ideal = (1 - share)[:, None] * lengthwise + share[:, None] * (lengthwise @ turn.T)
        ideal += rotated_by_weight(offset - lengthwise, axis, share * RIGHT_ANGLE)
        mask = smoothstep(-(offset @ palmar) / FULL_HEIGHT)[:, None]
        back = np.linalg.inv((1 - share)[:, None, None] * np.eye(3) + share[:, None, None] * turn)
        shift = np.einsum("vij,vj->vi", back, mask * (ideal - blended))
        small = np.linalg.norm(shift, axis=1) < MIN_SHIFT
        result[bone - 1] = np.where(small[:, None], 0.0, shift)
    return result, directions


def rotated_by_weight(offset: np.ndarray, axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(V, 3) each offset rotated about one axis by its own angle."""
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    lengthwise = (offset @ axis)[:, None] * axis
    return lengthwise + cosine * (offset - lengthwise) + sine * np.cross(axis, offset)
