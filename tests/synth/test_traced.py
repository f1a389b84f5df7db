"""Path-traced pictures: the labels are OpenGL's, the light is right, the denoiser helps, the same bytes come again."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from knuckle.cli import main
from knuckle.synth import Generator, Settings
from knuckle.synth.light import Light, Panorama, irradiance, procedural_light
from knuckle.synth.paint import PaintedMesh, Painter, Painting
from knuckle.synth.scene import Scene
from knuckle.synth.solids import random_rotation
from knuckle.synth.traced import Tracer, environment, scattered

_SIDE = 48
_CONSTANT = np.zeros((9, 3))
_CONSTANT[0] = 1 / 0.282095  # the harmonic that is the same everywhere: a white surface has the radiance 1
_NO_LAMPS = np.zeros((0, 3))


def _sphere(radius: float = 0.1, depth: float = 0.5) -> PaintedMesh:
    """A white one without gloss, before the camera."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 33), np.linspace(0, 2 * np.pi, 65), indexing="ij")
    normals = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    index = np.arange(33 * 65).reshape(33, 65)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    positions = radius * normals.reshape(-1, 3) + (0, 0, depth)
    return _painted(positions, normals.reshape(-1, 3), faces)


def _wall(depth: float = 0.7) -> PaintedMesh:
    """A white one that faces the camera, larger than its picture."""
    positions = np.array([[-1, -1, depth], [1, -1, depth], [1, 1, depth], [-1, 1, depth]])
    return _painted(positions, np.tile([0.0, 0, -1], (4, 1)), np.array([[0, 2, 1], [0, 3, 2]]))


