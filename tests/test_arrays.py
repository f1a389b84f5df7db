import numpy as np
import pytest
import torch

from knuckle.arrays import namespace


def test_namespace_follows_the_arrays():
    assert namespace(np.zeros(3), None, 2.0).zeros(2).__class__ is np.ndarray
    assert isinstance(namespace(torch.zeros(3), 1).zeros(2), torch.Tensor)
    assert isinstance(namespace(None, 1.0).zeros(2), np.ndarray)


def test_mixed_libraries_are_refused():
    with pytest.raises(TypeError):
        namespace(np.zeros(3), torch.zeros(3))
