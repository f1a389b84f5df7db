"""Building blocks of both shipped networks, and of others.

Plain 3x3 convolutions throughout: depthwise convolutions have fewer multiplications but train slower on a CPU,
where memory traffic of the feature maps dominates.
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions with a residual connection, which averages 2x2 pixels where `stride` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        # Initialised as the identity, which admits a high learning rate from the first steps on.
        nn.init.zeros_(self.second[1].weight)  # pyright: ignore[reportArgumentType]
        around: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if inputs != outputs:
            around.append(conv_norm(inputs, outputs, kernel=1))
        self.around = nn.Sequential(*around)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return functional.relu(self.second(functional.relu(self.first(x))) + self.around(x))


class Trunk(nn.Module):
    """A small residual network that returns the features of every stage, finest first.

    Args:
        stem: channels of each strided convolution before the stages.
        widths: channels of each stage; every stage halves the resolution.
        blocks: number of residual blocks in each stage.
    """

    def __init__(self, stem: tuple[int, ...], widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths and blocks must have one entry a stage but got {widths} and {blocks}")
        layers: list[nn.Module] = []
        channels = 3
        for width in stem:
            layers += [conv_norm(channels, width, stride=2), nn.ReLU()]
            channels = width
        self.stem = nn.Sequential(*layers)
        self.stages = nn.ModuleList()
        for width, count in zip(widths, blocks, strict=True):
            stage = [Residual(channels if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            self.stages.append(nn.Sequential(*stage))
            channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) pixels -> one feature map for each stage."""
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Mixer(nn.Module):
    """A pre-norm transformer layer over the joints: self-attention, then an MLP (named `think` in checkpoints)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, J, width) -> (B, J, width)."""
        batch, joints, width = tokens.shape
        packed = self.query_key_value(self.norm_1(tokens)).view(batch, joints, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        tokens = tokens + self.out((weights @ value).transpose(1, 2).reshape(batch, joints, width))
        return tokens + self.think(self.norm_2(tokens))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C) that can be given one example, as a thread's part of a small batch may be.

    One example has no statistics: the running ones serve.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(input)


def pixels_to_input(pictures: Tensor) -> Tensor:
    """(B, H, W, 3) RGB of 0..255, any dtype -> (B, 3, H, W) of about -2..2. Grey 128 becomes 0, as padding."""
    return (pictures.permute(0, 3, 1, 2).float() - 128.0) / 64.0


def up_to(x: Tensor, like: Tensor) -> Tensor:
    """Upsamples a map of half the resolution to the size of `like`, by nearest neighbours."""
    return functional.interpolate(x, size=like.shape[-2:], mode="nearest")


def normal_(module: nn.Module, deviation: float) -> None:
    """Initialises an output layer with small normal weights and zero biases."""
    with torch.no_grad():
        for name, values in module.named_parameters():
            nn.init.normal_(values, std=deviation) if name.endswith("weight") else nn.init.zeros_(values)


def full_precision(device: str) -> "torch.autocast | nullcontext[None]":
    """A context in which nothing is computed in bfloat16.

    Args:
        device: its type, as of `tensor.device.type`.
    """
    # Outside of autocast nothing is entered, so that an exported graph is the plain one.
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
