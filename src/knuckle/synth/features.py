"""Texture maps of a hand: creases, palm, nails and redder skin, computed once from the mesh at rest.

They are placed by the joints and the parts of the mesh, so they fit any mesh that has both.
"""

from itertools import pairwise

import cv2
import numpy as np

from knuckle.skeleton import FINGER_JOINTS
from knuckle.synth.backdrop import fractal_noise
from knuckle.synth.surface import HandSurface

NOISE_SIZE = 256


def feature_map(
    surface: HandSurface, rest: np.ndarray, filled: np.ndarray, normal: np.ndarray, nail_faces: np.ndarray
) -> np.ndarray:
    """The map (N, N, 4) uint8: height (128 is level, lower a crease), palm, nail, flush.

    Args:
        surface: the mesh. rest: (N, N, 3) rest position of each texel. filled: (N, N) whether the mesh covers it.
        normal: (N, N, 3) unit outward normal at rest. nail_faces: (N, N) whether it is a nail's.
    """
    points, normals = rest[filled].astype(np.float64), normal[filled].astype(np.float64)
    rng = np.random.default_rng(7)  # for the creases' waviness: fixed, as the map is the same for every hand
    wobble = _wobble(points, rng)
    palm = _smoothstep(-0.25, 0.45, normals[:, 2])
    # The forearm's inner side is only a little paler, and so is the wrist's.
    palm *= 0.25 + 0.75 * _smoothstep(-0.05, 0.03, points[:, 1])
    crease = np.zeros(len(points))
    flush = np.zeros(len(points))
    nail = cv2.GaussianBlur(nail_faces.astype(np.float32), (0, 0), 1.0)[filled].astype(np.float64)
    for finger, joints in FINGER_JOINTS.items():
        bones = surface.joints[list(joints)]
        inside = _finger_mask(points, bones)
        finger_palm, axis = _palm_of_finger(finger, bones, normals)
        for k in (1, 2):
            t = (points - bones[k]) @ axis[k] + 0.0008 * wobble
            crease = np.maximum(crease, inside * _lines(t, (0.0, 0.0026), 0.0007) * finger_palm)
            # The skin over a knuckle lies in several short folds.
            folds = _lines(t + 0.0006 * wobble, (-0.004, -0.0018, 0.0004, 0.0028, 0.0052), 0.0005)
            crease = np.maximum(crease, 0.5 * inside * folds * (1 - finger_palm))
            flush = np.maximum(flush, 0.5 * inside * np.exp(-((t / 0.007) ** 2)) * (1 - finger_palm))
        if finger != "thumb":
            # The crease at a finger's root lies well beyond the MCP joint, at the web.
            web = (points - bones[0]) @ axis[0] - 0.48 * np.linalg.norm(bones[1] - bones[0]) + 0.001 * wobble
            crease = np.maximum(crease, inside * _lines(web, (0.0,), 0.0009) * finger_palm)
            knuckle = np.linalg.norm(points - bones[0], axis=1)
            flush = np.maximum(flush, 0.5 * np.exp(-((knuckle / 0.014) ** 2)) * (1 - palm))
        tip = (points - bones[3]) @ axis[2]
        flush = np.maximum(flush, 0.7 * inside * _smoothstep(-0.02, 0.0, tip) * finger_palm)
    for line in _PALM_LINES:
        near = _distance_to_curve(points[:, :2], np.array(line) * _palm_scale(surface)) + 0.0004 * wobble
        crease = np.maximum(crease, 0.9 * np.exp(-((near / 0.0011) ** 2)) * palm)
    for y in (-0.004, -0.012):
        around = points[:, 1] - y + 0.0015 * wobble
        crease = np.maximum(crease, 0.35 * np.exp(-((around / 0.001) ** 2)) * _smoothstep(0.0, 0.5, normals[:, 2]))
    thenar = np.exp(-(((points[:, :2] - surface.joints[1, :2] * 1.3) / 0.02) ** 2).sum(1))
    heel = np.exp(-(((points[:, :2] - surface.joints[17, :2] * (0.95, 0.45)) / (0.012, 0.025)) ** 2).sum(1))
    flush = np.maximum(flush, 0.55 * palm * np.maximum(thenar, heel))
    fine = 0.15 * np.abs(_wobble(points * 4, rng)) * (1 - nail)
    height = np.clip(0.5 - 0.5 * crease - 0.12 * fine, 0, 1)
    values = np.zeros((*filled.shape, 4), np.float32)
    values[filled] = np.stack([height, palm, nail, np.clip(flush + 0.2, 0, 1)], -1)
    return (bleed(values, filled) * 255 + 0.5).astype(np.uint8)


