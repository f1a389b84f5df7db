import json
import re

import numpy as np
import pytest

from knuckle.check import check_poses, right_log_odds
from knuckle.check.conventions import (
    candidate_orders,
    find_fingers,
    find_order,
    find_units,
    proportion_cost,
    relative_size,
)
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import ANGLE_NAMES, HandModel, named_pose
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import FINGERS, ORDERS, from_common, wrist_to_palm

MODEL = HandModel.open()
COUNT = 12
OTHER = {"left": "right", "right": "left"}


def hands(side="right", count=COUNT, seed=0):
    """Half-closed hands of several people, in random orientations before a camera."""
    rng = np.random.default_rng(seed)
    limits = angle_limits()
    share = rng.uniform(0.4, 0.7, (count, 23))
    pose = np.tile(np.eye(4), (count, 1, 1))
    pose[:, :3, :3] = axis_angle_to_matrix(rng.normal(size=(count, 3)) * 2)
    pose[:, :3, 3] = rng.normal(size=(count, 3)) * 0.1 + [0, 0, 0.5]
    angles = limits[:, 0] + share * (limits[:, 1] - limits[:, 0])
    return MODEL.joints(angles, shape=rng.normal(size=(count, 10)) * 0.7, T_camera_hand=pose, side=side)


def kinds(report):
    return [finding.kind for finding in report.findings]


@pytest.mark.parametrize("side", ["left", "right"])
def test_good_hands_have_no_findings(side):
    report = check_poses(hands(side), side)
    assert report.ok, report.lines()
    assert (report.side, report.unit, report.possible) == (side, "metres", COUNT)
    assert "common" in report.order_names
    assert report.error_mm < 0.5
    assert report.lines() == [f"12 of 12 poses are anatomically possible; mean residual {report.error_mm:.1f} mm"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_other_side_is_named(side):
    report = check_poses(hands(side), OTHER[side])
    assert kinds(report) == ["side"], report.lines()
    assert report.side == side
    assert f"{side} hands given as {OTHER[side]} ones" in report.findings[0].message
    assert report.possible == COUNT


@pytest.mark.parametrize(("unit", "factor"), [("millimetres", 1000.0), ("centimetres", 100.0)])
def test_units_are_named(unit, factor):
    report = check_poses(factor * hands())
    assert kinds(report) == ["unit"]
    assert report.unit == unit
    assert unit in report.findings[0].message


@pytest.mark.parametrize("size", [0.0, -4.5, 2.0])
def test_inches_are_doubtful_and_no_centimetres(size):
    shape = np.eye(10)[0] * size  # an adult's, a small child's and a large one's hand
    joints = MODEL.joints(named_pose("half_closed"), shape=shape)[None]
    assert find_units(relative_size(100 * joints, MODEL))[0] == "centimetres"
    report = check_poses(joints / 0.0254)
    assert kinds(report) == ["unit"], report.lines()
    assert report.unit == "inches"
    assert report.error_mm < 1
    (message,) = [finding.message for finding in report.findings]
    assert message.startswith("the joints seem to be in inches")
    assert "multiply them by 0.0254" in message


def test_joints_relative_to_a_bone_are_not_called_inches_alone():
    joints = hands(count=1)
    joints /= np.linalg.norm(joints[0, 10] - joints[0, 9])
    (finding,) = check_poses(joints).findings
    assert finding.kind == "unit"
    assert "or in lengths of a bone" in finding.message


def test_a_scale_that_is_no_unit_is_reported():
    report = check_poses(hands() / 0.09)
    assert kinds(report) == ["unit"]
    assert report.unit is None
    assert "multiply them by about 0.0" in report.findings[0].message


@pytest.mark.parametrize("name", [name for name, order in ORDERS.items() if order != ORDERS["common"]])
def test_every_order_of_the_field_is_named(name):
    report = check_poses(from_common(hands(), name))
    assert kinds(report) == ["order"], report.lines()
    assert name in report.order_names
    assert f"'{report.order_names[0]}'" in report.findings[0].message


def test_tip_to_base_is_described():
    report = check_poses(from_common(hands(), "rhd"))
    assert "each from tip to base (rhd)" in report.findings[0].message


def test_an_order_without_a_name_is_given_as_a_permutation():
    wanted = "little finger to thumb, each from tip to base, wrist last"
    order = next(order for order in candidate_orders() if order.description == wanted)
    stored = np.empty((COUNT, 21, 3))
    stored[:, order.permutation] = hands()
    report = check_poses(stored)
    assert kinds(report) == ["order"]
    assert str(list(order.permutation)) in report.findings[0].message


SWAPS = [(one, other) for one in range(5) for other in range(one + 1, 5)]


@pytest.mark.parametrize(("one", "other"), SWAPS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_swapped_fingers_are_named(side, one, other):
    order = list(range(5))
    order[one], order[other] = other, one
    joints = hands(side)
    stored = joints[:, [0, *(1 + 4 * finger + level for finger in order for level in range(4))]]
    for some in (stored, stored[3:4]):
        report = check_poses(some, side)
        assert kinds(report) == ["order"], report.lines()
        message = report.findings[0].message
        assert f"seem to be in another order, {FINGERS[one]} and {FINGERS[other]} finger swapped" in message
        permutation = json.loads(re.search(r"joints\[:, (\[.*\])\]", message)[1])
        np.testing.assert_array_equal(some[:, permutation], joints if len(some) > 1 else joints[3:4])


def test_swapped_fingers_of_another_order_and_of_a_palm():
    joints = hands()[:, [*range(5), *range(9, 13), *range(5, 9), *range(13, 21)]]
    report = check_poses(from_common(joints, "rhd"))
    assert kinds(report) == ["order"], report.lines()
    assert "with index and middle finger swapped; convert them with joints[:, [" in report.findings[0].message
    assert report.possible == COUNT


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.006])
def test_no_finger_of_a_noisy_hand_is_swapped(noise):
    joints = hands(count=100)
    joints += noise * np.random.default_rng(0).normal(size=joints.shape)
    assert {find_fingers(hand[None], MODEL) for hand in joints} == {(0, 1, 2, 3, 4)}


