"""Named places on the hand's skin, as vertices of the mesh."""

import numpy as np

from knuckle.handmodel import HandModel

FINGERS = ("thumb", "index", "middle", "ring", "little")
_PALMAR, _DORSAL = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0])
_RADIAL, _ULNAR = np.array([1.0, 0.0, 0.0]), np.array([-1.0, 0.0, 0.0])
_THUMB_PALMAR = np.array([-0.74, 0.43, 0.51])  # at rest the thumb's pad faces the little finger, and away from the palm


def landmarks(model: HandModel) -> dict[str, int]:
    """The vertex of each place: pads, tips, sides and backs of fingers, palm, back, edges, wrist and forearm."""
    joints = np.asarray(model.joints_rest)
    places: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for i, finger in enumerate(FINGERS):
        base, middle, last, tip = joints[1 + 4 * i : 5 + 4 * i]
        palmar = _THUMB_PALMAR if finger == "thumb" else _PALMAR
        places |= {
            f"{finger}_pad": (0.3 * last + 0.7 * tip, palmar),
            f"{finger}_tip": (tip, (tip - last) / np.linalg.norm(tip - last)),
            f"{finger}_middle": (0.5 * (middle + last), palmar),
            f"{finger}_middle_back": (0.5 * (middle + last), -palmar),
            f"{finger}_root": (0.4 * base + 0.6 * middle, palmar),
            f"{finger}_root_back": (0.5 * (base + middle), -palmar),
            f"{finger}_radial": (middle, _RADIAL),
            f"{finger}_ulnar": (middle, _ULNAR),
        }
    wrist, index, middle, ring, little = joints[[0, 5, 9, 13, 17]]
    places |= {
        "palm": (0.4 * wrist + 0.6 * 0.5 * (middle + ring), _PALMAR),
        "high_palm": (0.5 * (middle + ring), _PALMAR),
        "heel": (0.8 * wrist + 0.2 * little, _PALMAR),
        "back": (0.4 * wrist + 0.6 * 0.5 * (middle + ring), _DORSAL),
        "knuckles": (0.5 * (middle + ring), _DORSAL),
        "index_side": (0.4 * index + 0.6 * joints[6], _RADIAL),
        "index_edge": (0.15 * wrist + 0.85 * index, _RADIAL),
        "little_side": (0.4 * little + 0.6 * joints[18], _ULNAR),
        "little_edge": (0.5 * (wrist + little), _ULNAR),
        "wrist": (np.array([0.0, -0.025, 0.0]), _PALMAR),
        "wrist_back": (np.array([0.0, -0.025, 0.0]), _DORSAL),
        "forearm": (np.array([0.0, -0.09, 0.0]), _PALMAR),
        "forearm_back": (np.array([0.0, -0.09, 0.0]), _DORSAL),
    }
    return {name: _vertex(model, *place) for name, place in places.items()}


def _vertex(model: HandModel, point: np.ndarray, direction: np.ndarray) -> int:
    """Where the ray from inside the hand leaves its skin: the vertex nearest to the ray, of those ahead of it."""
    offset = np.asarray(model.vertices) - point
    ahead = offset @ direction
    aside = np.linalg.norm(offset - ahead[:, None] * direction, axis=1)
    # Of the vertices along the ray the nearest: the ray must not come out of another finger.
    return int(np.argmin(aside + 0.25 * np.abs(ahead) + np.where(ahead > 0, 0.0, 1.0)))
