"""The colour of skin from its two pigments, and the random appearance of a hand's skin.

Light crosses the epidermis (melanin) twice and is scattered back by the dermis (haemoglobin). Evaluated at a few
wavelengths and averaged over a camera's red, green and blue, this covers every human tone from two numbers.

Sources:
    Epidermis: melanosome absorption 6.6e11 λ^-3.33 per cm, volume fraction 1.3 % (very light) to 43 % (darkest), and
        skin's baseline absorption (Jacques, SkinAppearance Optics, 1998).
    Dermis: reduced scattering 46 (λ/500)^-1.42 per cm (Jacques, Phys. Med. Biol. 2013), blood of 150 g/l haemoglobin
        (extinctions tabulated by Prahl, 1998), total diffuse reflectance of a half space (Jensen et al. 2001).
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

LUT_SIZE = 32
MELANIN_RANGE = (0.01, 0.36)  # volume fraction of melanosomes; the table is uniform in its logarithm
BLOOD_RANGE = (0.002, 0.05)  # volume fraction of blood; uniform in its square root

# Wavelength in nm, molar extinction of oxygenated and deoxygenated haemoglobin per (cm mol/l).
_SPECTRUM = np.array(
    [
        [440, 102580, 413280],
        [460, 44480, 23389],
        [480, 26629, 14550],
        [520, 24202, 31590],
        [540, 53236, 46592],
        [560, 32613, 53788],
        [600, 3200, 14677],
        [620, 942, 7553],
        [640, 442, 4345],
    ]
)
_BANDS = {"red": (6, 7, 8), "green": (3, 4, 5), "blue": (0, 1, 2)}
# A camera's filters overlap: a tenth of each band leaks into its neighbour.
_CROSSTALK = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
_EPIDERMIS_CM = 0.006
_OXYGENATED = 0.75


@cache
def reflectance_table(size: int = LUT_SIZE) -> np.ndarray:
    """Diffuse reflectance (size, size, 3), linear red, green, blue in 0..1: rows are blood, columns melanin; cached."""
    melanin = np.geomspace(*MELANIN_RANGE, size)[None, :, None]
    blood = (np.linspace(BLOOD_RANGE[0] ** 0.5, BLOOD_RANGE[1] ** 0.5, size) ** 2)[:, None, None]
    nm, oxygenated, deoxygenated = _SPECTRUM.T
    baseline = 0.244 + 85.3 * np.exp(-(nm - 154) / 66.2)
    epidermis = melanin * 6.6e11 * nm**-3.33 + (1 - melanin) * baseline
    extinction = _OXYGENATED * oxygenated + (1 - _OXYGENATED) * deoxygenated
    dermis = blood * (np.log(10) * extinction * 150 / 64500) + (1 - blood) * baseline
    scattering = 46 * (nm / 500) ** -1.42
    albedo = scattering / (scattering + dermis)
    # Jensen's diffuse reflectance with the internal reflection of skin (index 1.4).
    internal = (1 + 0.53) / (1 - 0.53)
    root = np.sqrt(3 * (1 - albedo))
    reflected = albedo / 2 * (1 + np.exp(-4 / 3 * internal * root)) * np.exp(-root)
    spectrum = reflected * np.exp(-2 * _EPIDERMIS_CM * epidermis)
    bands = np.stack([spectrum[..., list(band)].mean(-1) for band in _BANDS.values()], -1)
    table = bands @ _CROSSTALK
    table.flags.writeable = False
    return table


@dataclass(frozen=True)
class SkinAppearance:
    """Appearance of one hand's skin. Pigments are coordinates in reflectance_table, 0..1 (see the ranges above)."""

    melanin: float
    blood: float
    palm_lightening: float  # fraction of the melanin that a palm lacks
    mottling: float  # strength of blotches
    creases: float  # depth of creases, 0 smooth
    veins: float
    hairiness: float
    flush: float  # redder knuckles, fingertips and palm edges
    roughness: float
    specular: float
    nail_colour: tuple[float, float, float]  # linear RGB of the polish
    nail_cover: float  # opacity of the polish, 0 for a bare nail
    tint: tuple[float, float, float]  # colour cast of the camera and its white balance
    seed: tuple[float, float]  # offset in the noise texture


def random_skin(rng: np.random.Generator) -> SkinAppearance:
    """Random skin over the whole range of human tones, each about equally probable."""
    melanin = float(rng.beta(1.05, 1.15))
    polished = rng.random() < 0.12
    return SkinAppearance(
        melanin=melanin,
        blood=float(rng.beta(2.8, 2.1)),
        palm_lightening=float(rng.uniform(0.08, 0.3) + 0.18 * melanin),
        mottling=float(rng.uniform(0.05, 0.35)),
        creases=float(rng.uniform(0.2, 1.2)),
        veins=float(max(0.0, rng.normal(0.15, 0.3))),
        hairiness=float(max(0.0, rng.normal(-0.1, 0.35))),
        flush=float(rng.uniform(0.0, 0.6)),
        roughness=float(rng.uniform(0.28, 0.6)),
        specular=float(rng.uniform(0.4, 1.5)),
        nail_colour=tuple(float(c) for c in rng.random(3) ** 1.8),  # type: ignore[arg-type]
        nail_cover=float(polished) * 0.95,
        tint=tuple(float(c) for c in np.exp(rng.normal(0, 0.05, 3))),  # type: ignore[arg-type]
        seed=(float(rng.random()), float(rng.random())),
    )


def smooth_skin(rng: np.random.Generator) -> SkinAppearance:
    """Random skin of a simple synthetic hand: a tone, and no detail."""
    skin = random_skin(rng)
    tone = 0.15 + 0.4 * skin.melanin
    return replace(
        skin, melanin=tone, mottling=0.0, creases=0.1, veins=0.0, hairiness=0.0, flush=0.0, specular=0.2,
        nail_cover=0.0, tint=(1.0, 1.0, 1.0),
    )  # fmt: skip
