"""Grasps: the contact search, the bank that comes with knuckle, and other hands."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.synth.bank import AVERAGE, GraspBank, find_grasps, fit_to, hop_things, subjects
from knuckle.synth.generate import surface_of
from knuckle.synth.grasp import Grasp, GraspSearch
from knuckle.synth.objects import everyday_things

THINGS = {thing.name: thing for thing in everyday_things()}
AVERAGE_SHAPE = np.zeros(10)


@pytest.fixture(scope="module")
def search():
    model = HandModel.open()
    return GraspSearch(model, surface_of(model))


@pytest.fixture(scope="module")
def bank():
    return GraspBank.load()


def test_every_object_has_grasps_and_each_subject_two_of_each_of_hops(bank):
    assert {name for name, person in bank.grasps if person == AVERAGE} == set(THINGS)
    for name in THINGS:
        found = bank.grasps[name, AVERAGE]
        assert len(found) >= 2
        assert all(0 <= grasp.hold < len(THINGS[name].holds) for grasp in found)
    for thing in hop_things():
        for number in range(10):
            assert len(bank.grasps[thing.name, number]) == 2


def test_hop_has_thirty_objects_of_four_categories_and_ten_subjects_of_two_sexes():
    counts = Counter(thing.category for thing in hop_things())
    assert sum(counts.values()) == 30
    assert sorted(counts.values()) == [7, 7, 8, 8]
    assert Counter(subject.sex for subject in subjects()) == {"female": 5, "male": 5}
    model = HandModel.open()
    lengths = {
        sex: np.mean([np.ptp(model.joints(np.zeros(23), shape=s.shape)[:, 1]) for s in subjects() if s.sex == sex])
        for sex in ("female", "male")
    }
    assert 0.004 < lengths["male"] - lengths["female"] < 0.025
    assert len({tuple(subject.shape) for subject in subjects()}) == 10


def test_grasps_of_the_bank_touch_on_two_sides_and_hardly_enter(bank, search):
    rng = np.random.default_rng(4)
    keys = sorted(bank.grasps)
    for i in rng.permutation(len(keys))[:60]:
        (name, person), limits = keys[i], angle_limits()
        grasp = bank.grasps[keys[i]][0]
        shape = AVERAGE_SHAPE if person == AVERAGE else subjects()[person].shape
        touch = search.measure(THINGS[name], grasp, shape)
        assert touch.penetration <= 0.0021, keys[i]  # what is stored is rounded
        assert len(touch.parts) >= 3, keys[i]
        assert touch.opposed, keys[i]
        assert (grasp.angles >= limits[:, 0] - 1e-3).all()
        assert (grasp.angles <= limits[:, 1] + 1e-3).all()


def test_the_bank_is_read_back_and_saved_to_the_same_bytes(bank):
    data = bank.saved()
    assert len(data) < 300_000
    again = GraspBank.load(data)
    assert again.saved() == data
    name = ("can", AVERAGE)
    np.testing.assert_array_equal(again.grasps[name][0].angles, bank.grasps[name][0].angles)


@pytest.mark.parametrize("name", ["can", "tea box", "egg"])
def test_a_search_finds_grasps_and_the_same_again(search, name):
    found = find_grasps(search, THINGS[name], AVERAGE_SHAPE, tries=1, keep=1)
    assert len(found) == 1
    grasp, touch = found[0]
    assert touch.holds
    assert touch.joints().sum() >= 3
    again, _ = find_grasps(search, THINGS[name], AVERAGE_SHAPE, tries=1, keep=1)[0]
    np.testing.assert_array_equal(again.T_hand_object, grasp.T_hand_object)


def test_a_grasp_is_closed_again_on_other_hands(search, bank):
    smaller = np.array([-1.5, *[0.0] * 9])
    held, before = 0, 0
    for name in ("can", "tennis ball", "tea box", "hammer"):
        grasp = bank.grasps[name, AVERAGE][0]
        before += search.measure(THINGS[name], grasp, smaller).holds
        fitted, touch = fit_to(search, THINGS[name], grasp, smaller)
        assert touch.penetration <= 0.002
        held += touch.holds
        assert np.abs(fitted.angles - grasp.angles).max() < 1.0
    assert held >= 3
    assert held > before


def test_measuring_sees_what_enters_and_what_does_not_touch(search, bank):
    thing, grasp = THINGS["can"], bank.grasps["can", AVERAGE][0]
    away, inside = grasp.T_hand_object.copy(), grasp.T_hand_object.copy()
    away[:3, 3] += [0, 0, 0.3]
    inside[:3, 3] -= [0, 0, 0.01]
    nothing = search.measure(thing, replace(grasp, T_hand_object=away), AVERAGE_SHAPE)
    assert (nothing.penetration, len(nothing.parts), nothing.opposed, nothing.holds) == (0.0, 0, False, False)
    deep = search.measure(thing, replace(grasp, T_hand_object=inside), AVERAGE_SHAPE)
    assert deep.penetration > 0.004
    assert not deep.holds


def test_the_skin_moves_with_its_angles_as_it_is_said_to(search):
    angles = np.random.default_rng(0).normal(0.2, 0.2, 23)
    skin = search.skin.posed(angles, AVERAGE_SHAPE)
    which = np.arange(0, len(skin.points), 40)
    step = 1e-6
    moved = np.stack(
        [
            (search.skin.posed(angles + step * unit, AVERAGE_SHAPE).points - skin.points)[which] / step
            for unit in np.eye(23)
        ],
        axis=1,
    )
    said = search.skin.velocities(skin, which)
    assert np.sqrt(((said - moved) ** 2).mean()) < 0.02 * np.sqrt((moved**2).mean())


def test_parts_that_touch_are_said_by_their_joints(search):
    touch = search.measure(THINGS["egg"], _pinched(), AVERAGE_SHAPE)
    assert len(touch.joints()) == 21
    tips = {3: 4, 6: 8, 9: 12, 12: 16, 15: 20}
    for part, joint in tips.items():
        assert touch.joints()[joint] == (part in touch.parts)


def _pinched() -> Grasp:
    return GraspBank.load().grasps["egg", AVERAGE][0]
