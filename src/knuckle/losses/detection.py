"""Losses of a detector with one answer a cell."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from knuckle.losses.mean import Mean, weighted_mean


def centre_focal(logits: Float[Tensor, "b h w"], wanted: Float[Tensor, "b h w"]) -> Mean:
    """Penalty-reduced focal loss on a map of centres, per hand.

    Args:
        logits: of each cell.
        wanted: 1 in the cells of the centres, a Gaussian around them, 0 elsewhere.

    Source: Law and Deng, CornerNet, ECCV 2018, Eq. 1, with alpha 2 and beta 4.
    """
    probability = torch.sigmoid(logits)
    centre = wanted >= 1.0
    positive = (1 - probability) ** 2 * functional.softplus(-logits)
    negative = (1 - wanted) ** 4 * probability**2 * functional.softplus(logits)
    return Mean(torch.where(centre, positive, negative).sum(), centre.sum().to(logits.dtype))


def box_overlap_loss(guess: Float[Tensor, "b 4 h w"], truth: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b h w"]:
    """1 - generalised intersection over union of boxes given as (left, top, right, bottom) distances from a point.

    Source: Rezatofighi et al., CVPR 2019.
    """
    both = torch.minimum(guess, truth)
    hull = torch.maximum(guess, truth)
    intersection = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])
    area = (guess[:, 0] + guess[:, 2]) * (guess[:, 1] + guess[:, 3])
    union = area + (truth[:, 0] + truth[:, 2]) * (truth[:, 1] + truth[:, 3]) - intersection
    around = (hull[:, 0] + hull[:, 2]) * (hull[:, 1] + hull[:, 3])
    return 1 - intersection / union.clamp(min=1e-6) + (around - union) / around.clamp(min=1e-6)


def joint_offset_loss(
    guess: Float[Tensor, "b 21 2 h w"], truth: Float[Tensor, "b 21 2 h w"], weights: Float[Tensor, "b 21 h w"]
) -> Mean:
    """Mean absolute difference of the joints' coordinates over all weighted joints of all cells.

    Args:
        guess, truth: from the centre of the hand's box, in lengths of its longer side; finite everywhere.
        weights: of a joint in a cell: 0 where the cell belongs to no hand, and where the joint is not to count.
    """
    return weighted_mean((guess - truth).abs().mean(2), weights)
