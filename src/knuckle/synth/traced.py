"""Path-traced pictures of scenes: Mitsuba 3 (Jakob et al.) with Intel's Open Image Denoise, both on the CPU.

What OpenGL approximates is computed: light from all around with its shadows, light that skin and clothes throw on each
other, lamps with a size. Hands, poses, cameras, labels and masks are those of the OpenGL picture.
"""

from typing import Any

import cv2
import numpy as np

from knuckle.synth.body_surface import BodySurface
from knuckle.synth.features import bleed
from knuckle.synth.light import Light, harmonics
from knuckle.synth.paint import PaintedMesh, Painter, Painting
from knuckle.synth.render import Renderer, composite
from knuckle.synth.scene import Scene

SAMPLES = 32
_VARIANT = "scalar_rgb"  # on any processor, without LLVM or CUDA, and the same numbers everywhere
_BOUNCES = 4  # of light, the last surface counted
_BLOCK = 32  # px: tiles with random numbers of their own; Mitsuba's default depends on the number of processors
_ENVIRONMENT = (64, 128)
_LAMP_RADIUS = (0.03, 0.2)  # radians: from a bulb or a flash across the room to a window
_LAMBERT = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])  # see light.irradiance
_FLATNESS = 0.3  # how far skin's diffuse light is that of Hanrahan and Krueger's subsurface approximation
_SCATTERING = 0.0009, 0.0004, 0.0002  # metres, of red, green and blue, set beside photographs
_MAX_REFLECTANCE = 0.05  # of glass and plastic; OpenGL's lacquer has more, as it mirrors nothing but lamps
_SKIN_ROUGHNESS = 0.7  # power: by the side of photographs skin is duller than OpenGL's


