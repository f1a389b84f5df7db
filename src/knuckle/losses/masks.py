"""Masks of the whole hand, hidden parts too: what a batch knows of them, their loss, and their error."""

import torch
from torch import Tensor
from torch.nn import functional

from knuckle.losses.mean import Mean, weighted_mean
from knuckle.sample import Batch


def complete_mask(batch: Batch) -> tuple[Tensor, Tensor]:
    """The whole hand in each crop, as if nothing lay before it, and where it is known.

    Sets of bare hands label what is visible: all of it.

    Returns:
        (B, H, W) float32 of 0 and 1, and (B,) bool: False where there is no label, whose mask is empty.
    """
    whole, known = visible_mask(batch)
    known = known & ~batch.rows("object_mask")
    whole = whole * known[:, None, None]
    if batch.mask_complete is None:
        return whole, known
    labelled = batch.rows("mask_complete")
    return torch.where(labelled[:, None, None], batch.mask_complete.float(), whole), known | labelled


def visible_mask(batch: Batch) -> tuple[Tensor, Tensor]:
    """What is seen of the hand: (B, H, W) float32 of 0 and 1, and (B,) bool likewise."""
    known = batch.rows("mask_visible")
    if batch.mask_visible is None:
        return torch.zeros_like(batch.image[:, 0], dtype=torch.float32), known
    return batch.mask_visible.float(), known


def mask_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """(B,) binary cross entropy of masks (B, H, W), mean over the cells; truth is the share of a cell, 0 to 1."""
    return functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none").mean((1, 2))


def overlap(guess: Tensor, truth: Tensor, known: Tensor) -> Mean:
    """Intersection over union of boolean masks (B, H, W), over those that are known (B,) and not empty in truth."""
    both, either = (guess & truth).float().sum((1, 2)), (guess | truth).float().sum((1, 2))
    return weighted_mean(both / either.clamp(min=1.0), known & truth.any(2).any(1))
