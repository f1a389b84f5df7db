"""From pictures to hands: the parts by themselves, then the whole on a drawn hand and on input that is broken."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from knuckle.camera import Camera
from knuckle.handmodel import HandModel
from knuckle.image.cut import apply_affine
from knuckle.image.exif import focal_length_pixels
from knuckle.predict import Contract, CropRule, Predictor, PredictorConfig
from knuckle.predict.cameras import camera_of, read_camera
from knuckle.predict.crop import Square, square_of_joints
from knuckle.predict.detect import STRIDE, box_of_joints, covered, letterbox, nested, overlap, read_maps
from knuckle.predict.estimate import HandEstimate
from knuckle.predict.passes import CropPasses
from knuckle.predict.place import from_sight, scale_to_size, settle, to_sight
from knuckle.predict.run import RunOptions, predict_files
from knuckle.predict.sources import expand, stems
from knuckle.predict.video import VideoPredictor
from knuckle.skeleton import BONES
from knuckle.track import OneEuroFilter, match
from knuckle.view.mesh import overlay_mesh


@pytest.fixture(scope="module")
def model() -> HandModel:
    return HandModel.open()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(threads=1)


def _pose(depth=0.45, turn=0.0, across=0.0):
    """Fingers up, palm to the camera."""
    cos, sin = math.cos(turn), math.sin(turn)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = [across, 0.09, depth]
    return pose


def _drawn(model, side="right", size=(320, 240), turn=0.0):
    camera = Camera.from_fov(size, math.radians(60.0))
    posed = model(np.full(23, 0.1), T_camera_hand=_pose(turn=turn), side=side)
    y, x = np.mgrid[: size[1], : size[0]]
    picture = np.stack([60 + x // 8, 80 + y // 8, 100 + (x + y) // 16], axis=-1).astype(np.uint8)
    faces = np.asarray(model.faces_of(side)).astype(np.int64)
    return overlay_mesh(picture, posed.vertices, faces, camera, alpha=1.0), camera, posed.joints


# The parts


@pytest.mark.parametrize("across", [0.0, 0.2])
def test_sight_goes_back_to_the_camera_up_to_scale(model, across):
    joints = np.asarray(model.joints(np.full(23, 0.4), T_camera_hand=_pose(turn=0.5, across=across)))
    camera = Camera.from_fov((640, 480), 1.1)
    back = from_sight(camera.K, to_sight(camera.K, joints))
    np.testing.assert_allclose(back * joints[9, 2], joints, atol=1e-9)
    lengths = np.array([np.linalg.norm(joints[c] - joints[p]) for p, c in BONES])
    assert scale_to_size(back, lengths, np.ones(21)) == pytest.approx(joints[9, 2])
    # The same in torch, with leading axes.
    K, many = torch.as_tensor(camera.K).expand(2, 3, 3, 3), torch.as_tensor(joints).expand(2, 3, 21, 3)
    assert np.allclose(from_sight(K, to_sight(K, many)).numpy(), back, atol=1e-9)


def test_depth_in_pixels_is_as_long_as_a_step_across():
    """A centimetre along the line of sight and one across it are equally many pixels, near the root."""
    camera = Camera.from_fov((640, 480), 0.8)
    joints = np.tile([0.1, -0.05, 0.5], (21, 1))
    sight = joints[9] / np.linalg.norm(joints[9])
    across = np.cross(sight, [0.0, 1.0, 0.0])
    joints[1] += 1e-4 * sight
    joints[2] += 1e-4 * np.cross(sight, across / np.linalg.norm(across))
    sighted = to_sight(camera.K, joints)
    assert sighted[1, 2] == pytest.approx(np.linalg.norm(sighted[2, :2] - sighted[9, :2]), rel=0.03)


def test_a_square_shows_the_hand_upright_whatever_the_picture(model):
    uv = Camera.from_fov((640, 480), 1.0).project(np.asarray(model.joints(T_camera_hand=_pose(turn=2.0))))
    affine = square_of_joints(uv).affine(100)
    turned = uv @ affine[:, :2].T + affine[:, 2]
    assert turned.min() > 0
    assert turned.max() < 99
    up = turned[[5, 9, 13]].mean(0) - turned[0]
    assert up[1] < -10
    assert abs(up[0]) < 1e-6 * abs(up[1])


def test_maps_are_read_best_first_without_duplicates():
    maps = np.zeros((8, 24, 24), np.float32)
    maps[1:5] = 20.0
    maps[0, 5, 6], maps[0, 5, 7], maps[0, 15, 15], maps[7, 15, 15] = 0.8, 0.6, 0.9, 1.0
    found = read_maps(maps, 0.5, 5)
    assert [round(d.score, 1) for d in found] == [0.9, 0.8]
    middle = STRIDE * 15.5 - 0.5
    np.testing.assert_allclose(found[0].box, [middle - 20, middle - 20, middle + 20, middle + 20])
    assert (found[0].left, len(read_maps(maps, 0.5, 1))) == (1.0, 1)


def test_letterbox_keeps_the_whole_picture_in_the_middle():
    affine = letterbox(800, 600, 192)
    corners = np.array([[-0.5, -0.5], [799.5, 599.5]]) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(corners, [[-0.5, 23.5], [191.5, 167.5]])


class KnowsTheHand:
    """Stands for the network: finds these joints of a left hand in every crop, as exactly as they are there."""

    def __init__(self, uv: np.ndarray) -> None:
        outputs = ("joints", "uncertainty", "left", "presence")
        self.contract = Contract("test", crop=CropRule(100), outputs=outputs)
        self.uv, self.shown = uv, []

    def __call__(self, picture, affines, K=None, boxes=None) -> dict[str, np.ndarray]:
        assert K is None
        assert boxes is None
        outputs = {name: [] for name in self.contract.outputs}
        for affine in affines:
            scale = np.linalg.det(affine[:, :2])
            depth = np.linspace(-3.0, 3.0, 21)[:, None] * abs(scale) ** 0.5
            outputs["joints"].append(np.concatenate([apply_affine(affine, self.uv), depth], axis=1))
            outputs["uncertainty"].append(np.full(21, 2.0 * abs(scale) ** 0.5))
            outputs["left"].append(0.9 if scale > 0 else 0.1)
            outputs["presence"].append(0.8)
        self.shown += outputs["joints"]
        return {name: np.array(values) for name, values in outputs.items()}


def test_passes_agree_in_the_picture_whatever_the_crop(model):
    camera = Camera.from_fov((640, 480), 1.0)
    uv = camera.project(np.asarray(model.joints(T_camera_hand=_pose(turn=0.4))))
    network, picture = KnowsTheHand(uv), np.zeros((480, 640, 3), np.uint8)
    passes = CropPasses(network, PredictorConfig())
    middle = uv.mean(0)
    far_off = Square((middle[0] + 30.0, middle[1] - 10.0), 400.0, 0.3)
    plain, mirrored = passes.run(picture, camera, [(far_off, False), (far_off, True)])
    for estimate in (plain, mirrored):
        np.testing.assert_allclose(estimate.uv, uv, atol=1e-9)
        np.testing.assert_allclose(estimate.joints[:, 2], np.linspace(-3.0, 3.0, 21), atol=1e-9)
        np.testing.assert_allclose(estimate.uncertainty, 2.0, atol=1e-9)
        assert estimate.left_log_odds == pytest.approx(math.log(9.0))

    network.shown.clear()
    (second,) = passes.refine(picture, camera, [plain])
    (seen,) = network.shown
    assert np.abs((seen[:, :2].min(0) + seen[:, :2].max(0)) / 2 - 49.5).max() < 1e-6  # in the middle of the crop
    assert second.left_log_odds == pytest.approx(2 * math.log(9.0))
    assert second.square.side >= 0.85 * 400.0 - 1e-9  # no smaller than a step allows

    # The first crop was bad: the mirror image of the suggested one counts for more. Then it is good: they count alike.
    network.shown.clear()
    (third,) = passes.refine_mirrored(picture, camera, [replace(plain, presence=0.4)])
    assert len(network.shown) == 1
    assert third.presence == pytest.approx(0.25 * 0.4 + 0.75 * 0.8)
    tight = square_of_joints(uv)
    tight = tight._replace(side=PredictorConfig().refined_side * tight.side)
    fitting = passes.run(picture, camera, [(tight, False)])
    network.shown.clear()
    (fourth,) = passes.refine_mirrored(picture, camera, [replace(fitting[0], presence=0.4)])
    assert len(network.shown) == 1
    assert fourth.presence == pytest.approx(0.6)
    for mean in (third, fourth):
        np.testing.assert_allclose(mean.uv, uv, atol=1e-9)
        assert mean.left_log_odds == pytest.approx(2 * math.log(9.0))
        assert mean.relative_uncertainty > 0


def test_overlap_of_boxes():
    box = np.array([0.0, 0.0, 2.0, 2.0])
    others = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    np.testing.assert_allclose(overlap(box, others), [1.0, 1 / 3, 0.0])
    np.testing.assert_allclose(nested(box, np.array([[0.5, 0.5, 1.0, 3.0]])), [0.6])
    np.testing.assert_allclose(covered(np.array([[0.5, 0.5, 1.0, 3.0], [-2.0, 0.0, 2.0, 4.0]]), box), [0.6, 0.25])
    assert overlap(box, np.zeros((0, 4))).shape == nested(box, np.zeros((0, 4))).shape == (0,)


def test_one_euro_is_calm_at_rest_and_quick_in_motion(rng):
    still, moving = OneEuroFilter(), OneEuroFilter()
    rest = np.array([still(rng.normal(0, 0.002, (1, 3)), 1 / 30) for _ in range(200)])[50:]
    assert rest.std() < 0.0012
    for i in range(60):
        last = moving(np.array([[i / 30.0, 0.0, 0.0]]), 1 / 30)
    assert abs(last[0, 0] - 59 / 30) < 0.03
    with pytest.raises(ValueError, match="above 0"):
        still(np.zeros((1, 3)), 0.0)


def test_match_takes_the_cheapest_pairs_first():
    assert match(np.array([[0.3, 0.1], [0.2, 0.9]]), 0.5) == [(0, 1), (1, 0)]
    assert match(np.array([[0.9]]), 0.5) == []


def test_cameras_given_by_file_by_angle_or_assumed(tmp_path):
    (tmp_path / "k.json").write_text(json.dumps({"fx": 500, "fy": 510, "cx": 320, "cy": 240}))
    assert camera_of((640, 480), K=read_camera(tmp_path / "k.json")).to_json()["fy"] == 510
    assert camera_of((640, 480), fov=1.0).source == "given"
    assert camera_of((640, 480)).source == "assumed"
    assert focal_length_pixels(b"", 640, 480) is None
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"must be JSON with fx, fy, cx, cy .*lacks fx, fy, cx, cy"):
        read_camera(tmp_path / "bad.json")


# The whole


def _distance(hand, camera, joints):
    return np.linalg.norm(hand.joints_image - camera.project(np.asarray(joints)), axis=1).mean()


def test_finds_a_drawn_hand_and_holds_the_frame(model, predictor):
    picture, camera, joints = _drawn(model)
    hands = predictor(picture, camera)
    assert len(hands) == 1
    hand = hands[0]
    height = np.ptp(camera.project(np.asarray(joints))[:, 1])
    assert _distance(hand, camera, joints) < 0.15 * height
    assert 0.3 < hand.joints_camera[9, 2] < 0.6
    assert overlap(hand.box, box_of_joints(camera.project(np.asarray(joints)))[None])[0] > 0.5
    # The mesh, the angles and the joints are one hand.
    again = model(
        np.array(list(hand.angles.values())), shape=hand.shape, T_camera_hand=hand.T_camera_hand, side=hand.side
    )
    np.testing.assert_allclose(again.joints, hand.joints_camera, atol=1e-6)
    assert hand.vertices_camera is not None
    np.testing.assert_allclose(again.vertices, hand.vertices_camera, atol=1e-6)


def test_keeps_nothing_between_pictures_and_may_be_shared_by_threads(model, predictor):
    pictures = [_drawn(model, turn=turn)[0] for turn in (0.0, 0.4)] * 4
    alone = [Predictor(threads=1)(picture) for picture in pictures[:2]] * 4
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(predictor, pictures))
    for mine, theirs in zip(alone, together, strict=True):
        assert [h.to_json() for h in mine] == [h.to_json() for h in theirs]


def test_an_empty_picture_has_no_hands_and_a_wrong_array_is_named(predictor):
    assert predictor(np.full((100, 150, 3), 128, np.uint8)) == []
    assert predictor(np.zeros((1, 1, 3), np.uint8)) == []
    with pytest.raises(ValueError, match="uint8"):
        predictor(np.zeros((10, 10, 3)))
    with pytest.raises(ValueError, match="size"):
        predictor(np.zeros((10, 10, 3), np.uint8), Camera.from_fov((20, 20), 1.0))


def test_a_folder_with_broken_files_is_done_as_far_as_it_goes(model, predictor, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    picture = cv2.cvtColor(_drawn(model)[0], cv2.COLOR_RGB2BGR)
    for name in ("a.png", "z.jpg"):
        assert cv2.imwrite(str(folder / name), picture)
    assert cv2.imwrite(str(folder / "one.png"), picture[:1, :1])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "cut.jpg").write_bytes((folder / "z.jpg").read_bytes()[:2000])
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    Image.fromarray(picture[..., ::-1]).convert("CMYK").save(folder / "print.jpg")
    files, problems = expand([str(folder), str(tmp_path / "absent.jpg")])
    assert len(files) == 8
    assert len(problems) == 1
    summary = predict_files(predictor, files, out, RunOptions(save=("json", "overlay", "glb", "npz")))
    assert summary.pictures == 4
    assert sorted(line.split(": ")[0].rsplit("/", 1)[1] for line in summary.problems) == [
        "cut.jpg",
        "empty.jpg",
        "gone.jpg",
        "text.jpg",
    ]
    result = json.loads((out / "a.json").read_text())
    assert result["size"] == [320, 240]
    assert json.loads((out / "print.json").read_text())["hands"][0]["box"] == pytest.approx(
        result["hands"][0]["box"], abs=8
    )
    assert result["camera"]["source"] == "assumed"
    assert len(result["hands"]) == 1
    assert (out / "a.glb").read_bytes()[:4] == b"glTF"
    assert np.load(out / "a.npz")["joints_camera"].shape == (1, 21, 3)
    assert cv2.imread(str(out / "a.overlay.jpg")).shape == picture.shape
    assert not (out / "empty.json").exists()
    with pytest.raises(ValueError, match="among"):
        RunOptions(save=("nothing",))


def test_a_video_gives_a_line_a_frame_and_tells_where_it_breaks_off(model, predictor, tmp_path):
    path = tmp_path / "clip.avi"
    picture = cv2.cvtColor(_drawn(model)[0], cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (320, 240))
    for _ in range(12):
        writer.write(picture)
    writer.release()
    summary = predict_files(predictor, [path], tmp_path / "out", RunOptions())
    lines = [json.loads(line) for line in (tmp_path / "out" / "clip.jsonl").read_text().splitlines()]
    assert summary.problems == []
    assert [line["frame"] for line in lines] == list(range(12))
    assert all(len(line["hands"]) == 1 for line in lines)
    (tmp_path / "cut.avi").write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    summary = predict_files(predictor, [tmp_path / "cut.avi"], tmp_path / "out", RunOptions())
    assert "is truncated after frame" in summary.problems[0]
    assert summary.pictures == len((tmp_path / "out" / "cut.jsonl").read_text().splitlines()) > 3
    (tmp_path / "broken.mp4").write_bytes(b"not a video at all")
    assert "video" in predict_files(predictor, [tmp_path / "broken.mp4"], tmp_path / "out", RunOptions()).problems[0]


class SaysSides(Predictor):
    """Stands for the predictor: the same hand in every frame, with the log odds of a left one that it is told."""

    def __init__(self, found: HandEstimate, odds: list[float]) -> None:
        super().__init__(threads=1)
        self.found, self.odds, self.starts = found, odds, []
        explain = self.explain

        def recorded(estimate, camera, initial=None, shape=None, smooth=None):
            self.starts.append(initial)
            return explain(estimate, camera, initial, shape, smooth)

        self.explain = recorded

    def find(self, image, camera, max_hands, closer=True):
        return [self.found]

    def follow(self, image, camera, expected, sides):
        return [replace(self.found, left_log_odds=self.odds.pop(0)) for _ in expected]


def test_of_one_hand_seen_twice_the_surer_one_is_kept(model, predictor):
    joints = np.asarray(model.joints(T_camera_hand=_pose()))
    uv = Camera.from_fov((320, 240), 1.0).project(joints)

    def found(score, scale=1.0, shift=0.0):
        moved = uv.mean(0) + scale * (uv - uv.mean(0)) + [shift * np.ptp(uv[:, 0]), 0.0]
        return HandEstimate("right", score, moved, joints, np.full(21, 0.01))

    best, nearly, inside, beside = found(0.9), found(0.8, shift=0.1), found(0.7, scale=0.6), found(0.6, shift=0.8)
    kept = predictor.without_duplicates([beside, inside, best, nearly])
    assert [hand.score for hand in kept] == [0.9, 0.6]
    # Half of it over a much surer hand: that one's arm. Over one that is hardly surer: another hand.
    assert [hand.score for hand in predictor.without_duplicates([best, found(0.45, shift=0.5)])] == [0.9]
    assert len(predictor.without_duplicates([best, found(0.85, shift=0.5)])) == 2


def test_a_few_frames_do_not_change_a_hands_side_but_many_do(model):
    uv = Camera.from_fov((320, 240), 1.0).project(np.asarray(model.joints(T_camera_hand=_pose())))
    found = HandEstimate("right", 0.9, uv, np.asarray(model.joints(T_camera_hand=_pose())), np.full(21, 0.01))
    odds = [-3.0] * 20 + [9.0] * 5 + [-3.0] * 5 + [3.0] * 60
    says = SaysSides(found, odds.copy())
    video, picture = VideoPredictor(says, fps=30.0), np.zeros((240, 320, 3), np.uint8)
    sides = [video(picture, max_hands=1)[0].side for _ in range(len(odds) + 1)]
    assert sides[:31] == ["right"] * 31
    assert sides[-1] == "left"
    changed = sides.index("left")
    assert sides[changed:] == ["left"] * (91 - changed)
    # Every fit begins from the one before, but for the first ones of a side.
    assert [i for i, start in enumerate(says.starts) if start is None] == [0, changed]


def test_results_of_equal_stems_do_not_meet(tmp_path):
    assert stems([tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "b.jpg"]) == ["a", "a-2", "b"]


def test_what_makes_no_sense_near_the_lens_still_ends_in_front_of_it(rng):
    camera = Camera.from_fov((640, 480), 1.0)
    joints = rng.normal((0.0, 0.0, 0.05), 0.15, (21, 3))
    found = HandEstimate("left", 0.5, rng.uniform(0, 480, (21, 2)), joints, np.full(21, 0.01))
    hand, _ = Predictor(threads=1).explain(found, camera)
    assert hand.joints_camera[:, 2].min() > 0.01
    np.testing.assert_allclose(
        HandModel.open().joints(
            np.array(list(hand.angles.values())), shape=hand.shape, T_camera_hand=hand.T_camera_hand, side="left"
        ),
        hand.joints_camera,
        atol=1e-9,
    )


def test_settling_brings_a_displaced_hand_back_to_where_it_was_seen(model):
    camera = Camera.from_fov((640, 480), 1.0)
    joints = np.asarray(model.joints(np.full(23, 0.3), T_camera_hand=_pose(turn=0.3)))
    away = joints @ _pose_of_turn(0.06).T + np.array([0.01, -0.02, 0.03])
    T = settle(camera, away, camera.project(joints), np.full(21, 0.005), steps=6, stiffness=1.0)
    back = away @ T[:3, :3].T + T[:3, 3]
    before = np.linalg.norm(camera.project(away) - camera.project(joints), axis=1).mean()
    after = np.linalg.norm(camera.project(back) - camera.project(joints), axis=1).mean()
    assert after < 0.05 * before
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)


def _pose_of_turn(angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
