"""Soft-argmax over heatmaps, and coordinates in lixels (1D heatmaps: one line of bins per axis)."""

import array_api_compat
from jaxtyping import Bool, Float

from knuckle.arrays import Array, namespace


def _softmax(logits: Array) -> Array:
    xp = namespace(logits)
    exponent = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return exponent / xp.sum(exponent, axis=-1, keepdims=True)


def _bins(like: Array, count: int) -> Array:
    return namespace(like).arange(count, dtype=like.dtype, device=array_api_compat.device(like))


def soft_argmax_1d(logits: Float[Array, "*batch bins"]) -> Float[Array, "*batch"]:
    """The expected bin under the softmax of the last axis.

    Args:
        logits: (..., bins).

    Returns:
        (...) in bins, from 0 to bins - 1; bin i sits at i.

    Source: Moon and Lee, I2L-MeshNet, ECCV 2020.
    """
    xp = namespace(logits)
    return xp.sum(_softmax(logits) * _bins(logits, logits.shape[-1]), axis=-1)


def soft_argmax_2d(logits: Float[Array, "*batch height width"]) -> Float[Array, "*batch 2"]:
    """The expected position under the softmax of the last two axes.

    Args:
        logits: (..., height, width).

    Returns:
        (..., 2) x (along the width) and y, in cells, the first cell's centre being 0.
    """
    xp = namespace(logits)
    height, width = logits.shape[-2:]
    probability = _softmax(xp.reshape(logits, (*logits.shape[:-2], height * width)))
    probability = xp.reshape(probability, logits.shape)
    x = xp.sum(xp.sum(probability, axis=-2) * _bins(logits, width), axis=-1)
    y = xp.sum(xp.sum(probability, axis=-1) * _bins(logits, height), axis=-1)
    return xp.stack([x, y], axis=-1)


def _lixel_scale(like: Array, size: tuple[int, int], bins: int, depth_range: float) -> tuple[Array, Array]:
    xp = namespace(like)
    device = array_api_compat.device(like)
    scale = xp.asarray([bins / size[0], bins / size[1], bins / depth_range], dtype=like.dtype, device=device)
    return scale, xp.asarray([0.0, 0.0, bins / 2], dtype=like.dtype, device=device)


def encode_lixel(
    points: Float[Array, "*batch 3"], size: tuple[int, int], bins: int = 64, depth_range: float = 0.3
) -> Float[Array, "*batch 3"]:
    """Pixels and root-relative depth in lixel units.

    x = u / width * bins,  y = v / height * bins,  z = (depth / (depth_range / 2) + 1) / 2 * bins

    Args:
        points: (..., 3) u and v in pixels of the crop, and the depth behind the root joint in metres.
        size: width and height of the crop in pixels.
        bins: bins on each axis.
        depth_range: metres spanned by the z axis, centred on the root.

    Returns:
        (..., 3) in bins; outside [0, bins) where the point is outside the crop or the depth range.

    Note:
        Like the source's public code there is no half-bin shift; pixel 0 is at bin 0.

    Source: Moon and Lee, I2L-MeshNet, ECCV 2020.
    """
    scale, offset = _lixel_scale(points, size, bins, depth_range)
    return points * scale + offset


def decode_lixel(
    lixels: Float[Array, "*batch 3"], size: tuple[int, int], bins: int = 64, depth_range: float = 0.3
) -> Float[Array, "*batch 3"]:
    """The inverse of encode_lixel.

    Args:
        lixels: (..., 3) in bins.
        size: width and height of the crop in pixels.
        bins: bins on each axis.
        depth_range: metres spanned by the z axis.

    Returns:
        (..., 3) u and v in pixels of the crop, and the depth behind the root joint in metres.
    """
    scale, offset = _lixel_scale(lixels, size, bins, depth_range)
    return (lixels - offset) / scale


def inside_lixel(lixels: Float[Array, "*batch 3"], bins: int = 64) -> Bool[Array, "*batch 3"]:
    """Which coordinates are in the range of a heatmap with that many bins; losses mask out the others.

    Args:
        lixels: (..., 3) in bins.
        bins: bins on each axis.

    Returns:
        (..., 3) True where 0 <= coordinate < bins; False for NaN.
    """
    return (lixels >= 0) & (lixels < bins)


def gaussian_1d(centres: Float[Array, "*batch"], bins: int, sigma: float) -> Float[Array, "*batch bins"]:
    """A Gaussian of height one about each centre; the 3D maps of I2L-MeshNet are products of three.

    Args:
        centres: (...) in bins.
        bins: number of bins.
        sigma: standard deviation in bins.

    Returns:
        (..., bins).
    """
    xp = namespace(centres)
    return xp.exp(-0.5 * ((_bins(centres, bins) - centres[..., None]) / sigma) ** 2)


def gaussian_maps(
    uv: Float[Array, "*batch 2"], size: int, cells: int, sigma: float
) -> Float[Array, "*batch cells cells"]:
    """Maps with the height exp(-d^2 / sigma^2) at a distance d from a point, averaged over cells.

    Args:
        uv: (..., 2) pixels, centres at integers.
        size: pixels along one side of the picture.
        cells: along one side of the map; a divisor of size.
        sigma: pixels at which the height is 1 / e (not a standard deviation, which is smaller by sqrt(2)).

    Returns:
        (..., cells, cells) rows and columns; all 0 where uv is NaN.

    Source: Zimmermann and Brox, ICCV 2017, where maps of 256 pixels are averaged over 8 x 8.
    """
    xp = namespace(uv)
    known = xp.isfinite(uv)
    # A Gaussian in the plane is a product of two, and so are its means over cells.
    lines = gaussian_1d(xp.where(known, uv, xp.zeros_like(uv)), size, sigma / 2**0.5)
    lines = xp.mean(xp.reshape(lines, (*lines.shape[:-1], cells, size // cells)), axis=-1)
    lines = xp.where(known[..., None], lines, xp.zeros_like(lines))
    return lines[..., 1, :, None] * lines[..., 0, None, :]


def map_peaks(maps: Float[Array, "*batch height width"], radius: int = 3) -> Float[Array, "*batch 3"]:
    """The highest cell of each map, refined by the centre of mass of what around it is higher than half of that.

    Args:
        maps: (..., height, width).
        radius: cells around the highest one that count; half of a `gaussian_maps` of 32 cells lies within 3.

    Returns:
        (..., 3) x, y in cells, the first cell's centre being 0, and the height of the highest cell.
    """
    xp = namespace(maps)
    height, width = maps.shape[-2:]
    flat = xp.reshape(maps, (*maps.shape[:-2], height * width))
    top = xp.argmax(flat, axis=-1)
    peak = xp.max(flat, axis=-1)
    x, y = _bins(maps, width), _bins(maps, height)
    near_x = xp.abs(x - (top % width)[..., None]) <= radius
    near_y = xp.abs(y - (top // width)[..., None]) <= radius
    # Above 0 even where nothing is, so that the mean exists; far enough that no exporter takes it for 0.
    weights = xp.clip(maps - 0.5 * peak[..., None, None], min=0.0) + 1e-6
    weights = xp.where(near_y[..., :, None] & near_x[..., None, :], weights, xp.zeros_like(weights))
    across, down = xp.sum(weights, axis=-2), xp.sum(weights, axis=-1)
    total = xp.sum(across, axis=-1)
    return xp.stack([xp.sum(across * x, axis=-1) / total, xp.sum(down * y, axis=-1) / total, peak], axis=-1)
