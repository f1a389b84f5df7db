"""What the object-aware system exports: the whole chain, masks and joints in the picture alone, or the lift alone."""

import torch
from torch import Tensor, nn

from knuckle.geometry.canonical import from_canonical
from knuckle.geometry.heatmap import gaussian_maps
from knuckle.networks.mask_crop import into_square, square_of_points
from knuckle.networks.object_aware import ObjectAwareNetwork, joints_of, placed, square_of
from knuckle.networks.zimmermann import CELLS
from knuckle.predict.contract import Contract, CropRule
from knuckle.systems.system import Graph


def object_aware_graph(
    network: ObjectAwareNetwork,
    crop: CropRule,
    categories: tuple[str, ...],
    sigma: float,
    root: int,
    bone: tuple[int, int],
) -> Graph:
    """The graph of a network's parts, with its contract.

    Joints of the whole chain and of the lift are the pose in space, moved to where the heatmaps see it. Without the
    lift they are those in the picture, at one depth. The lift is given joints in the picture: true ones, or those of
    the network that guides it. Where crops are not mirrored by side, the side is an input.
    """
    parts, size = network.sizes.parts, crop.size
    image = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    if "lift" not in parts:
        outputs = ("joints", "mask", "mask_complete")
        contract = Contract("object-aware", crop=crop, coordinates="2.5d", root=root, bone=bone, outputs=outputs)
        return Graph(_InPicture(network, size), (image,), contract)
    K = torch.tensor([[float(size), 0.0, size / 2], [0.0, float(size), size / 2], [0.0, 0.0, 1.0]])
    given: dict[str, Tensor] = {"image": image, "K": K.expand(2, 3, 3).contiguous()}
    if "masks" in parts:
        module, outputs = _Whole(network, size), ("joints", "category", "mask", "mask_complete")
    else:
        module, outputs = _Lift(network, size, sigma), ("joints", "category")
        given["joints_image"] = torch.full((2, 21, 2), size / 2)
    if crop.hands == "either":
        given["side"] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    contract = Contract(
        "object-aware",
        crop=crop,
        coordinates="normalised",
        root=root,
        bone=bone,
        inputs=tuple(given),
        outputs=outputs,
        categories=categories,
    )
    return Graph(module, tuple(given.values()), contract)


class _InPicture(nn.Module):
    """Masks, and joints in the picture."""

    def __init__(self, network: ObjectAwareNetwork, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S, S, 3) -> joints (B, 21, 3) in pixels, and masks (B, S, S) of what is visible and of all."""
        picture = image.permute(0, 3, 1, 2)
        masks = self.network.masks_of(picture)
        square = square_of(masks)
        uv, _ = joints_of(self.network.maps_of(picture, square)[-1], square, self.size)
        joints = torch.cat([uv, torch.zeros_like(uv[..., :1])], dim=-1)
        return joints, masks.visible.sigmoid(), masks.complete.sigmoid()


class _Whole(nn.Module):
    """The whole chain."""

    def __init__(self, network: ObjectAwareNetwork, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, image: Tensor, K: Tensor, side: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, S, S, 3), (B, 3, 3), (B, 2) -> joints (B, 21, 3), categories (B, C), masks (B, S, S)."""
        picture = image.permute(0, 3, 1, 2)
        masks = self.network.masks_of(picture)
        square = square_of(masks)
        maps = self.network.maps_of(picture, square)[-1]
        uv, height = joints_of(maps, square, self.size)
        relative, category = _lifted(self.network, maps, side)
        # A map that is flat does not say where its joint is.
        joints = placed(relative, uv, height.clamp(min=0.01), K)
        return joints, category, masks.visible.sigmoid(), masks.complete.sigmoid()


class _Lift(nn.Module):
    """Known joints in the picture into space."""

    def __init__(self, network: ObjectAwareNetwork, size: int, sigma: float) -> None:
        super().__init__()
        self.network, self.size, self.sigma = network, size, sigma

    def forward(
        self, image: Tensor, K: Tensor, joints_image: Tensor, side: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, S, S, 3) unused, (B, 3, 3), (B, 21, 2) NaN where unknown, (B, 2) -> joints (B, 21, 3), (B, C)."""
        square = square_of_points(joints_image, self.size)
        inner = into_square(joints_image, square, self.size)
        maps = gaussian_maps(inner, self.size, CELLS, self.sigma * self.size / 256)
        relative, category = _lifted(self.network, maps, side)
        known = joints_image.isfinite().all(-1)
        uv = torch.where(known[..., None], joints_image, torch.zeros_like(joints_image))
        return placed(relative, uv, known.float(), K), category


def _lifted(network: ObjectAwareNetwork, maps: Tensor, side: Tensor | None) -> tuple[Tensor, Tensor]:
    """Joints about the wrist (B, 21, 3), and probabilities of categories (B, C)."""
    if side is None:
        # Crops are mirrored to be of right hands.
        side = torch.stack([torch.zeros_like(maps[:, 0, 0, 0]), torch.ones_like(maps[:, 0, 0, 0])], dim=1)
    pose = network.lift(maps, side)
    return from_canonical(pose.canonical, pose.rotation, side[:, 1] > 0.5), network.lift.categories(pose.mean)
