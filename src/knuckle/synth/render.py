"""Renders scenes with OpenGL (moderngl on EGL): on a graphics card, or else with Mesa's software renderer."""

import os
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from knuckle.synth.body import cross
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.programs import UNITS, open_program
from knuckle.synth.realism import Realism, blur_motion
from knuckle.synth.render_body import BodyRenderer
from knuckle.synth.scene import Material, Scene, SceneHand, Solid
from knuckle.synth.skin import SkinAppearance
from knuckle.synth.skin_textures import skin_textures
from knuckle.synth.surface import HandSurface

_SHADOW_SIZE = 256
_NEAR, _FAR = 0.03, 10.0
_NEAR_HAND = 0.25  # metres between the knuckles of hands that take each other's ambient light
# Pixel values of `visible`; see RenderedScene.
HELD = 200
OBJECT = 255
FOREARM = 100


@dataclass(frozen=True)
class RenderedScene:
    """A rendered scene; all arrays are (height, width).

    image: (height, width, 3) uint8 RGB.
    visible: what each pixel shows: 0 background, h hand number h (from 1), 100 + h its forearm or sleeve, 200 + h the
        object it holds, 255 another occluder, or the rest of a person's body.
    complete: each hand without occlusion: bit h - 1 the hand, bit 3 + h its forearm.
    bone: of the visible hand, the bone (index into the model's bones) plus 1; 0 elsewhere.
    """

    image: np.ndarray
    visible: np.ndarray
    complete: np.ndarray
    bone: np.ndarray


def create_context() -> Any:
    """An OpenGL context without a window.

    Raises:
        ImportError: moderngl is not installed.
        OSError: the system's EGL library is missing, or gives no OpenGL 3.3.
    """
    try:
        import moderngl
    except ImportError as error:
        raise ImportError("rendering needs moderngl; install it with `pip install 'knuckle[synth]'`") from error
    # One thread per context: pictures are rendered in parallel by processes, not by threads.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        options: dict[str, Any] = {"backend": "egl", "libgl": "libGL.so.1", "libegl": "libEGL.so.1"}
        return moderngl.create_context(standalone=True, require=330, **options)
    except Exception as error:  # moderngl raises bare Exception
        raise OSError(
            f"OpenGL could not be started ({error}); on Debian: apt-get install libegl1 libgl1 libgl1-mesa-dri"
        ) from error


