"""Robots' hands follow a person's: within limits, fingers in the same directions, at the speed of a camera."""

import csv
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from knuckle.cli import main
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel, angle_limits, named_pose, pose_names
from knuckle.retarget import RobotHand, retarget
from knuckle.retarget.motion import _Solver, _Targets, _targets
from knuckle.skeleton import FINGERS
from robot_fixture import urdf

MODEL = HandModel.open()
TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def robot_hands(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import robot_hands

    yield robot_hands
    del sys.modules["robot_hands"]


def written(tmp_path, **options):
    (tmp_path / "hand.urdf").write_text(urdf(**options))
    return tmp_path / "hand.urdf"


def poses(count, side, seed=0):
    """(N, 21, 3) mixtures of the bank's poses, turned and moved anywhere."""
    rng = np.random.default_rng(seed)
    bank = np.stack([named_pose(name) for name in pose_names()])
    share = rng.uniform(0, 1, (count, 1))
    angles = share * bank[rng.integers(0, 100, count)] + (1 - share) * bank[rng.integers(0, 100, count)]
    limits = angle_limits()
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = axis_angle_to_matrix(rng.normal(0, 1, (count, 3)))
    T[:, :3, 3] = rng.normal(0, 1, (count, 3))
    return MODEL.joints(np.clip(angles, limits[:, 0], limits[:, 1]), T_camera_hand=T, side=side)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("fingers", [3, 4])
def test_fingers_point_as_the_persons_within_limits(tmp_path, side, fingers):
    robot = RobotHand.load(written(tmp_path, side=side, fingers=fingers), side)
    assert robot.fingers == ("thumb", "index", "middle", "ring")[:fingers]
    assert robot.tips == ("t_end", "a_end", "b_end", "c_end")[:fingers]
    assert robot.bases == ("t0", "a0", "b0", "c0")[:fingers]
    assert "wrist" not in robot.joint_names
    np.testing.assert_allclose(np.linalg.det(robot.R_robot_hand), 1.0)
    joints = poses(60, side)
    motion = retarget(robot, joints)
    assert motion.positions.shape == (60, len(robot.joint_names))
    assert (motion.positions >= robot.limits[:, 0]).all()
    assert (motion.positions <= robot.limits[:, 1]).all()
    assert np.degrees(np.median(motion.direction_error)) < 15


def test_it_does_not_matter_where_the_hand_is(tmp_path):
    robot = RobotHand.load(written(tmp_path))
    joints = poses(5, "right")
    turn = axis_angle_to_matrix(np.array([0.3, -1.0, 0.7]))
    np.testing.assert_allclose(
        retarget(robot, joints @ turn.T + [0.1, 0.2, 3.0]).positions, retarget(robot, joints).positions, atol=1e-3
    )


def test_a_closing_finger_closes_and_the_others_do_not(tmp_path):
    robot = RobotHand.load(written(tmp_path))
    bent = np.zeros((2, 23))
    bent[1, [8, 9, 10]] = 1.0  # of the index
    motion = retarget(robot, MODEL.joints(bent))
    change = dict(zip(motion.joint_names, np.diff(motion.positions, axis=0)[0], strict=True))
    assert change["a1"] + change["a2"] > 1.5
    assert abs(change["b1"]) + abs(change["b2"]) < 0.2


def test_a_pinch_stays_a_pinch(tmp_path):
    robot = RobotHand.load(written(tmp_path))

    def gap(name):
        (positions,) = retarget(robot, MODEL.joints(named_pose(name))[None]).positions
        ends = [chain[-1] for chain in robot.chains(positions)]
        return np.linalg.norm(ends[0] - ends[1])

    assert gap("pinch_index") < 0.5 * gap("flat")


@pytest.mark.parametrize("mimic", [False, True])
def test_the_costs_gradient_is_its_derivative(tmp_path, mimic):
    robot = RobotHand.load(written(tmp_path, fingers=4, mimic=mimic))
    solver = _Solver(robot)
    target = _Targets(*(part[0] for part in _targets(robot, MODEL.joints(named_pose("pinch_index"))[None])))
    start, q = robot.limits.mean(axis=1), robot.limits @ [0.3, 0.7]
    _, gradient, _ = solver._equations(q, start, target)
    step = 1e-6 * np.eye(len(q))
    found = [solver._equations(q + s, start, target)[0] - solver._equations(q - s, start, target)[0] for s in step]
    np.testing.assert_allclose(2 * gradient, np.array(found) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["allegro", "leap", "shadow"])
def test_published_layouts_follow(tmp_path, robot_hands, name):
    """Robots whose joint frames are turned in all ways, whose fingers have other joints than a person's."""
    path = tmp_path / "hand.urdf"
    path.write_text(robot_hands.urdf(name))
    robot = RobotHand.load(path)
    assert robot.fingers == FINGERS[: 5 if name == "shadow" else 4]
    thumbs = {"allegro": "joint_15.0_tip", "leap": "15_tip", "shadow": "THtip"}
    assert robot.tips[0] == f"{thumbs[name]}_link"  # the joints have the links' names
    assert RobotHand.load(path, tips={"thumb": thumbs[name], "index": robot.tips[1]}).tips == robot.tips[:2]
    motion = retarget(robot, poses(40, "right"))
    assert (motion.positions >= robot.limits[:, 0]).all()
    assert (motion.positions <= robot.limits[:, 1]).all()
    assert np.degrees(np.median(motion.direction_error)) < 5
    with pytest.raises(ValueError, match="must be a left hand but fits the other side better"):
        RobotHand.load(path, side="left")


def test_a_bent_finger_is_not_bent_back(tmp_path, robot_hands):
    """Of the ways to reach a fingertip the one that a person's finger takes: all joints bend in a fist."""
    (tmp_path / "hand.urdf").write_text(robot_hands.urdf("allegro"))
    robot = RobotHand.load(tmp_path / "hand.urdf")
    (positions,) = retarget(robot, MODEL.joints(named_pose("fist"))[None]).positions
    by_name = dict(zip(robot.joint_names, positions, strict=True))
    for first in (0, 4, 8):
        assert min(by_name[f"joint_{first + number}.0"] for number in (1, 2)) > 0.5


def test_joints_that_mimic_others_follow_them(tmp_path):
    robot = RobotHand.load(written(tmp_path, mimic=True))
    assert "t2" in robot.joint_names
    assert len(robot.joint_names) == robot.model.nq == 9
    assert np.isfinite(retarget(robot, poses(5, "right")).positions).all()


def test_a_frame_takes_less_than_five_milliseconds(tmp_path):
    robot = RobotHand.load(written(tmp_path, fingers=4))
    joints = poses(100, "right")
    started = time.process_time()
    retarget(robot, joints)
    assert (time.process_time() - started) / len(joints) < 0.005


def test_what_is_no_robots_hand_is_told_in_one_line(tmp_path):
    path = written(tmp_path)
    for text, message in (
        ("", "must be a robot's URDF but cannot be read"),
        ("<robot", "must be a robot's URDF but cannot be read"),
        ('<robot name="a"><link name="b"/></robot>', "must have two to five fingers but has the ends none"),
        (urdf().replace("revolute", "continuous"), "must have revolute joints with limits"),
        (urdf(side="left", fingers=4), "must be a right hand but fits the other side better"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            RobotHand.load(path)
        assert "\n" not in str(caught.value)
    path.write_text(urdf())
    with pytest.raises(ValueError, match=r"must have the link 'nail' but has not; its fingers end in .*t_end"):
        RobotHand.load(path, tips={"thumb": "t_end", "index": "nail"})
    with pytest.raises(ValueError, match=r"must name fingers among thumb, .* but got toe"):
        RobotHand.load(path, tips={"thumb": "t_end", "toe": "a_end"})
    with pytest.raises(ValueError, match=r"must be finite and of the shape \(N, 21, 3\)"):
        retarget(RobotHand.load(path), np.full((1, 21, 3), np.nan))


def test_fit_writes_a_robots_motion(tmp_path, capsys):
    path = written(tmp_path)
    np.save(tmp_path / "joints.npy", MODEL.joints(np.linspace(0, 0.6, 4)[:, None] * np.ones(23)))
    command = ["fit", str(tmp_path / "joints.npy"), "--out", str(tmp_path), "--robot", str(path), "--fps", "20"]
    assert main([*command, "--tips", "thumb=t_end,index=a_end,middle=b_end"]) == 0
    assert "robot.npz" in capsys.readouterr().out
    stored = np.load(tmp_path / "robot.npz")
    with (tmp_path / "robot.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["time", *stored["joint_names"]]
    assert [float(row["time"]) for row in rows] == [0.0, 0.05, 0.1, 0.15]
    np.testing.assert_allclose([float(row["a1"]) for row in rows], stored["positions"][:, 1], atol=1e-6)
    assert main([*command[:4], "--tips", "thumb=t_end"]) == 2
    assert "give --robot FILE too" in capsys.readouterr().err


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(ModuleNotFoundError, match=r"install it with `pip install 'knuckle\[robot\]'`"):
        RobotHand.load(written(tmp_path))
