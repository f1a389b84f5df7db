"""Rendered pictures: their labels agree with the pixels, and with the hand they were rendered from."""

import numpy as np
import pytest

from knuckle.handmodel import HandModel
from knuckle.handmodel.angles import ANGLE_NAMES
from knuckle.synth import PRESETS, Generator, Settings


@pytest.fixture(scope="module")
def generator():
    generator = Generator(Settings(preset="crop", size=128, seed=3))
    yield generator
    generator.close()


@pytest.fixture(scope="module")
def pictures(generator):
    return [generator.picture(i) for i in range(40)]


def _near(mask: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Whether a pixel of the mask lies within 1 px of each point (N, 2)."""
    rows, columns = np.nonzero(mask)
    pixels = np.stack([columns, rows], -1)
    return np.array([len(pixels) > 0 and np.linalg.norm(pixels - p, axis=1).min() <= 1 for p in uv])


@pytest.mark.egl
def test_joints_lie_in_the_complete_mask(pictures):
    near = []
    for picture in pictures:
        height, width = picture.complete.shape
        for number, hand in enumerate(picture.label["hands"]):
            uv = np.array(hand["joints_image"])
            inside = np.all((uv >= 0) & (uv <= (width - 1, height - 1)), axis=1)
            mask = picture.complete & (0b10001 << number) > 0
            near.extend(_near(mask, uv[inside]))
    assert len(near) > 500
    assert np.mean(near) >= 0.99


@pytest.mark.egl
def test_labels_agree_with_the_posed_hand(pictures):
    model = HandModel.open()
    sides = set()
    for picture in pictures:
        for hand in picture.label["hands"]:
            angles = np.array([hand["angles"][name] for name in ANGLE_NAMES])
            T, shape = np.array(hand["T_camera_hand"]), np.array(hand["shape"])
            joints = model.joints(angles, shape=shape, T_camera_hand=T, side=hand["side"])
            np.testing.assert_allclose(joints, hand["joints_camera"], atol=2e-5)
            uvw = joints @ np.array(picture.label["K"]).T
            np.testing.assert_allclose(uvw[:, :2] / uvw[:, 2:], hand["joints_image"], atol=0.1)
            assert np.linalg.det(T[:3, :3]) == pytest.approx(1, abs=1e-6)
            sides.add(hand["side"])
    assert sides == {"left", "right"}


@pytest.mark.egl
def test_a_visible_joint_is_seen(pictures):
    shares = []
    for picture in pictures:
        for number, hand in enumerate(picture.label["hands"]):
            uv = np.rint(np.array(hand["joints_image"])).astype(int)
            for (u, v), visible in zip(uv, hand["visibility"], strict=True):
                if visible:
                    assert picture.visible[v, u] in (number + 1, 101 + number)
            shares.append(np.mean(hand["visibility"]))
    assert 0.3 < np.mean(shares) < 0.95


@pytest.mark.egl
def test_the_hand_fills_its_crop_and_the_box_holds_it(pictures):
    for picture in pictures:
        rows, columns = np.nonzero(picture.complete & 1)
        x0, y0, x1, y1 = picture.label["hands"][0]["box"]
        assert columns.min() >= x0 - 1
        assert rows.min() >= y0 - 1
        assert columns.max() <= x1 + 1
        assert rows.max() <= y1 + 1
        assert max(x1 - x0, y1 - y0) > 0.3 * 128


@pytest.mark.egl
def test_same_index_same_picture(generator, pictures):
    again = generator.picture(5)
    np.testing.assert_array_equal(again.image, pictures[5].image)
    assert again.label == pictures[5].label
    assert np.any(pictures[5].image != pictures[6].image)


@pytest.mark.egl
def test_pictures_are_lit_and_have_soft_edges(pictures):
    brightness = [picture.image[picture.visible == 1].mean() for picture in pictures if (picture.visible == 1).any()]
    assert 40 < np.mean(brightness) < 210
    assert np.std(brightness) > 10


@pytest.mark.egl
def test_detector_frames_hold_zero_to_three_hands():
    generator = Generator(Settings(preset="detector", size=96, seed=1))
    pictures = [generator.picture(i) for i in range(30)]
    generator.close()
    counts = {len(p.label["hands"]) for p in pictures}
    assert {0, 1, 2} <= counts <= {0, 1, 2, 3}
    for picture in pictures:
        assert (picture.label["hands"] == []) == (not (picture.complete & 0b111).any())


@pytest.mark.egl
def test_bare_hands_are_those_of_a_few_people():
    shapes, labels = set(), []
    for seed, size, count in ((1, 96, 30), (2, 64, 20)):
        generator = Generator(Settings(preset="bare", size=size, seed=seed))
        labels += [generator.picture(i).label for i in range(count)]
        generator.close()
    for label in labels:
        shapes |= {tuple(hand["shape"]) for hand in label["hands"]}
        assert len(label["hands"]) == 1
        assert label["objects"] == []
    assert 8 < len(shapes) <= 12


@pytest.mark.egl
def test_held_hands_grasp_something():
    generator = Generator(Settings(preset="held", size=64, seed=1))
    labels = [generator.picture(i).label for i in range(30)]
    generator.close()
    assert sum(bool(label["objects"]) for label in labels) > 15
    assert {hand["view"] for label in labels for hand in label["hands"]} <= set(PRESETS["held"].views)
    poses = {hand["pose"] for label in labels for hand in label["hands"]}
    assert {pose for pose in poses if not pose.startswith("grasp")} <= {"swap", "touch", "blend"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"preset": "nope"}, "preset must be one of"), ({"size": 3}, "size must"), ({"seed": -1}, "seed")],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


def test_presets_are_sane():
    for preset in PRESETS.values():
        assert preset.framing in ("crop", "frame", "clip", "handling")
        assert preset.margin[0] <= preset.margin[1]
