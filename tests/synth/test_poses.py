"""Random poses have the correlations of real hands, keep to the limits, and have no self-collision."""

import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import BONES
from knuckle.synth.collide import SelfCollision, segment_distance
from knuckle.synth.poses import FINGER_STARTS, PoseMix, coupled_angles, random_angles, swap_fingers, touch_angles


@pytest.fixture(scope="module")
def model():
    return HandModel.open()


def test_random_angles_keep_to_the_limits(model, rng):
    limits = angle_limits()
    bank = {"flat": np.zeros(23), "bent": np.full(23, 0.4)}
    kinds = set()
    for _ in range(60):
        kind, angles = random_angles(rng, bank, limits, model.joints)
        kinds.add(kind)
        assert np.all((angles >= limits[:, 0]) & (angles <= limits[:, 1]))
    assert kinds <= {"flat", "bent", "swap", "gesture", "touch", "coupled", "blend"}
    assert len(kinds) >= 6


def test_an_empty_bank_is_never_sampled(model, rng):
    for _ in range(20):
        kind, _ = random_angles(rng, {}, angle_limits(), model.joints, PoseMix(bank=1.0, swap=1.0, gesture=0.1))
        assert kind not in ("bank", "swap")


def test_neighbouring_fingers_bend_together(rng):
    angles = np.array([coupled_angles(rng) for _ in range(800)])
    mcp = np.corrcoef(angles[:, np.array(FINGER_STARTS) + 1].T)
    assert mcp[2, 3] > mcp[1, 3] > mcp[0, 3] > 0.1
    pip, dip = (angles[:, np.array(FINGER_STARTS) + k].ravel() for k in (2, 3))
    assert (pip * dip).sum() / (pip * pip).sum() == pytest.approx(2 / 3, abs=0.05)


def test_swapped_fingers_come_from_the_poses(rng):
    poses = np.arange(5)[:, None] + np.zeros(23)
    for _ in range(20):
        mixed = swap_fingers(rng, poses)
        for start in FINGER_STARTS:
            assert len(set(mixed[start : start + 4])) == 1


def test_the_thumb_touches(model, rng):
    gaps = []
    for _ in range(12):
        joints = model.joints(touch_angles(rng, model.joints))
        goals = np.concatenate([joints[[8, 12, 16, 20]], 0.5 * (joints[[6, 10, 14]] + joints[[7, 11, 15]])])
        gaps.append(np.linalg.norm(goals - joints[4], axis=1).min())
    assert np.median(gaps) < 0.023


def _brute_force(a0, a1, b0, b1):
    t = np.linspace(0, 1, 201)[:, None]
    a, b = a0 + t * (a1 - a0), b0 + t * (b1 - b0)
    return np.linalg.norm(a[:, None] - b[None], axis=-1).min()


def test_segment_distance_against_a_slow_twin(rng):
    ends = rng.normal(size=(40, 4, 3))
    ends[0, 1] = ends[0, 0] + (ends[0, 3] - ends[0, 2])  # parallel
    fast = segment_distance(*np.moveaxis(ends, 1, 0))
    slow = [_brute_force(*e) for e in ends]
    np.testing.assert_allclose(fast, slow, atol=0.02)


def test_crossed_fingers_are_found_and_a_flat_hand_is_free(model):
    collision = SelfCollision(np.full(len(BONES), 0.008))
    assert collision.depth(model.joints(np.zeros(23))) == 0
    crossed = np.zeros(23)
    crossed[11], crossed[7] = 0.5, -0.5  # index and middle abducted into each other
    assert collision.depth(model.joints(crossed)) > 0.003
    thumb_in_palm = model.joints(np.zeros(23)).copy()
    thumb_in_palm[3:5] = thumb_in_palm[9] * [[0.5], [0.6]]
    assert collision.depth(thumb_in_palm) > 0.003
