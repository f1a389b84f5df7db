"""The similarity or rigid motion that aligns one set of points with another, in closed form."""

import array_api_compat
from jaxtyping import Float

from knuckle.arrays import Array, namespace
from knuckle.geometry.rotation import cross_matrix


def _safe_divide(numerator: Array, denominator: Array, usable: Array, otherwise: float) -> Array:
    # Double where: the quotient is neither computed nor differentiated where the denominator is not usable.
    xp = namespace(numerator, denominator)
    quotient = numerator / xp.where(usable, denominator, xp.ones_like(denominator))
    return xp.where(usable, quotient, xp.full_like(quotient, otherwise))


def _attach_gradient(rotation: Array, covariance: Array, eigenvalues: Array, eigenvectors: Array) -> Array:
    """The same rotation, with its derivative with respect to the covariance attached (torch; values do not change).

    For the optimal rotation R, P = R^T A is symmetric. When A changes, R is rotated by the omega that solves
    (tr(P) - P) omega = vee(R^T A - A^T R). In P's eigenbasis that matrix is diagonal, its entries sums of two
    eigenvalues. Differentiating the SVD itself would divide by differences of singular values instead, and give
    NaN for regular and planar point sets, for which the rotation is well defined.

    Args:
        rotation: (..., 3, 3) the optimal rotation, without gradient.
        covariance: (..., 3, 3) A, with gradient.
        eigenvalues: (..., 3) eigenvalues of P, without gradient.
        eigenvectors: (..., 3, 3) its eigenvectors as columns, without gradient.
    """
    xp = namespace(rotation, covariance)
    product = xp.matrix_transpose(rotation) @ covariance
    skew = product - xp.matrix_transpose(product)
    turn = xp.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1)
    sums = xp.sum(eigenvalues, axis=-1, keepdims=True) - eigenvalues
    # A sum of zero is a direction in which the points do not determine the rotation: no gradient along it.
    usable = sums > 1e-6 * xp.max(xp.abs(eigenvalues), axis=-1, keepdims=True)
    local = (xp.matrix_transpose(eigenvectors) @ turn[..., None])[..., 0]
    omega = (eigenvectors @ _safe_divide(local, sums, usable, 0.0)[..., None])[..., 0]
    return rotation + rotation @ cross_matrix(omega - omega.detach())


def _best_rotation(covariance: Array, allow_reflection: bool) -> Array:
    xp = namespace(covariance)
    is_torch = array_api_compat.is_torch_array(covariance)
    fixed = covariance.detach() if is_torch else covariance
    u, eigenvalues, vh = xp.linalg.svd(fixed)
    if not allow_reflection:
        flip = xp.where(xp.linalg.det(u) * xp.linalg.det(vh) < 0, -1.0, 1.0)
        flip = xp.astype(flip, fixed.dtype)
        # Flipping the direction of the smallest singular value has the lowest cost.
        sign = xp.stack([xp.ones_like(flip), xp.ones_like(flip), flip], axis=-1)
        u, eigenvalues = u * sign[..., None, :], eigenvalues * sign
    rotation = u @ vh
    return _attach_gradient(rotation, covariance, eigenvalues, xp.matrix_transpose(vh)) if is_torch else rotation


def _align(points: Array, target: Array, weights: Array | None, allow_reflection: bool, scaled: bool) -> tuple:
    if points.shape[-2:] != target.shape[-2:]:
        raise ValueError(
            f"points and target must hold the same number of points but got {tuple(points.shape)} "
            f"and {tuple(target.shape)}"
        )
    xp = namespace(points, target, weights)
    share = xp.ones_like(points[..., :1]) if weights is None else weights[..., None]
    total = xp.sum(share, axis=-2, keepdims=True)
    share = _safe_divide(share, total, total > 0, 0.0)
    points_mean = xp.sum(share * points, axis=-2, keepdims=True)
    target_mean = xp.sum(share * target, axis=-2, keepdims=True)
    points_centred = points - points_mean
    covariance = xp.matrix_transpose(share * (target - target_mean)) @ points_centred
    rotation = _best_rotation(covariance, allow_reflection)
    spread = xp.sum(share * points_centred**2, axis=(-2, -1))
    if scaled:
        scale = _safe_divide(xp.sum(rotation * covariance, axis=(-2, -1)), spread, spread > 0, 1.0)
    else:
        scale = xp.ones_like(spread)
    rotated_mean = scale[..., None] * (points_mean @ xp.matrix_transpose(rotation))[..., 0, :]
    return scale, rotation, target_mean[..., 0, :] - rotated_mean


def align_similarity(
    points: Float[Array, "*#batch n 3"],
    target: Float[Array, "*#batch n 3"],
    weights: Float[Array, "*#batch n"] | None = None,
    allow_reflection: bool = False,
) -> tuple[Float[Array, "*out"], Float[Array, "*out 3 3"], Float[Array, "*out 3"]]:
    """Weighted least-squares scale, rotation and translation of points to target.

    `target` is approximated by `scale * rotation @ points + translation`.

    Args:
        points: (..., N, 3).
        target: (..., N, 3), leading axes broadcast against those of points.
        weights: (..., N) non-negative; uniform where None.
        allow_reflection: allow a reflection where it fits better, as the official evaluation scripts do; a
            mirrored hand then scores as a perfect one.

    Returns:
        scale (...), rotation (..., 3, 3), translation (..., 3).

    Raises:
        ValueError: the numbers of points differ.

    Note:
        Differentiable once (not twice) in torch, for planar and regular point sets too. Where the points do not
        determine the rotation (collinear, a single one, all weights zero) one of the optima is returned and the
        gradient along the undetermined direction is zero; scale is 1 where the points coincide.

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991.
    """
    return _align(points, target, weights, allow_reflection, scaled=True)


def align_rigid(
    points: Float[Array, "*#batch n 3"],
    target: Float[Array, "*#batch n 3"],
    weights: Float[Array, "*#batch n"] | None = None,
    allow_reflection: bool = False,
) -> tuple[Float[Array, "*out 3 3"], Float[Array, "*out 3"]]:
    """Weighted least-squares rotation and translation of points to target; see align_similarity.

    Args:
        points: (..., N, 3).
        target: (..., N, 3), leading axes broadcast against those of points.
        weights: (..., N) non-negative; uniform where None.
        allow_reflection: allow a reflection where it fits better.

    Returns:
        rotation (..., 3, 3), translation (..., 3).

    Raises:
        ValueError: the numbers of points differ.
    """
    _, rotation, translation = _align(points, target, weights, allow_reflection, scaled=False)
    return rotation, translation


def apply_similarity(
    scale: Float[Array, "*#batch"],
    rotation: Float[Array, "*#batch 3 3"],
    translation: Float[Array, "*#batch 3"],
    points: Float[Array, "*#batch n 3"],
) -> Float[Array, "... n 3"]:
    """`scale * rotation @ points + translation`.

    Args:
        scale: (...).
        rotation: (..., 3, 3).
        translation: (..., 3).
        points: (..., N, 3).

    Returns:
        (..., N, 3).
    """
    xp = namespace(scale, rotation, translation, points)
    return scale[..., None, None] * (points @ xp.matrix_transpose(rotation)) + translation[..., None, :]
