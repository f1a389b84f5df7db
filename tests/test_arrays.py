import numpy as np
import pytest
import torch

from knuckle.arrays import array_like, namespace


def test_namespace_follows_the_arrays():
    assert namespace(np.zeros(3), None, 2.0).zeros(2).__class__ is np.ndarray
    assert isinstance(namespace(torch.zeros(3), 1).zeros(2), torch.Tensor)
    assert isinstance(namespace(None, 1.0).zeros(2), np.ndarray)


def test_mixed_libraries_are_refused():
    with pytest.raises(TypeError):
        namespace(np.zeros(3), torch.zeros(3))


def test_array_like():
    tensor = torch.ones(2, requires_grad=True)
    assert array_like(tensor, torch.zeros(1, dtype=torch.float64)).requires_grad
    assert array_like([1, 2], tensor).dtype == torch.float32
    back = array_like(tensor, np.zeros(1))
    assert isinstance(back, np.ndarray)
    assert back.dtype == np.float64
