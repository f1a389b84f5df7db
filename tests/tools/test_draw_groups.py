"""Groups of joints compared: names do not count, equal groups agree, random ones do not."""

import numpy as np
import pytest

from knuckle.systems import open_system
from knuckle.systems.config import to_json
from knuckle.systems.joint_groups import manual_groups, random_groups
from knuckle.train import checkpoint
from tools.draw_groups import adjusted_rand, draw, main, matched

TINY = ["width=16", "depth=2", "planes=8", "crop.size=32", "crop.patch=50"]


def test_numbers_of_groups_do_not_count():
    manual = np.array(manual_groups())
    renamed = np.array([2, 0, 1])[manual]
    assert adjusted_rand(manual, renamed) == 1.0
    np.testing.assert_array_equal(matched(renamed, manual), manual)
    almost = renamed.copy()
    almost[20] = renamed[1]
    assert (matched(almost, manual) != manual).sum() == 1


def test_random_groups_agree_no_more_than_by_chance():
    found = [
        adjusted_rand(np.array(random_groups(3, 2 * i)), np.array(random_groups(3, 2 * i + 1))) for i in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.0, abs=0.02)
    # Hubert and Arabie's index of {1, 2, 3}, {4, 5, 6} and {1, 2}, {3, 4}, {5, 6}, by hand.
    assert adjusted_rand(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])) == pytest.approx(
        (2 - 1.2) / (4.5 - 1.2)
    )
    assert adjusted_rand(np.zeros(5), np.zeros(5)) == 1.0


def test_a_hand_has_the_colours_of_its_groups():
    manual = np.array(manual_groups())
    colours = {tuple(c) for c in draw(manual, "").reshape(-1, 3)}
    assert {(214, 60, 50), (50, 160, 70), (50, 90, 210)} <= colours
    assert (230, 160, 30) not in colours


def test_checkpoints_are_read_drawn_and_compared(tmp_path, capsys):
    folders = []
    for seed in (0, 1):
        settings = [*TINY, "grouping=random", f"grouping_seed={seed}"]
        system = open_system("joint-groups-small", settings=settings)
        about = {"system": "joint-groups-small", "config": to_json(system.config)}
        folders.append(checkpoint.save(tmp_path / str(seed), 1, about, system.network().state_dict(), {}))
    main([*map(str, folders), "--out", str(tmp_path / "groups.png")])
    said = capsys.readouterr().out
    expected = adjusted_rand(np.array(random_groups(3, 0)), np.array(random_groups(3, 1)))
    assert f"agreement of two checkpoints: {expected:.2f} on average" in said
    assert said.count("thumb_tip") == 2
    assert (tmp_path / "groups.png").exists()
