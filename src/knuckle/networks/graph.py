"""Graph networks over the 21 joints of a hand and the 8 corners of the box that it holds, nodes 0 to 20 and 21 to 28.

Adjacency is learned: each layer has a matrix that begins as the skeleton's, the box's or the identity, and may become
neither symmetric nor positive.

Source: Zhuang and Mu, Joint Hand-Object Pose Estimation with Differentiably-Learned Physical Contact Point Analysis,
ICMR 2021, sections 3.1 and 3.2, with the sizes of its authors' code; Doosti et al., HOPE-Net, CVPR 2020, for the U-Net.
"""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from knuckle.skeleton import BONES, BOX_EDGES, JOINT_NAMES

JOINTS, CORNERS = len(JOINT_NAMES), 8
POINTS = JOINTS + CORNERS
# "context": the paper's; "separate": its two sub-graphs without the merged one; "hand" and "object": one of them alone;
# "u-net": HOPE-Net's Adaptive Graph U-Net over all points alike.
Lift: TypeAlias = Literal["context", "separate", "hand", "object", "u-net"]
LIFTS: tuple[Lift, ...] = ("context", "separate", "hand", "object", "u-net")
# Nodes of the U-Net's levels.
_LEVELS = (POINTS, 15, 7, 4, 2, 1)
_SMALLEST_SUM = 0.1


def adjacency(count: int, edges: Sequence[tuple[int, int]] = ()) -> Float[Tensor, "n n"]:
    """(N, N) the symmetric matrix of a graph's edges, with ones on the diagonal."""
    matrix = torch.eye(count)
    for first, second in edges:
        matrix[first, second] = matrix[second, first] = 1.0
    return matrix


