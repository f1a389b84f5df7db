"""Masks of hands in pictures: the network's where it has them, else the meshes'."""

from pathlib import Path

import cv2
import numpy as np

from known_networks import write_onnx
from knuckle.camera import Camera
from knuckle.cli import main
from knuckle.handmodel import HandModel
from knuckle.image.cut import square
from knuckle.predict import Contract, CropRule
from knuckle.predict.masks import hand_masks, masks_in_picture
from knuckle.sample import Hand, HandMasks
from tiny_sets import hands

EXAMPLE = Path(__file__).parents[2] / "examples" / "hand.jpg"
SIZE = (160, 120)


def posed(depth: float, side="right", aside=0.0) -> Hand:
    model, pose = HandModel.open(), np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = [aside, 0.08, depth]
    found = model(np.zeros(23), T_camera_hand=pose, side=side)
    return Hand(
        side=side,
        score=1.0,
        box=np.array([0.0, 0.0, 10.0, 10.0]),
        joints_camera=np.asarray(found.joints),
        angles=np.zeros(23),
        shape=np.zeros(10),
        T_camera_hand=pose,
        joint_uncertainty_mm=np.ones(21),
        plausibility=1.0,
        camera=Camera.from_fov(SIZE, 1.0),
        vertices_camera=np.asarray(found.vertices),
    )


def test_a_nearer_hand_hides_and_does_not_shorten():
    near, far = posed(0.4), posed(0.5, aside=0.03)
    model = HandModel.open()
    first, second = hand_masks([near, far], model, SIZE)
    assert (first.visible == first.complete).all()
    (alone,) = hand_masks([far], model, SIZE)
    assert (second.complete == alone.complete).all()
    assert (second.visible == second.complete & ~first.complete).all()
    assert 0 < second.visible.sum() < second.complete.sum()
    uv = np.rint(near.joints_image[5:8]).astype(int)
    assert first.complete[uv[:, 1], uv[:, 0]].all()


def test_a_crop_s_mask_comes_back_to_its_place():
    """A band of the picture, seen by a turned and mirrored crop of other cells than pixels."""
    affine = square((70.0, 60.0), 80.0, 0.5, 64, mirrored=True)
    v, u = np.mgrid[:120, :160]
    truth = (np.abs(u - 72) < 14) & (np.abs(v - 58) < 9)
    rows, columns = np.mgrid[:32, :32]
    inner = np.stack([columns, rows], -1).reshape(-1, 2) * 2 + 0.5
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))[:2]
    at = np.rint(inner @ back[:, :2].T + back[:, 2]).astype(int)
    cells = truth[np.clip(at[:, 1], 0, 119), np.clip(at[:, 0], 0, 159)].reshape(32, 32).astype(np.float32)
    found = masks_in_picture({"mask": cells}, affine, 64, SIZE)
    assert found.complete is None
    assert (found.visible & truth).sum() / (found.visible | truth).sum() > 0.85
    assert masks_in_picture({"joints": cells}, affine, 64, SIZE) is None


def test_masks_of_a_model_and_of_the_package_are_written(tmp_path):
    crop, cells = CropRule(64, "upright", 1.4, "right"), np.zeros((16, 16))
    cells[4:12, 4:12] = 0.9
    contract = Contract("mine", crop=crop, coordinates="metric", outputs=("joints", "mask", "mask_complete"))
    constants = {"joints": hands(1, left=False)[0][0], "mask": cells * 0.0, "mask_complete": cells}
    path = write_onnx(tmp_path / "mine.onnx", contract, constants)
    height, width = cv2.imread(str(EXAMPLE)).shape[:2]
    for words, share in (((), (0.02, 0.6)), (("--model", str(path)), (0.02, 0.9))):
        out = tmp_path / f"out-{len(words)}"
        assert main(["predict", str(EXAMPLE), "--out", str(out), "--save", "mask", *words]) == 0
        visible, complete = (
            cv2.imread(str(out / f"hand.hand-0.{name}.png"), cv2.IMREAD_UNCHANGED) for name in ("visible", "complete")
        )
        assert complete.shape == (height, width)
        assert set(np.unique(complete)) == {0, 255}
        assert share[0] < (complete > 0).mean() < share[1]
        assert (visible > 0).any() == (not words), "the model says that nothing of the hand is visible"
    assert len(list(out.iterdir())) == 2


def test_masks_of_a_hand_agree_in_size():
    kept = HandMasks(np.zeros((4, 5), bool), np.ones((4, 5), bool))
    assert kept.complete.shape == (4, 5)
