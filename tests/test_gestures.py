"""Names of poses: learned from examples, read back, and given only to what is near."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import knuckle
from knuckle.cli import main
from knuckle.gestures import Gestures, named_gestures
from knuckle.handmodel import ANGLE_NAMES, angle_limits, named_pose, pose_names

LEARNED = ("fist", "peace", "spread", "point")


def people(name, count, seed):
    """A pose as several people make it: 8 degrees off in every angle."""
    rng = np.random.default_rng(seed)
    return named_pose(name) + rng.normal(0, np.radians(8), (count, 23))


def test_every_named_pose_has_its_own_name():
    for name in pose_names():
        found = named_gestures().name(named_pose(name))
        # Some poses of the bank are equal to a degree, such as two of the alphabet's and the numbers'.
        assert found is not None
        np.testing.assert_allclose(named_pose(found), named_pose(name), atol=np.radians(5))


def test_learned_names_are_found_and_others_are_not():
    mine = Gestures.learn({name: people(name, 10, seed) for seed, name in enumerate(LEARNED)})
    for seed, name in enumerate(LEARNED):
        found = [mine.name(pose) for pose in people(name, 100, 50 + seed)]
        assert found.count(name) >= 97
        assert set(found) <= {name, None}
    others = [mine.name(pose) for name in ("thumbs_up", "ok", "horns") for pose in people(name, 50, 9)]
    assert others.count(None) > 0.9 * len(others)
    limits = angle_limits()
    anywhere = np.random.default_rng(0).uniform(limits[:, 0], limits[:, 1], (200, 23))
    assert [named_gestures().name(pose) for pose in anywhere].count(None) > 180


def test_an_angle_that_varies_counts_less():
    wild = people("fist", 200, 0)
    wild[:, 0] += np.random.default_rng(1).normal(0, 1.0, 200)
    mine = Gestures.learn({"fist": wild, "flat": people("flat", 200, 2)})
    assert mine.spread[0, 0] == pytest.approx(1.0, rel=0.15)
    assert mine.spread[1, 0] < 0.5 * mine.spread[0, 0]
    np.testing.assert_allclose(mine.spread[:, 1:], np.radians(8), rtol=0.2)
    far = named_pose("fist")
    far[0] += 1.5
    assert mine.name(far) == "fist"


def test_one_example_is_enough_to_begin_with():
    mine = Gestures.learn({name: [named_pose(name)] for name in LEARNED})
    assert all(mine.name(named_pose(name)) == name for name in LEARNED)
    np.testing.assert_allclose(mine.spread, np.radians(8))


def test_a_file_is_read_back_and_is_readable(tmp_path):
    mine = Gestures.learn({name: people(name, 3, 0) for name in LEARNED}, threshold=1.5)
    mine.save(tmp_path / "mine.json")
    again = Gestures.load(tmp_path / "mine.json")
    assert (again.names, again.threshold) == (LEARNED, 1.5)
    np.testing.assert_allclose(again.means, mine.means, atol=2e-5)
    np.testing.assert_allclose(again.distances(named_pose("ok")), mine.distances(named_pose("ok")), rtol=1e-3)
    content = json.loads((tmp_path / "mine.json").read_text())
    assert set(content["gestures"]["fist"]["mean"]) == set(ANGLE_NAMES)


@pytest.mark.parametrize("text", ["[]", "{}", '{"gestures": {}, "threshold": 1}', '{"gestures": 3}'])
def test_other_files_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="must be a file that `knuckle gestures --learn` wrote") as caught:
        Gestures.load(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_learned_is_told():
    with pytest.raises(ValueError, match="one or more for each name but got none for go"):
        Gestures.learn({"stop": [named_pose("flat")], "go": []})
    with pytest.raises(ValueError, match="none for any"):
        Gestures.learn({})
    with pytest.raises(ValueError, match=r"23 finite radians, such as hand.angles, but got the shape \(21, 3\)"):
        named_gestures().name(np.zeros((21, 3)))


def test_the_command_learns_from_folders_and_from_files_and_names(tmp_path, capsys):
    image = knuckle.example_image()[..., ::-1]
    (tmp_path / "in" / "one").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in" / "one" / "a.png"), image)
    cv2.imwrite(str(tmp_path / "in" / "two_b.png"), image[:, ::-1])
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((90, 90, 3), 99, np.uint8))
    names = tmp_path / "mine.json"
    assert main(["gestures", str(tmp_path / "in"), "--learn", str(names), "--threads", "1"]) == 0
    assert capsys.readouterr().out == f"{names}: two (1), one (1)\n"
    picture = str(tmp_path / "in" / "one" / "a.png")
    assert main(["gestures", picture, str(tmp_path / "wall.png"), "--use", str(names), "--max-hands", "1"]) == 1
    said = capsys.readouterr()
    assert said.out == f"{picture}: right hand, one\n"
    assert "wall.png: shows no hand" in said.err
    assert main(["gestures", picture, "--use", str(names), "--learn", str(names)]) == 2
    assert "must not come together" in capsys.readouterr().err


def test_a_hand_knows_its_gesture():
    (hand,) = knuckle.predict(Path(__file__).parents[1] / "examples" / "hand.jpg")
    assert hand.gesture in (None, *pose_names())
    assert hand.gesture == named_gestures().name(hand.angles)
