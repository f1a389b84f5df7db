"""Everyday objects of real size, made of closed shapes.

Each is given in its own frame: origin in the middle of its box, x along its main axis, metres. They have a plane of
symmetry, so that the mirror images that left hands hold are the same objects.
"""

from collections.abc import Sequence

import numpy as np

from knuckle.synth.holds import (
    ANY,
    WHOLE_HAND,
    X,
    Y,
    Z,
    ball_holds,
    between,
    block_holds,
    flat_handle_holds,
    pen_holds,
    wrap,
)
from knuckle.synth.shapes import Shape, ball, box, lathe, ring, tube
from knuckle.synth.things import Hold, Thing, Vector, thing


def _vessel(name: str, shapes: Sequence[Shape], diameter: float, start: float, end: float) -> Thing:
    """A cylindrical object: wrapped, or held between thumb and fingertips."""
    tips = between("grasp_prismatic", (start, 0, 0), (end, 0, 0), X, ANY)
    return thing(name, "cylinder", shapes, [*wrap(diameter, start, end), tips])


def _cylinders() -> list[Thing]:
    can = lathe([(-0.061, 0), (-0.061, 0.026), (-0.055, 0.033), (0.053, 0.033), (0.061, 0.027), (0.061, 0)], 0.002)
    bottle = lathe([(-0.11, 0), (-0.11, 0.033), (0.035, 0.033), (0.07, 0.016), (0.095, 0.0135), (0.095, 0)], 0.008).of(
        "glass"
    )
    cap = lathe([(0.093, 0), (0.093, 0.0155), (0.112, 0.0155), (0.112, 0)], 0.001)
    mug = lathe(
        [(-0.048, 0), (-0.048, 0.038), (0.048, 0.041), (0.048, 0.037), (-0.042, 0.034), (-0.042, 0)], 0.0015
    ).of("ceramic")
    angle = np.linspace(-1.35, 1.35, 12)
    handle = tube(np.stack([0.028 * np.sin(angle), 0.034 + 0.034 * np.cos(angle), 0 * angle], -1), 0.0055).of("ceramic")
    glass = lathe([(-0.07, 0), (-0.07, 0.028), (0.07, 0.036), (0.07, 0.0335), (-0.058, 0.0255), (-0.058, 0)], 0.001).of(
        "glass"
    )
    jar = lathe([(-0.05, 0), (-0.05, 0.034), (0.03, 0.034), (0.036, 0.03), (0.036, 0)], 0.005).of("glass")
    lid = lathe([(0.034, 0), (0.034, 0.0345), (0.052, 0.0345), (0.052, 0)], 0.0015).of("metal")
    carton = box((0.0975, 0.035, 0.035), 0.002).of("card")
    roof = box((0.02, 0.0345, 0.004), 0.001).moved((0.105, 0, 0)).of("card")
    spray = lathe([(-0.08, 0), (-0.08, 0.0255), (0.055, 0.0255), (0.066, 0.017), (0.066, 0)], 0.003).of("metal")
    nozzle = lathe([(0.064, 0), (0.064, 0.0185), (0.09, 0.0165), (0.09, 0)], 0.003)
    flask = lathe([(-0.12, 0), (-0.12, 0.035), (0.07, 0.035), (0.09, 0.0265), (0.09, 0)], 0.006).of("metal")
    stopper = lathe([(0.088, 0), (0.088, 0.0275), (0.135, 0.025), (0.135, 0)], 0.003)
    torch = [
        lathe([(-0.075, 0), (-0.075, 0.0135), (0.03, 0.0135), (0.05, 0.021), (0.075, 0.021), (0.075, 0)], 0.002).of(
            "metal"
        ),
        tube([[0.002, 0.0128, 0], [0.012, 0.0128, 0]], 0.003).of("plastic"),
    ]
    return [
        _vessel("can", [can.of("metal")], 0.066, -0.02, 0.02),
        _vessel("bottle", [bottle, cap], 0.066, -0.06, 0.0),
        thing(
            "mug",
            "cylinder",
            [mug, handle],
            [
                Hold("grasp_large_diameter", "palm", WHOLE_HAND, (-0.01, 0, 0), (0.01, 0, 0), X, Y),
                Hold("grasp_large_diameter", "palm", WHOLE_HAND, (-0.01, 0, 0), (0.01, 0, 0), X, (0.0, 0.5, 0.87)),
                between("grasp_prismatic", (-0.004, 0.0675, 0), (0.004, 0.0675, 0), X, Z, (0, 1, 2, 3)),
            ],
        ),
        _vessel("glass", [glass], 0.063, -0.02, 0.02),
        _vessel("jar", [jar, lid], 0.068, -0.02, 0.01),
        _vessel("milk carton", [carton, roof], 0.07, -0.04, 0.02),
        _vessel("spray can", [spray, nozzle], 0.051, -0.03, 0.01),
        _vessel("thermos", [flask, stopper], 0.07, -0.05, 0.02),
        thing("torch", "cylinder", torch, wrap(0.027, -0.035, 0.0)),
    ]


