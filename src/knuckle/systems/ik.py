"""Inverse kinematics by a network (Fan & Wang, 2022): from the joints of a hand to its 23 angles and its shape.

Bone directions and lengths go in; the three losses are the paper's, L1 of angles, shape and joints. Of the rotation of
the whole hand the paper says nothing: here the palm, which no angle moves, is aligned with the average adult's before
the network sees the joints ("palm"); or the network has a head for it ("head").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.geometry.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from knuckle.handmodel import HandModel
from knuckle.handmodel.biomechanics import bone_lengths
from knuckle.handmodel.palm import align_palm
from knuckle.losses.mean import Mean, weighted_mean
from knuckle.networks.ik import IKNetwork, IKOutput
from knuckle.predict.contract import Contract
from knuckle.systems.poses import PoseBatch, PoseConfig, Poses, limits_of
from knuckle.systems.system import Graph, Moment, Stage

_STAGE = Stage(
    steps=20000,
    batch=512,
    rates={"": 2e-3},
    # Of radians, units of shape, and metres.
    losses={"angles": 1.0, "shape": 0.1, "joints": 100.0},
    optimiser="adamw",
    weight_decay=1e-4,
)


@dataclass(frozen=True)
class IKConfig:
    """The network, what it gives and is given, and how it is trained.

    Attributes:
        width, blocks: see `knuckle.networks.ik.IKNetwork`.
        angles: 23; or 45, a rotation vector for each of the 15 finger joints, the paper's baseline.
        rotation: of the whole hand: "palm", by aligning the palm; "head", by the network.
        known_shape: the shape is given and not estimated.
        hand: a MANO file; the free hand where empty.
        poses: how examples are made.
    """

    width: int = 256
    blocks: int = 3
    angles: Literal[23, 45] = 23
    rotation: Literal["palm", "head"] = "palm"
    known_shape: bool = False
    hand: str = ""
    poses: PoseConfig = field(default_factory=PoseConfig)
    stages: tuple[Stage, ...] = (_STAGE,)


class IKPrediction(NamedTuple):
    """The network's output, and the hand posed by it."""

    angles: Tensor  # (B, 23) or (B, 45) radians
    shape: Tensor  # (B, S), the known one where it is known
    posed: Tensor  # (B, 21, 3) metres, hand frame
    turned: Tensor  # (B, 21, 3) metres: the same, turned by the rotation that the network estimates, if it does


