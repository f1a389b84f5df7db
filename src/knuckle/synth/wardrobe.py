"""Random looks of people: build and face, hair, clothes."""

from collections.abc import Mapping

import numpy as np

from knuckle.synth.scene import Look, Material
from knuckle.synth.skin import SkinAppearance
from knuckle.synth.solids import to_rgb

_FACE = (
    *("head_round", "head_oval", "head_square", "head_wide", "head_high", "head_fat"),
    *("chin_wide", "chin_high", "chin_prominent", "cheek_bones", "cheek_volume", "forehead_back", "brows_down"),
    *("eyes_large", "eyes_apart", "ears_large", "ears_out"),
    *("nose_wide", "nose_long", "nose_deep", "nose_hump", "mouth_wide", "lips_full"),
)
# Linear RGB of black, brown, blond, red, grey hair, and of dyed hair's range.
_HAIR = np.array(
    [[0.01, 0.008, 0.007], [0.035, 0.02, 0.012], [0.28, 0.17, 0.07], [0.16, 0.045, 0.015], [0.3, 0.3, 0.3]]
)
# sRGB of what clothes are mostly dyed: black, white, greys, navy, denim, olive, beige, wine, brown.
_DYES = np.array(
    [
        *([20, 20, 22], [235, 235, 232], [70, 70, 74], [150, 150, 155], [28, 34, 62], [70, 95, 130]),
        *([84, 86, 58], [205, 190, 160], [95, 25, 38], [80, 58, 42]),
    ]
)
_DYE_SHARES = np.array([0.22, 0.16, 0.12, 0.1, 0.12, 0.1, 0.05, 0.06, 0.04, 0.03])
_IRIS = np.array([[0.06, 0.03, 0.015], [0.1, 0.06, 0.02], [0.1, 0.14, 0.08], [0.1, 0.16, 0.25]])


def random_build(rng: np.random.Generator, hand_size: float, melanin: float) -> dict[str, float]:
    """Random coefficients of BodyModel's shape: sex, age, build, origin, face and expression.

    Args:
        rng: source of randomness. hand_size: the length of the person's hand over an average adult's.
        melanin: of the skin, 0 to 1.
    """
    child = float(np.clip((0.9 - hand_size) / 0.2, 0, 1))
    build = {"sex": float(rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 1.1)) * (1 - 0.6 * child), "child": child}
    if child == 0 and rng.random() < 0.35:
        build["old"] = float(rng.uniform(0.2, 1.0))
        build["head_aged"] = float(rng.uniform(0, 1.0))
    weight = float(rng.normal(0.15, 0.6))
    build["heavy" if weight > 0 else "thin"] = min(abs(weight) * 1.3, 1.8)
    if weight > 0.3:
        build |= {"belly": float(rng.uniform(0, 0.7)), "head_fat": 0.5 * weight, "double_chin": float(rng.random())}
    if rng.random() < 0.3:
        build["muscular"] = float(rng.uniform(0, 1.2))
    origins = rng.dirichlet([0.3 + 2.5 * melanin**2, 0.6, 0.3 + 2.0 * (1 - melanin) ** 2])
    build |= dict(zip(("african", "asian", "caucasian"), map(float, origins), strict=True))
    for name in _FACE:
        build[name] = build.get(name, 0.0) + float(np.clip(rng.normal(0, 0.35), -0.8, 0.8))
    expression = rng.random()
    if expression < 0.3:
        build["smile"] = float(rng.uniform(0.3, 0.9))
    elif expression < 0.42:
        build["mouth_open"] = float(rng.uniform(0.1, 0.6))
    elif expression < 0.5:
        build["frown"] = float(rng.uniform(0.2, 0.8))
    if rng.random() < 0.06:
        build["eyes_closed"] = 1.0
    build["brows_up"] = float(max(0.0, rng.normal(0, 0.4)))
    return build


