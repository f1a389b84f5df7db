"""Losses on codes: known values, signs of gradients, and centres that come to life."""

import math

import pytest
import torch

from knuckle.losses.latent import (
    MARGIN,
    cluster_loss,
    normal_divergence,
    pair_loss,
    reseeding_loss,
    triplet_loss,
)


def line(*places):
    """Codes on a line."""
    return torch.tensor([[place, 0.0] for place in places], requires_grad=True)


def test_divergence_is_zero_for_the_standard_normal_alone():
    zero = torch.zeros(2, 5)
    assert normal_divergence(zero, zero).tolist() == [0.0, 0.0]
    assert (normal_divergence(torch.randn(50, 5), torch.randn(50, 5)) > 0).all()
    # Of N(m, s^2): (m^2 + s^2 - 1) / 2 - ln s, summed.
    found = normal_divergence(torch.full((1, 3), 2.0), torch.full((1, 3), math.log(4.0)))
    assert float(found) == pytest.approx(3 * (3.5 - math.log(2.0)))


def test_a_triplet_costs_ln_2_at_worst_and_nothing_where_the_other_is_far():
    category = torch.tensor([0, 0, 1])
    code = line(0.0, 1.0, 0.0)
    loss = triplet_loss(code, category)
    # From the first: the other category lies upon it. From the second: at the same distance as its own.
    assert loss.weight.item() == 2
    expected = math.log(2.0) + math.log(2 - 1 / (1 + MARGIN))
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    loss.total.backward()
    # A step against the gradient takes the other category away, and brings its own nearer.
    near = line(0.0, 1.0, 0.5)
    triplet_loss(near, category).total.backward()
    assert near.grad[2, 0] < 0 or near.grad[0, 0] != 0
    moved = (near - 0.05 * near.grad).detach()
    assert triplet_loss(moved, category).total.item() < triplet_loss(near, category).total.item()

    far = line(0.0, 1.0, 1.0 + math.sqrt(1 + MARGIN) + 1e-3)
    loss = triplet_loss(far, category)
    assert loss.total.item() == 0.0
    loss.total.backward()
    assert not far.grad.any()
    assert pair_loss(far, category).value.item() == pytest.approx(1.0)


def test_names_of_categories_do_not_matter_and_unknown_ones_take_no_part():
    code, category = torch.randn(8, 4), torch.tensor([0, 0, 1, 1, 2, 2, 2, 0])
    other = torch.tensor([5, 3, 9])[category]
    for loss in (triplet_loss, pair_loss):
        assert torch.equal(loss(code, category).total, loss(code, other).total)
        more, unknown = torch.cat([code, torch.randn(3, 4)]), torch.cat([category, torch.full((3,), -1)])
        torch.testing.assert_close(loss(more, unknown), loss(code, category))
    # No pair, no triplet: no loss, and a gradient that is 0 and not NaN.
    for alone in ([0, 1, 2], [0, 0, 0], [-1, -1, -1]):
        some = torch.randn(3, 4, requires_grad=True)
        loss = triplet_loss(some, torch.tensor(alone))
        assert (loss.total.item(), loss.weight.item()) == (0.0, 0.0)
        loss.total.backward()
        assert some.grad.isfinite().all()


def test_equal_codes_of_a_category_are_finite():
    code = line(0.0, 0.0, 0.0)
    loss = triplet_loss(code, torch.tensor([0, 0, 1]))
    assert loss.value.item() == pytest.approx(math.log(2.0))
    loss.total.backward()
    assert code.grad.isfinite().all()


def test_a_centre_moves_to_the_mean_of_its_codes():
    code = line(1.0, 2.0, 6.0)
    centres = torch.nn.Parameter(torch.tensor([[0.5, 0.0], [7.0, 0.0]]))
    assert cluster_loss(centres.detach(), centres).value.item() == 0.0
    losses = []
    for _ in range(60):
        loss = cluster_loss(code.detach(), centres).total
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, centres)
        centres.data -= 0.1 * gradient
    assert losses == sorted(losses, reverse=True)
    torch.testing.assert_close(centres.data, torch.tensor([[1.5, 0.0], [6.0, 0.0]]), atol=1e-3, rtol=0)
    cluster_loss(code, centres).total.backward()
    assert code.grad[0, 0] < 0 < code.grad[1, 0], "codes are drawn to their centre"


def test_dead_centres_are_drawn_to_where_codes_are_badly_served():
    code = line(0.0, 0.2, 5.0, 9.0).detach()
    centres = torch.nn.Parameter(torch.tensor([[0.1, 0.0], [50.0, 0.0], [60.0, 0.0]]))
    loss = reseeding_loss(code, centres)
    assert loss.weight.item() == 2
    (gradient,) = torch.autograd.grad(loss.total, centres)
    assert not gradient[0].any(), "a living centre is left alone"
    # The first to the farthest code, the second to the next.
    torch.testing.assert_close(gradient[1:, 0], 2 * torch.tensor([50.0 - 9.0, 60.0 - 5.0]))
    optimiser = torch.optim.SGD([centres], 0.2)
    for _ in range(40):
        optimiser.zero_grad()
        (cluster_loss(code, centres).value + reseeding_loss(code, centres).value).backward()
        optimiser.step()
    assert cluster_loss(code, centres).value.item() < 0.1
    assert reseeding_loss(code, centres).weight.item() == 0
