"""Heatmaps of joints as Zimmermann and Brox have them, and where they are highest."""

import numpy as np

from knuckle.geometry.heatmap import gaussian_maps, map_peaks


def test_a_map_is_one_at_the_joint_and_one_eth_at_sigma(to_array):
    u, v = 100, 60
    maps = np.asarray(gaussian_maps(to_array(np.array([[u, v], [np.nan, np.nan]], np.float64)), 256, 256, 25.0))
    np.testing.assert_allclose(maps[0, v, [u, u + 25, u - 25]], [1.0, np.exp(-1), np.exp(-1)])
    assert maps[0].argmax() == v * 256 + u
    assert not maps[1].any()


def test_cells_are_means_of_the_fine_map():
    fine = gaussian_maps(np.array([101.3, 47.9]), 256, 256, 25.0)
    coarse = gaussian_maps(np.array([101.3, 47.9]), 256, 32, 25.0)
    np.testing.assert_allclose(coarse, fine.reshape(32, 8, 32, 8).mean((1, 3)))


def test_peaks_are_found_between_cells(to_array):
    uv = np.array([[101.3, 47.9], [30.0, 200.0], [3.0, 252.0]])
    peaks = np.asarray(map_peaks(to_array(gaussian_maps(uv, 256, 32, 25.0))))
    np.testing.assert_allclose((peaks[:2, :2] + 0.5) * 8 - 0.5, uv[:2], atol=1.5)
    np.testing.assert_allclose((peaks[2, :2] + 0.5) * 8 - 0.5, uv[2], atol=8.0)
    assert (peaks[:, 2] > 0.8).all()
    assert np.isfinite(np.asarray(map_peaks(to_array(np.zeros((2, 8, 8)))))).all()
