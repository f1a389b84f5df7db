import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from knuckle.geometry.align import align_rigid, align_similarity, apply_similarity


def known(rng, batch, n=21):
    points = rng.normal(size=(*batch, n, 3))
    count = int(np.prod(batch))
    rotation = Rotation.random(count, rng=rng).as_matrix().reshape(*batch, 3, 3) if count else np.zeros((*batch, 3, 3))
    scale, translation = rng.uniform(0.1, 3, batch), rng.normal(size=(*batch, 3))
    target = scale[..., None, None] * points @ np.swapaxes(rotation, -1, -2) + translation[..., None, :]
    return points, target, scale, rotation, translation


@pytest.mark.parametrize("batch", [(), (0,), (1,), (3,), (2, 3)])
def test_a_known_motion_is_found(batch, to_array, rng):
    points, target, scale, rotation, translation = known(rng, batch)
    weights = rng.uniform(0.1, 1, (*batch, 21))
    for w in (None, to_array(weights)):
        found = align_similarity(to_array(points), to_array(target), w)
        for got, expected in zip(found, (scale, rotation, translation), strict=True):
            np.testing.assert_allclose(np.asarray(got), expected, atol=1e-12)
        np.testing.assert_allclose(np.asarray(apply_similarity(*found, to_array(points))), target, atol=1e-12)
    rigid = align_rigid(to_array(points), to_array((target - translation[..., None, :]) / scale[..., None, None]))
    np.testing.assert_allclose(np.asarray(rigid[0]), rotation, atol=1e-12)
    np.testing.assert_allclose(np.asarray(rigid[1]), 0 * translation, atol=1e-12)


def official_alignment(target, points):
    """align_w_scale of the official evaluation scripts: reflections are not excluded."""
    t1, t2 = target.mean(0), points.mean(0)
    a, b = target - t1, points - t2
    s1, s2 = np.linalg.norm(a) + 1e-8, np.linalg.norm(b) + 1e-8
    rotation, s = orthogonal_procrustes(a / s1, b / s2)
    return (b / s2) @ rotation.T * s * s1 + t1


def test_equals_the_official_script(to_array, rng):
    for mirrored in (False, True):
        points = rng.normal(size=(21, 3))
        target = points @ Rotation.random(rng=rng).as_matrix().T * 0.3 + 0.05 * rng.normal(size=(21, 3))
        points[:, 0] *= -1 if mirrored else 1
        found = align_similarity(to_array(points), to_array(target), allow_reflection=True)
        moved = np.asarray(apply_similarity(*found, to_array(points)))
        np.testing.assert_allclose(moved, official_alignment(target, points), atol=1e-7)
        np.testing.assert_allclose(np.linalg.det(np.asarray(found[1])), -1 if mirrored else 1)


def test_reflection_is_off_by_default(to_array, rng):
    points = rng.normal(size=(3, 21, 3))
    mirrored = points * [-1, 1, 1]
    found = align_similarity(to_array(points), to_array(mirrored))
    np.testing.assert_allclose(np.linalg.det(np.asarray(found[1])), 1)
    assert np.abs(np.asarray(apply_similarity(*found, to_array(points))) - mirrored).max() > 0.1


def test_weights(to_array, rng):
    points, target, scale, rotation, _ = known(rng, (4,))
    target[:, 7] += 5
    weights = np.ones((4, 21))
    weights[:, 7] = 0
    found = align_similarity(to_array(points), to_array(target), to_array(weights))
    np.testing.assert_allclose(np.asarray(found[0]), scale)
    np.testing.assert_allclose(np.asarray(found[1]), rotation, atol=1e-12)
    # an integer weight is a repetition
    twice = np.concatenate([points, points[:, :3]], axis=1), np.concatenate([target, target[:, :3]], axis=1)
    weights = np.ones((4, 21))
    weights[:, :3] = 2
    for a, b in zip(
        align_similarity(to_array(points), to_array(target), to_array(weights)),
        align_similarity(to_array(twice[0]), to_array(twice[1])),
        strict=True,
    ):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-12)


def test_broadcasts_one_target(to_array, rng):
    scale, rotation, translation = align_similarity(
        to_array(rng.normal(size=(5, 4, 3))), to_array(rng.normal(size=(4, 3)))
    )
    assert scale.shape == (5,)
    assert rotation.shape == (5, 3, 3)
    assert translation.shape == (5, 3)


@pytest.mark.parametrize("kind", ["one", "same", "line", "unweighted"])
def test_degenerate_points_stay_finite(kind, to_array, rng):
    points, target = rng.normal(size=(2, 5, 3))
    weights = np.zeros(5) if kind == "unweighted" else np.ones(5)
    points = {"one": points[:1], "same": 0 * points, "line": points[:1] * np.arange(5)[:, None]}.get(kind, points)
    n = len(points)
    for reflect in (False, True):
        scale, rotation, translation = map(
            np.asarray,
            align_similarity(to_array(points), to_array(target[:n]), to_array(weights[:n]), allow_reflection=reflect),
        )
        assert np.isfinite(scale)
        assert np.isfinite(translation).all()
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_different_counts_are_refused(rng):
    with pytest.raises(ValueError, match="same number of points"):
        align_rigid.__wrapped__(rng.normal(size=(4, 3)), rng.normal(size=(5, 3)))


def gradient_cases(rng):
    general = rng.normal(size=(6, 3))
    cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2.0
    flat = np.concatenate([rng.normal(size=(6, 2)), np.zeros((6, 1))], axis=1)
    return {"general": general, "three equal stretches": cube, "flat": flat}


@pytest.mark.parametrize("case", ["general", "three equal stretches", "flat"])
@pytest.mark.parametrize("reflect", [False, True])
def test_gradients(case, reflect, rng):
    """Correct gradients where the SVD's own are NaN (equal singular values) or unstable (a flat hand)."""
    points = gradient_cases(rng)[case]
    noise = 0 if case == "three equal stretches" else 0.1 * rng.normal(size=points.shape)
    target = 0.7 * points @ Rotation.random(rng=rng).as_matrix().T + noise + 1
    weights = torch.tensor(rng.uniform(0.5, 1, len(points)), requires_grad=True)
    if case == "three equal stretches":
        weights = torch.ones(len(points), dtype=torch.float64, requires_grad=True)
    p, t = torch.tensor(points, requires_grad=True), torch.tensor(target, requires_grad=True)
    if case == "flat" and reflect:
        # both a rotation and a reflection fit a flat set: differentiate on one side of the tie
        p = torch.tensor(points + 0.2 * rng.normal(size=points.shape), requires_grad=True)
    assert torch.autograd.gradcheck(lambda *a: align_similarity(*a, allow_reflection=reflect), (p, t, weights))
    assert torch.autograd.gradcheck(lambda *a: align_rigid(*a, allow_reflection=reflect), (p, t, weights))
