from contextlib import nullcontext

import numpy as np
import pytest
from fit_hands import LIMITS, distance_mm, open_hand, random_hands, summed_hand

from knuckle.fit import FitConstants, fit_hand
from knuckle.fit.objective import Objective, Targets
from knuckle.fit.solver import Estimate
from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from mano_fixture import mano_arrays, write_mano_pickle


def joints_of(hands, model=None, side="right"):
    return (model or open_hand()).joints(hands.angles, shape=hands.shape, T_camera_hand=hands.T, side=side)


def test_a_known_hand_is_recovered():
    joints = joints_of(random_hands(300))
    fit = fit_hand(open_hand(), joints, shape_regularisation=0.0, angle_regularisation=0.0)
    distance = distance_mm(fit.joints, joints)
    assert distance.mean() < 0.05
    assert distance.max() < 1.0
    assert fit.converged.all()
    assert np.allclose(fit.error * 1e3, distance.mean(axis=1), atol=1e-9)


def test_the_fit_is_the_models():
    fit = fit_hand(open_hand(), joints_of(random_hands(5)), side="left")
    joints = open_hand().joints(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand, side="left")
    assert np.abs(joints - fit.joints).max() < 1e-9
    assert np.allclose(np.linalg.det(fit.T_camera_hand[:, :3, :3]), 1)


@pytest.mark.parametrize("noise", [0.003, 0.03])
@pytest.mark.parametrize("shape", ["free", "shared"])
def test_limits_are_kept_exactly(noise, shape):
    hands = random_hands(40)
    joints = joints_of(hands) + np.random.default_rng(1).normal(scale=noise, size=(40, 21, 3))
    fit = fit_hand(open_hand(), joints, shape=shape, shape_regularisation=0.0, angle_regularisation=0.0)
    degrees, table = np.degrees(fit.angles), np.degrees(LIMITS)
    assert ((degrees >= table[:, 0]) & (degrees <= table[:, 1])).all()
    single = fit.angles.astype(np.float32)
    assert ((single >= LIMITS[:, 0]) & (single <= LIMITS[:, 1])).all()
    low, high = open_hand().shape_limits.T
    assert ((fit.shape >= low) & (fit.shape <= high)).all()


def test_own_limits_and_presets():
    joints = joints_of(random_hands(10))
    tight = np.stack([LIMITS[:, 0] / 4, LIMITS[:, 1] / 4], axis=1)
    tight[9] = 0.2  # an angle that is fixed
    fit = fit_hand(open_hand(), joints, limits=tight)
    assert ((fit.angles >= tight[:, 0]) & (fit.angles <= tight[:, 1])).all()
    assert (fit.angles[:, 9] == 0.2).all()
    assert fit_hand(open_hand(), joints, limits="s4").error.mean() >= fit_hand(open_hand(), joints).error.mean()
    assert fit_hand(open_hand(), joints, limits=None).error.mean() < 1e-4


def test_a_rigid_motion_moves_only_the_placement():
    hands, motion = random_hands(8), random_hands(1, seed=9).T[0]
    rng = np.random.default_rng(2)
    joints = joints_of(hands) + rng.normal(scale=0.002, size=(8, 21, 3))
    moved = joints @ motion[:3, :3].T + motion[:3, 3]
    one, other = fit_hand(open_hand(), joints), fit_hand(open_hand(), moved)
    assert np.allclose(one.angles, other.angles, atol=1e-6)
    assert np.allclose(one.shape, other.shape, atol=1e-5)
    assert np.allclose(motion @ one.T_camera_hand, other.T_camera_hand, atol=1e-6)


def test_a_mirrored_hand_has_the_same_angles():
    hands = random_hands(6)
    joints = joints_of(hands) + np.random.default_rng(2).normal(scale=0.002, size=(6, 21, 3))
    mirrored = joints * [-1, 1, 1]
    right, left = fit_hand(open_hand(), joints), fit_hand(open_hand(), mirrored, side="left")
    mixed = fit_hand(open_hand(), np.concatenate([joints[:3], mirrored[3:]]), side=np.arange(6) >= 3)
    for fit in (left, mixed):
        assert np.allclose(fit.angles, right.angles, atol=1e-12)
        assert np.allclose(fit.shape, right.shape, atol=1e-12)
    assert np.allclose(left.joints, right.joints * [-1, 1, 1], atol=1e-12)


