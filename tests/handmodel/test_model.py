"""The posed hand: against a slow readable twin, and by the symmetries it must have."""

from functools import cache
from importlib.resources import files

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.angles import ANGLE_JOINT
from knuckle.skeleton import JOINT_NAMES, PARENTS


@cache
def hand() -> HandModel:
    return HandModel.open()


@cache
def torch_hand() -> HandModel:
    return hand().to(torch.zeros(1, dtype=torch.float64))


def rigid(rng, batch=()):
    T = np.broadcast_to(np.eye(4), (*batch, 4, 4)).copy()
    T[..., :3, :3] = Rotation.random(int(np.prod(batch)), random_state=rng).as_matrix().reshape(*batch, 3, 3)
    T[..., :3, 3] = rng.normal(size=(*batch, 3))
    return T


def twin(model, angles, wrist_angles, shape, T, left):
    """One hand, by following the tree bone by bone and blending vertex by vertex."""
    joints_rest = model.joints_rest + np.einsum("s,sjc->jc", shape, model.shape_joints)
    vertices = model.vertices + np.einsum("s,svc->vc", shape, model.shape_vertices)
    with np.load(files("knuckle.handmodel") / "data" / "open_hand.npz") as asset:
        correctives = list(zip(asset["corrective_vertices"], asset["corrective_direction"], strict=True))
    world = {0: np.eye(4)}
    joints = np.zeros((21, 3))
    for joint in range(1, 21):
        parent = PARENTS[joint]
        joints[joint] = (world[parent] @ np.append(joints_rest[joint], 1))[:3]
        turn = np.eye(3)
        for i, name in enumerate(ANGLE_NAMES):
            if name.startswith(JOINT_NAMES[joint] + "_"):
                turn = turn @ Rotation.from_rotvec(angles[i] * model.angle_axis[i]).as_matrix()
        if joint % 4:
            shift, along = correctives[3 * (joint // 4) + joint % 4 - 1]
            vertices = vertices + shift * (1 - along @ turn @ along / (along @ along))
        local = np.eye(4)
        local[:3, :3] = turn
        local[:3, 3] = joints_rest[joint] - turn @ joints_rest[joint]
        world[joint] = world[parent] @ local
    forearm = np.eye(4)
    for angle, axis in zip(wrist_angles, model.wrist_angle_axis, strict=True):
        forearm[:3, :3] = forearm[:3, :3] @ Rotation.from_rotvec(angle * axis).as_matrix()
    bones = [world[0], *(world[j] for j in range(21) if j and j % 4), forearm]
    posed = np.zeros_like(vertices)
    for vertex, position in enumerate(vertices):
        for bone, transform in enumerate(bones):
            posed[vertex] += model.weights[vertex, bone] * (transform @ np.append(position, 1))[:3]
    mirror = np.diag([-1.0 if left else 1.0, 1, 1, 1])
    place = T @ mirror
    return joints @ place[:3, :3].T + place[:3, 3], posed @ place[:3, :3].T + place[:3, 3]


@pytest.mark.parametrize("left", [False, True])
def test_slow_twin(rng, left):
    angles, wrist, shape, T = rng.normal(size=23), rng.normal(size=2), rng.normal(size=10), rigid(rng)
    joints, vertices = twin(hand(), angles, wrist, shape, T, left)
    posed = hand()(angles, wrist_angles=wrist, shape=shape, T_camera_hand=T, side="left" if left else "right")
    np.testing.assert_allclose(posed.joints, joints, atol=1e-12)
    np.testing.assert_allclose(posed.vertices, vertices, atol=1e-12)
    alone = hand().joints(angles, shape=shape, T_camera_hand=T, side="left" if left else "right")
    np.testing.assert_allclose(alone, joints, atol=1e-12)


def test_rest_is_the_asset():
    posed = hand()()
    np.testing.assert_allclose(posed.joints, hand().joints_rest, atol=1e-15)
    np.testing.assert_allclose(posed.vertices, hand().vertices, atol=1e-15)
    np.testing.assert_allclose(posed.bone_transforms, np.broadcast_to(np.eye(4), (17, 4, 4)), atol=1e-15)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (0,), (2, 3)])
