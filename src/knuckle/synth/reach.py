"""Arms that reach a hand: where shoulder, elbow and wrist can be, and how natural that is.

Ranges of motion: American Academy of Orthopaedic Surgeons, Joint Motion, 1965 (elbow 0 to 150 degrees, pronation and
supination 80, rotation of the upper arm 70 inwards and 90 outwards, wrist 80 palmwards and 70 back, 20 to the thumb's
side and 30 to the little finger's). A few degrees more are allowed: shoulder blade and soft tissue give way.
"""

from dataclasses import dataclass

import numpy as np

from knuckle.synth.body import cross, elbow_hinge, shortest_arc, unit

_DOWN = np.array([0.0, -1.0, 0.0])
_FRONT = np.array([0.0, 0.0, 1.0])
# Of each angle: minimum, maximum, the value at ease, and how far it commonly strays from it; degrees.
_RANGES = {
    "elbow": (0.0, 156.0, 75.0, 60.0),
    "turned_in": (-95.0, 105.0, 25.0, 50.0),
    "supination": (-90.0, 90.0, -10.0, 55.0),
    "flexion": (-75.0, 80.0, -8.0, 32.0),
    "deviation": (-35.0, 27.0, -4.0, 16.0),
}
# What a radian beyond the range costs, beside 1 for an angle that strays as far as it commonly does.
_BEYOND = 60.0


@dataclass(frozen=True)
class ArmAngles:
    """Angles of arms, (...,) each, radians.

    elbow: flexion, 0 stretched. turned_in: rotation of the upper arm, 0 with the forearm in front of the hanging arm,
    positive to the midline. supination: rotation of the forearm from the thumb up, negative in pronation.
    upper: (..., 3) the upper arm's unit direction: outward to its own side, up, and forward.
    """

    elbow: np.ndarray
    turned_in: np.ndarray
    supination: np.ndarray
    upper: np.ndarray


def arm_angles(side: str, upper: np.ndarray, lower: np.ndarray, thumb: np.ndarray) -> ArmAngles:
    """The angles of arms.

    Args:
        side: "left" or "right". upper: (..., 3) from shoulder to elbow. lower: (..., 3) from elbow to wrist.
        thumb: (..., 3) to the thumb's side; all in the frame of the chest: x to the body's left, y up, z to the front.
    """
    # The mirror image of a right arm is a left arm, whose outward side is x.
    mirror = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    a, b, thumb = (mirror * unit(v) for v in (upper, lower, thumb))
    hinge = elbow_hinge(a, b, thumb)
    neutral = (shortest_arc(np.broadcast_to(_DOWN, a.shape), a) @ _FRONT[:, None])[..., 0]
    return ArmAngles(
        elbow=np.asarray(np.arccos(np.clip((a * b).sum(-1), -1, 1))),
        turned_in=_angle_about(a, neutral, cross(hinge, a)),
        supination=_angle_about(b, thumb, cross(hinge, b)),
        upper=a,
    )


def arm_cost(angles: ArmAngles, wrist_angles: np.ndarray) -> np.ndarray:
    """How unnatural arms are (...,): about 1 for each angle that strays commonly far, large beyond human limits.

    Args:
        angles: of the arms. wrist_angles: (..., 2) flexion and deviation.
    """
    values = {
        "elbow": angles.elbow,
        "turned_in": angles.turned_in,
        "supination": angles.supination,
        "flexion": wrist_angles[..., 0],
        "deviation": wrist_angles[..., 1],
    }
    cost = np.zeros(np.broadcast_shapes(angles.elbow.shape, wrist_angles.shape[:-1]))
    for name, value in values.items():
        low, high, ease, spread = np.deg2rad(_RANGES[name])
        cost = (
            cost + ((value - ease) / spread) ** 2 + _BEYOND * (np.maximum(low - value, 0) + np.maximum(value - high, 0))
        )
    outward, raised, front = np.moveaxis(angles.upper, -1, 0)
    # The elbow hangs by itself; it goes back by 50 degrees, and across the chest to the midline in front only.
    cost = cost + 1.2 * (1 + raised) ** 2 + 2.0 * np.maximum(-front, 0)
    cost = cost + _BEYOND * (
        np.maximum(-front - 0.75, 0) + np.maximum(-outward - 0.25 - 0.45 * np.maximum(front, 0), 0)
    )
    return cost


def wrist_angles_of(forearm: np.ndarray) -> np.ndarray:
    """The wrist's flexion and deviation (..., 2), radians, for the unit direction (..., 3) from the wrist along the
    forearm in a right hand's frame: x to the thumb, y to the fingers, z out of the palm."""
    x, y, z = np.moveaxis(forearm, -1, 0)
    return np.stack([np.arctan2(z, -y), np.arcsin(np.clip(x, -1, 1))], -1)


def elbows(shoulder: np.ndarray, wrist: np.ndarray, upper: float, lower: float, swivels: np.ndarray) -> np.ndarray:
    """Places (..., N, 3) of the elbow between a shoulder (3,) and wrists (..., 3), for N swivels about their line.

    Args:
        shoulder, wrist: metres, y up, z forward. upper, lower: lengths of the arm's bones, metres.
        swivels: (N,) radians; 0 is the lowest elbow, positive towards -x of one who reaches forward.

    Note:
        A wrist that is out of reach gets elbows as if it were at the nearest distance within reach; see in_reach.
    """
    line = wrist - shoulder
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    line = line / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper - lower) + 1e-6, upper + lower - 1e-6)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    radius = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    down = _DOWN - line * (line @ _DOWN)[..., None]
    vertical = np.linalg.norm(down, axis=-1, keepdims=True) < 1e-3
    down = np.where(vertical, -_FRONT - line * (line @ -_FRONT)[..., None], down)
    down = down / np.linalg.norm(down, axis=-1, keepdims=True)
    beside = cross(line, down)
    turned = np.cos(swivels)[:, None] * down[..., None, :] + np.sin(swivels)[:, None] * beside[..., None, :]
    return (shoulder + along * line)[..., None, :] + radius[..., None] * turned


def in_reach(shoulder: np.ndarray, wrist: np.ndarray, upper: float, lower: float) -> np.ndarray:
    """Whether an arm can reach wrists (..., 3) with its elbow bent by 8 to 157 degrees, (...,)."""
    distance = np.linalg.norm(wrist - shoulder, axis=-1)
    nearest, farthest = (np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(np.deg2rad(a))) for a in (157, 8))
    return (distance > nearest) & (distance < farthest)


def _angle_about(axis: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The angle (...,) about a unit axis (..., 3) from start to end, both (..., 3) made perpendicular to it."""
    start = start - axis * (start * axis).sum(-1, keepdims=True)
    end = end - axis * (end * axis).sum(-1, keepdims=True)
    return np.asarray(np.arctan2((cross(start, end) * axis).sum(-1), (start * end).sum(-1)))