def test_leading_axes_are_kept():
    joints = joints_of(random_hands(6)).reshape(2, 3, 21, 3)
    fit = fit_hand(open_hand(), joints)
    assert fit.angles.shape == (2, 3, 23)
    assert fit.T_camera_hand.shape == (2, 3, 4, 4)
    assert fit.error.shape == (2, 3)
    for i, j in ((0, 0), (1, 2)):
        alone = fit_hand(open_hand(), joints[i, j])
        assert alone.error.shape == ()
        assert np.allclose(alone.angles, fit.angles[i, j], atol=1e-8)
    empty = fit_hand(open_hand(), np.zeros((0, 21, 3)))
    assert empty.angles.shape == (0, 23)
    assert empty.joints.shape == (0, 21, 3)


def test_fits_are_indexable():
    fit = fit_hand(open_hand(), joints_of(random_hands(6)).reshape(2, 3, 21, 3))
    assert fit[1, 2].angles.shape == (23,)
    assert fit[1, 2].error == fit.error[1, 2]
    assert (fit[:, 0].joints == fit.joints[:, 0]).all()
    with pytest.raises(IndexError, match="must have leading axes"):
        fit[0, 0][0]


def test_a_warm_start_is_kept_and_saves_steps():
    hands = random_hands(30, spread=0.8)
    before = fit_hand(open_hand(), joints_of(hands))
    again = fit_hand(open_hand(), joints_of(hands), initial=before)
    assert again.iterations.mean() < 2
    assert np.abs(again.angles - before.angles).max() < 0.01
    hands.angles = hands.angles + np.random.default_rng(3).normal(scale=0.005, size=(30, 23))
    after = fit_hand(open_hand(), joints_of(hands), initial=before)
    assert after.iterations.mean() < fit_hand(open_hand(), joints_of(hands)).iterations.mean()
    assert after.error.max() < 1e-3
    assert fit_hand(open_hand(), joints_of(hands), initial=before[0]).error.max() < 2e-3


def test_undetermined_shape_keeps_its_initial_value():
    hands = random_hands(3, spread=0.8)
    before = fit_hand(open_hand(), joints_of(hands))
    girth = open_hand().shape_names.index("finger_girth")
    assert np.abs(open_hand().shape_joints[girth]).max() == 0
    assert (before.shape[:, girth] == 0).all()
    before.shape[:, girth] = 0.7
    after = fit_hand(open_hand(), joints_of(hands), initial=before, shape_regularisation=0.0, angle_regularisation=0.0)
    assert np.abs(after.shape[:, girth] - 0.7).max() < 1e-9


def test_one_shape_is_estimated_for_many_hands():
    hands = random_hands(24, spread=0.8)
    hands.shape = np.tile(np.where(np.abs(hands.shape[0]) > 2, 1.0, hands.shape[0]), (24, 1))
    joints = joints_of(hands) + np.random.default_rng(4).normal(scale=1e-3, size=(24, 21, 3))
    shared = fit_hand(open_hand(), joints, shape="shared", shape_regularisation=0.01)
    free = fit_hand(open_hand(), joints, shape_regularisation=0.01)
    assert (shared.shape == shared.shape[0]).all()
    rest = open_hand().shaped_joints
    off_shared, off_free = (distance_mm(rest(fit.shape), rest(hands.shape)).mean() for fit in (shared, free))
    assert off_shared < 0.5
    assert off_shared < 0.5 * off_free


def test_a_fixed_shape_is_not_changed():
    hands = random_hands(4)
    fit = fit_hand(open_hand(), joints_of(hands), shape=hands.shape)
    assert (fit.shape == hands.shape).all()
    assert fit.error.max() < 1e-3
    other = fit_hand(open_hand(), joints_of(hands), shape=np.zeros(10))
    assert (other.shape == 0).all()
    assert other.error.mean() > fit.error.mean()


def test_uncertainty_weights_the_joints():
    hands = random_hands(10, spread=0.7)
    joints = joints_of(hands)
    broken = joints.copy()
    broken[:, 7] += 0.05
    uncertainty = np.full(21, 0.003)
    uncertainty[7] = np.inf
    fit = fit_hand(open_hand(), broken, joint_uncertainty=uncertainty, shape=hands.shape)
    kept = [j for j in range(21) if j != 7]
    assert distance_mm(fit.joints, joints)[:, kept].max() < 0.5
    unseen = broken.copy()
    unseen[:, 7] = np.nan
    assert np.allclose(
        fit_hand(open_hand(), unseen, joint_uncertainty=uncertainty, shape=hands.shape).angles, fit.angles
    )
    uncertainty[7] = 0.1
    downweighted = fit_hand(open_hand(), broken, joint_uncertainty=uncertainty, shape=hands.shape)
    trusted = fit_hand(open_hand(), broken, shape=hands.shape)
    assert distance_mm(downweighted.joints, joints).mean() < 0.3 * distance_mm(trusted.joints, joints).mean()


