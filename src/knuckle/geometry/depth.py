"""The depth of a scale-normalised 2.5D hand, from one bone of known (unit) length."""

from typing import NamedTuple

from jaxtyping import Bool, Float

from knuckle.arrays import Array, namespace

# Lateral components and image lengths are clamped to these minima, so that noise that leaves no real root, or a bone
# that projects to a point, gives a large but finite depth with a finite gradient, and is flagged as ambiguous.
_MIN_LATERAL_SQUARED = 1e-6
_MIN_IMAGE_LENGTH = 1e-4


class RootDepth(NamedTuple):
    """Both solutions for the root's depth, in lengths of the reference bone.

    Attributes:
        far: (...) the larger root; the correct one unless the bone is nearly parallel to its viewing ray.
        near: (...) the smaller root; usually behind the camera.
        ambiguous: (...) True where the choice or the value is uncertain: the near root also leaves every joint in
            front of the camera, the bone is near-radial, or noise left no real root.
    """

    far: Float[Array, "*batch"]
    near: Float[Array, "*batch"]
    ambiguous: Bool[Array, "*batch"]


def root_depth(
    rays: Float[Array, "*batch joints 3"],
    relative_depth: Float[Array, "*batch joints"],
    bone: tuple[int, int] = (0, 9),
    min_lateral: float = 0.1,
) -> RootDepth:
    """Depth of the root at which the reference bone has length one.

    With Z the root's depth, d = r_n - r_m the difference of the bone's rays and e = z_n r_n - z_m r_m, the bone is
    Z d + e, and |Z d + e| = 1 has the roots Z = (-d.e -+ sqrt((d.e)^2 - d.d (e.e - 1))) / d.d. Written with the unit
    vector along d, the discriminant is the squared lateral component of the bone: it is small exactly
    where the bone is nearly parallel to the viewing ray, and the solution is then sensitive to noise.

    Args:
        rays: (..., J, 3) K^-1 (u, v, 1): normalised coordinates, not pixels.
        relative_depth: (..., J) (Z_joint - Z_root) / length of the bone.
        bone: the two joints whose distance is one. Predictions and limits must use the same bone.
        min_lateral: a bone whose lateral component is below this fraction of its length is flagged as near-radial.

    Returns:
        RootDepth(far, near, ambiguous).

    Note:
        Differentiable everywhere; the gradient through the square root is zero where it had to be clamped.

    Source: Iqbal et al., Hand Pose Estimation via Latent 2.5D Heatmap Regression, ECCV 2018.
    """
    xp = namespace(rays, relative_depth)
    n, m = bone
    difference = rays[..., n, :] - rays[..., m, :]
    offset = relative_depth[..., n, None] * rays[..., n, :] - relative_depth[..., m, None] * rays[..., m, :]
    squared = xp.sum(difference**2, axis=-1)
    short = squared < _MIN_IMAGE_LENGTH**2
    length = xp.sqrt(xp.where(short, xp.full_like(squared, _MIN_IMAGE_LENGTH**2), squared))
    direction = difference / length[..., None]
    along = xp.sum(direction * offset, axis=-1)
    lateral_squared = 1 - xp.sum((offset - along[..., None] * direction) ** 2, axis=-1)
    flat = lateral_squared < _MIN_LATERAL_SQUARED
    lateral = xp.sqrt(xp.where(flat, xp.full_like(lateral_squared, _MIN_LATERAL_SQUARED), lateral_squared))
    far, near = (lateral - along) / length, (-lateral - along) / length
    both_possible = near + xp.min(relative_depth, axis=-1) > 0
    return RootDepth(far, near, short | (lateral_squared < min_lateral**2) | both_possible)
