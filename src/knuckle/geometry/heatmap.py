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