class Renderer:
    """Renders scenes of one picture size.

    Args:
        surface: the hand's mesh. size: (width, height) px. supersample: samples per pixel along each axis.
        bodies: the mesh of people's bodies, where scenes have them.
        realism: effects of the skin.
    """

    def __init__(
        self,
        surface: HandSurface,
        size: tuple[int, int],
        supersample: int = 2,
        bodies: BodySurface | None = None,
        realism: Realism | None = None,
    ) -> None:
        self.realism = realism or Realism()
        self.surface, self.size, self.supersample = surface, size, supersample
        self.ctx = create_context()
        self._skin = open_program(self.ctx, "skin")
        self._solid = open_program(self.ctx, "solid")
        self._flat = open_program(self.ctx, "flat")
        self._indices = self.ctx.buffer(surface.triangles.tobytes())
        corners = len(surface.corner_vertex)
        self._moving = self.ctx.buffer(reserve=corners * 8 * 4)
        still = np.column_stack([surface.corner_uv, surface.corner_forearm]).astype(np.float32)
        self._still = self.ctx.buffer(still.tobytes())
        self._labels = self.ctx.buffer(surface.corner_bone.astype(np.float32).tobytes())
        self._hand_skin = self.ctx.vertex_array(
            self._skin,
            [
                (self._moving, "3f 3f 1f 1f", "position", "normal", "open_sky", "bend"),
                (self._still, "2f 1f", "uv", "forearm"),
            ],
            self._indices,
        )
        self._hand_flat = self.ctx.vertex_array(
            self._flat, [(self._moving, "3f 20x", "position"), (self._labels, "1f", "label")], self._indices
        )
        width, height = size
        fine = (width * supersample, height * supersample)
        self._colour = self.ctx.framebuffer([self.ctx.renderbuffer(fine, 4)], self.ctx.depth_renderbuffer(fine))
        self._ids = self.ctx.framebuffer([self.ctx.renderbuffer(size, 1)], self.ctx.depth_renderbuffer(size))
        self._shadow_map = self.ctx.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow = self.ctx.framebuffer(depth_attachment=self._shadow_map)
        self._textures = skin_textures(self.ctx, surface, self._indices) | {"shadow": self._shadow_map}
        for name, texture in self._textures.items():
            texture.use(UNITS[name])
        self._bodies = BodyRenderer(self.ctx, bodies) if bodies is not None else None

    def close(self) -> None:
        """Releases the context and everything in it."""
        self.ctx.release()

    def render(self, scene: Scene) -> RenderedScene:
        """Renders one scene.

        Raises:
            ValueError: the scene is not of the renderer's picture size.
        """
        if scene.size != self.size:
            raise ValueError(f"the scene must be of size {self.size} but is {scene.size}; make another Renderer")
        self._set_uniforms(scene)
        corners = [self.corners(hand, scene.hands).tobytes() for hand in scene.hands]
        solids = [self._upload(solid) for solid in scene.solids]
        self._load_bodies(scene)
        self._draw_shadow(scene, corners, solids)
        image = self._draw_colour(scene, corners, solids)
        complete, visible, bone = self._draw_ids(scene, corners, solids)
        for arrays in solids:
            for resource in arrays:
                resource.release()
        return RenderedScene(image, visible, complete, bone)

    def _load_bodies(self, scene: Scene) -> None:
        if self._bodies is not None:
            self._bodies.load(scene.bodies)
        elif scene.bodies:
            raise ValueError(f"the renderer must have a BodySurface for {len(scene.bodies)} bodies but has none")

    def _set_uniforms(self, scene: Scene) -> None:
        self._skin["softness"] = float(self.realism.soft_skin)
        projection = projection_to_clip(scene.K, scene.size)
        self._to_clip = projection.T.astype("f4").tobytes()
        lamps, colours = np.zeros((2, 3), "f4"), np.zeros((2, 3), "f4")
        lamps[:, 2] = -1
        lamps[: len(scene.light.lamps)] = scene.light.lamps
        colours[: len(scene.light.lamps)] = scene.light.colours
        centre = np.mean([h.joints_camera.mean(0) for h in scene.hands], 0) if scene.hands else np.array([0, 0, 0.5])
        reach = max([0.13, *(float(np.ptp(h.joints_camera - centre, axis=0).max()) for h in scene.hands)])
        self._to_lamp = _lamp_projection(lamps[0], centre, 0.5 if scene.bodies else min(reach, 0.5))
        to_texture = _BIAS @ self._to_lamp
        for program in (self._skin, self._solid, *(self._bodies.lit.values() if self._bodies else ())):
            program["projection"].write(self._to_clip)
            program["to_lamp"].write(to_texture.T.astype("f4").tobytes())
            program["ambient"].write(scene.light.ambient.astype("f4").tobytes())
            program["lamp_direction"].write(lamps.tobytes())
            program["lamp_colour"].write(colours.tobytes())
            program["exposure"] = scene.exposure

    def corners(self, hand: SceneHand, all_hands: tuple[SceneHand, ...]) -> np.ndarray:
        """(C, 8) float32 of a posed hand: position, normal, fraction of the ambient light, and how far it is bent."""
        surface = self.surface
        left = hand.side == "left"
        vertices = hand.vertices_camera
        normals = surface.normals(vertices, flip=left)
        near = None
        if self.realism.contact_shadows:
            others = [other.joints_camera for other in all_hands if other is not hand]
            near = [j for j in others if np.linalg.norm(j[9] - hand.joints_camera[9]) < _NEAR_HAND]
        ambient_visibility = surface.ambient_visibility(vertices, normals, hand.joints_camera, near)
        bend = surface.bend(hand.angles) if self.realism.folds else np.zeros(len(vertices))
        table = np.column_stack([vertices, normals, ambient_visibility, bend]).astype(np.float32)
        return table[surface.corner_vertex]

    def _upload(self, solid: Solid) -> tuple:
        data = np.column_stack([solid.vertices, solid.normals, solid.local]).astype(np.float32)
        label = OBJECT
        if solid.forearm_of is not None:
            label = FOREARM + solid.forearm_of + 1
        elif solid.held_by is not None:
            label = HELD + solid.held_by + 1
        buffer = self.ctx.buffer(data.tobytes())
        labels = self.ctx.buffer(np.full(len(data), float(label), np.float32).tobytes())
        indices = self.ctx.buffer(solid.faces.astype(np.int32).tobytes())
        lit = self.ctx.vertex_array(self._solid, [(buffer, "3f 3f 3f", "position", "normal", "local")], indices)
        flat = self.ctx.vertex_array(self._flat, [(buffer, "3f 24x", "position"), (labels, "1f", "label")], indices)
        return lit, flat, buffer, labels, indices

    def _draw_shadow(self, scene: Scene, corners: list[bytes], solids: list[tuple]) -> None:
        self._shadow.use()
        self._shadow.clear(depth=1.0)
        if not len(scene.light.lamps):
            return
        self.ctx.enable_only(self.ctx.DEPTH_TEST)
        self._flat["projection"].write(self._to_lamp.T.astype("f4").tobytes())
        self._flat["offset"] = 0.0
        self.ctx.polygon_offset = 2.0, 4.0
        for data in corners:
            self._moving.write(data)
            self._hand_flat.render()
        for arrays in solids:
            arrays[1].render()
        if self._bodies:
            self._bodies.draw_flat(self._to_lamp.T.astype("f4").tobytes())
        self.ctx.polygon_offset = 0.0, 0.0

    def _draw_colour(self, scene: Scene, corners: list[bytes], solids: list[tuple]) -> np.ndarray:
        self._colour.use()
        self._colour.clear()
        for hand, data in zip(scene.hands, corners, strict=True):
            # Rows run downwards in our pictures and upwards in OpenGL, which reverses the winding of front faces.
            self.ctx.enable_only(self.ctx.DEPTH_TEST | self.ctx.CULL_FACE)
            self.ctx.front_face = "ccw" if hand.side == "left" else "cw"
            set_skin(self._skin, hand.skin)
            self._moving.write(data)
            self._hand_skin.render()
        self.ctx.enable_only(self.ctx.DEPTH_TEST)
        for solid, arrays in zip(scene.solids, solids, strict=True):
            set_material(self._solid, solid.material)
            arrays[0].render()
        if self._bodies:
            self._bodies.draw()
        width, height = self._colour.size
        pixels = np.frombuffer(self._colour.read(components=4), np.uint8).reshape(height, width, 4)
        if self.supersample > 1:
            pixels = cv2.resize(pixels, self.size, interpolation=cv2.INTER_AREA)
        return composite(pixels, scene)

    def _draw_ids(
        self, scene: Scene, corners: list[bytes], solids: list[tuple]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """complete, visible and bone, as RenderedScene has them."""
        width, height = self.size
        forearm = self.surface.forearm_bone
        complete = np.zeros((height, width), np.uint8)
        self._ids.use()
        self.ctx.enable_only(self.ctx.DEPTH_TEST)
        self._flat["projection"].write(self._to_clip)
        bones_alone = []
        for number, data in enumerate(corners):
            self._ids.clear()
            self._moving.write(data)
            self._flat["offset"] = 1.0
            self._hand_flat.render()
            bones = self._read_ids()
            bones_alone.append(bones)
            complete |= np.where(bones == forearm + 1, 1 << (4 + number), (bones > 0) << number).astype(np.uint8)
        if not scene.hands and not solids and not scene.bodies:
            return complete, complete.copy(), complete.copy()
        if len(scene.hands) == 1 and not solids and not scene.bodies:
            bones = bones_alone[0]
            return complete, np.where(bones == forearm + 1, FOREARM + 1, (bones > 0) * 1).astype(np.uint8), bones
        # Everything together: an offset of 20 per hand separates the bones of hands; solids have labels of their own.
        self._ids.clear()
        for number, data in enumerate(corners):
            self._moving.write(data)
            self._flat["offset"] = 1.0 + 20 * number
            self._hand_flat.render()
        self._flat["offset"] = 0.0
        for arrays in solids:
            arrays[1].render()
        if self._bodies:
            self._bodies.draw_flat(self._to_clip)
        seen = self._read_ids()
        skin = (seen > 0) & (seen < FOREARM)
        bone = np.where(skin, (seen - 1) % 20 + 1, 0).astype(np.uint8)
        hand = np.where(skin, (seen - 1) // 20 + 1, 0)
        visible = np.where(bone == forearm + 1, FOREARM + hand, np.where(skin, hand, seen))
        return complete, visible.astype(np.uint8), bone

    def _read_ids(self) -> np.ndarray:
        width, height = self.size
        return np.frombuffer(self._ids.read(components=1, alignment=1), np.uint8).reshape(height, width)


def set_skin(program: Any, skin: SkinAppearance) -> None:
    """Sets a hand's skin in the program of that name."""
    program["pigment"] = (skin.melanin, skin.blood, skin.palm_lightening, skin.flush)
    program["relief"] = (skin.mottling, skin.creases, skin.veins, skin.hairiness)
    program["gloss"] = (skin.roughness, skin.specular)
    program["nail"] = (*skin.nail_colour, skin.nail_cover)
    program["tint"] = skin.tint
    program["noise_at"] = skin.seed


def set_material(program: Any, material: Material) -> None:
    """Sets what a solid is made of in the program of that name."""
    program["first"], program["second"] = material.colour, material.second_colour
    program["pattern"] = (float(material.pattern), material.scale, material.roughness, material.specular)


_BIAS = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1]])


