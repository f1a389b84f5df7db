import json

import numpy as np
import pytest

from knuckle.posefile import read_poses, require_finite

JOINTS = np.random.default_rng(0).normal(size=(4, 21, 3))


def test_every_form_reads_the_same(tmp_path):
    np.save(tmp_path / "a.npy", JOINTS)
    np.savez(tmp_path / "a.npz", joints=JOINTS, other=np.zeros(3))
    (tmp_path / "a.json").write_text(json.dumps(JOINTS.tolist()))
    (tmp_path / "b.json").write_text(json.dumps({"joints": JOINTS.tolist()}))
    (tmp_path / "c.json").write_text(json.dumps([{"side": "left", "joints_camera": j.tolist()} for j in JOINTS]))
    for name in ("a.npy", "a.npz", "a.json", "b.json", "c.json"):
        np.testing.assert_array_equal(read_poses(tmp_path / name), JOINTS)


def test_one_frame_and_other_numbers(tmp_path):
    np.save(tmp_path / "one.npy", JOINTS[0].astype(np.float32))
    one = read_poses(tmp_path / "one.npy")
    assert one.shape == (1, 21, 3)
    assert one.dtype == np.float64
    np.save(tmp_path / "millimetres.npy", np.arange(63).reshape(1, 21, 3))
    assert read_poses(tmp_path / "millimetres.npy")[0, 20, 2] == 62


def bad_files():
    def text(content):
        return lambda path: path.write_text(content)

    def truncated(path):
        np.savez(path, joints=JOINTS)
        path.write_bytes(path.read_bytes()[:-200])

    def save(array):
        return lambda path: np.save(path, array, allow_pickle=True)

    return {
        "text.npy": (text("0 1 2 3"), "must be a .npy array"),
        "empty.npy": (text(""), "empty"),
        "empty.npz": (text(""), "must be a .npz"),
        "empty.json": (text(""), "must be a JSON"),
        "truncated.npz": (truncated, "could not be unpacked"),
        "objects.npy": (save(np.asarray([{"joints": 1}], dtype=object)), "Python objects"),
        "words.npy": (save(np.asarray(["wrist", "thumb"])), "must hold numbers"),
        "complex.npy": (save(JOINTS * 1j), "must hold numbers"),
        "none.npy": (save(JOINTS[:0]), "at least one pose"),
        "flat.npy": (save(JOINTS.reshape(4, 63)), r"\(N, 21, 3\) but got \(1, 4, 63\)|but got"),
        "twenty.npy": (save(JOINTS[:, :20]), r"\(4, 20, 3\)"),
        "plane.npy": (save(JOINTS[..., :2]), r"\(4, 21, 2\)"),
        "named.npz": (lambda path: np.savez(path, poses=JOINTS), "holds 'poses'"),
        "broken.json": (text("[[1, 2"), "must be a JSON"),
        "ragged.json": (text("[[[1, 2, 3]], [[1, 2]]]"), "other lengths"),
        "words.json": (text('[["a", "b"]]'), "must hold numbers"),
        "object.json": (text('{"poses": []}'), "must hold 'joints'"),
        "nested.json": (text("[" * 100000), "must be a JSON"),
        "huge.json": (text("[[[1" + "0" * 5000 + "]]]"), "must be a JSON|other lengths|shape"),
        "poses.csv": (text("1,2,3"), "convert it"),
        "poses": (text("1,2,3"), "convert it"),
    }


@pytest.mark.parametrize("name", bad_files())
def test_a_file_that_is_something_else_is_named(tmp_path, name):
    write, message = bad_files()[name]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        read_poses(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file():
    with pytest.raises(OSError, match="no-such"):
        read_poses("no-such.npy")


def test_nan_is_read_and_refused_by_require_finite(tmp_path):
    broken = JOINTS.copy()
    broken[2, 5] = np.nan
    (tmp_path / "nan.json").write_text(json.dumps(broken.tolist()).replace("NaN", "null"))
    read = read_poses(tmp_path / "nan.json")
    np.testing.assert_array_equal(read, broken)
    with pytest.raises(ValueError, match=r"nan.json must hold finite joints but frame 2, joint 5 .*1 of 4 frames"):
        require_finite(read, tmp_path / "nan.json")
    require_finite(JOINTS, "a.npy")
