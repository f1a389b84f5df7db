"""Protocols: the official numbers and quirks, and every set's truth against itself and against corrupted copies."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import official_twin
import tiny_sets
from knuckle.check import check_poses
from knuckle.evaluate import PROTOCOLS, Predictions, Truth, evaluate, take
from knuckle.evaluate.extras import video_frames
from knuckle.evaluate.predictions import read_predictions
from knuckle.evaluate.sources import pictures_of, read_source
from knuckle.skeleton import from_common
from knuckle.synth import Settings, write_shards

WRITE = {
    "freihand": tiny_sets.freihand,
    "rhd-zimmermann": tiny_sets.rhd,
    "stb-zimmermann": tiny_sets.stb,
    "dexter-object": tiny_sets.dexter_object,
    "ho3d-v2": tiny_sets.ho3d,
    "ho3d-v3": lambda root: tiny_sets.ho3d(root, "v3"),
    "fpha-ho": tiny_sets.fpha,
    "fpha-subjects": tiny_sets.fpha,
    "obman": tiny_sets.obman,
    "hop": tiny_sets.hop,
    "dexycb-s0": tiny_sets.dexycb,
    "interhand": tiny_sets.interhand,
    "own": tiny_sets.truth_list,
    "own-hop": tiny_sets.truth_list,
    "own-spurr": tiny_sets.truth_list,
    "own-li": tiny_sets.truth_list,
}


@pytest.fixture(scope="module")
def truths(tmp_path_factory):
    """The truth of every protocol, read from a tiny set."""
    read = {}

    def get(name):
        if name not in read:
            root = tmp_path_factory.mktemp("set")
            WRITE[name](root)
            read[name] = read_source(PROTOCOLS[name], root).truth
        return read[name]

    return get


def as_predictions(truth, change=lambda joints: joints):
    """The truth as predictions, optionally corrupted."""
    joints = change(np.nan_to_num(truth.joints))
    vertices = None if truth.vertices is None else change(np.asarray(truth.vertices))
    return Predictions(
        np.ones(len(truth), bool), joints, vertices, left=truth.left, corners=truth.corners, source="a copy"
    )


def hand_truth(n=12, vertices=778, seed=0):
    left = np.arange(n) % 2 == 0
    joints, mesh = tiny_sets.hands(n, left, seed)
    return Truth(tuple(f"{i:05d}" for i in range(n)), joints, left, vertices=mesh[:, :vertices])


def noisy(truth, seed=1, size=0.01):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.8, 1.2, (len(truth), 1, 1))
    shift = rng.normal(size=(len(truth), 1, 3)) * 0.03
    joints = truth.joints * scale + shift + rng.normal(size=truth.joints.shape) * size
    mesh = np.asarray(truth.vertices) * scale + shift + rng.normal(size=truth.vertices.shape) * size
    return Predictions(np.ones(len(truth), bool), joints, mesh)


class TestOfficialNumbers:
    """Against an independent implementation of the leaderboards' definitions."""

    @pytest.mark.parametrize("protocol", ["freihand", "ho3d-v2", "ho3d-v3"])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_equal_the_definition(self, protocol, mirrored):
        truth = hand_truth(7)
        predictions = noisy(truth)
        if mirrored:
            flip = np.array([-1.0, 1.0, 1.0])
            predictions = Predictions(predictions.present, predictions.joints * flip, predictions.vertices * flip)
        errors, f = official_twin.leaderboard(truth.joints, truth.vertices, predictions.joints, predictions.vertices)
        report = evaluate(truth, predictions, PROTOCOLS[protocol], resamples=0)
        rows = {row.key: row for row in report.rows}
        for key, (mean, median, area) in errors.items():
            if key == "joints_st" and protocol == "freihand":
                continue
            assert rows[key].value / 1e3 == pytest.approx(mean, abs=1e-8)
            assert rows[key].median / 1e3 == pytest.approx(median, abs=1e-8)
            assert rows[f"{key}_auc_0_50_mm"].value == pytest.approx(area, abs=1e-6)
        for key, value in f.items():
            assert rows[key].value == pytest.approx(value, abs=1e-12)

    def test_a_mesh_of_another_topology(self):
        truth = hand_truth(5)
        given = noisy(truth)
        predictions = Predictions(given.present, given.joints, given.vertices[:, :500])
        _, f = official_twin.leaderboard(truth.joints, truth.vertices, predictions.joints, predictions.vertices)
        report = evaluate(truth, predictions, PROTOCOLS["freihand"], resamples=0)
        rows = {row.key: row.value for row in report.rows}
        assert "vertices_pa_official" not in rows
        for key, value in f.items():
            assert rows[key] == pytest.approx(value, abs=1e-9)
        # The intended alignment is reported beside the faulty one, and scores far better.
        assert rows["f15_procrustes"] > rows["f15_official"] + 0.3
        assert any("faulty transform" in remark for remark in report.remarks)

    def test_a_mirror_image_scores_zero_officially_and_not_otherwise(self):
        truth = hand_truth()
        mirrored = as_predictions(truth, lambda joints: joints * np.array([-1.0, 1.0, 1.0]))
        report = evaluate(truth, mirrored, PROTOCOLS["freihand"], resamples=0)
        assert report.value("joints_pa_official") < 1e-9
        assert report.value("joints_pa") > 5

    def test_the_zero_predictor(self):
        truth = hand_truth()
        zero = as_predictions(truth, np.zeros_like)
        report = evaluate(truth, zero, PROTOCOLS["ho3d-v2"], resamples=0)
        distance = np.linalg.norm(truth.joints, axis=-1).mean()
        spread = np.linalg.norm(truth.joints - truth.joints.mean(1, keepdims=True), axis=-1).mean()
        assert report.value("joints_camera") == pytest.approx(1e3 * distance)
        assert report.value("joints_pa_official") == pytest.approx(1e3 * spread)

    def test_chunks_and_threads_change_nothing(self, monkeypatch):
        truth = hand_truth(11)
        predictions = noisy(truth)
        whole = evaluate(truth, predictions, PROTOCOLS["freihand"], workers=1)
        monkeypatch.setattr("knuckle.evaluate.run._ROWS_WITH_MESH", 3)
        pieces = evaluate(truth, predictions, PROTOCOLS["freihand"], workers=4)
        for a, b in zip(whole.rows, pieces.rows, strict=True):
            assert a.key == b.key
            np.testing.assert_allclose([a.value, a.low, a.high], [b.value, b.low, b.high], rtol=1e-12)

    def test_memory_mapped_meshes_give_the_same(self, tmp_path):
        truth = hand_truth(9)
        predictions = noisy(truth)
        np.save(tmp_path / "v.npy", predictions.vertices)
        np.save(tmp_path / "t.npy", truth.vertices)
        mapped = Predictions(predictions.present, predictions.joints, np.load(tmp_path / "v.npy", mmap_mode="r"))
        mapped_truth = Truth(truth.ids, truth.joints, truth.left, vertices=np.load(tmp_path / "t.npy", mmap_mode="r"))
        a = evaluate(truth, predictions, PROTOCOLS["freihand"], resamples=0)
        b = evaluate(mapped_truth, mapped, PROTOCOLS["freihand"], resamples=0)
        assert [r.value for r in a.rows] == [r.value for r in b.rows]


