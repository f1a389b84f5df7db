"""From an upright crop of a hand to 21 joints with uncertainty: heatmaps first, then self-attention over the joints."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from knuckle.networks.blocks import Mixer, Trunk, conv_norm, normal_, pixels_to_input, up_to
from knuckle.skeleton import JOINT_NAMES


class HandOutput(NamedTuple):
    """The output for each crop; lengths relative to the side of the crop, u and v from its upper left corner."""

    heat: Tensor  # (B, 21, h, w) logits over the cells
    rough: Tensor  # (B, 21, 3) u, v and depth from the heatmaps
    joints: Tensor  # (B, 21, 3) u, v and depth after self-attention over the joints
    log_scale: Tensor  # (B, 21) logarithm of the expected absolute error of each coordinate
    side: Tensor  # (B,) logit: this crop shows a left hand
    presence: Tensor  # (B,) logit: there is a hand
    vertices: Tensor | None = None  # (B, V, 3) u, v and depth of a mesh, where the network has a head for it


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
        tokens = self.mixers(tokens)
        change = self.correct(tokens).float()
        side, presence = self.judge(summary).float().unbind(-1)
        joints = rough + change[..., :3]
        vertices = None if self.mesh is None else self.mesh(tokens, joints)
        return HandOutput(heat, rough, joints, change[..., 3] - 3.0, side, presence, vertices)


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
