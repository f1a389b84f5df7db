"""Stage 6: the closed triangle surface and its part labels."""

import numpy as np

from .proportions import FINGER_NAMES
from .weights import FOREARM

SEGMENTS = ("proximal", "middle", "distal")
WRIST_BAND = (-0.020, 0.012)
THUMB_SEGMENTS = ("metacarpal", "proximal", "distal")


def split_quads(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """(2 Q, 3) corner positions 0..3 of the triangles of each quad, cut along its shorter diagonal.

    Rows 2k and 2k + 1 belong to quad k; apply it to every array of quads.
    """
    corner = vertices[quads]
    first = np.linalg.norm(corner[:, 0] - corner[:, 2], axis=1)
    second = np.linalg.norm(corner[:, 1] - corner[:, 3], axis=1)
    along_first = np.array([[0, 1, 2], [0, 2, 3]])
    along_second = np.array([[1, 2, 3], [1, 3, 0]])
    return np.where((first <= second)[:, None, None], along_first, along_second).reshape(-1, 3)


def take_corners(quads: np.ndarray, split: np.ndarray) -> np.ndarray:
    """(2 Q, 3) triangles of quads (Q, 4), split as by `split_quads`."""
    return np.take_along_axis(np.repeat(quads, 2, axis=0), split, axis=1)


def level_rim(vertices: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """The vertices with the forearm's boundary moved along the arm into one plane perpendicular to it."""
    result = vertices.copy()
    result[rim, 1] = vertices[rim, 1].mean()
    return result


def close(vertices: np.ndarray, rim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices with the centre of the cut appended, and (L, 3) the faces that close it."""
    centre = len(vertices)
    cap = np.stack([np.roll(rim, -1), rim, np.full(len(rim), centre)], axis=1)
    return np.concatenate([vertices, vertices[rim].mean(axis=0, keepdims=True)]), cap


def part_names() -> list[str]:
    """The parts, in the order of their labels."""
    fingers = []
    for name in FINGER_NAMES:
        segments = THUMB_SEGMENTS if name == "thumb" else SEGMENTS
        fingers += [f"{name}_{segment}" for segment in (*segments, "nail")]
    return ["palm", "back", "wrist", "forearm", "cap", *fingers]


def face_parts(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, nail: np.ndarray, cap_count: int
) -> np.ndarray:
    """(F,) the label of each face, an index into `part_names`.

    Args:
        vertices: (V, 3) rest.
        faces: (F, 3), the cap's last.
        weights: (V, 17) skinning weights.
        nail: (F,) true on a fingernail.
        cap_count: number of faces of the cap.
    """
    names = part_names()
    corner = vertices[faces]
    middle = corner.mean(axis=1)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    strongest = weights[faces].mean(axis=1).argmax(axis=1)
    parts = np.where(normal[:, 2] > 0, names.index("palm"), names.index("back"))
    parts[strongest == FOREARM] = names.index("forearm")
    in_band = (middle[:, 1] > WRIST_BAND[0]) & (middle[:, 1] < WRIST_BAND[1])
    parts[in_band & np.isin(strongest, (0, FOREARM))] = names.index("wrist")
    for finger, name in enumerate(FINGER_NAMES):
        first = names.index(f"{name}_nail") - 3
        for bone in range(3):
            parts[strongest == 1 + 3 * finger + bone] = first + bone
        own = np.isin(strongest, 1 + 3 * finger + np.arange(3))
        parts[nail & own] = first + 3
    parts[len(faces) - cap_count :] = names.index("cap")
    return parts