@pytest.mark.parametrize("name", WRITE)
class TestEverySet:
    """Truth against itself, and against copies with common mistakes."""

    def test_truth_against_itself_is_zero(self, truths, name):
        truth = truths(name)
        report = evaluate(truth, as_predictions(truth), PROTOCOLS[name], resamples=20)
        for row in report.rows:
            # How deep a hand is in a box is no error.
            if row.unit in ("mm", "px") and not row.key.startswith("penetration"):
                assert row.value < 1e-4, row
                assert row.high < 1e-4, row
            if "AUC" in row.label:
                # Rounding of 1e-17 m misses the threshold 0 itself: half a step of at most 1/19 of the range.
                assert row.value >= 1 - 0.5 / 19 - 1e-9, row
            if row.label.startswith("F@"):
                assert row.value == 1.0, row
        assert report.value("side_right") == 100

    def test_millimetres_miss_by_999_times_the_distance(self, truths, name):
        truth = truths(name)
        report = evaluate(truth, as_predictions(truth, lambda joints: 1e3 * joints), PROTOCOLS[name], resamples=0)
        rows = {row.key: row.value for row in report.rows}
        if "joints_camera" in rows:
            columns = list(PROTOCOLS[name].joints)
            errors = 999 * np.linalg.norm(truth.joints[:, columns], axis=-1)
            assert rows["joints_camera"] == pytest.approx(1e3 * np.nanmean(np.nanmean(errors, axis=0)), rel=1e-9)
        # Alignments with a scale remove the unit.
        for key in ("joints_root_scale", "joints_st", "joints_pa", "joints_pa_official"):
            if key in rows:
                assert rows[key] < 1e-6

    def test_a_mirrored_copy(self, truths, name):
        truth = truths(name)
        flip = np.array([-1.0, 1.0, 1.0])
        report = evaluate(truth, as_predictions(truth, lambda joints: joints * flip), PROTOCOLS[name], resamples=0)
        rows = {row.key: row.value for row in report.rows}
        if "joints_pa_official" in rows:
            assert rows["joints_pa_official"] < 1e-6
        assert rows["joints_pa"] > 1
        if "joints_camera" in rows:
            columns = list(PROTOCOLS[name].joints)
            errors = 2 * np.abs(truth.joints[:, columns, 0])
            assert rows["joints_camera"] == pytest.approx(1e3 * np.nanmean(np.nanmean(errors, axis=0)), rel=1e-9)

    def test_a_copy_from_tip_to_base(self, truths, name):
        truth = truths(name)
        joints = np.nan_to_num(truth.joints)
        given = np.asarray(from_common(joints, "rhd"))
        predicted = Predictions(np.ones(len(truth), bool), given)
        report = evaluate(truth, predicted, PROTOCOLS[name], resamples=0)
        rows = {row.key: row.value for row in report.rows}
        if "joints_camera" in rows:
            columns = list(PROTOCOLS[name].joints)
            errors = np.linalg.norm((given - truth.joints)[:, columns], axis=-1)
            assert rows["joints_camera"] == pytest.approx(1e3 * np.nanmean(np.nanmean(errors, axis=0)), rel=1e-9)
            assert rows["joints_camera"] > 5
        assert rows["joints_pa"] > 2 or name == "dexter-object"

    def test_check_names_the_mistake(self, truths, name):
        truth = truths(name)
        whole = np.isfinite(truth.joints).all((1, 2)) & (truth.left == truth.left[0])
        if not whole.any():
            assert name == "dexter-object"  # five fingertips are no hand to look at
            return
        joints, side = truth.joints[whole], ("left" if truth.left[0] else "right")

        def found(copy):
            return {finding.kind for finding in check_poses(copy, side).findings}

        assert not found(joints) & {"side", "unit", "order"}
        assert "side" in found(joints * np.array([-1.0, 1.0, 1.0]))
        assert "unit" in found(1e3 * joints)
        assert "order" in found(np.asarray(from_common(joints, "rhd")))

    def test_it_describes_what_it_computes(self, truths, name):
        report = evaluate(truths(name), as_predictions(truths(name)), PROTOCOLS[name], resamples=0)
        description = "\n".join(report.protocol.describe())
        assert f"split {PROTOCOLS[name].split}" in description
        assert "alignment" in description
        json.dumps(report.to_json(), allow_nan=False)


