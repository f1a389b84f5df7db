"""Sequences in which hands take and hold objects: the presets `grasp` and `hop`."""

from collections import Counter

import numpy as np
import pytest
import trimesh

from knuckle.cli import main
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.datasets.shards import ShardPicture, samples_of
from knuckle.handmodel import HandModel
from knuckle.synth import PRESETS, Generator, Settings, write_shards
from knuckle.synth.agreement import agreement
from knuckle.synth.bank import HandlingPlan, hop_things
from knuckle.synth.objects import everyday_things
from knuckle.synth.things import CATEGORIES

THINGS = {thing.name: thing for thing in everyday_things()}
GRASP = PRESETS["grasp"].handling


@pytest.fixture(scope="module")
def generator():
    generator = Generator(Settings(preset="grasp", size=96, seed=2))
    yield generator
    generator.close()


@pytest.fixture(scope="module")
def held(generator):
    """The last frames of three sequences."""
    return [generator.picture(GRASP.frames * (number + 1) - 1) for number in range(3)]


def test_hop_is_as_large_as_the_papers_and_split_as_it():
    hop = PRESETS["hop"]
    places = [hop.handling.place(i, hop.images) for i in range(hop.images)]
    lengths = Counter(sequence for sequence, _ in places)
    assert hop.images == 11820
    assert hop.size == 320
    assert len(lengths) == 600
    assert set(lengths.values()) == {19, 20}
    assert all(places[i + 1] in ((s, f + 1), (s + 1, 0)) for i, (s, f) in enumerate(places[:-1]))
    # A few sequences already have all categories and subjects.
    things = hop_things()
    assert {things[sequence % 30].category for sequence in range(4)} == set(CATEGORIES)


def test_a_plan_without_a_number_of_sequences_has_them_all_alike():
    plan = HandlingPlan(frames=7)
    assert [plan.place(i, None) for i in (0, 6, 7, 22)] == [(0, 0), (0, 6), (1, 0), (3, 1)]


