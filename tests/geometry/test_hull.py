import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from knuckle.geometry.hull import (
    convex_hull_2d,
    dilate_hull_2d,
    distance_to_hull_2d,
    inside_hull_2d,
    project_to_hull_edges_2d,
    reduce_hull_2d,
    simplify_hull_2d,
)

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])


@pytest.mark.parametrize("n", [3, 10, 500])
def test_hull_equals_scipy(n, rng):
    points = rng.normal(size=(n, 2))
    hull = convex_hull_2d(points)
    expected = points[ConvexHull(points).vertices]
    start = int(np.argmin(expected[:, 0]))
    np.testing.assert_array_equal(hull, np.roll(expected, -start, axis=0))


def test_hull_of_degenerate_points():
    line = np.stack([np.arange(5.0), 2 * np.arange(5.0)], axis=-1)
    np.testing.assert_array_equal(convex_hull_2d(line), line[[0, -1]])
    np.testing.assert_array_equal(convex_hull_2d(np.ones((4, 2))), [[1, 1]])
    grid = np.array([[x, y] for x in range(3) for y in range(3)], dtype=float)
    np.testing.assert_array_equal(convex_hull_2d(grid), SQUARE)
    with pytest.raises(ValueError, match="at least one"):
        convex_hull_2d(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="must be finite"):
        convex_hull_2d(np.full((3, 2), np.nan))


def test_distances_known(to_array):
    points = np.array([[1, 1], [0.5, 1], [0, 0], [1, 0], [3, 1], [1, -2], [3, 3], [-3, -4.0]])
    expected = [0, 0, 0, 0, 1, 2, np.sqrt(2), 5]
    signed = [-1, -0.5, 0, 0, 1, 2, np.sqrt(2), 5]
    for corners in (SQUARE, SQUARE[::-1].copy(), np.roll(SQUARE, 1, axis=0), SQUARE[[0, 1, 2, 3, 3, 3]]):
        hull = to_array(corners)
        np.testing.assert_allclose(np.asarray(distance_to_hull_2d(to_array(points), hull)), expected, atol=1e-15)
        np.testing.assert_allclose(np.asarray(distance_to_hull_2d(to_array(points), hull, signed=True)), signed)
        np.testing.assert_array_equal(np.asarray(inside_hull_2d(to_array(points), hull)), np.array(signed) <= 0)


def test_points_and_segments_are_hulls(to_array):
    points = to_array(np.array([[1, 1], [0, 0], [3, 0], [1, 0.0]]))
    segment = to_array(np.array([[0, 0], [2.0, 0]]))
    np.testing.assert_allclose(np.asarray(distance_to_hull_2d(points, segment)), [1, 0, 1, 0])
    np.testing.assert_allclose(np.asarray(distance_to_hull_2d(points, segment[:1])), [np.sqrt(2), 0, 3, 1])


def test_distance_equals_dense_search(to_array, rng):
    hull = convex_hull_2d(rng.normal(size=(12, 2)))
    points = 3 * rng.normal(size=(200, 2))
    t = np.linspace(0, 1, 4001)[:, None, None]
    edge = (hull + t * (np.roll(hull, -1, axis=0) - hull)).reshape(-1, 2)
    nearest = np.linalg.norm(points[:, None] - edge, axis=-1).min(axis=1)
    signed = np.asarray(distance_to_hull_2d(to_array(points), to_array(hull), signed=True))
    np.testing.assert_allclose(np.abs(signed), nearest, atol=1e-3)
    equations = ConvexHull(hull).equations
    inside = (points @ equations[:, :2].T + equations[:, 2] <= 0).all(axis=1)
    np.testing.assert_array_equal(signed <= 0, inside)


