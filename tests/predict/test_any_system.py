"""Any exported system is predicted alike: a network that knows the hand gives it back, whatever its contract."""

import numpy as np
import pytest

from known_networks import EVERYTHING, KnowsTheHand, KnowsThePlace, box_corners, unproject_nodes, write_onnx
from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.predict import Contract, CropRule, Predictor, PredictorConfig
from knuckle.predict.crop import square_of_joints
from knuckle.predict.ensemble import Ensemble
from knuckle.predict.network import HandGraph
from knuckle.predict.video import VideoPredictor
from knuckle.sample.held_object import box_pose

CAMERA = Camera.from_fov((320, 240), 1.0)
PICTURE = np.full((240, 320, 3), 90, np.uint8)
CATEGORIES = ("can", "cup", "pen")
SHIPPED = Contract("shipped", crop=CropRule(64), outputs=("joints", "uncertainty", "left", "presence"))


class Scene:
    """An average hand with a box in it, off the picture's middle and turned."""

    def __init__(self, side: str) -> None:
        model = HandModel.open()
        cos, sin = np.cos(0.6), np.sin(0.6)
        pose = np.eye(4)
        pose[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = [0.06, 0.05, 0.45]
        posed = model(np.full(23, 0.25), T_camera_hand=pose, side=side)
        self.side = side
        self.joints, self.vertices = np.asarray(posed.joints), np.asarray(posed.vertices)[:50]
        self.corners = box_corners(self.joints[9] + [0.0, 0.01, -0.03])
        self.uv = CAMERA.project(self.joints)

    def network(self, contract: Contract) -> KnowsTheHand:
        return KnowsTheHand(contract, CAMERA.K, self.joints, self.vertices, self.corners, self.side == "left")

    def predictor(self, contract: Contract, **changes) -> Predictor:
        parts = {"detector": KnowsThePlace(self.uv), "hand": self.network(contract), "guide": self.network(SHIPPED)}
        return Predictor(**(parts | changes), threads=1)


class Shifted:
    """A network whose joints are a little deeper than another's."""

    def __init__(self, network: KnowsTheHand, depths: np.ndarray) -> None:
        self.network, self.depths, self.contract = network, depths, network.contract

    def __call__(self, picture, affines, K=None, boxes=None):
        outputs = self.network(picture, affines, K, boxes)
        joints = outputs["joints"].copy()
        joints[..., 2] += self.depths
        return outputs | {"joints": joints}


def contract_of(coordinates="metric", orientation="upright", hands="either", **changes) -> Contract:
    made = {
        "crop": CropRule(96, orientation, 1.6, hands),
        "coordinates": coordinates,
        "root": 9 if coordinates == "sight" else 0,
        "bone": (0, 9),
        "inputs": ("image", "K", "box"),
        "outputs": EVERYTHING,
        "categories": CATEGORIES,
    }
    return Contract("test", **(made | changes))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("hands", ["either", "right"])
@pytest.mark.parametrize("orientation", ["upright", "picture"])
@pytest.mark.parametrize("coordinates", ["sight", "2.5d", "metric", "normalised"])
def test_what_a_network_knows_comes_back(coordinates, orientation, hands, side):
    scene = Scene(side)
    contract = contract_of(coordinates, orientation, hands)
    predictor = scene.predictor(contract)
    (found,) = predictor.find(PICTURE, CAMERA, 2)
    assert found.side == side
    np.testing.assert_allclose(found.uv, scene.uv, atol=1e-6)
    # The hand is of average size, so that what has no size of its own gets the right one.
    np.testing.assert_allclose(found.joints_camera, scene.joints, atol=1e-7)
    np.testing.assert_allclose(found.vertices_camera, scene.vertices, atol=1e-7)
    np.testing.assert_allclose(found.uncertainty, 0.008, rtol=0.02)
    assert found.object is not None
    np.testing.assert_allclose(found.object.corners_camera, scene.corners, atol=1e-7)
    np.testing.assert_allclose(found.object.T_camera_object, box_pose(scene.corners), atol=1e-5)
    assert (found.object.category, found.object.category_probability) == ("cup", pytest.approx(0.7))

    (hand,) = predictor(PICTURE, CAMERA)
    # Closer than its uncertainty is worth, by the inverse-kinematics network alone; and by fitting.
    assert np.linalg.norm(hand.joints_camera - scene.joints, axis=1).mean() < PredictorConfig().ik_share * 0.008
    (fitted,) = scene.predictor(contract, config=PredictorConfig(ik_share=0.0))(PICTURE, CAMERA)
    assert np.linalg.norm(fitted.joints_camera - scene.joints, axis=1).mean() < 1e-3
    np.testing.assert_array_equal(hand.vertices_network, found.vertices_camera)
    np.testing.assert_array_equal(hand.object.corners_camera, found.object.corners_camera)

    known = predictor.at_joints(PICTURE, scene.uv, side, CAMERA)
    np.testing.assert_allclose(known.joints_network, scene.joints, atol=1e-7)
    np.testing.assert_allclose(known.object.corners_camera, scene.corners, atol=1e-7)
    assert known.side == side


@pytest.mark.parametrize("bone", [(0, 9), (9, 10)])
@pytest.mark.parametrize("coordinates", ["sight", "2.5d", "normalised"])
def test_a_known_bone_gives_the_hand_its_size(coordinates, bone):
    """A child's hand: nothing in the outputs says so, but its bone does. Depth is the network's, times that length."""
    scene = Scene("left")
    scene.joints, scene.vertices, scene.corners = 0.7 * scene.joints, 0.7 * scene.vertices, 0.7 * scene.corners
    predictor = scene.predictor(contract_of(coordinates, "picture", "right", bone=bone))
    length = float(np.linalg.norm(scene.joints[bone[1]] - scene.joints[bone[0]]))
    hand = predictor.at_joints(PICTURE, scene.uv, "left", CAMERA, known_length=length)
    np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-7)
    np.testing.assert_allclose(hand.vertices_network, scene.vertices, atol=1e-7)