@pytest.mark.egl
def test_hop_goes_through_objects_subjects_and_backgrounds():
    generator = Generator(Settings(preset="hop", size=64, seed=3))
    handler = generator.handler
    seen = [handler.held(np.random.default_rng(0), number) for number in range(0, 600, 7)]
    pairs = Counter((thing.name, about["subject"]) for thing, _, _, _, about in seen)
    assert max(pairs.values()) == 1
    assert {subject for _, subject in pairs} == set(range(10))
    first, test = generator.picture(3).label, generator.picture(11020).label
    assert (first["split"], test["split"], generator.picture(11019).label["split"]) == ("train", "test", "train")
    assert (first["clip"], first["frame"], first["background"], first["hands"][0]["side"]) == (0, 3, 0, "right")
    assert test["background"] == test["clip"] == 559
    assert len(handler.sequence(3, 0).scene.light.lamps) == 2
    generator.close()
    # The objects and subjects of all 600: every pair twice, with another grasp each time.
    plan = [(number % 30, (number + number // 30) % 10) for number in range(600)]
    assert set(Counter(plan).values()) == {2}


@pytest.mark.egl
def test_a_hand_comes_near_closes_and_holds(generator):
    labels = [generator.picture(i).label for i in range(0, GRASP.frames, 3)]
    objects = [label["objects"][0] for label in labels]
    states = [thing["held"] for thing in objects]
    assert states[0] == 0
    assert states[-1] == 1
    assert states == sorted(states)
    before, after = (np.array([o["T_camera_object"] for o in objects if o["held"] == held]) for held in (0, 1))
    # At rest before, moving with the hand after.
    np.testing.assert_allclose(before, np.broadcast_to(before[0], before.shape), atol=1e-6)
    hands = np.array([label["hands"][0]["T_camera_hand"] for label in labels if label["objects"][0]["held"]])
    relative = np.linalg.inv(hands) @ after
    np.testing.assert_allclose(relative, np.broadcast_to(relative[0], relative.shape), atol=1e-6)
    assert np.ptp(after[:, :3, 3], axis=0).max() > 0.002
    assert all(o["name"] == objects[0]["name"] and sum(o["contacts"]) == 0 for o in objects if not o["held"])
    assert len({label["clip"] for label in labels}) == 1


@pytest.mark.egl
def test_labels_say_where_the_hand_touches(held):
    for picture in held:
        thing = picture.label["objects"][0]
        points, pose = np.array(thing["contact_points"]), np.array(thing["T_camera_object"])
        assert thing["category"] == THINGS[thing["name"]].category
        assert len(points) >= 3
        assert sum(thing["contacts"]) >= 3
        inside = (points - pose[:3, 3]) @ pose[:3, :3]
        if picture.label["hands"][0]["side"] == "left":
            inside = inside * [1, 1, -1]
        assert np.abs(THINGS[thing["name"]].distance(inside)).max() < 0.005
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1, abs=1e-6)


@pytest.mark.egl
def test_masks_agree_with_the_label_and_its_depth(held):
    model = HandModel.open()
    for picture in held:
        agrees = agreement(picture.label, picture.visible, picture.complete, model, THINGS)
        assert agrees.hand > 0.9  # of 96 pixels a border is a large part
        assert agrees.order > 0.95


@pytest.mark.egl
def test_samples_have_the_object(held):
    for picture in held:
        shard = ShardPicture(picture.image, picture.label, picture.visible, picture.complete)
        sample = samples_of(shard)[0]
        assert sample.object_category in CATEGORIES
        assert sample.contacts.sum() >= 3
        uv = sample.camera.project(sample.object_corners_camera)
        rows, columns = np.nonzero(sample.object_mask)
        if len(rows):
            assert columns.min() >= uv[:, 0].min() - 1.5
            assert columns.max() <= uv[:, 0].max() + 1.5
            assert rows.min() >= uv[:, 1].min() - 1.5
            assert rows.max() <= uv[:, 1].max() + 1.5


@pytest.mark.egl
def test_any_picture_comes_out_the_same_whatever_came_before(generator, held):
    again = Generator(Settings(preset="grasp", size=96, seed=2))
    picture = again.picture(2 * GRASP.frames - 1)
    again.close()
    assert picture.label == held[1].label
    np.testing.assert_array_equal(picture.image, held[1].image)


@pytest.mark.egl
def test_a_split_of_shards_can_be_named(tmp_path):
    write_shards(tmp_path, Settings(preset="hop", size=48, seed=1), images=21, shard_images=11)
    everything = list(DataSet(parse_spec(str(tmp_path))).pictures())
    assert len(everything) == 21
    assert len({picture.group for picture in everything}) == 2  # a clip is a group
    assert len(list(DataSet(parse_spec(f"{tmp_path}:train")).pictures())) == 21
    assert not list(DataSet(parse_spec(f"{tmp_path}:test")).pictures())


@pytest.mark.egl
def test_a_users_mesh_is_taken_and_held(tmp_path):
    trimesh.creation.icosphere(radius=0.03).export(tmp_path / "rubber ball.ply")
    generator = Generator(Settings(preset="grasp", size=64, seed=1, objects=str(tmp_path)))
    before, after = (generator.picture(i).label["objects"][0] for i in (0, GRASP.frames - 1))
    generator.close()
    assert before["name"] == after["name"] == "rubber ball"
    assert after["category"] == "sphere"
    np.testing.assert_allclose(after["half"], 0.03, atol=5e-4)
    assert sum(after["contacts"]) >= 3
    assert "sha256_of_listing" in Settings(preset="grasp", objects=str(tmp_path)).for_manifest()["objects"]


@pytest.mark.egl
def test_a_mesh_with_holes_stops_the_command_with_one_line(tmp_path, capsys):
    (tmp_path / "meshes").mkdir()
    cup = trimesh.creation.cylinder(radius=0.03, height=0.1)
    cup.update_faces(np.arange(len(cup.faces)) % 9 > 0)
    cup.export(tmp_path / "meshes" / "cup.obj")
    out, meshes = str(tmp_path / "out"), str(tmp_path / "meshes")
    assert main(["synth", out, "--images", "1", "--preset", "grasp", "--objects", meshes, "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert "cup.obj must be a closed mesh but has holes" in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.tar"))


def test_objects_can_be_given_to_the_preset_grasp_alone(tmp_path):
    with pytest.raises(ValueError, match="objects can be given to the preset grasp"):
        Settings(preset="crop", objects=str(tmp_path))
    assert "objects" not in Settings(preset="crop").for_manifest()


@pytest.mark.egl
@pytest.mark.parametrize("preset", ["grasp", "hop", "detector"])
def test_the_camera_is_never_in_an_arm(preset):
    generator = Generator(Settings(preset=preset, size=64, seed=1))
    composer, handler = generator.composer, generator.handler
    if handler:
        hands = [
            handler.scene_at(handler.sequence(1, n), t).hands[0] for n in (1, 23, 27, 42, 43) for t in (0.0, 0.9, 1.9)
        ]
    else:
        hands = [composer.hand(np.random.default_rng(n), np.array([0.0, 0.0, 0.25]), 0.0) for n in range(60)]
    generator.close()
    for hand in hands:
        # A wide sleeve is 3 to 4 cm wider than the forearm.
        arm = hand.vertices_camera[generator.renderer.surface.forearm_vertices]
        assert np.linalg.norm(arm, axis=1).min() > 0.065
