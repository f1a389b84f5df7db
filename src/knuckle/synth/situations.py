"""What people do with their hands, as plain data: where a hand is, which way it points, and in which poses.

All is of a right hand and in the body frame (x to the body's left, y up, z to the front); a left hand is the mirror
image. Landmarks are places on the average adult, metres.
"""

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
Anchor = Literal["palm", "fingers", "index", "knuckles", "grip"]


@dataclass(frozen=True)
class Placement:
    """Where one hand is.

    at: a landmark on the skin that the anchor touches; or, with free, a place relative to the shoulder in lengths of
        the arm.
    fingers, palm: directions of the fingers and out of the palm; palm None: to the skin at the landmark.
    poses: names of the bank. free: see at. anchor: what of the hand is placed.
    spread: standard deviation of the place, metres. turn: of the direction, radians.
    """

    at: Vector
    fingers: Vector
    palm: Vector | None
    poses: tuple[str, ...]
    free: bool = False
    anchor: Anchor = "palm"
    spread: float = 0.015
    turn: float = 0.2


@dataclass(frozen=True)
class Situation:
    """A person's hands: the first one's placement, and the other's if they act together.

    weight: relative frequency. other: of the other hand, as if it were the right one; None: anything. touching: the
    first hand touches the other. table: they are on a table, typing, or not. prop: what the hand holds.
    camera: where the camera mostly is.
    """

    name: str
    weight: float
    first: Placement
    other: Placement | None = None
    touching: bool = False
    table: bool = False
    prop: Literal["", "phone", "laptop"] = ""
    camera: Literal["front", "eyes", "any"] = "front"


def _air(
    at: Vector,
    fingers: Vector,
    palm: Vector,
    poses: str,
    spread: float = 0.07,
    turn: float = 0.3,
    anchor: Anchor = "palm",
) -> Placement:
    return Placement(at, fingers, palm, tuple(poses.split()), True, anchor, spread, turn)


def _skin(
    at: Vector, fingers: Vector, palm: Vector | None, poses: str, anchor: Anchor = "palm", spread: float = 0.015
) -> Placement:
    return Placement(at, fingers, palm, tuple(poses.split()), False, anchor, spread, 0.28)


_SIGNS = """spread flat flat_together relaxed point finger_gun ok peace horns i_love_you shaka vulcan scout fist
    fingers_crossed thumbs_up pinch_index pinch_open half_closed claw count_one count_two count_three count_four
    count_five letter_c letter_f letter_l letter_y"""
_OPEN = "flat spread relaxed"
_FLAT = "flat flat_together relaxed spread cup"
_RESTING = "relaxed half_closed rest_on_table flat cup loose_fist"
_FRONT, _BACK, _INWARD = (0.1, 0.0, 1.0), (0.2, 0.0, -1.0), (0.1, 0.1, -1.0)  # directions of the palm

ON_THIGH = _skin((-0.11, -0.18, 0.1), (0.15, -0.75, 0.6), None, _RESTING, spread=0.03)
_WAVING = _air((-0.4, 0.4, 0.3), (-0.2, 1.0, 0.1), _FRONT, f"{_OPEN} peace ok horns shaka")
_AT_CHEEK = _skin((-0.06, 0.7, 0.09), (0.15, 0.95, -0.15), (0.85, 0.0, -0.45), f"{_FLAT} fist")
_ON_HIP = _skin((-0.15, 0.1, 0.03), (0.35, -0.55, 0.7), None, "relaxed flat_together loose_fist cup half_closed")
_PRAYING = _air((0.27, -0.15, 0.5), (0.1, 0.9, 0.35), (1.0, 0.0, 0.05), "flat_together flat cup", 0.0, 0.05)
_STEEPLED = _air((0.24, -0.05, 0.5), (0.35, 0.9, 0.2), (0.95, -0.3, 0.0), "spread flat cup", 0.0, 0.05)
_TYPING = _air((0.18, -0.62, 0.72), (0.25, -0.12, 0.95), (0.0, -1.0, -0.1), _RESTING, 0.03, 0.12)
_ON_TABLE = _air((0.15, -0.62, 0.68), (0.45, -0.1, 0.85), (0.0, -1.0, -0.1), f"{_RESTING} fist spread", 0.08, 0.25)

