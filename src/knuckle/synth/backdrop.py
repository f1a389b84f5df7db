"""Backgrounds: crops of photographs, or procedural pictures. All return 8-bit sRGB."""

from pathlib import Path

import cv2
import numpy as np

from knuckle.files import InputError
from knuckle.image import PictureError, decode_pixels, picture_bytes
from knuckle.synth.skin import reflectance_table

PHOTO_SIDE = 600  # photographs are kept at about this size: a crop of them is still sharp at 256 px
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def photo_paths(folder: Path) -> list[Path]:
    """The pictures of a folder and the folders in it, sorted by name.

    Raises:
        ValueError: there are none.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"backgrounds must be a folder with pictures but {folder} has none")
    return paths


def load_photos(folder: Path) -> list[np.ndarray]:
    """All pictures of a folder, sorted by name, (H, W, 3) uint8 RGB, reduced to a short side of PHOTO_SIDE.

    Raises:
        ValueError: the folder holds no picture, or one that cannot be read (InputError).
    """
    photos = []
    for path in photo_paths(folder):
        try:
            picture = decode_pixels(picture_bytes(path), cv2.IMREAD_COLOR)
        except PictureError as error:
            raise InputError(f"backgrounds must be pictures but {path} is none ({error}); remove it") from None
        scale = PHOTO_SIDE / min(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        photos.append(np.ascontiguousarray(picture[..., ::-1]))
    return photos


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in 0..1 to 8-bit sRGB, by the standard curve."""
    clipped = np.clip(linear, 0, 1)
    curve = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return (curve * 255 + 0.5).astype(np.uint8)


def photo_crop(rng: np.random.Generator, photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A random crop of a photograph, (height, width, 3): any size and position, a small roll, maybe mirrored."""
    width, height = size
    side = min(photo.shape[:2]) * rng.uniform(0.3, 1.0)
    scale = side / max(width, height)
    angle = rng.normal(0, 0.15)
    half_side = 0.5 * side
    x = rng.uniform(half_side, max(photo.shape[1] - half_side, half_side + 1e-3))
    y = rng.uniform(half_side, max(photo.shape[0] - half_side, half_side + 1e-3))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    to_photo = np.array([[c * flip, -s, 0], [s * flip, c, 0]])
    to_photo[:, 2] = np.array([x, y]) - to_photo[:, :2] @ [(width - 1) / 2, (height - 1) / 2]
    # Blurred first where the crop is shrunk: sampling alone would alias.
    if scale > 1.6:
        photo = cv2.blur(photo, (int(scale), int(scale)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(photo, to_photo, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def _random_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) as found indoors: mostly dull, sometimes saturated; 0..1 sRGB."""
    grey = rng.beta(1.2, 1.2)
    return np.clip(grey + rng.normal(0, 0.06 if rng.random() < 0.6 else 0.25, 3), 0, 1)


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: int, channels: int = 1) -> np.ndarray:
    """Value noise (height, width, channels) in about 0..1 with a wavelength of 1/cells of the picture."""
    return _resized(rng.random((cells + 3, cells + 3, channels), np.float32), size)


def fractal_noise(rng: np.random.Generator, size: tuple[int, int], channels: int = 1) -> np.ndarray:
    """Octaves of value noise (height, width, channels), each twice as fine as the one before, with a random gain from
    one to the next; in 0..1."""
    gain = rng.uniform(0.4, 0.9)
    weight, cells = 1.0, int(rng.integers(1, 5))
    norm, total = 0.0, np.zeros((1, 1, channels), np.float32)
    # Each octave is added at its own resolution: a twentieth of the pixels that full pictures of all would have.
    while cells < max(size) / 2:
        side = cells + 3
        octave = np.float32(weight) * rng.random((side, side, channels), np.float32)
        total = _resized(total, (side, side)) + octave
        norm += weight
        weight *= gain
        cells *= 2
    return np.clip(_resized(total, size) / np.float32(max(norm, 1.0)), 0, 1)


