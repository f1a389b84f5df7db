import numpy as np
import pytest
from test_glb import HALF_TURN, Glb, validate

from knuckle.export.glb import glb_bytes
from knuckle.export.hand import motion_of, skinned_mesh_of
from knuckle.export.skinned_mesh import Motion, split_seams
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.skeleton import JOINT_NAMES

FRAMES = 3


def random_hand(side):
    """The model's output for random angles, one shape and a random placement: (posed hand, skinned mesh, motion)."""
    rng = np.random.default_rng(5)
    model = HandModel.open()
    angles, shape = rng.uniform(-0.3, 0.9, (FRAMES, 23)), rng.normal(size=10) * 0.5
    rotation = axis_angle_to_matrix(rng.normal(size=(FRAMES, 3)))
    translation = rng.normal(size=(FRAMES, 3)) * 0.1 + [0, 0, 0.5]
    pose = np.tile(np.eye(4), (FRAMES, 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = rotation, translation
    posed = model(angles=angles, shape=shape, T_camera_hand=pose, side=side)
    return posed, skinned_mesh_of(model, shape, side), motion_of(model, angles, rotation, translation, side)


@pytest.mark.parametrize("side", ["left", "right"])
def test_skinning_the_file_gives_the_models_mesh(side):
    posed, skin, motion = random_hand(side)
    glb = Glb(glb_bytes([(skin, motion)]))
    vertex, _, _ = split_seams(skin.faces, skin.faces_uv)
    assert len(glb.targets()) == 14
    for frame in range(FRAMES):
        np.testing.assert_allclose(glb.skinned(frame), posed.vertices[frame][vertex] @ HALF_TURN, atol=2e-5)
        pose = glb.pose(frame)
        for joint, name in enumerate(JOINT_NAMES):
            place = pose["hand" if name == "wrist" else name][:3, 3]
            np.testing.assert_allclose(place, HALF_TURN @ posed.joints[frame, joint], atol=1e-6)


def test_without_a_camera_pose_the_hand_stays_in_its_frame():
    model = HandModel.open()
    motion = motion_of(model, np.zeros((1, 23)))
    glb = Glb(glb_bytes([(skinned_mesh_of(model), motion)], in_camera_frame=False))
    np.testing.assert_allclose(glb.pose(0)["middle_tip"][:3, 3], model.joints_rest[12], atol=1e-6)


def test_a_hand_without_texture_coordinates_can_be_written():
    from dataclasses import replace

    model = replace(HandModel.open(), uv=None, faces_uv=None)
    skin = skinned_mesh_of(model, side="left")
    assert len(split_seams(skin.faces, skin.faces_uv)[0]) == len(model.vertices)
    assert len(glb_bytes([(skin, motion_of(model, np.zeros((1, 23)), side="left"))])) > 0


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("frames", [1, FRAMES])
def test_the_validator_accepts_a_bending_hand(tmp_path, side, frames):
    _, skin, motion = random_hand(side)
    part = Motion(motion.rotations[:frames], motion.translation[:frames], motion.corrective_weights[:frames])
    (tmp_path / "hand.glb").write_bytes(glb_bytes([(skin, part)]))
    report = validate(tmp_path / "hand.glb")
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]


def test_correctives_that_are_no_single_field_are_left_out():
    from dataclasses import replace

    model = HandModel.open()
    noise = np.random.default_rng(0).normal(size=model.pose_vertices.shape) * 1e-3
    assert skinned_mesh_of(replace(model, pose_vertices=noise)).correctives == {}
    assert motion_of(replace(model, pose_vertices=noise), np.zeros((2, 23))).corrective_weights is None
