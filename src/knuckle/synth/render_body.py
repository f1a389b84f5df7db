"""Draws bodies with OpenGL, in the passes of Renderer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from knuckle.synth.body import SIDES
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.programs import open_program, set_uniform
from knuckle.synth.scene import Material, SceneBody

MATERIALS = ("WOVEN", "HAIRY", "SKINNED", "FACED")
_SKIP = {"place": "12x", "kind": "4x", "arm": "4x", "volar": "4x"}  # what a program does not use
_SEAM = 0.05  # metres from the wrist: from here on the skin of the forearm is the body's


class BodyRenderer:
    """Buffers and programs for bodies.

    Args:
        ctx: the OpenGL context. surface: the body's mesh.
    """

    def __init__(self, ctx: Any, surface: BodySurface) -> None:
        self.ctx, self.surface = ctx, surface
        self.lit = {material: open_program(ctx, "body", material) for material in MATERIALS}
        self._flat = open_program(ctx, "body_flat")
        still = surface.corner_still
        self._still = ctx.buffer(still.tobytes())
        self._still_flat = ctx.buffer(np.ascontiguousarray(still[:, :5]).tobytes())
        self._indices = ctx.buffer(surface.triangles.tobytes())
        self._moving = ctx.buffer(reserve=len(still) * 7 * 4)
        self._loaded: list[tuple[SceneBody, bytes]] = []
        self._lit_arrays = {material: self._lit_array(program) for material, program in self.lit.items()}
        self._flat_array = ctx.vertex_array(
            self._flat,
            [
                (self._moving, "3f 12x 1f", "position", "label"),
                (self._still_flat, "3f 1f 1f", "place", "kind", "arm"),
            ],
            self._indices,
        )

    def _lit_array(self, program: Any) -> Any:
        still = ["place", "kind", "arm", "volar"]
        layout = " ".join(("3f" if name == "place" else "1f") if name in program else _SKIP[name] for name in still)
        return self.ctx.vertex_array(
            program,
            [
                (self._moving, "3f 3f 4x", "position", "normal"),
                (self._still, layout, *(name for name in still if name in program)),
            ],
            self._indices,
        )

    def load(self, bodies: Sequence[SceneBody]) -> None:
        """Takes the bodies of the next picture."""
        self._loaded = [(body, self.surface.corners(body).tobytes()) for body in bodies]

    def draw(self) -> None:
        """Draws the bodies' picture; the camera and the light have been set in the programs of `lit`."""
        for body, corners in self._loaded:
            self._moving.write(corners)
            for material, program in self.lit.items():
                parts = ranges(self.surface, body, material)
                if parts:
                    set_look(program, body)
                for first, count in parts:
                    self._lit_arrays[material].render(vertices=3 * count, first=3 * first)

    def draw_flat(self, projection: bytes) -> None:
        """Draws the bodies' labels, or their shadows, with a projection (16 floats, columns first)."""
        self._flat["projection"].write(projection)
        for body, corners in self._loaded:
            self._moving.write(corners)
            set_cut(self._flat, body)
            for material in self.lit:
                for first, count in ranges(self.surface, body, material):
                    self._flat_array.render(vertices=3 * count, first=3 * first)


def ranges(surface: BodySurface, body: SceneBody, material: str) -> list[tuple[int, int]]:
    """First and number of the triangles of each part of a body that is of a material, one of MATERIALS."""
    look = body.look
    hair = "WOVEN" if look.hat is not None else "HAIRY"
    parts = {
        "skin": "SKINNED",
        "head": "FACED",
        "mouth": "FACED",
        "eyes": "FACED",
        "shirt": "WOVEN",
        "trousers": "WOVEN",
    }
    if look.bare_legs:
        parts["legs"] = "SKINNED"
    if look.hair_thickness > 0:
        parts["hair"] = hair
    whole = ["body"] if not body.arms_only else [s for s, h in zip(SIDES, body.hands, strict=True) if h is not None]
    keys = [(what, part) for what in whole for part in parts if parts[part] == material]
    return [surface.ranges[key] for key in keys if key in surface.ranges]


def set_cut(program: Any, body: SceneBody) -> None:
    """Sets where a person's clothes, hair and skin end."""
    look = body.look
    set_uniform(program, "shirt_cut", (look.sleeve, *look.neck, look.hem))
    set_uniform(program, "trousers_cut", look.trousers_ends)
    set_uniform(
        program, "hair_cut", tuple(map(float, look.hairline)) if look.hair_thickness > 0 else (9.0, 9.0, 9.0, 9.0)
    )
    set_uniform(program, "seam", 2 - _SEAM / body.forearm)


def set_look(program: Any, body: SceneBody) -> None:
    """Sets what a person looks like in a program of a body, as far as it has been compiled with it."""
    look, skin = body.look, body.look.skin
    set_cut(program, body)
    set_uniform(program, "pigment", (skin.melanin, skin.blood, skin.palm_lightening, skin.mottling))
    set_uniform(program, "gloss", (skin.roughness, skin.specular))
    set_uniform(program, "tint", skin.tint)
    set_uniform(program, "noise_at", skin.seed)
    set_uniform(program, "hair_colour", tuple(map(float, look.hair_colour)))
    set_uniform(program, "face", (look.beard, look.stubble, look.brows, look.lips))
    set_uniform(
        program, "worn", (float(look.glasses), float(look.mask), float(look.printed), float(look.hat is not None))
    )
    set_uniform(program, "worn_colour", tuple(map(float, look.extra_colour)))
    set_uniform(program, "eye", (*map(float, look.iris), look.gaze))
    set_uniform(program, "shoes", tuple(map(float, look.shoes)))
    materials = (look.shirt, look.trousers, look.hat or look.shirt)
    folds = (look.shirt_folds, 0.6 * look.shirt_folds, 0.002)
    if "cloth" in program:
        program["cloth"].write(np.array([(m.colour, m.second_colour) for m in materials], "f4").tobytes())
        program["weave"].write(np.array([_weave(m, f) for m, f in zip(materials, folds, strict=True)], "f4").tobytes())


def _weave(material: Material, folds: float) -> tuple[float, float, float, float]:
    return (float(material.pattern), material.scale, folds, material.specular)