def test_batches_and_libraries_agree(rng, batch):
    angles, wrist, shape = (rng.normal(size=(*batch, n)) for n in (23, 2, 10))
    T, left = rigid(rng, batch), rng.random(batch) < 0.5
    posed = hand()(angles, wrist_angles=wrist, shape=shape, T_camera_hand=T, side=left)
    assert posed.joints.shape == (*batch, 21, 3)
    assert posed.vertices.shape == (*batch, len(hand().vertices), 3)
    assert posed.bone_transforms.shape == (*batch, 17, 4, 4)
    for i in np.ndindex(batch):
        one = hand()(
            angles[i],
            wrist_angles=wrist[i],
            shape=shape[i],
            T_camera_hand=T[i],
            side="left" if left[i] else "right",
        )
        np.testing.assert_allclose(posed.vertices[i], one.vertices, atol=1e-12)
        np.testing.assert_allclose(posed.joints[i], one.joints, atol=1e-12)
    other = torch_hand()(
        torch.tensor(angles),
        wrist_angles=torch.tensor(wrist),
        shape=torch.tensor(shape),
        T_camera_hand=torch.tensor(T),
        side=torch.tensor(left),
    )
    np.testing.assert_allclose(other.vertices.numpy(), posed.vertices, atol=1e-12)
    np.testing.assert_allclose(other.joints.numpy(), posed.joints, atol=1e-12)
    np.testing.assert_allclose(other.bone_transforms.numpy(), posed.bone_transforms, atol=1e-12)


def test_unbatched_arguments_are_shared(rng):
    angles, shape, T = rng.normal(size=(3, 23)), rng.normal(size=10), rigid(rng, (3,))
    shared = hand()(angles[0], shape=shape, T_camera_hand=T, side=np.array([True, False, True]))
    repeated = hand()(
        np.tile(angles[0], (3, 1)), shape=np.tile(shape, (3, 1)), T_camera_hand=T, side=np.array([True, False, True])
    )
    np.testing.assert_allclose(shared.vertices, repeated.vertices, atol=1e-12)
    np.testing.assert_allclose(shared.joints, repeated.joints, atol=1e-12)


def test_rigid_motion_moves_everything(rng):
    angles, T = rng.normal(size=(2, 23)), rigid(rng, (2,))
    free, placed = hand()(angles), hand()(angles, T_camera_hand=T)
    for before, after in ((free.joints, placed.joints), (free.vertices, placed.vertices)):
        moved = before @ np.swapaxes(T[:, :3, :3], -1, -2) + T[:, None, :3, 3]
        np.testing.assert_allclose(after, moved, atol=1e-12)
    np.testing.assert_allclose(free.bone_transforms, placed.bone_transforms, atol=1e-15)


def test_left_is_the_mirror_image(rng):
    angles, shape = rng.normal(size=23), rng.normal(size=10)
    right, left = hand()(angles, shape=shape), hand()(angles, shape=shape, side="left")
    np.testing.assert_allclose(left.vertices, right.vertices * [-1, 1, 1], atol=1e-15)
    np.testing.assert_allclose(left.joints, right.joints * [-1, 1, 1], atol=1e-15)


@pytest.mark.parametrize("side", ["right", "left"])
def test_faces_point_outwards(side):
    a, b, c = (hand()(side=side).vertices[hand().faces_of(side)[:, i]] for i in range(3))
    assert 2e-4 < np.einsum("ij,ij->", a, np.cross(b, c)) / 6 < 2e-3  # cubic metres: 0.2 to 2 litres


