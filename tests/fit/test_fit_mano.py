"""MANO's parameters of our hand: a file like MANO's, whose hand is another in shape and topology, fits it closely."""

import json
from pathlib import Path

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.fit.to_mano import ManoFitter
from knuckle.handmodel import HandModel, named_pose
from knuckle.handmodel.mano import TIP_VERTICES, mano_to_rigid, pose_to_rotations
from knuckle.predict.cameras import SourcedCamera
from knuckle.predict.formats import FORMATS
from knuckle.predict.output import PictureResult, Target, VideoInfo
from knuckle.sample import Hand
from mano_fixture import PARENTS, VERTICES, mano_arrays, write_mano_pickle

MODEL = HandModel.open()
EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
# MANO's 16 joints in the common order, and the axes of its frame in ours.
JOINTS = (0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3)
TURN = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def lookalike(rng, left=False):
    """MANO's arrays of a hand with 778 points of our own mesh, 3 % larger, whose first shapes are size and width."""
    arrays = mano_arrays(rng, left=False)
    near = np.linalg.norm(MODEL.vertices - MODEL.joints_rest[9], axis=1) < 0.13
    chosen = rng.permutation(np.flatnonzero(near & (MODEL.weights[:, -1] < 0.01)))[:VERTICES]
    tips = [int(np.linalg.norm(MODEL.vertices - MODEL.joints_rest[tip], axis=1).argmin()) for tip in (4, 8, 12, 16, 20)]
    template = 1.03 * MODEL.vertices[chosen]
    template[list(TIP_VERTICES["manopth"])] = 1.03 * MODEL.vertices[tips]
    joints = 1.03 * MODEL.joints_rest[list(JOINTS)]
    # Every joint is a combination of the points, in the manner of MANO's regressor.
    regressor = np.linalg.lstsq(np.c_[template, np.ones(VERTICES)].T, np.c_[joints, np.ones(16)].T, rcond=None)[0].T
    bones = [0, *(1 + [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19].index(j) for j in JOINTS[1:])]
    owners = MODEL.weights[chosen][:, bones]
    owners[list(TIP_VERTICES["manopth"])] = MODEL.weights[tips][:, bones]
    shapes = np.zeros((VERTICES, 3, 10))
    shapes[:, :, 0] = 0.05 * template
    shapes[:, 0, 1] = 0.05 * template[:, 0]
    shapes[:, :, 2:] = 1e-5 * rng.normal(size=(VERTICES, 3, 8))
    arrays |= {
        "v_template": template @ TURN,
        "shapedirs": np.einsum("vck,cd->vdk", shapes, TURN),
        "posedirs": np.zeros_like(arrays["posedirs"]),
        "J_regressor": regressor,
        "weights": owners / owners.sum(axis=1, keepdims=True),
        "kintree_table": np.array([PARENTS, range(16)], dtype=np.int64),
    }
    arrays["v_template"][[747, 720]] = arrays["v_template"][745] + np.array(
        [[0.01, 0.003, 0.004], [0.01, -0.003, -0.004]]
    )
    if left:
        mirror = np.array([-1.0, 1.0, 1.0])
        arrays |= {
            "v_template": arrays["v_template"] * mirror,
            "shapedirs": arrays["shapedirs"] * mirror[:, None],
            "f": arrays["f"][:, ::-1],
        }
    return arrays


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    out = tmp_path_factory.mktemp("mano")
    for name, left in (("MANO_RIGHT.pkl", False), ("MANO_LEFT.pkl", True)):
        write_mano_pickle(out / name, lookalike(np.random.default_rng(0), left))
    return out


@pytest.mark.parametrize("side", ["right", "left"])
def test_parameters_give_our_joints_and_mesh_within_three_millimetres(files, side):
    mano = HandModel.load(files / f"MANO_{side.upper()}.pkl")
    fitter = ManoFitter.of(mano, MODEL)
    assert fitter.side == side
    angles = np.stack([named_pose(name) for name in ("flat", "fist", "peace", "pinch_index")])
    shape = np.zeros((4, 10))
    shape[1, 0], shape[2, 2] = 1.0, -1.0
    T = np.tile(np.eye(4), (4, 1, 1))
    T[:, :3, :3] = np.diag([1.0, -1.0, -1.0])
    T[:, :3, 3] = [0.1, -0.05, 0.6]
    found = fitter(angles, shape, T)
    assert found.joint_error_mm.max() < 3.0
    assert found.vertex_error_mm.max() < 3.0
    # What is written is what MANO's own conventions give back.
    posed = mano(
        rotations=pose_to_rotations(mano, found.hand_pose, flat_hand_mean=True),
        shape=found.betas,
        T_camera_hand=mano_to_rigid(mano, found.global_orient, found.transl, found.betas),
        side=side,
    )
    ours = MODEL.joints(angles, shape=shape, T_camera_hand=T, side=side)
    error = 1000 * np.linalg.norm(np.asarray(posed.joints) - ours, axis=-1).mean(-1)
    np.testing.assert_allclose(error, found.joint_error_mm, atol=1e-6)