class TestZimmermann:
    def test_palm_root_and_true_scale(self):
        """Calculated by hand: errors of root and scale are removed, others remain."""
        truth = hand_truth()
        joints = truth.joints * 0.9 + 0.2
        joints[:, 4] += [0.0, 0.0, 0.009]
        report = evaluate(truth, Predictions(np.ones(12, bool), joints), PROTOCOLS["rhd-zimmermann"], resamples=0)
        # 9 mm over 0.9 at one of 21 joints.
        assert report.value("joints_root_scale") == pytest.approx(10.0 / 21, abs=1e-9)
        assert report.joint_means("joints_root_scale")["thumb_tip"] == pytest.approx(10.0, abs=1e-9)
        assert "palm" in report.joint_means("joints_root_scale")

    def test_a_wrist_that_is_off_moves_the_palm_by_half(self):
        truth = hand_truth()
        joints = truth.joints.copy()
        joints[:, 0] += [0.0, 0.0, 0.010]
        report = evaluate(truth, Predictions(np.ones(12, bool), joints), PROTOCOLS["stb-zimmermann"], resamples=0)
        # The palm is the root: all other joints move relative to it, by 5 mm.
        assert report.value("joints_root_scale") == pytest.approx(5.0 * 20 / 21, abs=1e-9)

    def test_both_aucs(self):
        truth = hand_truth()
        joints = truth.joints.copy()
        joints[:, 1:] += [0.0, 0.0, 0.060]  # against the wrist; the middle MCP and with it half the palm go along
        report = evaluate(truth, Predictions(np.ones(12, bool), joints), PROTOCOLS["rhd-zimmermann"], resamples=0)
        # 30 mm at 20 joints, 0 at the palm: of linspace(0, 50, 20) those from 31.58 mm on are met.
        steps = np.linspace(0, 50, 20)
        curve = np.where(steps >= 30, 1.0, 1 / 21)
        for key, first in (("0_50", 0), ("20_50", 8)):
            part, at = curve[first:], steps[first:]
            area = np.trapezoid(part, at) / (at[-1] - at[0])
            assert report.value(f"joints_root_scale_auc_{key}_mm") == pytest.approx(area, abs=1e-9)

    def test_occluded_joints_do_not_count_in_2d(self):
        truth = hand_truth()
        K = np.tile(np.array([[500.0, 0, 160], [0, 500, 160], [0, 0, 1]]), (12, 1, 1))
        pixels = np.stack([j @ k.T for j, k in zip(truth.joints, K, strict=True)])
        pixels = pixels[..., :2] / pixels[..., 2:]
        visible = np.ones((12, 21), bool)
        visible[:, 8] = False
        labelled = Truth(truth.ids, truth.joints, truth.left, joints_image=pixels, K=K, visible=visible)
        given = pixels.copy()
        given[:, 8] += 100.0
        given[:, 7] += [3.0, 4.0]
        predicted = Predictions(np.ones(12, bool), truth.joints, joints_image=given)
        report = evaluate(labelled, predicted, PROTOCOLS["rhd-zimmermann"], resamples=0)
        assert report.value("image") == pytest.approx(5.0 / 20, abs=1e-9)


