"""Every metric on cases whose results can be calculated by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from knuckle import metrics
from knuckle.metrics import OFFICIAL_50MM, ZIMMERMANN_20_50MM, ZIMMERMANN_50MM
from knuckle.metrics.curves import threshold_counts
from knuckle.metrics.tally import Tally, summarise


def hands(seed, n=4):
    """Hand-sized point sets in front of a camera."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 21, 3)) * 0.04 + np.array([0.0, 0.0, 0.6])


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.linalg.det(q)


class TestPointErrors:
    def test_a_shift_of_3_4_12_is_13_everywhere(self):
        truth = hands(0)
        np.testing.assert_allclose(metrics.point_errors(truth + np.array([3, 4, 12]), truth), 13, rtol=1e-12)

    def test_in_the_picture(self):
        uv = np.zeros((1, 2, 2))
        np.testing.assert_array_equal(metrics.point_errors(uv + np.array([6.0, 8.0]), uv), [[10.0, 10.0]])

    def test_an_unlabelled_joint_stays_nan(self):
        truth = hands(1)
        truth[0, 5] = np.nan
        errors = metrics.point_errors(truth, truth)
        assert np.isnan(errors[0, 5])
        assert np.nansum(errors) == 0

    def test_empty_batch(self):
        assert metrics.point_errors(np.zeros((0, 21, 3)), np.zeros((0, 21, 3))).shape == (0, 21)


class TestAlignments:
    """Each alignment removes its own transformation of the truth; others remain, with the error calculated by hand."""

    def test_root_removes_a_translation(self):
        truth = hands(2)
        moved = metrics.align_root(truth + np.array([0.1, -0.2, 0.3]), truth, root=9)
        np.testing.assert_allclose(moved, truth, atol=1e-15)

    def test_root_keeps_a_scale_error_proportional_to_the_distance_from_the_root(self):
        truth = hands(3)
        moved = metrics.align_root(truth * 1.1, truth)
        expected = 0.1 * np.linalg.norm(truth - truth[:, :1], axis=-1)
        np.testing.assert_allclose(metrics.point_errors(moved, truth), expected, atol=1e-15)

    def test_root_scale_removes_translation_and_scale(self):
        truth = hands(4)
        moved = metrics.align_root_scale(truth * 0.7 + 0.2, truth, root=0, bone=(9, 10))
        np.testing.assert_allclose(moved, truth, atol=1e-12)

    def test_root_scale_leaves_a_collapsed_hand_at_the_root(self):
        truth = hands(5)
        moved = metrics.align_root_scale(np.zeros_like(truth), truth)
        np.testing.assert_array_equal(moved, np.broadcast_to(truth[:, :1], truth.shape))

    def test_scale_translation_is_least_squares(self):
        # On a line: points -1, 0, 1 onto -2, 0, 5. Means 0 and 1; best scale (1*3 + 1*4) / 2 = 3.5.
        points = np.array([[[-1.0, 0, 0], [0, 0, 0], [1, 0, 0]]])
        target = np.array([[[-2.0, 0, 0], [0, 0, 0], [5, 0, 0]]])
        moved = metrics.align_scale_translation(points, target)
        np.testing.assert_allclose(moved[0, :, 0], [-2.5, 1.0, 4.5], atol=1e-15)

    def test_scale_translation_never_mirrors(self):
        truth = hands(6)
        moved = metrics.align_scale_translation(-truth, truth)
        np.testing.assert_allclose(moved, np.broadcast_to(truth.mean(1, keepdims=True), truth.shape), atol=1e-12)

    @pytest.mark.parametrize("reflection", [False, True])
    def test_procrustes_removes_a_similarity(self, reflection):
        truth = hands(7)
        moved = metrics.align_procrustes(1.3 * truth @ rotation(1).T + np.array([1, 2, 3]), truth, reflection)
        np.testing.assert_allclose(moved, truth, atol=1e-12)

    def test_a_mirror_image_scores_zero_only_where_reflections_are_allowed(self):
        truth = hands(8)
        mirrored = truth * [-1, 1, 1]
        official = metrics.align_procrustes(mirrored, truth, allow_reflection=True)
        proper = metrics.align_procrustes(mirrored, truth)
        np.testing.assert_allclose(official, truth, atol=1e-12)
        assert metrics.point_errors(proper, truth).mean() > 0.01

    def test_procrustes_maps_a_collapsed_hand_to_the_mean(self):
        truth = hands(9)
        points = truth.copy()
        points[1] = 0.0
        moved = metrics.align_procrustes(points, truth, allow_reflection=True)
        np.testing.assert_allclose(moved[1], np.broadcast_to(truth[1].mean(0), (21, 3)), atol=1e-12)
        np.testing.assert_allclose(moved[0], truth[0], atol=1e-12)

    @pytest.mark.parametrize("align", [metrics.align_procrustes, metrics.align_scale_translation])
    def test_unlabelled_joints_have_no_influence(self, align):
        truth = hands(10)
        points = 0.8 * truth + 0.1
        points[:, 4] += 0.3
        hidden = truth.copy()
        hidden[:, 4] = np.nan
        errors = metrics.point_errors(align(points, hidden), hidden)
        assert np.nanmax(errors) < 1e-12
        assert np.isnan(errors[:, 4]).all()

    def test_a_mesh_follows_its_joints(self):
        truth, mesh = hands(11), hands(12, 4)
        turn, shift = rotation(2), np.array([0.1, 0.0, 0.2])
        moved = metrics.align_by_keypoints(1.2 * mesh @ turn.T + shift, 1.2 * truth @ turn.T + shift, truth)
        np.testing.assert_allclose(moved, mesh, atol=1e-12)


