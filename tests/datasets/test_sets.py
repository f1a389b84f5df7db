"""Data sets by the names of the command line."""

from pathlib import Path

import pytest

import tiny_sets
from knuckle.datasets.sets import DataSet, parse_spec


@pytest.mark.parametrize(
    ("text", "name", "root", "split", "only_2d", "share"),
    [
        ("pictures", "shards", "pictures", None, False, None),
        ("pictures@0.3", "shards", "pictures", None, False, 0.3),
        ("a@b/pictures", "shards", "a@b/pictures", None, False, None),
        ("pictures:2d@1", "shards", "pictures", None, True, 1.0),
        ("freihand:F", "freihand", "F", None, False, None),
        ("freihand:F:evaluation", "freihand", "F", "evaluation", False, None),
        ("ho3d-v2:H:train:2d@0.25", "ho3d-v2", "H", "train", True, 0.25),
        ("weak:/data/w:2d", "weak", "/data/w", None, True, None),
    ],
)
def test_specs_are_read(text, name, root, split, only_2d, share):
    spec = parse_spec(text)
    assert (spec.name, spec.root, spec.split, spec.only_2d, spec.share) == (name, Path(root), split, only_2d, share)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("freehand:F", "NAME of .*freihand.* but got 'freehand:F'"),
        ("freihand:", "must name a folder"),
        ("pictures@0", "above 0 and at most 1"),
        ("pictures@1.5", "above 0 and at most 1"),
    ],
)
def test_specs_that_say_nothing_known_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_spec(text)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold \.tar shards"):
        DataSet(parse_spec(str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        DataSet(parse_spec(f"freihand:{tmp_path}/nowhere"))
    tiny_sets.freihand(tmp_path)
    with pytest.raises(ValueError, match="split must be one of training, evaluation"):
        DataSet(parse_spec(f"freihand:{tmp_path}:test"))


def test_hands_of_one_picture_come_together_with_their_group(tmp_path):
    tiny_sets.weak(tmp_path)
    pictures = list(DataSet(parse_spec(f"weak:{tmp_path}")).pictures())
    assert max(len(p.hands) for p in pictures) == 2
    assert [p.group for p in pictures] == ["day1", "day1", "day2"]