class TestFpha:
    def test_a_pose_is_correct_by_its_mean_error_and_a_box_by_its_pixels(self, truths):
        truth = truths("fpha-ho")
        joints = truth.joints.copy()
        joints[0] += [0.0, 0.0, 0.0405]
        corners = truth.corners.copy()
        corners[0, :, 0] += 0.01
        predicted = Predictions(np.ones(len(truth), bool), joints, corners=corners)
        report = evaluate(truth, predicted, PROTOCOLS["fpha-ho"], resamples=0)
        n = len(truth)
        assert report.value("joints_camera") == pytest.approx(40.5 / n, abs=1e-6)
        curve = report.summaries["joints_camera"].curve
        assert curve[40] == pytest.approx((n - 1) / n)
        assert curve[41] == 1
        assert report.value("corners") == pytest.approx(10.0 / n, abs=1e-6)
        depth = truth.corners[0, :, 2]
        assert report.value("box_projection") == pytest.approx(np.mean(1395.749023 * 0.01 / depth) / n, rel=1e-6)


class TestDexYcb:
    def test_frames_without_a_hand_keep_their_numbers_and_do_not_count(self, truths, tmp_path):
        truth = truths("dexycb-s0")
        assert truth.labelled.tolist() == [True, True, False]
        lines = [f"{i}," + ",".join(map(str, (1e3 * np.nan_to_num(truth.joints[i])).ravel())) for i in range(2)]
        (tmp_path / "results.txt").write_text("\n".join(lines))
        report = evaluate(truth, read_predictions(tmp_path / "results.txt", truth), PROTOCOLS["dexycb-s0"], resamples=0)
        assert (report.samples, report.missing) == (2, 0)
        assert report.value("joints_camera") == pytest.approx(0, abs=1e-9)


