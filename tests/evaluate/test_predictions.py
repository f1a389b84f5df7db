"""Predictions from files: of knuckle and other programs, arrays, submissions; matched, orders and axes converted."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import tiny_sets
from knuckle.datasets import BrokenDataset
from knuckle.evaluate import PROTOCOLS, Predictions, Truth, evaluate
from knuckle.evaluate.adapters import PredictedHand, detect_format, mediapipe_hands, mmpose_hands, openpose_hands
from knuckle.evaluate.matching import match_hands
from knuckle.evaluate.predictions import Conventions, read_predictions
from knuckle.evaluate.sources import numbered_source, read_source
from knuckle.evaluate.submit import SUBMISSIONS, check_submission, write_submission
from knuckle.handmodel import HandModel
from knuckle.skeleton import from_common
from mano_fixture import mano_arrays, mano_twin, write_mano_pickle

SIZE = (256, 256)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    tiny_sets.truth_list(root)
    return read_source(PROTOCOLS["own"], root).truth


def pixels(truth, i):
    rays = truth.joints[i] @ truth.K[i].T
    return rays[:, :2] / rays[:, 2:]


def dump_by_picture(folder, truth, of, ending=".json"):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(truth.ids):
        (folder / f"{name}{ending}").write_text(json.dumps(of(i)))
    return folder


def knuckle_json(truth, i, **changes):
    hand = {
        "side": "left" if truth.left[i] else "right",
        "score": 0.9,
        "joints_image": pixels(truth, i).tolist(),
        "joints_camera": truth.joints[i].tolist(),
    }
    return {"image": f"{truth.ids[i]}.jpg", "size": SIZE, "hands": [hand | changes]}


class TestKnuckle:
    def test_own_predictions(self, own, tmp_path):
        folder = dump_by_picture(tmp_path / "p", own, lambda i: knuckle_json(own, i))
        predicted = read_predictions(folder, own)
        np.testing.assert_allclose(predicted.joints, own.joints)
        report = evaluate(own, predicted, PROTOCOLS["own"], resamples=0)
        assert report.value("joints_camera") == pytest.approx(0, abs=1e-9)
        assert report.value("image") == pytest.approx(0, abs=1e-9)
        assert report.value("side_right") == 100

    def test_the_best_hand_is_matched_and_missing_hands_stay_missing(self, own, tmp_path):
        def of(i):
            data = knuckle_json(own, i)
            worse = knuckle_json(own, i, score=0.2, joints_camera=(own.joints[i] + 1).tolist())
            return {"hands": worse["hands"] + data["hands"] if i else []}

        folder = dump_by_picture(tmp_path / "p", own, of)
        (folder / f"{own.ids[3]}.json").unlink()
        predicted = read_predictions(folder, own)
        assert predicted.present.tolist() == [False, True, True, False]
        np.testing.assert_allclose(predicted.joints[1], own.joints[1])

    def test_two_hands_of_a_picture_are_matched_by_side(self, own):
        both = replace(own, ids=("a:left", "a:right", "b", "c"), pictures=())
        hands = [PredictedHand("left", 0.1, own.joints[0]), PredictedHand("right", 0.9, own.joints[1])]
        hands.append(PredictedHand("right", 0.5, own.joints[2]))
        predicted = match_hands(both, {"a": hands, "b": hands[2:]}, True, "test")
        np.testing.assert_array_equal(predicted.joints[:3], own.joints[:3])
        assert predicted.present.tolist() == [True, True, True, False]

    def test_a_broken_file_is_named(self, own, tmp_path):
        folder = dump_by_picture(tmp_path / "p", own, lambda i: knuckle_json(own, i))
        (folder / f"{own.ids[2]}.json").write_text('{"hands": [')
        with pytest.raises(BrokenDataset, match=r"00002\.json must be a JSON text but is truncated"):
            read_predictions(folder, own)
        (folder / f"{own.ids[2]}.json").write_text('{"hands": [{"side": "left", "joints_camera": [[1, 2, 3]]}]}')
        with pytest.raises(BrokenDataset, match=r"00002\.json must be knuckle's output .* joints must be \(21, 3\)"):
            read_predictions(folder, own)

    def test_an_objects_box(self, own, tmp_path):
        corners = own.joints[:, :8]
        held = {"corners_camera": None, "T_camera_object": None, "category": "cup", "category_probability": 0.5}

        def of(i):
            return knuckle_json(own, i, object=held | {"corners_camera": corners[i].tolist()} if i else None)

        folder = dump_by_picture(tmp_path / "p", own, of)
        answers = read_predictions(folder, own)
        np.testing.assert_allclose(answers.corners[1:], corners[1:])
        assert np.isnan(answers.corners[0]).all()
        (folder / f"{own.ids[2]}.json").write_text(json.dumps(knuckle_json(own, 2, object={"corners_camera": [[1]]})))
        with pytest.raises(BrokenDataset, match=r"00002\.json must be knuckle's output .* corners must be \(8, 3\)"):
            read_predictions(folder, own)


class TestMediaPipe:
    def landmarks(self, truth, i):
        uv = pixels(truth, i) / SIZE
        return [{"x": u, "y": v, "z": 0.0} for u, v in uv]

    def world(self, truth, i):
        joints = truth.joints[i] - truth.joints[i].mean(0)
        return [{"x": x, "y": y, "z": z} for x, y, z in joints]

    def tasks(self, truth, i):
        side = "Left" if truth.left[i] else "Right"
        return {
            "handedness": [[{"categoryName": side, "score": 0.8}]],
            "landmarks": [self.landmarks(truth, i)],
            "worldLandmarks": [self.world(truth, i)],
        }

    def solutions(self, truth, i):
        # Solutions assumed a mirrored picture.
        side = "Right" if truth.left[i] else "Left"
        return {
            "size": SIZE,
            "multi_handedness": [{"classification": [{"index": 0, "score": 0.8, "label": side}]}],
            "multi_hand_landmarks": [{"landmark": self.landmarks(truth, i)}],
            "multi_hand_world_landmarks": [{"landmark": self.world(truth, i)}],
        }

    @pytest.mark.parametrize("kind", ["tasks", "solutions"])
    def test_sides_pixels_and_joints(self, own, tmp_path, kind):
        folder = dump_by_picture(tmp_path / "p", own, lambda i: getattr(self, kind)(own, i))
        predicted = read_predictions(folder, own)
        report = evaluate(own, predicted, PROTOCOLS["own"], resamples=0)
        assert report.value("side_right") == 100
        assert report.value("image") == pytest.approx(0, abs=1e-9)
        assert report.value("joints_pa") == pytest.approx(0, abs=1e-9)
        assert report.value("joints_root") == pytest.approx(0, abs=1e-9)
        assert "joints_camera" not in {row.key for row in report.rows}

    def test_pixels_need_a_size(self, own, tmp_path):
        folder = dump_by_picture(tmp_path / "p", own, lambda i: self.tasks(own, i))
        with pytest.raises(BrokenDataset, match="must hold the picture's size"):
            read_predictions(folder, replace(own, pictures=()))

    def test_lists_of_lists_and_no_hand(self):
        points = np.random.default_rng(0).uniform(size=(21, 3)).tolist()
        hand = mediapipe_hands({"hand_landmarks": [points], "handedness": []}, lambda: (100, 200))[0]
        np.testing.assert_allclose(hand.joints_image, np.array(points)[:, :2] * [100, 200])
        assert hand.side is None
        assert hand.joints is None
        assert mediapipe_hands({"hand_landmarks": [], "handedness": []}, lambda: (1, 1)) == []


class TestOpenPose:
    def test_both_hands_and_undetected_joints(self, own, tmp_path):
        def of(i):
            flat = np.concatenate([pixels(own, i), np.full((21, 1), 0.7)], 1)
            other = np.zeros((21, 3))
            mine, theirs = ("left", "right") if own.left[i] else ("right", "left")
            person = {f"hand_{mine}_keypoints_2d": flat.ravel().tolist()}
            return {"version": 1.3, "people": [person | {f"hand_{theirs}_keypoints_2d": other.ravel().tolist()}]}

        folder = dump_by_picture(tmp_path / "p", own, of, "_keypoints.json")
        predicted = read_predictions(folder, own)
        assert predicted.joints is None
        report = evaluate(own, predicted, PROTOCOLS["own"], resamples=0)
        assert report.value("image") == pytest.approx(0, abs=1e-9)
        assert report.value("side_right") == 100

    def test_a_joint_of_zero_confidence_is_missing(self):
        flat = np.ones((21, 3))
        flat[4] = 0
        hand = openpose_hands({"people": [{"hand_left_keypoints_2d": flat.ravel().tolist()}]}, lambda: SIZE)[0]
        assert np.isnan(hand.joints_image[4]).all()
        assert np.isfinite(hand.joints_image).sum() == 40


class TestMmPose:
    def test_hand_models(self, own, tmp_path):
        folder = dump_by_picture(
            tmp_path / "p",
            own,
            lambda i: [[{"keypoints": pixels(own, i).tolist(), "keypoint_scores": [0.5] * 21, "bbox": [[0, 0, 1, 1]]}]],
        )
        report = evaluate(own, read_predictions(folder, own), PROTOCOLS["own"], resamples=0)
        assert report.value("image") == pytest.approx(0, abs=1e-9)

    def test_a_video_in_one_file(self, own, tmp_path):
        frames = [{"frame_id": i, "instances": [{"keypoints": pixels(own, i).tolist()}]} for i in range(len(own))]
        path = tmp_path / "results.json"
        path.write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
        report = evaluate(own, read_predictions(path, own), PROTOCOLS["own"], resamples=0)
        assert report.value("image") == pytest.approx(0, abs=1e-9)
        path.write_text(json.dumps({"meta_info": {}, "instance_info": frames[:2]}))
        with pytest.raises(BrokenDataset, match="must hold 4 hands"):
            read_predictions(path, own)

    def test_interhand_and_whole_bodies(self):
        rng = np.random.default_rng(0)
        right, left = rng.normal(size=(2, 21, 3))
        stored = np.concatenate([np.asarray(from_common(hand, "interhand")) for hand in (right, left)])
        hands = mmpose_hands([{"keypoints": (1e3 * stored).tolist()}], lambda: SIZE)
        assert [h.side for h in hands] == ["right", "left"]
        np.testing.assert_allclose(hands[0].joints, right)
        np.testing.assert_allclose(hands[1].joints, left)
        body = rng.normal(size=(133, 2))
        hands = mmpose_hands([{"keypoints": body.tolist()}], lambda: SIZE)
        np.testing.assert_array_equal(hands[0].joints_image, body[91:112])
        np.testing.assert_array_equal(hands[1].joints_image, body[112:])
        with pytest.raises(ValueError, match="21, 42 or 133 but got 17"):
            mmpose_hands([{"keypoints": np.zeros((17, 2)).tolist()}], lambda: SIZE)


class TestRecognise:
    def test_an_unknown_format(self):
        with pytest.raises(BrokenDataset, match="holds boxes; name it with --format"):
            detect_format({"boxes": []}, "a.json")


class TestArrays:
    def test_folder_npy_and_conventions(self, own, tmp_path):
        np.save(tmp_path / "joints.npy", own.joints)
        np.testing.assert_array_equal(read_predictions(tmp_path, own).joints, own.joints)
        np.testing.assert_array_equal(read_predictions(tmp_path / "joints.npy", own).joints, own.joints)
        stored = np.asarray(from_common(own.joints, "ho3d")) * [1e3, -1e3, -1e3]
        np.save(tmp_path / "joints.npy", stored)
        given = read_predictions(tmp_path, own, conventions=Conventions("ho3d", "mm", "opengl"))
        np.testing.assert_allclose(given.joints, own.joints, atol=1e-12)
        with pytest.raises(ValueError, match="unit must be one of m, cm, mm"):
            Conventions(unit="inch")

    def test_nan_rows_are_missing(self, own, tmp_path):
        joints = own.joints.copy()
        joints[2] = np.nan
        np.save(tmp_path / "joints.npy", joints)
        assert read_predictions(tmp_path, own).present.tolist() == [True, True, False, True]

    def test_wrong_counts_shapes_and_files(self, own, tmp_path):
        np.save(tmp_path / "joints.npy", own.joints[:3])
        with pytest.raises(BrokenDataset, match="must hold 4 hands, one per label, but holds 3"):
            read_predictions(tmp_path, own)
        np.save(tmp_path / "joints.npy", own.joints[:, :20])
        with pytest.raises(BrokenDataset, match=r"must be \(N, 21, 3\)"):
            read_predictions(tmp_path, own)
        with pytest.raises(FileNotFoundError, match=r"nothing\.npy must exist"):
            read_predictions(tmp_path / "nothing.npy", own)
        (tmp_path / "a.xyz").write_text("")
        with pytest.raises(BrokenDataset, match="must be a folder"):
            read_predictions(tmp_path / "a.xyz", own)
        (tmp_path / "empty").mkdir()
        with pytest.raises(BrokenDataset, match=r"must hold \.json files, or joints\.npy"):
            read_predictions(tmp_path / "empty", own)

    def test_dexycb_results(self, own, tmp_path):
        lines = [f"{i}," + ",".join(f"{x:.6f}" for x in 1e3 * own.joints[i].ravel()) for i in (2, 0, 1)]
        (tmp_path / "r.txt").write_text("\n".join(lines))
        predicted = read_predictions(tmp_path / "r.txt", own)
        assert predicted.present.tolist() == [True, True, True, False]
        np.testing.assert_allclose(predicted.joints[:3], own.joints[:3], atol=1e-8)
        (tmp_path / "r.txt").write_text("0,1,2\n")
        with pytest.raises(BrokenDataset, match="line 1, must be a number below 4 and 63 coordinates"):
            read_predictions(tmp_path / "r.txt", own)


class TestMano:
    def test_joints_and_vertices_with_cam_t(self, own, tmp_path):
        """As HaMeR stores them: joints and vertices about the origin, and a translation to the camera frame."""
        place = own.joints[:, 0]
        mesh = np.random.default_rng(0).normal(size=(4, 778, 3)) * 0.02
        np.savez(
            tmp_path / "r.npz",
            pred_keypoints_3d=own.joints - place[:, None],
            pred_vertices=mesh,
            pred_cam_t_full=place,
            right=(~own.left).astype(float),
        )
        predicted = read_predictions(tmp_path / "r.npz", own)
        np.testing.assert_allclose(predicted.joints, own.joints, atol=1e-12)
        np.testing.assert_allclose(predicted.vertices, mesh + place[:, None])
        np.testing.assert_array_equal(predicted.left, own.left)

    def test_hands_about_the_origin_are_not_in_the_camera_frame(self, own, tmp_path):
        np.savez(tmp_path / "r.npz", pred_keypoints_3d=own.joints - own.joints[:, :1])
        assert not read_predictions(tmp_path / "r.npz", own).absolute

    @pytest.mark.parametrize("as_matrices", [False, True])
    def test_parameters_with_the_users_own_file(self, own, tmp_path, as_matrices):
        arrays = mano_arrays(np.random.default_rng(5), left=False)
        write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", arrays)
        rng = np.random.default_rng(0)
        pose, betas, trans = rng.normal(size=(4, 48)) * 0.3, rng.normal(size=(4, 10)), rng.normal(size=(4, 3))
        trans[:, 2] += 5
        expected = [mano_twin(arrays, *row) for row in zip(pose, betas, trans, strict=True)]
        if as_matrices:
            turns = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(4, 16, 3, 3)
            stored = {"global_orient": turns[:, :1], "hand_pose": turns[:, 1:]}
        else:
            stored = {"pose": pose}
        np.savez(tmp_path / "r.npz", betas=betas, trans=trans, **stored)
        conventions = Conventions(mano=HandModel.load(tmp_path / "MANO_RIGHT.pkl"), flat_hand_mean=True)
        predicted = read_predictions(tmp_path / "r.npz", own, conventions=conventions)
        np.testing.assert_allclose(predicted.vertices, np.stack([v for v, _ in expected]), atol=1e-9)
        np.testing.assert_allclose(predicted.joints, np.stack([j for _, j in expected]), atol=1e-9)
        assert not predicted.left.any()
        assert predicted.absolute

    def test_parameters_take_a_mano_file(self, own, tmp_path):
        np.savez(tmp_path / "r.npz", pose=np.zeros((4, 48)), betas=np.zeros((4, 10)), trans=np.zeros((4, 3)))
        with pytest.raises(BrokenDataset, match="name it with --mano"):
            read_predictions(tmp_path / "r.npz", own)
        (tmp_path / "r.json").write_text(json.dumps({"pose": np.zeros((4, 48)).tolist()}))
        with pytest.raises(BrokenDataset, match="name it with --mano"):
            read_predictions(tmp_path / "r.json", own, format="mano")
        np.savez(tmp_path / "r.npz", betas=np.zeros((4, 10)))
        with pytest.raises(BrokenDataset, match="must hold joints, vertices, or MANO's pose but holds shape"):
            read_predictions(tmp_path / "r.npz", own)


class TestSubmissions:
    def small(self, name, count):
        return replace(SUBMISSIONS[name], count=count)

    def right_hands(self, n=4):
        joints, mesh = tiny_sets.hands(n, False)
        return Predictions(np.ones(n, bool), joints, mesh)

    @pytest.mark.parametrize("name", SUBMISSIONS)
    def test_written_checked_and_read_back(self, name, tmp_path):
        predicted, form = self.right_hands(), self.small(name, 4)
        assert write_submission(predicted, form, tmp_path / "pred.zip") == []
        assert check_submission(tmp_path / "pred.zip", form) == []
        with zipfile.ZipFile(tmp_path / "pred.zip") as archive:
            joints, meshes = json.loads(archive.read("pred.json"))
        # Written out independently: HO-3D uses MANO's order and OpenGL's axes.
        expected = predicted.joints
        if name != "freihand":
            expected = tiny_sets.stored(expected, tiny_sets.MANO) * tiny_sets.GL
            assert (np.array(joints)[..., 2] < 0).all()
        np.testing.assert_allclose(joints, expected, atol=1e-6)
        assert np.shape(meshes) == (4, 778, 3)
        back = read_predictions(tmp_path / "pred.zip", numbered_source(4).truth)
        np.testing.assert_allclose(back.joints, predicted.joints, atol=1e-6)
        np.testing.assert_allclose(back.vertices, predicted.vertices, atol=1e-6)

    def test_missing_hands_and_meshes_are_noted(self, tmp_path):
        predicted, form = self.right_hands(), self.small("freihand", 4)
        joints = predicted.joints.copy()
        joints[1] = np.nan
        incomplete = Predictions(np.array([True, False, True, True]), joints)
        notes = write_submission(incomplete, form, tmp_path / "p.zip")
        assert len(notes) == 2
        assert "1 missing hands" in notes[0]
        assert "zeros are written" in notes[1]
        assert check_submission(tmp_path / "p.zip", form) == []

    @pytest.mark.parametrize(
        ("corrupt", "message"),
        [
            (lambda j, v: (j[:3], v[:3]), "must be 4, one per picture of the split, but are 3"),
            (lambda j, v: (1e3 * j, 1e3 * v), "millimetres"),
            (lambda j, v: (j * tiny_sets.GL, v * tiny_sets.GL), "OpenCV's"),
            (lambda j, v: (tiny_sets.stored(j, tiny_sets.RHD), v), "look as if they were in 'rhd'"),
            (lambda j, v: (j * [-1, 1, 1], v * [-1, 1, 1]), "bend as left hands"),
            (lambda j, v: (j, 1e3 * v), "meshes must be where their joints are"),
            (lambda j, v: (np.where(np.arange(21)[:, None] == 3, np.nan, j), v), "finite"),
            (lambda j, v: (j[:, :20], v), r"joints must be (N, 21, 3) but are (4, 20, 3)"),
        ],
    )
    def test_every_mistake_is_named(self, tmp_path, corrupt, message):
        predicted = self.right_hands()
        joints, meshes = corrupt(predicted.joints, predicted.vertices)
        with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
            archive.writestr("pred.json", json.dumps([np.asarray(joints).tolist(), np.asarray(meshes).tolist()]))
        problems = check_submission(tmp_path / "p.zip", self.small("freihand", 4))
        assert any(message in p for p in problems), problems

    def test_a_damaged_file(self, tmp_path):
        (tmp_path / "p.zip").write_bytes(b"no zip")
        assert "cannot be read" in check_submission(tmp_path / "p.zip", SUBMISSIONS["freihand"])[0]
        with zipfile.ZipFile(tmp_path / "q.zip", "w") as archive:
            archive.writestr("other.json", "[]")
        assert "nothing else but holds other.json" in check_submission(tmp_path / "q.zip", SUBMISSIONS["freihand"])[0]

    def test_nothing_to_submit(self, tmp_path):
        with pytest.raises(ValueError, match="joints in the camera frame"):
            write_submission(
                Predictions(np.ones(1, bool), joints_image=np.zeros((1, 21, 2))), SUBMISSIONS["freihand"], tmp_path
            )
        with pytest.raises(ValueError, match="at least one hand"):
            write_submission(
                Predictions(np.zeros(1, bool), np.full((1, 21, 3), np.nan)), SUBMISSIONS["freihand"], tmp_path
            )


def test_predictions_and_truth_check_their_shapes():
    with pytest.raises(ValueError, match=r"joints must be \(N, 21, 3\) but got \(2, 20, 3\)"):
        Predictions(np.ones(2, bool), np.zeros((2, 20, 3)))
    with pytest.raises(ValueError, match="joints must hold 2 hands but got 3"):
        Predictions(np.ones(2, bool), np.zeros((3, 21, 3)))
    with pytest.raises(ValueError, match="vertices must hold one row per id, 1, but got 2"):
        Truth(("a",), np.zeros((1, 21, 3)), np.zeros(1, bool), vertices=np.zeros((2, 5, 3)))


def test_no_hand_found_is_scored_and_names_of_another_set_are_refused(own):
    nothing = match_hands(own, {name: [] for name in own.ids}, True, "test")
    assert not nothing.present.any()
    report = evaluate(own, nothing, PROTOCOLS["own"], resamples=0)
    assert [row.value for row in report.rows if row.label == "PA-MPJPE"] == [pytest.approx(50.0)]
    with pytest.raises(BrokenDataset, match="named after the set's pictures"):
        match_hands(own, {"other": []}, True, "test")
