"""Limits of hands: learned from joints, saved, refused when they are not what they should be."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.geometry.hull import distance_to_hull_2d
from knuckle.handmodel import HandLimits, HandModel, angle_limits, human_limits, learn_limits, named_pose, pose_names
from knuckle.handmodel.biomechanics import hand_measures
from knuckle.handmodel.learn_ranges import MINIMUM_HANDS
from knuckle.handmodel.ranges import excess, normalised

MODEL = HandModel.open()


def random_hands(rng, count):
    """Half-closed hands of several people, metres."""
    limits = angle_limits()
    angles = limits[:, 0] + rng.uniform(0.35, 0.75, size=(count, 23)) * (limits[:, 1] - limits[:, 0])
    return MODEL.joints(angles, shape=rng.normal(size=(count, 10)))


@pytest.fixture(scope="module")
def learned():
    rng = np.random.default_rng(0)
    joints = random_hands(rng, 2000)
    return joints, learn_limits(joints, source="random hands")


def test_named_poses_are_within_the_limits_that_ship():
    poses = np.stack([named_pose(name) for name in pose_names()])
    for side in ("right", "left"):
        assert all((part == 0).all() for part in excess(MODEL.joints(poses, side=side), side=side))
    assert human_limits().count > 1000


def test_learned_limits_hold_nearly_all_they_were_learned_from(learned):
    joints, limits = learned
    outside = excess(joints, limits)
    for part in outside:
        share = (part > 0).mean(axis=0)
        assert share.max() <= 0.0015
    assert (outside.angles > 0).mean(0).max() <= 0.0005
    assert limits.count == 2000
    measures = hand_measures(normalised(joints, limits.bone))
    np.testing.assert_allclose(limits.lengths, np.percentile(measures.lengths, [0.05, 99.95], axis=0).T, rtol=2e-5)
    whole = learn_limits(joints, percentiles=(0.0, 100.0), share=1.0)
    assert all(part.max() < 1e-12 for part in excess(joints, whole))
    assert whole.hulls.shape[1] >= limits.hulls.shape[1]


def test_units_sides_and_where_hands_are_do_not_matter(learned, rng):
    joints, limits = learned
    left = rng.random(len(joints)) < 0.5
    moved = np.where(left[:, None, None], joints * [-1, 1, 1], joints) * 1000 + [3.0, 4.0, 5.0]
    again = learn_limits(moved, left)
    np.testing.assert_allclose(again.lengths, limits.lengths)
    np.testing.assert_allclose(again.boxes, limits.boxes, atol=1e-9)


def test_another_bone_and_convention(learned):
    joints, limits = learned
    other = learn_limits(joints, bone=(9, 10), convention="shortest")
    np.testing.assert_allclose(other.lengths[9], 1.0, atol=2e-5)
    np.testing.assert_allclose(other.boxes[::3], limits.boxes[::3])
    assert np.abs(other.boxes - limits.boxes).max() > 0.01
    assert (excess(joints, other).angles > 0).mean() < 1e-3


def test_hulls_are_simplified_but_keep_their_share(learned):
    joints, limits = learned
    angles = hand_measures(joints).angles
    exact = learn_limits(joints, share=1.0)
    for i, hull in enumerate(limits.hulls):
        assert (distance_to_hull_2d(angles[:, i], hull) < 1e-9).mean() >= 0.9995
        assert distance_to_hull_2d(hull, exact.hulls[i]).max() < 1e-9
    assert len(np.unique(limits.hulls[3], axis=0)) < len(np.unique(exact.hulls[3], axis=0))


def test_boxes_contain_their_hulls():
    limits = human_limits()
    assert limits.boxes.shape == (15, 2, 2)
    assert (limits.hulls >= limits.boxes[:, None, :, 0]).all()
    assert (limits.hulls <= limits.boxes[:, None, :, 1]).all()


def test_widened_limits_contain_more(learned, rng):
    _, limits = learned
    wide = limits.widened(lengths=0.1, curvature=0.2, angles=0.1)
    np.testing.assert_allclose(wide.lengths, limits.lengths * [0.9, 1.1])
    np.testing.assert_allclose(wide.boxes - limits.boxes, np.tile([-0.1, 0.1], (15, 2, 1)), atol=0.003)
    stray = random_hands(rng, 200) + 0.004 * rng.normal(size=(200, 21, 3))
    inner, outer = excess(stray, limits), excess(stray, wide)
    assert all((o <= i).all() for i, o in zip(inner, outer, strict=True))
    assert (outer.angles < np.maximum(inner.angles - 0.0999, 1e-12)).all()


def test_joints_that_never_abduct_still_have_hulls():
    """A hinge's pairs of angles lie on a line."""
    angles = np.zeros((200, 23))
    angles[:, 9] = np.linspace(0, 1, 200)
    limits = learn_limits(MODEL.joints(angles))
    assert (excess(MODEL.joints(angles), limits).angles == 0).all()
    assert np.ptp(limits.hulls[3], axis=0).min() < 0.01


