"""Joins a body's forearm to a free hand: the body's skin takes the shape of the hand's forearm near the wrist, and the
hand's own forearm is tucked in where the body's has taken over, so that no edge shows."""

import numpy as np

# Distances from the wrist towards the elbow, of an adult's arm, metres.
_FOLLOW = (0.085, 0.15)  # the body's skin follows the hand's forearm up to the first, and is its own from the second on
_TUCK = (0.075, 0.11)  # the hand's forearm narrows between these
_TUCK_DEPTH = 0.25  # by this fraction of its radius
_CROSS = (0.055, 0.072)  # between these the body's skin comes out of the hand's
_LIFT = 0.0006  # metres that it lies below before and above after


def join(
    skin: np.ndarray, forearm: np.ndarray, hand: np.ndarray, stub: np.ndarray, frame: np.ndarray, wrist: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of a body and of a hand with their forearms joined.

    Args:
        skin: (V, 3) posed vertices of the body. forearm: (V,) true for the vertices of this forearm.
        hand: (H, 3) posed vertices of the hand, with its forearm as long as it was modelled.
        stub: (H,) true for the vertices of the hand's forearm.
        frame: (3, 3) columns: to the thumb, from elbow to wrist, their cross product. wrist: (3,).

    Returns:
        Both arrays, changed on these forearms alone; metres, in the frame of the inputs.
    """
    own, theirs = (skin[forearm] - wrist) @ frame, (hand[stub] - wrist) @ frame
    own_back, their_back = -own[:, 1], -theirs[:, 1]
    own_centre, their_centre = _centre_line(own), _centre_line(theirs)
    offset = own[:, [0, 2]] - own_centre(own_back)
    radius = np.linalg.norm(offset, axis=1)
    direction = offset / np.maximum(radius, 1e-9)[:, None]
    their_offset = theirs[:, [0, 2]] - their_centre(their_back)
    their_radius = np.linalg.norm(their_offset, axis=1)
    # Nearest vertices of the hand's forearm on its unrolled surface: along it, and around it at its mean radius.
    around = np.median(their_radius)
    unrolled = np.column_stack([their_back, around * their_offset / their_radius[:, None]])
    at = np.column_stack([np.clip(own_back, 0, their_back.max()), around * direction])
    squared = ((at[:, None] - unrolled) ** 2).sum(-1)
    nearest = np.argpartition(squared, 4, axis=1)[:, :4]
    share = 1 / (np.take_along_axis(squared, nearest, 1) + 1e-7)
    followed = (share * their_radius[nearest]).sum(1) / share.sum(1)
    followed += _LIFT * (2 * _smoothstep(*_CROSS, own_back) - 1)
    target = their_centre(own_back) + direction * followed[:, None]
    follow = 1 - _smoothstep(*_FOLLOW, own_back)
    own[:, [0, 2]] += follow[:, None] * (target - own[:, [0, 2]])
    tuck = 1 - _TUCK_DEPTH * _smoothstep(*_TUCK, their_back)
    theirs[:, [0, 2]] = their_centre(their_back) + their_offset * tuck[:, None]
    joined_skin, joined_hand = skin.copy(), hand.copy()
    joined_skin[forearm], joined_hand[stub] = own @ frame.T + wrist, theirs @ frame.T + wrist
    return joined_skin, joined_hand


def _centre_line(points: np.ndarray):
    """The straight line through the middle of a forearm: (N,) distances from the wrist -> (N, 2) x and z."""
    back = -points[:, 1]
    middles, stations = [], np.linspace(0.01, min(0.16, 0.9 * float(back.max())), 7)
    for station in stations:
        near = points[np.argsort(np.abs(back - station), kind="stable")[:14]][:, [0, 2]]
        middles.append((near.min(0) + near.max(0)) / 2)
    slopes = np.polynomial.polynomial.polyfit(stations, np.array(middles), 1)

    def line(distance: np.ndarray) -> np.ndarray:
        return slopes[0] + distance[:, None] * slopes[1]

    return line


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
