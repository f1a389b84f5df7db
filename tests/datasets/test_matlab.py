"""MATLAB files as SciPy, which others write them with, writes them; damaged ones are refused."""

import numpy as np
import pytest
import scipy.io

from knuckle.datasets import BrokenDataset
from knuckle.datasets.matlab import read_mat


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_arrays_come_back(tmp_path, rng, compressed, kind):
    arrays = {
        "many": rng.integers(0, 100, (3, 21, 5)).astype(kind),
        "one": np.array([[7]], kind),
        "none": np.zeros((0, 3), kind),
    }
    others = {"words": "text", "cell": np.array([1, "x"], object), "record": {"a": 1.0}, "complex": np.array([1j])}
    scipy.io.savemat(tmp_path / "a.mat", {**others, **arrays}, do_compression=compressed)
    got = read_mat(tmp_path / "a.mat", tuple(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype
    with pytest.raises(BrokenDataset, match="must hold cell but holds many, one, none as numbers"):
        read_mat(tmp_path / "a.mat", ("many", "cell"))


def test_small_whole_numbers_are_stored_short(tmp_path):
    """As MATLAB does, and SciPy does not: doubles in the bytes of uint8, beside their type."""
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.array([[1.0, 2.0, 3.0]])})
    data = (tmp_path / "a.mat").read_bytes()
    at = data.index(np.array([1.0, 2.0, 3.0]).tobytes()) - 8
    short = data[:at] + np.array([3 << 16 | 2], "<u4").tobytes() + b"\1\2\3\0"
    inside = np.array([len(short) - 136], "<u4").tobytes()
    (tmp_path / "b.mat").write_bytes(short[:132] + inside + short[136:])
    np.testing.assert_array_equal(read_mat(tmp_path / "b.mat", ("x",))["x"], [[1.0, 2.0, 3.0]])


def test_other_versions_are_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.eye(3)}, format="4")
    with pytest.raises(BrokenDataset, match="save it in MATLAB with -v7"):
        read_mat(tmp_path / "a.mat", ("x",))
