"""Losses on joints: distances, bones, heatmaps, and how well the network knows its own error."""

import torch
from jaxtyping import Float
from torch import Tensor

from knuckle.skeleton import BONES


def joint_distance(
    guess: Float[Tensor, "b 21 d"], truth: Float[Tensor, "b 21 d"], weights: Tensor | None = None
) -> Float[Tensor, "b n"]:
    """Mean absolute difference of each joint's coordinates.

    Args:
        weights: broadcast to (B, 21, D): 0 for coordinates without a label, which do not count; 1 for the others.
    """
    apart = (guess - truth).abs()
    if weights is None:
        return apart.mean(-1)
    weights = weights.to(apart.dtype).expand_as(apart)
    return (apart * weights).sum(-1) / weights.sum(-1).clamp(min=1.0)


def bone_distance(guess: Float[Tensor, "b 21 d"], truth: Float[Tensor, "b 21 d"]) -> Float[Tensor, "b 20"]:
    """Mean absolute difference of the 20 bones as vectors: 0 where the hand as a whole is displaced."""
    parents, children = zip(*BONES, strict=True)
    error = guess - truth
    return (error[:, list(children)] - error[:, list(parents)]).abs().mean(-1)


def laplace_nll(log_scale: Float[Tensor, "b n"], error: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Negative log-likelihood (less a constant) of an error under a Laplace distribution of that mean absolute error.

    The error is detached: the scale learns what the error is, and the error cannot be traded for uncertainty.
    """
    return error.detach() * torch.exp(-log_scale) + log_scale


def heatmap_divergence(
    logits: Float[Tensor, "b n h w"], uv: Float[Tensor, "b n 2"], deviation: float = 1.0
) -> Float[Tensor, "b n"]:
    """Kullback-Leibler divergence of a heatmap from a Gaussian around the joint's true place, in nats.

    Args:
        logits: of the cells.
        uv: the true place in sides of the map, (0, 0) its upper left corner and (1, 1) its lower right.
        deviation: standard deviation of the Gaussian in cells.
    """
    rows, columns = logits.shape[-2:]
    across = torch.arange(columns, device=uv.device) + 0.5
    down = torch.arange(rows, device=uv.device) + 0.5
    x = -((across - columns * uv[..., :1]) ** 2) / (2 * deviation**2)
    y = -((down - rows * uv[..., 1:]) ** 2) / (2 * deviation**2)
    log_wanted = (y[..., :, None] + x[..., None, :]).flatten(2).log_softmax(-1)
    log_given = logits.flatten(2).log_softmax(-1)
    return (log_wanted.exp() * (log_wanted - log_given)).sum(-1)
