"""From an upright crop of a hand to 21 joints with uncertainty: heatmaps first, then self-attention over the joints."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.networks.blocks import Mixer, Trunk, conv_norm, normal_, pixels_to_input, up_to
from knuckle.networks.joint_groups import fusion_start
from knuckle.skeleton import FINGER_JOINTS, JOINT_NAMES


class HandOutput(NamedTuple):
    """The output for each crop; lengths relative to the side of the crop, u and v from its upper left corner."""

    heat: Tensor  # (B, 21, h, w) logits over the cells
    rough: Tensor  # (B, 21, 3) u, v and depth from the heatmaps
    joints: Tensor  # (B, 21, 3) u, v and depth after self-attention over the joints
    log_scale: Tensor  # (B, 21) logarithm of the expected absolute error of each coordinate
    side: Tensor  # (B,) logit: this crop shows a left hand
    presence: Tensor  # (B,) logit: there is a hand
    vertices: Tensor | None = None  # (B, V, 3) u, v and depth of a mesh, where the network has a head for it
    mask: Tensor | None = None  # (B, h, w) logits of the whole hand, hidden parts too, where it has a head for that


class HandNetwork(nn.Module):
    """Residual trunk, one heatmap and one depth map per joint, and a few layers of self-attention over the joints.

    Heatmaps are translation-equivariant, as convolutions are; the features of each joint are then pooled under its
    heatmap, and attention infers hidden joints from visible ones.

    Args:
        stem, widths, blocks: see `Trunk`.
        width: channels of the maps and of the joint tokens.
        layers: attention layers over the joints.
        vertices: of the mesh that is predicted too; 0 for none.
        mesh_rank: in how many directions the mesh may depart from what the joints alone say of it.
        fuse: channels of each finger's branch of `FingerFusion`, beside the attention; 0 for none.
        mask: whether it has a head for the mask of the whole hand. All other weights are the same with and without.
    """

    def __init__(
        self,
        stem: tuple[int, ...] = (32,),
        widths: tuple[int, ...] = (64, 128, 256),
        blocks: tuple[int, ...] = (1, 2, 2),
        width: int = 128,
        layers: int = 2,
        vertices: int = 0,
        mesh_rank: int = 96,
        fuse: int = 0,
        mask: bool = False,
    ) -> None:
        super().__init__()
        joints = len(JOINT_NAMES)
        self.mesh = MeshHead(joints, width, vertices, mesh_rank) if vertices else None
        self.trunk = Trunk(stem, widths, blocks)
        self.from_fine = nn.Conv2d(widths[-2], width, 1, bias=False)
        self.from_coarse = conv_norm(widths[-1], width, kernel=1)
        self.merge = conv_norm(width, width)
        self.maps = nn.Conv2d(width, 2 * joints, 1)
        self.gather = nn.Linear(width, width)
        self.place = nn.Linear(3, width)
        self.whole = nn.Linear(widths[-1], width)
        self.names = nn.Parameter(0.02 * torch.randn(joints, width))
        self.mixers = nn.Sequential(*(Mixer(width) for _ in range(layers)))
        self.correct = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4))
        self.judge = nn.Linear(widths[-1], 2)
        normal_(self.maps, 0.01)
        normal_(self.correct[1], 0.001)
        # Last: the random initial weights of the others do not depend on them.
        self.fusion = FingerFusion(width, fuse) if fuse else None
        self.mask = nn.Conv2d(width, 1, 1) if mask else None
        if self.mask is not None:
            normal_(self.mask, 0.01)

    def forward(self, pictures: Tensor) -> HandOutput:
        """(B, H, W, 3) RGB of 0..255, uint8 or float -> HandOutput."""
        features = self.trunk(pixels_to_input(pictures))
        fine, coarse = features[-2], features[-1]
        merged = functional.relu(self.from_fine(fine) + up_to(self.from_coarse(coarse), fine))
        merged = functional.relu(self.merge(merged))
        heat, depth = self.maps(merged).float().chunk(2, dim=1)

        # Cell centres; expectations are in float32, as bfloat16 has steps of half a pixel here.
        rows, columns = heat.shape[-2:]
        weights = heat.flatten(2).softmax(-1)
        across = (torch.arange(columns, device=heat.device) + 0.5) / columns
        down = (torch.arange(rows, device=heat.device) + 0.5) / rows
        grid = weights.view(-1, heat.shape[1], rows, columns)
        u = (grid.sum(2) * across).sum(-1)
        v = (grid.sum(3) * down).sum(-1)
        rough = torch.stack([u, v, (weights * depth.flatten(2)).sum(-1)], dim=-1)

        summary = coarse.mean((2, 3))
        gathered = weights.to(merged.dtype) @ merged.flatten(2).transpose(1, 2)
        tokens = self.gather(gathered) + self.place(4 * (rough - 0.5)) + self.whole(summary)[:, None] + self.names
        tokens = self.mixers(tokens) if self.fusion is None else self.mixers(tokens) + self.fusion(tokens)
        change = self.correct(tokens).float()
        side, presence = self.judge(summary).float().unbind(-1)
        joints = rough + change[..., :3]
        vertices = None if self.mesh is None else self.mesh(tokens, joints)
        mask = None if self.mask is None else self.mask(merged).float()[:, 0]
        return HandOutput(heat, rough, joints, change[..., 3] - 3.0, side, presence, vertices, mask)


class FingerFusion(nn.Module):
    """What the fingers, and the wrist, tell each other: a branch of features for each, mixed with those of the others.

    A branch takes the tokens of all joints of its finger and gives each of them a change, which is 0 at the start.

    Args:
        width: of the tokens.
        planes: channels of a branch.

    Source: the mix is `knuckle.networks.joint_groups.Fusion`, of vectors.
    """

    def __init__(self, width: int, planes: int) -> None:
        super().__init__()
        # In this order the groups' joints are the common order.
        self.groups = ((0,), *FINGER_JOINTS.values())
        count = len(self.groups)
        self.norm = nn.LayerNorm(width)
        self.branches = nn.ModuleList(nn.Linear(len(group) * width, planes) for group in self.groups)
        self.mix = nn.ModuleList(nn.Linear(count * planes, planes) for _ in self.groups)
        self.change = nn.ModuleList(nn.Linear(planes, len(group) * width) for group in self.groups)
        with torch.no_grad():
            for own, layer in enumerate(self.mix):
                layer.weight.copy_(fusion_start(own, count, planes))  # pyright: ignore[reportCallIssue]
                layer.bias.zero_()  # pyright: ignore[reportCallIssue]
        normal_(self.change, 0.0)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 21, width) -> (B, 21, width), to be added to what comes of the tokens otherwise."""
        by_group = self.norm(tokens).split([len(group) for group in self.groups], dim=1)
        branches = zip(self.branches, by_group, strict=True)
        joined = torch.cat([functional.gelu(branch(part.flatten(1))) for branch, part in branches], dim=1)
        changes = [change(functional.gelu(mix(joined))) for mix, change in zip(self.mix, self.change, strict=True)]
        return torch.cat(changes, dim=1).view_as(tokens)


class MeshHead(nn.Module):
    """From the joints and their tokens to the vertices of a mesh: each a weighted sum of the joints, and a departure.

    Args:
        joints, width: how many tokens, and their length.
        vertices: of the mesh.
        rank: of the departures of all vertices together.
    """

    def __init__(self, joints: int, width: int, vertices: int, rank: int) -> None:
        super().__init__()
        self.blend = nn.Linear(joints, vertices, bias=False)
        self.code = nn.Sequential(nn.LayerNorm(width), nn.Flatten(1), nn.Linear(joints * width, rank), nn.GELU())
        self.depart = nn.Linear(rank, 3 * vertices)
        # All vertices begin in the middle of the joints.
        nn.init.constant_(self.blend.weight, 1.0 / joints)
        normal_(self.depart, 0.001)

    def forward(self, tokens: Tensor, joints: Tensor) -> Tensor:
        """(B, J, width), (B, J, 3) -> (B, V, 3), in the joints' units; no gradient passes through the joints."""
        placed = self.blend(joints.detach().float().transpose(1, 2)).transpose(1, 2)
        return placed.float() + self.depart(self.code(tokens)).float().unflatten(1, (-1, 3))