def _bars() -> list[Thing]:
    pencil = lathe([(-0.0875, 0), (-0.0875, 0.0037), (0.072, 0.0037), (0.072, 0)], 0.0005).of("lacquer")
    tip = lathe([(0.0715, 0), (0.0715, 0.0037), (0.088, 0.0006), (0.088, 0)], 0.0003).of("wood")
    pen = lathe([(-0.07, 0), (-0.07, 0.006), (0.04, 0.0065), (0.062, 0.003), (0.07, 0.001), (0.07, 0)], 0.001)
    marker = lathe([(-0.065, 0), (-0.065, 0.0085), (0.03, 0.0085), (0.034, 0.0095), (0.068, 0.008), (0.068, 0)], 0.001)
    sticks = [
        tube([[-0.11, sign * 0.004, 0], [0.11, sign * 0.0095, 0]], [0.0036, 0.0026]).of("wood") for sign in (-1.0, 1.0)
    ]
    fork = [
        box((0.055, 0.006, 0.0016), 0.0014).moved((-0.045, 0, 0)),
        tube([[0.005, 0, 0], [0.04, 0, 0.001]], 0.0026),
        box((0.011, 0.0105, 0.0015), 0.0013).moved((0.05, 0, 0)),
        *(tube([[0.058, y, 0], [0.098, y, 0.001]], [0.0015, 0.001]) for y in (-0.009, -0.003, 0.003, 0.009)),
    ]
    spoon = [
        box((0.055, 0.006, 0.0016), 0.0014).moved((-0.045, 0, 0)),
        tube([[0.005, 0, 0], [0.045, 0, 0]], 0.0027),
        # A flat bowl: a lens of revolution that is turned to lie in the x-y plane.
        lathe([(-0.0045, 0), (-0.003, 0.014), (0.0, 0.0185), (0.002, 0.0175), (-0.001, 0)], 0.0008).moved(
            (0.062, 0, 0.0), _x_to_z()
        ),
    ]
    knife = [
        box((0.048, 0.0085, 0.0055), 0.004).moved((-0.06, 0, 0)).of("wood"),
        box((0.06, 0.0105, 0.0011), 0.0009).moved((0.046, 0, 0)).of("metal"),
    ]
    brush = [
        box((0.065, 0.0055, 0.0035), 0.003).moved((-0.03, 0, 0)),
        tube([[0.03, 0, 0], [0.062, 0, 0]], [0.0035, 0.0028]),
        box((0.013, 0.0055, 0.0025), 0.002).moved((0.073, 0, 0)),
        box((0.0125, 0.0048, 0.005), 0.001).moved((0.073, 0, 0.006)).of("card"),
    ]
    screwdriver = [
        lathe([(-0.1, 0), (-0.1, 0.013), (-0.06, 0.0155), (-0.02, 0.0145), (-0.008, 0.009), (0, 0.009), (0, 0)], 0.004),
        lathe([(-0.002, 0), (-0.002, 0.003), (0.105, 0.003), (0.105, 0)], 0.0004).of("metal"),
    ]
    hammer = [
        tube([[-0.14, 0, 0], [-0.06, 0, 0], [0.12, 0, 0]], [0.0155, 0.014, 0.011]).of("wood"),
        box((0.0135, 0.03, 0.0135), 0.003).moved((0.13, 0.012, 0)).of("metal"),
        box((0.009, 0.022, 0.0095), 0.003).moved((0.13, -0.03, 0)).of("metal"),
    ]
    stick = tube([[-0.2, 0, 0], [0.2, 0, 0]], 0.0125).of("wood")
    whisk = [
        tube([[-0.13, 0, 0], [-0.02, 0, 0]], [0.0115, 0.009]),
        *(_wire(np.pi * i / 4) for i in range(4)),
    ]
    scissors = [
        *(ring(0.021, 0.0135, 0.0042).moved((-0.06, sign * 0.0175, 0)) for sign in (-1.0, 1.0)),
        *(tube([[-0.041, sign * 0.011, 0], [0.0, sign * 0.0035, 0]], 0.0042) for sign in (-1.0, 1.0)),
        *(
            box((0.05, 0.0055, 0.0011), 0.0009)
            .moved((0.048, sign * 0.003, sign * 0.0012), _about_z(sign * 0.05))
            .of("metal")
            for sign in (-1.0, 1.0)
        ),
        lathe([(-0.0035, 0), (-0.0035, 0.004), (0.0035, 0.004), (0.0035, 0)], 0.0008)
        .moved((0.002, 0, 0), _x_to_z())
        .of("metal"),
    ]  # fmt: skip
    return [
        thing("pencil", "bar", [pencil, tip], pen_holds(0.045)),
        thing("pen", "bar", [pen.of("plastic")], pen_holds(0.03)),
        thing("marker", "bar", [marker], pen_holds(0.015)),
        thing("chopsticks", "bar", sticks, pen_holds(-0.03)),
        thing("fork", "bar", [part.of("metal") for part in fork], flat_handle_holds(-0.02)),
        thing("spoon", "bar", [part.of("metal") for part in spoon], flat_handle_holds(-0.02)),
        thing("knife", "bar", knife, wrap(0.011, -0.075, -0.055, Y) + wrap(0.011, -0.075, -0.055, (0.0, -1.0, 0.0))),
        thing("toothbrush", "bar", brush, [*flat_handle_holds(-0.04)]),
        thing("screwdriver", "bar", screwdriver, wrap(0.03, -0.065, -0.045)),
        thing("hammer", "bar", hammer, wrap(0.029, -0.1, -0.06)),
        thing("stick", "bar", [stick], wrap(0.025, -0.1, 0.1)),
        thing("whisk", "bar", whisk, wrap(0.021, -0.08, -0.065)),
        thing(
            "scissors",
            "bar",
            scissors,
            [
                between("grasp_quadpod", (-0.025, 0, 0), (-0.015, 0, 0), X, Z, (0, 1, 2)),
                between("grasp_prismatic", (-0.05, 0, 0), (-0.035, 0, 0), X, Z),
                between("grasp_tripod", (0.05, 0, 0), (0.06, 0, 0), (-1.0, 0.0, 0.0), Z, (0, 1, 2)),
            ],
        ),
    ]


