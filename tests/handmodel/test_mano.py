"""MANO files: read without chumpy, posed like MANO's own formula in MANO's own frame."""

import numpy as np
import pytest
import torch

from knuckle.files import RefusedFile
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.handmodel.angles import angles_to_rotations, rotations_to_angles
from knuckle.handmodel.mano import (
    TIP_VERTICES,
    mano_to_rigid,
    pca_to_pose,
    pose_to_rotations,
    rigid_to_mano,
    rotations_to_pose,
)
from mano_fixture import mano_arrays, mano_twin, write_mano_pickle

SIDES = ("right", "left")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{side: (arrays, path of the pickle)}"""
    folder = tmp_path_factory.mktemp("mano")
    made = {}
    for side in SIDES:
        arrays = mano_arrays(np.random.default_rng(5), left=side == "left")
        write_mano_pickle(folder / f"MANO_{side.upper()}.pkl", arrays)
        made[side] = arrays, folder / f"MANO_{side.upper()}.pkl"
    return made


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("flat", [True, False])
def test_same_as_mano(rng, files, side, flat):
    arrays, path = files[side]
    model = HandModel.load(path)
    pose, betas, trans = rng.normal(scale=0.4, size=48), rng.normal(size=10), rng.normal(size=3)
    full = pose.copy()
    if not flat:
        full[3:] += arrays["hands_mean"]
    vertices, joints = mano_twin(arrays, full, betas, trans)
    placed = {
        "rotations": pose_to_rotations(model, pose[3:], flat_hand_mean=flat),
        "shape": betas,
        "T_camera_hand": mano_to_rigid(model, pose[:3], trans, betas),
        "side": side,
    }
    posed = model(**placed)
    np.testing.assert_allclose(posed.vertices, vertices, atol=1e-12)
    np.testing.assert_allclose(posed.joints, joints, atol=1e-12)
    np.testing.assert_allclose(model.joints(**placed), joints, atol=1e-12)
    assert np.linalg.det(placed["T_camera_hand"][:3, :3]) == pytest.approx(1)
    np.testing.assert_array_equal(model.faces_of(side), arrays["f"])


@pytest.mark.parametrize("side", SIDES)
def test_parameters_round_trip(rng, files, to_array, side):
    model = HandModel.load(files[side][1])
    for batch in ((), (3,), (0,)):
        pose, betas = to_array(rng.normal(scale=0.4, size=(*batch, 45))), to_array(rng.normal(size=(*batch, 10)))
        orient, trans = (to_array(rng.normal(size=(*batch, 3))) for _ in range(2))
        for flat in (True, False):
            back = rotations_to_pose(model, pose_to_rotations(model, pose, flat), flat)
            np.testing.assert_allclose(np.asarray(back), np.asarray(pose), atol=1e-9)
        for got, given in zip(
            rigid_to_mano(model, mano_to_rigid(model, orient, trans, betas), betas), (orient, trans), strict=True
        ):
            np.testing.assert_allclose(np.asarray(got), np.asarray(given), atol=1e-9)


def test_pca(rng, files):
    arrays, path = files["right"]
    np.testing.assert_allclose(
        pca_to_pose(HandModel.load(path), np.array([[1.0, 2.0]])),
        arrays["hands_components"][None, 0] + 2 * arrays["hands_components"][None, 1],
    )


@pytest.mark.parametrize("side", SIDES)
def test_hand_frame(files, side):
    """Both files become a right hand, fingers up, thumb at +x, palm at +z."""
    model = HandModel.load(files[side][1])
    np.testing.assert_allclose(model.joints_rest[0], 0, atol=1e-15)
    assert model.joints_rest[9, 1] > 0.08
    assert model.joints_rest[5, 0] > model.joints_rest[17, 0]
    assert model.joints_rest[1, 0] > 0.02
    assert model.joints_rest[1, 2] > 0.01
    for i, name in enumerate(ANGLE_NAMES):
        angles = np.zeros(23)
        angles[i] = 0.3
        finger = ("thumb", "index", "middle", "ring", "little").index(name.split("_")[0])
        step = (model.joints(angles) - model.joints_rest)[4 + 4 * finger]
        if finger and name.endswith("flexion"):
            assert step[2] > 2e-3, name
        if finger and name.endswith("abduction"):
            assert step[0] > 2e-3, name
        if not finger and name.endswith("abduction"):
            assert step[2] > 1e-4, name


def test_left_and_right_file_make_one_model(files):
    """The left fixture is the right one's mirror image, so nothing but the mean pose may differ."""
    right, left = (HandModel.load(files[side][1]) for side in SIDES)
    for name in ("vertices", "joints_rest", "weights", "shape_vertices", "shape_joints", "pose_vertices", "angle_axis"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-12, err_msg=name)


