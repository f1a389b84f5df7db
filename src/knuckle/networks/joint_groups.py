"""Joints in groups that have features of their own, and a selector that learns which joint belongs to which group.

Source: Li et al., Exploiting Learnable Joint Groups for Hand Pose Estimation, AAAI 2021. Layers that the text does not
print are as in the authors' code; where that has several normalisations or none, we have one after each convolution.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.networks.blocks import Residual, conv_norm
from knuckle.networks.hourglass import HourglassNetwork, HourglassOutput, SoftArgmax, expected_place
from knuckle.skeleton import JOINT_NAMES

# The share of a group's own features at the start of fusion.
_OWN_SHARE = 0.9


class Grouped(NamedTuple):
    """Joints from the branches; uv and depth are those that the selection takes."""

    uv: Tensor  # (B, 21, 2) in sides of the crop, from its upper left corner
    depth: Tensor  # (B, 21) behind the root, in lengths of the bone
    heat: Tensor  # (B, K, 21, h, w) logits of all branches over the cells
    selection: Tensor  # (21, K), each row with a sum of 1


class JointGroupsOutput(NamedTuple):
    """The output for each crop; `grouped` is None where only the hourglass was asked."""

    hourglass: HourglassOutput
    grouped: Grouped | None


class JointGroupsNetwork(nn.Module):
    """An hourglass, a branch of features for each group of joints, and heatmaps and depth maps of each branch.

    Every branch estimates all joints, and the selector takes each joint from one branch.

    Args:
        groups: how many, K; with 1 this is the paper's baseline.
        fuse: whether the branches' features are mixed; with one group there is nothing to mix.
        planes: channels of a branch.
        width, depth, blocks, size: see `HourglassNetwork`.

    Raises:
        ValueError: a number is not as described here.
    """

    def __init__(
        self,
        groups: int = 3,
        fuse: bool = True,
        planes: int = 32,
        width: int = 256,
        depth: int = 4,
        blocks: int = 2,
        size: int = 256,
    ) -> None:
        super().__init__()
        joints = len(JOINT_NAMES)
        if not 1 <= groups <= joints or planes < 1:
            raise ValueError(f"groups must be 1 to {joints}, planes at least 1, but got {groups}, {planes}")
        self.hourglass = HourglassNetwork(joints, width, depth, blocks, size)
        self.shared = nn.Sequential(Residual(width + joints, width // 2), Residual(width // 2, planes))
        self.branches = nn.ModuleList(GroupBranch(planes) for _ in range(groups))
        self.fusion = Fusion(groups, planes) if fuse and groups > 1 else None
        self.heads = nn.ModuleList(JointHead(planes, joints) for _ in range(groups))
        self.selector = Selector(joints, groups)

    def forward(self, image: Tensor, selection: Tensor | None = None) -> JointGroupsOutput:
        """All of it.

        Args:
            image: (B, 3, H, W) RGB of 0..255.
            selection: (21, K) with rows that sum to 1, as `Selector.sample` draws it; each joint's most probable group
                if None.
        """
        first = self.hourglass(image)
        shared = self.shared(torch.cat([first.features, first.heat.to(first.features.dtype)], dim=1))
        features = [branch(shared) for branch in self.branches]
        if self.fusion is not None:
            features = self.fusion(features)
        found = [head(one) for head, one in zip(self.heads, features, strict=True)]
        heat = torch.stack([heat for heat, _ in found], dim=1)
        depth = torch.stack([depth for _, depth in found], dim=1)
        selection = self.selector.most_probable() if selection is None else selection
        chosen = selection.T  # (K, 21), as the branches' outputs are laid out
        uv = (expected_place(heat) * chosen[..., None]).sum(1)
        return JointGroupsOutput(first, Grouped(uv, (depth * chosen).sum(1), heat, selection))

    def only_hourglass(self, image: Tensor) -> JointGroupsOutput:
        """The same without the branches."""
        return JointGroupsOutput(self.hourglass(image), None)


class Selector(nn.Module):
    """Which group each joint belongs to: logits of a Concrete distribution over the groups for each joint.

    Note:
        All logits begin at 1 / K, as printed: no group is preferred.
    """

    def __init__(self, joints: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        # A vector, so that no optimiser takes it for the weights of a layer, to be decayed or made orthogonal.
        self.logits = nn.Parameter(torch.full((joints * groups,), 1.0 / groups))

    @property
    def table(self) -> Tensor:
        """The logits, (joints, groups)."""
        return self.logits.view(-1, self.groups)

    def probabilities(self) -> Tensor:
        """(joints, groups): how often a sample is largest in each group, at any temperature."""
        return self.table.softmax(-1)

    def sample(self, temperature: float, generator: torch.Generator) -> Tensor:
        """(joints, groups) with rows that sum to 1, differentiable in the logits; near 0 and 1 at a low temperature.

        softmax((logits + G) / temperature), with G = -log(-log U) and U uniform

        Note:
            Eq. 8 of the paper has the temperature outside of the exponential, where it cancels.

        Source: Maddison et al., The Concrete Distribution; Jang et al., Categorical Reparameterization with
        Gumbel-Softmax; both ICLR 2017.
        """
        # -log U is an exponential variable, which is never 0 and so has a finite logarithm.
        exponential = torch.empty_like(self.table).exponential_(generator=generator)
        return ((self.table - exponential.log()) / temperature).softmax(-1)

    def most_probable(self) -> Tensor:
        """(joints, groups) 1 in each joint's most probable group, 0 elsewhere."""
        best = self.table.argmax(-1, keepdim=True)
        return (best == torch.arange(self.groups, device=best.device)).to(self.logits.dtype)

    @torch.no_grad()
    def set_groups(self, groups: Tensor) -> None:
        """Gives each joint a group, (joints,) of 0 to K - 1, that is certain next to any other."""
        self.table.copy_(20.0 * torch.nn.functional.one_hot(groups, self.groups).to(self.logits.dtype))


