"""What is decoded once: complete or not at all, also where two processes write it."""

import os

import numpy as np
import pytest

from knuckle.files import InputError
from knuckle.systems.records import open_records, write_records


def rows(value: int, count: int = 3):
    for _ in range(count):
        yield {"image": np.full((4, 4), value, np.uint8)}


def test_two_that_write_at_once_leave_the_records_of_one(tmp_path):
    """The second begins and ends in the middle of the first."""
    folder = tmp_path / "records" / "set"

    def first():
        yield from rows(1)
        write_records(folder, rows(2, 5))
        yield from rows(1)

    assert write_records(folder, first()) == 6
    found = open_records(folder)["image"]
    assert (found.shape, np.unique(found).tolist()) == ((5, 4, 4), [2])
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_what_killed_processes_have_left_is_removed_in_time(tmp_path):
    old, new = (tmp_path / f".set-{name}" for name in ("old", "new"))
    for left in (old, new):
        left.mkdir()
        (left / "image.bin").write_bytes(b"0")
    for path in (old / "image.bin", old):
        os.utime(path, (1, 1))
    write_records(tmp_path / "set", rows(1))
    assert (old.exists(), new.exists()) == (False, True)


def test_nothing_is_left_of_what_failed(tmp_path):
    def broken():
        yield from rows(1)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_records(tmp_path / "set", broken())
    with pytest.raises(ValueError, match="at least one record"):
        write_records(tmp_path / "set", [])
    with pytest.raises(ValueError, match="must always be"):
        write_records(tmp_path / "set", [*rows(1), {"image": np.zeros((5, 4), np.uint8)}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "layout",
    ["{", "[]", '{"count": 9, "arrays": {"image": ["|u1", [5]]}}', '{"count": 1, "arrays": {"image": ["O", [5]]}}'],
)
def test_damaged_records_are_named(tmp_path, layout):
    write_records(tmp_path / "set", rows(1))
    (tmp_path / "set" / "layout.json").write_text(layout)
    (tmp_path / "set" / "image.bin").write_bytes(bytes(40))
    with pytest.raises(InputError, match="set"):
        open_records(tmp_path / "set")
