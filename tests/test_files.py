"""Files are written atomically, and read without running code in them."""

import collections
import io
import os
import pickle
import pickletools
import struct
import zipfile

import numpy as np
import pytest
import scipy.sparse

from knuckle.files import RefusedFile, atomic_write, load_npy, load_npz, load_pickle
from mano_fixture import mano_arrays, write_mano_pickle


def pickled(tmp_path, value, protocol=2):
    path = tmp_path / "file.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=protocol))
    return path


class Runs:
    """Pickles itself as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# ------------------------------------------------------------------------------------------- pickles


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back(tmp_path, rng, protocol):
    shared = rng.normal(size=(3, 4))
    value = {
        "numbers": [1, 2.5, True, None, 2**80, 1 + 2j],
        "text": ("a", "é", b"\x00\xff"),
        "sets": {1, 2},
        "ordered": collections.OrderedDict(a=1, b=[2]),
        "arrays": [np.asfortranarray(rng.normal(size=(2, 3))), rng.integers(0, 9, 4, dtype=np.uint8), np.zeros((0, 3))],
        "kinds": [np.array(["x", "long"]), np.array([True, False]), np.arange(3, dtype=">i4"), rng.random(2) * 1j],
        "scalars": [np.float32(1.5), np.int64(-3)],
        "shared": [shared, shared],
        "dtype": np.dtype("float32"),
    }
    got = load_pickle(pickled(tmp_path, value, protocol))
    assert list(got) == list(value)
    for key in ("numbers", "text", "sets", "ordered", "dtype"):
        assert got[key] == value[key], key
    for key in ("arrays", "kinds", "scalars"):
        for one, other in zip(got[key], value[key], strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert got["shared"][0] is got["shared"][1]
    got["arrays"][0][0, 0] = 7  # writable, and so fit for torch.from_numpy


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("layout", ["csc", "csr", "coo", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse_becomes_dense(tmp_path, rng, protocol, layout, kind):
    dense = np.where(rng.random((6, 4)) < 0.5, rng.normal(size=(6, 4)), 0)
    sparse = getattr(scipy.sparse, f"{layout}_{kind}")(dense)
    np.testing.assert_array_equal(load_pickle(pickled(tmp_path, {"m": sparse}, protocol))["m"], dense)


def test_mano_pickle(tmp_path, rng):
    """Python 2's byte strings, chumpy's Ch and Select, and an old scipy's csc_matrix; scipy is not imported."""
    arrays = mano_arrays(rng, left=False)
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", arrays)
    got = load_pickle(tmp_path / "MANO_RIGHT.pkl")
    for key, value in arrays.items():
        np.testing.assert_array_equal(got[key], value)
    assert got["bs_style"] == "lbs"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("true",)),
        (eval, ("1+1",)),
        (getattr, (1, "real")),
        (open, ("x", "w")),
        (np.load, ("x",)),
        (bytearray, (10**12,)),
    ],
)
def test_code_is_refused_by_name(tmp_path, protocol, function, arguments):
    path = pickled(tmp_path, {"v_template": np.zeros(3), "x": Runs(function, *arguments)}, protocol)
    module = "nt|posix" if function is os.system else r"(builtins|__builtin__|_io|io|numpy)"
    with pytest.raises(
        RefusedFile, match=rf"file\.pkl.*refers to ({module})\.{function.__name__},.*nothing was run"
    ) as caught:
        load_pickle(path)
    assert caught.value.__cause__ is None


def test_nothing_ran(tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(RefusedFile):
        load_pickle(pickled(tmp_path, Runs(os.mkdir, str(mark))))
    with pytest.raises(RefusedFile):  # no array of objects, through which numpy's own unpickling runs code
        load_pickle(pickled(tmp_path, np.array([Runs(os.mkdir, str(mark))], dtype=object)))
    assert not mark.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"not a pickle",
        pickle.dumps(np.arange(100))[:-30],
        b"<html><body>404</body></html>",
        # a memo number that would make the reader reserve 16 GB
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        # an array of 10^12 numbers in 8 bytes; a dtype that is none; a call of bytes
        pickle.dumps(np.zeros(2), protocol=2).replace(b"K\x02\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85"),
        pickle.dumps(np.zeros(2), protocol=2).replace(b"f8", b"O8"),
        b"\x80\x02c__builtin__\nbytes\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
        # an object outside the file; a change to a function; a bare class
        b"\x80\x02K\x01Q.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}b.",
        b"\x80\x02cnumpy\nndarray\n.",
        # copyreg making a builtin
        b"\x80\x02ccopy_reg\n_reconstructor\nc__builtin__\nset\nc__builtin__\nobject\nN\x87R.",
    ],
)
def test_damaged_or_hostile_streams_are_refused(tmp_path, stream):
    with pytest.raises(RefusedFile, match=r"file\.pkl"):
        load_pickle(pickled(tmp_path, stream))