# Heart, head and life line of the palm, in units of (MCP width, MCP height): x to the thumb, y to the fingers.
_PALM_LINES = (
    ((-0.95, 0.70), (-0.55, 0.72), (-0.1, 0.80), (0.25, 0.95)),
    ((0.95, 0.72), (0.45, 0.66), (-0.1, 0.55), (-0.6, 0.38)),
    ((0.95, 0.70), (0.55, 0.58), (0.25, 0.36), (0.12, 0.10)),
)


def _palm_scale(surface: HandSurface) -> np.ndarray:
    return np.array([0.5 * (surface.joints[5, 0] - surface.joints[17, 0]), surface.joints[9, 1]])


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _lines(t: np.ndarray, at: tuple[float, ...], width: float) -> np.ndarray:
    """Soft lines of a width at positions along t, all metres; 0..1."""
    return np.max([np.exp(-(((t - place) / width) ** 2)) for place in at], axis=0)


def _wobble(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (N,) in about -1..1 over space, waves of 4 to 15 mm."""
    total = np.zeros(len(points))
    for _ in range(6):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / rng.uniform(0.004, 0.015) / np.linalg.norm(direction)
        total += np.sin(points @ direction + rng.uniform(0, 6.3))
    return total / 3


def _finger_mask(points: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """1 near the finger with the joints bones (4, 3), 0 away from it."""
    nearest = np.full(len(points), np.inf)
    for a, b in pairwise(bones):
        t = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - a - t[:, None] * (b - a), axis=1))
    return _smoothstep(0.017, 0.013, nearest) if len(points) else nearest


def _palm_of_finger(finger: str, bones: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How palmar each texel of a finger is, 0 (dorsal) to 1, and the unit directions (3, 3) of its bones."""
    axis = bones[1:] - bones[:-1]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    palmar = np.array([0.0, 0.0, 1.0])
    if finger == "thumb":
        # At rest the thumb's pad faces the little finger, and away from the palm.
        palmar = np.array([-0.74, 0.43, 0.51])
    palmar = palmar - axis[2] * (palmar @ axis[2])
    return _smoothstep(-0.3, 0.3, normals @ (palmar / np.linalg.norm(palmar))), axis


def _distance_to_curve(points: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Distance (N,) of points (N, 2) to the cubic Bézier curve of four controls (4, 2)."""
    t = np.linspace(0, 1, 40)[:, None]
    curve = (
        (1 - t) ** 3 * controls[0]
        + 3 * t * (1 - t) ** 2 * controls[1]
        + 3 * t**2 * (1 - t) * controls[2]
        + t**3 * controls[3]
    )
    return np.min([np.linalg.norm(points - c, axis=1) for c in curve], axis=0)


def bleed(values: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """values with every uncovered texel set to the nearest covered one, so that seams do not show."""
    _, labels = cv2.distanceTransformWithLabels(
        (~filled).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = labels.astype(np.int64)
    lookup = np.zeros((int(labels.max()) + 1, values.shape[-1]), values.dtype)
    lookup[labels[filled]] = values[filled]
    return lookup[labels]


def noise_map() -> np.ndarray:
    """Noise texture (256, 256, 4) uint8 of skin: blotches, mottling, grain, veins. The same in every run."""
    rng = np.random.default_rng(11)
    size = (NOISE_SIZE, NOISE_SIZE)
    blotches = _tileable(rng.random(size).astype(np.float32), 12.0)
    mottling = _tileable(rng.random(size).astype(np.float32), 3.0)
    grain = _normalised(rng.random(size).astype(np.float32))
    ridges = fractal_noise(np.random.default_rng(5), size)[..., 0]
    bend = _tileable(ridges, 8.0)
    veins = np.clip(1 - np.abs(bend - 0.5) * 14, 0, 1) ** 1.5
    return (np.stack([blotches, mottling, grain, veins], -1) * 255).astype(np.uint8)


def _tileable(values: np.ndarray, blur: float) -> np.ndarray:
    """values blurred with periodic borders, normalised to 0..1."""
    pad = int(4 * blur)
    wide = cv2.GaussianBlur(np.pad(values, pad, mode="wrap"), (0, 0), blur)
    return _normalised(wide[pad:-pad, pad:-pad])


def _normalised(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [1, 99])
    return np.clip((values - low) / (high - low), 0, 1)
