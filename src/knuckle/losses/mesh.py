"""Losses on meshes: lengths and directions of their edges. Coordinates are compared as any others', see
`knuckle.losses.mean`; where a vertex lies outside what a heatmap covers, `knuckle.geometry.heatmap.inside_lixel` says.

Source: Moon and Lee, I2L-MeshNet, ECCV 2020, section 5.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def edge_length_distance(
    guess: Float[Tensor, "*batch v 3"], truth: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "*batch f 3"]:
    """Absolute difference of the lengths of each triangle's edges.

    Args:
        guess: (..., V, 3) vertices, any unit.
        truth: (..., V, 3) likewise.
        faces: (F, 3) vertices of each triangle. An edge of two triangles counts twice, as in the source.

    Returns:
        (..., F, 3) of the edges from the first corner to the second, second to third, third to first.

    Note:
        The gradient is 0 for an edge without length, where the square root has none.
    """
    return (_length(_edges(guess, faces)) - _length(_edges(truth, faces))).abs()


def normal_deviation(
    guess: Float[Tensor, "*batch v 3"], truth: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "*batch f 3"]:
    """|cos| of the angle between each edge and the true normal of its triangle: 0 where it lies in the true plane.

    Args:
        guess, truth, faces: as for `edge_length_distance`.

    Returns:
        (..., F, 3) from 0 to 1; 0 for an edge without length, or a true triangle without area.
    """
    true = _edges(truth, faces)
    normal = torch.linalg.cross(true[..., 0, :], true[..., 1, :], dim=-1)
    return (_unit(_edges(guess, faces)) * _unit(normal)[..., None, :]).sum(-1).abs()


def edges_within(inside: Bool[Tensor, "*batch v"], faces: Int[Tensor, "f 3"]) -> Bool[Tensor, "*batch f 3"]:
    """Which edges have both of their vertices inside; in the order of `edge_length_distance`."""
    corners = inside[..., faces]
    return corners & corners.roll(-1, dims=-1)


def faces_within(inside: Bool[Tensor, "*batch v"], faces: Int[Tensor, "f 3"]) -> Bool[Tensor, "*batch f"]:
    """Which triangles have all of their vertices inside."""
    return inside[..., faces].all(-1)


def _edges(vertices: Tensor, faces: Tensor) -> Tensor:
    """(..., F, 3, 3): for each triangle its edges, as vectors."""
    corners = vertices[..., faces, :]
    return corners.roll(-1, dims=-2) - corners


def _length(vectors: Tensor) -> Tensor:
    squared = (vectors**2).sum(-1)
    some = squared > 0
    return torch.where(some, torch.where(some, squared, torch.ones_like(squared)).sqrt(), torch.zeros_like(squared))


def _unit(vectors: Tensor) -> Tensor:
    length = _length(vectors)
    return vectors / torch.where(length > 0, length, torch.ones_like(length))[..., None]
