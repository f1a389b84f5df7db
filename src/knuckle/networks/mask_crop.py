"""Crops within a crop: the square around the largest piece of a mask, what it shows, and points in and out of it.

A square is (u, v, side): its centre and side in pixels of the outer crop, whose pixel centres are at integers. All of
it exports to ONNX; the square of a mask has no gradient.
"""

import torch
from torch import Tensor
from torch.nn import functional

_CELLS = 32
# The square is no smaller part of the crop than this: a mask of a few cells is a mistake.
_SMALLEST = 0.15


def largest_piece(mask: Tensor, steps: int = 48) -> Tensor:
    """The largest connected piece of each mask; diagonal neighbours are connected.

    Args:
        mask: (B, h, w) bool.
        steps: cells that a label travels; a piece whose inner paths are longer may fall apart.

    Returns:
        (B, h, w) bool; nothing where the mask is empty.
    """
    batch, height, width = mask.shape
    inside = mask.float()
    # Each cell is numbered, and takes the greatest number around it until nothing changes.
    numbers = torch.arange(1, height * width + 1, dtype=torch.float32, device=mask.device).view(1, height, width)
    labels = numbers * inside
    for _ in range(steps):
        labels = functional.max_pool2d(labels[:, None], 3, 1, 1)[:, 0] * inside
    flat = labels.flatten(1)
    sizes = (flat[:, :, None] == flat[:, None, :]).float().sum(-1) * inside.flatten(1)
    largest = flat.gather(1, sizes.argmax(1, keepdim=True))
    return ((flat == largest) & (inside.flatten(1) > 0)).view(batch, height, width)


def square_of_mask(probability: Tensor, margin: float = 1.25) -> Tensor:
    """The square around the largest piece of a mask.

    Args:
        probability: (B, S, S), S a multiple of 32.
        margin: its side over the longer side of the piece's box.

    Returns:
        (B, 3) square, with no gradient; the whole crop where nothing is above one half.
    """
    size = probability.shape[-1]
    cell = size // _CELLS
    piece = largest_piece(functional.avg_pool2d(probability.detach()[:, None].float(), cell)[:, 0] > 0.5)
    lines = torch.arange(_CELLS, dtype=torch.float32, device=probability.device)
    ends = []
    for axis in (1, 2):
        # Along rows for u, along columns for v.
        there = piece.any(axis)
        first = torch.where(there, lines, torch.full_like(lines, _CELLS)).amin(1)
        last = torch.where(there, lines, torch.full_like(lines, -1)).amax(1)
        ends += [first * cell - 0.5, (last + 1) * cell - 0.5]
    left, right, top, bottom = ends
    side = (margin * torch.maximum(right - left, bottom - top)).clamp(_SMALLEST * size, 2.0 * size)
    found = piece.flatten(1).any(1)
    middle = torch.full_like(left, (size - 1) / 2)
    return torch.stack(
        [
            torch.where(found, (left + right) / 2, middle),
            torch.where(found, (top + bottom) / 2, middle),
            torch.where(found, side, torch.full_like(left, float(size))),
        ],
        dim=1,
    )


def square_of_points(uv: Tensor, size: int, margin: float = 1.4) -> Tensor:
    """The square around points, of which a mask's is about as large.

    Args:
        uv: (B, N, 2) pixels; NaN for those that do not count.
        size: of the outer crop, which is the square where there are no points.
        margin: the square's side over the longer side of the points' box.
    """
    known = uv.isfinite().all(-1, keepdim=True).expand_as(uv)
    low = torch.where(known, uv, torch.full_like(uv, torch.inf)).amin(1)
    high = torch.where(known, uv, torch.full_like(uv, -torch.inf)).amax(1)
    side = (margin * (high - low).amax(1)).clamp(_SMALLEST * size, 2.0 * size)
    square = torch.cat([(low + high) / 2, side[:, None]], dim=1)
    whole = square.new_tensor([(size - 1) / 2, (size - 1) / 2, float(size)]).expand_as(square)
    return torch.where(known.any(1)[:, :1], square, whole)


def cut_square(image: Tensor, square: Tensor, size: int) -> Tensor:
    """What squares show, in size x size pixels.

    Args:
        image: (B, C, S, S) floating point; 0 lies around it.
        square: (B, 3).
        size: of the result.
    """
    steps = (torch.arange(size, dtype=torch.float32, device=image.device) + 0.5) / size - 0.5
    across = square[:, :1] + square[:, 2:] * steps
    down = square[:, 1:2] + square[:, 2:] * steps
    extent = image.new_tensor([image.shape[-1], image.shape[-2]], dtype=torch.float32)
    x = (2 * across + 1) / extent[0] - 1
    y = (2 * down + 1) / extent[1] - 1
    grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
    return functional.grid_sample(image, grid.to(image.dtype), mode="bilinear", align_corners=False)


def into_square(uv: Tensor, square: Tensor, size: int) -> Tensor:
    """Points (B, N, 2) of the outer crop in pixels of a square that is cut with that size."""
    centre, side = square[:, None, :2], square[:, None, 2:]
    return (uv - centre) * size / side + (size - 1) / 2


def out_of_square(uv: Tensor, square: Tensor, size: int) -> Tensor:
    """The inverse of `into_square`."""
    centre, side = square[:, None, :2], square[:, None, 2:]
    return (uv - (size - 1) / 2) * side / size + centre
