"""Grasps: the six of daily life (Schlesinger, 1919) and a selection from the GRASP taxonomy (Feix et al., 2016)."""

from poses.draft import ALONG, LAX, OPPOSED, ROUND, Draft

# A pose is easier to read and mend with a finger in a bracket than with an angle on a line.
# fmt: off
GRASPS: dict[str, Draft] = {
    # the six grasps of daily life (Schlesinger, 1919)
    "grasp_cylindrical": Draft(
        "round a bottle",
        ROUND, (0, 48, 55, 28), (0, 52, 56, 30), (0, 54, 56, 30), (0, 54, 52, 28),
        (("thumb.distal.palmar@0.6", "index.distal.palmar@0.6", 30),), 20, 4,
    ),
    "grasp_tip": Draft(
        "a needle between the tips of thumb and index finger",
        OPPOSED, (0, 45, 62, 40), (0, 50, 62, 35), (0, 54, 62, 35), (0, 56, 62, 35),
        (("thumb.distal.palmar@0.95", "index.distal.palmar@0.95"),),
    ),
    "grasp_hook": Draft(
        "a suitcase on the fingers",
        (15, 5, 0, 5, 0, 0, 5), (0, 22, 85, 42), (0, 24, 88, 44), (0, 24, 88, 44), (0, 24, 82, 42),
    ),
    "grasp_palmar": Draft(
        "a box between the thumb's pad and the fingers'",
        (32, 46, 30, 10, 0, 0, 0), (-2, 58, 18, 8), (0, 60, 18, 8), (3, 60, 18, 8), (8, 58, 16, 8),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.6", 45),), 20, 4,
    ),
    "grasp_spherical": Draft(
        "round a ball",
        (18, 44, 20, 5, 0, 0, 20), (13, 30, 42, 25), (2, 34, 42, 26), (-8, 34, 42, 26), (-18, 34, 40, 24),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.6", 55),), 20, 4,
    ),
    "grasp_lateral": Draft(
        "a key between thumb and the index finger's side",
        ALONG, (0, 48, 65, 30), (0, 55, 72, 35), (0, 60, 76, 38), (0, 62, 76, 38),
        (("thumb.distal.palmar@0.6", "index.middle.radial@0.8"),),
    ),
    # more of the GRASP taxonomy (Feix et al., 2016)
    "grasp_large_diameter": Draft(
        "round a can",
        (20, 46, 24, 5, 0, 0, 18), (6, 30, 36, 20), (1, 34, 38, 22), (-4, 36, 38, 22), (-10, 36, 36, 20),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.6", 65),), 20, 4,
    ),
    "grasp_small_diameter": Draft(
        "round a rod",
        (44, 36, 24, 34, -3, 0, 36), (-2, 66, 82, 42), (0, 70, 84, 44), (0, 72, 84, 44), (2, 72, 80, 42),
        (("thumb.distal.palmar@0.6", "index.distal.dorsal@0.2"),),
    ),
    "grasp_medium_wrap": Draft(
        "round a handle",
        (38, 42, 26, 22, 0, 0, 28), (0, 56, 66, 34), (0, 60, 68, 36), (0, 62, 68, 36), (1, 62, 64, 34),
        (("thumb.distal.palmar@0.6", "index.distal.dorsal@0.8", 4),),
    ),
    "grasp_adducted_thumb": Draft(
        "round a stick, the thumb along it",
        (28, 5, 8, 5, 0, 0, 0), (1, 62, 72, 38), (0, 66, 76, 40), (0, 70, 80, 42), (0, 72, 80, 42),
    ),
    "grasp_power_disk": Draft(
        "a lid under the palm",
        (8, 32, 12, 0, 0, 0, 18), (15, 12, 42, 25), (3, 14, 44, 26), (-10, 14, 44, 26), (-22, 14, 40, 24),
    ),
    "grasp_precision_disk": Draft(
        "a lid between the fingertips",
        (14, 38, 20, 0, 0, 0, 5), (14, 32, 22, 10), (2, 36, 24, 10), (-10, 34, 24, 10), (-21, 30, 22, 10),
    ),
    "grasp_precision_sphere": Draft(
        "a ball between the fingertips",
        (28, 44, 28, 8, 0, 0, 12), (8, 42, 32, 16), (1, 46, 34, 17), (-6, 46, 34, 17), (-14, 44, 30, 16),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.6", 40),), 20, 4,
    ),
    "grasp_tripod": Draft(
        "a small thing between thumb, index and middle finger",
        OPPOSED, (4, 48, 38, 16), (-4, 52, 40, 18), (-2, 58, 62, 32), (-3, 60, 64, 34),
        (
            ("thumb.distal.palmar@0.7", "index.distal.ulnar@0.7", 14),
            ("thumb.distal.palmar@0.7", "middle.distal.radial@0.7", 14),
        ),
        20, 5,
    ),
    "grasp_writing": Draft(
        "a pen",
        OPPOSED, (0, 48, 48, 12), (2, 56, 62, 26), (2, 60, 72, 36), (4, 62, 74, 38),
        (
            ("thumb.distal.palmar@0.7", "index.distal.palmar@0.6", 8),
            ("thumb.distal.palmar@0.7", "middle.distal.radial@0.6", 8),
        ),
    ),
    "grasp_quadpod": Draft(
        "a small thing between the thumb and three fingers",
        OPPOSED, (5, 46, 36, 16), (0, 50, 38, 17), (-5, 50, 38, 17), (-4, 58, 58, 30),
        (("thumb.distal.palmar@0.6", "middle.distal.palmar@0.6", 30),), 20, 4,
    ),
    "grasp_prismatic": Draft(
        "a stick between the thumb and all fingertips",
        OPPOSED, (-2, 56, 30, 10), (0, 58, 32, 10), (2, 58, 30, 10), (6, 56, 26, 10),
        (("thumb.distal.palmar@0.7", "index.distal.palmar@0.7", 10),), 20, 4,
    ),
    "grasp_index_extension": Draft(
        "a knife, the index finger along it",
        (25, 32, 25, 15, 0, 0, 20), (0, 35, 12, 4), (0, 66, 76, 40), (0, 70, 80, 42), (0, 72, 78, 42),
        (("thumb.distal.palmar@0.7", "middle.middle.radial@0.6"),),
    ),
    "grasp_extension": Draft(
        "a plate between thumb and straight fingers",
        (32, 38, 26, 8, 0, 0, 0), (-3, 62, 4, 0), (0, 64, 4, 0), (3, 64, 4, 0), (8, 62, 4, 0),
        (("thumb.distal.palmar@0.6", "index.middle.palmar@0.8", 15),), 20, 4,
    ),
    "grasp_cigarette": Draft(
        "a thin thing between index and middle finger",
        LAX, (-2, 22, 18, 6), (3, 24, 20, 8), (0, 40, 42, 20), (0, 44, 45, 22),
    ),
    "grasp_ring": Draft(
        "round a stem with thumb and index finger",
        OPPOSED, (2, 45, 58, 32), (0, 56, 66, 34), (0, 60, 70, 36), (0, 62, 70, 36),
        (("thumb.distal.palmar@0.8", "index.distal.palmar@0.9"),),
    ),
    "grasp_mouse": Draft(
        "on a computer mouse",
        (12, 18, 10, 5, 0, 0, 10), (5, 18, 22, 10), (0, 20, 24, 12), (-5, 28, 30, 15), (-10, 30, 30, 15),
    ),
    "grasp_phone": Draft(
        "a telephone in the hand",
        (20, 34, 16, 8, 0, 0, 5), (2, 38, 40, 20), (0, 42, 44, 22), (0, 44, 46, 24), (0, 40, 44, 24),
    ),
}
