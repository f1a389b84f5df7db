"""Masks and categories of predicted hands: known overlaps, and what is left out; curves by category."""

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.evaluate import PROTOCOLS, Predictions, Truth, evaluate
from knuckle.evaluate.measures import measures_of, stacked
from knuckle.sample import Hand, HandMasks, HeldObject, Sample


def hand_of(masks=None, category=None) -> Hand:
    joints = np.tile([0.0, 0.0, 0.5], (21, 1))
    return Hand(
        side="right",
        score=1.0,
        box=np.array([0.0, 0.0, 9.0, 9.0]),
        joints_camera=joints,
        angles=np.zeros(23),
        shape=np.zeros(10),
        T_camera_hand=np.eye(4),
        joint_uncertainty_mm=np.ones(21),
        plausibility=1.0,
        camera=Camera(np.eye(3)),
        masks=masks,
        object=None if category is None else HeldObject(category=category),
    )


def rows(*which: int) -> np.ndarray:
    mask = np.zeros((10, 20), bool)
    mask[list(which)] = True
    return mask


def test_masks_are_compared_whole_and_where_the_object_is():
    """The hand is rows 0 to 5, of which the object hides 4 and 5, and itself reaches to row 8."""
    sample = Sample(mask_complete=rows(*range(6)), mask_visible=rows(*range(4)), object_mask=rows(4, 5, 6, 7, 8))
    found = measures_of(hand_of(HandMasks(rows(1, 2), rows(1, 2, 3, 4, 9))), sample)
    # Visible: 2 of 4; whole: 1 to 4 of 0 to 5 and 9; behind the object: row 4 of rows 4 and 5.
    assert found == pytest.approx({"mask_visible_iou": 0.5, "mask_complete_iou": 4 / 7, "mask_hidden_iou": 0.5})
    # A network that takes all of the object for hand is as wrong as one that takes none.
    assert measures_of(hand_of(HandMasks(None, rows(*range(9)))), sample)["mask_hidden_iou"] == pytest.approx(0.4)
    assert measures_of(hand_of(HandMasks(None, rows(*range(4)))), sample)["mask_hidden_iou"] == 0.0


def test_what_cannot_be_said_is_left_out():
    bare = Sample(mask_complete=rows(1, 2), mask_visible=rows(1, 2), object_mask=rows(9))
    masks = HandMasks(rows(1), rows(1, 2))
    assert set(measures_of(hand_of(masks), bare)) == {"mask_visible_iou", "mask_complete_iou"}
    assert measures_of(hand_of(masks), Sample()) == {}
    assert measures_of(hand_of(), bare) == {}
    assert measures_of(None, bare) == {}
    held = Sample(object_category="cube")
    assert [measures_of(hand_of(category=name), held) for name in ("cube", "bar")] == [
        {"category_right": 1.0},
        {"category_right": 0.0},
    ]
    found = stacked([{"category_right": 1.0}, {}])
    assert list(found) == ["category_right"]
    np.testing.assert_array_equal(found["category_right"], [1.0, np.nan])


def test_reports_have_them_and_curves_by_category():
    uv = np.tile(np.arange(21.0)[:, None], (4, 1, 2))
    # Off by 5 px for cubes and by 15 px for bars; the last holds nothing.
    guess = uv + np.array([5.0, 15.0, 5.0, 0.0])[:, None, None] * [1.0, 0.0]
    joints = np.random.default_rng(0).normal(size=(4, 21, 3))
    truth = Truth(tuple("abcd"), joints, np.zeros(4, bool), joints_image=uv, categories=("cube", "bar", "cube", None))
    measures = {
        "mask_hidden_iou": np.array([0.2, 0.4, np.nan, np.nan]),
        "category_right": np.array([1.0, 1, 0, np.nan]),
    }
    answers = Predictions(np.ones(4, bool), joints, joints_image=guess, measures=measures)
    report = evaluate(truth, answers, PROTOCOLS["own-hop"], resamples=0)
    assert report.value("mask_hidden_iou") == pytest.approx(0.3)
    assert report.value("category_right") == pytest.approx(200 / 3)
    # Within 20 px the curve of a constant error e has the area 1 - e / 20, up to half a step.
    assert report.value("image_auc_0_20_px_cube") == pytest.approx(0.75, abs=0.03)
    assert report.value("image_auc_0_20_px_bar") == pytest.approx(0.25, abs=0.03)
