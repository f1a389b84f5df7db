"""A latent code with a normal distribution, and the mask of a whole hand that is decoded from one."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Logarithms of variances beyond it overflow, or have no effect.
_LARGEST_LOG = 8.0


class GaussianLatent(nn.Module):
    """Three linear layers, then mean and logarithm of the variance of a code.

    The source prints layers of 256, 128 and 128 and a code of 256, which fit together with two heads behind them.

    Args:
        inputs: features.
        size: of the code.
        widths: of the layers.
    """

    def __init__(self, inputs: int, size: int = 256, widths: tuple[int, ...] = (256, 128, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.mean = nn.Linear(inputs, size)
        self.log_variance = nn.Linear(inputs, size)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, inputs) -> mean and log of the variance, (B, size) each."""
        hidden = self.layers(features)
        return self.mean(hidden), self.log_variance(hidden).clamp(-_LARGEST_LOG, _LARGEST_LOG)


def sampled(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None) -> Tensor:
    """A code drawn from its distribution; its mean where there is no generator, as in prediction."""
    if generator is None:
        return mean
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
    return mean + noise.to(mean.dtype) * (0.5 * log_variance).exp()


class MaskDecoder(nn.Module):
    """From a code to the logits of a mask: a linear layer to 8 x 8 cells, then doublings, each with a convolution.

    The source says no more of this network than its output; the layers are ours.

    Args:
        latent: size of the code.
        size: pixels along one side of the mask, 8 times a power of 2.
        width: channels of the 8 x 8 cells; halved with each doubling, down to 8.
    """

    def __init__(self, latent: int = 256, size: int = 256, width: int = 256) -> None:
        super().__init__()
        doublings = (size // 8).bit_length() - 1
        if 8 * 2**doublings != size or doublings < 1:
            raise ValueError(f"size of the mask must be 8 times a power of 2, at least 16, but got {size}")
        self.width = width
        self.spread = nn.Linear(latent, width * 64)
        layers, channels = [], width
        for _ in range(doublings):
            layers.append(nn.Conv2d(channels, max(channels // 2, 8), 3, padding=1))
            channels = max(channels // 2, 8)
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, code: Tensor) -> Tensor:
        """(B, latent) -> (B, size, size) logits."""
        x = functional.leaky_relu(self.spread(code), 0.01).unflatten(1, (self.width, 8, 8))
        for layer in self.layers:
            x = functional.leaky_relu(layer(functional.interpolate(x, scale_factor=2.0, mode="nearest")), 0.01)
        return self.last(x)[:, 0]
