"""Fan and Wang's light version of I2L-MeshNet (2023), and the original (Moon and Lee, ECCV 2020): joints and the
vertices of a mesh from 1D heatmaps.

What the papers print is the default here: crops of 256 pixels, heatmaps of 64 bins, a depth of 0.3 m about the wrist,
Adam at 1e-4 with a tenth of it in the last two of 30 epochs, batches of 32, five losses in bins. Augmentation is ours.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from knuckle.datasets.sets import DataSet
from knuckle.files import RefusedFile
from knuckle.geometry.heatmap import decode_lixel, encode_lixel, inside_lixel
from knuckle.handmodel import HandModel
from knuckle.handmodel.regressor import joint_regressor
from knuckle.image.augment import AugmentConfig
from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.losses.mesh import edge_length_distance, edges_within, faces_within, normal_deviation
from knuckle.networks.backbone import check_backbone
from knuckle.networks.lixel import Decoder, LixelNetwork, LixelOutput
from knuckle.predict.contract import Contract
from knuckle.sample import Batch
from knuckle.systems.crops import CropConfig, Crops
from knuckle.systems.system import Graph, Moment, Stage
from knuckle.systems.tensors import read_tensors

_LOSSES = {"joints": 1.0, "vertices": 1.0, "joints_from_mesh": 1.0, "edges": 1.0, "normals": 0.1}
# The paper's 30 epochs over FreiHAND's 130,240 pictures; for other data give --steps, 30 x examples / batch.
_STAGE = Stage(
    steps=122100,
    batch=32,
    rates={"": 1e-4},
    losses=_LOSSES,
    optimiser="adam",
    schedule="step",
    milestones=(28 / 30,),
    warmup=0.0,
)
_OPEN_VERTICES = 1770
_CROP = CropConfig(
    size=256,
    patch=400,
    orientation="picture",
    margin=1.25,
    hands="right",
    turn=0.3,
    zoom=0.1,
    first_pass=1.5,
    labels=("vertices_camera",),
    vertices=_OPEN_VERTICES,
)
_ROOT, _BONE = 0, (0, 9)


@dataclass(frozen=True)
class LiteMeshConfig:
    """The network, the mesh that it predicts, how its examples are made, and how it is trained.

    Attributes:
        backbone, decoder, sigma, fine_mesh: see `knuckle.networks.lixel.LixelNetwork`; "resnet50" and "original" are
            I2L-MeshNet's.
        mesh: a MANO file, for data whose meshes are MANO's; the free hand if empty. crop.vertices must be its number.
        pretrained_from: a checkpoint of this system, of any decoder, that `knuckle train --pretrained` begins with:
            all of it but the layers that double the resolution. If empty, timm's backbones, which are fetched.
        depth_range: metres that the heatmaps in depth cover, with the wrist in the middle.
        hand_size: "true" for depths as they are; "average" for those of the same hand scaled to an average adult's
            length of wrist to middle MCP. A crop does not show how large a hand is, and prediction assumes that size.
    """

    backbone: str = "efficientnet_b0"
    decoder: Decoder = "C"
    sigma: float = 2.5
    fine_mesh: bool = True
    mesh: str = ""
    pretrained_from: str = ""
    depth_range: float = 0.3
    hand_size: Literal["true", "average"] = "true"
    crop: CropConfig = _CROP
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[Stage, ...] = (_STAGE,)

    def __post_init__(self) -> None:
        if self.depth_range <= 0:
            raise ValueError(f"depth_range must be above 0 metres but got {self.depth_range}")
        if "vertices_camera" not in self.crop.labels:
            raise ValueError(f"crop.labels must have vertices_camera, which is learned, but got {self.crop.labels}")


class Mesh(NamedTuple):
    """What losses and export know of a mesh beside its vertices."""

    faces: Tensor  # (F, 3)
    regressor: Tensor  # (21, V)


class _Labels(NamedTuple):
    """What is known of a batch in bins, and what is not: NaN-free, False where unknown or outside of the heatmaps."""

    joints: Tensor  # (B, 21, 3)
    joints_inside: Tensor  # (B, 21, 3)
    vertices: Tensor  # (B, V, 3)
    vertices_inside: Tensor  # (B, V, 3)


class LiteMesh:
    """See the module and `knuckle.systems.system.System`."""

    def __init__(self, config: LiteMeshConfig | None = None) -> None:
        self._config = config or LiteMeshConfig()

    @property
    def config(self) -> LiteMeshConfig:
        return self._config

    @property
    def stages(self) -> Sequence[Stage]:
        return self._config.stages

    # Read when it is needed: weights can be opened where the file of the mesh does not lie.
    @cached_property
    def mesh(self) -> Mesh:
        """The mesh that is predicted.

        Raises:
            ValueError: its file is none of MANO, or it has another number of vertices than crop.vertices.
            OSError: the file cannot be read.
        """
        c = self._config
        model = HandModel.load(c.mesh) if c.mesh else HandModel.open()
        if len(model.vertices) != c.crop.vertices:
            raise ValueError(
                f"crop.vertices must be {len(model.vertices)}, those of {c.mesh or 'the free hand'}, but is "
                f"{c.crop.vertices}; set crop.vertices, or mesh to a file of that topology"
            )
        regressor = torch.from_numpy(joint_regressor(model)).float()
        return Mesh(torch.from_numpy(np.array(model.faces)), regressor)

    def network(self, pretrained: bool = False) -> LixelNetwork:
        c = self._config
        fetched = pretrained and not c.pretrained_from
        network = LixelNetwork(c.crop.vertices, c.backbone, c.decoder, c.crop.size, c.sigma, c.fine_mesh, fetched)
        if pretrained and c.pretrained_from:
            network.begin_with(read_weights(Path(c.pretrained_from)))
        return network

    def source(self, sets: Sequence[DataSet], cache: Path, advance: Callable[[str, int], None]) -> Crops:
        c = self._config
        # What cannot be used is better said before an hour of decoding.
        check_backbone(c.backbone)
        _ = self.mesh
        return Crops(sets, c.crop, c.augment, cache, ("vertices_camera",), advance)

    def forward(self, network: nn.Module, batch: Batch, now: Moment) -> LixelOutput:
        return network(batch.image)

    def losses(self, output: LixelOutput, batch: Batch, now: Moment) -> dict[str, Mean]:
        """The paper's Eq. 4, in bins: L1 of coordinates and of edges' lengths, and edges out of their true planes.

        What lies outside of the heatmaps does not count: single coordinates, and edges and triangles of a vertex that
        has such a coordinate.
        """
        mesh, labels = self._mesh_on(output), self._labels(output, batch)
        inside = labels.vertices_inside.all(-1)
        regressed = mesh.regressor @ output.vertices
        normals = normal_deviation(output.vertices, labels.vertices, mesh.faces)
        edges = edge_length_distance(output.vertices, labels.vertices, mesh.faces)
        return {
            "joints": weighted_mean((output.joints - labels.joints).abs(), labels.joints_inside),
            "vertices": weighted_mean((output.vertices - labels.vertices).abs(), labels.vertices_inside),
            "joints_from_mesh": weighted_mean((regressed - labels.joints).abs(), labels.joints_inside),
            "edges": weighted_mean(edges, edges_within(inside, mesh.faces)),
            "normals": weighted_mean(normals, faces_within(inside, mesh.faces)[..., None]),
        }

    def errors(self, output: LixelOutput, batch: Batch) -> dict[str, Mean]:
        """Of joints from the mesh and of vertices: pixels of a crop of 256, and millimetres of depth."""
        labels = self._labels(output, batch)
        regressed = self._mesh_on(output).regressor @ output.vertices
        pixels, depth = 256.0 / self._bins, 1e3 * self._config.depth_range / self._bins

        def of(name: str, error: Tensor, inside: Tensor) -> dict[str, Mean]:
            uv = weighted_mean(pixels * error[..., :2].norm(dim=-1), inside[..., :2].all(-1))
            return {f"{name}uv_px": uv, f"{name}depth_mm": weighted_mean(depth * error[..., 2].abs(), inside[..., 2])}

        return of("", regressed - labels.joints, labels.joints_inside) | of(
            "vertex_", output.vertices - labels.vertices, labels.vertices_inside
        )

    def graphs(self, network: nn.Module) -> dict[str, Graph]:
        crop = self._config.crop
        contract = Contract(
            "lite-mesh",
            crop=crop.rule,
            coordinates="2.5d",
            root=_ROOT,
            bone=_BONE,
            outputs=("joints", "vertices"),
        )
        pixels = torch.zeros(2, crop.size, crop.size, 3, dtype=torch.uint8)
        exported = _Exported(network, self.mesh.regressor, crop.size, self._bins, self._config.depth_range)
        return {"hand": Graph(exported, (pixels,), contract)}

    @cached_property
    def _average_bone(self) -> float:
        return average_bone()

    @property
    def _bins(self) -> int:
        return self._config.crop.size // 4

    def _mesh_on(self, output: LixelOutput) -> Mesh:
        """The mesh on the device of an output."""
        device = output.vertices.device
        return Mesh(self.mesh.faces.to(device), self.mesh.regressor.to(device))

    def _labels(self, output: LixelOutput, batch: Batch) -> _Labels:
        joints, vertices = torch.full_like(output.joints, torch.nan), torch.full_like(output.vertices, torch.nan)
        if batch.joints_image is not None:
            joints = torch.cat([batch.joints_image, joints[..., 2:]], -1)
        if batch.joints_camera is not None and batch.camera is not None:
            root, scale = batch.joints_camera[:, _ROOT, None, 2], self._size_factor(batch.joints_camera)[:, None]
            joints = torch.cat([joints[..., :2], (scale * (batch.joints_camera[..., 2] - root))[..., None]], -1)
            if batch.vertices_camera is not None:
                uv = _project(batch.camera.K, batch.vertices_camera)
                depth = scale * (batch.vertices_camera[..., 2] - root)
                vertices = torch.cat([uv, depth[..., None]], -1)
        joints, joints_inside = self._in_bins(joints, output.joints)
        return _Labels(joints, joints_inside, *self._in_bins(vertices, output.vertices))

    def _in_bins(self, points: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels and metres (B, N, 3) as bins without gaps, and which coordinates (B, N, 3) count."""
        size = self._config.crop.size
        lixels = encode_lixel(points, (size, size), self._bins, self._config.depth_range)
        inside = inside_lixel(lixels, self._bins)
        filled, _ = fill_missing(lixels[..., None], guess[..., None])
        return filled[..., 0], inside

    def _size_factor(self, joints: Tensor) -> Tensor:
        """(B,) what a hand's depths are multiplied by; NaN where its size is needed and not known."""
        if self._config.hand_size == "true":
            return torch.ones_like(joints[:, 0, 0])
        return self._average_bone / (joints[:, _BONE[1]] - joints[:, _BONE[0]]).norm(dim=-1)


