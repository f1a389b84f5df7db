"""From heatmaps of joints to a pose in space: the canonical pose, decoded from a latent code, and the viewpoint.

Source: PosePrior of Zimmermann and Brox (ICCV 2017), with the latent code of Gao et al. (RA-L 2019) between its
convolutions and its linear layers. In the code that Gao et al. published the pose is computed from the convolutions
past the code, which then is a mere regulariser; `bypass` does that.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.networks.blocks import full_precision
from knuckle.networks.variational import GaussianLatent, sampled
from knuckle.networks.zimmermann import CELLS, as_in_source, conv, scaled
from knuckle.skeleton import JOINT_NAMES

_JOINTS = len(JOINT_NAMES)


class PriorOutput(NamedTuple):
    """What is known of a pose before its viewpoint."""

    canonical: Tensor  # (B, 21, 3) about the wrist, lengths of the reference bone, a left hand's
    mean: Tensor  # (B, D) of the code; where there is none, the features that the pose is computed from
    log_variance: Tensor | None  # (B, D)


class PosePrior(nn.Module):
    """Heatmaps and the side to a canonical pose.

    Args:
        latent: size of the code; 0 for none, the network as Zimmermann and Brox have it.
        bypass: compute the pose past the code.
        factor: of the convolutions' widths.
        dropout: behind each of the two linear layers.
        norm: see `knuckle.networks.zimmermann`.
    """

    def __init__(
        self, latent: int = 256, bypass: bool = False, factor: float = 1.0, dropout: float = 0.2, norm: bool = False
    ) -> None:
        super().__init__()
        self.bypass = bypass
        self.convolutions = _strided((32, 64, 128), factor, norm)
        features = scaled(128, factor) * (CELLS // 8) ** 2
        as_in_source(self)
        self.latent = GaussianLatent(features, latent) if latent else None
        self.code_size = latent or features
        given = features if bypass or not latent else latent
        self.dropout = dropout
        self.layers = nn.ModuleList([nn.Linear(given + 2, 512), nn.Linear(512, 512)])
        self.last = nn.Linear(512, 3 * _JOINTS)
        for part in (self.layers, self.last):
            as_in_source(part)

    def encode(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(B, 21, 32, 32) -> features of the convolutions, the code's mean, and the logarithm of its variance."""
        features = self.convolutions(maps).flatten(1)
        if self.latent is None:
            return features, features, None
        return features, *self.latent(features)

    def decode(self, code: Tensor, side: Tensor) -> Tensor:
        """A code (B, D), or features with `bypass`, and the side (B, 2) -> canonical pose (B, 21, 3)."""
        x = torch.cat([code, side.to(code.dtype)], dim=1)
        for layer in self.layers:
            x = functional.dropout(functional.leaky_relu(layer(x), 0.01), self.dropout, self.training)
        return self.last(x).unflatten(1, (_JOINTS, 3))

    def forward(self, maps: Tensor, side: Tensor, generator: torch.Generator | None = None) -> PriorOutput:
        """
        Args:
            maps: (B, 21, 32, 32).
            side: (B, 2) 1 in the first place for left hands, in the second for right ones.
            generator: to draw codes with; None takes their means.
        """
        features, mean, log_variance = self.encode(maps)
        code = features
        if log_variance is not None and not self.bypass:
            code = sampled(mean, log_variance, generator)
        return PriorOutput(self.decode(code, side), mean, log_variance)


class Viewpoint(nn.Module):
    """Heatmaps and the side to the rotation from the canonical frame to the camera's.

    Args: see `PosePrior`; dropout of a quarter is the source's.
    """

    def __init__(self, factor: float = 1.0, dropout: float = 0.25, norm: bool = False) -> None:
        super().__init__()
        self.convolutions = _strided((64, 128, 256), factor, norm)
        features = scaled(256, factor) * (CELLS // 8) ** 2
        self.dropout = dropout
        self.layers = nn.ModuleList([nn.Linear(features + 2, 256), nn.Linear(256, 128)])
        self.last = nn.Linear(128, 3)
        as_in_source(self)

    def forward(self, maps: Tensor, side: Tensor) -> Tensor:
        """(B, 21, 32, 32), (B, 2) -> proper rotations (B, 3, 3), for points as rows."""
        x = torch.cat([self.convolutions(maps).flatten(1), side.to(maps.dtype)], dim=1)
        for layer in self.layers:
            x = functional.dropout(functional.leaky_relu(layer(x), 0.01), self.dropout, self.training)
        turn = self.last(x)
        with full_precision(turn.device.type):
            return axis_angle_to_matrix(turn.float())


def _strided(widths: tuple[int, ...], factor: float, norm: bool) -> nn.Sequential:
    """Pairs of 3x3 convolutions, the second of each with a stride of 2."""
    layers: list[nn.Module] = []
    channels = _JOINTS
    for width in widths:
        layers += [conv(channels, scaled(width, factor), norm=norm)]
        layers += [conv(scaled(width, factor), scaled(width, factor), stride=2, norm=norm)]
        channels = scaled(width, factor)
    return nn.Sequential(*layers)
