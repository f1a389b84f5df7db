"""Joints as means of a mesh's vertices."""

import numpy as np

from knuckle.handmodel import HandModel
from knuckle.handmodel.limits import angle_limits
from knuckle.handmodel.regressor import joint_regressor
from mano_fixture import mano_arrays, write_mano_pickle


def test_the_joints_of_any_hand_are_means_of_its_vertices(tmp_path, rng):
    write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", mano_arrays(rng, left=False))
    for model, most in ((HandModel.open(), 1e-3), (HandModel.load(tmp_path / "MANO_RIGHT.pkl"), np.inf)):
        regressor = joint_regressor(model)
        assert regressor.shape == (21, len(model.vertices))
        np.testing.assert_allclose(regressor.sum(1), 1.0)
        limits = angle_limits()
        shape = rng.uniform(*np.asarray(model.shape_limits).T, (50, len(model.shape_limits)))
        posed = model(rng.uniform(limits[:, 0], limits[:, 1], (50, 23)), shape=shape)
        apart = np.linalg.norm(regressor @ posed.vertices - posed.joints, axis=-1)
        assert apart.max() < most
        # Errors of single vertices are averaged.
        assert np.sqrt((regressor**2).sum(1)).max() < 1.0
        np.testing.assert_array_equal(regressor, joint_regressor(model))
    # In any frame, on the other hand too.
    moved = np.diag([-1.0, 1.0, 1.0]) @ posed.vertices[0].T + np.array([[1.0], [2.0], [3.0]])
    expected = np.diag([-1.0, 1.0, 1.0]) @ (regressor @ posed.vertices[0]).T + np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(regressor @ moved.T, expected.T)
