import numpy as np
import pytest
from view_shapes import sphere

from knuckle.view.raster import rasterise


def slow_raster(points, depth, faces, size):
    """The readable twin: every face against every pixel."""
    width, height = size
    best = np.full((height, width), np.inf)
    seen = np.full((height, width), -1)
    for number, (i, j, k) in enumerate(faces):
        matrix = np.stack([[*points[v], 1.0] for v in (i, j, k)], axis=-1)
        if abs(np.linalg.det(matrix)) < 1e-12 or min(depth[[i, j, k]]) <= 0:
            continue
        for row in range(height):
            for column in range(width):
                share = np.linalg.solve(matrix, [column, row, 1.0])
                if share.min() < 0:
                    continue
                z = 1.0 / (share @ (1.0 / depth[[i, j, k]]))
                if z < best[row, column]:
                    best[row, column], seen[row, column] = z, number
    return seen, best


def test_agrees_with_the_slow_twin():
    rng = np.random.default_rng(0)
    points, depth = rng.uniform(-4, 24, (18, 2)), rng.uniform(0.3, 2.0, 18)
    faces = rng.permutation(18).reshape(6, 3)
    seen, best = slow_raster(points, depth, faces, (20, 16))
    raster = rasterise(points, depth, faces, (20, 16))
    picture = np.full((16, 20), -1)
    picture[raster.rows, raster.columns] = raster.face
    np.testing.assert_array_equal(picture, seen)
    np.testing.assert_allclose(raster.depth, best[raster.rows, raster.columns], rtol=1e-9)


def test_weights_find_the_point_in_space():
    vertices = np.asarray([[-1.0, -1, 2], [3, -1, 8], [-1, 2, 3]])
    points = 20 * vertices[:, :2] / vertices[:, 2:] + 15
    raster = rasterise(points, vertices[:, 2], np.asarray([[0, 1, 2]]), (40, 40))
    found = raster.weights @ vertices
    np.testing.assert_allclose(20 * found[:, 0] / found[:, 2] + 15, raster.columns, atol=1e-9)
    np.testing.assert_allclose(20 * found[:, 1] / found[:, 2] + 15, raster.rows, atol=1e-9)
    np.testing.assert_allclose(found[:, 2], raster.depth, rtol=1e-12)


def test_a_sphere_has_no_holes_and_the_right_area():
    vertices, faces = sphere(rings=40, radius=1.0, centre=(0.0, 0.0, 200.0))
    points = 200 * 100 * vertices[:, :2] / vertices[:, 2:] + 127.3
    raster = rasterise(points, vertices[:, 2], faces, (256, 256))
    covered = np.zeros((256, 256), bool)
    covered[raster.rows, raster.columns] = True
    distance = np.hypot(*np.meshgrid(np.arange(256) - 127.3, np.arange(256) - 127.3))
    assert covered[distance < 99].all()
    assert not covered[distance > 100.1].any()
    assert raster.depth.max() < 200.0  # the far half is hidden


@pytest.mark.parametrize("depth", [[0.0, 1, 1], [-1.0, 1, 1], [np.nan, 1, 1]])
def test_faces_behind_the_camera_and_broken_ones_are_left_out(depth):
    points = np.asarray([[0.0, 0], [9, 0], [0, 9]])
    assert len(rasterise(points, np.asarray(depth), np.asarray([[0, 1, 2]]), (10, 10)).face) == 0


def test_nothing_to_draw():
    none = rasterise(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3), int), (8, 8))
    assert len(none.face) == 0
    outside = np.asarray([[100.0, 100], [120, 100], [100, 120]])
    assert len(rasterise(outside, np.ones(3), np.asarray([[0, 1, 2]]), (8, 8)).face) == 0
    flat = np.asarray([[0.0, 0], [4, 4], [8, 8]])
    assert len(rasterise(flat, np.ones(3), np.asarray([[0, 1, 2]]), (8, 8)).face) == 0


def test_too_many_faces_are_refused():
    with pytest.raises(ValueError, match="fewer than"):
        rasterise(np.zeros((3, 2)), np.ones(3), np.zeros((2**21, 3), np.int64), (4, 4))