@pytest.mark.parametrize("bone", [(0, 9), (9, 10)])
def test_a_known_root_needs_no_bone_to_find_it(bone):
    """Depths that are wrong leave the root where it is, and each joint on its ray."""
    scene = Scene("left")
    contract = contract_of("2.5d", "picture", "right", bone=bone)
    length = float(np.linalg.norm(scene.joints[bone[1]] - scene.joints[bone[0]]))
    known = {"known_length": length, "known_depth": float(scene.joints[0, 2])}
    hand = scene.predictor(contract).at_joints(PICTURE, scene.uv, "left", CAMERA, **known)
    np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-7)
    wrong = scene.network(contract)
    depths = np.linspace(-1.0, 1.0, 21) * (np.arange(21) > 0)
    predictor = scene.predictor(contract, hand=Shifted(wrong, depths))
    hand = predictor.at_joints(PICTURE, scene.uv, "left", CAMERA, **known)
    np.testing.assert_allclose(hand.joints_network[:, 2], scene.joints[:, 2] + length * depths, atol=1e-7)
    np.testing.assert_allclose(CAMERA.project(hand.joints_network), scene.uv, atol=1e-5)


def test_a_known_root_is_for_a_known_size_of_25d_coordinates():
    scene = Scene("right")
    for coordinates, known in (("sight", {"known_length": 0.1}), ("2.5d", {})):
        with pytest.raises(ValueError, match=r"the root.s depth must come with a known scale, for 2\.5d coordinates"):
            scene.predictor(contract_of(coordinates)).at_joints(
                PICTURE, scene.uv, "right", CAMERA, known_depth=0.5, **known
            )


