"""Data sets by the names of the command line."""

import json
from pathlib import Path

import pytest

import tiny_sets
from hand_pictures import drawn_samples, write_truth
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
        ("ho3d-v2:H@0.25:2d", "ho3d-v2", "H", None, True, 0.25),
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


def test_hands_that_a_set_lists_far_apart_come_together(tmp_path):
    """COCO's annotations are in no order of pictures."""
    tiny_sets.weak(tmp_path)
    path = tmp_path / "labels.json"
    pictures = json.loads(path.read_text())
    images = [p["image"] for p in pictures]
    box = [10, 10, 40, 40]
    people = [
        {"image_id": i, "lefthand_kpts": [20, 20, 1] * 21, "lefthand_box": box, "lefthand_valid": True}
        for i in (0, 1, 0)
    ]
    listed = [{"id": i, "file_name": name, "width": 1, "height": 1} for i, name in enumerate(images)]
    path.write_text(json.dumps({"images": listed, "annotations": people}))
    found = list(DataSet(parse_spec(f"coco:{tmp_path}")).pictures())
    assert [len(picture.hands) for picture in found] == [2, 1]


def test_joints_in_space_of_an_unknown_camera_are_left_out(tmp_path):
    spec = write_truth(tmp_path / "set", drawn_samples(2))
    path = tmp_path / "set" / "truth.json"
    entries = json.loads(path.read_text())
    del entries[0]["K"]
    path.write_text(json.dumps(entries))
    first, second = (picture.hands[0] for picture in DataSet(parse_spec(spec)).pictures())
    assert first.joints_camera is None
    assert first.joints_image is not None
    assert second.joints_camera is not None


def test_what_lies_beside_shards_does_not_change_them(tmp_path):
    (tmp_path / "pictures-000000.tar").write_bytes(b"\0" * 1024)
    data = DataSet(parse_spec(str(tmp_path)))
    before = data.fingerprint()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text("{}")
    assert data.fingerprint() == before
    (tmp_path / "pictures-000001.tar").write_bytes(b"\0" * 1024)
    assert data.fingerprint() != before