class TestDepthAndScale:
    def test_depth_alone(self):
        truth = hands(13)
        points = truth + np.array([0.5, 0.5, 0.02])
        points[:, 7, 2] += 0.01
        relative = metrics.depth_errors(points, truth, root=0)
        assert relative[0, 7] == pytest.approx(0.01)
        assert relative.sum() == pytest.approx(0.04)  # one joint in each of four hands
        np.testing.assert_allclose(metrics.depth_errors(points, truth, root=None)[:, 0], 0.02)

    def test_scale_alone(self):
        truth = hands(14)
        np.testing.assert_allclose(metrics.scale_errors(0.9 * truth + 5, truth), 0.1, rtol=1e-12)
        assert np.isnan(metrics.scale_errors(truth, np.zeros_like(truth))).all()


class TestCurves:
    def test_a_constant_error_gives_one_minus_its_fraction_of_the_range(self):
        for e in (0.0, 0.005, 0.0123, 0.049):
            errors = np.full((3, 21), e)
            area = metrics.auc(metrics.pck(errors, OFFICIAL_50MM), OFFICIAL_50MM)
            assert area == pytest.approx(1 - e / 0.05, abs=0.5 / 99 + 1e-12)

    def test_beyond_the_last_threshold_is_zero_and_exactly_on_it_counts(self):
        beyond = np.full((1, 2), 0.0501)
        on = np.full((1, 2), 0.05)
        assert metrics.auc(metrics.pck(beyond, OFFICIAL_50MM), OFFICIAL_50MM) == 0
        assert metrics.pck(on, OFFICIAL_50MM)[-1] == 1
        assert metrics.pck(on, OFFICIAL_50MM)[-2] == 0

    def test_joints_are_averaged_after_samples(self):
        # Joint 0 is right in 1 of 2 samples, joint 1 has one label, which is right: (1/2 + 1) / 2.
        errors = np.array([[0.0, 0.0], [1.0, np.nan]])
        np.testing.assert_allclose(metrics.pck(errors, (0.1, 0.2)), [0.75, 0.75])

    def test_auc_20_50_starts_at_21_05_mm(self):
        assert ZIMMERMANN_20_50MM[0] == pytest.approx(0.0210526, abs=1e-6)
        assert len(ZIMMERMANN_20_50MM) == 12

    def test_counts_equal_the_definition(self):
        errors = np.random.default_rng(0).uniform(0, 0.07, (50, 5))
        errors[3, 2] = np.nan
        errors[4, 1] = OFFICIAL_50MM[17]
        expected = [[(errors[:, k] <= t).sum() for t in OFFICIAL_50MM] for k in range(5)]
        np.testing.assert_array_equal(threshold_counts(errors, OFFICIAL_50MM), expected)

    def test_sample_areas_average_to_the_auc(self):
        errors = np.random.default_rng(1).uniform(0, 0.07, (40, 21))
        for steps in (OFFICIAL_50MM, ZIMMERMANN_50MM, ZIMMERMANN_20_50MM):
            area = metrics.auc(metrics.pck(errors, steps), steps)
            assert metrics.sample_areas(errors, steps).mean() == pytest.approx(area, abs=1e-12)

    def test_one_threshold_has_no_area(self):
        with pytest.raises(ValueError, match="at least two"):
            metrics.auc(np.array([1.0]), (0.1,))