class TestUnpublished:
    def test_a_wrist_alone_cannot_be_scored(self, tmp_path):
        tiny_sets.ho3d(tmp_path, published=False)
        with pytest.raises(FileNotFoundError, match="only the server has them"):
            read_source(PROTOCOLS["ho3d-v2"], tmp_path)


class TestInterHand:
    def test_joints_of_each_side_are_averaged_separately(self, truths):
        truth = truths("interhand")
        joints = np.nan_to_num(truth.joints)
        joints[1, 4] += [0.0, 0.0, 0.042]  # the tip of a left thumb; two left hands
        report = evaluate(truth, Predictions(np.ones(4, bool), joints), PROTOCOLS["interhand"], resamples=0)
        # 21 mm on average for that joint, one of 42.
        assert report.value("joints_root") == pytest.approx(21.0 / 42, abs=1e-9)
        assert report.joint_means("joints_root")["left_thumb_tip"] == pytest.approx(21.0)
        assert report.joint_means("joints_root")["right_thumb_tip"] == pytest.approx(0.0)
        assert report.subsets["single"] == (2, pytest.approx(42.0 / 42))
        assert report.subsets["interacting"] == (2, pytest.approx(0.0))

    def test_root_to_root(self, truths):
        truth = truths("interhand")
        joints = np.nan_to_num(truth.joints)
        joints[3] += [0.003, 0.004, 0.0]
        report = evaluate(truth, Predictions(np.ones(4, bool), joints), PROTOCOLS["interhand"], resamples=0)
        assert report.value("mrrpe") == pytest.approx(5.0)


class TestMissing:
    def test_a_missing_hand_costs_50_and_is_never_correct(self):
        truth = hand_truth()
        predicted = as_predictions(truth)
        present = predicted.present.copy()
        present[:3] = False
        joints, vertices = predicted.joints.copy(), predicted.vertices.copy()
        joints[:3], vertices[:3] = np.nan, np.nan
        predicted = Predictions(present, joints, vertices)
        report = evaluate(truth, predicted, PROTOCOLS["freihand"], resamples=0)
        assert report.missing == 3
        for key in ("joints_camera", "joints_pa_official", "vertices_camera", "vertices_pa_official"):
            assert report.value(key) == pytest.approx(50.0 * 3 / 12, abs=1e-6)
        assert report.value("joints_camera_auc_0_50_mm") == pytest.approx(9 / 12)
        assert report.value("f5_camera") == pytest.approx(9 / 12)
        assert sorted(report.worst(3).tolist()) == [0, 1, 2]
        skipped = evaluate(truth, predicted, PROTOCOLS["freihand"], missing="skip", resamples=0)
        assert skipped.value("joints_camera") < 1e-9
        assert skipped.value("f5_camera") == 1.0
        with pytest.raises(ValueError, match="3 are missing"):
            evaluate(truth, predicted, PROTOCOLS["freihand"], missing="error")

    def test_a_present_hand_must_be_finite(self):
        truth = hand_truth()
        joints = truth.joints.copy()
        joints[4, 7, 1] = np.nan
        with pytest.raises(
            ValueError, match="must be finite where a hand is present but got NaN or infinity for '00004'"
        ):
            evaluate(truth, Predictions(np.ones(12, bool), joints), PROTOCOLS["own"])

    def test_counts_must_agree(self):
        truth = hand_truth()
        with pytest.raises(ValueError, match="one hand per label, 12, but got 5"):
            evaluate(truth, as_predictions(take(truth, np.arange(5))), PROTOCOLS["own"])
        with pytest.raises(ValueError, match="at least one hand"):
            evaluate(take(truth, np.arange(0)), as_predictions(take(truth, np.arange(0))), PROTOCOLS["own"])


