"""Objects near hands: held objects, occluders, sleeves, watches, rings."""

from dataclasses import replace

import numpy as np

from knuckle.synth.scene import Material, Solid
from knuckle.synth.skin import reflectance_table


def random_material(rng: np.random.Generator) -> Material:
    """A random material of a household object."""
    grey = rng.beta(1, 1.3)
    first = np.clip(grey + rng.normal(0, 0.25, 3), 0.01, 0.95)
    second = np.clip(rng.random(3), 0.01, 0.95) if rng.random() < 0.5 else first * rng.uniform(0.2, 0.8)
    return Material(
        colour=to_rgb(first**1.6),
        second_colour=to_rgb(second**1.6),
        pattern=int(rng.choice(5, p=[0.4, 0.2, 0.15, 0.1, 0.15])),
        scale=float(rng.uniform(60, 500)),
        roughness=float(rng.uniform(0.25, 0.8)),
        specular=float(rng.uniform(0.2, 1.5)),
    )


def skin_material(rng: np.random.Generator) -> Material:
    """A random material of skin, for limbs that are not a labelled hand."""
    table = reflectance_table(8)
    colour = table[tuple(rng.integers(0, 8, 2))]
    return Material(to_rgb(colour), to_rgb(colour * 0.8), 1, 60.0, 0.5, 0.6)


def cloth(rng: np.random.Generator) -> Material:
    """A random material of a sleeve."""
    base = random_material(rng)
    pattern = int(rng.choice([0, 2, 3, 4], p=[0.3, 0.15, 0.1, 0.45]))
    return Material(base.colour, base.second_colour, pattern, float(rng.uniform(150, 1500)), 0.8, 0.05)


def to_rgb(colour: np.ndarray) -> tuple[float, float, float]:
    """A colour (3,) as plain numbers."""
    r, g, b = (float(c) for c in colour)
    return r, g, b


def _grid(rows: int, columns: int) -> np.ndarray:
    """Faces (F, 3) of a grid of vertices that is closed along the columns."""
    i, j = np.mgrid[: rows - 1, :columns]
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    return np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])


def _grid_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (R, C, 3) of a grid of points (R, C, 3) that is closed along the columns."""
    down = np.gradient(points, axis=0)
    across = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normals = np.cross(across, down)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def superellipsoid(
    half_extents: np.ndarray, exponents: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, normals and faces of a superellipsoid: a ball for exponents (1, 1), a can for (0.1, 1), a box for
    (0.1, 0.1). half_extents: (3,) metres.

    Source: Barr, IEEE CG&A 1981.
    """
    rows, columns = 17, 28
    v = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    u = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]

    def power(x: np.ndarray, e: float) -> np.ndarray:
        return np.sign(x) * np.abs(x) ** e

    e1, e2 = exponents
    shape = [power(np.cos(v), e1) * power(np.cos(u), e2), power(np.cos(v), e1) * power(np.sin(u), e2)]
    points = np.stack([*shape, np.broadcast_to(power(np.sin(v), e1), (rows, columns))], -1) * half_extents
    tilt = [power(np.cos(v), 2 - e1) * power(np.cos(u), 2 - e2), power(np.cos(v), 2 - e1) * power(np.sin(u), 2 - e2)]
    normals = np.stack([*tilt, np.broadcast_to(power(np.sin(v), 2 - e1), (rows, columns))], -1) / half_extents
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    return points.reshape(-1, 3), normals.reshape(-1, 3), _grid(rows, columns)