def test_one_hull_each(to_array, rng):
    """Fifteen hulls of different sizes, padded by repeating a corner, against a batch of fifteen angle pairs."""
    hulls = [convex_hull_2d(rng.normal(size=(8, 2))) for _ in range(15)]
    size = max(map(len, hulls))
    padded = np.stack([np.concatenate([h, np.repeat(h[-1:], size - len(h), axis=0)]) for h in hulls])
    points = 2 * rng.normal(size=(3, 15, 2))
    distance = np.asarray(distance_to_hull_2d(to_array(points), to_array(padded)))
    assert distance.shape == (3, 15)
    for j in range(15):
        np.testing.assert_allclose(distance[:, j], distance_to_hull_2d(points[:, j], hulls[j]))
    assert project_to_hull_edges_2d(to_array(points), to_array(padded)).shape == (3, 15, size, 2)
    assert distance_to_hull_2d(to_array(points[:0]), to_array(padded)).shape == (0, 15)


def test_gradient_leads_in(rng):
    hull = torch.tensor(convex_hull_2d(rng.normal(size=(30, 2))))
    points = torch.tensor(4 * rng.normal(size=(50, 2)), requires_grad=True)
    distance = distance_to_hull_2d(points, hull)
    distance.sum().backward()
    with torch.no_grad():
        assert points.grad is not None
        outside = distance > 0
        torch.testing.assert_close(points.grad.norm(dim=-1), outside.to(torch.float64))
        landed = points - points.grad * distance[:, None]
        assert float(distance_to_hull_2d(landed, hull).max()) < 1e-12
    assert torch.autograd.gradcheck(lambda p: distance_to_hull_2d(p, hull), points)
    assert torch.autograd.gradcheck(lambda p: distance_to_hull_2d(p, hull, signed=True), points)


def test_gradient_on_corner_and_edge_is_finite():
    points = torch.tensor([[0, 0], [1, 0], [1, 1.0]], requires_grad=True)
    hull = torch.tensor(SQUARE, dtype=torch.float32)
    (distance_to_hull_2d(points, hull) + distance_to_hull_2d(points, hull, signed=True)).sum().backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()


def test_dilated_hull_contains_a_margin_and_little_more(rng):
    for points in (rng.normal(size=(30, 2)), np.array([[0.0, 0], [1, 2]]), np.zeros((1, 2))):
        hull = convex_hull_2d(points)
        wide = dilate_hull_2d(hull, 0.3)
        bearings = rng.uniform(0, 2 * np.pi, size=(500, 1))
        ring = hull[rng.integers(len(hull), size=500)] + 0.3 * np.concatenate([np.cos(bearings), np.sin(bearings)], 1)
        assert inside_hull_2d(ring, wide).all()
        assert distance_to_hull_2d(wide, hull).max() < 0.31
    with pytest.raises(ValueError, match="margin must be"):
        dilate_hull_2d(hull, -0.1)


def test_simplified_hull_keeps_its_share_of_the_points(rng):
    points = rng.normal(size=(20000, 2)) * [1.0, 0.3]
    hull = convex_hull_2d(points)
    sizes = []
    for share in (1.0, 0.9995, 0.99):
        simple = simplify_hull_2d(hull, points, share)
        assert inside_hull_2d(points, simple).mean() >= share
        np.testing.assert_array_equal(np.sort(convex_hull_2d(simple), axis=0), np.sort(simple, axis=0))
        assert {tuple(corner) for corner in simple} <= {tuple(corner) for corner in hull}
        sizes.append(len(simple))
    assert sizes[0] > sizes[1] > sizes[2]
    assert len(simplify_hull_2d(hull, points, 0.0)) == 3
    np.testing.assert_array_equal(simplify_hull_2d(SQUARE, points, 0.5)[[0, 1, 2]].shape, (3, 2))


def test_corners_within_the_tolerance_are_left_out():
    bearings = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([np.cos(bearings), np.sin(bearings)], -1)
    simple = reduce_hull_2d(circle, 0.01)
    assert len(simple) < 40
    assert distance_to_hull_2d(circle, simple).max() <= 0.01
