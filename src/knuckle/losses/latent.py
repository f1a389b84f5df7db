"""Losses on latent codes: how far their distribution is from a standard normal one, and how categories lie in them.

Distances are squared Euclidean ones, summed over the code's coordinates, as the source prints them.

Source: Gao et al., Variational Object-aware 3D Hand Pose from a Single RGB Image, RA-L 2019, Eq. 2, 5 and 6. The ratio
of the triplet loss is Wohlhart and Lepetit's (CVPR 2015), whose margin of 0.01 stands for the one that is not printed.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from knuckle.losses.mean import Mean, weighted_mean

MARGIN = 0.01


def normal_divergence(
    mean: Float[Tensor, "*batch d"], log_variance: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch"]:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), summed over the code; nats.

    Args:
        mean, log_variance: (..., D).

    Returns:
        (...) 0 or more; 0 only for the standard normal distribution itself.
    """
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(-1)


def triplet_loss(code: Float[Tensor, "b d"], category: Int[Tensor, " b"], margin: float = MARGIN) -> Mean:
    """ln max(1, 2 - d_negative / (d_positive + margin)), over all triplets of the batch.

    Args:
        code: (B, D).
        category: (B,) of each; below 0 where it is not known, which then takes no part.
        margin: above 0, or two equal codes of a category would divide by zero.

    Returns:
        ln 2 where a code of another category is as near as can be, 0 with no gradient where it is the margin farther
        away than that of the same category. Weight 0 without a triplet.
    """
    distance = _squared_distances(code, code)
    same, other = _pairs(category)
    ratio = distance[:, None, :] / (distance[:, :, None] + margin)
    return weighted_mean((2 - ratio).clamp(min=1.0).log(), same[:, :, None] & other[:, None, :])


def pair_loss(code: Float[Tensor, "b d"], category: Int[Tensor, " b"]) -> Mean:
    """Squared distance of two codes of one category, over all such pairs; arguments as of `triplet_loss`."""
    same, _ = _pairs(category)
    return weighted_mean(_squared_distances(code, code), same)


def cluster_loss(code: Float[Tensor, "b d"], centres: Float[Tensor, "k d"]) -> Mean:
    """Squared distance of each code from its nearest centre; the gradient moves both towards each other.

    Args:
        code: (B, D).
        centres: (K, D), learned.
    """
    return weighted_mean(_squared_distances(code, centres).amin(1))


def reseeding_loss(code: Float[Tensor, "b d"], centres: Float[Tensor, "k d"]) -> Mean:
    """Brings dead centres back: squared distance of centres that are no code's nearest from codes far from all.

    `cluster_loss` has no gradient for such a centre, which would stay where it is for ever. The first dead centre is
    drawn to the code that is farthest from its own centre, the second to the second farthest, and so on. Codes have no
    gradient here, and living centres neither. A gradient, not a jump: it is the same on any number of processes.

    Args:
        code: (B, D).
        centres: (K, D), learned.
    """
    distance = _squared_distances(code, centres).detach()
    dead = torch.ones(len(centres), dtype=torch.bool, device=code.device)
    dead[distance.argmin(1)] = False
    farthest = distance.amin(1).argsort(descending=True)
    rank = (dead.cumsum(0) - 1).clamp(min=0) % len(code)
    return weighted_mean((centres - code[farthest[rank]].detach()).square().sum(-1), dead)


def _pairs(category: Tensor) -> tuple[Tensor, Tensor]:
    """(B, B) which two examples have the same category and are not one, and which have different ones."""
    known = (category[:, None] >= 0) & (category[None] >= 0)
    same = category[:, None] == category[None]
    itself = torch.eye(len(category), dtype=torch.bool, device=category.device)
    return known & same & ~itself, known & ~same


def _squared_distances(one: Tensor, other: Tensor) -> Tensor:
    return (one[:, None].float() - other[None].float()).square().sum(-1)