class TestTally:
    def test_chunks_give_what_the_whole_gives(self):
        errors = np.random.default_rng(2).uniform(0, 0.06, (30, 21))
        errors[5, 3] = np.nan
        names = {"0-50": ZIMMERMANN_50MM, "20-50": ZIMMERMANN_20_50MM}
        whole = summarise(errors, names)
        tally = Tally(30, 21, names)
        parts = [tally.add(a, errors[a : a + 7]) for a in range(0, 30, 7)]
        chunked = tally.summary(parts)
        assert chunked.mean == pytest.approx(whole.mean, abs=1e-15)
        assert chunked.median == whole.median
        assert chunked.aucs == pytest.approx(whole.aucs)
        for name, steps in names.items():
            np.testing.assert_allclose(tally.sample_areas[name], metrics.sample_areas(errors, steps), atol=1e-15)

    def test_mean_and_median_are_per_joint_first(self):
        # Joint means 2 and 5, medians 1 and 5.
        errors = np.array([[1.0, 5.0], [1.0, np.nan], [4.0, np.nan]])
        summary = summarise(errors, {"": (0.0, 10.0)})
        assert summary.mean == 3.5
        assert summary.median == 3.0
        np.testing.assert_array_equal(summary.point_means, [2.0, 5.0])

    def test_the_pooled_median_is_of_all_errors(self):
        tally = Tally(3, 2, {"": (0.0, 10.0)})
        assert np.isnan(tally.pooled_median())
        tally.add(0, np.array([[1.0, 5.0], [1.0, np.nan], [4.0, np.nan]]))
        assert tally.pooled_median() == 2.5

    def test_nothing_labelled_is_nan_and_no_warning(self):
        summary = summarise(np.full((3, 21), np.nan), {"": (0.0, 1.0)})
        assert np.isnan([summary.mean, summary.median, summary.aucs[""]]).all()

    def test_thresholds_must_be_a_contiguous_part_of_the_first(self):
        with pytest.raises(ValueError, match="contiguous part"):
            Tally(1, 1, {"a": (0.0, 1.0), "b": (0.5, 1.0)})


class TestFScores:
    def test_identical_is_one_and_far_is_zero(self):
        mesh = hands(15)
        np.testing.assert_array_equal(metrics.f_scores(mesh, mesh), np.ones((4, 2)))
        np.testing.assert_array_equal(metrics.f_scores(mesh + 10, mesh), np.zeros((4, 2)))

    def test_calculated_by_hand(self):
        # Two points against three: both points are near the first target, the others are beyond the thresholds.
        points = np.array([[[0.0, 0, 0], [0.001, 0, 0]]])
        target = np.array([[[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]]])
        precision, recall = 1.0, 1 / 3
        np.testing.assert_allclose(metrics.f_scores(points, target)[0], 2 * precision * recall / (precision + recall))

    def test_the_threshold_itself_does_not_count(self):
        points, target = np.zeros((1, 1, 3)), np.array([[[0.25, 0, 0]]])
        assert metrics.f_scores(points, target, (0.25, np.nextafter(0.25, 1))).tolist() == [[0.0, 1.0]]

    def test_just_below_the_threshold_far_from_the_origin(self):
        # A metre away float32 cannot distinguish these: ambiguous points are computed in float64.
        target = np.zeros((1, 2, 3)) + np.array([[[1.0, 1.0, 1.0], [1.5, 1.0, 1.0]]])
        for offset, expected in ((0.005 - 1e-9, 1.0), (0.005 + 1e-9, 0.0)):
            points = target + np.array([0.0, offset, 0.0])
            assert metrics.f_scores(points, target, (0.005,))[0, 0] == expected

    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 10_000), st.integers(1, 150), st.integers(1, 150), st.floats(0.0, 0.02))
    def test_equals_a_kd_tree(self, seed, v, w, shift):
        rng = np.random.default_rng(seed)
        points, target = rng.normal(size=(1, v, 3)) * 0.03 + shift, rng.normal(size=(1, w, 3)) * 0.03
        a, b = cKDTree(target[0]).query(points[0])[0], cKDTree(points[0]).query(target[0])[0]
        expected = []
        for t in metrics.F_THRESHOLDS:
            p, r = np.mean(a < t), np.mean(b < t)
            expected.append(2 * p * r / (p + r) if p + r else 0.0)
        np.testing.assert_allclose(metrics.f_scores(points, target)[0], expected, atol=1e-15)

    def test_empty_meshes_and_unequal_counts(self):
        assert metrics.f_scores(np.zeros((2, 0, 3)), np.zeros((2, 5, 3))).tolist() == [[0, 0], [0, 0]]
        assert metrics.f_scores(np.zeros((0, 4, 3)), np.zeros((0, 5, 3))).shape == (0, 2)
        with pytest.raises(ValueError, match="same number of meshes"):
            metrics.f_scores(np.zeros((2, 4, 3)), np.zeros((3, 4, 3)))


