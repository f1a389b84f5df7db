"""What networks cost: parameters and multiply-accumulates of I2L-MeshNet and its light versions, beside the published.

    python tools/measure_costs.py

Prints both tables of docs/mesh.md. Nothing is computed: tensors have shapes alone, so it takes a second.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from knuckle.networks.lixel import Decoder, LixelNetwork

MANO_VERTICES = 778
_SUMS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_ACTIVATIONS = (nn.ReLU, nn.SiLU, nn.Sigmoid)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


@dataclass(frozen=True)
class Row:
    """A row of Table 2: its name there, how the network is made, and the published billions and millions."""

    name: str
    backbone: str
    decoder: Decoder
    macs: float
    parameters: float


# Fan and Wang, Tables 1 and 2.
ROWS = (
    Row("Baseline", "resnet50", "original", 29.06, 136.63),
    Row("Ef-B0 Bb.", "efficientnet_b0", "original", 15.66, 66.65),
    Row("Ef-B0 Bb. + Dw Dec. (A)", "efficientnet_b0", "A", 5.43, 51.71),
    Row("Ef-B0 Bb. + MBConv Dec. (B)", "efficientnet_b0", "B", 5.53, 52.40),
    Row("Ef-B0 Bb. + Dw SE Dec. (C)", "efficientnet_b0", "C", 3.75, 51.49),
)
PARTS = {
    "pose_backbone": ("Pose Backbone", 5.38),
    "pose_head": ("Pose Decoder", 7.55),
    "aggregation": ("Heatmap Aggregation", 3.32),
    "mesh_backbone": ("Mesh Backbone", 5.22),
    "mesh_head": ("Mesh Decoder", 7.59),
}


@dataclass(frozen=True)
class Cost:
    """What a part of a network costs for one picture.

    Attributes:
        products: multiply-accumulates of convolutions and linear layers, without biases; of a transposed convolution
            its kernel at every position of the output, as flops-counter.pytorch counts it, which is 4 times what is
            done where it doubles the resolution.
        elementwise: what flops-counter.pytorch adds: 2 for each number that is normalised, 1 for each that passes an
            activation or a pooling, or that gets a bias.
    """

    products: int = 0
    elementwise: int = 0

    @property
    def total(self) -> int:
        """Both, as flops-counter.pytorch prints it."""
        return self.products + self.elementwise


def open_network(row: Row, size: int = 256, vertices: int = MANO_VERTICES) -> LixelNetwork:
    """The network of a row, without memory for its parameters."""
    with torch.device("meta"):
        return LixelNetwork(vertices, row.backbone, row.decoder, size).eval()


def costs_by_part(network: nn.Module, size: int = 256) -> dict[str, Cost]:
    """The cost of each child of a network that takes (1, 3, size, size), by its name."""
    counted: dict[str, Cost] = {}
    handles = []

    def count(part: str, module: nn.Module, given: tuple[Tensor, ...], output: Any) -> None:
        before, added = counted.get(part, Cost()), layer_cost(module, given[0], output)
        counted[part] = Cost(before.products + added.products, before.elementwise + added.elementwise)

    for part, child in network.named_children():
        for module in child.modules():
            handles.append(module.register_forward_hook(partial(count, part)))
    device = next(network.parameters()).device
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size, device=device))
    for handle in handles:
        handle.remove()
    return counted


def layer_cost(module: nn.Module, given: Tensor, output: Tensor) -> Cost:
    """The cost of one layer; of a module made of others nothing."""
    if isinstance(module, _SUMS):
        positions = math.prod(output.shape[2:])
        return Cost(module.weight.numel() * positions, 0 if module.bias is None else output.numel())
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        return Cost(0, 2 * given.numel())
    if isinstance(module, _ACTIVATIONS):
        return Cost(0, output.numel())
    if isinstance(module, _POOLS):
        return Cost(0, given.numel())
    return Cost()


def parts_table() -> str:
    """Table 1 in Markdown: the baseline by parts."""
    costs = costs_by_part(open_network(ROWS[0]))
    lines = ["| part | convolutions, linear | GMAC | paper |", "|---|---|---|---|"]
    for part, (name, published) in PARTS.items():
        cost = costs[part]
        lines.append(f"| {name} | {cost.products:,} | {cost.total / 1e9:.2f} | {published:.2f} |")
    return "\n".join(lines)


def rows_table() -> str:
    """Table 2's costs in Markdown."""
    lines = [
        "| row | convolutions, linear | GMAC | paper | parameters | millions | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        network = open_network(row)
        costs = costs_by_part(network).values()
        products, total = sum(cost.products for cost in costs), sum(cost.total for cost in costs)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        lines.append(
            f"| {row.name} | {products:,} | {total / 1e9:.2f} | {row.macs:.2f} | {parameters:,} | "
            f"{parameters / 1e6:.2f} | {row.parameters:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints both tables."""
    print(parts_table())
    print()
    print(rows_table())


if __name__ == "__main__":
    main()
