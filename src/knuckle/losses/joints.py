"""Losses on joints: distances, bones, heatmaps, and how well the network knows its own error."""

import torch
from jaxtyping import Float
from torch import Tensor

from knuckle.skeleton import BONES


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` under `weights` (broadcast against each other); 0 where all weights are 0."""
    weights = weights.expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def joint_distance(guess: Float[Tensor, "b 21 d"], truth: Float[Tensor, "b 21 d"]) -> Float[Tensor, "b 21"]:
    """Mean absolute difference of each joint's coordinates; as robust as the distance and smooth nowhere but there."""
    return (guess - truth).abs().mean(-1)


def bone_distance(guess: Float[Tensor, "b 21 d"], truth: Float[Tensor, "b 21 d"]) -> Float[Tensor, "b 20"]:
    """The same for the 20 bones as vectors: right where the hand as a whole is displaced."""
    parents, children = zip(*BONES, strict=True)
    error = guess - truth
    return (error[:, list(children)] - error[:, list(parents)]).abs().mean(-1)


def doubt_nll(log_doubt: Float[Tensor, "b 21"], error: Float[Tensor, "b 21"]) -> Float[Tensor, "b 21"]:
    """Negative log likelihood (less a constant) of an error under a Laplace distribution of that mean absolute error.

    The error is taken as given: doubt learns what the error is and cannot trade it for being unsure.
    """
    return error.detach() * torch.exp(-log_doubt) + log_doubt


def heatmap_divergence(
    logits: Float[Tensor, "b 21 h w"], uv: Float[Tensor, "b 21 2"], deviation: float = 1.0
) -> Float[Tensor, "b 21"]:
    """Kullback-Leibler divergence of a heatmap from a bell around the joint's true place, in nats.

    Args:
        logits: of the cells.
        uv: the true place in sides of the map, (0, 0) its upper left corner and (1, 1) its lower right.
        deviation: standard deviation of the bell in cells.
    """
    rows, columns = logits.shape[-2:]
    across = torch.arange(columns, device=uv.device) + 0.5
    down = torch.arange(rows, device=uv.device) + 0.5
    x = -((across - columns * uv[..., :1]) ** 2) / (2 * deviation**2)
    y = -((down - rows * uv[..., 1:]) ** 2) / (2 * deviation**2)
    log_wanted = (y[..., :, None] + x[..., None, :]).flatten(2).log_softmax(-1)
    log_given = logits.flatten(2).log_softmax(-1)
    return (log_wanted.exp() * (log_wanted - log_given)).sum(-1)
