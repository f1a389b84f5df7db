"""A hand's own drawing, files and table, read back by other programs' readers and our own."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from knuckle.camera import Camera
from knuckle.handmodel import ANGLE_NAMES, HandModel, named_pose
from knuckle.sample import Angles, Hand, Hands, HeldObject
from knuckle.skeleton import BOX_CORNERS

MODEL = HandModel.open()
CAMERA = Camera.from_fov((320, 240), 1.0)


def hand(side="right", pose="peace", x=0.0, **more):
    T = np.eye(4)
    # Fingers up, the palm towards the camera.
    T[:3, :3] = np.diag([1.0, -1.0, -1.0]) if side == "right" else np.diag([-1.0, -1.0, 1.0])
    T[:3, 3] = [x, 0.05, 0.6]
    posed = MODEL(named_pose(pose), T_camera_hand=T, side=side)
    uv = CAMERA.project(posed.joints)
    return Hand(
        side=side,
        score=0.9,
        box=np.concatenate([uv.min(0), uv.max(0)]),
        joints_camera=posed.joints,
        angles=named_pose(pose),
        shape=np.zeros(10),
        T_camera_hand=T,
        joint_uncertainty_mm=np.full(21, 4.0),
        plausibility=0.8,
        camera=CAMERA,
        vertices_camera=posed.vertices,
        **more,
    )


@pytest.fixture(scope="module")
def hands():
    return Hands([hand("right", x=-0.1), hand("left", x=0.1, id=7)])


def test_angles_are_an_array_with_names(hands):
    angles = hands[0].angles
    np.testing.assert_array_equal(np.asarray(angles), named_pose("peace"))
    assert angles["index_pip_flexion"] == named_pose("peace")[ANGLE_NAMES.index("index_pip_flexion")]
    assert dict(angles) == dict(zip(angles.names, named_pose("peace"), strict=True))
    np.testing.assert_allclose(np.degrees(angles), np.degrees(named_pose("peace")))
    assert Angles(dict(reversed(list(angles.items())))) == angles
    assert pickle.loads(pickle.dumps(hands[0])).angles == angles
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(angles)[0] = 1.0
    with pytest.raises(KeyError, match=r"hand.angles.names, such as index_.*, but got 'index_flexion'"):
        angles["index_flexion"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(22), "angles must be 23 but got 22"),
        ({"a": 1.0}, "angles must be named as handmodel.ANGLE_NAMES but differ in a, "),
        (np.full(23, np.nan), "angles must be finite but got nan for thumb_cmc_flexion"),
    ],
)
def test_other_angles_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Angles(values)


@pytest.mark.parametrize("side", ["left", "right"])
def test_faces_are_wound_outwards_on_both_sides(side):
    found = hand(side)
    mesh = trimesh.Trimesh(found.vertices_camera, found.faces, process=False)
    assert found.faces.shape == (len(MODEL.faces), 3)
    assert mesh.volume > 0
    assert not found.faces.flags.writeable


def test_a_drawing_covers_the_hand_and_nothing_else(hands):
    picture = np.full((240, 320, 3), 90, np.uint8)
    drawn = hands.draw(picture)
    assert (picture == 90).all()
    for found in hands:
        u, v = np.rint(found.joints_image).astype(int).T
        assert (drawn[v, u] != 90).any(axis=1).all()
    assert (drawn[:, :20] == 90).all()
    assert (hands[0].draw(picture, mesh=False) != hands[0].draw(picture)).any()
    assert Hands().draw(picture) is not picture
    with pytest.raises(ValueError, match=r"must be the \(320, 240\) one .* but is \(160, 120\); do not resize"):
        hands.draw(picture[:120, :160])


def test_a_glb_has_each_hand_upright_and_in_metres(hands, tmp_path):
    for found in hands:
        scene = trimesh.load(found.save(tmp_path / "one.glb"))
        for node, joint in (("index_pip", 6), ("index_tip", 8), ("thumb_tip", 4)):
            place = scene.graph.get(node)[0][:3, 3]
            np.testing.assert_allclose(place, found.joints_camera[joint] * [1, -1, -1], atol=1e-5)
    both = trimesh.load(hands.save(tmp_path / "both.glb"))
    assert {"right_hand_0", "left_hand_7"} <= set(both.geometry)


def test_an_obj_is_read_back_upright_and_in_metres(hands, tmp_path):
    mesh = trimesh.load(hands.save(tmp_path / "new" / "two.obj"), force="mesh")
    wanted = np.concatenate([found.vertices_camera for found in hands]) * [1, -1, -1]
    np.testing.assert_allclose(mesh.bounds, [wanted.min(0), wanted.max(0)], atol=1e-6)


def test_json_is_read_back(hands, tmp_path):
    again = Hands.load(hands.save(tmp_path / "two.json"))
    for one, other in zip(again, hands, strict=True):
        wanted = other.to_json() | {"joints_image": one.to_json()["joints_image"]}
        assert one.to_json() == wanted
        np.testing.assert_allclose(one.joints_image, other.joints_image, atol=2e-3)
    assert again[1].camera.size == (320, 240)
    # A mesh is not in the file; it is posed again.
    again[0].save(tmp_path / "one.obj")
    hands[0].save(tmp_path / "same.obj")
    one, same = (trimesh.load(tmp_path / f"{name}.obj", force="mesh").vertices for name in ("one", "same"))
    np.testing.assert_allclose(one, same, atol=1e-5)
    assert Hands.load(Hands().save(tmp_path / "none.json")) == []


@pytest.mark.parametrize("text", ["[]", "{}", '{"hands": [{}], "camera": {"fx": 1}, "size": [3, 3]}', '{"hands": 3}'])
def test_json_of_others_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"must be JSON that `Hands\.save` wrote but"):
        Hands.load(tmp_path / "x.json")


def test_arrays_have_a_row_for_each_hand(hands, tmp_path):
    stored = np.load(hands.save(tmp_path / "two.npz"))
    np.testing.assert_array_equal(stored["joints_camera"], [h.joints_camera for h in hands])
    np.testing.assert_array_equal(stored["angles"], [np.asarray(h.angles) for h in hands])
    assert stored["left"].tolist() == [False, True]
    assert stored["plausibility"].tolist() == [0.8, 0.8]
    assert np.isnan(stored["joints_network"]).all()


def test_a_held_object_is_drawn_and_saved_with_its_contacts(hands, tmp_path):
    corners = np.array(BOX_CORNERS) * 0.03 + hands[0].joints_camera.mean(0)
    held = HeldObject(corners, None, "cup", 0.9, 0.8, np.full(8, 5.0), {"index_tip": hands[0].joints_camera[8]})
    one = Hands([replace(hands[0], object=held), hands[1]])
    stored = np.load(one.save(tmp_path / "held.npz"))
    np.testing.assert_array_equal(stored["object_corner_uncertainty_mm"][0], np.full(8, 5.0))
    assert stored["object_probability"][0] == 0.8
    assert np.isnan(stored["object_probability"][1])
    scene = trimesh.load(one.save(tmp_path / "held.glb"))
    assert len(scene.geometry) > len(trimesh.load(hands.save(tmp_path / "bare.glb")).geometry)
    image = np.zeros((240, 320, 3), np.uint8)
    untouched = Hands([replace(hands[0], object=replace(held, contacts_camera={})), hands[1]])
    assert (untouched.draw(image) != hands.draw(image)).any()
    assert (one.draw(image) != untouched.draw(image)).any()


def test_what_cannot_be_saved_is_told(tmp_path, hands):
    with pytest.raises(ValueError, match=r"must end in one of .glb, .obj, .json, .npz"):
        hands.save(tmp_path / "x.fbx")
    with pytest.raises(ValueError, match="must hold a hand but there is none to write"):
        Hands().save(tmp_path / "x.glb")


def test_a_table_has_a_row_for_each_hand(hands):
    table = hands.to_frame()
    assert table["side"].tolist() == ["right", "left"]
    assert table["gesture"].tolist() == ["peace"] * 2
    np.testing.assert_allclose(table["middle_tip_z"], [h.joints_camera[12, 2] for h in hands])
    np.testing.assert_allclose(table["wrist_v"], [h.joints_image[0, 1] for h in hands])
    np.testing.assert_allclose(table[list(ANGLE_NAMES)], [np.asarray(h.angles) for h in hands])
    assert table["wrist_uncertainty_mm"].tolist() == [4.0, 4.0]
    assert Hands().to_frame().shape == (0, len(table.columns))


def test_every_key_and_array_is_in_the_documentation(hands):
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    from knuckle.results import hand_arrays
    from knuckle.sample.held_object import _KEYS

    for name in [*hands[0].to_json(), *hand_arrays(hands), *_KEYS, "frame", "time", "id", "vertices_camera"]:
        assert f"`{name}`" in page, name
    assert json.dumps(hands[0].to_json(), allow_nan=False)