class GroupBranch(nn.Module):
    """The features of a group: at full resolution, and by way of half and a quarter of it."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.straight = _conv(planes, planes)
        self.fine = Residual(planes, planes)
        self.down_1, self.down_2 = Residual(planes, planes, 2), Residual(planes, planes, 2)
        self.up_2 = _doubled(planes)
        self.up_1 = nn.Sequential(_conv(2 * planes, planes), _doubled(planes))
        self.out = nn.Sequential(_conv(3 * planes, 2 * planes), Residual(2 * planes, planes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, planes, H, W), likewise out; H and W multiples of 4."""
        half = self.down_1(x)
        wide = self.up_1(torch.cat([self.up_2(self.down_2(half)), half], dim=1))
        return self.out(torch.cat([wide, self.fine(x), self.straight(x)], dim=1))


class Fusion(nn.Module):
    """The features of each group, mixed with those of the others by a 1x1 convolution of its own.

    At the start each group has 0.9 of its own features and shares 0.1 of the others', channel by channel.

    Source: Gao et al., NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs, CVPR 2019.
    """

    def __init__(self, groups: int, planes: int) -> None:
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(groups * planes, planes, 1) for _ in range(groups))
        self.norm = nn.ModuleList(nn.BatchNorm2d(planes) for _ in range(groups))
        with torch.no_grad():
            for own, layer in enumerate(self.mix):
                layer.weight.copy_(fusion_start(own, groups, planes)[..., None, None])  # pyright: ignore[reportCallIssue]
                layer.bias.zero_()  # pyright: ignore[reportCallIssue]

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """K times (B, planes, H, W), likewise out."""
        joined = torch.cat(features, dim=1)
        return [norm(mix(joined)) for mix, norm in zip(self.mix, self.norm, strict=True)]


def fusion_start(own: int, groups: int, planes: int) -> Tensor:
    """(planes, groups * planes) of a group: 0.9 of its own features and shares of 0.1 of the others', by channel.

    Source: see `Fusion`.
    """
    shares = [_OWN_SHARE if other == own else (1 - _OWN_SHARE) / (groups - 1) for other in range(groups)]
    return torch.cat([share * torch.eye(planes) for share in shares], dim=1)


class JointHead(nn.Module):
    """A heatmap and a depth map for each joint, and the expected depth under the heatmap."""

    def __init__(self, planes: int, joints: int) -> None:
        super().__init__()
        self.heat, self.depth = _maps(planes, joints), _maps(planes, joints)
        self.expect = SoftArgmax(joints)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, planes, h, w) -> logits (B, joints, h, w), depths (B, joints)."""
        heat = self.expect.sharpened(self.heat(features))
        weights = heat.flatten(2).softmax(-1)
        return heat, (weights * self.depth(features).float().flatten(2)).sum(-1)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(inputs, outputs, kernel=1), nn.ReLU())


def _doubled(planes: int) -> nn.Sequential:
    """Twice the resolution by a transposed convolution."""
    up = nn.ConvTranspose2d(planes, planes, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(up, nn.BatchNorm2d(planes), nn.ReLU())


def _maps(planes: int, joints: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(planes, planes, 3, padding=1), nn.ReLU(), nn.Conv2d(planes, joints, 3, padding=1))
