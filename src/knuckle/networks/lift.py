"""From a crop and its intrinsics to 21 joints in space, in lengths of one bone: pixels and relative depths are
regressed, the depth of the root follows in closed form, and a small network corrects it.

Source: Spurr et al., Weakly Supervised 3D Hand Pose Estimation via Biomechanical Constraints, ECCV 2020, sections 3.2
and 4; the sizes of the correction are those of its authors' later code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from knuckle.camera import viewing_rays
from knuckle.geometry.depth import root_depth
from knuckle.networks.backbone import open_backbone
from knuckle.networks.blocks import BatchNorm, full_precision
from knuckle.networks.hand import HandNetwork
from knuckle.skeleton import JOINT_NAMES

# Of the pictures that timm's backbones were pretrained on, in 0..255.
_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)
# The backbone that is not timm's.
OWN = "knuckle"


class LiftOutput(NamedTuple):
    """The output for each crop; lengths in space are in lengths of the reference bone."""

    uv: Tensor  # (B, 21, 2) in sides of the crop, from its upper left corner
    relative_depth: Tensor  # (B, 21) behind the root, whose own is 0
    closed_root: Tensor  # (B,) depth of the root in closed form
    root: Tensor  # (B,) the same after its correction
    joints: Tensor  # (B, 21, 3) in the frame of the crop's camera
    rays: Tensor  # (B, 21, 3) through them, with a depth of 1
    heat: Tensor | None = None  # (B, 21, h, w) logits over cells, where the backbone has heatmaps


class LiftNetwork(nn.Module):
    """A backbone that regresses two coordinates and a relative depth for each joint, and the lift into space.

    Args:
        backbone: a classifier of timm, whose features a linear layer reads, as the paper has it; or "knuckle", the
            package's hand network, whose heatmaps learn in a fraction of the steps.
        pretrained: fetch the weights of timm's.
        size: of the crop in pixels.
        bone: the two joints whose distance is 1.
        root: the joint that depths are relative to.
        root_range: the closed form's depth of the root is clamped to it: where the bone points at the camera, small
            errors would make it arbitrarily large.
        root_gradient: whether gradients pass through the closed form. Its slope is the root's depth over the length of
            the bone in the picture: errors of the root would outweigh everything else in the bone's two joints.
        hidden: width of the correction; 0 for none.

    Raises:
        ValueError: timm has no such backbone; the message lists similar names. Or pretrained with "knuckle".
        OSError: its weights cannot be fetched.
    """

    behind: Tensor

    def __init__(
        self,
        backbone: str = "resnet50",
        pretrained: bool = False,
        size: int = 128,
        bone: tuple[int, int] = (0, 9),
        root: int = 0,
        root_range: tuple[float, float] = (1.0, 30.0),
        root_gradient: bool = False,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.root_gradient = root_gradient
        self.bone, self.root_range = bone, root_range
        self.size = size
        if backbone == OWN and pretrained:
            raise ValueError(f"pretrained must be off for the backbone {OWN}; begin from a checkpoint")
        self.regressor = _HeatmapRegressor() if backbone == OWN else _Regressor(backbone, pretrained)
        self.refinement = RootRefinement(hidden) if hidden else None
        behind = torch.ones(len(JOINT_NAMES))
        behind[root] = 0.0
        self.register_buffer("behind", behind, persistent=False)

    def forward(self, image: Tensor, K: Tensor) -> LiftOutput:
        """(B, 3, H, W) RGB of 0..255, and (B, 3, 3) intrinsics in pixels of the crop -> LiftOutput."""
        regressed, heat = self.regressor(image)
        # Depths are differences of nearly equal numbers: nothing from here on is computed in bfloat16.
        with full_precision(regressed.device.type):
            lifted = self.lift(regressed[..., :2], regressed[..., 2] * self.behind, K)
        return lifted._replace(heat=heat)

    def lift(self, uv: Tensor, relative_depth: Tensor, K: Tensor) -> LiftOutput:
        """Into space.

        Args:
            uv: (B, 21, 2) in sides of the crop.
            relative_depth: (B, 21) behind the root, in lengths of the bone.
            K: (B, 3, 3) in pixels of the crop.
        """
        # Pixel centres are at integers.
        rays = viewing_rays(K, uv * self.size - 0.5)
        closed = root_depth(rays, relative_depth, self.bone).far.clamp(*self.root_range)
        if not self.root_gradient:
            closed = closed.detach()
        root = closed
        if self.refinement is not None:
            root = closed + self.refinement(relative_depth, rays[..., :2], closed)
        joints = (relative_depth + root[:, None])[..., None] * rays
        return LiftOutput(uv, relative_depth, closed, root, joints, rays)


class _Regressor(nn.Module):
    """A classifier of timm, and a linear layer on its features averaged over the crop."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, backbone: str, pretrained: bool) -> None:
        super().__init__()
        self.backbone = open_backbone(backbone, pretrained, (OWN,))
        width = int(self.backbone.num_features)
        self.head = nn.Linear(width, 3 * len(JOINT_NAMES))
        # All joints begin near the middle of the crop and at the depth of the root.
        nn.init.normal_(self.head.weight, std=0.03 * width**-0.5)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, 3, H, W) -> (B, 21, 3) u and v in sides of the crop, and a depth; None for heatmaps."""
        features = self.backbone((image.float() - self.mean) / self.deviation)
        with full_precision(features.device.type):
            regressed = self.head(features.float()).unflatten(1, (len(JOINT_NAMES), 3))
            return regressed + regressed.new_tensor([0.5, 0.5, 0.0]), None


class _HeatmapRegressor(nn.Module):
    """The package's hand network, its outputs of side, presence and uncertainty unused."""

    def __init__(self) -> None:
        super().__init__()
        self.network = HandNetwork()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, 3, H, W) -> (B, 21, 3) and (B, 21, h, w)."""
        output = self.network(image.permute(0, 2, 3, 1))
        # Its depths are in sides of a crop; of those, the bone is about a third.
        return output.joints * output.joints.new_tensor([1.0, 1.0, 3.0]), output.heat


class RootRefinement(nn.Module):
    """The correction of the root's depth, which is 0 before training.

    The depth it is given is detached: the closed form's slope can be arbitrarily steep.
    """

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * len(JOINT_NAMES) + 1, hidden),
            nn.Linear(hidden, hidden),
            BatchNorm(hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, hidden),
            BatchNorm(hidden),
            nn.LeakyReLU(),
        )
        self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, relative_depth: Tensor, xy: Tensor, root: Tensor) -> Tensor:
        """(B, 21), (B, 21, 2) rays at depth 1, (B,) -> (B,)."""
        given = torch.cat([relative_depth, xy.flatten(1), root.detach()[:, None]], dim=1)
        return self.last(self.layers(given))[:, 0]