def test_left_shapes_are_corrected(tmp_path):
    path = tmp_path / "MANO_LEFT.pkl"
    write_mano_pickle(path, mano_arrays(np.random.default_rng(5), left=True, mirrored_shapes=False))
    reference = mano_arrays(np.random.default_rng(5), left=True)
    arrays = mano_arrays(np.random.default_rng(5), left=True, mirrored_shapes=False)
    betas = np.linspace(-1, 1, 10)
    for choice, expected in (("mirrored", reference), ("as_stored", arrays)):
        model = HandModel.load(path, left_shapes=choice)
        T = mano_to_rigid(model, np.zeros(3), np.zeros(3), betas)
        vertices, _ = mano_twin(expected, np.zeros(48), betas, np.zeros(3))
        np.testing.assert_allclose(model(shape=betas, T_camera_hand=T, side="left").vertices, vertices, atol=1e-12)


def test_npz_with_smplx_names(files, tmp_path):
    arrays = dict(files["right"][0])
    arrays["hands_meanr"], arrays["hands_componentsr"] = arrays.pop("hands_mean"), arrays.pop("hands_components")
    np.savez(tmp_path / "MANO_RIGHT.npz", **arrays)
    npz, pkl = HandModel.load(tmp_path / "MANO_RIGHT.npz"), HandModel.load(files["right"][1])
    np.testing.assert_array_equal(npz.vertices, pkl.vertices)
    np.testing.assert_array_equal(npz.mano.hands_mean, pkl.mano.hands_mean)
    np.testing.assert_array_equal(npz.mano.hands_components, pkl.mano.hands_components)


def test_summed_convention_is_the_23x45_map(rng, files):
    """Rotation vectors in MANO's order and axes are the sum of the angles times the map's rows."""
    arrays, path = files["right"]
    model = HandModel.load(path, angle_convention="summed")
    angles = rng.normal(scale=0.5, size=23)
    joints = arrays["J_regressor"] @ arrays["v_template"]
    pose = np.zeros((15, 3))
    named = dict(zip(ANGLE_NAMES, angles, strict=True))
    for name, chain in (("index", (0, 1, 2, 3)), ("middle", (0, 4, 5, 6)), ("ring", (0, 10, 11, 12))):
        for level, joint in enumerate(("mcp", "pip", "dip")):
            bone = joints[chain[level + 1]] - joints[chain[level]]
            phi = np.arctan(bone[2] / bone[0])
            pose[chain[level + 1] - 1] += named[f"{name}_{joint}_flexion"] * np.array([-np.sin(phi), 0, np.cos(phi)])
        pose[chain[1] - 1, 1] += named[f"{name}_mcp_abduction"]
    for level, joint in ((12, "cmc"), (13, "mcp")):
        pose[level] = [named[f"thumb_{joint}_{motion}"] for motion in ("flexion", "abduction", "rotation")]
    made = rotations_to_pose(model, model.rotations(angles), flat_hand_mean=True).reshape(15, 3)
    known = [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13]
    np.testing.assert_allclose(made[known], pose[known], atol=1e-12)
    np.testing.assert_allclose(made[6:9, 1] ** 2 + made[6:9, 2] ** 2 + made[6:9, 0] ** 2 > 0, True)
    back, residual = rotations_to_angles(model.rotations(angles), model.angle_axis, "summed")
    np.testing.assert_allclose(back, angles, atol=1e-12)
    assert residual.max() < 1e-7