class TestWhatCannotBeScored:
    def test_root_relative_hands_have_no_camera_error(self):
        truth = hand_truth()
        relative = Predictions(np.ones(12, bool), truth.joints - truth.joints.mean(1, keepdims=True), absolute=False)
        report = evaluate(truth, relative, PROTOCOLS["own"], resamples=0)
        keys = {row.key for row in report.rows}
        assert "joints_camera" not in keys
        assert "root_depth" not in keys
        assert report.value("joints_root") < 1e-9
        assert any("not in the camera frame" in remark for remark in report.remarks)

    def test_2d_alone(self):
        truth = hand_truth()
        pixels = np.random.default_rng(0).uniform(0, 200, (12, 21, 2))
        labelled = Truth(truth.ids, np.full((12, 21, 3), np.nan), truth.left, joints_image=pixels)
        predicted = Predictions(np.ones(12, bool), joints_image=pixels + np.array([3.0, 4.0]))
        report = evaluate(labelled, predicted, PROTOCOLS["own"], resamples=0)
        assert report.value("image") == pytest.approx(5.0)
        assert report.ranked_by == "image"
        with pytest.raises(ValueError, match="joints or joints_image, but got neither"):
            evaluate(labelled, Predictions(np.ones(12, bool), truth.joints), PROTOCOLS["own"])

    def test_meshes_alone(self):
        truth = hand_truth()
        report = evaluate(
            truth, Predictions(np.ones(12, bool), vertices=truth.vertices), PROTOCOLS["freihand"], resamples=0
        )
        assert report.value("vertices_camera") < 1e-9
        assert report.value("f5_official") == 1.0


class TestShards:
    @pytest.mark.egl
    def test_generated_shards_are_an_own_set(self, tmp_path):
        write_shards(tmp_path, Settings(preset="crop", size=64, seed=3), images=5, shard_images=3)
        source = read_source(PROTOCOLS["own"], tmp_path)
        truth = source.truth
        assert len(truth) >= 5
        assert len(set(truth.ids)) == len(truth)
        assert all(":" in name for name in truth.ids)
        report = evaluate(truth, as_predictions(truth), PROTOCOLS["own"], resamples=0)
        assert report.value("joints_camera") == pytest.approx(0, abs=1e-9)
        assert report.value("image") == pytest.approx(0, abs=1e-2)
        assert [s.id for s in source.samples()] == list(truth.ids)
        assert all(p.shape == (64, 64, 3) for p in pictures_of(source, [0, 3]).values())


