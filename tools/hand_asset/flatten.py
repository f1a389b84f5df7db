"""Stage 5: from the source's bent pose to the flat hand, with the chosen bone lengths.

Each bone moves its surface to the rest pose, rotated straight and scaled to its length; the palm between the joints
follows a smooth displacement field that interpolates the joints exactly.
"""

import numpy as np
from scipy.interpolate import RBFInterpolator

from .pivots import unit
from .proportions import FINGER_BASES, finger_direction
from .sections import section_centre
from .weights import FOREARM

FOREARM_STATIONS = (-0.04, -0.13)
# Exponent of a bone's stretch with which its girth scales.
GIRTH_FOLLOWS = 0.35


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3) the smallest rotation from direction a to direction b, which must not be opposite."""
    a, b = unit(a), unit(b)
    axis = np.cross(a, b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation about a unit axis, radians."""
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def palm_field(posed: np.ndarray, rest: np.ndarray) -> RBFInterpolator:
    """Smooth displacement field of the palm: maps wrist, thumb CMC and MCPs to rest, the wrist's sides rigidly."""
    knots = [0, 1, 5, 9, 13, 17]
    turn = best_rotation(posed[knots], rest[knots])
    ring = posed[0] + 0.03 * np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1], [0, -1, 0]])
    anchors = np.concatenate([posed[knots], ring])
    targets = np.concatenate([rest[knots], ring @ turn.T + (rest[0] - posed[0] @ turn.T)])
    return RBFInterpolator(anchors, targets, kernel="thin_plate_spline", degree=1)


def best_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3) the least-squares rotation of centred points a to centred points b."""
    u, _, vt = np.linalg.svd((b - b.mean(axis=0)).T @ (a - a.mean(axis=0)))
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt


def flatten(
    vertices: np.ndarray,
    triangles: np.ndarray,
    posed: np.ndarray,
    rest: np.ndarray,
    weights: np.ndarray,
    rolls: np.ndarray,
) -> np.ndarray:
    """(V, 3) the surface at rest.

    Args:
        vertices: (V, 3) in the source's pose.
        triangles: (T, 3), for the middle of the forearm.
        posed: (21, 3) joints in that pose.
        rest: (21, 3) joints at rest.
        weights: (V, 17) skinning weights in that pose.
        rolls: (5,) radians by which each finger is rotated about its bone at rest.
    """
    down = np.array([0.0, -1.0, 0.0])
    upper, lower = (section_centre(vertices, triangles, posed[0] + [0, y, 0], down) for y in FOREARM_STATIONS)
    straighten = rotation_between(lower - upper, down)
    result = weights[:, :1] * palm_field(posed, rest)(vertices)
    result += weights[:, FOREARM:] * ((vertices - upper) @ straighten.T + rest[0] + [0, FOREARM_STATIONS[0], 0])
    for finger, base in enumerate(FINGER_BASES):
        along = finger_direction(finger)
        for bone in range(3):
            start, end = posed[base + bone], posed[base + bone + 1]
            stretch = np.linalg.norm(rest[base + bone + 1] - rest[base + bone]) / np.linalg.norm(end - start)
            turn = rotation_about(along, rolls[finger]) @ rotation_between(end - start, along)
            girth = stretch**GIRTH_FOLLOWS
            affine = (girth * np.eye(3) + (stretch - girth) * np.outer(along, along)) @ turn
            moved = (vertices - start) @ affine.T + rest[base + bone]
            column = 1 + 3 * finger + bone
            result += weights[:, column : column + 1] * moved
    return result