def test_regularisation_pulls_the_shape_to_the_mean():
    joints = joints_of(random_hands(6))
    size = [np.abs(fit_hand(open_hand(), joints, shape_regularisation=w).shape).mean() for w in (0.1, 10.0, 1e4)]
    assert size[0] > size[1] > size[2]
    regularised = fit_hand(open_hand(), joints, shape_regularisation=1e5, shape_mean=np.full(10, 0.5))
    assert np.abs(regularised.shape - 0.5).max() < 0.05


def test_undetermined_thumb_rotations_stay_small():
    hands = random_hands(40, spread=0.5)
    rotations = [2, 5]  # the thumb's two rotations, along its bones
    free, regularised = (fit_hand(open_hand(), joints_of(hands), angle_regularisation=w) for w in (0.0, 0.1))
    assert np.abs(regularised.angles[:, rotations]).mean() < 0.9 * np.abs(free.angles[:, rotations]).mean()
    assert regularised.error.mean() < 1e-4


def test_bends_are_made_consistent():
    hands = random_hands(6, spread=0.3)
    hands.angles[:, 9::4], hands.angles[:, 10::4] = 0.5, -0.15
    free, regularised = (fit_hand(open_hand(), joints_of(hands), bend_weight=w) for w in (0.0, 1e4))
    product = [np.sin(fit.angles[:, 9::4]) * np.sin(fit.angles[:, 10::4]) for fit in (free, regularised)]
    assert product[0].max() < -0.05
    assert product[1].min() > -0.02


def test_a_mesh_is_fitted():
    hands = random_hands(6, spread=0.8)
    seen = open_hand()(hands.angles, shape=hands.shape, T_camera_hand=hands.T, side="left")
    fit = fit_hand(open_hand(), vertices=seen.vertices, side="left", shape_regularisation=0.0, angle_regularisation=0.0)
    assert distance_mm(fit.joints, seen.joints).max() < 0.1
    # a mesh determines the girth of the fingers, which joints do not
    again = open_hand()(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand, side="left")
    hand = open_hand().weights[:, -1] == 0
    assert distance_mm(again.vertices, seen.vertices)[:, hand].max() < 0.1
    noisy = seen.joints + np.random.default_rng(5).normal(scale=0.01, size=seen.joints.shape)
    both = fit_hand(open_hand(), noisy, seen.vertices, side="left", vertex_uncertainty=1e-3)
    assert distance_mm(both.joints, seen.joints).mean() < 1.0


def test_a_bent_wrist_does_not_disturb_the_mesh():
    hands = random_hands(2, spread=0.5, shapes=0.3)
    seen = open_hand()(hands.angles, wrist_angles=np.array([0.6, 0.2]), shape=hands.shape, T_camera_hand=hands.T)
    fit = fit_hand(open_hand(), vertices=seen.vertices, shape_regularisation=0.0, angle_regularisation=0.0)
    assert distance_mm(fit.joints, seen.joints).max() < 0.5


def test_summed_angles_and_vertex_tips_are_fitted():
    hands, model = random_hands(20, spread=0.7), summed_hand()
    joints = joints_of(hands, model)
    fit = fit_hand(model, joints, shape_regularisation=0.0, angle_regularisation=0.0)
    assert distance_mm(fit.joints, joints).mean() < 0.1
    fit = fit_hand(model, joints, limits=LIMITS)
    assert ((fit.angles >= LIMITS[:, 0]) & (fit.angles <= LIMITS[:, 1])).all()


def test_a_mano_hand_is_fitted(tmp_path):
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", mano_arrays(np.random.default_rng(0), left=False))
    limits = angle_limits("s4")
    rng = np.random.default_rng(1)
    for convention in ("composed", "summed"):
        model = HandModel.load(tmp_path / "MANO_RIGHT.pkl", angle_convention=convention)
        angles, shape = rng.uniform(*limits.T, size=(12, 23)), rng.normal(size=(12, 10))
        seen = model(angles, shape=shape)
        fit = fit_hand(model, seen.joints, limits="s4", shape_regularisation=0.0, angle_regularisation=0.0)
        assert fit.error.mean() < 1e-4
        fit = fit_hand(model, vertices=seen.vertices[:3], shape_regularisation=0.0, angle_regularisation=0.0)
        assert distance_mm(fit.joints, seen.joints[:3]).mean() < 0.1