class TestRows:
    def test_depth_scale_and_side(self):
        truth = hand_truth()
        joints = truth.joints[:, :1] + 1.1 * (truth.joints - truth.joints[:, :1]) + np.array([0.0, 0.0, 0.02])
        left = truth.left.copy()
        left[:3] = ~left[:3]
        report = evaluate(truth, Predictions(np.ones(12, bool), joints, left=left), PROTOCOLS["own"], resamples=0)
        relative = truth.joints - truth.joints[:, :1]
        assert report.value("scale") == pytest.approx(10.0)
        assert report.value("root_depth") == pytest.approx(20.0)
        assert report.value("depth_root") == pytest.approx(100 * np.abs(relative[..., 2]).mean())
        assert report.value("side_right") == pytest.approx(75.0)
        medians = {row.key: row.median for row in report.rows}
        assert medians["root_depth"] == pytest.approx(20.0)
        by_hand = 100 * np.abs(relative[..., 2]).mean(1)
        assert medians["depth_root"] == pytest.approx(np.median(by_hand))
        assert math.isnan(medians["side_right"])

    def test_an_error_of_depth_alone_is_told_from_one_in_the_picture(self):
        truth = hand_truth()
        truth = replace(truth, K=np.tile(np.diag([500.0, 500.0, 1.0]), (12, 1, 1)))
        # A fingertip slides 10 mm deeper along its line of sight, in half of the hands.
        pushed = truth.joints.copy()
        pushed[::2, 8] *= 1.0 + 0.010 / pushed[::2, 8, 2:]
        report = evaluate(truth, Predictions(np.ones(12, bool), pushed), PROTOCOLS["own-spurr"], resamples=0)
        moved = 1e3 * np.linalg.norm(pushed - truth.joints, axis=-1)
        assert report.value("image") == pytest.approx(0.0, abs=1e-9)
        assert report.value("depth_root") == pytest.approx(10.0 / 2 / 21)
        assert report.value("joints_root") == pytest.approx(moved.mean())
        assert {row.key: row.median for row in report.rows}["joints_root"] == pytest.approx(0.0, abs=1e-9)
        assert report.value("joints_root_auc_0_50_mm") == pytest.approx(1 - moved.mean() / 50, abs=0.01)

    def test_errors_with_root_and_scale_given_are_in_the_camera_s_frame(self):
        truth = hand_truth()
        for error, above_20 in ((10.0, 1.0), (35.0, (50.0 - 35.0) / (50.0 - 21.05))):
            moved = as_predictions(truth, lambda joints, error=error: joints + np.array([error / 1e3, 0, 0]))
            report = evaluate(truth, moved, PROTOCOLS["own-li"], resamples=0)
            assert report.value("joints_camera") == pytest.approx(error)
            assert report.value("joints_pa_official") == pytest.approx(0.0, abs=1e-6)
            assert report.value("joints_camera_auc_20_50_mm") == pytest.approx(above_20, abs=0.05)

    def test_acceleration_is_scored_within_videos_only(self):
        n = 10
        joints, _ = tiny_sets.hands(1, True)
        still = np.repeat(joints, n, axis=0)
        ids = tuple(f"a/{i:04d}" for i in range(5)) + tuple(f"b/{i:04d}" for i in range(5))
        truth = Truth(ids, still, np.ones(n, bool))
        moved = still.copy()
        moved[5:] += [0.5, 0.0, 0.0]  # the second video is elsewhere: no acceleration
        report = evaluate(truth, Predictions(np.ones(n, bool), moved), PROTOCOLS["dexycb-s0"], resamples=0)
        assert report.value("acceleration") == pytest.approx(0.0, abs=1e-9)
        moved[2] += [0.001, 0.0, 0.0]
        report = evaluate(truth, Predictions(np.ones(n, bool), moved), PROTOCOLS["dexycb-s0"], resamples=0)
        # Second differences 1, -2, 1 mm over the six middles of two videos.
        assert report.value("acceleration") == pytest.approx(4.0 / 6, abs=1e-9)
        videos, frames = video_frames(ids)
        assert videos.tolist() == [0] * 5 + [1] * 5
        assert frames.tolist() == [0, 1, 2, 3, 4] * 2

    def test_single_pictures_have_no_acceleration(self):
        report = evaluate(hand_truth(), as_predictions(hand_truth()), PROTOCOLS["freihand"], resamples=0)
        assert "acceleration" not in {row.key for row in report.rows}

    def test_plausibility_is_near_zero_for_hands_and_not_for_noise(self):
        truth = hand_truth()
        human = evaluate(truth, as_predictions(truth), PROTOCOLS["own"], resamples=0)
        noise = evaluate(truth, noisy(truth, size=0.02), PROTOCOLS["own"], resamples=0)
        for key in ("implausible_bones", "implausible_angles", "implausible_palm"):
            assert human.value(key) == 0
            assert noise.value(key) > 5
        assert noise.value("implausible_angles_excess") > 1

    def test_intervals_hold_the_value_and_repeat(self):
        truth = hand_truth(30)
        predictions = noisy(truth)
        a, b = (evaluate(truth, predictions, PROTOCOLS["freihand"], resamples=200) for _ in range(2))
        for row, again in zip(a.rows, b.rows, strict=True):
            assert row.low <= row.value + 1e-9
            assert row.value <= row.high + 1e-9
            assert (row.low, row.high) == (again.low, again.high)