def test_an_ensemble_gives_the_mean_of_its_networks():
    scene = Scene("right")
    contract = contract_of("2.5d", "picture", "right")
    networks = [Shifted(scene.network(contract), shift * np.ones(21)) for shift in (-0.3, 0.1, 0.2)]
    hand = scene.predictor(contract, hand=Ensemble(networks)).at_joints(PICTURE, scene.uv, "right", CAMERA)
    np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-6)
    with pytest.raises(ValueError, match="an ensemble must be of networks with one contract but got 2 that differ"):
        Ensemble([networks[0], scene.network(contract_of("2.5d"))])
    with pytest.raises(ValueError, match="but got 0"):
        Ensemble([])


def test_a_metric_network_has_said_the_size_itself():
    scene = Scene("right")
    with pytest.raises(ValueError, match="scale must be left to 'test', whose coordinates are metric"):
        scene.predictor(contract_of()).at_joints(PICTURE, scene.uv, "right", CAMERA, known_length=0.1)


def test_normalised_coordinates_need_a_bone_of_the_hand():
    with pytest.raises(ValueError, match=r"bone must join a joint to its parent.* but got \(5, 17\)"):
        contract_of("normalised", bone=(5, 17))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_camera_that_is_a_crop_itself(side):
    """What comes back is in the frame of the camera that was given, not of the one it was cut from."""
    scene = Scene(side)
    whole = Camera.from_fov((640, 480), 1.1)
    crop = whole.crop([100, 80, 420, 320], (320, 240), rotation=0.4)
    network = KnowsTheHand(contract_of(), crop.K, scene.joints, scene.vertices, scene.corners, side == "left")
    predictor = Predictor(KnowsThePlace(crop.project(scene.joints)), network, threads=1)
    (found,) = predictor.find(PICTURE, crop, 1)
    np.testing.assert_allclose(found.joints_camera, scene.joints, atol=1e-7)


def test_a_guided_network_sees_each_hand_once_through_its_own_crop():
    scene = Scene("left")
    network = scene.network(contract_of(hands="right", orientation="picture", outputs=("joints",), inputs=("image",)))
    guide = scene.network(SHIPPED)
    predictor = Predictor(KnowsThePlace(scene.uv), network, guide=guide, threads=1)
    (found,) = predictor.find(PICTURE, CAMERA, 2)
    assert found.side == "left"
    assert found.left_log_odds > 4
    assert found.object is None
    assert len(guide.crops) >= 2
    (affine,) = network.crops
    square = square_of_joints(scene.uv, rule=network.contract.crop)
    np.testing.assert_allclose(affine, square.affine(96, mirrored=True), atol=1e-9)
    np.testing.assert_allclose(affine[0, 1], 0.0, atol=1e-12)
    # Nobody said how sure they are: 3 % of the hand's extent for a coordinate.
    extent = float(np.ptp(scene.uv, axis=0).max())
    metres = scene.joints[0, 2] / CAMERA.K[0, 0]
    np.testing.assert_allclose(found.uncertainty, 2 * 0.03 * extent * metres, rtol=1e-6)


def test_at_joints_runs_neither_detector_nor_guide():
    scene = Scene("right")

    def never(*arguments, **named):
        raise AssertionError("must not be run")

    guide = scene.network(SHIPPED)
    network = scene.network(contract_of(hands="right"))
    predictor = Predictor(never, network, guide=guide, threads=1)
    hand = predictor.at_joints(PICTURE, scene.uv, "right", CAMERA)
    assert hand is not None
    assert (len(network.crops), len(guide.crops)) == (1, 0)
    assert predictor.at_joints(PICTURE, np.full((21, 2), np.nan), "right", CAMERA) is None
    some = scene.uv.copy()
    some[[0, 3, 17]] = np.nan
    assert predictor.at_joints(PICTURE, some, "right", CAMERA) is not None


