"""Drafts of named poses: their data type, and parts that several share.

A contact names two places on the skin, `finger.bone.side@share`: the bone is proximal, middle or distal (the
thumb's are proximal and distal), the side palmar, dorsal, radial (thumb's) or ulnar, the share how far along the
bone. The fit makes the two places face each other, in contact or with a gap in millimetres.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Draft:
    """Target of a pose: approximate angles in degrees, and contacts.

    about: description for people. thumb: its seven angles; index to little: abduction, MCP, PIP and DIP flexion.
    touch: contacts, (place, place) or (place, place, gap). thumb_tolerance: deviation from the draft, degrees, at which
    the residual of a thumb angle is one; finger_tolerance: the same for the fingers.
    """

    about: str
    thumb: tuple[float, ...]
    index: tuple[float, ...]
    middle: tuple[float, ...]
    ring: tuple[float, ...]
    little: tuple[float, ...]
    touch: tuple[tuple, ...] = ()
    thumb_tolerance: float = 15.0
    finger_tolerance: float = 6.0

    @property
    def degrees(self) -> tuple[float, ...]:
        """The 23 angles in the order of ANGLE_NAMES."""
        return (*self.thumb, *self.index, *self.middle, *self.ring, *self.little)


# Thumbs.
FLAT = (0, 0, 0, 0, 0, 0, 0)
OUT = (-4, 4, 4, -3, -2, 0, -15)  # fully abducted in the palm's plane
BESIDE = (32, -12, 0, 5, 0, 0, 0)  # along the index finger's side, in the palm's plane
ALONG = (35, 5, 10, 15, 0, 0, 5)  # against the side of a folded index finger
OVER = (42, 34, 22, 38, -3, 0, 42)  # over the folded fingers
ACROSS = (48, 15, 20, 45, 0, 0, 35)  # flat over the palm
OPPOSED = (38, 40, 26, 18, 0, 3, 15)  # facing the fingers
REACHING = (44, 34, 22, 46, -4, 0, 28)  # facing the ring and the little finger
ROUND = (28, 44, 24, 10, 0, 0, 15)  # round a large object
LAX = (22, 18, 12, 12, 0, 0, 10)

# Fingers.
UP = (0, 0, 0, 0)
FIST_4 = ((-3, 82, 103, 56), (-1, 85, 102, 56), (1, 87, 100, 56), (3, 87, 95, 54))
PAD = "distal.palmar@0.8"

TOGETHER = (
    ("index.middle.ulnar@0.5", "middle.middle.radial@0.3"),
    ("middle.middle.ulnar@0.3", "ring.middle.radial@0.5"),
    ("ring.middle.ulnar@0.2", "little.distal.radial@0.2"),
)
FIST_THUMB = (("thumb.distal.palmar@0.6", "middle.middle.dorsal@0.3"),)


def pinch(finger: str) -> tuple[tuple[str, str], ...]:
    """Pad to pad."""
    return ((f"thumb.{PAD}", f"{finger}.{PAD}"),)
