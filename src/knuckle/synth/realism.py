"""What makes a rendered picture look like a photograph: which effects a preset has, and the camera's part of them.

The camera's effects are applied to a finished picture, in the order in which light meets them: lens, exposure and white
balance, noise, tone curve, sharpening, JPEG. Lengths are in pixels of a picture of 256, so that sizes agree.
"""

from dataclasses import dataclass, fields
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Pixels = UInt8[np.ndarray, "h w c"]
_GAMMA = 2.2


@dataclass(frozen=True)
class Realism:
    """Effects that can be left out one by one, to measure what each of them brings.

    Attributes:
        soft_skin: light that is scattered under the skin reddens and softens the edge of shadows.
        folds: creases deepen and knuckle folds are pulled smooth where a joint bends; bent knuckles turn pale.
        contact_shadows: fingers that lie side by side, and hands that touch, take each other's ambient light.
        mixed_light: lamps of very different colours, as a window and a bulb.
        lens: motion blur of hands and camera, and focus.
        sensor: exposure, white balance, tone curve, noise, sharpening and JPEG of phones and webcams.
    """

    soft_skin: bool = True
    folds: bool = True
    contact_shadows: bool = True
    mixed_light: bool = True
    lens: bool = True
    sensor: bool = True


NO_REALISM = Realism(**{field.name: False for field in fields(Realism)})


@dataclass(frozen=True)
class Sensor:
    """A camera and its settings, of one picture or clip.

    Attributes:
        focus: standard deviation of the blur, px of 256.
        shake: (2,) motion of the camera while the shutter is open, px of 256.
        gain: (3,) of red, green and blue, of linear light: exposure and white balance.
        haze: light that the lens scatters over the whole picture, 0..1.
        contrast: slope of the tone curve's middle; 1 leaves it straight.
        shot, read: standard deviation of the noise at white that grows with the root of light, and of the one that does
            not, in values of 255.
        grain: side of the noise's grains, px: 2 where a camera filters its noise.
        sharpen: strength of the halos along edges.
        quality: of JPEG; 0 for none.
    """

    focus: float
    shake: tuple[float, float]
    gain: tuple[float, float, float]
    haze: float
    contrast: float
    shot: float
    read: float
    grain: int
    sharpen: float
    quality: int


def random_sensor(rng: np.random.Generator, realism: Realism) -> Sensor:
    """A random camera: mostly good ones, some webcams, some low light."""
    low_light = rng.random() < 0.2
    cheap = rng.random() < 0.4
    focus = float(rng.uniform(0.3, 0.9 + 0.7 * cheap)) if rng.random() < 0.35 else 0.0
    shake = random_motion(rng, 1.0, 6.0) if rng.random() < (0.25 if low_light else 0.08) else (0.0, 0.0)
    exposure = rng.normal(0.0, 0.22) + (rng.uniform(0.4, 1.0) if rng.random() < 0.08 else 0.0)
    exposure -= rng.uniform(0.3, 0.9) if low_light and rng.random() < 0.6 else 0.0
    # Along the colours of lamps and the sky, and a little across, towards green or magenta.
    warmth, green = rng.normal(0.0, 0.09 + 0.06 * low_light), rng.normal(0.0, 0.03)
    gain = np.exp(exposure + np.array([warmth, green, -1.2 * warmth]))
    return Sensor(
        focus=focus if realism.lens else 0.0,
        shake=shake if realism.lens else (0.0, 0.0),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        haze=float(rng.uniform(0.005, 0.06)) if rng.random() < 0.2 else 0.0,
        contrast=float(np.exp(rng.normal(0.08, 0.15))),
        shot=float(rng.gamma(2.0, 1.2) * (1.6 if cheap else 1.0)),
        read=float(rng.gamma(2.0, 0.4) * (3.0 if low_light else 1.0)),
        grain=2 if rng.random() < 0.35 else 1,
        sharpen=float(rng.uniform(0.15, 0.7)) if rng.random() < 0.3 else 0.0,
        quality=int(rng.integers(30, 85)) if rng.random() < (0.5 if cheap else 0.2) else 0,
    )