def test_an_unknown_order_is_no_question_of_sides():
    joints = hands()
    for seed in range(8):
        permutation = np.random.default_rng(seed).permutation(21)
        for some in (joints[:, permutation], joints[:1, permutation]):
            report = check_poses(some)
            assert kinds(report)[-1] == "unlike", report.lines()
            assert "side" not in kinds(report)
            assert "check the order of the joints" in report.findings[-1].message


def test_the_palm_for_the_wrist_is_named():
    report = check_poses(wrist_to_palm(hands(), "middle_2"))
    assert kinds(report) == ["root"]
    assert "palm" in report.findings[0].message


def test_everything_at_once():
    report = check_poses(1000 * from_common(hands("left"), "rhd"), "right")
    assert kinds(report) == ["unit", "order", "side"]
    assert report.possible == COUNT


def test_one_frame_is_enough():
    for frame in hands("left"):
        report = check_poses(1000 * from_common(frame[None], "rhd"), "right")
        assert kinds(report) == ["unit", "order", "side"], report.lines()


def test_a_mirrored_hand_has_opposite_log_odds_and_rigid_motion_changes_nothing():
    joints = hands()
    log_odds = right_log_odds(joints)
    assert log_odds.min() > 2
    np.testing.assert_allclose(right_log_odds(joints * [1, 1, -1]), -log_odds, atol=1e-9)
    turn = np.asarray(axis_angle_to_matrix(np.asarray([0.3, -1.0, 2.0])))
    np.testing.assert_allclose(right_log_odds(3.0 * joints @ turn.T + 5.0), log_odds, atol=1e-9)
    assert right_log_odds(np.zeros((2, 21, 3))).tolist() == [0.0, 0.0]
    assert right_log_odds(np.zeros((0, 21, 3))).shape == (0,)


def test_a_hand_without_depth_is_undecided():
    flat = MODEL.joints(np.zeros((3, 23))) * [1, 1, 0]
    report = check_poses(flat, "left")
    assert report.side == "undecided"
    assert "side" not in kinds(report)
    assert "cannot be determined" in report.notes[0]


