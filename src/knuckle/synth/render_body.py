"""Draws bodies with OpenGL, in the passes of Renderer."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from knuckle.synth.body import SIDES
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.scene import Material, SceneBody

_SKIP = {"place": "12x", "kind": "4x", "arm": "4x", "volar": "4x"}  # what a program does not use
_SEAM = 0.05  # metres from the wrist: from here on the skin of the forearm is the body's


class BodyRenderer:
    """Buffers and programs for bodies.

    Args:
        ctx: the OpenGL context. surface: the body's mesh.
        textures: names of samplers and their texture units, for those that the program has.
    """

    def __init__(self, ctx: Any, surface: BodySurface, textures: dict[str, int]) -> None:
        self.ctx, self.surface = ctx, surface
        self.lit = {material: self._program("body", material) for material in ("WOVEN", "HAIRY", "SKINNED", "FACED")}
        self._flat = self._program("body_flat", "FLAT")
        for program in self.lit.values():
            for name, unit in textures.items():
                if name in program:
                    program[name] = unit
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

    def _program(self, name: str, material: str) -> Any:
        """A program, its fragment shader compiled for one material: a software renderer runs all branches."""
        folder = resources.files("knuckle.synth") / "shaders"
        source = (folder / f"{name}.frag").read_text()
        source = source.replace('#include "body_cut.glsl"', (folder / "body_cut.glsl").read_text())
        source = source.replace("#version 330", f"#version 330\n#define {material}", 1)
        return self.ctx.program(vertex_shader=(folder / f"{name}.vert").read_text(), fragment_shader=source)

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
                ranges = self._ranges(body, material)
                if ranges:
                    _set_look(program, body)
                for first, count in ranges:
                    self._lit_arrays[material].render(vertices=3 * count, first=3 * first)

    def draw_flat(self, projection: bytes) -> None:
        """Draws the bodies' labels, or their shadows, with a projection (16 floats, columns first)."""
        self._flat["projection"].write(projection)
        for body, corners in self._loaded:
            self._moving.write(corners)
            _set_cut(self._flat, body)
            for material in self.lit:
                for first, count in self._ranges(body, material):
                    self._flat_array.render(vertices=3 * count, first=3 * first)

    def _ranges(self, body: SceneBody, material: str) -> list[tuple[int, int]]:
        """First and number of the triangles of a body that are of a material."""
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
        return [self.surface.ranges[key] for key in keys if key in self.surface.ranges]


def _set_cut(program: Any, body: SceneBody) -> None:
    look = body.look
    _set(program, "shirt_cut", (look.sleeve, *look.neck, look.hem))
    _set(program, "trousers_cut", look.trousers_ends)
    _set(program, "hair_cut", tuple(map(float, look.hairline)) if look.hair_thickness > 0 else (9.0, 9.0, 9.0, 9.0))
    _set(program, "seam", 2 - _SEAM / body.forearm)


def _set_look(program: Any, body: SceneBody) -> None:
    look, skin = body.look, body.look.skin
    _set_cut(program, body)
    _set(program, "pigment", (skin.melanin, skin.blood, skin.palm_lightening, skin.mottling))
    _set(program, "gloss", (skin.roughness, skin.specular))
    _set(program, "tint", skin.tint)
    _set(program, "noise_at", skin.seed)
    _set(program, "hair_colour", tuple(map(float, look.hair_colour)))
    _set(program, "face", (look.beard, look.stubble, look.brows, look.lips))
    _set(program, "worn", (float(look.glasses), float(look.mask), float(look.printed), float(look.hat is not None)))
    _set(program, "worn_colour", tuple(map(float, look.extra_colour)))
    _set(program, "eye", (*map(float, look.iris), look.gaze))
    _set(program, "shoes", tuple(map(float, look.shoes)))
    materials = (look.shirt, look.trousers, look.hat or look.shirt)
    folds = (look.shirt_folds, 0.6 * look.shirt_folds, 0.002)
    if "cloth" in program:
        program["cloth"].write(np.array([(m.colour, m.second_colour) for m in materials], "f4").tobytes())
        program["weave"].write(np.array([_weave(m, f) for m, f in zip(materials, folds, strict=True)], "f4").tobytes())


def _set(program: Any, name: str, value: Any) -> None:
    """Sets a uniform that the program of a material may not have."""
    if name in program:
        program[name] = value


def _weave(material: Material, folds: float) -> tuple[float, float, float, float]:
    return (float(material.pattern), material.scale, folds, material.specular)