def _block(name: str, half: Vector, finish: str, rounding: float = 0.002, parts: Sequence[Shape] = ()) -> Thing:
    return thing(name, "cube", [box(half, rounding).of(finish), *parts], block_holds(half))


def _cubes() -> list[Thing]:
    pages = box((0.0885, 0.059, 0.0105), 0.0006).moved((0, 0.0015, 0)).of("paper")
    covers = [box((0.0905, 0.062, 0.0011), 0.0009).moved((0, 0, sign * 0.0115)).of("print") for sign in (-1.0, 1.0)]
    spine = box((0.0905, 0.0012, 0.0122), 0.001).moved((0, -0.0612, 0)).of("print")
    screen = box((0.0665, 0.0325, 0.0006), 0.0004).moved((0, 0, 0.0041)).of("screen")
    board = (0.14, 0.085, 0.0075)
    keys = [
        box((0.03, 0.015, 0.001), 0.0008).moved((-0.035, 0, 0.0083)).of("rubber"),
        lathe([(0.0, 0), (0.0, 0.014), (0.0095, 0.014), (0.0095, 0)], 0.001)
        .moved((0.04, 0, 0), _x_to_z())
        .of("rubber"),
    ]
    return [
        thing("book", "cube", [pages, *covers, spine], block_holds((0.09, 0.062, 0.0125))),
        _block("phone", (0.0735, 0.0355, 0.004), "lacquer", 0.003, [screen]),
        thing("cutting board", "cube", [box(board, 0.004).of("wood")], block_holds(board)),
        _block("matchbox", (0.028, 0.018, 0.0075), "print", 0.001),
        _block("tea box", (0.045, 0.0375, 0.0325), "print", 0.001),
        _block("soap", (0.042, 0.028, 0.013), "ceramic", 0.010),
        _block("puzzle cube", (0.0285, 0.0285, 0.0285), "checked", 0.002),
        _block("remote control", (0.085, 0.0225, 0.008), "plastic", 0.004, keys),
        _block("wallet", (0.055, 0.0425, 0.009), "leather", 0.005),
        _block("sponge", (0.055, 0.035, 0.015), "rubber", 0.004),
    ]


