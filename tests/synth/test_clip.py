"""Clips: the frames of a preset that are videos."""

import numpy as np
import pytest

from knuckle.synth.clip import Path, random_clip, scene_at
from knuckle.synth.generate import Generator, Settings
from knuckle.synth.presets import PRESETS

FRAMES = PRESETS["motion"].clip_frames


def test_a_path_goes_smoothly_through_its_values_and_rests_at_its_ends():
    path = Path(np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.array([[0.0], [2.0]]))
    times = np.linspace(-0.2, 1.4, 161)
    values = np.array([path.value(float(t))[0] for t in times])
    assert values[0] == 0.0
    np.testing.assert_allclose(values[times >= 0.5], 2.0)
    assert np.diff(values).min() > -1e-12
    # Least jerk: the greatest speed, half-way, is 15/8 of the mean.
    assert np.diff(values).max() / 0.01 == pytest.approx(15 / 8 * 2.0 / 0.5, rel=0.01)


def test_a_rotation_goes_the_shortest_way():
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    path = Path(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.stack([np.eye(3), quarter]).reshape(2, 9))
    half = path.rotation(0.5)
    np.testing.assert_allclose(half @ half, quarter, atol=1e-12)


@pytest.mark.egl
def test_hands_of_a_clip_move_from_frame_to_frame_and_are_others_in_the_next_clip():
    generator = Generator(Settings(preset="motion", size=64, seed=3))
    labels = [generator.picture(i).label for i in (0, 1, 2, FRAMES - 1, FRAMES, FRAMES + 1)]
    again = Generator(Settings(preset="motion", size=64, seed=3))
    np.testing.assert_array_equal(generator.picture(2).image, again.picture(2).image)
    again.close()
    generator.close()
    assert [(label["clip"], label["frame"]) for label in labels] == [
        (0, 0), (0, 1), (0, 2), (0, FRAMES - 1), (1, 0), (1, 1)
    ]  # fmt: skip
    np.testing.assert_allclose([label["time"] for label in labels[:4]], np.array([0, 1, 2, FRAMES - 1]) / 30, atol=1e-6)
    for first, second in ((0, 1), (1, 2), (4, 5)):
        ones = {hand["number"]: hand for hand in labels[first]["hands"]}
        others = {hand["number"]: hand for hand in labels[second]["hands"]}
        assert ones.keys() == others.keys()
        for number, hand in ones.items():
            assert others[number]["side"] == hand["side"]
            assert others[number]["shape"] == hand["shape"]
            moved = np.subtract(others[number]["joints_camera"], hand["joints_camera"])
            assert 0 < np.linalg.norm(moved, axis=1).max() < 0.15
    assert labels[0]["hands"][0]["shape"] != labels[4]["hands"][0]["shape"]


@pytest.mark.egl
def test_clips_have_one_and_two_hands_that_cross_and_leave_the_picture():
    generator = Generator(Settings(preset="motion", size=64, seed=5))
    composer = generator.composer
    counts, crossed, away = set(), 0, 0
    for seed in range(24):
        clip = random_clip(composer, np.random.default_rng(seed), 4.0)
        centres = np.array(
            [
                [hand.T_camera_hand[:3, :3] @ [0, 0.08, 0] + hand.T_camera_hand[:3, 3] for hand in scene.hands]
                for scene in (scene_at(composer, clip, t) for t in np.linspace(0, 4, 21))
            ]
        )
        uv = centres @ clip.scene.K.T
        uv = uv[..., :2] / uv[..., 2:]
        counts.add(len(clip.hands))
        if len(clip.hands) == 2:
            apart = centres[:, 0, 0] - centres[:, 1, 0]
            crossed += bool((np.sign(apart) != np.sign(apart[0])).any())
        outside = ((uv < 0) | (uv > np.array(clip.scene.size))).any(-1)
        away += bool(outside.any() and not outside[0].all())
    generator.close()
    assert counts == {1, 2}
    assert crossed >= 3
    assert away >= 2
