from dataclasses import replace

import bvhio
import numpy as np
import pytest
from export_hand import rest_skin, swing

from knuckle.export.bvh import euler_zyx, write_bvh
from knuckle.export.skinned_mesh import Motion, resampled
from knuckle.geometry.rotation import axis_angle_to_matrix


def joints_of(skin, motion, frame):
    """World position of every bone's pivot and fingertip in the camera frame, bone after bone."""
    world, found = [], {}
    for bone, parent in enumerate(skin.bone_parent):
        here = np.eye(4)
        here[:3, :3] = motion.rotations[frame, bone]
        offset = motion.translation[frame] if parent < 0 else skin.bone_positions[bone] - skin.bone_positions[parent]
        here[:3, 3] = offset
        world.append(here if parent < 0 else world[parent] @ here)
        found[skin.bone_names[bone]] = world[-1][:3, 3]
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_independent_reader_finds_every_joint(tmp_path, side):
    skin, motion = rest_skin(side), swing(4)
    write_bvh(tmp_path / "hand.bvh", skin, motion)
    root = bvhio.readAsHierarchy(str(tmp_path / "hand.bvh"))
    assert len(root.layout()) == 16
    for frame in range(4):
        root.loadPose(frame)
        expected = joints_of(skin, motion, frame)
        for joint, _, _ in root.layout():
            x, y, z = joint.PositionWorld
            np.testing.assert_allclose([x, -y, -z], expected[joint.Name], atol=2e-6)


def test_the_fingertips_and_the_frame_time_are_in_the_file(tmp_path):
    skin = rest_skin("right")
    write_bvh(tmp_path / "hand.bvh", skin, swing(3), in_camera_frame=False)
    read = bvhio.readAsBvh(str(tmp_path / "hand.bvh"))
    assert read.FrameCount == 3
    assert read.FrameTime == pytest.approx(1 / 30, abs=1e-7)
    text = (tmp_path / "hand.bvh").read_text()
    assert text.count("End Site") == 5
    assert "forearm" not in text


def test_euler_angles_rebuild_the_rotation_also_at_the_quarter_turn():
    rng = np.random.default_rng(0)
    rotations = np.asarray(axis_angle_to_matrix(rng.normal(size=(50, 4, 3))))
    locked = axis_angle_to_matrix(np.asarray([[[0, np.pi / 2, 0]], [[0, -np.pi / 2, 0]]]))
    spun = axis_angle_to_matrix(np.asarray([[[0.7, 0, 0]], [[0.4, 0, 0]]]))
    for given in (rotations, locked @ spun):
        z, y, x = np.moveaxis(euler_zyx(given), -1, 0)[..., None] * np.eye(3)[[2, 1, 0], None, None]
        rebuilt = axis_angle_to_matrix(z) @ axis_angle_to_matrix(y) @ axis_angle_to_matrix(x)
        np.testing.assert_allclose(rebuilt, given, atol=1e-7)


def test_no_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_bvh(tmp_path / "hand.bvh", rest_skin("right"), Motion(np.zeros((0, 17, 3, 3)), np.zeros((0, 3))))
    assert not list(tmp_path.iterdir())


def test_a_motion_with_times_of_its_own_is_resampled_first(tmp_path):
    even = swing(9)
    times = even.seconds
    uneven = replace(even, times=times + 0.01 * np.sin(np.arange(9)))
    with pytest.raises(ValueError, match="use resampled"):
        write_bvh(tmp_path / "hand.bvh", rest_skin("right"), uneven)
    # At its own rate nothing changes; before the first frame the pose is the first one's.
    again = resampled(even, even.fps)
    np.testing.assert_allclose(again.rotations, even.rotations, atol=1e-9)
    np.testing.assert_allclose(again.translation, even.translation, atol=1e-12)
    fine = resampled(uneven, 240.0, begin=-0.1)
    assert len(fine.translation) == round((uneven.seconds[-1] + 0.1) * 240) + 1
    np.testing.assert_allclose(fine.rotations[:24], np.tile(even.rotations[0], (24, 1, 1, 1)), atol=1e-9)
    identity = np.swapaxes(fine.rotations, -1, -2) @ fine.rotations
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(fine.rotations), 1.0, atol=1e-9)
    one = replace(even, rotations=even.rotations[:1], translation=even.translation[:1])
    assert len(resampled(one, 30.0).translation) == 1
