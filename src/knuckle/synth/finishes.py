"""What held objects are made of: random materials by the name of a finish."""

from dataclasses import replace

import numpy as np

from knuckle.synth.scene import Material
from knuckle.synth.solids import random_material, to_rgb

# Name: base colour (sRGB, or None for any), second colour as a factor of it, pattern, repeats per metre, roughness,
# specular. Patterns are those of scene.Material.
_FINISHES: dict[str, tuple[tuple[float, float, float] | None, tuple[float, float, float], int, float, float, float]] = {
    "plastic": (None, (0.85, 0.85, 0.85), 9, 60.0, 0.35, 0.9),
    "metal": ((0.72, 0.73, 0.75), (0.8, 0.8, 0.8), 10, 40.0, 0.3, 4.0),
    "glass": ((0.3, 0.45, 0.38), (0.8, 0.95, 0.9), 10, 30.0, 0.25, 4.0),
    "ceramic": ((0.9, 0.89, 0.86), (0.97, 0.97, 0.97), 9, 25.0, 0.3, 1.5),
    "wood": ((0.68, 0.48, 0.3), (0.72, 0.65, 0.6), 6, 220.0, 0.6, 0.4),
    "lacquer": (None, (0.9, 0.9, 0.9), 9, 40.0, 0.3, 2.0),
    "card": (None, (1.0, 1.0, 1.0), 7, 22.0, 0.6, 0.3),
    "print": (None, (1.0, 1.0, 1.0), 7, 30.0, 0.5, 0.6),
    "paper": ((0.93, 0.91, 0.86), (0.86, 0.86, 0.86), 2, 4000.0, 0.9, 0.1),
    "screen": ((0.06, 0.06, 0.08), (0.6, 0.7, 0.9), 9, 30.0, 0.25, 5.0),
    "rubber": ((0.16, 0.16, 0.17), (0.85, 0.85, 0.85), 1, 300.0, 0.8, 0.2),
    "checked": ((0.85, 0.2, 0.15), (0.3, 2.8, 2.6), 3, 165.0, 0.35, 1.0),
    "leather": ((0.4, 0.25, 0.16), (0.7, 0.7, 0.7), 4, 900.0, 0.6, 0.5),
    "felt": ((0.8, 0.88, 0.25), (0.9, 0.95, 0.8), 4, 700.0, 0.95, 0.05),
    "orange": ((0.95, 0.52, 0.1), (0.93, 0.85, 0.8), 1, 500.0, 0.5, 0.8),
    "tomato": ((0.82, 0.16, 0.1), (0.95, 1.3, 1.0), 1, 30.0, 0.3, 1.5),
    "apple": ((0.72, 0.14, 0.12), (1.05, 2.2, 1.3), 8, 35.0, 0.35, 1.2),
    "lemon": ((0.95, 0.82, 0.2), (0.95, 0.95, 0.8), 1, 400.0, 0.5, 0.7),
    "egg": ((0.86, 0.7, 0.55), (1.06, 1.1, 1.15), 1, 120.0, 0.6, 0.4),
    "onion": ((0.75, 0.5, 0.28), (0.85, 0.75, 0.65), 8, 60.0, 0.5, 0.7),
    "leaf": ((0.2, 0.45, 0.15), (0.8, 0.8, 0.8), 1, 200.0, 0.6, 0.4),
}
FINISHES = tuple(_FINISHES)
# Things that come in colours of their own besides the usual one.
_RECOLOURED = {"ceramic": 0.5, "checked": 0.5, "leather": 0.3, "glass": 0.5, "rubber": 0.3, "metal": 0.2, "apple": 0.3}


def material(rng: np.random.Generator, finish: str) -> Material:
    """A random material of a finish, one of FINISHES."""
    base, second, pattern, scale, roughness, specular = _FINISHES[finish]
    if base is None or rng.random() < _RECOLOURED.get(finish, 0.0):
        picked = random_material(rng)
        first, other = np.array(picked.colour), np.array(picked.second_colour)
        other = other if pattern in (3, 7) else first * np.array(second)
    else:
        first = (np.array(base) * np.exp(rng.normal(0, 0.06, 3) + rng.normal(0, 0.08))).clip(0.01, 1) ** 2.2
        other = first * np.array(second) ** 2.2
    made = Material(to_rgb(first.clip(0, 0.95)), to_rgb(other.clip(0, 0.95)), pattern, scale, roughness, specular)
    return replace(made, roughness=float(np.clip(made.roughness * np.exp(rng.normal(0, 0.1)), 0.2, 0.95)))