class SmallLiteMesh(LiteMesh):
    """The same with sizes and a schedule that two CPU cores train in minutes."""

    def __init__(self, config: LiteMeshConfig | None = None) -> None:
        super().__init__(config or small_config())


def small_config() -> LiteMeshConfig:
    """Crops of 128 pixels, heatmaps of 32 bins, a smaller backbone, coarser maps, and a short run of AdamW.

    Muon, which other small systems have, takes longer over the 8 million weights of a depth's layer than the network
    over a batch.
    """
    # Heatmaps begin flat, and only weights a hundred times as large give them peaks; the paper's schedule has 120,000
    # steps for that.
    peaks = {f"{part}_head.{axis}.": 2e-2 for part in ("pose", "mesh") for axis in "xyz"}
    stage = Stage(steps=2000, batch=32, rates={"": 2e-3} | peaks, losses=_LOSSES)
    crop = replace(_CROP, size=128, patch=math.ceil(128 * _CROP.patch_reach))
    return LiteMeshConfig(
        "mobilenetv2_050",
        sigma=1.25,  # half the bins: the joints' Gaussians keep their size in the crop
        fine_mesh=False,
        hand_size="average",
        crop=crop,
        stages=(stage,),
    )


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint's network, by name.

    Raises:
        ValueError: it is none, or damaged.
    """
    try:
        return read_tensors(checkpoint / "weights.safetensors")
    except (OSError, RefusedFile) as error:
        raise ValueError(f"pretrained_from must be a checkpoint but {checkpoint} is not ({error})") from error


def average_bone() -> float:
    """Metres from wrist to middle MCP of an average adult, as prediction assumes it."""
    joints = HandModel.open().joints_rest
    return float(np.linalg.norm(joints[_BONE[1]] - joints[_BONE[0]]))


class _Exported(nn.Module):
    """The network as it is exported: pixels of the crop, and depths in lengths of the bone."""

    regressor: Tensor

    def __init__(self, network: nn.Module, regressor: Tensor, size: int, bins: int, depth_range: float) -> None:
        super().__init__()
        self.network, self.size, self.bins = network, size, bins
        self.depth_range = depth_range / average_bone()
        self.register_buffer("regressor", regressor, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) -> joints (B, 21, 3), those of the mesh, and its vertices (B, V, 3)."""
        lixels = self.network(image.permute(0, 3, 1, 2)).vertices
        vertices = decode_lixel(lixels, (self.size, self.size), self.bins, self.depth_range)
        joints = self.regressor @ vertices
        # The wrist's own depth is 0 by definition.
        wrist = joints[:, _ROOT, None] * joints.new_tensor([0.0, 0.0, 1.0])
        return joints - wrist, vertices - wrist


def _project(K: Tensor, points: Tensor) -> Tensor:
    """(B, N, 2) pixels of points (B, N, 3), NaN for those not in front of the camera."""
    homogeneous = points @ K.to(points.dtype).transpose(-1, -2)
    depth = homogeneous[..., 2:]
    return torch.where(depth > 0, homogeneous[..., :2] / depth, torch.nan)
