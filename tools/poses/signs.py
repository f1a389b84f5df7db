"""Numbers counted on one hand, the American manual alphabet's static letters, and digits."""

from poses.draft import ACROSS, ALONG, FIST_4, FIST_THUMB, OPPOSED, OUT, OVER, REACHING, TOGETHER, UP, Draft, pinch

# A pose is easier to read and mend with a finger in a bracket than with an angle on a line.
# fmt: off
SIGNS: dict[str, Draft] = {
    # counting on one hand, one to ten
    "count_one": Draft("one: the thumb", OUT, *FIST_4),
    "count_two": Draft("two: thumb and index finger", OUT, (5, 0, 0, 0), *FIST_4[1:]),
    "count_three": Draft("three: thumb, index and middle finger", OUT, (10, 0, 0, 0), (-2, 0, 0, 0), *FIST_4[2:]),
    "count_four": Draft(
        "four: the fingers without the thumb",
        ACROSS, (12, 0, 0, 0), (3, 0, 0, 0), (-6, 0, 0, 0), (-16, 0, 0, 0),
        (("thumb.distal.palmar@0.8", "middle.proximal.palmar@-0.2"),), 20,
    ),
    "count_five": Draft(
        "five: the open hand",
        (-8, 5, 0, 0, 0, 0, 0), (13, 0, 0, 0), (2, 0, 0, 0), (-9, 0, 0, 0), (-20, 0, 0, 0),
    ),
    "count_six": Draft(
        "six, the Chinese way: thumb and little finger",
        (-8, 5, 0, -5, 0, 0, -5), *FIST_4[:3], (-12, 0, 5, 0),
    ),
    "count_seven": Draft(
        "seven, the Chinese way: thumb, index and middle finger gathered",
        OPPOSED, (-2, 52, 35, 12), (2, 56, 36, 12), *FIST_4[2:],
        (("thumb.distal.palmar@0.6", "index.distal.palmar@0.6"), TOGETHER[0]), 20, 12,
    ),
    "count_eight": Draft(
        "eight, the Chinese way: thumb and index finger far apart",
        OUT, (10, 5, 0, 0), *FIST_4[1:],
    ),
    "count_nine": Draft(
        "nine, the Chinese way: a hooked index finger",
        OVER, (0, 10, 85, 50), *FIST_4[1:], (("thumb.distal.palmar@0.6", "middle.middle.dorsal@0.4"),),
    ),
    "count_ten": Draft(
        "ten: the fist, thumb beside it",
        ALONG, *FIST_4, (("thumb.distal.palmar@0.5", "index.middle.radial@0.4"),),
    ),
    # American manual alphabet, the static letters
    "letter_a": Draft(
        "fist, the thumb at its side",
        ALONG, *FIST_4, (("thumb.distal.palmar@0.3", "index.middle.radial@0.3"),),
    ),
    "letter_b": Draft(
        "fingers up together, the thumb over the palm",
        ACROSS, (-4, 0, 0, 0), UP, (3, 0, 0, 0), (8, 0, 0, 0),
        (*TOGETHER, ("thumb.distal.palmar@0.8", "middle.proximal.palmar@-0.2")), 20,
    ),
    "letter_c": Draft(
        "a curve of thumb and fingers",
        (34, 42, 24, 10, 0, 0, 18), (-4, 28, 48, 25), (0, 30, 50, 26), (4, 30, 48, 26), (9, 28, 44, 24),
        (*TOGETHER[:2], ("thumb.distal.palmar@0.6", "index.distal.palmar@0.6", 42)),
    ),
    "letter_d": Draft(
        "index finger up, the others meet the thumb",
        OPPOSED, (0, 0, 0, 0), (0, 48, 80, 24), (0, 52, 84, 28), (0, 55, 82, 30), pinch("middle"), 20, 12,
    ),
    "letter_e": Draft(
        "fingertips on the folded thumb",
        ACROSS, (0, 25, 100, 65), (0, 28, 104, 65), (0, 30, 104, 65), (0, 32, 98, 62),
        (
            ("index.distal.palmar@0.9", "thumb.distal.radial@0.2"),
            ("middle.distal.palmar@0.9", "thumb.distal.radial@0.9"),
        ),
        20,
    ),
    "letter_f": Draft(
        "thumb and index finger meet, three fingers up and apart",
        OPPOSED, (0, 52, 50, 20), (6, 0, 0, 0), (-5, -4, 0, 0), (-18, -6, 0, 0), pinch("index"),
    ),
    "letter_g": Draft(
        "thumb and index finger parallel, a little apart",
        (25, 12, 15, 5, 0, 0, 0), (0, 45, 0, 0), *FIST_4[1:],
    ),
    "letter_h": Draft(
        "index and middle finger out together",
        OVER, (-5, 40, 0, 0), (2, 42, 0, 0), *FIST_4[2:],
        (TOGETHER[0], ("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.5")),
    ),
    "letter_i": Draft("the little finger up", OVER, *FIST_4[:3], (0, 0, 0, 0), FIST_THUMB, 15, 3),
    "letter_k": Draft(
        "index finger up, middle finger forward, the thumb on it",
        (22, 25, 20, 8, 0, 0, 5), (8, -4, 0, 0), (-3, 50, 5, 0), *FIST_4[2:],
        (("thumb.distal.palmar@0.8", "middle.proximal.palmar@0.8"),), 20,
    ),
    "letter_l": Draft("index finger up, thumb out", OUT, (3, 0, 0, 0), *FIST_4[1:]),
    "letter_m": Draft(
        "the thumb under three fingers",
        (50, 22, 25, 50, 0, 0, 30), (0, 75, 66, 32), (0, 75, 68, 32), (0, 75, 68, 32), (0, 80, 92, 50),
        (("thumb.distal.dorsal@0.7", "ring.middle.palmar@0.3"),), 20, 4,
    ),
    "letter_n": Draft(
        "the thumb under two fingers",
        (46, 22, 25, 45, 0, 0, 25), (0, 75, 66, 32), (0, 75, 68, 32), *FIST_4[2:],
        (("thumb.distal.dorsal@0.7", "middle.middle.palmar@0.3"),), 20, 4,
    ),
    "letter_o": Draft(
        "fingertips and thumb make a ring",
        OPPOSED, (-3, 48, 55, 30), (0, 50, 56, 30), (3, 52, 56, 32), (8, 52, 54, 30),
        (("thumb.distal.palmar@0.8", "index.distal.palmar@0.8"), *TOGETHER[:2]), 20,
    ),
    "letter_p": Draft(
        "as K with the hand hanging: index finger out, middle finger down",
        (22, 28, 20, 8, 0, 0, 5), (4, 20, 5, 0), (-3, 72, 8, 0), *FIST_4[2:],
        (("thumb.distal.palmar@0.8", "middle.middle.radial@0.1"),), 20,
    ),
    "letter_q": Draft("as G with the hand hanging", (18, 30, 20, 5, 0, 0, 5), (0, 62, 5, 0), *FIST_4[1:]),
    "letter_r": Draft(
        "index and middle finger crossed, straight",
        OVER, (-10, 10, 5, 2), (16, 0, 12, 5), *FIST_4[2:],
        (
            ("middle.distal.palmar@0.3", "index.distal.dorsal@0.1"),
            ("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.4"),
        ),
        15, 10,
    ),
    "letter_s": Draft(
        "fist, the thumb in front",
        OVER, *FIST_4, (("thumb.distal.palmar@0.8", "middle.middle.dorsal@0.5"),), 15, 3,
    ),
    "letter_t": Draft(
        "fist, the thumb between index and middle finger",
        (38, 22, 8, 25, -5, 0, 8), (2, 74, 74, 36), *FIST_4[1:],
        (("thumb.distal.dorsal@0.3", "index.middle.palmar@0.4"),), 12, 5,
    ),
    "letter_u": Draft(
        "index and middle finger up together",
        OVER, (-5, 0, 0, 0), (2, 0, 0, 0), *FIST_4[2:],
        (TOGETHER[0], ("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.4")),
    ),
    "letter_v": Draft(
        "index and middle finger up and apart",
        OVER, (12, 0, 0, 0), (-8, 0, 0, 0), *FIST_4[2:], (("thumb.distal.palmar@0.6", "ring.middle.dorsal@0.4"),),
    ),
    "letter_w": Draft(
        "three fingers up and apart, the thumb on the little one",
        REACHING, (14, 0, 0, 0), (2, 0, 0, 0), (-10, 0, 0, 0), (0, 62, 70, 35),
        (("thumb.distal.palmar@0.6", "little.distal.dorsal@0.5"),), 20, 12,
    ),
    "letter_x": Draft(
        "a hooked index finger, the thumb at the fist",
        OVER, (0, 20, 75, 40), *FIST_4[1:], (("thumb.distal.palmar@0.6", "middle.middle.dorsal@0.3"),),
    ),
    "letter_y": Draft("thumb and little finger out", (-8, 5, 0, -5, 0, 0, 0), *FIST_4[:3], (-18, 0, 0, 0)),
    # American digits
    "digit_0": Draft(
        "a ring of all fingers",
        OPPOSED, (-2, 46, 58, 32), (0, 48, 58, 32), (2, 50, 58, 32), (6, 52, 56, 30),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.8"), TOGETHER[0]), 20,
    ),
    "digit_1": Draft(
        "the index finger, the thumb over the others",
        OVER, UP, *FIST_4[1:], (("thumb.distal.palmar@0.7", "middle.middle.dorsal@0.5"),),
    ),
    "digit_2": Draft(
        "index and middle finger",
        OVER, (13, 0, 0, 0), (-7, 0, 0, 0), *FIST_4[2:], (("thumb.distal.palmar@0.7", "ring.middle.dorsal@0.5"),),
    ),
    "digit_3": Draft("thumb, index and middle finger", OUT, (13, 0, 0, 0), (-5, 0, 0, 0), *FIST_4[2:]),
    "digit_4": Draft(
        "four fingers apart, the thumb over the palm",
        ACROSS, (14, 0, 0, 0), (3, 0, 0, 0), (-8, 0, 0, 0), (-20, 0, 0, 0),
        (("thumb.distal.palmar@0.8", "middle.proximal.palmar@-0.2"),), 20,
    ),
    "digit_5": Draft("all apart", OUT, (15, 0, 0, 0), (2, 0, 0, 0), (-11, 0, 0, 0), (-24, 0, 0, 0)),
    "digit_6": Draft(
        "thumb and little finger meet",
        REACHING, (12, 0, 0, 0), (2, 0, 0, 0), (-8, 4, 5, 2), (2, 52, 68, 35), pinch("little"), 20, 12,
    ),
    "digit_7": Draft(
        "thumb and ring finger meet",
        REACHING, (12, 0, 0, 0), (2, 2, 4, 2), (0, 38, 92, 28), (-14, 10, 10, 5), pinch("ring"), 20, 12,
    ),
    "digit_8": Draft(
        "thumb and middle finger meet",
        (40, 36, 20, 34, -2, 0, 28), (12, 0, 2, 0), (0, 46, 76, 28), (-8, 12, 10, 5), (-18, 2, 2, 2),
        pinch("middle"), 20, 12,
    ),
    "digit_9": Draft(
        "thumb and index finger meet",
        OPPOSED, (2, 50, 48, 22), (4, 4, 4, 2), (-6, 0, 0, 0), (-17, -2, 0, 0), pinch("index"),
    ),
}
