"""The biomechanical losses, and the same a hand at a time."""

import numpy as np
import torch

from knuckle.handmodel import human_limits
from knuckle.handmodel.ranges import normalised
from knuckle.losses.biomechanics import biomechanical_losses
from timings.hand import random_joints
from timings.timing import Task

FEW, MANY = 64, 4096
_NOISE = 0.005  # metres: as a network's first guesses


def _guesses(count: int) -> torch.Tensor:
    noise = _NOISE * np.random.default_rng(2).normal(size=(count, 21, 3))
    joints = normalised(random_joints(count) + noise, human_limits().bone)
    return torch.tensor(joints, dtype=torch.float32, requires_grad=True)


def _gradient(joints: torch.Tensor) -> torch.Tensor:
    losses = biomechanical_losses(joints, _LIMITS)
    return torch.autograd.grad((losses.bones + losses.palm + losses.angles).sum(), joints)[0]


_LIMITS = human_limits()


def few() -> Task:
    """64 hands in float32, noisy ones: the three losses, and the gradient of their sum by the joints."""
    joints = _guesses(FEW)
    return Task(lambda _: _gradient(joints), goal_ms=5.0, against="biomechanical losses, 64 hands, a hand at a time")


def many() -> Task:
    """The same of 4,096 hands."""
    joints = _guesses(MANY)
    return Task(lambda _: _gradient(joints), goal_ms=100.0)


def few_naive() -> Task:
    """64 hands, each by itself."""
    hands = [joints.detach().clone().requires_grad_() for joints in _guesses(FEW)]
    return Task(lambda _: [_gradient(hand) for hand in hands])
