"""What a stage trains, with which optimiser, and how its rate goes up and down."""

import math

import torch
from torch import nn

from knuckle.systems.system import Stage
from knuckle.train.muon import MuonAdamW


def rate_of(name: str, stage: Stage) -> float | None:
    """The highest rate of a parameter by the longest prefix of its name; None where it is frozen."""
    fitting = [prefix for prefix in stage.rates if name.startswith(prefix)]
    rate = stage.rates[max(fitting, key=len)] if fitting else 0.0
    return rate or None


def prepare_stage(network: nn.Module, stage: Stage, threads: int, dtype: torch.dtype) -> torch.optim.Optimizer:
    """Freezes what a stage does not train, and makes its optimiser.

    Weight decay is for matrices and kernels; biases, scales and embeddings go without. Each group has its highest rate
    as `peak`; `set_rates` makes the rate of a step of it.

    Raises:
        ValueError: a prefix fits no parameter, or nothing is left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    for prefix in stage.rates:
        if not any(name.startswith(prefix) for name in names):
            raise ValueError(f"stage {stage.name} has a rate for {prefix!r} but no parameter's name begins so")
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        rate = rate_of(name, stage)
        parameter.requires_grad_(rate is not None)
        if rate is not None:
            groups.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    if not groups:
        raise ValueError(f"stage {stage.name} must train something but all its rates are 0")
    set_modes(network)
    settings = [
        {"params": parameters, "lr": rate, "peak": rate, "weight_decay": stage.weight_decay if decays else 0.0}
        for (rate, decays), parameters in groups.items()
    ]
    first = settings[0]["lr"]
    if stage.optimiser == "muon":
        return MuonAdamW(settings, lr=first, threads=threads, dtype=dtype)
    if stage.optimiser == "adamw":
        return torch.optim.AdamW(settings, lr=first, betas=(0.9, 0.99))
    if stage.optimiser == "adam":
        return torch.optim.Adam([{**s, "weight_decay": 0.0} for s in settings], lr=first)
    return torch.optim.SGD(settings, lr=first, momentum=0.9)


def set_modes(network: nn.Module) -> None:
    """Training mode where something is trained, evaluation mode where all parameters are frozen.

    A module without parameters, such as dropout, goes with the module that it is part of.
    """
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def set_rates(optimiser: torch.optim.Optimizer, stage: Stage, progress: float) -> None:
    """The rates of a step."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * schedule(stage, progress)


def schedule(stage: Stage, progress: float) -> float:
    """The rate in parts of its highest: a straight rise, then what the stage says."""
    if progress < stage.warmup:
        return max(progress, 1e-3 * stage.warmup) / stage.warmup
    if stage.schedule == "cosine":
        done = (progress - stage.warmup) / max(1.0 - stage.warmup, 1e-9)
        return 0.005 + 0.995 * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
    if stage.schedule == "step":
        return stage.gamma ** sum(progress >= milestone for milestone in stage.milestones)
    return 1.0


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the averaged weights, and the statistics of the normalisation, a little towards the current ones."""
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1.0 - decay)
        else:
            mine.copy_(theirs)
