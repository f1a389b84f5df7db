"""Hands too small for the detector are found in the parts of a picture."""

import numpy as np
import pytest

from known_networks import KnowsTheHand
from knuckle import VideoPredictor
from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.predict import Contract, CropRule, Predictor, PredictorConfig
from knuckle.predict.closer import detect_closer, parts
from knuckle.predict.detect import Detection, box_of_joints

CONTRACT = Contract("shipped", crop=CropRule(64), outputs=("joints", "uncertainty", "left", "presence"))


class SeesLargeThings:
    """A detector that finds what is white, if that is at least a tenth of the picture it is given, as a hand."""

    def __init__(self, score: float = 0.9) -> None:
        self.score, self.sizes = score, []

    def __call__(self, picture, threshold, maximum):
        self.sizes.append(picture.shape[:2])
        rows, columns = np.nonzero(picture[..., 0] > 200)
        if not len(rows) or max(np.ptp(rows), np.ptp(columns)) < max(picture.shape[:2]) / 10:
            return []
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
        return [Detection(box, self.score, 0.5, np.array([0.0, -1.0]))]


def scene(depth: float, size: tuple[int, int] = (800, 600), across: float = 0.0):
    """A picture in which the box of a hand is white, its camera, the joints in pixels, a network that knows them."""
    camera = Camera.from_fov(size, 1.0)
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = [across, 0.0, depth]
    joints = np.asarray(HandModel.open().joints(np.full(23, 0.2), T_camera_hand=pose, side="right"))
    uv = camera.project(joints)
    x0, y0, x1, y1 = box_of_joints(uv).round().astype(int)
    picture = np.full((size[1], size[0], 3), 60, np.uint8)
    picture[y0 : y1 + 1, x0 : x1 + 1] = 255
    return picture, camera, uv, KnowsTheHand(CONTRACT, camera.K, joints, joints, joints[:8], False)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((800, 600), {(x, y, x + 400, y + 400) for x in (0, 200, 400) for y in (0, 200)}),
        ((384, 800), {(0, y, 384, y + 400) for y in (0, 200, 400)}),
        # As few of a picture that is all length: their number is bounded.
        ((20000, 1), {(x, 0, x + 10000, 1) for x in (0, 5000, 10000)}),
        ((1, 1), {(0, 0, 1, 1)}),
    ],
)
def test_parts_are_halves_that_overlap_and_cover_the_picture(size, expected):
    found = parts(*size)
    assert set(found) == expected
    covered = np.zeros((size[1], size[0]), bool)
    for x0, y0, x1, y1 in found:
        assert covered[y0:y1, x0:x1].shape == (y1 - y0, x1 - x0)
        covered[y0:y1, x0:x1] = True
    assert covered.all()


@pytest.mark.parametrize("across", [-0.6, 0.0, 0.5])
def test_a_hand_far_away_is_found_once_and_where_it_is(across):
    picture, camera, uv, network = scene(2.0, across=across)
    detector = SeesLargeThings()
    (hand,) = Predictor(detector, network, threads=1)(picture, camera, check_channels=False)
    assert detector.sizes == [(600, 800)] + 6 * [(400, 400)]
    np.testing.assert_allclose(hand.joints_image, uv, atol=0.5)
    assert not Predictor(SeesLargeThings(), network, threads=1).find(picture, camera, 4, closer=False)


def test_there_is_no_closer_look_where_one_look_is_enough():
    near, camera, _, network = scene(0.6)
    detector = SeesLargeThings()
    predictor = Predictor(detector, network, threads=1)
    (sure,) = predictor(near, camera, check_channels=False)
    assert sure.score > PredictorConfig().sure_score
    assert len(detector.sizes) == 1
    small, camera, _, network = scene(2.0, (320, 240))
    detector = SeesLargeThings()
    assert not Predictor(detector, network, threads=1)(small, camera, check_channels=False)
    assert len(detector.sizes) == 1, "its parts show no more than it does"


def test_a_video_is_not_searched_in_parts():
    picture, camera, _, network = scene(2.0)
    detector = SeesLargeThings()
    assert not VideoPredictor(Predictor(detector, network, threads=1))(picture, camera)
    assert len(detector.sizes) == 1


def test_what_an_inner_edge_cuts_is_left_to_the_part_that_shows_it_whole():
    picture = np.zeros((600, 800, 3), np.uint8)
    picture[100:180, 370:430] = 255  # across the edge of the first part, at 400, whole in the second
    picture[550:, 750:] = 255  # at the picture's own corner
    found = detect_closer(SeesLargeThings(), picture, 0.1, 5)
    boxes = sorted(detection.box.tolist() for detection in found)
    assert boxes == [[370.0, 100.0, 429.0, 179.0], [750.0, 550.0, 799.0, 599.0]]
