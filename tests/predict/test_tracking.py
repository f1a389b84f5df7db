"""Tracking: a track is one person's hand, whatever single looks say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.geometry.rotation import axis_angle_to_matrix
from knuckle.handmodel import HandModel
from knuckle.predict import Predictor, PredictorConfig
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.video import Frame, VideoPredictor
from knuckle.track import FilterSettings, OneEuroFilter, PoseFilter, RotationFilter, Smoothing

CAMERA = Camera.from_fov((640, 480), 1.0)
PICTURE = np.zeros((480, 640, 3), np.uint8)
MODEL = HandModel.open()
PALM = (np.array([0.0, 0.05, 0.0]), 0.1)


def look(x=0.0, side="right", scale=1.0, angle=0.3, score=0.9, odds=None, depth=0.6) -> HandEstimate:
    """A hand at (x, 0, depth) with all angles alike, its fingers up."""
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = [x, 0.05, depth]
    joints = np.asarray(MODEL.joints(np.full(23, angle), T_camera_hand=pose, side=side))
    uv = CAMERA.project(joints)
    odds = (4.0 if side == "left" else -4.0) if odds is None else odds
    return HandEstimate(
        side, score, uv.mean(0) + scale * (uv - uv.mean(0)), joints[:1] + scale * (joints - joints[:1]),
        np.full(21, 0.006), odds,
    )  # fmt: skip


class Scripted(Predictor):
    """Stands for the predictor: sees the hands of the frame at hand.

    Attributes:
        hands: those in the frame, for the detector.
        looks: those that a look at a track finds, the nearest one; `hands` where None.
    """

    def __init__(self) -> None:
        # Every hand is fitted, so that what is shown differs from what was seen by the tracking alone.
        super().__init__(threads=1, config=PredictorConfig(ik_share=0.0))
        self.hands: list[HandEstimate] = []
        self.looks: list[HandEstimate] | None = None
        self.searches = 0

    def find(self, image, camera, max_hands, closer=True):
        self.searches += 1
        return list(self.hands)

    def follow(self, image, camera, expected, sides):
        seen = self.hands if self.looks is None else self.looks

        def away(hand, uv):
            return np.linalg.norm(hand.uv - uv, axis=1).mean() / np.ptp(uv, axis=0).max()

        nearest = [min(seen, key=lambda hand: away(hand, uv), default=None) for uv in expected]
        return [
            hand if hand is not None and away(hand, uv) < 1.0 else None
            for hand, uv in zip(nearest, expected, strict=True)
        ]


@pytest.fixture
def says():
    return Scripted()


def frames(says, video, script):
    """The hands of every frame of a script: lists of looks."""
    shown = []
    for hands in script:
        says.hands = hands
        shown.append(video(PICTURE, CAMERA, max_hands=2))
    return shown


def test_a_run_of_bad_looks_does_not_change_a_side_and_a_bad_beginning_does(says):
    odds = [-4.0] * 90 + [9.0] * 70 + [-4.0] * 20
    shown = frames(says, VideoPredictor(says), [[look(odds=o)] for o in odds])
    assert {hand.side for hands in shown for hand in hands} == {"right"}
    odds = [2.0] * 5 + [-4.0] * 60
    shown = frames(says, VideoPredictor(says), [[look(side="left", odds=2.0)]] + [[look(odds=o)] for o in odds])
    assert shown[0][0].side == "left"
    assert shown[-1][0].side == "right"
    assert {hand.id for hands in shown for hand in hands} == {0}


def test_the_shape_is_learned_in_a_second_and_then_held(says, rng):
    looks = [[look(scale=float(rng.uniform(0.9, 1.1)), angle=float(rng.uniform(0.1, 0.9)))] for _ in range(60)]
    shown = frames(says, VideoPredictor(says), looks)
    palms = [np.linalg.norm(hand.joints_camera[9] - hand.joints_camera[0]) for (hand,) in shown]
    assert np.ptp(palms[:29]) > 1e-4
    np.testing.assert_allclose(palms[31:], palms[31], rtol=1e-9)
    average = np.linalg.norm(look().joints_camera[9] - look().joints_camera[0])
    assert abs(palms[-1] / average - 1) < 0.03


def test_hands_that_cross_keep_their_ids(says):
    script = []
    for i in range(60):
        x = 0.15 * math.cos(math.pi * i / 59)
        left, right = look(-x, "left", depth=0.66), look(x, "right")
        # The one behind is not seen while they pass.
        script.append([right] if abs(x) < 0.04 else [left, right])
    shown = frames(says, VideoPredictor(says), script)
    sides = {(hand.id, hand.side) for hands in shown for hand in hands}
    assert len(sides) == 2
    # The detector is not run in every frame: a hand that comes back is found a few frames later.
    missed = sum(len(there) - len(hands) for hands, there in zip(shown, script, strict=True))
    assert 0 <= missed <= 3


def test_a_hand_is_known_after_a_second_out_of_sight_and_not_after_three(says):
    shown = frames(says, VideoPredictor(says), [[look(0.1)]] * 40 + [[]] * 30 + [[look(-0.1)]] * 5)
    assert shown[39][0].id == shown[-1][0].id == 0
    assert shown[50] == []
    shown = frames(says, VideoPredictor(says), [[look(0.1)]] * 40 + [[]] * 90 + [[look(-0.1)]] * 5)
    assert shown[-1][0].id == 1


def test_a_look_at_something_else_is_looked_up_and_not_believed(says):
    video = VideoPredictor(says, smoothing=None)
    frames(says, video, [[look()]] * 20)
    before = says.searches
    says.looks = [look(scale=2.0)]
    (hand,) = video(PICTURE, CAMERA, max_hands=1)
    assert says.searches == before + 1
    assert np.ptp(hand.joints_image, axis=0).max() < 1.1 * np.ptp(look().uv, axis=0).max()
    # Where nothing better is found either, the score says so.
    says.hands, says.looks = [], [look(score=0.45)]
    assert [hand.score for hand in video(PICTURE, CAMERA, max_hands=1)] == [0.45]


def test_without_smoothing_the_joints_are_those_of_the_look(says):
    video = VideoPredictor(says, smoothing=None)
    for x in (0.0, 0.05, -0.02, 0.07):
        says.hands = [look(x, angle=0.3 + x)]
        (hand,) = video(PICTURE, CAMERA, max_hands=1)
        np.testing.assert_allclose(hand.joints_camera, says.hands[0].joints_camera, atol=1.5e-3)


def test_a_step_is_followed_within_fifty_milliseconds(says):
    for fps in (30.0, 60.0):
        video = VideoPredictor(says, fps=fps)
        frames(says, video, [[look(0.0, angle=0.2)]] * 60)
        way = look(0.06, angle=0.8).uv - look(0.0, angle=0.2).uv
        done = []
        for (hand,) in frames(says, video, [[look(0.06, angle=0.8)]] * round(0.2 * fps)):
            done.append(np.sum((hand.joints_image - look(0.0, angle=0.2).uv) * way) / np.sum(way**2))
        # Half of the way: the first frame that shows the step counts from when it was taken.
        assert next(i for i, share in enumerate(done) if share > 0.5) / fps <= 0.05
        assert done[-1] > 0.9


def over(says, script, fps=30.0):
    """The same as `frames`, with the hands of each frame given one frame later."""

    def read():
        for hands in script:
            says.hands = hands
            yield Frame(PICTURE, CAMERA)

    return list(VideoPredictor(says, fps).over(read(), 2))


def test_knowing_the_next_frame_a_step_is_seen_within_fifty_milliseconds(says):
    before, after = look(0.0, angle=0.2).uv, look(0.06, angle=0.8).uv
    way = after - before
    for fps in (30.0, 60.0):
        shown = over(says, [[look(0.0, angle=0.2)]] * 60 + [[look(0.06, angle=0.8)]] * 12, fps)
        done = [np.sum((hands[0].joints_image - before) * way) / np.sum(way**2) for hands in shown]
        assert len(done) == 72
        assert (1 + next(i for i, share in enumerate(done) if share > 0.5) - 60) / fps <= 0.05
        # What comes is not foretold but for the half of it that the mean of two frames is.
        assert done[59] < 0.5


def test_knowing_the_next_frame_a_steady_motion_is_followed_without_lag(says):
    script = [[look(-0.1 + 0.003 * i)] for i in range(60)]
    lag = [look(-0.1 + 0.003 * i).uv.mean(0)[0] for i in range(60)]
    now = [hands[0].joints_image.mean(0)[0] for hands in frames(says, VideoPredictor(says), script)]
    later = [hands[0].joints_image.mean(0)[0] for hands in over(says, script)]
    behind, corrected = np.subtract(lag, now)[20:55], np.subtract(lag, later)[20:55]
    assert behind.min() > 0.4
    assert np.abs(corrected).max() < 0.25 * behind.min()


def test_the_last_frame_and_a_hand_that_leaves_have_hands_too(says):
    assert over(says, []) == []
    assert [len(hands) for hands in over(says, [[look()]])] == [1]
    assert [len(hands) for hands in over(says, [[], [look()], [look()], [], []])] == [0, 1, 1, 0, 0]


def test_times_may_vary_and_stand_still(says):
    says.hands = [look()]
    video = VideoPredictor(says)
    for time in (0.0, 0.05, 0.05, 0.01, 0.4, None):
        (hand,) = video(PICTURE, CAMERA, 1, time)
        assert hand.id == 0
        np.testing.assert_allclose(hand.joints_camera, look().joints_camera, atol=2e-3)
    with pytest.raises(ValueError, match=r"fps must be above 0 but got 0\.0"):
        VideoPredictor(says, fps=0.0)


def test_a_filter_is_nearly_the_same_at_any_frame_rate():
    def end(rate):
        low_pass = OneEuroFilter(FilterSettings(1.0, 0.0))
        low_pass(np.zeros((1, 2)), 1 / rate)
        return [low_pass(np.ones((1, 2)), 1 / rate) for _ in range(rate // 10)][-1]

    np.testing.assert_allclose(end(30), end(240), rtol=0.07)


def test_rotations_are_filtered_along_the_shortest_way_in_any_frame(rng):
    start, turn = axis_angle_to_matrix(rng.normal(size=3)), axis_angle_to_matrix(np.array([0.0, 0.8, 0.0]))
    frame = axis_angle_to_matrix(rng.normal(size=3))
    one, other = RotationFilter(), RotationFilter()
    for rotation in [start, *[start @ turn] * 4]:
        turned, again = one(rotation, 1 / 30), other(frame @ rotation, 1 / 30)
        np.testing.assert_allclose(frame @ turned, again, atol=1e-12)
    left = start.T @ turned
    assert 0 < math.acos((np.trace(left) - 1) / 2) < 0.8
    with pytest.raises(ValueError, match="seconds must be above 0"):
        one(start, 0.0)


def test_an_uncertain_finger_is_held_and_the_others_move():
    held, free = PoseFilter(Smoothing()), PoseFilter(Smoothing())
    uncertainty = np.full(21, 0.005)
    uncertainty[5:9] = 0.08
    for fast, seen in ((held, uncertainty), (free, np.full(21, 0.005))):
        fast(np.zeros(23), np.eye(4) + np.diag([0, 0, 0, 0]), PALM[0], PALM[1], 1 / 30, seen)
    T = np.eye(4)
    moved, _ = held(np.full(23, 0.5), T, *PALM, 1 / 30, uncertainty)
    both, _ = free(np.full(23, 0.5), T, *PALM, 1 / 30, np.full(21, 0.005))
    assert (moved[7:11] < 0.5 * both[7:11]).all()
    np.testing.assert_allclose(np.delete(moved, range(7, 11)), np.delete(both, range(7, 11)))


def test_a_pose_at_rest_stays_where_it_is():
    T = np.eye(4)
    T[:3, 3] = [0.1, -0.05, 0.7]
    smooth = PoseFilter(Smoothing())
    for _ in range(5):
        angles, pose = smooth(np.full(23, 0.4), T, *PALM, 1 / 30)
    np.testing.assert_allclose(pose, T, atol=1e-12)
    np.testing.assert_allclose(angles, 0.4)


def test_the_hand_that_is_found_again_goes_on_with_its_side(says):
    """One look of the other side does not make another hand of it."""
    script = [[look(0.1)]] * 60 + [[]] * 10 + [[replace(look(0.08), left_log_odds=1.0)]] + [[look(0.08)]] * 5
    shown = frames(says, VideoPredictor(says), script)
    assert {(hand.id, hand.side) for hands in shown for hand in hands} == {(0, "right")}
