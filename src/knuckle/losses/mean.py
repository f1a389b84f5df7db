"""Means that know their weight, so that parts of a batch add up to the batch's; missing labels are masked here."""

from typing import NamedTuple

import torch
from torch import Tensor


class Mean(NamedTuple):
    """A weighted sum and the sum of its weights, both scalars.

    Losses and errors are given like this and not as quotients: the parts of a batch that several replicas or processes
    compute then add up to the mean over the whole batch, however the labels are spread over them.
    """

    total: Tensor
    weight: Tensor

    @property
    def value(self) -> Tensor:
        """The mean; weights that sum up to less than 1, as where nothing is labelled, count as 1."""
        return self.total / self.weight.clamp(min=1.0)


def weighted_mean(values: Tensor, weights: Tensor | None = None) -> Mean:
    """Mean of `values` under `weights`; None weighs all alike.

    Args:
        values: (...) finite, also where the weight is 0: see `fill_missing`.
        weights: broadcast against values; booleans count as 0 and 1.
    """
    # Under autocast values may be bfloat16, which has no 257: the sum of the weights would be off by half a percent.
    if values.dtype in (torch.bfloat16, torch.float16):
        values = values.float()
    if weights is None:
        return Mean(values.sum(), values.new_tensor(float(values.numel())))
    weights = weights.to(values.dtype).expand_as(values)
    return Mean((values * weights).sum(), weights.sum())


def fill_missing(truth: Tensor | None, guess: Tensor) -> tuple[Tensor, Tensor]:
    """Labels without gaps, and where there were any.

    A missing label is NaN in a Batch, and makes gradients NaN even under a weight of 0. It is replaced by the detached
    prediction: an error of 0 without a gradient.

    Args:
        truth: (..., D), whole rows of NaN where there is no label; None where no example of the batch has one.
        guess: (..., D) the prediction.

    Returns:
        (..., D) truth to compute with, and (...) True where there is a label.
    """
    if truth is None:
        return guess.detach(), torch.zeros(guess.shape[:-1], dtype=torch.bool, device=guess.device)
    known = truth.isfinite().all(-1)
    return torch.where(known[..., None], truth, guess.detach().to(truth.dtype)), known
