"""What hands hold: by a network of its own beside the hand network, with contacts, and none where there is none."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from known_networks import KnowsTheHand, KnowsThePlace, box_corners, write_onnx
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.export.glb import Box, glb_bytes
from knuckle.handmodel import HandModel
from knuckle.handmodel.box_contacts import contact_points
from knuckle.predict import Contract, CropRule, Predictor, PredictorConfig
from knuckle.predict.video import VideoPredictor
from knuckle.sample.held_object import box_pose
from knuckle.skeleton import JOINT_NAMES
from tiny_sets import hands

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
CAMERA = Camera.from_fov((320, 240), 1.0)
PICTURE = np.full((240, 320, 3), 90, np.uint8)
SHIPPED = Contract("shipped", crop=CropRule(64), outputs=("joints", "uncertainty", "left", "presence"))
OBJECTS = Contract(
    "hand-object",
    crop=CropRule(96, "picture", 2.2, "right"),
    coordinates="metric",
    root=0,
    inputs=("image", "K"),
    outputs=("joints", "corners", "uncertainty", "corner_uncertainty", "holds", "category"),
    categories=("can", "cup", "pen"),
)


class Scene:
    """A hand that closes about a box."""

    def __init__(self, side: str) -> None:
        pose = np.eye(4)
        pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = [0.03, 0.05, 0.45]
        self.side = side
        self.joints = np.asarray(HandModel.open().joints(np.full(23, 0.3), T_camera_hand=pose, side=side))
        self.corners = box_corners(self.joints[8] + [0.0, 0.02, -0.01], (0.05, 0.05, 0.05))
        self.uv = CAMERA.project(self.joints)

    def network(self, contract, scale=1.0, shift=0.0) -> KnowsTheHand:
        """A network that takes everything for larger, and nearer or farther, than it is."""
        joints, corners = (scale * points + shift for points in (self.joints, self.corners))
        return KnowsTheHand(contract, CAMERA.K, joints, joints[:1], corners, self.side == "left")

    def predictor(self, objects, **changes) -> Predictor:
        return Predictor(KnowsThePlace(self.uv), self.network(SHIPPED), objects=objects, threads=1, **changes)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_network_of_objects_beside_the_hand_network(side):
    scene = Scene(side)
    # As on other sight lines: what counts is where the box is relative to that network's own hand.
    objects = scene.network(OBJECTS, 1.25, np.array([0.0, 0.0, 0.06]))
    (hand,) = scene.predictor(objects)(PICTURE, CAMERA)
    held = hand.object
    np.testing.assert_allclose(held.corners_camera, scene.corners, atol=2e-3)
    np.testing.assert_allclose(held.T_camera_object, box_pose(held.corners_camera), atol=1e-9)
    np.testing.assert_allclose(held.size, [0.05, 0.05, 0.05], atol=1e-3)
    assert (held.probability, held.category) == (pytest.approx(0.9), "cup")
    assert held.corner_uncertainty_mm.shape == (8,)
    assert len(objects.crops) == 1
    # Contacts are points of the box that the fitted joints are near to.
    assert "index_tip" in held.contacts_camera
    distance = np.full(21, PredictorConfig().contact_distance)
    points, touching = contact_points(hand.joints_camera, held.corners_camera, distance)
    assert [JOINT_NAMES[i] for i in np.flatnonzero(touching)] == list(held.contacts_camera)
    np.testing.assert_allclose(held.contacts_camera["index_tip"], points[8])

    (alone,) = scene.predictor(None)(PICTURE, CAMERA)
    assert alone.object is None
    np.testing.assert_array_equal(alone.joints_camera, hand.joints_camera)


def test_a_hand_that_holds_nothing_has_no_object():
    scene = Scene("right")
    objects = scene.network(OBJECTS)
    objects.holds = 0.3
    (hand,) = scene.predictor(objects)(PICTURE, CAMERA)
    assert hand.object is None
    (hand,) = scene.predictor(objects, config=PredictorConfig(object_threshold=0.2))(PICTURE, CAMERA)
    assert hand.object.probability == pytest.approx(0.3)
    # A network that does not say it gives every hand a box.
    silent = scene.network(replace(OBJECTS, outputs=("joints", "corners")))
    (hand,) = scene.predictor(silent)(PICTURE, CAMERA)
    assert hand.object.probability is None
    # Where the truth says where the hand is, it is asked what it holds.
    given = Predictor(KnowsThePlace(scene.uv), objects, guide=scene.network(SHIPPED), threads=1)
    assert given.at_joints(PICTURE, scene.uv, "right", CAMERA).object is not None
    assert given(PICTURE, CAMERA)[0].object is None


def test_a_video_has_objects_too():
    scene = Scene("left")
    video = VideoPredictor(scene.predictor(scene.network(OBJECTS)), fps=30.0)
    for _ in range(3):
        (hand,) = video(PICTURE, CAMERA)
        np.testing.assert_allclose(hand.object.corners_camera, scene.corners, atol=3e-3)


def test_a_network_of_objects_must_give_corners():
    scene = Scene("right")
    with pytest.raises(ValueError, match="objects must be a network that gives corners"):
        scene.predictor(scene.network(SHIPPED))


def test_contracts_of_objects():
    with pytest.raises(ValueError, match="outputs must have corners"):
        replace(OBJECTS, outputs=("joints", "holds"))
    with pytest.raises(ValueError, match="inputs must have an image or points but have both"):
        replace(OBJECTS, inputs=("image", "points"))
    given = replace(OBJECTS, inputs=("points", "K"))
    assert Contract.from_metadata(given.to_metadata()) == given


def test_the_command_draws_boxes_and_contacts(tmp_path):
    """The package's hands, and boxes of another file; a torch-free run."""
    joints = hands(1, left=False)[0][0]
    corners = box_corners(joints[[4, 8, 12]].mean(0), (0.06, 0.05, 0.09))
    constants = {"joints": joints, "corners": corners, "uncertainty": np.full(21, 0.01), "category": [0.1, 0.2, 0.7]}
    constants |= {"corner_uncertainty": np.full(8, 0.01), "holds": np.float32(0.8)}
    path = write_onnx(tmp_path / "objects.onnx", OBJECTS, constants)
    picture = tmp_path / "hand.png"
    cv2.imwrite(str(picture), cv2.imread(str(EXAMPLE)))
    out = tmp_path / "out"
    command = ["predict", str(picture), "--out", str(out), "--save", "json,overlay,glb,npz"]
    assert main([*command, "--objects", str(path)]) == 0
    (hand,) = json.loads((out / "hand.json").read_text())["hands"]
    assert hand["object"]["category"] == "pen"
    assert hand["object"]["probability"] == 0.8
    assert hand["object"]["contacts_camera"]
    assert b"object_0" in (out / "hand.glb").read_bytes()
    stored = np.load(out / "hand.npz")
    assert stored["object_corner_uncertainty_mm"].shape == (1, 8)
    assert stored["object_probability"].tolist() == pytest.approx([0.8])


def test_boxes_in_a_glb_are_upright_and_read_by_others(tmp_path):
    corners = box_corners([0.1, -0.05, 0.6])
    (tmp_path / "box.glb").write_bytes(glb_bytes([], [Box(corners, corners[:2])]))
    scene = trimesh.load(tmp_path / "box.glb")
    upright = corners * [1.0, -1.0, -1.0]
    np.testing.assert_allclose(scene.bounds, [upright.min(0), upright.max(0)], atol=1e-6)
    with pytest.raises(ValueError, match="boxes must be written with hands in the camera's frame"):
        glb_bytes([], [Box(corners, corners[:0])], in_camera_frame=False)
