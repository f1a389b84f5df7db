"""Quantities measured from joints: known hands, invariances, and finite gradients where formulas break."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.biomechanics import (
    bend_consistency,
    bone_lengths,
    bone_vectors,
    finger_angles,
    flexion_abduction,
    flexion_abduction_to_matrix,
    hand_measures,
    joints_from_finger_angles,
    palm_angles,
    palm_curvature,
    root_frames,
)
from knuckle.handmodel.limits import angle_limits
from knuckle.skeleton import BONES

MODEL = HandModel.open()
ALL = (bone_lengths, palm_curvature, palm_angles, finger_angles, bend_consistency, root_frames)
SIDED = (palm_curvature, finger_angles)


def hands(rng, batch=()):
    low, high = angle_limits().T
    return MODEL.joints(rng.uniform(low, high, size=(*batch, 23)), shape=rng.normal(size=(*batch, 10)))


def test_flat_hand():
    """A flat palm has no curvature; straight fingers have no flexion but their fan."""
    joints = MODEL.joints_rest.copy()
    joints[:, 2] = 0
    np.testing.assert_allclose(palm_curvature(joints), 0, atol=1e-12)
    np.testing.assert_allclose(finger_angles(joints)[..., 0], 0, atol=1e-12)
    np.testing.assert_allclose(bend_consistency(joints), 0, atol=1e-12)


def test_arch_is_positive():
    joints = MODEL.joints_rest.copy()
    joints[1::4, 2] = [0.02, 0.003, 0, 0.003, 0.012]  # thumb and little finger in front of the palm
    assert (palm_curvature(joints) > 0).all()
    assert (palm_curvature(joints * [-1, 1, 1], side="left") > 0).all()
    assert (palm_curvature(joints * [1, 1, -1]) < 0).all()
    assert (palm_curvature(joints * [-1, 1, 1]) < 0).all()


def test_one_joint_moves_one_angle(rng):
    rest = finger_angles(MODEL.joints_rest)
    for i, name in enumerate(ANGLE_NAMES):
        if name.startswith("thumb") or not name.endswith("flexion"):
            continue
        angles = np.zeros(23)
        angles[i] = 0.4
        change = finger_angles(MODEL.joints(angles)) - rest
        finger, joint = name.split("_")[:2]
        place = 3 * ("thumb", "index", "middle", "ring", "little").index(finger) + ("mcp", "pip", "dip").index(joint)
        assert change[place, 0] > 0.35, name
        assert np.abs(np.delete(change, range(place // 3 * 3, place // 3 * 3 + 3), axis=0)).max() < 1e-12, name
        left = finger_angles(MODEL.joints(angles, side="left"), side="left") - rest
        np.testing.assert_allclose(left, change, atol=1e-12)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (0,)])
def test_rigid_motion_scale_and_libraries(rng, batch):
    joints = hands(rng, batch)
    turn = Rotation.random(random_state=1).as_matrix()
    for measure in ALL:
        value = measure(joints)
        assert value.shape[: len(batch)] == batch
        moved = measure(joints @ turn.T + [0.1, -0.2, 0.5])
        if measure is root_frames:
            value = turn @ value
        np.testing.assert_allclose(moved, value, atol=1e-9)
        factor = {bone_lengths: 3.0, palm_curvature: 1 / 3.0}.get(measure, 1.0)
        np.testing.assert_allclose(measure(3 * joints), factor * measure(joints), atol=1e-9)
        np.testing.assert_allclose(measure(torch.tensor(joints)).numpy(), measure(joints), atol=1e-12)


def test_mirror(rng):
    """A left hand given as left measures like its mirror image; given as right it is hyperextended."""
    joints = hands(rng, (5,))
    mirrored = joints * [-1, 1, 1]
    side = np.array([True, True, False, False, True])
    mixed = np.where(side[:, None, None], mirrored, joints)
    for measure in SIDED:
        np.testing.assert_allclose(measure(mixed, side=side), measure(joints), atol=1e-12)
    np.testing.assert_allclose(finger_angles(mirrored)[:, ::3, 0], -finger_angles(joints)[:, ::3, 0], atol=1e-9)
    np.testing.assert_allclose(finger_angles(mirrored)[:, ::3, 1], finger_angles(joints)[:, ::3, 1], atol=1e-9)
    np.testing.assert_allclose(bend_consistency(mirrored), bend_consistency(joints), atol=1e-12)


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_built_from_angles_reads_back(rng, to_array, batch, side):
    """In the convention they were built in; in the other only the first bone of each finger does."""
    roots = MODEL.joints_rest[1::4] + rng.normal(scale=0.003, size=(*batch, 5, 3))
    roots = roots * ([-1, 1, 1] if side == "left" else [1, 1, 1])
    angles = rng.uniform([-1.0, -0.5], [2.0, 0.5], size=(*batch, 15, 2))
    lengths = rng.uniform(0.02, 0.05, size=(*batch, 15))
    for convention, other in (("paper", "shortest"), ("shortest", "paper")):
        joints = joints_from_finger_angles(*map(to_array, (roots, lengths, angles)), side, convention)
        np.testing.assert_allclose(np.asarray(joints[..., 1::4, :]), roots, atol=1e-15)
        read = np.asarray(bone_lengths(joints)).reshape(*batch, 5, 4)[..., 1:]
        np.testing.assert_allclose(read.reshape(lengths.shape), lengths)
        np.testing.assert_allclose(np.asarray(finger_angles(joints, side, convention)), angles, atol=1e-12)
        crossed = np.abs(np.asarray(finger_angles(joints, side, other)) - angles)
        assert crossed[..., ::3, :].max() < 1e-12
        assert crossed[..., 1::3, :].max() > 0.05


def test_all_measures_at_once_are_those_of_the_single_functions(rng):
    joints = hands(rng, (4,)) * [-1, 1, 1]
    for convention in ("paper", "shortest"):
        measures = hand_measures(joints, "left", convention)
        np.testing.assert_array_equal(measures.lengths, bone_lengths(joints))
        np.testing.assert_array_equal(measures.curvature, palm_curvature(joints, "left"))
        np.testing.assert_allclose(measures.spread, palm_angles(joints), rtol=1e-15)
        np.testing.assert_array_equal(measures.angles, finger_angles(joints, "left", convention))


def test_frames_are_right_handed(rng):
    frames = root_frames(hands(rng, (4,)))
    np.testing.assert_allclose(
        np.swapaxes(frames, -1, -2) @ frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(frames), 1)


def test_bones_and_lengths(rng):
    joints = hands(rng, (2,))
    for i, (parent, child) in enumerate(BONES):
        bone = joints[:, child] - joints[:, parent]
        np.testing.assert_allclose(bone_vectors(joints)[:, i], bone)
        np.testing.assert_allclose(bone_lengths(joints)[:, i], np.linalg.norm(bone, axis=-1))


def test_flexion_abduction_to_matrix_rotates_z_to_the_bone(rng):
    for bone in (*rng.normal(size=(20, 3)), np.array([0.0, 0, 1])):
        turn = flexion_abduction_to_matrix(flexion_abduction(bone))
        np.testing.assert_allclose(turn[:, 2], bone / np.linalg.norm(bone), atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


def test_bend_agreement():
    angles = np.zeros((3, 23))
    pip, dip = (ANGLE_NAMES.index(f"index_{joint}_flexion") for joint in ("pip", "dip"))
    angles[:, pip] = [0.5, 0.5, 0.5]
    angles[:, dip] = [0.4, -0.4, 0.0]
    for side in ("right", "left"):
        got = bend_consistency(MODEL.joints(angles, side=side))[:, 0]
        np.testing.assert_allclose(got, [np.sin(0.5) * np.sin(0.4), -np.sin(0.5) * np.sin(0.4), 0], atol=2e-3)


def test_gradients(rng):
    flat = MODEL.joints_rest.copy()
    for at in (hands(rng), flat):
        joints = torch.tensor(at, requires_grad=True)
        for measure in ALL:
            assert torch.autograd.gradcheck(measure, joints), measure.__name__
    bone = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(flexion_abduction, bone)


@pytest.mark.parametrize(
    "joints",
    [
        np.zeros((21, 3)),  # no bone has a length
        np.outer(np.arange(21.0), [0, 1, 0]),  # all root bones on one line
        np.where(np.arange(21)[:, None] % 4 == 1, MODEL.joints_rest[5], MODEL.joints_rest),  # one root bone, five times
        1e3 * np.random.default_rng(1).normal(size=(21, 3)),
    ],
)
@pytest.mark.parametrize("measure", ALL)
def test_degenerate_hands_have_finite_values_and_gradients(joints, measure):
    joints = torch.tensor(joints, requires_grad=True)
    value = measure(joints)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(joints.grad).all()


def test_bone_along_the_flexion_axis_is_finite():
    for bone in ([0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.0]):
        bone = torch.tensor(bone, dtype=torch.float64, requires_grad=True)
        value = flexion_abduction(bone)
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(bone.grad).all()


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match="joints must be"):
        bone_lengths(np.zeros((20, 3)))
    with pytest.raises(ValueError, match="bone_joint must be"):
        flexion_abduction(np.zeros((3, 2)))