def test_leading_rotation_turns_the_hand_about_the_wrist(rng):
    local = hand().rotations(rng.normal(size=(2, 23)))
    root, T = rigid(rng, (2,))[:, :3, :3], rigid(rng, (2,))
    with_root = hand()(rotations=np.concatenate([root[:, None], local], axis=1), T_camera_hand=T, side="left")
    mirror = np.diag([-1.0, 1, 1])
    T[:, :3, :3] = T[:, :3, :3] @ mirror @ root @ mirror
    without = hand()(rotations=local, T_camera_hand=T, side="left")
    np.testing.assert_allclose(with_root.vertices, without.vertices, atol=1e-12)
    np.testing.assert_allclose(with_root.joints, without.joints, atol=1e-12)
    joints = hand().joints(rotations=np.concatenate([root[:, None], local], axis=1), side="left")
    np.testing.assert_allclose(joints, hand().joints(rotations=local) @ np.swapaxes(mirror @ root, 1, 2), atol=1e-12)


def test_wrist_angles_move_only_the_forearm(rng):
    angles = rng.normal(size=23)
    still, bent = hand()(angles), hand()(angles, wrist_angles=np.array([0.5, -0.3]))
    np.testing.assert_array_equal(still.joints, bent.joints)
    forearm = hand().weights[:, -1]
    np.testing.assert_allclose(still.vertices[forearm == 0], bent.vertices[forearm == 0], atol=1e-15)
    assert np.abs(still.vertices - bent.vertices)[forearm > 0.9].max(axis=1).min() > 1e-3


def test_an_angle_moves_only_what_hangs_on_it():
    for i, joint in enumerate(ANGLE_JOINT):
        angles = np.zeros(23)
        angles[i] = 0.4
        moved = np.linalg.norm(hand().joints(angles) - hand().joints_rest, axis=-1) > 1e-9
        finger, level = divmod(joint, 3)
        below = np.zeros(21, bool)
        below[2 + 4 * finger + level : 5 + 4 * finger] = True
        assert not moved[~below].any(), ANGLE_NAMES[i]
        # rotating about a bone's own axis does not move it
        assert moved[below].any() or "rotation" in ANGLE_NAMES[i], ANGLE_NAMES[i]


def test_signs():
    """Flexion goes out of the palm's side, abduction of a finger towards the thumb."""
    for i, name in enumerate(ANGLE_NAMES):
        angles = np.zeros(23)
        angles[i] = 0.3
        tip = 4 + 4 * (ANGLE_JOINT[i] // 3)
        step = (hand().joints(angles) - hand().joints_rest)[tip]
        if name.endswith("flexion") and not name.startswith("thumb"):
            assert step[2] > 1e-3, name
        if name.endswith("abduction"):
            assert step[2 if name.startswith("thumb") else 0] > 1e-3, name


def test_gradients(rng):
    def posed(angles, wrist, shape, T):
        out = torch_hand()(angles, wrist_angles=wrist, shape=shape, T_camera_hand=T, side="left")
        # a few vertices stand for all: gradcheck's cost grows with the outputs
        return out.joints, out.vertices[..., ::97, :], out.bone_transforms

    for at in (np.zeros(23), rng.normal(size=23)):  # zero: where a formula with norms would break
        inputs = [
            torch.tensor(x, requires_grad=True) for x in (at, rng.normal(size=2), rng.normal(size=10), rigid(rng))
        ]
        assert torch.autograd.gradcheck(posed, inputs)


def test_float32_torch_is_float32(rng):
    model = hand().to(torch.zeros(1))
    out = model(torch.zeros(2, 23), shape=torch.zeros(10), side=torch.tensor([True, False]))
    assert out.vertices.dtype == out.joints.dtype == out.bone_transforms.dtype == torch.float32
    back = model.to(np.zeros(1))
    assert back.vertices.dtype == np.float64
    assert isinstance(back.faces, np.ndarray)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angles": np.zeros(22)}, "angles must be"),
        ({"angles": np.zeros(23), "rotations": np.zeros((15, 3, 3))}, "must not both"),
        ({"rotations": np.zeros((14, 3, 3))}, "rotations must be"),
        ({"shape": np.zeros(9)}, "shape must be"),
        ({"wrist_angles": np.zeros(3)}, "wrist_angles must be"),
        ({"side": "up"}, "side must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        hand()(**arguments)


def test_mixed_libraries_are_named():
    with pytest.raises(TypeError, match=r"model\.to"):
        hand()(torch.zeros(23, dtype=torch.float64))