SITUATIONS: tuple[Situation, ...] = (
    # Shown to the camera.
    Situation("sign", 3.0, _air((-0.25, 0.02, 0.5), (-0.05, 1.0, 0.1), _FRONT, _SIGNS)),
    Situation("sign_high", 1.0, _air((-0.4, 0.35, 0.35), (-0.1, 1.0, 0.05), _FRONT, _SIGNS)),
    Situation("sign_back", 0.8, _air((-0.1, 0.05, 0.5), (0.15, 1.0, 0.0), _BACK, _SIGNS)),
    Situation("wave", 1.0, _air((-0.45, 0.3, 0.4), (-0.3, 1.0, 0.1), _FRONT, _OPEN, turn=0.4)),
    Situation("wave_both", 0.4, _WAVING, _WAVING),
    Situation("thumb_up", 0.7, _air((0.0, -0.1, 0.62), (0.75, 0.05, 0.55), (0.55, 0.0, -0.75), "thumbs_up")),
    Situation("thumb_down", 0.8, _air((-0.15, 0.15, 0.55), (0.8, -0.1, 0.4), (-0.45, 0.0, 0.8), "thumbs_up")),
    Situation("point_at", 0.6, _air((-0.05, 0.0, 0.8), (0.1, 0.05, 1.0), (0.6, -0.7, 0.0), "point finger_gun")),
    Situation("stop", 0.5, _air((-0.05, 0.05, 0.85), (0.0, 0.95, 0.1), _FRONT, f"{_OPEN} flat_together", turn=0.2)),
    Situation(
        "talk", 1.0, _air((0.0, -0.25, 0.6), (0.3, 0.35, 0.85), (0.7, 0.5, 0.0), f"{_RESTING} pinch_open", turn=0.5)
    ),
    # At the head.
    Situation(
        "ear",
        1.0,
        _skin((-0.078, 0.72, 0.045), (0.1, 0.9, -0.35), (0.95, 0.0, 0.15), f"{_FLAT} half_closed point", "fingers"),
    ),
    Situation("call_sign", 0.8, _skin((-0.085, 0.69, 0.06), (0.5, 0.55, 0.45), (0.75, -0.2, -0.5), "shaka letter_y")),
    Situation(
        "phone_at_ear",
        1.0,
        _skin((-0.082, 0.7, 0.06), (0.25, 0.95, 0.0), (0.95, -0.1, 0.1), "grasp_phone", "grip"),
        prop="phone",
    ),
    Situation(
        "chin",
        1.0,
        _skin(
            (0.0, 0.634, 0.125),
            (0.45, 0.85, -0.1),
            (0.4, 0.2, -0.9),
            "half_closed loose_fist relaxed point bunch",
            "fingers",
        ),
    ),
    Situation(
        "chin_on_fist",
        0.8,
        _skin((-0.02, 0.629, 0.12), (0.35, 0.9, -0.15), (0.35, 0.1, -0.95), "fist loose_fist hook_fist", "knuckles"),
    ),
    Situation("mouth", 1.0, _skin((0.0, 0.667, 0.148), (0.8, 0.55, 0.05), _INWARD, f"{_FLAT} loose_fist", "fingers")),
    Situation(
        "finger_on_lips",
        0.4,
        _skin((0.0, 0.667, 0.15), (0.25, 0.95, -0.1), (0.75, 0.0, -0.6), "point count_one", "index"),
    ),
    Situation(
        "nose",
        0.4,
        _skin((0.0, 0.7, 0.16), (0.45, 0.8, -0.3), (0.4, 0.1, -0.9), "point half_closed bunch relaxed", "index"),
    ),
    Situation("cheek", 0.8, _skin((-0.055, 0.68, 0.1), (0.1, 0.95, -0.2), None, f"{_FLAT} half_closed fist")),
    Situation("eyes", 0.5, _skin((-0.03, 0.74, 0.13), (0.7, 0.65, -0.1), _INWARD, f"{_FLAT} loose_fist", "fingers")),
    Situation("forehead", 0.7, _skin((-0.02, 0.785, 0.135), (0.75, 0.6, 0.05), _INWARD, _FLAT, "fingers")),
    Situation(
        "salute", 0.4, _skin((-0.06, 0.77, 0.11), (0.7, 0.6, 0.15), (0.35, -0.6, 0.1), "flat_together scout", "index")
    ),
    Situation(
        "hair", 1.0, _skin((-0.055, 0.815, 0.03), (0.45, 0.45, -0.7), None, "relaxed spread claw cup", "fingers", 0.03)
    ),
    Situation("head_in_hands", 0.5, _AT_CHEEK, _AT_CHEEK),
    Situation("neck", 0.6, _skin((-0.06, 0.585, 0.0), (0.35, 0.3, -0.85), None, _FLAT, "fingers")),
    # On the body.
    Situation("chest", 0.7, _skin((0.03, 0.42, 0.12), (0.85, 0.45, 0.0), None, _FLAT, spread=0.04)),
    Situation("hip", 1.0, _ON_HIP),
    Situation("hips", 0.5, _ON_HIP, _ON_HIP),
    Situation("belly", 0.5, _skin((-0.02, 0.2, 0.12), (0.9, 0.05, 0.1), None, _FLAT, spread=0.04)),
    Situation("thigh", 0.8, ON_THIGH, ON_THIGH),
    Situation("other_arm", 0.8, _skin((0.2, 0.36, 0.09), (0.85, 0.35, -0.2), None, "relaxed cup flat", spread=0.03)),
    Situation(
        "arms_crossed",
        1.2,
        _skin((0.15, 0.31, 0.13), (0.9, 0.35, -0.15), (-0.1, -0.05, -1.0), "cup relaxed flat_together loose_fist"),
        _skin((0.15, 0.25, 0.15), (0.95, 0.1, -0.1), (-0.1, 0.1, -1.0), "cup relaxed flat_together loose_fist"),
    ),
    # Hands together.
    Situation(
        "folded",
        1.2,
        _air((0.33, -0.5, 0.48), (0.85, 0.25, 0.25), (0.2, -0.35, -0.9), "cup relaxed half_closed", 0.02, 0.2),
        _air((0.33, -0.5, 0.4), (0.8, 0.2, 0.35), (0.3, -0.2, -0.9), "loose_fist fist half_closed", 0.02, 0.2),
        touching=True,
    ),
    Situation("palms_together", 0.6, _PRAYING, _PRAYING, touching=True),
    Situation("steepled", 0.4, _STEEPLED, _STEEPLED, touching=True),
    # On a table, and with a phone.
    Situation("typing", 1.2, _TYPING, _TYPING, table=True, prop="laptop", camera="any"),
    Situation("on_table", 1.2, _ON_TABLE, _ON_TABLE, table=True, camera="any"),
    Situation(
        "looking_at_phone",
        1.2,
        _air((0.15, -0.3, 0.6), (0.3, 0.8, 0.35), (0.3, 0.45, -0.85), "grasp_phone", 0.06, 0.2, "grip"),
        prop="phone",
        camera="any",
    ),
    Situation(
        "photographing",
        0.5,
        _air((0.25, 0.15, 0.8), (0.3, 0.95, 0.0), (0.3, 0.1, -0.95), "grasp_phone", 0.06, 0.2, "grip"),
        prop="phone",
    ),
    # Seen by the person.
    Situation(
        "own_view",
        1.5,
        _air((0.1, -0.2, 0.75), (0.3, 0.5, 0.8), (0.3, -0.6, 0.3), f"{_SIGNS} cup", 0.12, 0.7),
        camera="eyes",
    ),
    Situation("at_rest", 0.8, _air((0.0, 0.0, 0.0), (0.0, -1.0, 0.2), (1.0, 0.0, 0.0), _RESTING)),
)