def test_limits_come_back_from_a_file(learned, tmp_path):
    _, limits = learned
    limits = replace(limits, convention="shortest", bone=(9, 10))
    limits.save(tmp_path / "limits.npz")
    again = HandLimits.load(tmp_path / "limits.npz")
    for name in ("lengths", "curvature", "spread", "hulls"):
        np.testing.assert_array_equal(getattr(again, name), getattr(limits, name))
    assert (again.bone, again.convention, again.source, again.count) == ((9, 10), "shortest", "random hands", 2000)
    with pytest.raises(ValueError, match=r"must be saved as a \.npz"):
        limits.save(tmp_path / "limits.npy")
    with pytest.raises(ValueError, match=r"convention 'paper' but they are of 'shortest'; learn .* --convention paper"):
        HandLimits.load(tmp_path / "limits.npz", convention="paper")


def test_limits_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        human_limits().hulls[0] = 0


def star(limits):
    bearings = np.arange(5) * 4 * np.pi / 5
    return np.tile(0.3 * np.stack([np.cos(bearings), np.sin(bearings)], -1), (15, 1, 1))


BROKEN = {
    "lengths must be (20, 2)": {"lengths": lambda limits: limits.lengths[:19]},
    "curvature must be (4, 2)": {"curvature": lambda limits: limits.curvature[:, :1]},
    "spread must be finite": {"spread": lambda limits: np.full((4, 2), np.nan)},
    "lengths must be (smallest, largest)": {"lengths": lambda limits: limits.lengths[:, ::-1]},
    "hulls must be anticlockwise but hull 0": {"hulls": lambda limits: limits.hulls[:, ::-1]},
    "hulls must be convex but hull 0": {"hulls": star},
    "hulls must have an area": {"hulls": lambda limits: limits.hulls * [1.0, 0.0]},
    "hulls must be (15, M, 2)": {"hulls": lambda limits: limits.hulls[:14]},
    "M from 3 to 512": {"hulls": lambda limits: np.repeat(limits.hulls, 40, axis=1)},
    "hulls must be finite angles": {"hulls": lambda limits: np.degrees(limits.hulls)},
    "bone must be two different joints": {"bone": lambda limits: np.array([3, 3])},
    "lacks hulls": {"hulls": None},
    "must be of format 1 but is of 2": {"format": lambda limits: np.int64(2)},
    "the convention paper or shortest": {"convention": lambda limits: np.array("longest")},
    "its lengths is of the type": {"lengths": lambda limits: np.array([["a"] * 2] * 20)},
    "could run code": {"source": lambda limits: np.array(["a", {}], object)},
    "one format, count": {"bone": lambda limits: np.arange(3)},
}


@pytest.mark.parametrize("message", BROKEN)
def test_files_that_are_not_limits_are_refused_in_one_line(message, tmp_path):
    limits, path = human_limits(), tmp_path / "limits.npz"
    limits.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    for name, change in BROKEN[message].items():
        if change is None:
            del arrays[name]
        else:
            arrays[name] = change(limits)
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        HandLimits.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_hands_are_said_so(rng):
    joints = random_hands(rng, MINIMUM_HANDS)
    assert learn_limits(joints).count == MINIMUM_HANDS
    joints[3, 5] = np.nan
    with pytest.raises(ValueError, match=f"at least {MINIMUM_HANDS} hands with 3D joints but got 99 of 100; give more"):
        learn_limits(joints)
    with pytest.raises(ValueError, match="percentiles must be low < high"):
        learn_limits(joints, percentiles=(5.0, 5.0))