def random_look(rng: np.random.Generator, build: Mapping[str, float], skin: SkinAppearance) -> Look:
    """Random hair, face and clothes for a person of a build.

    Args:
        rng: source of randomness. build: as random_build gives it. skin: the same as of the person's hands.
    """
    male = build.get("sex", 0.0) > 0
    old, child = build.get("old", 0.0), build.get("child", 0.0) > 0.5
    hair_colour = _hair_colour(rng, old, skin.melanin)
    hairline, thickness = _hair_cut(rng, male, old)
    hat = _garment(rng, 0.7) if rng.random() < 0.07 else None
    if hat is not None:
        hairline, thickness = np.array([0.775, 0.745, 0.69, 0.745]), rng.uniform(0.006, 0.014)
    bearded = male and not child and rng.random() < 0.35
    bottoms = rng.random()
    sleeve = rng.choice(4, p=[0.07, 0.4, 0.1, 0.43])
    return Look(
        skin=skin,
        hair_colour=hair_colour,
        hairline=hairline,
        hair_thickness=float(thickness),
        hat=hat,
        beard=float(rng.uniform(0.6, 1.0)) if bearded else 0.0,
        stubble=float(rng.uniform(0, 0.9)) if male and not child else 0.0,
        brows=float(rng.uniform(0.45, 0.95)),
        lips=float(rng.uniform(0.2, 0.7) if male else rng.uniform(0.3, 1.2)),
        glasses=int(rng.choice(3, p=[0.78, 0.18, 0.04])),
        mask=bool(rng.random() < 0.04),
        iris=_IRIS[rng.choice(4, p=[0.45, 0.25, 0.12, 0.18])] * rng.uniform(0.6, 1.3),
        gaze=float(np.clip(rng.normal(0, 0.0025), -0.005, 0.005)),
        extra_colour=rng.random(3) ** 1.5,
        shirt=_garment(rng, 0.55),
        shirt_thickness=float(rng.choice([0.0055, 0.009, 0.016], p=[0.5, 0.35, 0.15]) * rng.uniform(0.9, 1.2)),
        shirt_folds=float(rng.uniform(0.002, 0.014)),
        sleeve=float((0.12, rng.uniform(0.45, 0.8), rng.uniform(1.1, 1.7), rng.uniform(1.86, 2.05))[int(sleeve)]),
        neck=(float(max(0.0, rng.normal(0.02, 0.04))), float(rng.uniform(0.05, 0.13))),
        hem=float(rng.uniform(-0.09, 0.05)),
        printed=bool(rng.random() < 0.2),
        trousers=_garment(rng, 0.85),
        trousers_thickness=float(rng.uniform(0.004, 0.009)),
        trousers_ends=(
            0.09,
            float(rng.uniform(-0.4, -0.2)) if bottoms < 0.2 else -1.0,
            float(rng.uniform(-0.76, -0.7)),
        ),
        bare_legs=bool(bottoms < 0.2),
        shoes=rng.random(3) ** 3,
    )


def _garment(rng: np.random.Generator, plain: float) -> Material:
    """A random material of clothes: mostly of a common dye, plain with a probability, else patterned."""
    if rng.random() < 0.25:
        first = rng.random(3)
    else:
        first = _DYES[rng.choice(len(_DYES), p=_DYE_SHARES)] / 255 + rng.normal(0, 0.03, 3)
    second = rng.random(3) if rng.random() < 0.4 else first * rng.uniform(0.5, 1.3)
    if rng.random() < 0.3:
        second = np.full(3, rng.choice([0.05, 0.92]))
    pattern = 0 if rng.random() < plain else int(rng.choice([1, 2, 3, 4], p=[0.1, 0.4, 0.15, 0.35]))
    # A stripe or check is 1 to 6 cm wide; a weave much finer.
    scale = rng.uniform(50, 320) if pattern in (2, 3) else rng.uniform(150, 1200)
    first, second = (to_rgb(np.clip(c, 0.02, 0.95) ** 2.2) for c in (first, second))
    return Material(first, second, pattern, float(scale), 0.8, float(rng.choice([0.03, 0.3], p=[0.85, 0.15])))


def _hair_colour(rng: np.random.Generator, old: float, melanin: float) -> np.ndarray:
    dyed = rng.random() < 0.04
    if dyed:
        return rng.random(3) ** 2 * 0.5
    light = max(0.0, 0.7 - melanin)
    shares = np.array([0.25 + melanin, 0.45, 0.4 * light, 0.12 * light, 0.9 * old])
    colour = _HAIR[rng.choice(5, p=shares / shares.sum())]
    return colour * np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.06, 3))


def _hair_cut(rng: np.random.Generator, male: bool, old: float) -> tuple[np.ndarray, float]:
    """The hairline (4,) and the hair's thickness in metres."""
    front = rng.normal(0.797, 0.005) + (0.02 * rng.random() if male else 0.0) + 0.012 * old * male
    side = rng.uniform(0.758, 0.768)
    kind = rng.random()
    if male and kind < 0.12 + 0.25 * old:
        return np.array([front + 0.05, 0.76, rng.uniform(0.66, 0.68), 0.76]), 0.0 if kind < 0.1 else 0.003
    if kind < (0.85 if male else 0.2):
        below = side - rng.uniform(0.0, 0.04)
        return np.array([front, side, rng.uniform(0.65, 0.67), below]), rng.uniform(0.003, 0.02)
    if kind < (0.93 if male else 0.5):
        # Tied up, or to the chin.
        below = rng.uniform(0.60, 0.66)
        return np.array([front, rng.uniform(0.72, 0.76), below, rng.choice([0.74, below])]), rng.uniform(0.01, 0.022)
    return np.array([front, rng.uniform(0.72, 0.75), rng.uniform(0.38, 0.56), rng.uniform(0.38, 0.72)]), rng.uniform(
        0.01, 0.022
    )
