"""Photometric augmentation: cheap models of light, lens, sensor and compression; randomness from a given generator.

All functions take and return (H, W, 3) uint8 RGB and do not modify their arguments. Geometric augmentation is in
the crop.
"""

from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
from jaxtyping import UInt8

# Of the standard normal distribution, in the middle of 256 equal parts.
_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])

Picture = UInt8[np.ndarray, "h w 3"]
Other = UInt8[np.ndarray, "h2 w2 3"]


def recolour(picture: Picture, rng: np.random.Generator, strength: float = 1.0) -> Picture:
    """Random white balance, exposure, contrast, gamma and saturation."""
    gain = np.exp(rng.normal(0.0, 0.08 * strength, 3) + rng.normal(0.0, 0.2 * strength))
    gamma = np.exp(rng.normal(0.0, 0.2 * strength))
    offset = rng.normal(0.0, 12.0 * strength)
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain * 255.0 + offset
    picture = cv2.LUT(picture, np.clip(levels, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.5:
        saturation = rng.uniform(0.0, 0.5) if rng.random() < 0.2 else rng.uniform(0.6, 1.4)
        grey = np.full((3, 3), (1.0 - saturation) / 3.0)
        picture = cv2.transform(picture, grey + saturation * np.eye(3))
    return picture


def shade(picture: Picture, rng: np.random.Generator) -> Picture:
    """Uneven light: a smooth, slightly coloured field of brightness."""
    field = 1.0 + rng.normal(0.0, 0.25, (3, 3, 1)) + rng.normal(0.0, 0.06, (3, 3, 3))
    field = cv2.resize(np.clip(field, 0.3, 1.8).astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.multiply(picture, field, dtype=cv2.CV_8U)


def blur(picture: Picture, rng: np.random.Generator) -> Picture:
    """Defocus, motion blur, or a lower resolution."""
    kind = rng.integers(3)
    if kind == 0:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if kind == 1:
        length, angle = rng.integers(3, 8), rng.uniform(0.0, np.pi)
        kernel = np.zeros((length, length), np.float32)
        middle = (length - 1) / 2
        half = np.array([np.cos(angle), np.sin(angle)]) * middle
        cv2.line(kernel, tuple(np.rint(middle - half).astype(int)), tuple(np.rint(middle + half).astype(int)), 1.0)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())
    height, width = picture.shape[:2]
    factor = rng.uniform(0.35, 0.8)
    small = cv2.resize(
        picture, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def noise(picture: Picture, rng: np.random.Generator) -> Picture:
    """Sensor noise, in half of the cases with a coarse grain, as left by the filters of cheap cameras."""
    height, width = picture.shape[:2]
    coarse = int(rng.integers(1, 3))
    # A byte chooses one of 256 quantiles: a fifth of the time that normal deviates take.
    chosen = rng.integers(0, 256, (-(-height // coarse), -(-width // coarse), 3), np.uint8)
    grain = (_NORMAL_QUANTILES * rng.uniform(2.0, 12.0)).astype(np.float32)[chosen]
    if coarse > 1:
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.add(picture, grain, dtype=cv2.CV_8U)


def jpeg(picture: Picture, rng: np.random.Generator) -> Picture:
    """JPEG compression of random quality."""
    quality = int(rng.integers(25, 85))
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def mix_amplitude(picture: Picture, other: Other, rng: np.random.Generator, size: int = 32) -> Picture:
    """Fourier augmentation: mixes in another picture's low-frequency amplitudes and keeps the phases.

    Amplitudes carry light, colour and texture, phases carry shape; it is reported to help most in transferring
    networks from synthetic to real hands. Only the lowest frequencies are changed: computed on a thumbnail, the change
    is scaled up.

    Args:
        picture: to be changed.
        other: any picture.
        size: side of the thumbnail.
    """
    mine = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    # Averaging whole blocks of pixels is several times as fast.
    rows, columns = (max(n // size * size, min(n, size)) for n in other.shape[:2])
    theirs = cv2.resize(other[:rows, :columns], (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    spectrum = np.fft.rfft2(mine, axes=(0, 1))
    amplitude, wanted = np.abs(spectrum), np.abs(np.fft.rfft2(theirs, axes=(0, 1)))
    share = rng.uniform(0.1, 0.8)
    reach = int(rng.integers(1, 6))
    down = np.minimum(np.arange(size), size - np.arange(size))
    low = ((down[:, None] <= reach) & (np.arange(size // 2 + 1)[None] <= reach))[..., None]
    factor = np.where(low, 1.0 + share * (wanted / np.maximum(amplitude, 1.0) - 1.0), 1.0)
    mixed = np.fft.irfft2(spectrum * np.clip(factor, 0.2, 5.0), s=(size, size), axes=(0, 1))
    change = cv2.resize((mixed - mine).astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.add(picture, change, dtype=cv2.CV_8U)


def cover(picture: Picture, other: Other, rng: np.random.Generator, reach: float = 0.35) -> Picture:
    """An occluder: a shape filled with a part of another picture or with one colour.

    Args:
        picture: to be partly covered.
        other: that the filling is taken from; at least as large.
        reach: maximum half-axis relative to the size of the picture.
    """
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    axes = (int(rng.uniform(0.04, reach) * width), int(rng.uniform(0.04, 0.6 * reach) * height))
    if rng.random() < 0.5:
        cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1)
    else:
        box = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), rng.uniform(0, 180)))
        cv2.fillConvexPoly(mask, np.rint(box).astype(np.int32), 255)
    if rng.random() < 0.5:
        filling = np.empty_like(picture)
        filling[:] = rng.integers(0, 256, 3)
    else:
        filling = np.ascontiguousarray(other[::-1, ::-1][:height, :width])
    covered = picture.copy()
    cv2.copyTo(filling, mask, covered)
    return covered


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities of the photometric augmentations; 0 turns one off.

    Attributes:
        cover: an occluder, its half-axes at most `cover_reach` relative to the size of the picture.
        mix_amplitude: Fourier augmentation.
        shade, recolour, blur, noise, jpeg: see the functions.
    """

    cover: float = 0.3
    cover_reach: float = 0.25
    mix_amplitude: float = 0.4
    shade: float = 0.3
    recolour: float = 0.9
    blur: float = 0.4
    noise: float = 0.3
    jpeg: float = 0.15


def photometric_augment(picture: Picture, other: Other, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    """Random photometric augmentation, in the order from the scene to the file.

    Args:
        picture: to be changed.
        other: any picture, to mix amplitudes with and to cut occluders from; at least as large.
        config: probabilities.
    """
    draw = rng.random(7)
    if draw[0] < config.cover:
        picture = cover(picture, other, rng, reach=config.cover_reach)
    if draw[1] < config.mix_amplitude:
        picture = mix_amplitude(picture, other, rng)
    if draw[2] < config.shade:
        picture = shade(picture, rng)
    if draw[3] < config.recolour:
        picture = recolour(picture, rng)
    if draw[4] < config.blur:
        picture = blur(picture, rng)
    if draw[5] < config.noise:
        picture = noise(picture, rng)
    if draw[6] < config.jpeg:
        picture = jpeg(picture, rng)
    return picture