def test_flexion_axes_cross_their_bones(files):
    """Fan & Wang: rows of flexion are perpendicular to the bone that leads to the joint, and to abduction."""
    model = HandModel.load(files["right"][1])
    axis = dict(zip(ANGLE_NAMES, model.angle_axis, strict=True))
    np.testing.assert_allclose(np.linalg.norm(model.angle_axis, axis=1), 1, atol=1e-12)
    for finger, base in (("index", 5), ("middle", 9), ("ring", 13), ("little", 17)):
        for level, name in enumerate(("mcp", "pip", "dip")):
            bone = model.joints_rest[base + level] - model.joints_rest[base + level - 1 if level else 0]
            # in MANO's x-z plane, the palm's; the map ignores the bone's slope to it
            assert abs(axis[f"{finger}_{name}_flexion"] @ (bone * [1, 1, 0])) < 1e-12
            assert axis[f"{finger}_{name}_flexion"] @ axis[f"{finger}_mcp_abduction"] == pytest.approx(0)
    for joint, bone in (("cmc", model.joints_rest[2] - model.joints_rest[1]),):
        rows = np.stack([axis[f"thumb_{joint}_{motion}"] for motion in ("flexion", "abduction", "rotation")])
        np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(rows[2] @ bone, -np.linalg.norm(bone), atol=1e-12)


def test_torch_and_gradients(rng, files):
    model = HandModel.load(files["left"][1])
    moved = model.to(torch.zeros(1, dtype=torch.float64))
    angles, shape = rng.normal(size=(2, 23)), rng.normal(size=(2, 10))
    side = np.array([True, False])
    ours = model(angles, shape=shape, side=side)
    other = moved(torch.tensor(angles), shape=torch.tensor(shape), side=torch.tensor(side))
    np.testing.assert_allclose(other.vertices.numpy(), ours.vertices, atol=1e-12)
    np.testing.assert_allclose(other.joints.numpy(), ours.joints, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda a, s: moved.joints(a, shape=s),
        (torch.tensor(angles[0], requires_grad=True), torch.tensor(shape[0], requires_grad=True)),
    )


def test_tips_by_name_and_number(files):
    path = files["right"][1]
    for name, vertices in TIP_VERTICES.items():
        model = HandModel.load(path, tips=name)
        np.testing.assert_array_equal(model().joints[[4, 8, 12, 16, 20]], model().vertices[list(vertices)])
    model = HandModel.load(path, tips=(1, 2, 3, 4, 5))
    np.testing.assert_allclose(model.joints()[[4, 8, 12, 16, 20]], model.vertices[1:6], atol=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posedirs": np.zeros((778, 3, 207))}, "posedirs of shape"),
        ({"v_template": np.zeros((500, 3))}, "must hold"),
        ({"kintree_table": np.zeros((2, 16))}, "joint tree"),
        ({"hands_mean": np.zeros(12)}, "hands_mean"),
    ],
)
def test_other_files_are_named(files, tmp_path, change, message):
    np.savez(tmp_path / "other.npz", **(files["right"][0] | change))
    with pytest.raises(RefusedFile, match=message):
        HandModel.load(tmp_path / "other.npz")
    np.savez(tmp_path / "less.npz", v_template=np.zeros((778, 3)))
    with pytest.raises(RefusedFile, match="must hold MANO's"):
        HandModel.load(tmp_path / "less.npz")


def test_bad_choices_are_named(files):
    path = files["right"][1]
    with pytest.raises(ValueError, match="tips must be"):
        HandModel.load(path, tips="nails")
    with pytest.raises(ValueError, match="five vertices"):
        HandModel.load(path, tips=(1, 2))
    with pytest.raises(ValueError, match="no forearm"):
        HandModel.load(path)(wrist_angles=np.zeros(2))
    with pytest.raises(ValueError, match="MANO file"):
        pose_to_rotations(HandModel.open(), np.zeros(45), True)


def test_angles_of_a_mano_pose(rng, files):
    """The 23 angles of the composed convention reproduce what they made; a free pose leaves a residual."""
    model = HandModel.load(files["right"][1])
    angles = rng.uniform(-0.4, 0.8, size=23)
    back, residual = rotations_to_angles(model.rotations(angles), model.angle_axis)
    np.testing.assert_allclose(back, angles, atol=1e-8)
    free = pose_to_rotations(model, rng.normal(scale=0.3, size=45), True)
    closest, residual = rotations_to_angles(free, model.angle_axis)
    assert residual.max() > 0.05
    again, _ = rotations_to_angles(angles_to_rotations(closest, model.angle_axis), model.angle_axis)
    np.testing.assert_allclose(again, closest, atol=1e-8)
