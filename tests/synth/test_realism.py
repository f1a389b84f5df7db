"""The camera's effects, skin that folds, mixed light, and leaving each of them out."""

import json
from dataclasses import replace

import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.synth import PRESETS, Generator, Settings
from knuckle.synth.generate import surface_of
from knuckle.synth.light import black_body, procedural_light
from knuckle.synth.presets import WITHOUT, preset_without
from knuckle.synth.realism import (
    NO_REALISM,
    Realism,
    Sensor,
    blur_motion,
    photograph,
    random_sensor,
    tone_curve,
)

PERFECT = Sensor(0.0, (0.0, 0.0), (1.0, 1.0, 1.0), 0.0, 1.0, 0.0, 0.0, 1, 0.0, 0)


def test_a_perfect_camera_changes_nothing_below_its_shoulder(rng):
    picture = rng.integers(0, 200, (40, 60, 3), dtype=np.uint8)
    taken = photograph(picture, PERFECT, Realism(), rng)
    assert np.abs(taken.astype(int) - picture).max() <= 1


def test_without_sensor_and_lens_nothing_is_changed(rng):
    picture = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for _ in range(20):
        taken = photograph(picture, random_sensor(rng, NO_REALISM), NO_REALISM, rng)
        np.testing.assert_array_equal(taken, picture)


def test_tone_curves_rise(rng):
    for _ in range(50):
        curve = tone_curve(random_sensor(rng, Realism()))[0].astype(int)
        assert (np.diff(curve, axis=0) >= 0).all()
        assert curve[255].min() > 60
    brighter = tone_curve(replace(PERFECT, gain=(2.0, 1.0, 1.0)))[0]
    assert brighter[100, 0] > brighter[100, 1] == brighter[100, 2]


def test_noise_has_the_strength_that_was_asked_for(rng):
    grey = np.full((200, 200, 3), 188, np.uint8)  # half of the light
    taken = photograph(grey, replace(PERFECT, shot=4.0), Realism(), rng).astype(float)
    slope = 188 / 255 / 0.5 / 2.2
    assert taken.std() == pytest.approx(4.0 * np.sqrt(0.5) * slope, rel=0.1)
    assert taken.mean() == pytest.approx(188, abs=1)


@pytest.mark.parametrize("way", [(6.0, 0.0), (-5.0, 4.0), (0.4, -0.2)])
def test_motion_blur_leaves_the_middle_in_place(way):
    picture = np.zeros((41, 41, 3), np.uint8)
    picture[20, 20] = 255
    blurred = blur_motion(picture, way)[..., 0].astype(float)
    rows, columns = np.mgrid[:41, :41]
    assert (blurred * rows).sum() / blurred.sum() == pytest.approx(20, abs=0.05)
    assert (blurred * columns).sum() / blurred.sum() == pytest.approx(20, abs=0.05)
    spread = np.sqrt((blurred * ((rows - 20) ** 2 + (columns - 20) ** 2)).sum() / blurred.sum())
    assert spread <= np.hypot(*way) / 2 + 1


def test_black_bodies_turn_from_orange_to_blue():
    assert black_body(2500.0)[0] > 2 * black_body(2500.0)[2]
    assert black_body(10000.0)[2] > black_body(10000.0)[0]
    np.testing.assert_allclose(black_body(6500.0), 1.0, atol=0.06)


def test_mixed_light_has_sources_of_different_colours():
    ratios = []
    for seed in range(200):
        light = procedural_light(np.random.default_rng(seed), mixed=True)
        if len(light.lamps):
            ambient, lamp = light.ambient[0], light.colours[0]
            ratios.append(abs(np.log(ambient[0] / ambient[2] * lamp[2] / lamp[0])))
    assert 0.1 < np.mean(np.array(ratios) > 0.8) < 0.5


def test_skin_bends_at_the_joint_that_does():
    surface = surface_of(HandModel.open())
    angles = np.zeros(23)
    assert not surface.bend(angles).any()
    angles[9] = np.pi / 2  # the PIP joint of the index finger
    bend = surface.bend(angles)
    assert 0.5 < bend.max() < 1.5
    assert np.linalg.norm(surface.rest[bend > 0.3] - surface.joints[6], axis=1).max() < 0.02
    assert not bend[(surface.bones < 4) | (surface.bones > 6)].any()


@pytest.mark.egl
def test_each_part_can_be_left_out():
    def image(*without):
        generator = Generator(Settings("two-hands", size=64, seed=3, without=without))
        pictures = [generator.picture(i) for i in range(4)]
        generator.close()
        return np.stack([picture.image for picture in pictures]).astype(int), [p.label["hands"] for p in pictures]

    whole, hands = image()
    for part in ("soft-skin", "folds", "contact-shadows", "sensor"):
        less, same = image(part)
        assert np.abs(less - whole).mean() > 0.02
        assert same == hands  # the camera and the skin are not part of the scene
    assert {hand["pose"].startswith("two hands") for label in image("pairs")[1] for hand in label} == {False}


def test_names_of_what_is_left_out_are_checked_and_kept():
    with pytest.raises(ValueError, match="without must name parts among"):
        Settings(without=("hands",))
    settings = Settings(without=("lens", "sensor"))
    assert json.loads(json.dumps(settings.for_manifest())) == settings.for_manifest()
    for name in PRESETS:
        assert preset_without(name, ["realism"]).realism == NO_REALISM
        for part in WITHOUT:
            preset_without(name, [part])