def projection_to_clip(K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Camera frame to clip space (4, 4): row 0 of the picture is row 0 of the buffer, pixel centres at integers."""
    width, height = size
    return np.array(
        [
            [2 * K[0, 0] / width, 2 * K[0, 1] / width, (2 * K[0, 2] + 1) / width - 1, 0],
            [0, 2 * K[1, 1] / height, (2 * K[1, 2] + 1) / height - 1, 0],
            [0, 0, (_FAR + _NEAR) / (_FAR - _NEAR), -2 * _FAR * _NEAR / (_FAR - _NEAR)],
            [0, 0, 1, 0],
        ]
    )


def _lamp_projection(direction: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """Camera frame to the clip space (4, 4) of a directional lamp that covers reach metres around a centre."""
    forward = -np.asarray(direction, float)
    side = cross(forward, np.array([0.0, 0.0, 1.0] if abs(forward[2]) < 0.9 else [1.0, 0.0, 0.0]))
    side /= np.linalg.norm(side)
    rows = np.stack([side, cross(forward, side), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rows / np.array([reach, reach, 3 * reach])[:, None]
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return matrix


def composite(pixels: np.ndarray, scene: Scene) -> np.ndarray:
    """The rendered pixels (H, W, 4), premultiplied by alpha, composited over the background and a soft shadow on it."""
    if any(scene.motion):
        pixels = blur_motion(pixels, (scene.motion[0] * scene.size[0] / 256, scene.motion[1] * scene.size[0] / 256))
    alpha = pixels[..., 3:].astype(np.uint16)
    background = scene.background
    strength, shift_x, shift_y, blur = scene.cast_shadow
    if strength > 0:
        unit = scene.size[0] / 256
        shift = np.array([[1, 0, shift_x * unit], [0, 1, shift_y * unit]], np.float32)
        soft = cv2.warpAffine(pixels[..., 3], shift, scene.size, borderMode=cv2.BORDER_REPLICATE)
        side = int(blur * unit) * 2 + 1
        soft = cv2.blur(cv2.blur(soft, (side, side)), (side, side))
        light = 256 - (soft.astype(np.uint16)[..., None] * int(256 * strength) >> 8)
        background = (background * light >> 8).astype(np.uint8)
    behind = (background * (255 - alpha) + 127) // 255
    return (pixels[..., :3] + behind).clip(0, 255).astype(np.uint8)
