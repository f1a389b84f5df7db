"""The light of a scene: ambient light as spherical harmonics and up to two lamps, from panoramas or procedural.

Directions are in the camera frame (x right, y down, z forward) and point towards the light.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from knuckle.files import InputError
from knuckle.image import MAX_PIXELS, decode_pixels, picture_bytes

# Convolution of the nine harmonics with the clamped cosine, divided by pi: the radiance of a white Lambertian surface.
_LAMBERT = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
# Linear sRGB of CIE XYZ (IEC 61966-2-1).
_XYZ_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
_UP = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Light:
    """ambient: (9, 3) linear RGB coefficients of the irradiance / pi; lamps: (N, 3) unit directions and
    colours: (N, 3) linear RGB, N from 0 to 2. The first lamp casts shadows.

    panorama: where the light is a panorama's, with world_to_camera, the rotation (3, 3) that it was taken with.
    """

    ambient: np.ndarray
    lamps: np.ndarray
    colours: np.ndarray
    panorama: "Panorama | None" = None
    world_to_camera: np.ndarray | None = None


def harmonics(directions: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics (..., 9) at unit directions (..., 3). Source: Ramamoorthi and Hanrahan 2001."""
    x, y, z = np.moveaxis(directions, -1, 0)
    one = np.ones_like(x)
    return np.stack(
        [
            0.282095 * one,
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )


def irradiance(ambient: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Ambient irradiance / pi (..., 3) at unit normals (..., 3)."""
    return np.maximum(harmonics(normals) @ ambient, 0)


def _project(directions: np.ndarray, radiance: np.ndarray, solid_angle: np.ndarray) -> np.ndarray:
    """Coefficients (9, 3) of the irradiance / pi of radiance (N, 3) seen along directions (N, 3)."""
    return _LAMBERT[:, None] * (harmonics(directions).T @ (radiance * solid_angle[:, None]))


def _sphere(count: int) -> np.ndarray:
    """Directions (count, 3) distributed evenly over the sphere (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    polar = np.arccos(1 - 2 * i / count)
    azimuth = np.pi * (1 + 5**0.5) * i
    return np.stack([np.cos(azimuth) * np.sin(polar), np.cos(polar), np.sin(azimuth) * np.sin(polar)], -1)


_DIRECTIONS = _sphere(256)


def random_direction(rng: np.random.Generator) -> np.ndarray:
    """A unit direction (3,), uniform over the sphere."""
    v = rng.normal(size=3)
    return v / np.linalg.norm(v)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """The colour (3,) of a random light between warm lamp and blue sky, with a mean of one."""
    warmth = rng.normal(0, 0.35)
    colour = np.array([1 + 0.45 * warmth, 1.0, 1 - 0.55 * warmth]).clip(0.2, 2.0) * np.exp(rng.normal(0, 0.04, 3))
    return colour / colour.mean()


def black_body(kelvin: float) -> np.ndarray:
    """The colour (3,) linear sRGB of a glowing body, with a mean of one, 1,700 to 15,000 kelvin.

    Source: Krystek, 1985, for the chromaticity.
    """
    t = kelvin
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    colour = np.maximum(_XYZ_TO_RGB @ [x / y, 1.0, (1 - x - y) / y], 0.01)
    return colour / colour.mean()


def procedural_light(rng: np.random.Generator, up: np.ndarray | None = None, mixed: bool = False) -> Light:
    """Random light: sky, ground, a few soft sources, and zero to two lamps, mostly from above.

    Args:
        rng: source of randomness. up: (3,) unit.
        mixed: at times from sources of very different colour temperatures: daylight and a bulb, a screen and a lamp.
    """
    up = _UP if up is None else up
    height = _DIRECTIONS @ up
    sky, ground = _colour(rng), _colour(rng) * rng.uniform(0.15, 0.8)
    radiance = np.where(height[:, None] > 0, sky, ground) * rng.uniform(0.3, 1.0)
    for _ in range(rng.integers(0, 4)):
        lobe = np.exp(rng.uniform(1, 8) * (_DIRECTIONS @ random_direction(rng) - 1))
        radiance = radiance + lobe[:, None] * _colour(rng) * rng.uniform(0.2, 2.5)
    ambient = _project(_DIRECTIONS, radiance, np.full(len(_DIRECTIONS), 4 * np.pi / len(_DIRECTIONS)))
    count = int(rng.choice(3, p=[0.25, 0.5, 0.25]))
    lamps = [_lamp_direction(rng, up) for _ in range(count)]
    colours = [_colour(rng) * rng.uniform(0.2, 2.2) * (1.0 if i == 0 else 0.5) for i in range(count)]
    if mixed and rng.random() < 0.3:
        # A camera's white lies between its sources: one of them looks orange, the other blue.
        kelvin = rng.uniform((2500, 5000), (4000, 8000))
        warm, cold = black_body(float(kelvin[0])), black_body(float(kelvin[1]))
        white = black_body(float(np.sqrt(kelvin.prod()) * np.exp(rng.normal(0, 0.12))))
        if rng.random() < 0.5:
            warm, cold = cold, warm
        ambient = ambient * (warm / white)
        colours = [colour.mean() * (cold if i == 0 else warm) / white for i, colour in enumerate(colours)]
    return Light(ambient, np.array(lamps).reshape(-1, 3), np.array(colours).reshape(-1, 3))


def _lamp_direction(rng: np.random.Generator, up: np.ndarray) -> np.ndarray:
    v = random_direction(rng)
    v = v + up * rng.uniform(0, 1.6) + np.array([0, 0, -1]) * rng.uniform(0, 0.8)
    return v / np.linalg.norm(v)


def _pixels(path: Path) -> np.ndarray | None:
    """What OpenCV decodes of a panorama, its size checked before."""
    data = picture_bytes(path)
    if not data.startswith(b"#?"):
        return decode_pixels(data, cv2.IMREAD_UNCHANGED)
    # "-Y height +X width", a line of the header of a .hdr.
    size = re.search(rb"\n[-+]Y (\d{1,9}) [-+]X (\d{1,9})\n", data[:4096])
    if size is None or int(size[1]) * int(size[2]) > MAX_PIXELS:
        raise InputError(f"a panorama must have at most {MAX_PIXELS} pixels but {path} has more, or no size; shrink it")
    size = int(size[1]), int(size[2])
    # Even runs of one colour take a byte for sixteen pixels; what a header claims beyond that would be allocated first.
    if size[0] * size[1] > 16 * len(data):
        raise InputError(f"a panorama must be whole but {path} is truncated; copy or download it again")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        return None
    return picture if picture is not None and picture.shape[:2] == size else None


class Panorama:
    """An equirectangular high-dynamic-range panorama: light and background at once.

    Args:
        path: a Radiance .hdr (or any picture OpenCV reads), twice as wide as high, its middle row the horizon.

    Raises:
        InputError: the file holds no picture, or a larger or truncated one.
    """

    _LIGHT_ROWS = 32

    def __init__(self, path: Path) -> None:
        picture = _pixels(path)
        if picture is None or picture.ndim != 3:
            raise InputError(f"a panorama must be a colour picture but {path} could not be read as one; remove it")
        radiance = picture[..., 2::-1].astype(np.float32)
        if picture.dtype != np.float32:
            radiance = (radiance / (255 if picture.dtype == np.uint8 else 65535)) ** 2.2
        self.radiance = np.nan_to_num(radiance, nan=0.0, posinf=60000.0)
        self._small = cv2.resize(self.radiance, (2 * self._LIGHT_ROWS, self._LIGHT_ROWS), interpolation=cv2.INTER_AREA)
        rows, columns = np.mgrid[: self._LIGHT_ROWS, : 2 * self._LIGHT_ROWS] + 0.5
        polar = np.pi * rows / self._LIGHT_ROWS
        azimuth = np.pi * columns / self._LIGHT_ROWS
        # World frame: y down as the camera's, so that an upright camera needs no rotation.
        self._directions = np.stack(
            [np.sin(azimuth) * np.sin(polar), -np.cos(polar), -np.cos(azimuth) * np.sin(polar)], -1
        )
        self._solid_angle = np.sin(polar) * (np.pi / self._LIGHT_ROWS) ** 2

    def light(self, world_to_camera: np.ndarray) -> Light:
        """Its light in the camera frame, for a rotation (3, 3) world to camera: the brightest spot becomes a lamp."""
        radiance = self._small.reshape(-1, 3).astype(float)
        directions = self._directions.reshape(-1, 3) @ world_to_camera.T
        solid_angle = self._solid_angle.reshape(-1)
        brightness = radiance.mean(-1)
        peak = int(np.argmax(brightness * (solid_angle > 1e-4)))
        near = directions @ directions[peak] > 0.94
        typical = np.median(radiance[near], 0)
        # Radiance above its surroundings near the brightest spot is the lamp; the rest is ambient.
        excess = np.where(near[:, None], np.maximum(radiance - typical, 0), 0)
        colour = (excess * solid_angle[:, None]).sum(0) / np.pi
        direction = (directions * (excess.mean(-1) * solid_angle)[:, None]).sum(0)
        norm = float(np.linalg.norm(direction))
        direction = direction / norm if norm > 1e-9 else directions[peak]
        ambient = _project(directions, radiance - excess, solid_angle)
        return Light(ambient, direction[None], colour[None], self, world_to_camera)

    def seen_along(self, directions: np.ndarray) -> np.ndarray:
        """Radiance (H, W, 3) from unit directions (H, W, 3) of the world frame, averaged over about 6 degrees."""
        return _sampled(self._small, directions)

    def view(self, world_to_camera: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The panorama as a camera sees it: (height, width, 3) linear radiance.

        Args:
            world_to_camera: rotation (3, 3). K: (3, 3). size: (width, height).
        """
        width, height = size
        u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1) @ world_to_camera
        return _sampled(self.radiance, rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _sampled(panorama: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """An equirectangular panorama (R, 2R, 3) at unit directions (H, W, 3) of the world frame."""
    rows, columns = panorama.shape[:2]
    azimuth = np.arctan2(directions[..., 0], -directions[..., 2]) % (2 * np.pi)
    polar = np.arccos(np.clip(-directions[..., 1], -1, 1))
    x = (azimuth / (2 * np.pi) * columns - 0.5).astype(np.float32)
    y = (polar / np.pi * rows - 0.5).astype(np.float32)
    return cv2.remap(panorama, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