def test_predict_saves_mano(files, tmp_path, capsys):
    command = ["predict", str(EXAMPLE), "--out", str(tmp_path), "--threads", "1", "--save"]
    both = ["--mano", str(files / "MANO_RIGHT.pkl"), "--mano", str(files / "MANO_LEFT.pkl")]
    assert main([*command, "json,mano", *both]) == 0
    stored = np.load(tmp_path / "hand.mano.npz")
    (hand,) = json.loads((tmp_path / "hand.json").read_text())["hands"]
    assert stored["left"].tolist() == [hand["side"] == "left"]
    assert {name: stored[name].shape for name in ("global_orient", "hand_pose", "betas", "transl")} == {
        "global_orient": (1, 3),
        "hand_pose": (1, 45),
        "betas": (1, 10),
        "transl": (1, 3),
    }
    assert stored["joint_error_mm"][0] < 3.0
    capsys.readouterr()
    assert main([*command, "mano", *both[2:]]) == 1
    assert "MANO parameters of right hands need --mano with that side's file too" in capsys.readouterr().err
    assert main([*command, "mano"]) == 2
    assert "mano in save must come with --mano FILE" in capsys.readouterr().err
    assert main([*command, "json", *both]) == 2
    assert "--mano FILE must come with mano in save" in capsys.readouterr().err


def test_workers_save_the_same_mano(files, tmp_path):
    mano = ["--save", "mano", "--mano", str(files / "MANO_RIGHT.pkl"), "--mano", str(files / "MANO_LEFT.pkl")]
    for name, more in (("one", []), ("two", ["--workers", "2"])):
        assert main(["predict", str(EXAMPLE), "--out", str(tmp_path / name), "--threads", "1", *mano, *more]) == 0
    assert (tmp_path / "one" / "hand.mano.npz").read_bytes() == (tmp_path / "two" / "hand.mano.npz").read_bytes()


def test_a_video_has_a_row_for_each_hand_in_each_frame(files, tmp_path):
    camera = Camera.from_fov((64, 48), 1.0)
    fitters = [ManoFitter.of(HandModel.load(files / f"MANO_{side}.pkl"), MODEL) for side in ("RIGHT", "LEFT")]
    target = Target(tmp_path / "clip", MODEL, mano=fitters)
    image = np.zeros((48, 64, 3), np.uint8)
    with FORMATS["mano"].video(VideoInfo(tmp_path / "clip.mp4", 25.0), target) as add:
        add(PictureResult("clip.mp4", image, SourcedCamera(camera, "given"), [], 0, 0.0))
        hands = [hand(camera, side, number) for number, side in enumerate(("left", "right"))]
        add(PictureResult("clip.mp4", image, SourcedCamera(camera, "given"), hands, 1, 0.04))
    stored = np.load(tmp_path / "clip.mano.npz")
    assert stored["left"].tolist() == [True, False]
    assert stored["frame"].tolist() == [1, 1]
    assert stored["time"].tolist() == [0.04, 0.04]
    assert stored["id"].tolist() == [0, 1]
    assert (stored["joint_error_mm"] < 3.0).all()
    with FORMATS["mano"].video(VideoInfo(tmp_path / "none.mp4", 25.0), Target(tmp_path / "none", MODEL)) as add:
        add(PictureResult("none.mp4", image, SourcedCamera(camera, "given"), [], 0, 0.0))
    assert np.load(tmp_path / "none.mano.npz")["betas"].shape == (0, 10)


def hand(camera, side, number):
    T = np.eye(4)
    T[:3, 3] = [0.0, 0.0, 0.5]
    posed = MODEL(named_pose("peace"), T_camera_hand=T, side=side)
    return Hand(
        side=side,
        score=0.9,
        box=np.array([1.0, 2.0, 9.0, 8.0]),
        joints_camera=posed.joints,
        angles=named_pose("peace"),
        shape=np.zeros(10),
        T_camera_hand=T,
        joint_uncertainty_mm=np.full(21, 4.0),
        plausibility=0.8,
        camera=camera,
        id=number,
    )


def test_only_a_mano_file_can_be_fitted():
    with pytest.raises(ValueError, match="must be loaded from a MANO file but is 'open'"):
        ManoFitter.of(MODEL, MODEL)
