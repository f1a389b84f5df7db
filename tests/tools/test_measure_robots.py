"""The figures of robots' hands, and the pictures of person and robot side by side."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.handmodel import HandModel, named_pose
from knuckle.retarget import RobotHand
from robot_fixture import urdf

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import measure_robots

    yield measure_robots
    for name in ("measure_robots", "robot_hands"):
        del sys.modules[name]


def test_a_table_and_pictures(tool, tmp_path, capsys, monkeypatch):
    (tmp_path / "hand.urdf").write_text(urdf(fingers=4))
    np.save(tmp_path / "clip.npy", HandModel.open().joints(np.stack([named_pose("flat"), named_pose("pinch_index")])))
    words = ["--poses", "3", "--recording", str(tmp_path / "clip.npy"), "--draw", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["measure_robots.py", str(tmp_path / "hand.urdf"), *words])
    tool.main()
    shown = capsys.readouterr().out
    assert "3 generated poses" in shown
    assert "clip.npy, 2 frames" in shown
    assert shown.count("gripper (13 joints)") == 2
    assert "mm of 1" in shown  # the pinch
    picture = cv2.imread(str(tmp_path / "out" / "gripper.png"))
    assert picture.shape == (len(tool.DRAWN) * tool.SIDE, 4 * tool.SIDE, 3)


def test_a_person_is_turned_into_the_robots_frame(tool, tmp_path):
    (tmp_path / "hand.urdf").write_text(urdf())
    placed = tool.in_robot(RobotHand.load(tmp_path / "hand.urdf"), np.asarray(HandModel.open().joints(np.zeros(23))))
    # The robot's fingers point along x.
    assert placed[12] @ [1, 0, 0] > 0.95 * np.linalg.norm(placed[12])
