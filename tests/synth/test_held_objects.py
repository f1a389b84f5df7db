"""Objects: closed, of real size, with true signed distances; and those that a user gives."""

from collections import Counter

import numpy as np
import pytest
import trimesh

from knuckle.files import InputError
from knuckle.handmodel.poses import pose_names
from knuckle.synth.finishes import FINISHES, material
from knuckle.synth.meshes import load_thing, load_things
from knuckle.synth.objects import everyday_things
from knuckle.synth.shapes import ball, box, lathe, ring, tube, volume
from knuckle.synth.things import CATEGORIES

THINGS = everyday_things()


def test_there_are_thirty_and_more_of_four_categories():
    counts = Counter(thing.category for thing in THINGS)
    assert len({thing.name for thing in THINGS}) == len(THINGS) >= 30
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 7


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_an_object_is_closed_and_of_a_size_that_hands_hold(thing):
    points = np.concatenate([shape.vertices for shape in thing.shapes])
    np.testing.assert_allclose(points.max(0), thing.half_extents, atol=1e-12)
    np.testing.assert_allclose(points.min(0), -thing.half_extents, atol=1e-12)
    assert 0.03 < 2 * thing.half_extents.max() < 0.45
    for shape in thing.shapes:
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        assert mesh.is_watertight
        assert mesh.volume > 0
        assert shape.finish in FINISHES
        # The mesh's corners lie on the surface, or its edges cut corners of a bend.
        assert np.abs(shape.distance(shape.vertices)).max() < 0.001
    for hold in thing.holds:
        assert hold.pose in pose_names()
        # What is held is within the object, or within the width of its handle.
        assert thing.distance(np.array([hold.start, hold.end])).max() < 0.04


@pytest.mark.parametrize(
    ("shape", "inside", "expected"),
    [
        (ball(0.03), 4 / 3 * np.pi * 0.03**3, lambda p: np.linalg.norm(p, axis=1) - 0.03),
        (box((0.02, 0.03, 0.04), 0.001), 8 * 0.02 * 0.03 * 0.04, None),
        (lathe([(-0.05, 0), (-0.05, 0.02), (0.05, 0.02), (0.05, 0)], 0.0), np.pi * 0.02**2 * 0.1, None),
        (tube([[-0.05, 0, 0], [0.05, 0, 0]], 0.01), np.pi * 0.01**2 * 0.1 + 4 / 3 * np.pi * 0.01**3, None),
        (ring(0.03, 0.03, 0.004), 2 * np.pi**2 * 0.03 * 0.004**2, None),
    ],
    ids=["ball", "box", "cylinder", "tube", "ring"],
)
def test_shapes_have_the_volume_and_the_distances_of_what_they_are(shape, inside, expected):
    assert volume(shape.vertices, shape.faces) == pytest.approx(inside, rel=0.06)
    points = np.random.default_rng(0).uniform(-0.06, 0.06, (20_000, 3))
    values = shape.distance(points)
    assert (values < 0).mean() * 0.12**3 == pytest.approx(inside, rel=0.12)
    # No distance changes faster than the point moves.
    moved = shape.distance(points + np.array([0.001, 0, 0]))
    assert np.abs(moved - values).max() < 0.001 + 1e-9
    if expected is not None:
        np.testing.assert_allclose(values, expected(points), atol=2e-4)


def test_near_distance_is_the_distance_near_the_object_and_never_larger():
    thing = next(thing for thing in THINGS if thing.name == "mug")
    points = np.random.default_rng(1).uniform(-0.15, 0.15, (500, 3))
    true, quick = thing.distance(points), thing.near_distance(points)
    assert (quick <= true + 1e-12).all()
    near = true < 0.009
    np.testing.assert_array_equal(quick[near], true[near])


@pytest.mark.parametrize("finish", FINISHES)
def test_a_finish_is_a_material(finish):
    made = material(np.random.default_rng(3), finish)
    assert all(0 <= c <= 1 for c in (*made.colour, *made.second_colour))
    assert made.scale > 0


def _mesh(tmp_path, name, mesh):
    mesh.export(tmp_path / name)
    return tmp_path / name


def test_a_users_mesh_is_an_object_with_holds(tmp_path):
    cylinder = trimesh.creation.cylinder(radius=0.03, height=0.12)
    cylinder.apply_translation([1.0, 2.0, 3.0])
    _mesh(tmp_path, "tin.obj", cylinder)
    _mesh(tmp_path, "marble.ply", trimesh.creation.icosphere(radius=0.02))
    marble, tin = load_things(tmp_path)
    assert (marble.name, marble.category, tin.name, tin.category) == ("marble", "sphere", "tin", "cylinder")
    np.testing.assert_allclose(tin.half_extents, [0.06, 0.03, 0.03], atol=6e-4)
    assert tin.holds
    points = np.random.default_rng(0).uniform(-1, 1, (400, 3)) * [0.07, 0.04, 0.04]
    across = np.hypot(points[:, 1], points[:, 2]) - 0.03
    beyond = np.abs(points[:, 0]) - 0.06
    true = np.where((across > 0) & (beyond > 0), np.hypot(across, beyond), np.maximum(across, beyond))
    error = np.abs(tin.distance(points) - true)[np.abs(true) < 0.005]
    assert error.max() < 0.0015
    assert np.median(error) < 0.0003
    assert (tin.distance(0.5 * points) < 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mesh: mesh.update_faces(np.arange(len(mesh.faces)) > 3), "has holes"),
        (lambda mesh: mesh.apply_scale(1000), "scale the mesh to metres"),
        (lambda mesh: mesh.update_faces(np.zeros(len(mesh.faces), bool)), "mesh"),
    ],
)
def test_a_mesh_that_cannot_be_held_is_named_in_one_line(tmp_path, change, message):
    mesh = trimesh.creation.box([0.05, 0.05, 0.05])
    change(mesh)
    with pytest.raises(InputError, match=message) as caught:
        load_thing(_mesh(tmp_path, "thing.ply", mesh))
    assert "thing.ply" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_mesh_is_refused(tmp_path):
    (tmp_path / "noise.obj").write_bytes(b"\x00\x01 not a mesh")
    with pytest.raises(InputError, match=r"noise\.obj"):
        load_thing(tmp_path / "noise.obj")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has none"):
        load_things(tmp_path / "empty")
