import numpy as np
import pytest
import torch

from knuckle.geometry.heatmap import (
    decode_lixel,
    encode_lixel,
    gaussian_1d,
    inside_lixel,
    soft_argmax_1d,
    soft_argmax_2d,
)


def test_a_spike_is_found(to_array):
    logits = np.zeros((3, 64))
    logits[np.arange(3), [0, 17, 63]] = 1000
    np.testing.assert_allclose(np.asarray(soft_argmax_1d(to_array(logits))), [0, 17, 63])
    logits = np.zeros((2, 5, 8))
    logits[0, 4, 7] = logits[1, 2, 0] = 1000
    np.testing.assert_allclose(np.asarray(soft_argmax_2d(to_array(logits))), [[7, 4], [0, 2]])


def test_flat_is_the_middle_and_huge_logits_stay_finite(to_array):
    assert float(soft_argmax_1d(to_array(np.zeros(64)))) == 31.5
    assert float(soft_argmax_1d(to_array(np.full(64, 1e30)))) == 31.5
    np.testing.assert_allclose(np.asarray(soft_argmax_2d(to_array(np.zeros((4, 6))))), [2.5, 1.5])


def test_2d_is_1d_of_each_margin(to_array, rng):
    logits = rng.normal(size=(3, 7, 9))
    p = np.exp(logits) / np.exp(logits).sum((-1, -2), keepdims=True)
    expected = [(p.sum(-2) * np.arange(9)).sum(-1), (p.sum(-1) * np.arange(7)).sum(-1)]
    np.testing.assert_allclose(np.asarray(soft_argmax_2d(to_array(logits))), np.stack(expected, -1))
    assert soft_argmax_2d(to_array(logits[:0])).shape == (0, 2)
    assert soft_argmax_1d(to_array(logits[:0])).shape == (0, 7)


def test_a_gaussian_is_read_back(to_array):
    centres = np.array([20.25, 31.5, 40.0])
    maps = gaussian_1d(to_array(centres), 64, 2.5)
    np.testing.assert_allclose(np.asarray(maps)[2, 40], 1)
    back = soft_argmax_1d(to_array(np.log(np.asarray(maps))))
    np.testing.assert_allclose(np.asarray(back), centres, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lixels(dtype, to_array, rng):
    points = rng.uniform([0, 0, -0.15], [256, 192, 0.15], size=(3, 21, 3)).astype(dtype)
    lixels = encode_lixel(to_array(points), (256, 192))
    assert lixels.dtype == to_array(points).dtype
    np.testing.assert_allclose(np.asarray(lixels)[..., 0], points[..., 0] / 4, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(lixels)[..., 2], (points[..., 2] / 0.15 + 1) * 32, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(decode_lixel(lixels, (256, 192))), points, atol=1e-4)
    assert np.asarray(inside_lixel(lixels)).all()
    edge = to_array(np.array([[-0.1, 0.0, 63.99], [64.0, np.nan, 5.0]]))
    np.testing.assert_array_equal(np.asarray(inside_lixel(edge)), [[False, True, True], [False, False, True]])


def test_gradients():
    logits = torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(soft_argmax_1d, logits)
    assert torch.autograd.gradcheck(soft_argmax_2d, logits)
