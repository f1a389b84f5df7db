"""Losses of a detector: known answers, and cells and joints that do not count."""

import math

import pytest
import torch

from knuckle.losses.detection import box_overlap_loss, centre_focal, joint_offset_loss


def test_joints_are_compared_where_they_count_and_nowhere_else():
    truth = torch.randn(2, 21, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    guess = truth.clone()
    weights = torch.zeros(2, 21, 3, 4)
    # One joint off by 0.3 and 0.1 in a cell that counts whole, another exact where it counts half.
    guess[0, 5, :, 1, 2] += torch.tensor([0.3, -0.1])
    weights[0, 5, 1, 2] = 1.0
    weights[1, 7, 0, 0] = 0.5
    guess[0, 6] += 100.0
    guess[1, 7, :, 2, 3] -= 100.0
    guess.requires_grad_()
    loss = joint_offset_loss(guess, truth, weights)
    assert loss.weight.item() == 1.5
    assert loss.value.item() == pytest.approx(0.2 / 1.5, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss.value, guess)
    assert gradient.abs().sum(2).nonzero().tolist() == [[0, 5, 1, 2]]


def test_no_joint_that_counts_is_a_loss_of_0():
    points = torch.ones(1, 21, 2, 2, 2)
    assert joint_offset_loss(points, -points, torch.zeros(1, 21, 2, 2)).value.item() == 0.0


def test_boxes_overlap_by_areas():
    def edges(left, top, right, bottom):
        return torch.tensor([left, top, right, bottom]).view(1, 4, 1, 1)

    same = box_overlap_loss(edges(1.0, 1.0, 1.0, 1.0), edges(1.0, 1.0, 1.0, 1.0))
    assert same.item() == pytest.approx(0.0, abs=1e-6)
    # Half of the true box and nothing else: the smallest box around both is the true one.
    half = box_overlap_loss(edges(1.0, 1.0, 0.0, 1.0), edges(1.0, 1.0, 1.0, 1.0))
    assert half.item() == pytest.approx(0.5)


def test_a_centre_missed_costs_more_than_one_given_half():
    wanted = torch.zeros(1, 3, 3)
    wanted[0, 1, 1] = 1.0
    sure = torch.full((1, 3, 3), -20.0)
    found = sure.clone()
    found[0, 1, 1] = 20.0
    assert centre_focal(found, wanted).value.item() == pytest.approx(0.0, abs=1e-6)
    unsure = sure.clone()
    unsure[0, 1, 1] = 0.0
    assert centre_focal(unsure, wanted).value.item() == pytest.approx(math.log(2) / 4, rel=1e-4)
    assert centre_focal(sure, wanted).value.item() == pytest.approx(20.0, rel=1e-4)
