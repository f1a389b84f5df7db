import json

import numpy as np
import pytest

from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.handmodel import HandModel
from knuckle.predict import Predictor
from knuckle.predict.person import measure_shape, read_person, write_person
from knuckle.sample import Hand

MODEL = HandModel.open()
PERSON = np.array([1.5, 0.0, -0.8, 0.7, 0.5, 0.0, 0.4, -0.5, 0.3, 0.6])


def hands_of(shape, count, rng, noise=0.0, scale=1.0):
    hands = []
    for i in range(count):
        pose = np.eye(4)
        pose[2, 3] = 0.5
        side = "left" if i % 2 else "right"
        angles = rng.uniform(0.0, 0.6, 23)
        joints = np.asarray(MODEL.joints(angles, shape=shape, T_camera_hand=pose, side=side))
        joints = scale * (joints + rng.normal(0, noise, (21, 3)))
        hands.append(
            Hand(
                side=side,
                score=0.9,
                box=np.array([0.0, 0.0, 9.0, 9.0]),
                joints_camera=joints,
                angles=angles,
                shape=np.zeros(10),
                T_camera_hand=pose,
                joint_uncertainty_mm=np.full(21, 3.0),
                plausibility=1.0,
                camera=Camera(np.eye(3)),
            )
        )
    return hands


def lengths(shape):
    return np.linalg.norm(
        np.diff(np.asarray(MODEL.shaped_joints(shape)).reshape(21, 3)[1:].reshape(5, 4, 3), axis=1), axis=-1
    )


def test_the_shape_of_a_person_is_measured_from_both_hands(rng):
    found = measure_shape(MODEL, hands_of(PERSON, 12, rng, noise=0.002), regularisation=0.1)
    assert np.abs(lengths(found) - lengths(PERSON)).max() < 0.002
    assert np.abs(lengths(np.zeros(10)) - lengths(PERSON)).max() > 0.004


def test_the_length_of_the_hand_gives_its_size(rng):
    # A network that takes all hands for average ones sees this one a quarter too large.
    hands = hands_of(PERSON, 8, rng, scale=1.25)
    joints = np.asarray(MODEL.shaped_joints(PERSON))
    length = float(np.linalg.norm(np.diff(joints[[0, 9, 10, 11, 12]], axis=0), axis=-1).sum())
    found = measure_shape(MODEL, hands, length, regularisation=0.1)
    assert np.abs(lengths(found) - lengths(PERSON)).max() < 0.001
    # However strongly the fit prefers the average hand, the length is kept.
    held = measure_shape(MODEL, hands[:1], length, regularisation=100.0)
    bones = np.diff(np.asarray(MODEL.shaped_joints(held))[[0, 9, 10, 11, 12]], axis=0)
    assert np.linalg.norm(bones, axis=-1).sum() == pytest.approx(length, abs=1e-6)


def test_a_person_is_written_and_read(tmp_path):
    write_person(tmp_path / "hand.json", MODEL, PERSON)
    np.testing.assert_allclose(read_person(tmp_path / "hand.json", MODEL), PERSON)
    (tmp_path / "list.json").write_text(json.dumps({"shape": PERSON.tolist(), "side": "left"}))
    np.testing.assert_allclose(read_person(tmp_path / "list.json", MODEL), PERSON)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold"),
        ("{", "must hold"),
        ('{"shape": [1, 2]}', "must be 10 finite numbers"),
        ('{"shape": [99, 0, 0, 0, 0, 0, 0, 0, 0, 0]}', "beyond"),
    ],
)
def test_what_is_no_person_is_named_in_one_line(tmp_path, text, message, capsys):
    (tmp_path / "hand.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_person(tmp_path / "hand.json", MODEL)
    assert main(["predict", "none.jpg", "--out", str(tmp_path), "--person", str(tmp_path / "hand.json")]) == 2
    said = capsys.readouterr().err
    assert "hand.json" in said
    assert said.count("\n") == 1


def test_all_hands_have_the_known_shape_and_its_size():
    import cv2

    image = cv2.cvtColor(cv2.imread("examples/hand.jpg"), cv2.COLOR_BGR2RGB)
    small = np.zeros(10)
    small[0] = -2.0
    (adult,), (child,) = (Predictor(threads=1, shape=shape)(image, max_hands=1) for shape in (np.zeros(10), small))
    np.testing.assert_array_equal(child.shape, small)
    ratio = lengths(small).sum() / lengths(np.zeros(10)).sum()
    # A smaller hand that looks the same is nearer.
    assert child.T_camera_hand[2, 3] / adult.T_camera_hand[2, 3] == pytest.approx(ratio, rel=0.05)


def test_no_hands_have_no_shape():
    with pytest.raises(ValueError, match="at least one"):
        measure_shape(MODEL, [])