@pytest.mark.parametrize(
    ("name", "degrees"), [("index_pip_flexion", -50), ("little_dip_flexion", 140), ("ring_mcp_flexion", 150)]
)
def test_a_violated_limit_is_named_with_its_frame(name, degrees):
    angles = np.tile(angle_limits().mean(axis=1), (5, 1))
    angles[3, ANGLE_NAMES.index(name)] = np.radians(degrees)
    report = check_poses(MODEL.joints(angles))
    assert kinds(report) == ["limits"], report.lines()
    assert report.findings[0].frames == (3,)
    assert report.findings[0].message.startswith(f"{name} would be {degrees}")
    assert report.possible == 4


def test_several_limits_together_are_not_attributed_to_one():
    angles = np.tile(angle_limits().mean(axis=1), (3, 1))
    angles[1, ANGLE_NAMES.index("ring_mcp_abduction")] = 2.0
    report = check_poses(MODEL.joints(angles))
    assert set(kinds(report)) == {"limits"}
    assert {frame for finding in report.findings for frame in finding.frames} == {1}


def test_a_long_bone_is_named():
    joints = hands()
    joints[:, 8] = joints[:, 7] + 2.2 * (joints[:, 8] - joints[:, 7])
    report = check_poses(joints)
    assert kinds(report) == ["bones"]
    assert "from index_dip to index_tip" in report.findings[0].message


def test_a_bone_that_is_wrong_in_one_frame():
    joints = hands()
    joints[5, 12] = joints[5, 11] + 3.0 * (joints[5, 12] - joints[5, 11])
    report = check_poses(joints)
    assert [f.frames for f in report.findings if f.kind in ("bones", "unlike")] == [(5,)], report.lines()
    assert report.possible == COUNT - 1


def test_mixed_sides_not_finite_and_collapsed_frames_are_distinguished():
    joints = hands()
    joints[2, 5] = np.nan
    joints[4, 3] = np.inf
    joints[6, 10:] = 0.0
    joints[8] *= [1, 1, -1]
    report = check_poses(joints)
    assert {f.kind: f.frames for f in report.findings} == {"not_finite": (2, 4), "collapsed": (6,), "side": (8,)}
    assert report.possible == COUNT - 4


def test_points_that_are_no_hand():
    noise = np.random.default_rng(0).normal(size=(20, 21, 3)) * 0.03
    report = check_poses(noise)
    assert "unlike" in kinds(report)
    assert report.possible == 0
    nothing = check_poses(np.zeros((2, 21, 3)))
    assert kinds(nothing) == ["collapsed"]
    assert nothing.error_mm is None
    gone = check_poses(np.full((2, 21, 3), np.nan))
    assert kinds(gone) == ["not_finite"]


def test_json_says_the_same():
    report = check_poses(1000 * hands("left", 4), "right")
    read = json.loads(json.dumps(report.to_json()))
    assert read["ok"] is False
    assert read["frames"] == read["possible"] == 4
    assert read["given"] == {"side": "right", "unit": "metres", "order": "common"}
    assert read["reading"]["side"] == "left"
    assert read["reading"]["unit"] == "millimetres"
    assert [finding["kind"] for finding in read["findings"]] == ["unit", "side"]
    assert read["findings"][0]["frames"] == [0, 1, 2, 3]


def test_progress_reaches_the_end():
    seen = []
    check_poses(hands(count=300), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 300), (300, 300)]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least one pose"):
        check_poses(np.zeros((0, 21, 3)))
    with pytest.raises(ValueError, match="side must be"):
        check_poses(hands(), "both")


def test_candidates_are_permutations_and_hold_every_named_order():
    orders = candidate_orders()
    assert orders[0].is_common
    assert sum(order.is_common for order in orders) == 1
    for order in orders:
        assert sorted(order.permutation) == list(range(21))
    assert {name for order in orders for name in order.names} == set(ORDERS)


def test_order_and_unit_are_independent_of_each_other_and_of_the_side():
    joints = hands("left")
    assert find_units(relative_size(from_common(joints, "interhand"), MODEL, order_known=False)) == ("metres",)
    assert find_units(relative_size(1e3 * joints, MODEL)) == ("millimetres",)
    order, cost = find_order(1e3 * from_common(joints, "interhand"), MODEL)
    assert "interhand" in order.names
    assert cost == pytest.approx(float(proportion_cost(joints, MODEL).mean()))