def _round(name: str, shapes: Sequence[Shape], diameter: float, finish: str) -> Thing:
    shapes = [shape if shape.finish != "plastic" else shape.of(finish) for shape in shapes]
    return thing(name, "sphere", shapes, ball_holds(diameter))


def _spheres() -> list[Thing]:
    apple = lathe(
        [(-0.03, 0), (-0.036, 0.013), (-0.028, 0.027), (-0.006, 0.037), (0.012, 0.0385), (0.028, 0.03), (0.034, 0.016),
         (0.028, 0.005), (0.024, 0)], 0.012,
    )  # fmt: skip
    stalk = tube([[0.022, 0, 0], [0.042, 0.004, 0]], 0.0015).of("wood")
    tomato = lathe([(-0.027, 0), (-0.027, 0.016), (-0.012, 0.034), (0.012, 0.034), (0.026, 0.018), (0.023, 0)], 0.014)
    leaf = [
        tube([[0.0245, 0, 0], [0.0265, 0.014 * np.cos(a), 0.014 * np.sin(a)]], [0.002, 0.001]).of("leaf")
        for a in 2 * np.pi * np.arange(5) / 5
    ]
    bulb = [
        lathe(
            [(-0.034, 0), (-0.033, 0.014), (-0.02, 0.028), (0, 0.031), (0.02, 0.024), (0.034, 0.0135), (0.034, 0)], 0.01
        ).of("ceramic"),
        lathe([(0.032, 0), (0.032, 0.0135), (0.058, 0.012), (0.062, 0.005), (0.062, 0)], 0.002).of("metal"),
    ]  # fmt: skip
    lemon = lathe(
        [(-0.041, 0), (-0.04, 0.004), (-0.03, 0.014), (-0.013, 0.0265), (0.008, 0.028), (0.026, 0.017), (0.035, 0.006),
         (0.037, 0)], 0.008,
    )  # fmt: skip
    onion = [ball(0.034, 0.85, 1.0), tube([[0.03, 0, 0], [0.045, 0.0, 0]], [0.006, 0.002])]
    return [
        _round("orange", [ball(0.039, 0.95)], 0.077, "orange"),
        _round("tennis ball", [ball(0.0335)], 0.067, "felt"),
        _round("tomato", [tomato, *leaf], 0.068, "tomato"),
        _round("apple", [apple, stalk], 0.076, "apple"),
        _round("egg", [ball(0.0215, 1.2, 1.5)], 0.043, "egg"),
        _round("lemon", [lemon], 0.055, "lemon"),
        _round("golf ball", [ball(0.02135)], 0.043, "ceramic"),
        _round("light bulb", bulb, 0.062, "ceramic"),
        _round("ping-pong ball", [ball(0.02)], 0.04, "ceramic"),
        _round("onion", onion, 0.068, "onion"),
    ]  # fmt: skip


def _wire(turn: float) -> Shape:
    """One loop of a whisk, in a plane through x."""
    angle = np.linspace(-np.pi, np.pi, 24)
    x = -0.022 + 0.065 * (1 + np.cos(angle))
    y = 0.028 * np.sin(angle) * (1 + 0.35 * np.cos(angle))
    path = np.stack([x, y * np.cos(turn), y * np.sin(turn)], -1)
    return tube(path, 0.0009).of("metal")


def _x_to_z() -> np.ndarray:
    return np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])


def _about_z(angle: float) -> np.ndarray:
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def everyday_things() -> tuple[Thing, ...]:
    """All objects that come with knuckle: at least seven of each category."""
    return (*_cylinders(), *_bars(), *_cubes(), *_spheres())
