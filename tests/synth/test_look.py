"""Skin, light, views, backgrounds and solids, each on its own."""

import cv2
import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.synth import backdrop, solids
from knuckle.synth.light import Panorama, harmonics, irradiance, procedural_light
from knuckle.synth.skin import random_skin, reflectance_table
from knuckle.synth.views import look_from, random_view


def test_skin_gets_darker_with_melanin_and_redder_with_blood():
    table = reflectance_table(12)
    assert table.min() > 0
    assert table.max() < 0.9
    assert np.all(np.diff(table, axis=1) < 0)
    assert np.all(np.diff(table[..., 0] / table[..., 1], axis=0) > 0)
    # From the lightest to the darkest a camera's red falls to less than a quarter.
    assert table[3, -1, 0] < table[3, 0, 0] / 3


def test_skins_differ(rng):
    skins = [random_skin(rng) for _ in range(200)]
    melanin = np.array([skin.melanin for skin in skins])
    assert melanin.min() < 0.1
    assert melanin.max() > 0.9
    assert {skin.nail_cover for skin in skins} == {0.0, 0.95}


def _sphere(rng, count):
    v = rng.normal(size=(count, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_harmonics_are_orthonormal(rng):
    values = harmonics(_sphere(rng, 200_000))
    np.testing.assert_allclose(4 * np.pi * values.T @ values / 200_000, np.eye(9), atol=0.03)


def test_a_panoramas_light_agrees_with_its_pixels(tmp_path, rng):
    sky = np.full((64, 128, 3), 0.2, np.float32)
    sky[:32] = 1.0  # bright above the horizon
    sky[24:27, 60:64] = 500.0  # and a sun, ahead of a camera without rotation
    cv2.imwrite(str(tmp_path / "sky.hdr"), sky)
    light = Panorama(tmp_path / "sky.hdr").light(np.eye(3))
    above, below = irradiance(light.ambient, np.array([[0, -1.0, 0], [0, 1.0, 0]])).mean(1)
    assert above == pytest.approx(1.0, rel=0.1)
    assert below == pytest.approx(0.2, rel=0.3)
    assert light.lamps[0] @ [0, -1, 0] == pytest.approx(np.cos(25.5 / 64 * np.pi), abs=0.05)
    assert light.lamps[0, 2] > 0.5
    seen = Panorama(tmp_path / "sky.hdr").view(
        np.eye(3), np.array([[64.0, 0, 31.5], [0, 64, 31.5], [0, 0, 1]]), (64, 64)
    )
    row, column = np.unravel_index(seen.mean(-1).argmax(), (64, 64))
    sun = light.lamps[0] / light.lamps[0, 2]
    np.testing.assert_allclose([column, row], [31.5 + 64 * sun[0], 31.5 + 64 * sun[1]], atol=4)


def test_procedural_light_is_positive(rng):
    for _ in range(20):
        light = procedural_light(rng)
        assert irradiance(light.ambient, _sphere(rng, 50)).min() >= 0
        np.testing.assert_allclose(np.linalg.norm(light.lamps, axis=1), 1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_view_is_from_its_direction(side, rng):
    model = HandModel.open()
    mirror = np.array([-1.0, 1, 1]) if side == "left" else np.ones(3)
    for _ in range(20):
        _, direction = random_view(rng)
        ray = np.array([0.2, -0.1, 1.0]) / np.linalg.norm([0.2, -0.1, 1.0])
        T = np.eye(4)
        T[:3, :3] = look_from(direction, side, 0.0, ray)
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
        # The direction to the camera, rotated with the hand, points back along the ray.
        np.testing.assert_allclose(T[:3, :3] @ (mirror * direction), -ray, atol=1e-9)
    T[:3, :3] = look_from(np.array([0.0, 0.0, 1.0]), side, 0.5, np.array([0.0, 0.0, 1.0]))
    joints = model.joints(np.zeros(23), T_camera_hand=T, side=side)
    up = joints[9] - joints[0]
    assert np.arctan2(up[0], -up[1]) == pytest.approx(0.5, abs=1e-6)
    # A right palm seen upright has its thumb on the right.
    T[:3, :3] = look_from(np.array([0.0, 0.0, 1.0]), side, 0.0, np.array([0.0, 0.0, 1.0]))
    joints = model.joints(np.zeros(23), T_camera_hand=T, side=side)
    assert (joints[4, 0] > joints[20, 0]) == (side == "right")


def test_backgrounds(rng, tmp_path):
    for _ in range(10):
        picture = backdrop.procedural(rng, (48, 32))
        assert picture.shape == (32, 48, 3)
        assert picture.dtype == np.uint8
    photo = rng.integers(0, 255, (90, 130, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    loaded = backdrop.load_photos(tmp_path)
    np.testing.assert_array_equal(loaded[0], photo[..., ::-1])
    assert backdrop.photo_crop(rng, loaded[0], (48, 32)).shape == (32, 48, 3)
    (tmp_path / "b.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="must be pictures but"):
        backdrop.load_photos(tmp_path)
    with pytest.raises(ValueError, match="must be a folder with pictures"):
        backdrop.load_photos(tmp_path / "nowhere")


@pytest.mark.parametrize("exponents", [(1.0, 1.0), (0.1, 1.0), (0.1, 0.1), (0.5, 1.0)])
def test_superellipsoids_have_their_extents_and_unit_normals(exponents):
    half = np.array([0.03, 0.02, 0.05])
    vertices, normals, faces = solids.superellipsoid(half, exponents)
    np.testing.assert_allclose(np.abs(vertices).max(0), half, rtol=0.02)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    assert (normals * vertices).sum(1).min() >= 0
    assert faces.max() == len(vertices) - 1


def test_a_held_object_lies_in_the_hand(rng):
    model = HandModel.open()
    angles = np.zeros(23)
    angles[[8, 9, 12, 13, 16, 17, 20, 21]] = 0.9
    joints = model.joints(angles)
    objects = [solids.held_object(rng, joints, 0) for _ in range(20)]
    found = [held for held in objects if held is not None]
    assert len(found) > 10
    for held in found:
        assert np.linalg.norm(held.T_camera_object[:3, 3] - joints.mean(0)) < 0.12
        local = (held.vertices - held.T_camera_object[:3, 3]) @ held.T_camera_object[:3, :3]
        np.testing.assert_allclose(np.abs(local).max(0), held.half_extents, rtol=0.03)
