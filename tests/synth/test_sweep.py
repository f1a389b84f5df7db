"""The presets of S4's two synthetic sets: what is gone through, and how often."""

from collections import Counter

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.poses import named_pose, pose_names
from knuckle.synth import PRESETS
from knuckle.synth.collide import SelfCollision
from knuckle.synth.compose import Composer
from knuckle.synth.generate import surface_of
from knuckle.synth.sweep import even_view, sphere_view


def composer(preset: str) -> Composer:
    model = HandModel.open()
    surface = surface_of(model)
    bank = {name: named_pose(name) for name in pose_names()}
    collision = SelfCollision(surface.radii())
    return Composer(model, surface, collision, angle_limits(), bank, PRESETS[preset], (64, 64))


def test_angrender_has_thirty_two_pictures_at_each_position() -> None:
    views = [sphere_view(i) for i in range(71424)]
    names = Counter(view.name for view in views)
    assert PRESETS["angrender"].images == 71424
    assert len(names) == 31 * 72
    assert set(names.values()) == {32}
    heights = np.array([view.direction[1] for view in views])
    np.testing.assert_allclose([heights.min(), heights.max()], np.sin(np.deg2rad([-60, 90])), atol=1e-12)
    # A tenth of a round already has every height about as often as the whole.
    share = Counter(view.name.split(" azimuth")[0] for view in views[:223])
    assert set(share) == {f"elevation {e}" for e in range(-60, 91, 5)}
    assert max(share.values()) <= 9


def test_manorender_has_sixty_four_views_of_each_of_895_poses() -> None:
    assert PRESETS["manorender"].images == 57280
    pairs = Counter((i % 895, even_view(i).name) for i in range(57280))
    assert len(pairs) == 57280  # every pose with each view once
    directions = np.array([view.direction for view in {even_view(i).name: even_view(i) for i in range(64)}.values()])
    assert len(directions) == 64
    np.testing.assert_allclose(directions.mean(0), 0.0, atol=0.02)
    between = np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1))) + 360 * np.eye(64)
    assert between.min() > 16  # 64 directions are 28 degrees apart at best


def test_views_are_orthonormal_and_upright() -> None:
    for view in [sphere_view(i) for i in range(0, 2232, 7)] + [even_view(i) for i in range(64)]:
        np.testing.assert_allclose([view.direction @ view.direction, view.up @ view.up], 1.0, atol=1e-12)
        assert abs(view.direction @ view.up) < 1e-12
        assert view.up[1] >= -1e-12  # the fingers do not point down in the picture


def test_the_camera_sees_the_hand_from_the_position() -> None:
    angrender = composer("angrender")
    for index in range(8):
        hand = angrender.scene(np.random.default_rng([5, index]), index).hands[0]
        seen = -hand.T_camera_hand[:3, :3].T @ (hand.joints_camera.mean(0) / np.linalg.norm(hand.joints_camera.mean(0)))
        mirror = np.array([-1.0, 1.0, 1.0]) if hand.side == "left" else np.ones(3)
        view = sphere_view(index)
        assert hand.view == view.name
        assert np.degrees(np.arccos(seen * mirror @ view.direction)) < 8  # a hand's mean joint is off its middle


def test_fingers_are_swapped_between_the_poses_of_one_bank() -> None:
    first, second = composer("manorender"), composer("manorender")
    hands = [first.scene(np.random.default_rng([6, i]), i).hands[0] for i in (3, 3 + 895, 3 + 2 * 895)]
    again = second.scene(np.random.default_rng([6, 3]), 3).hands[0]
    np.testing.assert_array_equal(hands[0].angles, again.angles)
    assert {hand.pose for hand in hands} == {"pose 3"}
    assert len({hand.view for hand in hands}) == 3
    fingers = {tuple(hand.angles[7:11]) for hand in hands} | {tuple(hand.angles[11:15]) for hand in hands}
    assert len(fingers) > 2
    # Every finger is one of a bank of 895, whatever the set's seed.
    bank = {tuple(first._swapped_poses._pose(n)[7:11]) for n in range(895)}
    assert all(tuple(hand.angles[7:11]) in bank for hand in hands)