def random_motion(rng: np.random.Generator, shortest: float, longest: float) -> tuple[float, float]:
    """The way (2,) something goes while the shutter is open, in any direction, px of 256."""
    length, direction = rng.uniform(shortest, longest), rng.uniform(0.0, np.pi)
    return float(length * np.cos(direction)), float(length * np.sin(direction))


def blur_motion(picture: Pixels, way: tuple[float, float]) -> Pixels:
    """The picture with everything moved along a way (2,), in its own pixels, half of it before and half after."""
    reach = int(np.ceil(max(abs(way[0]), abs(way[1])) / 2))
    if not reach:
        return picture
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    half = 16 * np.array(way) / 2  # with four bits after the point
    ends = [tuple(int(x) for x in np.rint(16 * reach + sign * half)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    kernel += kernel[::-1, ::-1]  # exactly symmetric, so that the middle stays where it is
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def photograph(
    picture: UInt8[np.ndarray, "h w 3"], sensor: Sensor, realism: Realism, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as a camera takes it.

    Args:
        picture: (height, width, 3) sRGB.
        sensor: the camera.
        realism: which effects it has.
        rng: source of the noise.
    """
    unit = picture.shape[1] / 256
    if sensor.focus:
        picture = cv2.GaussianBlur(picture, (0, 0), max(sensor.focus * unit, 0.1))
    picture = blur_motion(picture, (sensor.shake[0] * unit, sensor.shake[1] * unit))
    if not realism.sensor:
        return picture
    picture = cv2.LUT(picture, tone_curve(sensor))
    picture = _noisy(picture, sensor, rng)
    if sensor.sharpen:
        soft = cv2.blur(picture, (3, 3))
        picture = cv2.addWeighted(picture, 1 + sensor.sharpen, soft, -sensor.sharpen, 0)
    if sensor.quality:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, sensor.quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return picture


def tone_curve(sensor: Sensor) -> UInt8[np.ndarray, "1 256 3"]:
    """What becomes of each value of red, green and blue: exposure, haze, and a curve with a toe and a shoulder."""
    light = (np.arange(256) / 255.0)[:, None] ** _GAMMA * np.array(sensor.gain)
    light = sensor.haze + (1 - sensor.haze) * light
    light = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3 * 0.9))
    value = np.clip(light, 0, 1) ** (1 / _GAMMA)
    # A straight line through the middle, bent at both ends: Schlick's gain curve (Graphics Gems IV).
    bend = (sensor.contrast - 1) * (1 - 2 * value)
    curved = np.where(value < 0.5, value / (1 + bend), (value - bend) / (1 - bend))
    return (np.clip(curved, 0, 1) * 255 + 0.5).astype(np.uint8)[None]


@cache
def _noise_strip() -> Float[np.ndarray, " n"]:
    """Normal deviates, the same in every run; drawing new ones for every picture would take longer than the rest."""
    return np.random.default_rng(17).standard_normal(1 << 20).clip(-4, 4).astype(np.float32)


def _noisy(picture: np.ndarray, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    rows, columns = -(-height // sensor.grain), -(-width // sensor.grain)
    count = rows * columns * 3
    # A random window of the strip, repeated where a picture is larger than it.
    strip = _noise_strip()
    start = int(rng.integers(len(strip)))
    noise = strip[start : start + count]
    if len(noise) < count:
        noise = np.resize(np.concatenate([noise, strip[:start]]), count)
    noise = noise.reshape(rows, columns, 3)
    if sensor.grain > 1:
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    # The root of linear light is nearly the pixel's value; the tone curve makes dark noise the stronger.
    strength = cv2.LUT(picture, _noise_levels(sensor))
    return cv2.add(picture, cv2.multiply(noise, strength), dtype=cv2.CV_8U)


def _noise_levels(sensor: Sensor) -> Float[np.ndarray, " 256"]:
    """Standard deviation of the noise at each value of a pixel."""
    value = np.maximum(np.arange(256) / 255.0, 0.02)
    light = value**_GAMMA
    slope = value / light / _GAMMA  # of the tone curve, light to value
    deviation = np.sqrt(sensor.shot**2 * light + sensor.read**2) * np.minimum(slope, 2.0)
    return deviation.astype(np.float32)