class TestVideo:
    def test_constant_acceleration_has_no_jitter_and_its_own_acceleration_error(self):
        t = np.arange(6.0)[:, None, None]
        truth = np.zeros((6, 21, 3))
        falling = truth + 0.5 * np.array([0, 2.0, 0]) * t**2
        np.testing.assert_allclose(metrics.acceleration_errors(falling, truth), 2.0)
        np.testing.assert_allclose(metrics.acceleration_errors(falling, truth, fps=30.0), 1800.0)
        np.testing.assert_allclose(metrics.jitter(falling), 0.0, atol=1e-12)

    def test_cubic_motion_jitters(self):
        t = np.arange(6.0)[:, None, None]
        np.testing.assert_allclose(metrics.jitter(np.zeros((6, 21, 3)) + np.array([1.0, 0, 0]) * t**3), 6.0)

    def test_too_short(self):
        assert metrics.acceleration_errors(np.zeros((2, 21, 3)), np.zeros((2, 21, 3))).shape == (0, 21)
        assert metrics.jitter(np.zeros((3, 21, 3))).shape == (0, 21)


class TestBoxes:
    K = np.array([[1000.0, 0, 320], [0, 500, 240], [0, 0, 1]])

    def test_projection_criterion(self):
        corners = np.random.default_rng(3).uniform(-0.05, 0.05, (2, 8, 3)) + np.array([0, 0, 1.0])
        flat = corners.copy()
        flat[..., 2] = 1.0
        # 3 cm right and 8 cm down at one metre: 30 and 40 pixels.
        errors = metrics.projected_box_errors(flat + np.array([0.03, 0.08, 0]), flat, np.stack([self.K] * 2))
        np.testing.assert_allclose(errors, 50.0, rtol=1e-9)
        np.testing.assert_allclose(metrics.corner_errors(flat + np.array([0.03, 0.04, 0]), flat), 0.05, rtol=1e-9)

    def test_points_behind_the_camera_have_no_pixel(self):
        uv = metrics.project(self.K, np.array([[0.0, 0, 1], [0.0, 0, -1], [0.0, 0, 0]]))
        np.testing.assert_array_equal(np.isnan(uv).all(-1), [False, True, True])
        np.testing.assert_allclose(uv[0], [320, 240])


class TestBootstrap:
    def test_same_generator_same_interval_and_it_holds_the_mean(self):
        values = np.random.default_rng(4).normal(3.0, 1.0, (400, 2))
        a = metrics.bootstrap_means(values, np.random.default_rng(0))
        np.testing.assert_array_equal(a, metrics.bootstrap_means(values, np.random.default_rng(0)))
        means = values.mean(0)
        assert ((a[:, 0] < means) & (means < a[:, 1])).all()
        # The interval of a mean of 400 draws with deviation 1 is about 3.92 / 20 wide.
        np.testing.assert_allclose(a[:, 1] - a[:, 0], 0.196, rtol=0.15)

    def test_constant_scores_have_no_width_and_missing_ones_none(self):
        values = np.stack([np.full(10, 2.0), np.full(10, np.nan)], 1)
        interval = metrics.bootstrap_means(values, np.random.default_rng(0), resamples=50)
        np.testing.assert_array_equal(interval[0], [2.0, 2.0])
        assert np.isnan(interval[1]).all()

    def test_videos_are_resampled_whole(self):
        # Twenty videos of fifty equal frames have the uncertainty of twenty values, not of a thousand.
        level = np.random.default_rng(5).normal(size=20)
        values = np.repeat(level, 50)[:, None]
        groups = np.repeat(np.arange(20), 50)
        alone = metrics.bootstrap_means(values, np.random.default_rng(0), resamples=400)[0]
        whole = metrics.bootstrap_means(values, np.random.default_rng(0), groups, resamples=400)[0]
        assert np.ptp(whole) > 4 * np.ptp(alone)

    def test_nothing_to_resample(self):
        assert np.isnan(metrics.bootstrap_means(np.zeros((0, 3)), np.random.default_rng(0))).all()