def normalised(matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """D^-1/2 A D^-1/2 with the sums of the columns in D (Eq. 2); A has its self-loops.

    Learned weights can have columns whose sum is not positive, of which there is no root, or so small that they would
    multiply what goes through them: sums below a tenth count as a tenth.
    """
    scale = matrix.sum(0).clamp(min=_SMALLEST_SUM).rsqrt()
    return scale[:, None] * matrix * scale[None, :]


class Adjacency(nn.Module):
    """A learned adjacency matrix; called without arguments it gives the normalised one."""

    def __init__(self, initial: Float[Tensor, "n n"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(initial.clone())

    def forward(self) -> Tensor:
        """(N, N)."""
        return normalised(self.weight)


class GraphConv(nn.Module):
    """Eq. 1 without its activation: a linear layer of each node's weighted sum over the nodes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """(B, N, inputs), (N, N) -> (B, N, outputs)."""
        return self.linear(weights @ nodes)


class PointGraph(nn.Module):
    """Three layers that correct points in the picture, by the picture's features; one adjacency for all of them.

    Args:
        features: of the picture, which every node is given.
        widths: of the two hidden layers.
        residual: add to the given points, by nothing at first; otherwise, as in the paper, find them anew.
    """

    def __init__(self, features: int, widths: tuple[int, int] = (128, 16), residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.adjacency = Adjacency(adjacency(POINTS))
        sizes = (2 + features, *widths, 2)
        layers = [GraphConv(a, b) for a, b in itertools.pairwise(sizes)]
        if residual:
            _zero(layers[-1].linear)
        self.layers = nn.ModuleList(layers)

    def forward(self, points: Float[Tensor, "b 29 2"], features: Float[Tensor, "b f"]) -> Float[Tensor, "b 29 2"]:
        """Points in any unit in which they are of the order of one -> likewise."""
        weights = self.adjacency()
        nodes = torch.cat([points, features[:, None].expand(-1, POINTS, -1)], dim=-1)
        for i, layer in enumerate(self.layers):
            nodes = layer(nodes, weights)
            if i + 1 < len(self.layers):
                nodes = functional.relu(nodes)
        return points + nodes if self.residual else nodes


class SubGraph(nn.Module):
    """Three layers, each with an adjacency of its own that begins as the given one, and a linear layer into space."""

    def __init__(self, initial: Float[Tensor, "n n"], width: int = 128) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GraphConv(2 if i == 0 else width, width) for i in range(3))
        self.adjacencies = nn.ModuleList(Adjacency(initial) for _ in range(3))
        self.last = nn.Linear(width, 3)

    def forward(self, points: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n 3"]:
        """(B, N, 2) -> (B, N, 3)."""
        nodes = points
        for layer, weights in zip(self.layers, self.adjacencies, strict=True):
            nodes = functional.relu(layer(nodes, weights()))
        return self.last(nodes)


class ContextGraph(nn.Module):
    """Six layers over hand and object together, whose result is added to the points in space they are given.

    Note:
        It sees the points alone, not what the sub-graphs saw; dropout is after every second layer.
    """

    def __init__(self, width: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GraphConv(3 if i == 0 else width, width) for i in range(6))
        self.adjacencies = nn.ModuleList(Adjacency(adjacency(POINTS)) for _ in range(6))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(width, 3)
        _zero(self.last)

    def forward(self, points: Float[Tensor, "b 29 3"]) -> Float[Tensor, "b 29 3"]:
        """(B, 29, 3), likewise out."""
        nodes = points
        for i, (layer, weights) in enumerate(zip(self.layers, self.adjacencies, strict=True)):
            nodes = functional.relu(layer(nodes, weights()))
            if i % 2:
                nodes = self.dropout(nodes)
        return points + self.last(nodes)


class GraphUNet(nn.Module):
    """HOPE-Net's Adaptive Graph U-Net: learned matrices pool the nodes level by level, and spread them out again.

    Args:
        width: of the first level; each further one has twice as many. 4 is that of its authors' code.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        down = [2, *(width * 2**i for i in range(len(_LEVELS) - 1))]
        up = [3, *down[1:]]
        self.adjacencies = nn.ModuleList(Adjacency(adjacency(nodes)) for nodes in _LEVELS[:-1])
        self.down = nn.ModuleList(GraphConv(a, b) for a, b in itertools.pairwise(down))
        self.pools = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(_LEVELS))
        self.middle = nn.Sequential(nn.Linear(down[-1], 20), nn.ReLU(), nn.Linear(20, down[-1]), nn.ReLU())
        self.spreads = nn.ModuleList(nn.Linear(b, a) for a, b in itertools.pairwise(_LEVELS))
        self.up = nn.ModuleList(GraphConv(2 * b, a) for a, b in itertools.pairwise(up))

    def forward(self, points: Float[Tensor, "b 29 2"]) -> Float[Tensor, "b 29 3"]:
        """(B, 29, 2) -> (B, 29, 3)."""
        nodes, kept = points, []
        for layer, weights, pool in zip(self.down, self.adjacencies, self.pools, strict=True):
            nodes = functional.relu(layer(nodes, weights()))
            kept.append(nodes)
            nodes = pool(nodes.transpose(1, 2)).transpose(1, 2)
        nodes = self.middle(nodes)
        for level in reversed(range(len(self.up))):
            wide = self.spreads[level](nodes.transpose(1, 2)).transpose(1, 2)
            nodes = self.up[level](torch.cat([kept[level], wide], dim=-1), self.adjacencies[level]())
            if level:
                nodes = functional.relu(nodes)
        return nodes


class Lifted(NamedTuple):
    """Points in space before and after the merged graph; the same without one."""

    initial: Tensor  # (B, 29, 3)
    points: Tensor  # (B, 29, 3)


class LiftGraph(nn.Module):
    """From 29 points in the picture into space.

    Args:
        kind: see `Lift`. What the sub-graph of the hand or of the object alone does not find is in the origin.
        dropout: of the merged graph.
        refine_only: the merged graph's loss leaves the sub-graphs alone, as in the authors' code.
    """

    def __init__(self, kind: Lift = "context", dropout: float = 0.3, refine_only: bool = False) -> None:
        super().__init__()
        if kind not in LIFTS:
            raise ValueError(f"kind must be one of {', '.join(LIFTS)} but got {kind!r}")
        self.refine_only = refine_only
        both = kind in ("context", "separate")
        self.hand = SubGraph(adjacency(JOINTS, BONES)) if both or kind == "hand" else None
        self.object = SubGraph(adjacency(CORNERS, BOX_EDGES)) if both or kind == "object" else None
        self.context = ContextGraph(dropout=dropout) if kind == "context" else None
        self.unet = GraphUNet() if kind == "u-net" else None

    def forward(self, points: Float[Tensor, "b 29 2"]) -> Lifted:
        """(B, 29, 2) -> Lifted."""
        if self.unet is not None:
            found = self.unet(points)
            return Lifted(found, found)
        hand, box = points[:, :JOINTS], points[:, JOINTS:]
        nothing = torch.zeros_like(points[..., :1]).expand(-1, -1, 3)
        joints = nothing[:, :JOINTS] if self.hand is None else self.hand(hand)
        corners = nothing[:, JOINTS:] if self.object is None else self.object(box)
        initial = torch.cat([joints, corners], dim=1)
        if self.context is None:
            return Lifted(initial, initial)
        return Lifted(initial, self.context(initial.detach() if self.refine_only else initial))


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
