"""How people hold things of a kind: places, directions and named poses.

Which grasp goes with which kind of thing is Feix et al.'s (The GRASP Taxonomy of Human Grasp Types, 2016). Things lie
in their own frame: x along the main axis, of cubical ones z across the thinnest side.
"""

from collections.abc import Sequence

from knuckle.synth.things import Category, Hold, Vector

WHOLE_HAND = (0, 1, 2, 3, 4)
X, Y, Z, ANY = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)


def wrap(diameter: float, start: float, end: float, across: Vector = ANY) -> list[Hold]:
    """A power grasp around x, between two places along it; what is thick only fits wide grasps."""
    if diameter > 0.055:
        poses = ("grasp_large_diameter", "grasp_cylindrical")
    elif diameter > 0.032:
        poses = ("grasp_cylindrical", "grasp_medium_wrap")
    else:
        poses = ("grasp_small_diameter", "grasp_medium_wrap")
    return [
        Hold(pose, "palm", WHOLE_HAND, (start, 0, 0), (end, 0, 0), along, across)
        for pose, along in zip(poses, (X, (-1.0, 0.0, 0.0)), strict=True)
    ]


def between(
    pose: str,
    start: Vector,
    end: Vector,
    along: Vector,
    across: Vector,
    fingers: Sequence[int] = WHOLE_HAND,
) -> Hold:
    """A precision grasp between the pads of thumb and fingers."""
    return Hold(pose, "tips", tuple(fingers), start, end, along, across)


# Of what is held like a pen: its end goes over the web between thumb and index finger, its tip past the other fingers.
_OBLIQUE = (-0.77, 0.64, 0.0)


def pen_holds(x: float, reach: float = 0.008) -> list[Hold]:
    """How a pen or a brush with its tip at +x is held near x: between thumb, index and middle finger."""
    start, end = (x - reach, 0.0, 0.0), (x + reach, 0.0, 0.0)
    return [
        between("grasp_writing", start, end, _OBLIQUE, Z, (0, 1, 2)),
        between("grasp_tripod", start, end, _OBLIQUE, Z, (0, 1, 2)),
        between("grasp_prismatic", start, end, (-1.0, 0.0, 0.0), ANY),
    ]


def flat_handle_holds(x: float, reach: float = 0.01) -> list[Hold]:
    """How cutlery with a flat handle is held near x, its flat sides towards thumb and fingers."""
    start, end = (x - reach, 0.0, 0.0), (x + reach, 0.0, 0.0)
    return [
        between("grasp_tripod", start, end, _OBLIQUE, Z, (0, 1, 2)),
        between("grasp_quadpod", start, end, _OBLIQUE, Z, (0, 1, 2, 3)),
        between("grasp_prismatic", start, end, (-1.0, 0.0, 0.0), Z),
    ]


def block_holds(half: Vector) -> list[Hold]:
    """How a cubical object is held, x its longest and z its thinnest side: across the thinnest near an edge, or across
    its width where a hand spans that."""
    x, y, _ = half
    inset = min(0.03, 0.6 * y)
    holds = [
        between("grasp_palmar", (-0.3 * x, y - inset, 0), (0.3 * x, y - inset, 0), X, Z),
        between("grasp_prismatic", (-0.3 * x, inset - y, 0), (0.3 * x, inset - y, 0), X, (0.0, 0.0, -1.0)),
        between(
            "grasp_extension",
            (x - min(0.035, x), -0.2 * y, 0),
            (x - min(0.035, x), 0.2 * y, 0),
            Y,
            (0.0, 0.0, -1.0),
        ),
    ]
    if 0.02 < y < 0.043:
        holds.append(between("grasp_palmar", (-0.4 * x, 0, 0), (0.4 * x, 0, 0), X, Y))
        holds.append(between("grasp_prismatic", (-0.4 * x, 0, 0), (0.4 * x, 0, 0), X, (0.0, -1.0, 0.0)))
    return holds


def ball_holds(diameter: float) -> list[Hold]:
    """How a spherical object is held: between the fingertips, and where it is large in the palm."""
    middle = (0.0, 0.0, 0.0)
    holds = [between("grasp_precision_sphere", middle, middle, ANY, ANY)]
    if diameter < 0.05:
        holds.append(between("grasp_tripod", middle, middle, ANY, ANY, (0, 1, 2)))
        holds.append(between("grasp_quadpod", middle, middle, ANY, ANY, (0, 1, 2, 3)))
    else:
        holds.append(Hold("grasp_spherical", "palm", WHOLE_HAND, middle, middle, ANY, ANY))
    return holds


def usual_holds(category: Category, half_extents: Vector) -> list[Hold]:
    """How people hold an object of a category, knowing nothing but its box, x its longest and z its thinnest side."""
    x, y, z = half_extents
    if category == "cube":
        return block_holds(half_extents)
    if category == "sphere":
        return ball_holds(2 * y)
    if category == "bar" and y < 0.009:
        return pen_holds(0.25 * x)
    tips = between("grasp_prismatic", (-0.3 * x, 0, 0), (0.3 * x, 0, 0), X, Z)
    return [*wrap(y + z, -0.4 * x, 0.4 * x), tips]
