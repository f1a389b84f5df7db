"""Draws bodies with OpenGL, in the passes of Renderer."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from knuckle.synth.body_surface import BodySurface
from knuckle.synth.scene import Look, Material, SceneBody

_SEAM = 0.05  # metres from the wrist: from here on the skin of the forearm is the body's


class BodyRenderer:
    """Buffers and programs for bodies.

    Args:
        ctx: the OpenGL context. surface: the body's mesh.
        textures: names of samplers and their texture units, for those that the program has.
    """

    def __init__(self, ctx: Any, surface: BodySurface, textures: dict[str, int]) -> None:
        self.ctx, self.surface = ctx, surface
        self.lit = self._program("body", "body")
        self._flat = self._program("body_flat", "body_flat")
        for name, unit in textures.items():
            if name in self.lit:
                self.lit[name] = unit
        still = surface.corner_still
        self._still = ctx.buffer(still.tobytes())
        self._still_flat = ctx.buffer(np.ascontiguousarray(still[:, :5]).tobytes())
        self._indices = ctx.buffer(surface.triangles.tobytes())
        self._moving = ctx.buffer(reserve=len(still) * 7 * 4)
        self._lit_array, self._flat_array = self._arrays(self._indices)
        self._loaded: list[tuple[SceneBody, bytes]] = []
        self._arm_arrays = [self._arrays(ctx.buffer(t.tobytes())) for t in surface.arm_triangles.values()]

    def _program(self, vertex: str, fragment: str) -> Any:
        folder = resources.files("knuckle.synth") / "shaders"
        cut = (folder / "body_cut.glsl").read_text()
        source = (folder / f"{fragment}.frag").read_text().replace('#include "body_cut.glsl"', cut)
        return self.ctx.program(vertex_shader=(folder / f"{vertex}.vert").read_text(), fragment_shader=source)

    def _arrays(self, indices: Any) -> tuple[Any, Any]:
        lit = self.ctx.vertex_array(
            self.lit,
            [
                (self._moving, "3f 3f 4x", "position", "normal"),
                (self._still, "3f 1f 1f 1f", "place", "kind", "arm", "volar"),
            ],
            indices,
        )
        flat = self.ctx.vertex_array(
            self._flat,
            [
                (self._moving, "3f 12x 1f", "position", "label"),
                (self._still_flat, "3f 1f 1f", "place", "kind", "arm"),
            ],
            indices,
        )
        return lit, flat

    def load(self, bodies: Sequence[SceneBody]) -> None:
        """Takes the bodies of the next picture."""
        self._loaded = [(body, self.surface.corners(body).tobytes()) for body in bodies]

    def draw(self) -> None:
        """Draws the bodies' picture; the camera and the light have been set in `lit`."""
        for body, corners in self._loaded:
            self._set_look(body.look)
            self._draw(body, corners, self.lit, 0)

    def draw_flat(self, projection: bytes) -> None:
        """Draws the bodies' labels, or their shadows, with a projection (16 floats, columns first)."""
        self._flat["projection"].write(projection)
        for body, corners in self._loaded:
            self._draw(body, corners, self._flat, 1)

    def _draw(self, body: SceneBody, corners: bytes, program: Any, which: int) -> None:
        self._set_cut(program, body)
        self._moving.write(corners)
        if not body.arms_only:
            (self._lit_array, self._flat_array)[which].render()
            return
        for hand, arrays in zip(body.hands, self._arm_arrays, strict=True):
            if hand is not None:
                arrays[which].render()

    @staticmethod
    def _set_cut(program: Any, body: SceneBody) -> None:
        look = body.look
        program["shirt_cut"] = (look.sleeve, *look.neck, look.hem)
        program["trousers_cut"] = (*look.trousers_ends, float(look.bare_legs))
        program["hair_cut"] = tuple(map(float, look.hairline)) if look.hair_thickness > 0 else (9.0, 9.0, 9.0, 9.0)
        program["seam"] = 2 - _SEAM / body.forearm

    def _set_look(self, look: Look) -> None:
        skin, program = look.skin, self.lit
        program["pigment"] = (skin.melanin, skin.blood, skin.palm_lightening, skin.mottling)
        program["gloss"] = (skin.roughness, skin.specular)
        program["tint"] = skin.tint
        program["noise_at"] = skin.seed
        program["hair_colour"] = tuple(map(float, look.hair_colour))
        program["face"] = (look.beard, look.stubble, look.brows, look.lips)
        program["worn"] = (float(look.glasses), float(look.mask), float(look.printed), float(look.hat is not None))
        program["worn_colour"] = tuple(map(float, look.extra_colour))
        program["eye"] = (*map(float, look.iris), look.gaze)
        program["shoes"] = tuple(map(float, look.shoes))
        materials = (look.shirt, look.trousers, look.hat or look.shirt)
        folds = (look.shirt_folds, 0.6 * look.shirt_folds, 0.002)
        program["cloth"].write(np.array([(m.colour, m.second_colour) for m in materials], "f4").tobytes())
        program["weave"].write(np.array([_weave(m, f) for m, f in zip(materials, folds, strict=True)], "f4").tobytes())


def _weave(material: Material, folds: float) -> tuple[float, float, float, float]:
    return (float(material.pattern), material.scale, folds, material.specular)
