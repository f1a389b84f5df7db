"""Networks that are told a hand's side and its joints in the picture: by the guide, or by the truth."""

import numpy as np
import pytest

from known_networks import KnowsTheHand, KnowsThePlace
from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.predict import Contract, CropRule, Predictor
from knuckle.predict.crop import square_of_labels
from knuckle.predict.passes import CropPasses

CAMERA = Camera.from_fov((320, 240), 1.0)
PICTURE = np.full((240, 320, 3), 90, np.uint8)
SHIPPED = Contract("shipped", crop=CropRule(64), outputs=("joints", "uncertainty", "left", "presence"))


class Told(KnowsTheHand):
    """Remembers what it was told."""

    def __call__(self, picture, affines, K=None, boxes=None, **known):
        self.known = known
        return super().__call__(picture, affines, K, boxes)


def predictor_of(side: str, hands: str):
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = [0.03, 0.09, 0.5]
    joints = np.asarray(HandModel.open().joints(np.full(23, 0.2), T_camera_hand=pose, side=side))
    corners = joints[:8]
    contract = Contract(
        "told",
        crop=CropRule(96, "picture", 1.6, hands),
        coordinates="metric",
        inputs=("image", "K", "side", "joints_image"),
        outputs=("joints", "category"),
        categories=("can", "cup", "pen"),
    )
    network = Told(contract, CAMERA.K, joints, joints, corners, side == "left")
    guide = KnowsTheHand(SHIPPED, CAMERA.K, joints, joints, corners, side == "left")
    uv = CAMERA.project(joints)
    return Predictor(KnowsThePlace(uv), network, guide=guide, threads=1), network, uv


@pytest.mark.parametrize("hands", ["either", "right"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_side_and_joints_are_those_of_the_crop(side, hands):
    predictor, network, uv = predictor_of(side, hands)
    (hand,) = predictor(PICTURE, CAMERA)
    # A category without a box is an object too.
    assert (hand.object.category, hand.object.corners_camera) == ("cup", None)
    assert hand.to_json()["object"]["corners_camera"] is None
    (affine,) = network.crops
    expected = uv @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(network.known["joints_image"][0], expected, atol=1e-6)
    shown_left = side == "left" and hands == "either"
    assert network.known["side"].tolist() == [[float(shown_left), float(not shown_left)]]
    if hands == "right" and side == "left":
        assert affine[0, 0] < 0, "the crop is mirrored, and shows a right hand"

    visibility = np.arange(21) % 3 > 0
    predictor.at_joints(PICTURE, uv, side, CAMERA, visibility=visibility)
    told = network.known["joints_image"][0]
    assert np.isfinite(told).all(1).tolist() == visibility.tolist()
    assert square_of_labels(uv, network.contract.crop) is not None


def test_a_network_that_must_be_told_is_not_run_without():
    predictor, network, _ = predictor_of("right", "either")
    assert network.contract.needs_guide
    passes = CropPasses(network, predictor.config)
    square = square_of_labels(CAMERA.project(network.parts["joints"]), network.contract.crop)
    with pytest.raises(ValueError, match="known must say joints_image and side of each of 1 hands but does not"):
        passes.run(PICTURE, CAMERA, [(square, False)])