class TracedRenderer:
    """Path-traced pictures of the scenes of an OpenGL renderer.

    Args:
        renderer: it paints what is traced, and has drawn the labels. bodies: as the renderer has it.
        samples: paths a pixel.

    Raises:
        ImportError: Mitsuba or its denoiser is not installed.
    """

    def __init__(self, renderer: Renderer, bodies: BodySurface | None = None, samples: int = SAMPLES) -> None:
        self._tracer, self._painter = Tracer(samples, renderer.realism.soft_skin), Painter(renderer, bodies)

    def picture(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB of a scene before its background; rng: of the paths and sizes of lamps."""
        light = self._tracer.trace(scene, self._painter.paint(scene), rng)
        return composite(developed(light, scene.exposure), scene)


class Tracer:
    """Path-traces scenes that have been painted.

    Args:
        samples: paths a pixel. soft_skin: light is scattered under skin. denoised: without, the noise stays.

    Raises:
        ImportError: Mitsuba or its denoiser is not installed.
        ValueError: samples is not positive.
    """

    def __init__(self, samples: int = SAMPLES, soft_skin: bool = True, denoised: bool = True) -> None:
        if samples < 1:
            raise ValueError(f"samples must be at least 1 but got {samples}")
        try:
            import drjit
            import mitsuba
            import mitsuba_oidn
        except ImportError as error:
            raise ImportError(
                "path tracing needs Mitsuba and its denoiser; install them with `pip install 'knuckle[traced]'`"
            ) from error
        # Pictures are traced in parallel by processes, not by threads.
        drjit.set_thread_count(1)
        self.samples, self.soft_skin, self.denoised = samples, soft_skin, denoised
        self._mitsuba: Any = mitsuba
        self._oidn: Any = mitsuba_oidn
        # The fastest device, which is the default, would be a graphics card where there is one, with other bytes.
        self._device = mitsuba_oidn.Device(mitsuba_oidn.DeviceType.CPU)

    def trace(self, scene: Scene, painting: Painting, rng: np.random.Generator) -> np.ndarray:
        """Light that reaches the camera, (H, W, 4) linear RGB premultiplied by alpha, before exposure.

        Args:
            scene: its camera and light count. painting: what is in it. rng: of the paths, and the sizes of the lamps.

        Raises:
            ValueError: the camera's pixels are not square.
        """
        self._mitsuba.set_variant(_VARIANT)
        width, height = scene.size
        if not painting.meshes:
            return np.zeros((height, width, 4), np.float32)
        description: dict[str, Any] = {f"mesh{i}": self._mesh(mesh) for i, mesh in enumerate(painting.meshes)}
        lit = environment(scene.light, rng)
        description |= {
            "type": "scene",
            "light": {"type": "envmap", "bitmap": self._mitsuba.Bitmap(lit)},
            "camera": self._camera(scene.K, scene.size),
            "integrator": {
                "type": "aov",
                "aovs": "albedo:albedo",
                "block_size": _BLOCK,
                "paths": {"type": "path", "max_depth": _BOUNCES + 1, "hide_emitters": True},
            },
        }
        traced = self._mitsuba.load_dict(description)
        layers = np.array(self._mitsuba.render(traced, seed=int(rng.integers(1 << 31))), np.float32)
        light, albedo = self._clean(layers, painting) if self.denoised else (layers[..., :4], layers[..., 4:])
        return scattered(light, albedo, painting, scene.K[0, 0]) if self.soft_skin else light

    def _clean(self, layers: np.ndarray, painting: Painting) -> tuple[np.ndarray, np.ndarray]:
        """Light (H, W, 4) without noise, and albedo (H, W, 3), of both (H, W, 7); all premultiplied by alpha."""
        alpha = layers[..., 3:4]
        if not alpha.any():
            return layers[..., :4], layers[..., 4:]
        # The outline is the background's business, and at it normals turn away from the camera, which looks black: what
        # is inside the outline goes on beyond it. Only what is thinner than a pixel has a colour of its own there.
        inside = alpha[..., 0] > 0.99
        thin = (alpha[..., 0] > 0) & ~cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        whole = bleed(layers / np.maximum(alpha, 1e-3), inside | thin)
        colour, albedo = (np.ascontiguousarray(whole[..., i : i + 3]) for i in (0, 4))
        # Mitsuba's own normals lack the relief, which would be taken for noise.
        guides = albedo.clip(0, 1), painting.normals
        clean = self._oidn.denoise(colour, *guides, hdr=True, device=self._device)
        return np.concatenate([np.maximum(clean, 0) * alpha, alpha], -1), albedo * alpha

    def _camera(self, K: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
        width, height = size
        if not np.isclose(K[0, 0], K[1, 1], rtol=1e-4):
            raise ValueError(f"the focal lengths must be equal but are {K[0, 0]:.6g} and {K[1, 1]:.6g} px")
        return {
            "type": "perspective",
            "fov": float(np.rad2deg(2 * np.arctan(width / (2 * K[0, 0])))),
            "fov_axis": "x",
            # Mitsuba measures from the middle, to the left and upwards, in widths and heights.
            "principal_point_offset_x": float(0.5 - (K[0, 2] + 0.5) / width),
            "principal_point_offset_y": float(0.5 - (K[1, 2] + 0.5) / height),
            "near_clip": 0.01,
            "far_clip": 100.0,
            "to_world": self._mitsuba.ScalarTransform4f().rotate([0, 0, 1], 180),
            "film": {
                "type": "hdrfilm",
                "width": width,
                "height": height,
                "pixel_format": "rgba",
                "component_format": "float32",
                # A wider filter spreads samples over the borders of tiles, whose sum depends on the order of threads.
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent", "sample_count": self.samples},
        }

    def _mesh(self, painted: PaintedMesh) -> Any:
        mi = self._mitsuba
        roughness = painted.roughness**_SKIN_ROUGHNESS if painted.skin else painted.roughness
        bsdf = {
            "type": "twosided",
            "relief": {
                "type": "bumpmap",
                "height": self._texture(painted.height),
                "surface": {
                    "type": "principled",
                    "base_color": self._texture(painted.colour),
                    "roughness": self._texture(roughness),
                    "metallic": float(painted.metal),
                    "specular": min(painted.reflectance, _MAX_REFLECTANCE) / 0.08,  # Disney's scale
                    "flatness": _FLATNESS if painted.skin else 0.0,
                },
            },
        }
        properties = mi.Properties()
        properties["bsdf"] = mi.load_dict(bsdf)
        count = len(painted.positions), len(painted.faces)
        mesh = mi.Mesh("mesh", *count, has_vertex_normals=True, has_vertex_texcoords=True, props=properties)
        parameters = mi.traverse(mesh)
        parameters["vertex_positions"] = painted.positions.astype(np.float32).ravel()
        parameters["vertex_normals"] = painted.normals.astype(np.float32).ravel()
        parameters["vertex_texcoords"] = painted.uv.astype(np.float32).ravel()
        parameters["faces"] = painted.faces.astype(np.uint32).ravel()
        parameters.update()
        return mesh

    def _texture(self, values: np.ndarray) -> dict[str, Any]:
        values = np.ascontiguousarray(values if values.ndim == 3 else values[..., None], np.float32)
        return {"type": "bitmap", "bitmap": self._mitsuba.Bitmap(values.clip(0, 1)), "raw": True, "wrap_mode": "clamp"}


def scattered(light: np.ndarray, albedo: np.ndarray, painting: Painting, focal: float) -> np.ndarray:
    """Light (H, W, 4) that has been scattered under the skin: red light farthest, so that shadows have soft, red edges.

    The irradiance is blurred in the picture, mesh by mesh; the albedo stays as sharp as it is.

    Args:
        light: (H, W, 4) premultiplied. albedo: (H, W, 3) premultiplied. painting: of what. focal: length, px.

    Source: Jimenez, Sundstedt and Gutierrez, Screen-space perceptual rendering of human skin, 2009; here with a single
        Gaussian a colour.
    """
    result = light.copy()
    for number in np.unique(painting.skin[painting.skin > 0]):
        shown = ((painting.skin == number) & (light[..., 3] > 0.01)).astype(np.float32)
        metres = float(np.median(painting.meshes[number - 1].positions[:, 2]))
        for channel, deviation in enumerate(_SCATTERING):
            sigma = deviation * focal / max(metres, 0.1)
            fallen = shown * light[..., channel] / np.maximum(albedo[..., channel], 1e-3)
            weight = cv2.GaussianBlur(shown, (0, 0), sigma)
            soft = cv2.GaussianBlur(fallen, (0, 0), sigma) / np.maximum(weight, 1e-6) * albedo[..., channel]
            result[..., channel] = np.where(shown > 0, soft, result[..., channel])
    return result


def environment(light: Light, rng: np.random.Generator) -> np.ndarray:
    """The light from all around, (H, 2H, 3) linear radiance: an equirectangular panorama as Mitsuba has it.

    Its middle column is straight ahead, and its first row, as its y axis runs up, is below the camera. Ambient light
    and lamps give a white surface what Light says; a lamp is a disc of a random size. Light of a panorama is that
    panorama itself.
    """
    directions, solid_angle = _directions()
    if light.panorama is not None and light.world_to_camera is not None:
        # The ambient light may have been tinted since.
        tint = light.ambient[0] / np.maximum(light.panorama.light(light.world_to_camera).ambient[0], 1e-9)
        return (light.panorama.seen_along(directions @ light.world_to_camera) * tint).astype(np.float32)
    radiance = np.maximum(harmonics(directions) @ (light.ambient / _LAMBERT[:, None]), 0)
    # What has been cut off below zero is taken from the rest.
    mean = (radiance * solid_angle[..., None]).sum((0, 1)) * 0.282095
    radiance *= np.maximum(light.ambient[0], 0) / np.maximum(mean, 1e-9)
    for direction, colour in zip(light.lamps, light.colours, strict=True):
        radius = np.exp(rng.uniform(*np.log(_LAMP_RADIUS)))
        angle = np.arccos(np.clip(directions @ direction, -1, 1))
        disc = 1 / (1 + np.exp(np.clip((angle - radius) / (0.15 * radius + 0.01), -50, 50)))
        radiance += np.pi * colour * (disc / (disc * solid_angle).sum())[..., None]
    return radiance.astype(np.float32)


def _directions() -> tuple[np.ndarray, np.ndarray]:
    """Directions (H, W, 3) of the pixels of an environment, camera frame, and their solid angles (H, W)."""
    rows, columns = np.mgrid[: _ENVIRONMENT[0], : _ENVIRONMENT[1]] + 0.5
    polar, azimuth = np.pi * rows / _ENVIRONMENT[0], 2 * np.pi * columns / _ENVIRONMENT[1]
    sine = np.sin(polar)
    directions = np.stack([np.sin(azimuth) * sine, np.cos(polar), -np.cos(azimuth) * sine], -1)
    return directions, sine * 2 * np.pi**2 / np.prod(_ENVIRONMENT)


def developed(light: np.ndarray, exposure: float) -> np.ndarray:
    """Linear light (H, W, 4) premultiplied by alpha, exposed and encoded as the OpenGL pictures are, to 8 bits."""
    alpha = light[..., 3:]
    seen = exposure * light[..., :3] / np.maximum(alpha, 1e-4)
    seen = seen / (1 + 0.18 * seen * seen)  # a camera's shoulder
    encoded = np.clip(seen, 0, 1) ** (1 / 2.2) * alpha
    return (np.concatenate([encoded, alpha], -1).clip(0, 1) * 255 + 0.5).astype(np.uint8)