def test_a_bomb_of_shared_containers_is_refused(tmp_path):
    value = ()
    for _ in range(50):
        value = (value, value)  # 2^50 leaves when walked without a memory
    with pytest.raises(RefusedFile, match="so often that it would become 1"):
        load_pickle(pickled(tmp_path, value))
    shared = list(range(10))
    for _ in range(8):
        shared = [shared] * 10
    with pytest.raises(RefusedFile, match="so often"):
        load_pickle(pickled(tmp_path, {"v_template": shared}))
    looped = []
    looped.append(looped)
    with pytest.raises(RefusedFile, match="contains itself"):
        load_pickle(pickled(tmp_path, looped))


def test_deep_nesting_is_refused(tmp_path):
    stream = b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b"."
    with pytest.raises(RefusedFile, match="deeper"):
        load_pickle(pickled(tmp_path, stream))


def test_negative_and_huge_sparse_matrices_are_refused(tmp_path):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indices[0] = -1
    with pytest.raises(RefusedFile, match="negative"):
        load_pickle(pickled(tmp_path, matrix))
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    matrix.indptr[-1] = 2**30
    with pytest.raises(RefusedFile, match="to 3 indices"):
        load_pickle(pickled(tmp_path, matrix))
    huge = scipy.sparse.coo_matrix(([1.0], ([0], [0])), shape=(10**6, 10**6))
    with pytest.raises(RefusedFile, match="become at most"):
        load_pickle(pickled(tmp_path, huge))


def test_size_is_bounded(tmp_path):
    path = pickled(tmp_path, np.zeros(1000))
    with pytest.raises(RefusedFile, match="max_bytes"):
        load_pickle(path, max_bytes=1000)
    with pytest.raises(FileNotFoundError):
        load_pickle(tmp_path / "none.pkl")


def test_chumpy_written_with_protocol_0(tmp_path):
    """copy_reg._reconstructor, as old protocols make instances."""
    array = pickle.dumps(np.arange(3.0), protocol=0)[:-1]
    stream = b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR(dS'x'\n" + array + b"sb."
    pickletools.dis(stream, out=io.StringIO())
    np.testing.assert_array_equal(load_pickle(pickled(tmp_path, stream)), np.arange(3.0))


# ------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_comes_back(tmp_path, rng, save):
    arrays = {
        "a": np.asfortranarray(rng.normal(size=(3, 4))),
        "b": np.array(["x", "yy"]),
        "c": np.zeros((0, 2), np.float32),
        "d": np.array(3),
    }
    save(tmp_path / "file.npz", **arrays)
    got = load_npz(tmp_path / "file.npz")
    assert list(got) == list(arrays)
    for key, value in arrays.items():
        np.testing.assert_array_equal(got[key], value)
        assert got[key].dtype == value.dtype
        assert got[key].shape == value.shape


def test_npy_comes_back(tmp_path, rng):
    value = rng.normal(size=(2, 3))
    np.save(tmp_path / "file.npy", value)
    np.testing.assert_array_equal(load_npy(tmp_path / "file.npy"), value)


def test_arrays_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "file.npz", a=np.array([{}], dtype=object))
    with pytest.raises(RefusedFile, match="Python objects"):
        load_npz(tmp_path / "file.npz")
    np.save(tmp_path / "file.npy", np.array([{}], dtype=object))
    with pytest.raises(RefusedFile, match="Python objects"):
        load_npy(tmp_path / "file.npy")


def test_zip_bombs_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "file.npz", a=np.zeros(10**6))
    assert (tmp_path / "file.npz").stat().st_size < 50000
    with pytest.raises(RefusedFile, match="unpack to at most"):
        load_npz(tmp_path / "file.npz", max_bytes=10**6)


def test_a_header_that_claims_more_than_there_is(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    (tmp_path / "file.npy").write_bytes(stream.getvalue() + bytes(8))
    with pytest.raises(RefusedFile, match="must hold 8000000000000 bytes"):
        load_npy(tmp_path / "file.npy")


@pytest.mark.parametrize("content", [b"", b"text", struct.pack("<I", 0x04034B50) + bytes(40)])
def test_other_files_are_refused(tmp_path, content):
    for load, name in ((load_npz, "file.npz"), (load_npy, "file.npy")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RefusedFile, match=name):
            load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("notes.txt", "text")
    with pytest.raises(RefusedFile, match=r"notes\.txt"):
        load_npz(tmp_path / "file.npz")


# ------------------------------------------------------------------------------------------- writing


def test_atomic_write(tmp_path):
    path = tmp_path / "new" / "file.npz"
    with atomic_write(path) as temporary:
        np.savez(temporary, a=np.arange(3))
        assert not path.exists()
    np.testing.assert_array_equal(load_npz(path)["a"], np.arange(3))
    before = path.read_bytes()

    def write_half():
        with atomic_write(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["file.npz"]
