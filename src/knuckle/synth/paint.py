"""What a path tracer takes of a scene: meshes with textures, which the shaders of the OpenGL pictures paint.

Colour, relief and gloss of skin, cloth and objects are procedural, in shaders that run for the pixels that show them.
So each mesh is drawn alone, as the camera sees it, and that picture is its texture: a vertex' place in the texture is
its place in the picture. What the camera does not see takes the colours of what lies before it, or beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from knuckle.synth.body_surface import BodySurface
from knuckle.synth.features import bleed
from knuckle.synth.programs import UNITS, open_program, set_uniform, source
from knuckle.synth.render import Renderer, projection_to_clip, set_material, set_skin
from knuckle.synth.render_body import MATERIALS, ranges, set_cut, set_look
from knuckle.synth.scene import Scene, SceneBody

_CUT_LEVELS = 3  # how often triangles are split along the edge of clothes and hair: to about 2 mm
_SPLIT_LEVELS = 4
_SPLIT_ERROR = 0.5  # px: how far off a texture's place may be in the middle of a triangle
_NEAREST = 0.05  # metres: what is nearer to the camera, or behind it, has its texture from this depth
_MARGIN = 4  # px around a mesh in its texture
# Colour and finish of a mesh outside the picture.
_UNSEEN = np.array([[[0.3, 0.3, 0.3, 1.0]]], np.float32), np.array([[[0.0, 0.6, 0.03, 0.0]]], np.float32)


@dataclass(frozen=True)
class PaintedMesh:
    """A mesh in the camera frame with textures, whose first row is at the second coordinate 0.

    Attributes:
        positions, normals: (V, 3) metres, unit. uv: (V, 2) places in the texture, 0 to 1 from edge to edge.
        faces: (F, 3), counter-clockwise around their normals.
        colour: (H, W, 3) linear albedo. height: (H, W) metres above the mesh. roughness: (H, W).
        reflectance: at normal incidence, the texture's mean.
        metal: whether it mirrors in its colour. skin: whether light scatters under it.
    """

    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    colour: np.ndarray
    height: np.ndarray
    roughness: np.ndarray
    reflectance: float
    metal: bool
    skin: bool


@dataclass(frozen=True)
class Painting:
    """The meshes of a scene, and what a denoiser is guided by.

    Attributes:
        meshes: of hands, solids and people.
        normals: (H, W, 3) of what each pixel shows, with its relief; beyond the outlines those at the outline.
        skin: (H, W) the mesh that each pixel shows, from 1, where that is skin, else 0.
    """

    meshes: tuple[PaintedMesh, ...]
    normals: np.ndarray
    skin: np.ndarray


@dataclass(frozen=True)
class _Mesh:
    """Attributes of a shader at each vertex, (V, k) float32 by name, and faces (F, 3)."""

    attributes: dict[str, np.ndarray]
    faces: np.ndarray

    def split(self, chosen: np.ndarray) -> "_Mesh":
        """With each of the chosen faces (F,) split into four at the middles of its edges."""
        corners, count = self.faces[chosen], len(self.attributes["position"])
        middles = count + np.arange(3 * len(corners)).reshape(3, -1)
        attributes = {
            name: np.concatenate([values, *((values[corners[:, i]] + values[corners[:, i - 2]]) / 2 for i in range(3))])
            for name, values in self.attributes.items()
        }
        (a, b, c), (ab, bc, ca) = corners.T, middles
        parts = [np.column_stack(part) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        return _Mesh(attributes, np.concatenate([self.faces[~chosen], *parts]))


@dataclass(frozen=True)
class _Part:
    """What is drawn alone: a program, what sets its uniforms, a mesh, and whether it is metal and skin."""

    program: Any
    prepare: Callable[[], None]
    mesh: _Mesh
    metal: bool
    skin: bool


class Painter:
    """Paints the meshes of scenes with the renderer's programs and textures.

    Args:
        renderer: draws the same scenes; its OpenGL context is used. bodies: as the renderer has it.
    """

    def __init__(self, renderer: Renderer, bodies: BodySurface | None = None) -> None:
        self._renderer, self._bodies = renderer, bodies
        self._ctx = ctx = renderer.ctx
        self._skin = open_program(ctx, "skin", "PAINTED")
        self._solid = open_program(ctx, "solid", "PAINTED")
        self._body = {kind: open_program(ctx, "body", "PAINTED", kind) for kind in MATERIALS} if bodies else {}
        self._cut = ctx.program(vertex_shader=_CUT.replace("BODY_CUT", source("body_cut.glsl")), varyings=["cut"])
        set_uniform(self._cut, "noise", UNITS["noise"])
        self._fine = (renderer.size[0] * renderer.supersample, renderer.size[1] * renderer.supersample)
        layers = [ctx.texture(self._fine, 4, dtype="f4") for _ in range(3)]
        self._target = ctx.framebuffer(layers, ctx.depth_renderbuffer(self._fine))

    def paint(self, scene: Scene) -> Painting:
        """The meshes of a scene with their textures.

        Raises:
            ValueError: the scene has people, and the painter no BodySurface.
        """
        if scene.bodies and self._bodies is None:
            raise ValueError(f"the painter must have a BodySurface for {len(scene.bodies)} bodies but has none")
        bodies = (part for body in scene.bodies for part in self._parts(body))
        nearest = np.zeros((self._fine[1], self._fine[0], 5), np.float32)  # normal, depth, number of the part
        nearest[..., 3] = np.inf
        parts = list(enumerate((*self._hands(scene), *self._solids(scene), *bodies), start=1))
        meshes = tuple(self._paint(scene, number, part, nearest) for number, part in parts)
        normals, filled = np.ascontiguousarray(nearest[..., :3]), nearest[..., 4] > 0
        if filled.any():
            normals = bleed(normals, filled)
        step = self._renderer.supersample
        shown = nearest[step // 2 :: step, step // 2 :: step, 4].astype(np.int32)
        skin = np.where(np.isin(shown, [number for number, part in parts if part.skin]), shown, 0)
        return Painting(meshes, cv2.resize(normals, scene.size, interpolation=cv2.INTER_AREA), skin)

    def _hands(self, scene: Scene) -> Iterator[_Part]:
        surface = self._renderer.surface
        still = {"uv": surface.corner_uv, "forearm": surface.corner_forearm[:, None].astype(np.float32)}
        for hand in scene.hands:
            corners = self._renderer.corners(hand, scene.hands)
            moving = {"position": corners[:, :3], "normal": corners[:, 3:6], "bend": corners[:, 7:8]}
            prepare = partial(set_skin, self._skin, hand.skin)
            yield _Part(self._skin, prepare, _Mesh(moving | still, surface.triangles), metal=False, skin=True)

    def _solids(self, scene: Scene) -> Iterator[_Part]:
        for solid in scene.solids:
            values = {"position": solid.vertices, "normal": solid.normals, "local": solid.local}
            prepare = partial(set_material, self._solid, solid.material)
            mesh = _Mesh({name: np.asarray(v, np.float32) for name, v in values.items()}, np.asarray(solid.faces))
            yield _Part(self._solid, prepare, mesh, metal=solid.material.pattern == 10, skin=False)

    def _parts(self, body: SceneBody) -> Iterator[_Part]:
        """The layers of a person: skin, face, hair and clothes, as far as they are worn."""
        assert self._bodies is not None
        surface = self._bodies
        corners, still = surface.corners(body), surface.corner_still
        values = {"position": corners[:, :3], "normal": corners[:, 3:6], "place": still[:, :3]}
        values |= {name: still[:, 3 + i, None] for i, name in enumerate(("kind", "arm", "volar"))}
        for material, program in self._body.items():
            prepare = partial(set_look, program, body)
            for first, count in ranges(surface, body, material):
                mesh = self._without_cut(_compact(_Mesh(values, surface.triangles[first : first + count])), body)
                if len(mesh.faces):
                    yield _Part(program, prepare, mesh, metal=False, skin=material in ("SKINNED", "FACED"))

    def _without_cut(self, mesh: _Mesh, body: SceneBody) -> _Mesh:
        """Without the faces that the shader leaves out, those on the edge split until they are small."""
        set_cut(self._cut, body)
        set_uniform(self._cut, "noise_at", body.look.skin.seed)
        for level in range(_CUT_LEVELS + 1):
            cut = self._is_cut(mesh)[mesh.faces].sum(1)
            if level == _CUT_LEVELS:
                mesh = _Mesh(mesh.attributes, mesh.faces[cut < 2])
                break
            mesh = _Mesh(mesh.attributes, mesh.faces[cut < 3])
            mesh = mesh.split(cut[cut < 3] > 0)
        return _compact(mesh)

    def _is_cut(self, mesh: _Mesh) -> np.ndarray:
        """(V,) whether the shader leaves out a body at each vertex."""
        table = np.column_stack([mesh.attributes[name] for name in ("place", "kind", "arm")]).astype(np.float32)
        given = self._ctx.buffer(table.tobytes())
        taken = self._ctx.buffer(reserve=4 * len(table))
        array = self._ctx.vertex_array(self._cut, [(given, "3f 1f 1f", "place", "kind", "arm")])
        array.transform(taken, self._ctx.POINTS)
        cut = np.frombuffer(taken.read(), np.float32) > 0.5
        for resource in (array, given, taken):
            resource.release()
        return cut

    def _paint(self, scene: Scene, number: int, part: _Part, nearest: np.ndarray) -> PaintedMesh:
        """A part with its texture; where it is the nearest so far, it is put into `nearest`."""
        mesh = self._fine_enough(part.mesh, scene)
        place = _places(mesh.attributes["position"], scene) * self._renderer.supersample
        low = np.clip(np.floor(place.min(0)) - _MARGIN, 0, self._fine).astype(int)
        high = np.clip(np.ceil(place.max(0)) + _MARGIN, 0, self._fine).astype(int)
        if (high - low).min() < 2:
            low, high = np.zeros(2, int), np.array(self._fine)
        colour, finish, guide = self._draw(
            part, mesh, scene, (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        )
        filled = colour[..., 3] > 0
        behind = nearest[low[1] : high[1], low[0] : high[0]]
        own = np.concatenate([guide, np.full_like(guide[..., :1], number)], -1)
        behind[...] = np.where((filled & (guide[..., 3] < behind[..., 3]))[..., None], own, behind)
        colour, finish = (bleed(colour, filled), bleed(finish, filled)) if filled.any() else _UNSEEN
        normals = mesh.attributes["normal"].astype(float)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        positions = mesh.attributes["position"].astype(float)
        return PaintedMesh(
            positions=positions,
            normals=normals,
            uv=(place - low) / (high - low),
            faces=_facing(mesh.faces, positions, normals),
            colour=colour[..., :3],
            height=finish[..., 0],
            roughness=finish[..., 1],
            reflectance=float(finish[..., 2].mean()),
            metal=part.metal,
            skin=part.skin,
        )

    def _fine_enough(self, mesh: _Mesh, scene: Scene) -> _Mesh:
        """With triangles split in which a texture that is laid flat on them would lie off by _SPLIT_ERROR."""
        for _ in range(_SPLIT_LEVELS):
            at = mesh.attributes["position"][mesh.faces]
            place = _places(at, scene)
            depth = np.maximum(at[..., 2], _NEAREST)
            inside = (place.max(1) > 0).all(1) & (place.min(1) < scene.size).all(1) & (at[..., 2].max(1) > 0)
            # The middle of an edge lies this part of its length from where perspective has it.
            off = np.ptp(place, axis=1).max(1) * (depth.max(1) - depth.min(1)) / (4 * depth.mean(1))
            coarse = inside & (off > _SPLIT_ERROR)
            if not coarse.any():
                break
            mesh = mesh.split(coarse)
        return mesh

    def _draw(self, part: _Part, mesh: _Mesh, scene: Scene, window: tuple[int, int, int, int]) -> list[np.ndarray]:
        """Colour, finish and guide (H, W, 4) in a window (x, y, width, height) of the picture of a part alone."""
        ctx, target, program = self._ctx, self._target, part.program
        part.prepare()
        buffers = {
            name: ctx.buffer(np.ascontiguousarray(values, np.float32).tobytes())
            for name, values in mesh.attributes.items()
            if name in program
        }
        content = [(buffer, f"{mesh.attributes[name].shape[1]}f", name) for name, buffer in buffers.items()]
        indices = ctx.buffer(np.ascontiguousarray(mesh.faces, np.int32).tobytes())
        array = ctx.vertex_array(program, content, indices)
        set_uniform(program, "projection", tuple(projection_to_clip(scene.K, scene.size).T.ravel()))
        target.use()
        target.clear()
        ctx.enable_only(ctx.DEPTH_TEST)
        array.render()
        layers = [target.read(viewport=window, components=4, attachment=i, dtype="f4") for i in range(3)]
        for resource in (array, indices, *buffers.values()):
            resource.release()
        return [np.frombuffer(layer, np.float32).reshape(window[3], window[2], 4) for layer in layers]


_CUT = """#version 330
in vec3 place; in float kind; in float arm;
uniform sampler2D noise; uniform vec2 noise_at;
out float cut;
BODY_CUT
void main() {
    float ragged = 0.012 * (textureLod(noise, place.xy * 3.0 + place.zx * 2.0 + noise_at, 0.0).r - 0.5);
    cut = float(is_cut(floor(kind + 0.5), place, arm, ragged));
}"""


def _compact(mesh: _Mesh) -> _Mesh:
    """Without the vertices that no face has."""
    used, inverse = np.unique(mesh.faces, return_inverse=True)
    return _Mesh({name: values[used] for name, values in mesh.attributes.items()}, inverse.reshape(-1, 3))


def _places(points: np.ndarray, scene: Scene) -> np.ndarray:
    """Where points (..., 3) are in the picture, (..., 2) px from its upper left corner."""
    depth = np.maximum(points[..., 2:].astype(float), _NEAREST)
    return points[..., :2] / depth * scene.K[[0, 1], [0, 1]] + scene.K[:2, 2] + 0.5


def _facing(faces: np.ndarray, positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """The faces (F, 3), turned to run counter-clockwise around their vertices' normals."""
    a, b, c = (positions[faces[:, i]] for i in range(3))
    away = (np.cross(b - a, c - a) * normals[faces].sum(1)).sum(1) < 0
    return np.where(away[:, None], faces[:, [0, 2, 1]], faces)