class InverseKinematics:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: IKConfig | None = None) -> None:
        self._config = config or IKConfig()

    @property
    def config(self) -> IKConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    @cached_property
    def hand(self) -> HandModel:
        """The hand in NumPy."""
        return HandModel.load(self._config.hand) if self._config.hand else HandModel.open()

    @cached_property
    def _hand(self) -> HandModel:
        return self.hand.to(torch.zeros(1))

    def network(self, pretrained: bool = False) -> IKNetwork:
        if pretrained:
            raise ValueError("pretrained must be off for this system, which has no backbone; begin from a checkpoint")
        c = self._config
        # Rotation vectors of a quarter turn each way: a finger joint bends little farther.
        ranges = limits_of(self.hand) if c.angles == 23 else np.tile([-np.pi / 2, np.pi / 2], (45, 1))
        given = (ranges, np.asarray(self.hand.shape_limits), np.asarray(bone_lengths(self.hand.joints_rest)))
        angle_range, shape_limits, lengths = (torch.tensor(values, dtype=torch.float32) for values in given)
        return IKNetwork(angle_range, shape_limits, lengths, c.width, c.blocks, c.known_shape, c.rotation == "head")

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Poses:
        return Poses(sets, self.hand, limits_of(self.hand), self._config.poses, cache, advance)

    def forward(self, network: nn.Module, batch: PoseBatch, now: Moment) -> IKPrediction:
        known = batch.shape if self._config.known_shape else None
        output: IKOutput = network(self._seen(batch), known)
        shape = batch.shape if output.shape is None else output.shape
        posed = self._posed(output.angles, shape)
        turned = posed if output.turn is None else posed @ rotation_6d_to_matrix(output.turn).mT
        return IKPrediction(output.angles, shape, posed, turned)

    def losses(self, output: IKPrediction, batch: PoseBatch, now: Moment) -> dict[str, Mean]:
        """The paper's three: L1 of angles, shape and joints."""
        truth = batch.angles if self._config.angles == 23 else batch.vectors.flatten(1)
        joints = batch.joints_hand
        if self._config.rotation == "head":
            joints = joints @ batch.rotation.mT
        return {
            "angles": weighted_mean((output.angles - truth).abs()),
            "shape": weighted_mean((output.shape - batch.shape).abs()),
            "joints": weighted_mean((output.turned - joints).abs()),
        }

    def errors(self, output: IKPrediction, batch: PoseBatch) -> dict[str, Mean]:
        """Mean distance of the joints, the hand placed as in prediction, and mean error of what the network gives."""
        truth = batch.angles if self._config.angles == 23 else batch.vectors.flatten(1)
        if self._config.rotation == "head":
            placed = output.turned + (batch.joints - output.turned).mean(1, keepdim=True)
        else:
            rotation, offset = align_palm(output.posed, batch.joints)
            placed = output.posed @ rotation.mT + offset[:, None]
        exact = batch.joints_hand @ batch.rotation.mT
        return {
            "joints_mm": weighted_mean(1e3 * (placed - exact).norm(dim=-1)),
            "angles_deg": weighted_mean((output.angles - truth).abs().rad2deg()),
            "shape": weighted_mean((output.shape - batch.shape).abs()),
        }

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        c = self._config
        angles = ("angles",) if c.angles == 23 else ("vectors",)
        contract = Contract(
            "ik",
            kind="ik",
            inputs=("joints", "shape") if c.known_shape else ("joints",),
            outputs=(*angles, *(() if c.known_shape else ("shape",)), *(("turn",) if c.rotation == "head" else ())),
        )
        inputs = (torch.tensor(self.hand.joints_rest, dtype=torch.float32).expand(2, 21, 3).contiguous(),)
        if c.known_shape:
            inputs = (*inputs, torch.zeros(2, len(self.hand.shape_names)))
        return {"ik": Graph(_Exported(cast(IKNetwork, network), c.angles == 23), inputs, contract)}

    def _seen(self, batch: PoseBatch) -> Tensor:
        """(B, 21, 3) what the network is given: joints in the hand's frame as far as the palm shows it."""
        if self._config.rotation == "head":
            return batch.joints
        rotation, offset = align_palm(self._hand.joints_rest, batch.joints)
        return (batch.joints - offset[:, None]) @ rotation

    def _posed(self, angles: Tensor, shape: Tensor) -> Tensor:
        if self._config.angles == 23:
            return self._hand.joints(angles, shape=shape)
        return self._hand.joints(rotations=axis_angle_to_matrix(angles.unflatten(1, (15, 3))), shape=shape)


class _Exported(nn.Module):
    """The network as it is exported: angles and shape within their limits."""

    def __init__(self, network: IKNetwork, limited: bool) -> None:
        super().__init__()
        self.network, self.limited = network, limited

    def forward(self, joints: Tensor, shape: Tensor | None = None) -> tuple[Tensor, ...]:
        """(B, 21, 3) -> angles (B, 23) or rotation vectors (B, 15, 3), and what else there is."""
        output: IKOutput = self.network(joints, shape)
        ranges, limits = self.network.angle_range, self.network.shape_limits
        limited = output.angles.clamp(ranges[:, 0], ranges[:, 1])
        angles = limited if self.limited else output.angles.unflatten(1, (15, 3))
        found = None if output.shape is None else output.shape.clamp(limits[:, 0], limits[:, 1])
        return tuple(value for value in (angles, found, output.turn) if value is not None)