def place(
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    rotation: np.ndarray,
    position: np.ndarray,
    material: Material,
    forearm_of: int | None = None,
) -> Solid:
    """A solid from vertices, normals and faces, posed by a rotation (3, 3) and a position (3,)."""
    vertices, normals, faces = parts
    return Solid(vertices @ rotation.T + position, normals @ rotation.T, faces, vertices, material, forearm_of)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation (3, 3), uniform (Arvo 1992 by the QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def held_object(rng: np.random.Generator, joints: np.ndarray, hand: int) -> Solid | None:
    """A random object in the grasp of a hand with joints (21, 3), as thick as the fingers leave room; None for a closed
    hand. hand: the index of that hand.

    The object's axis runs across the palm (a handle), or between the tips of thumb and finger (a pinched object).
    """
    palm = joints[[0, 5, 9, 13, 17]].mean(0)
    tips = joints[[8, 12, 16, 20]].mean(0)
    across = joints[5] - joints[17]
    pinch_distance = float(np.linalg.norm(joints[4] - joints[[8, 12]].mean(0)))
    if rng.random() < 0.5 or pinch_distance > 0.06:
        centre = 0.5 * palm + 0.35 * tips + 0.15 * joints[3]
        axis = across
    else:
        centre = 0.5 * (joints[4] + joints[[8, 12][int(rng.integers(2))]])
        axis = np.cross(joints[4] - centre, across) + 0.3 * across
    norm = np.linalg.norm(axis)
    if norm < 1e-6:
        return None
    axis = axis / norm + rng.normal(0, 0.15, 3)
    axis /= np.linalg.norm(axis)
    off = joints - centre
    off = off - (off @ axis)[:, None] * axis
    room = float(np.sort(np.linalg.norm(off[1:], axis=1))[1]) - 0.007
    if room < 0.004:
        return None
    radius = min(room * rng.uniform(0.85, 1.1), 0.055)
    half = np.array([radius, radius * rng.uniform(0.6, 1.0), rng.uniform(0.8 * radius, 0.13)])
    exponents = (float(rng.choice([0.1, 0.3, 1.0])), float(rng.choice([0.2, 1.0])))
    other = np.cross(axis, rng.normal(size=3))
    other /= np.linalg.norm(other)
    rotation = np.stack([other, np.cross(axis, other), axis], -1)
    shift = axis * rng.normal(0, 0.3) * half[2]
    solid = place(superellipsoid(half, exponents), rotation, centre + shift, random_material(rng))
    pose = np.eye(4)
    # The long axis is z in superellipsoid, and x in the labelled frame.
    pose[:3, :3], pose[:3, 3] = rotation[:, [2, 0, 1]], centre + shift
    return replace(solid, held_by=hand, T_camera_object=pose, half_extents=half[[2, 0, 1]])


def ring(rng: np.random.Generator, joints: np.ndarray, radii: np.ndarray) -> Solid:
    """A ring on a finger's first phalanx. joints: (21, 3); radii: (20,) half the thickness around each bone at
    rest."""
    base = int(rng.choice([5, 9, 13, 17], p=[0.2, 0.25, 0.4, 0.15]))
    start, end = joints[base], joints[base + 1]
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    side = np.cross(along, joints[5] - joints[17])
    side /= max(float(np.linalg.norm(side)), 1e-9)
    rotation = np.stack([side, along, np.cross(side, along)], -1)
    scale = float(np.linalg.norm(joints[9] - joints[0])) / 0.087
    width = rng.uniform(0.002, 0.006) * scale
    centres = np.zeros((4, 3))
    centres[:, 1] = np.linspace(-0.5, 0.5, 4) * width
    half = scale * radii[base] * rng.uniform(1.0, 1.12) * np.array([0.95, 1.0, 1.0, 0.95])[:, None] * np.ones(2)
    gold = to_rgb(rng.uniform(0.3, 0.8) * np.array([1.0, rng.uniform(0.75, 1), 0.6]))
    metal = Material(gold, gold, roughness=0.3, specular=6.0)
    return place(tube(rng, centres, half, 0.0), rotation, start + rng.uniform(0.5, 0.62) * length * along, metal)


def occluder(rng: np.random.Generator, joints: np.ndarray) -> Solid:
    """A random object between the camera (at the origin) and a joint of the hand with joints (21, 3)."""
    target = joints[int(rng.integers(21))]
    depth_ratio = rng.uniform(0.72, 0.96)
    finger_like = rng.random() < 0.4
    thick = rng.uniform(0.006, 0.011) if finger_like else rng.uniform(0.008, 0.04)
    long = rng.uniform(0.03, 0.15) if finger_like else thick * rng.uniform(1, 4)
    half = np.array([thick, thick * (1 if finger_like else rng.uniform(0.4, 1)), long]) * depth_ratio
    exponents = (0.5, 1.0) if finger_like else (float(rng.choice([0.1, 0.4, 1.0])), float(rng.choice([0.15, 1.0])))
    material = skin_material(rng) if finger_like and rng.random() < 0.7 else random_material(rng)
    position = target * depth_ratio + rng.normal(0, 0.012, 3) * (1, 1, 0)
    return place(superellipsoid(half, exponents), random_rotation(rng), position, material)


def tube(
    rng: np.random.Generator,
    rings: np.ndarray,
    half_widths: np.ndarray,
    waves: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, normals and faces of a sleeve along y with a hem.

    Args:
        rng: source of randomness. rings: (R, 3) centres, the first at the open end. half_widths: (R, 2) in x and z.
        waves: depth of the folds, metres.
    """
    columns = 28
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    points = np.zeros((len(rings) + 1, columns, 3))
    phase = rng.uniform(0, 2 * np.pi, 4)
    for i, (centre, half) in enumerate(zip(rings, half_widths, strict=True)):
        fold = np.sin(2 * around + phase[0] + 0.9 * i) + 0.6 * np.sin(3 * around + phase[1] - 1.7 * i)
        fold += np.sin(phase[2] + 2.1 * i)
        radius = 1 + waves * fold / half.mean()
        points[i + 1] = centre
        points[i + 1, :, 0] += half[0] * radius * np.cos(around)
        points[i + 1, :, 2] += half[1] * radius * np.sin(around)
    # The hem is folded inwards, so that the cloth looks thick.
    points[0] = rings[0] + (points[1] - rings[0]) * 0.9
    normals = _grid_normals(points)
    return points.reshape(-1, 3), normals.reshape(-1, 3), _grid(len(points), columns)
