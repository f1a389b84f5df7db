"""From the joints of a hand to its angles and shape: bone directions and lengths through fully connected layers."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from knuckle.skeleton import BONES


class IKOutput(NamedTuple):
    """What the network says of each hand."""

    angles: Tensor  # (B, A) radians: the 23 angles, or 15 rotation vectors one after the other
    shape: Tensor | None  # (B, S); None where the network is given the shape
    turn: Tensor | None  # (B, 6) of the whole hand, see geometry.rotation.rotation_6d_to_matrix; None without that head


class IKNetwork(nn.Module):
    """Directions and lengths of the 20 bones in, angles and shape out.

    What enters and leaves the layers is of the order of one: lengths as deviations from the average adult's, angles in
    halves of their ranges. Every block adds to what the one before it gives, which trains better than the paper's three
    plain layers of the same number of weights, and needs no normalisation.

    Args:
        angle_range: (A, 2) smallest and largest angle, radians; the middle is where the network starts.
        shape_limits: (S, 2).
        rest_lengths: (20,) metres, of the average adult's bones.
        width: of the layers.
        blocks: of two layers each.
        known_shape: the shape is an input and no output.
        turn: also estimate the rotation of the whole hand.

    Source: Fan & Wang, section 3.3; the residual blocks are ours.
    """

    angle_range: Tensor
    shape_limits: Tensor
    rest_lengths: Tensor

    def __init__(
        self,
        angle_range: Float[Tensor, "a 2"],
        shape_limits: Float[Tensor, "s 2"],
        rest_lengths: Float[Tensor, "20"],
        width: int = 256,
        blocks: int = 3,
        known_shape: bool = False,
        turn: bool = False,
    ) -> None:
        super().__init__()
        for name, values in (
            ("angle_range", angle_range),
            ("shape_limits", shape_limits),
            ("rest_lengths", rest_lengths),
        ):
            # Known from the hand: no checkpoint needs to hold them.
            self.register_buffer(name, values.float(), persistent=False)
        self.known_shape = known_shape
        self.first = nn.Linear(80 + known_shape * len(shape_limits), width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.angles = _small(nn.Linear(width, len(angle_range)))
        self.shape = None if known_shape else _small(nn.Linear(width, len(shape_limits)))
        self.turn = nn.Linear(width, 6) if turn else None

    def forward(self, joints: Float[Tensor, "b 21 3"], shape: Float[Tensor, "b s"] | None = None) -> IKOutput:
        """Joints in metres, of a right hand: in the hand's frame, or in any frame where the network has a `turn`."""
        half = 0.5 * (self.shape_limits[:, 1] - self.shape_limits[:, 0])
        parts = [self._features(joints)]
        if self.known_shape:
            if shape is None:
                raise ValueError("shape must be given to a network for a known shape but is None")
            parts.append(shape / half)
        features = functional.relu(self.first(torch.cat(parts, dim=1)))
        for block in self.blocks:
            features = block(features)
        low, high = self.angle_range[:, 0], self.angle_range[:, 1]
        angles = 0.5 * (low + high) + 0.5 * (high - low) * self.angles(features)
        return IKOutput(
            angles,
            None if self.shape is None else half * self.shape(features),
            None if self.turn is None else self.turn(features),
        )

    def _features(self, joints: Tensor) -> Tensor:
        """(B, 80) unit directions of the bones, and lengths relative to the average adult's."""
        parents, children = (list(ends) for ends in zip(*BONES, strict=True))
        bones = joints[:, children] - joints[:, parents]
        lengths = bones.norm(dim=-1).clamp(min=1e-6)
        # People's bones differ by a tenth or so from each other's.
        relative = 10.0 * (lengths / self.rest_lengths - 1.0)
        return torch.cat([(bones / lengths[..., None]).flatten(1), relative], dim=1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = _small(nn.Linear(width, width))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.outer(functional.relu(self.inner(features)))


def _small(layer: nn.Linear) -> nn.Linear:
    """The layer with weights that hardly change what it is added to."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
