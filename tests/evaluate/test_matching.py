"""A model at hand in the place of predictions: run on pictures or on crops of the truth, its hands put in order."""

from dataclasses import replace

import numpy as np
import pytest

import tiny_sets
from knuckle.camera import Camera
from knuckle.datasets import BrokenDataset
from knuckle.evaluate import PROTOCOLS, evaluate
from knuckle.evaluate.matching import run_on_crops, run_predictor
from knuckle.evaluate.sources import read_source
from knuckle.sample import Hand, HeldObject, Sample


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    tiny_sets.truth_list(root)
    return read_source(PROTOCOLS["own"], root).truth


def hand_of(truth, i, **changes):
    """The hand of a row of the truth as a predictor gives it."""
    made = {
        "side": "left" if truth.left[i] else "right",
        "score": 1.0,
        "box": np.array([0.0, 0.0, 1.0, 1.0]),
        "joints_camera": truth.joints[i],
        "angles": np.zeros(23),
        "shape": np.zeros(10),
        "T_camera_hand": np.eye(4),
        "joint_uncertainty_mm": np.ones(21),
        "plausibility": 1.0,
        "camera": Camera(truth.K[i]),
        "vertices_camera": np.zeros((7, 3)),
    }
    return Hand(**(made | changes))


def test_every_picture_is_asked_for_once(own):
    asked = []

    def predict(sample):
        asked.append(sample.id)
        return [hand_of(own, own.ids.index(sample.id))]

    answers = run_predictor((Sample(id=i) for i in own.ids), predict, own, "a model")
    np.testing.assert_array_equal(answers.joints, own.joints)
    assert asked == list(own.ids)
    assert not answers.absolute  # no camera was known


def test_the_networks_own_mesh_counts_where_it_is_the_truths(own):
    truth = replace(own, vertices=np.zeros((4, 5, 3)))
    for count, expected in ((5, 5), (6, 7)):
        hands = [hand_of(own, i, vertices_network=np.ones((count, 3))) for i in range(4)]
        samples = [Sample(id=i) for i in own.ids]
        answers = run_predictor(samples, lambda s, h=hands: [h[own.ids.index(s.id)]], truth, "a model")
        assert answers.vertices.shape == (4, expected, 3)


def test_crops_of_the_truth_are_answered_row_by_row(own):
    # Two rows of one picture, both right hands: nothing is left to a matching by side.
    truth = replace(own, ids=("a:1", "a:2", "b", "c"), left=np.zeros(4, bool))
    samples = [Sample(id=i, camera=Camera(own.K[0])) for i in truth.ids]
    answers = run_on_crops(
        samples, lambda s: None if s.id == "b" else hand_of(truth, truth.ids.index(s.id)), truth, "a model"
    )
    assert answers.present.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(answers.joints[:2], own.joints[:2])
    assert answers.absolute
    with pytest.raises(BrokenDataset, match="a model must be run on 4 hands, one per label, but there were 3"):
        run_on_crops(samples[:3], lambda s: None, truth, "a model")


@pytest.mark.parametrize(("protocol", "make"), [("fpha-ho", tiny_sets.fpha), ("ho3d-v2", tiny_sets.ho3d)])
def test_objects_reach_the_scores_and_one_that_was_not_seen_is_a_miss(tmp_path, protocol, make):
    make(tmp_path)
    truth = read_source(PROTOCOLS[protocol], tmp_path).truth
    shift = np.array([0.01, 0.0, 0.0])
    held = [HeldObject.from_corners(corners + shift) for corners in truth.corners]
    count = len(truth)
    for seen, expected in ((count, 10.0), (count - 1, (10.0 * (count - 1) + 50.0) / count)):
        hands = {name: hand_of(truth, i, object=held[i] if i < seen else None) for i, name in enumerate(truth.ids)}
        samples = [Sample(id=i, camera=Camera(K)) for i, K in zip(truth.ids, truth.K, strict=True)]
        answers = run_on_crops(samples, lambda s, hands=hands: hands[s.id], truth, "a model")
        report = evaluate(truth, answers, PROTOCOLS[protocol], resamples=0)
        assert report.value("corners") == pytest.approx(expected, abs=1e-6)
        assert report.value("box_projection") > 0
        assert report.value("joints_camera") == pytest.approx(0, abs=1e-9)
