"""Neutral hand poses, gestures and pinches."""

from poses.draft import (
    ACROSS,
    ALONG,
    BESIDE,
    FIST_4,
    FIST_THUMB,
    FLAT,
    LAX,
    OPPOSED,
    OUT,
    OVER,
    REACHING,
    TOGETHER,
    UP,
    Draft,
    pinch,
)

# A pose is easier to read and mend with a finger in a bracket than with an angle on a line.
# fmt: off
GESTURES: dict[str, Draft] = {
    # neutral poses
    "flat": Draft("the rest pose: straight and flat", FLAT, UP, UP, UP, UP),
    "flat_together": Draft(
        "fingers side by side, as for a handshake",
        BESIDE, (-5, 0, 0, 0), UP, (3, 0, 0, 0), (8, 0, 0, 0), TOGETHER,
    ),
    "spread": Draft(
        "everything as far apart as it goes",
        OUT, (17, -8, 0, 0), (3, -8, 0, 0), (-13, -8, 0, 0), (-27, -8, 0, 0),
    ),
    "relaxed": Draft("hanging loosely", LAX, (2, 18, 22, 12), (0, 24, 28, 15), (-1, 28, 32, 17), (-2, 30, 34, 18)),
    "half_closed": Draft(
        "between open and closed",
        (20, 22, 15, 18, 0, 0, 20), (2, 38, 48, 25), (0, 42, 52, 28), (-1, 44, 52, 28), (-3, 44, 50, 28),
    ),
    "loose_fist": Draft(
        "closed without force",
        (30, 25, 20, 28, 0, 0, 30), (0, 58, 82, 42), (0, 64, 86, 45), (0, 66, 86, 45), (0, 66, 82, 44),
    ),
    "fist": Draft("closed, the thumb over index and middle finger", OVER, *FIST_4, FIST_THUMB, 15, 3),
    "hook_fist": Draft(
        "fingers rolled in, knuckles straight",
        FLAT, (0, -5, 105, 75), (0, -5, 108, 75), (0, -5, 108, 75), (0, -5, 100, 72),
    ),
    "straight_fist": Draft(
        "closed with straight end joints",
        ALONG, (0, 85, 92, 0), (0, 88, 92, 0), (0, 88, 90, 0), (0, 85, 86, 0),
    ),
    "tabletop": Draft(
        "intrinsic plus: bent at the knuckles alone",
        (25, 20, 10, 10, 0, 0, 5), (0, 85, 0, 0), (0, 88, 0, 0), (0, 88, 0, 0), (0, 86, 0, 0),
    ),
    "claw": Draft(
        "intrinsic minus: knuckles back, ends bent",
        (-5, 10, 0, -5, 0, 0, 45), (8, -25, 75, 50), (2, -25, 78, 50), (-6, -25, 78, 50), (-14, -25, 72, 50),
    ),
    "cup": Draft(
        "a palm that holds water",
        (25, 15, 10, 10, 0, 0, 10), (-5, 25, 15, 8), (-2, 30, 18, 8), (2, 34, 20, 8), (8, 38, 22, 8),
        TOGETHER[:2],
    ),
    "bunch": Draft(
        "all fingertips together, as for 'what do you want?'",
        OPPOSED, (-4, 54, 32, 12), (0, 58, 34, 12), (4, 56, 32, 12), (10, 54, 26, 10),
        (("thumb.distal.palmar@0.8", "middle.distal.palmar@0.8"), TOGETHER[0], TOGETHER[1]), 20, 5,
    ),
    # gestures
    "point": Draft(
        "the index finger points",
        OVER, UP, *FIST_4[1:], (("thumb.distal.palmar@0.6", "middle.middle.dorsal@0.4"),),
    ),
    "finger_gun": Draft("index finger out, thumb up", OUT, UP, *FIST_4[1:]),
    "two_finger_gun": Draft(
        "index and middle finger out, thumb up",
        OUT, (-5, 0, 0, 0), (2, 0, 0, 0), *FIST_4[2:], TOGETHER[:1],
    ),
    "thumbs_up": Draft("fist with the thumb out", (-5, 4, 4, -2, 0, 0, -18), *FIST_4),
    "ok": Draft(
        "thumb and index finger make a ring, the others stand",
        OPPOSED, (0, 48, 52, 25), (2, 20, 12, 5), (-6, 10, 8, 4), (-15, 4, 6, 3), pinch("index"),
    ),
    "peace": Draft(
        "index and middle finger apart",
        OVER, (14, -4, 0, 0), (-8, -4, 0, 0), *FIST_4[2:],
        (("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.4"),),
    ),
    "horns": Draft(
        "index and little finger up",
        OVER, (4, 0, 0, 0), FIST_4[1], FIST_4[2], (-8, 0, 5, 3),
        (("thumb.distal.palmar@0.5", "middle.middle.dorsal@0.5"),),
    ),
    "i_love_you": Draft(
        "thumb, index and little finger out",
        OUT, (6, 0, 0, 0), FIST_4[1], FIST_4[2], (-12, 0, 5, 3),
    ),
    "shaka": Draft("thumb and little finger out", OUT, *FIST_4[:3], (-22, -5, 0, 0)),
    "fingers_crossed": Draft(
        "the middle finger over the back of the index finger",
        OVER, (-10, 18, 8, 4), (18, 6, 20, 10), *FIST_4[2:],
        (
            ("middle.distal.palmar@0.3", "index.distal.dorsal@0.1"),
            ("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.4"),
        ),
        15, 10,
    ),
    "vulcan": Draft(
        "a gap between middle and ring finger",
        OUT, (2, 0, 0, 0), (10, 0, 0, 0), (-15, 0, 0, 0), (-12, 0, 0, 0),
        (
            ("index.middle.ulnar@0.5", "middle.middle.radial@0.3"),
            ("ring.middle.ulnar@0.2", "little.distal.radial@0.2"),
        ),
    ),
    "scout": Draft(
        "three fingers up, the thumb on the little finger",
        ACROSS, (-4, 0, 0, 0), UP, (3, 0, 0, 0), (0, 70, 75, 35),
        (*TOGETHER[:2], ("thumb.distal.palmar@0.6", "little.middle.dorsal@0.6")), 25,
    ),
    "snap": Draft(
        "thumb on the middle finger, about to snap",
        OPPOSED, (2, 25, 30, 15), (0, 48, 66, 20), (0, 70, 88, 48), (0, 72, 86, 48), pinch("middle"), 20, 12,
    ),
    "beckon": Draft(
        "the index finger calls",
        OVER, (0, 25, 80, 35), *FIST_4[1:], (("thumb.distal.palmar@0.6", "middle.middle.dorsal@0.4"),),
    ),
    "rest_on_table": Draft(
        "fingertips and thumb on a flat top",
        (14, 30, 15, 5, 0, 0, 5), (6, 30, 35, 10), (1, 35, 38, 12), (-5, 34, 36, 12), (-12, 30, 30, 10),
    ),
    # pinches
    "pinch_index": Draft(
        "thumb and index finger, pad to pad, the others bent alike",
        OPPOSED, (0, 50, 45, 18), (0, 52, 50, 25), (0, 54, 54, 28), (0, 56, 56, 30), pinch("index"),
    ),
    "pinch_middle": Draft(
        "thumb and middle finger, pad to pad",
        OPPOSED, (4, 22, 20, 8), (0, 48, 68, 22), (0, 46, 66, 28), (0, 46, 62, 28), pinch("middle"), 20, 12,
    ),
    "pinch_ring": Draft(
        "thumb and ring finger, pad to pad",
        REACHING, (4, 10, 10, 5), (0, 26, 25, 10), (2, 46, 84, 22), (0, 44, 70, 25), pinch("ring"), 25, 12,
    ),
    "pinch_little": Draft(
        "thumb and little finger, pad to pad",
        REACHING, (4, 8, 8, 4), (0, 12, 14, 6), (0, 30, 30, 12), (4, 52, 66, 35), pinch("little"), 20, 12,
    ),
    "pinch_open": Draft(
        "before a pinch: thumb and index finger apart",
        (24, 36, 24, 8, 0, 0, 5), (0, 35, 30, 10), (0, 48, 48, 22), (0, 54, 54, 26), (2, 56, 56, 28),
        (("thumb.distal.palmar@0.6", "index.distal.palmar@0.6", 35),),
    ),
}
