"""Weighted sums: exact in any precision, and without the labels that are not there."""

import pytest
import torch

from knuckle.losses.mean import fill_missing, weighted_mean


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_weights_are_counted_exactly(dtype):
    values = torch.ones(64, 21, dtype=dtype)
    weights = torch.ones(64, 21, dtype=torch.bool)
    weights[0, :3] = False
    for mean, count in ((weighted_mean(values, weights), 1341), (weighted_mean(values[:, :19]), 1216)):
        assert (float(mean.total), float(mean.weight)) == (count, count)


def test_a_label_that_no_example_has_is_masked():
    guess = torch.randn(3, 21, 2, requires_grad=True)
    truth, known = fill_missing(None, guess)
    assert not known.any()
    assert known.shape == (3, 21)
    mean = weighted_mean((guess - truth).abs().mean(-1), known)
    mean.value.backward()
    assert (float(mean.value.detach()), float(guess.grad.abs().max())) == (0.0, 0.0)


def test_rows_without_a_label_have_no_error_and_no_gradient():
    guess = torch.randn(4, 3, requires_grad=True)
    truth = torch.zeros(4, 3)
    truth[1] = torch.nan
    filled, known = fill_missing(truth, guess)
    assert known.tolist() == [True, False, True, True]
    weighted_mean((guess - filled).abs().mean(-1), known).total.backward()
    assert guess.grad.isfinite().all()
    assert float(guess.grad[1].abs().max()) == 0.0