def test_a_video_follows_a_guided_network():
    scene = Scene("left")
    predictor = scene.predictor(contract_of(hands="right", outputs=("joints", "corners")))
    video = VideoPredictor(predictor, fps=30.0)
    for _ in range(3):
        (hand,) = video(PICTURE, CAMERA)
        assert hand.side == "left"
        np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-6)
        np.testing.assert_allclose(hand.object.corners_camera, scene.corners, atol=1e-6)
    assert len(predictor._guide._network.crops) > 3


def test_parts_are_passed_in():
    scene = Scene("right")
    predictor = scene.predictor(contract_of())
    asked = []

    def explain(estimate, camera, initial=None, shape=None, smooth=None):
        asked.append((estimate, initial))
        return hand, "to go on from"

    (hand,) = predictor(PICTURE, CAMERA)
    replaced = scene.predictor(contract_of(), explain=explain, config=PredictorConfig(passes=1))
    assert replaced(PICTURE, CAMERA) == [hand]
    np.testing.assert_allclose(asked[0][0].joints_camera, predictor.find(PICTURE, CAMERA, 1)[0].joints_camera)
    with pytest.raises(ValueError, match="guide must give side and presence"):
        scene.predictor(contract_of(hands="right"), guide=scene.network(contract_of(hands="right")))
    with pytest.raises(ValueError, match="passes must be 1 or more"):
        PredictorConfig(passes=0)


def test_a_metric_file_is_given_the_crops_intrinsics(tmp_path):
    """A graph that knows pixels and depths and unprojects them with its input K gives the hand in metres."""
    scene = Scene("left")
    rule = CropRule(80, "picture", 1.4, "right")
    contract = Contract(
        "s5", crop=rule, coordinates="metric", root=0, inputs=("image", "K"), outputs=("joints", "corners")
    )
    square = square_of_joints(scene.uv, rule=rule)
    affine = square.affine(80, mirrored=True)
    uv = scene.uv @ affine[:, :2].T + affine[:, 2]
    mirrored = (scene.corners * [-1.0, 1.0, 1.0])[[4, 5, 6, 7, 0, 1, 2, 3]]
    path = write_onnx(tmp_path / "s5.onnx", contract, {"corners": mirrored}, unproject_nodes(uv, scene.joints[:, 2]))
    predictor = Predictor(KnowsThePlace(scene.uv), path, guide=scene.network(SHIPPED), threads=1)
    (hand,) = predictor(PICTURE, CAMERA)
    assert hand.side == "left"
    np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-6)
    np.testing.assert_allclose(hand.object.corners_camera, scene.corners, atol=1e-6)


def test_a_25d_file(tmp_path):
    scene = Scene("right")
    rule = CropRule(80, "picture", 1.4, "either")
    contract = Contract("s4", crop=rule, coordinates="2.5d", root=0, bone=(9, 10), outputs=("joints", "mask"))
    affine = square_of_joints(scene.uv, rule=rule).affine(80)
    bone = np.linalg.norm(scene.joints[10] - scene.joints[9])
    depth = (scene.joints[:, 2] - scene.joints[0, 2]) / bone
    joints = np.column_stack([scene.uv @ affine[:, :2].T + affine[:, 2], depth])
    path = write_onnx(tmp_path / "s4.onnx", contract, {"joints": joints, "mask": np.zeros((4, 4))})
    hand = Predictor(KnowsThePlace(scene.uv), HandGraph(path), threads=1).at_joints(PICTURE, scene.uv, "right", CAMERA)
    assert hand is not None
    np.testing.assert_allclose(hand.joints_network, scene.joints, atol=1e-5)


def test_a_network_that_never_came_to_an_end_is_named(tmp_path):
    scene = Scene("right")
    contract = Contract("s1", crop=CropRule(32), coordinates="metric")
    path = write_onnx(tmp_path / "s1.onnx", contract, {"joints": np.full((21, 3), np.nan)})
    with pytest.raises(ValueError, match=r"s1\.onnx: joints must be finite"):
        Predictor(KnowsThePlace(scene.uv), path, threads=1).at_joints(PICTURE, scene.uv, "right", CAMERA)
