"""Fits that are possible hands, whatever the noise."""

from dataclasses import replace

import numpy as np
import pytest

from knuckle.check import check_poses
from knuckle.fit import fit_hand, fit_human_hand
from knuckle.geometry.hull import convex_hull_2d
from knuckle.handmodel import HandModel, human_limits, named_pose, pose_names
from knuckle.handmodel.ranges import excess, pad_hulls

MODEL = HandModel.open()


def posed_hands(rng, count, side="right"):
    poses = np.stack([named_pose(name) for name in pose_names()])
    return MODEL.joints(poses[rng.integers(len(poses), size=count)], shape=rng.normal(size=(count, 10)), side=side)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("noise", [0.005, 0.010])
def test_noise_put_through_the_fit_leaves_no_impossible_hand(rng, side, noise):
    truth = posed_hands(rng, 120, side)
    noisy = truth + noise * rng.normal(size=truth.shape)
    assert not check_poses(noisy, side).ok
    fit = fit_human_hand(MODEL, noisy, side=side)
    report = check_poses(fit.joints, side)
    assert report.ok, report.lines()
    assert all((part < 1e-8).all() for part in excess(fit.joints, human_limits(), side))
    error = [np.linalg.norm(joints - truth, axis=-1).mean() for joints in (noisy, fit.joints)]
    assert error[1] < 0.8 * error[0]
    np.testing.assert_allclose(MODEL.joints(fit.angles, shape=fit.shape, T_camera_hand=fit.T_camera_hand, side=side),
                               fit.joints, atol=1e-9)  # fmt: skip


def test_a_possible_hand_is_fitted_as_before(rng):
    truth = posed_hands(rng, 20)
    one, other = fit_hand(MODEL, truth), fit_human_hand(MODEL, truth)
    np.testing.assert_array_equal(one.angles, other.angles)
    np.testing.assert_array_equal(one.joints, other.joints)


def test_one_hand_and_leading_axes_and_a_shared_shape(rng):
    noisy = posed_hands(rng, 6) + 0.01 * rng.normal(size=(6, 21, 3))
    six = fit_human_hand(MODEL, noisy)
    for shape in ((2, 3), (6, 1)):
        fit = fit_human_hand(MODEL, noisy.reshape(*shape, 21, 3), joint_uncertainty=np.full((*shape, 21), 0.003))
        assert fit.error.shape == shape
        np.testing.assert_allclose(fit.joints.reshape(6, 21, 3), six.joints, atol=1e-6)
    one = fit_human_hand(MODEL, noisy[0])
    assert one.angles.shape == (23,)
    np.testing.assert_allclose(one.joints, six.joints[0], atol=1e-6)
    shared = fit_human_hand(MODEL, noisy, shape="shared")
    assert np.ptp(shared.shape, axis=0).max() == 0
    assert (excess(shared.joints, human_limits()).angles < 1e-8).all()


def test_limits_of_one_person_are_kept(rng):
    """A person who cannot bend the index finger's PIP joint beyond 30 degrees."""
    limits = human_limits()
    hulls = [*limits.hulls]
    hulls[4] = convex_hull_2d(np.minimum(limits.hulls[4], [np.radians(30), np.inf]))
    stiff = replace(limits, hulls=pad_hulls(hulls))
    fit = fit_human_hand(MODEL, MODEL.joints(named_pose("fist")), hand_limits=stiff)
    assert (excess(fit.joints, stiff).angles < 1e-8).all()