def _resized(noise: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Noise (H, W, channels) as (height, width, channels), smoothly interpolated."""
    return cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC).reshape(size[1], size[0], -1)


def procedural(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A procedural background: walls, cloth, stripes, clutter and skin-coloured distractors, maybe out of focus."""
    width, height = size
    # All of it in float32: whole pictures in float64 take twice the time.
    a, b = (_random_colour(rng).astype(np.float32) for _ in range(2))
    angle, freq = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.2)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = np.arange(width, dtype=np.float32) / np.float32(max(size))
    v = np.arange(height, dtype=np.float32)[:, None] / np.float32(max(size))
    ramp = (u * cos + v * sin) * freq
    kind = rng.choice(["wall", "cloth", "stripes", "noise"], p=[0.3, 0.2, 0.15, 0.35])
    if kind == "wall":
        t = 0.5 + 0.25 * ramp[..., None] + 0.1 * fractal_noise(rng, size)
    elif kind == "cloth":
        weave = np.sin(ramp * rng.uniform(100, 500)) * np.sin((v * cos - u * sin) * 300)
        t = 0.5 * fractal_noise(rng, size) + 0.15 * weave[..., None] + 0.2
    elif kind == "stripes":
        waves = np.sin(ramp * rng.uniform(10, 120) + fractal_noise(rng, size)[..., 0] * 4)[..., None]
        t = (waves > rng.normal(0, 0.3)).astype(np.float32)
    else:
        t = fractal_noise(rng, size, int(rng.choice([1, 3]))) * 1.6 - 0.3
    picture = np.clip(a + (b - a) * t, 0, 1)
    for _ in range(int(rng.integers(0, 14))):
        _draw_shape(rng, picture, _random_colour(rng))
    if rng.random() < 0.45:
        for _ in range(int(rng.integers(1, 4))):
            _draw_shape(rng, picture, skin_colour(rng), skin=True)
    picture = cv2.convertScaleAbs(picture, alpha=255)
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 5)))
    grain = 0.04 * 255 * rng.random() * (fractal_noise(rng, size) - 0.5)
    return cv2.add(picture, cv2.merge([grain] * 3), dtype=cv2.CV_8U)


def skin_colour(rng: np.random.Generator) -> np.ndarray:
    """A random skin colour (3,) under a random brightness; 0..1 sRGB."""
    colour = to_srgb(1.3 * reflectance_table(8)[tuple(rng.integers(0, 8, 2))]) / 255.0
    return np.clip(colour * np.exp(rng.normal(0, 0.2)), 0, 1)


def _draw_shape(rng: np.random.Generator, picture: np.ndarray, colour: np.ndarray, skin: bool = False) -> None:
    """Draws one random shape into the picture (height, width, 3) float 0..1, in place."""
    height, width = picture.shape[:2]
    centre = tuple(int(c) for c in rng.uniform((-0.1 * width, -0.1 * height), (1.1 * width, 1.1 * height)))
    extent = max(width, height) * rng.beta(1, 3, 2) * 0.7 + 2
    cover = np.zeros((height, width), np.uint8)
    angle = float(rng.uniform(0, 360))
    kind = rng.choice(["ellipse", "limb"] if skin else ["ellipse", "box", "line", "polygon"])
    if kind == "ellipse":
        cv2.ellipse(cover, centre, (int(extent[0]), int(extent[1])), angle, 0, 360, 255, -1, cv2.LINE_AA)
    elif kind == "box":
        corners = cv2.boxPoints((centre, (float(extent[0]) * 2, float(extent[1]) * 2), angle))
        cv2.fillConvexPoly(cover, corners.astype(np.int32), 255, cv2.LINE_AA)
    elif kind == "polygon":
        points = (np.array(centre) + rng.normal(0, extent[0], (int(rng.integers(3, 7)), 2))).astype(np.int32)
        cv2.fillPoly(cover, [points], 255, cv2.LINE_AA)
    else:  # a line, or a limb: a thick line with round ends
        end = tuple(int(c) for c in np.array(centre) + rng.normal(0, 0.4 * max(width, height), 2))
        thick = int(rng.uniform(0.05, 0.22) * width) if kind == "limb" else int(rng.integers(1, 8))
        cv2.line(cover, centre, end, 255, max(thick, 1), cv2.LINE_AA)
    x, y, columns, rows = cv2.boundingRect(cover)
    if not columns:
        return  # beside the picture
    # Smooth shading keeps the shape from being one flat colour.
    shading = 1 + 0.35 * (smooth_noise(rng, (columns, rows), 2) - 0.5)
    part = np.s_[y : y + rows, x : x + columns]
    alpha = cover[part][..., None] * np.float32(1 / 255)
    picture[part] += alpha * (colour.astype(np.float32) * shading - picture[part])
