"""Hand detector: a heatmap of hand centres and, in each cell, box, direction, side and, for training, 21 joints."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from knuckle.networks.blocks import Trunk, conv_norm, normal_, pixels_to_input, up_to
from knuckle.skeleton import JOINT_NAMES


class DetectorOutput(NamedTuple):
    """Per cell of a map with one cell for every 8 pixels."""

    centre: Tensor  # (B, h, w) logit: the centre of a hand's box lies in this cell
    edges: Tensor  # (B, 4, h, w) log of the (left, top, right, bottom) distances from the cell's centre, in cells
    direction: Tensor  # (B, 2, h, w) x and y of the direction from the wrist to the knuckles; shorter where uncertain
    side: Tensor  # (B, h, w) logit: a left hand
    joints: Tensor | None = None  # (B, 21, 2, h, w) from the centre of the box, in lengths of its longer side


class DetectorNetwork(nn.Module):
    """Residual trunk down to 1/32 of the picture's size, with a feature pyramid up to 1/8.

    Args:
        stem, widths, blocks: see `Trunk`; two strided convolutions and three stages make 1/32.
        width: channels of the pyramid.
        joints: whether it has a head for the joints too. All other weights are the same with and without.
    """

    def __init__(
        self,
        stem: tuple[int, ...] = (16, 32),
        widths: tuple[int, ...] = (64, 128, 192),
        blocks: tuple[int, ...] = (1, 2, 2),
        width: int = 96,
        joints: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(stem, widths, blocks)
        self.lateral = nn.ModuleList([conv_norm(channels, width, kernel=1) for channels in widths])
        self.smooth = nn.ModuleList([conv_norm(width, width) for _ in widths[:-1]])
        self.whole = nn.Linear(widths[-1], width)
        self.heads = nn.Conv2d(width, 8, 1)
        normal_(self.heads, 0.01)
        nn.init.constant_(self.heads.bias[:1], -4.0)  # pyright: ignore[reportArgumentType, reportOptionalSubscript]
        nn.init.constant_(self.heads.bias[1:5], 1.2)  # pyright: ignore[reportArgumentType, reportOptionalSubscript]
        # Last: the random initial weights of the others do not depend on it.
        self.joints = nn.Conv2d(width, 2 * len(JOINT_NAMES), 1) if joints else None
        if self.joints is not None:
            normal_(self.joints, 0.01)

    def forward(self, pictures: Tensor) -> DetectorOutput:
        """(B, H, W, 3) RGB of 0..255, H and W multiples of 32 -> DetectorOutput."""
        features = self.trunk(pixels_to_input(pictures))
        x = self.lateral[-1](features[-1]) + self.whole(features[-1].mean((2, 3)))[..., None, None]
        for level in range(len(features) - 2, -1, -1):
            x = functional.relu(self.lateral[level](features[level]) + up_to(x, features[level]))
            x = functional.relu(self.smooth[level](x))
        maps = self.heads(x).float()
        joints = None if self.joints is None else self.joints(x).float().unflatten(1, (-1, 2))
        return DetectorOutput(maps[:, 0], maps[:, 1:5], maps[:, 5:7], maps[:, 7], joints)