def _painted(positions: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> PaintedMesh:
    return PaintedMesh(
        positions=positions,
        normals=normals,
        uv=0.5 + 0.1 * positions[:, :2],
        faces=faces,
        colour=np.ones((2, 2, 3)),
        height=np.zeros((2, 2)),
        roughness=np.full((2, 2), 0.5),
        reflectance=0.0,
        metal=False,
        skin=False,
    )


def _scene(light: Light) -> Scene:
    K = np.array([[60.0, 0, 23.5], [0, 60, 23.5], [0, 0, 1]])
    return Scene(K, (_SIDE, _SIDE), (), (), light, 1.0, np.zeros((_SIDE, _SIDE, 3), np.uint8))


def _painting(*meshes: PaintedMesh) -> Painting:
    return Painting(meshes, np.zeros((_SIDE, _SIDE, 3), np.float32), np.zeros((_SIDE, _SIDE), np.int32))


def _lamp(direction: list[float]) -> Light:
    return Light(np.zeros((9, 3)), np.array([direction]), np.array([[0.9, 0.6, 0.3]]))


def test_a_white_sphere_in_white_light_is_white(rng):
    light = Tracer(16).trace(_scene(Light(_CONSTANT, _NO_LAMPS, _NO_LAMPS)), _painting(_sphere()), rng)
    inside = light[light[..., 3] == 1]
    assert len(inside) > 300
    np.testing.assert_allclose(inside[:, :3].mean(0), 1, atol=0.06)


def test_a_lamp_lights_what_faces_it_in_its_colour(rng):
    facing = Tracer(16).trace(_scene(_lamp([0, 0, -1])), _painting(_wall()), rng)
    np.testing.assert_allclose(facing[..., :3].mean((0, 1)), [0.9, 0.6, 0.3], rtol=0.1)
    # A sphere is bright where the light comes from: right, and below, as y runs down.
    light = Tracer(16).trace(_scene(_lamp([0.8, 0.6, 0])), _painting(_sphere()), rng)[..., 1]
    half = _SIDE // 2
    assert light[:, half:].sum() > 3 * light[:, :half].sum()
    assert light[half:].sum() > 2 * light[:half].sum()


def _panorama_light(rng: np.random.Generator, folder: Path) -> Light:
    """The light of a panorama of a bright sky, a dark ground and a window, tinted."""
    picture = np.full((64, 128, 3), 0.2, np.float32)
    picture[:32] = (0.5, 0.7, 1.0)
    picture[10:24, 30:44] += 8.0
    cv2.imwrite(str(folder / "window.hdr"), picture)
    light = Panorama(folder / "window.hdr").light(random_rotation(rng))
    return replace(light, ambient=light.ambient * (1.2, 1.0, 0.8), colours=light.colours * (1.2, 1.0, 0.8))


def test_the_environment_gives_surfaces_what_the_light_says(rng, tmp_path):
    for light in [*(procedural_light(rng) for _ in range(4)), _panorama_light(rng, tmp_path)]:
        panorama = environment(light, rng).astype(float)
        rows, columns = panorama.shape[:2]
        polar = np.pi * (np.arange(rows)[:, None] + 0.5) / rows
        azimuth = 2 * np.pi * (np.arange(columns) + 0.5) / columns
        directions = np.stack(
            [np.sin(azimuth) * np.sin(polar), np.cos(polar) + 0 * azimuth, -np.cos(azimuth) * np.sin(polar)], -1
        )
        normals = rng.normal(size=(20, 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        weight = np.maximum(normals @ directions.reshape(-1, 3).T, 0) * np.broadcast_to(
            np.sin(polar) * 2 * np.pi / (rows * columns), (rows, columns)
        ).reshape(-1)
        expected = irradiance(light.ambient, normals) + np.maximum(normals @ light.lamps.T, 0) @ light.colours
        np.testing.assert_allclose(weight @ panorama.reshape(-1, 3), expected, atol=0.12 * expected.max())


def test_the_denoiser_comes_nearer_to_many_samples():
    scene, painting = _scene(_lamp([0.6, -0.3, -0.742])), _painting(_sphere(), _wall())
    tracers = Tracer(150, denoised=False), Tracer(4, denoised=False), Tracer(4)
    many, noisy, clean = (tracer.trace(scene, painting, np.random.default_rng(7)) for tracer in tracers)
    assert np.abs(clean - many).mean() < 0.7 * np.abs(noisy - many).mean()


def test_scattered_light_softens_shadows_and_not_the_skin_itself(rng):
    painting = replace(_painting(_sphere()), skin=np.ones((_SIDE, _SIDE), np.int32))
    albedo = rng.uniform(0.2, 0.8, (_SIDE, _SIDE, 3)).astype(np.float32)
    light = np.concatenate([albedo, np.ones((_SIDE, _SIDE, 1), np.float32)], -1)
    # Where light falls evenly nothing changes.
    np.testing.assert_allclose(scattered(light, albedo, painting, 1000.0), light, atol=1e-5)
    light[:, 24:, :3] = 0  # a shadow's edge: red light goes farthest into it
    red, green, blue = (scattered(light, albedo, painting, 1000.0)[..., :3] / albedo)[:, 26].mean(0)
    assert red > 2 * green > 4 * blue
    assert red < 0.5


@pytest.mark.parametrize("samples", [0, -3])
def test_samples_are_positive(samples):
    with pytest.raises(ValueError, match="samples must be at least 1"):
        Tracer(samples)


@pytest.mark.egl
@pytest.mark.parametrize("preset", ["crop", "people"])
def test_traced_masks_are_those_of_the_labels(preset):
    generator = Generator(Settings(preset=preset, size=128, seed=1))
    assert generator.composer.wearer is not None
    painter, tracer = Painter(generator.renderer, generator.composer.wearer.bodies), Tracer(8)
    for index in range(2):
        scene = generator.composer.scene(np.random.default_rng([1, index]), index)
        labelled = generator.renderer.render(scene).visible > 0
        covered = tracer.trace(scene, painter.paint(scene), np.random.default_rng(index))[..., 3] > 0.5
        assert (covered & labelled).sum() >= 0.98 * (covered | labelled).sum()
    generator.close()


@pytest.mark.egl
def test_a_picture_has_the_labels_of_opengl_and_the_same_bytes_again():
    drawn = Generator(Settings(preset="plain", size=64, seed=5))
    traced = Generator(Settings(preset="plain", size=64, seed=5, renderer="traced", samples=4))
    first, picture = drawn.picture(1), traced.picture(1)
    traced.picture(0)
    again = traced.picture(1)
    for generator in (drawn, traced):
        generator.close()
    assert picture.label == first.label
    np.testing.assert_array_equal(picture.visible, first.visible)
    np.testing.assert_array_equal(picture.complete, first.complete)
    np.testing.assert_array_equal(picture.image, again.image)
    # Another picture, of the same hand before the same background.
    hand = first.visible > 0
    assert (picture.image != first.image)[hand].mean() > 0.5
    assert abs(picture.image[hand].mean() - first.image[hand].mean()) < 40


def test_the_manifest_tells_the_renderers_apart():
    assert "renderer" not in Settings().for_manifest()
    assert Settings(renderer="traced", samples=8).for_manifest()["samples"] == 8


@pytest.mark.parametrize("package", ["mitsuba", "mitsuba_oidn"])
def test_a_missing_extra_is_one_line_with_what_to_do(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"^[^\n]+pip install 'knuckle\[traced\]'`$"):
        Tracer()


def test_samples_belong_to_the_traced_renderer(tmp_path, capsys):
    assert main(["synth", str(tmp_path / "out"), "-n", "1", "--samples", "8"]) == 2
    assert "--renderer traced" in capsys.readouterr().err