def with_value(place, value):
    joints = joints_of(random_hands(3))
    joints[place] = value
    return joints


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "joints or vertices must be given"),
        ({"joints": with_value((1, 4), np.nan)}, r"joints must be finite but got .* at \(1, 4\)"),
        ({"joints": with_value((0, 0), np.inf)}, "joints must be finite"),
        ({"joints": np.zeros((3, 20, 3))}, r"joints must be numbers of shape \(\.\.\., 21, 3\)"),
        ({"joints": np.zeros(63)}, "joints must be numbers of shape"),
        ({"joints": np.full((21, 3), "a")}, "joints must be numbers of shape"),
        ({"vertices": np.zeros((5, 3))}, "vertices must be numbers of shape"),
        ({"side": "both"}, "side must be 'left', 'right'"),
        ({"side": np.zeros(2, dtype=bool)}, "side must be of the hands' leading shape"),
        ({"joint_uncertainty": 0.0}, "uncertainty of joints must be above zero"),
        ({"joint_uncertainty": np.ones(20)}, "uncertainty of joints must be of shape"),
        ({"joint_uncertainty": np.inf}, "at least three points with a finite uncertainty"),
        ({"shape": "mean"}, "shape must be 'free', 'shared'"),
        ({"shape": np.zeros(9)}, "shape must be 'free', 'shared'"),
        ({"shape": np.zeros((2, 10))}, "shape must broadcast"),
        ({"shape_regularisation": -1.0}, "shape_regularisation must be"),
        ({"bend_weight": np.nan}, "bend_weight must be"),
        ({"limits": np.zeros((22, 2))}, r"limits must be of shape \(23, 2\)"),
        ({"limits": LIMITS[:, ::-1]}, "lower <= upper"),
        ({"limits": "loose"}, "must be one of"),
        ({"joints": np.zeros((0, 21, 3)), "shape": "shared"}, "shape must be 'free' for an empty batch"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    given = (
        arguments if not arguments or "vertices" in arguments else {"joints": joints_of(random_hands(3)), **arguments}
    )
    with pytest.raises(ValueError, match=message):
        fit_hand(open_hand(), **given)


def test_an_initial_fit_of_another_batch_is_named():
    joints = joints_of(random_hands(3))
    before = fit_hand(open_hand(), joints)
    with pytest.raises(ValueError, match="initial must be a fit whose leading axes broadcast"):
        fit_hand(open_hand(), joints[:2], initial=before)
    with pytest.raises(ValueError, match="as many hands"):
        fit_hand(open_hand(), joints, np.zeros((2, len(open_hand().vertices), 3)))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e3])
def test_points_that_are_no_hand_give_a_finite_fit(scale):
    points = scale * np.random.default_rng(0).normal(size=(3, 21, 3))
    with pytest.warns(UserWarning, match="must be those of hands in metres") if scale > 1 else nullcontext():
        fit = fit_hand(open_hand(), points.tolist())
    assert np.isfinite(fit.joints).all()
    assert ((fit.angles >= LIMITS[:, 0]) & (fit.angles <= LIMITS[:, 1])).all()


def test_a_partly_observed_hand_is_fitted():
    hands = random_hands(5, spread=0.5, shapes=0.3)
    uncertainty = np.full((5, 21), 0.003)
    uncertainty[:, 9:] = np.inf  # thumb and index alone
    uncertainty[0, :5] = np.inf  # index alone
    joints = joints_of(hands)
    fit = fit_hand(
        open_hand(), np.where(np.isinf(uncertainty)[..., None], np.nan, joints), joint_uncertainty=uncertainty
    )
    assert np.isfinite(fit.joints).all()
    assert fit.error.max() < 1e-3


def test_constants_worked_out_before_give_the_same_fit(rng):
    model = open_hand()
    joints = model.joints(rng.uniform(0.0, 0.6, (3, 23)), shape=rng.normal(0, 0.5, (3, 10)))
    constants = FitConstants.of(model)
    alone, prepared = fit_hand(model, joints), fit_hand(constants, joints)
    for name in ("angles", "shape", "T_camera_hand", "iterations"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(prepared, name))
    mesh = model(alone.angles, shape=alone.shape).vertices
    np.testing.assert_array_equal(fit_hand(constants, vertices=mesh).angles, fit_hand(model, vertices=mesh).angles)


def test_a_last_step_without_derivatives_has_the_same_cost(rng):
    model = open_hand()
    constants = FitConstants.of(model)
    joints, vertices = (
        Targets(rng.normal(0, 0.1, (4, n, 3)), rng.uniform(1, 9, (4, n))) for n in (21, len(model.vertices))
    )
    objective = Objective(
        constants.kin,
        joints,
        None,
        constants.skinning,
        vertices,
        None,
        np.zeros(10),
        0.3,
        np.zeros(23),
        np.ones(23),
        2.0,
    )
    estimate = Estimate(np.tile(np.diag([1.0, -1.0, -1.0]), (4, 1, 1)), rng.normal(0, 0.5, (4, 33)))
    rows = np.arange(4)
    np.testing.assert_allclose(objective.cost(rows, estimate), objective.evaluate(rows, estimate).cost, rtol=1e-12)
