"""Crops and scenes: labels follow the pixels, missing ones stay missing, and what is cached is found by its content."""

import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hand_pictures import drawn_samples, write_truth
from knuckle.camera import Camera
from knuckle.datasets.sets import DataSet, LabelledPicture, parse_spec
from knuckle.image.augment import AugmentConfig
from knuckle.predict.config import ASSUMED_FOV
from knuckle.sample import Sample
from knuckle.skeleton import BOX_CORNERS
from knuckle.systems.crops import CropConfig, Crops, _empty_patches, _patch, _record_of, _sample_of
from knuckle.systems.detector import SceneConfig, Scenes

PLAIN = AugmentConfig(0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SMALL = CropConfig(size=64, patch=120)


def crops(tmp_path, samples, config=SMALL, suffix="", **options) -> Crops:
    spec = write_truth(tmp_path / "set", samples) + suffix
    return Crops([DataSet(parse_spec(spec))], config, PLAIN, tmp_path / "records", **options)


def test_joints_stay_on_the_picture_in_every_crop(tmp_path):
    """The bones are drawn in known colours: after two crops they must still be found at the joints."""
    source = crops(tmp_path, drawn_samples(6, seed=3))
    assert len(source) == 6
    for i in range(24):
        seen = source.sample(i % 6, np.random.default_rng(i))
        assert seen.image.shape == (64, 64, 3)
        inside = ((seen.joints_image > 0) & (seen.joints_image < 63)).all(1)
        middle = np.rint(seen.joints_image[inside]).astype(int)
        assert np.abs(seen.image[middle[:, 1], middle[:, 0]].astype(int) - 90).max(1).min() > 15
        # Labels in space and in the picture are of one crop, and upright.
        np.testing.assert_allclose(seen.camera.project(seen.joints_camera), seen.joints_image, atol=1e-2)
        assert seen.joints_image[0, 1] > seen.joints_image[9, 1]


def test_the_side_of_an_example_is_that_of_the_hand_it_shows(tmp_path):
    source = crops(tmp_path, drawn_samples(4, seed=5))
    shown = []
    for seed in range(24):
        seen = source.sample(seed % 4, np.random.default_rng(seed))
        # Palms to the camera, fingers up: a right hand's thumb is on the picture's right.
        assert (seen.side == "left") == (seen.joints_image[4, 0] < seen.joints_image[20, 0])
        shown.append(seen.side == "left")
    assert 4 < sum(shown) < 20
    right = crops(tmp_path / "right", drawn_samples(4, seed=5), replace(SMALL, hands="right"))
    assert {right.sample(i % 4, np.random.default_rng(i)).side for i in range(12)} == {"right"}


def test_a_batch_masks_what_a_mixed_set_lacks(tmp_path):
    both = drawn_samples(4)
    flat = replace(both[1], joints_camera=None, camera=None)
    gap = np.array(both[2].joints_image)
    gap[7] = np.nan
    source = crops(tmp_path, [both[0], flat, replace(both[2], joints_image=gap, joints_camera=None)])
    samples = [source.sample(i, np.random.default_rng(0)) for i in range(3)]
    batch = source.collate(samples)
    assert batch.rows("joints_camera").tolist() == [True, False, False]
    assert batch.rows("joints_image").tolist() == [True] * 3
    assert batch.joint_rows("joints_image").sum(1).tolist() == [21, 21, 20]
    assert batch.rows("camera").tolist() == [True, False, True]
    assert batch.image.shape == (3, 3, 64, 64)


def test_an_assumed_camera_is_that_of_the_whole_picture(tmp_path):
    """What a crop of it sees has the intrinsics that a crop of the same picture has whose camera is that one."""
    hand = replace(drawn_samples(1)[0], joints_camera=None)
    known = replace(hand, camera=Camera.from_fov((128, 128), ASSUMED_FOV))
    unknown = replace(hand, camera=None)
    seen = [
        crops(tmp_path / name, [sample], assume_cameras=True).sample(0, np.random.default_rng(3))
        for name, sample in (("known", known), ("unknown", unknown))
    ]
    assert seen[1].camera is not None
    np.testing.assert_allclose(seen[1].camera.K, seen[0].camera.K, atol=1e-6)
    np.testing.assert_array_equal(seen[1].image, seen[0].image)
    # Only a system that asks for it gets one.
    assert crops(tmp_path / "not", [unknown]).sample(0, np.random.default_rng(3)).camera is None


def test_two_dimensional_labels_alone_are_what_2d_asks_for(tmp_path):
    source = crops(tmp_path, drawn_samples(3), suffix=":2d")
    seen = source.sample(0, np.random.default_rng(0))
    assert seen.joints_camera is None
    assert seen.joints_image is not None
    with pytest.raises(ValueError, match=r"one set at least must have joints_camera but .*:2d has only labels in the"):
        crops(tmp_path / "b", drawn_samples(3), suffix=":2d", needs_somewhere=("joints_camera",))
    needy = replace(SMALL, needs=("joints_camera",))
    with pytest.raises(ValueError, match="hands must have joints_image and joints_camera, extend"):
        crops(tmp_path / "c", drawn_samples(3), needy, suffix=":2d")


def test_what_is_cached_is_found_again_until_the_files_change(tmp_path):
    spec = parse_spec(write_truth(tmp_path / "set", drawn_samples(3)))
    seen: list[str] = []

    def made(config=SMALL) -> int:
        before = len(seen)
        Crops([DataSet(spec)], config, PLAIN, tmp_path / "records", advance=lambda name, count: seen.append(name))
        return len(seen) - before

    assert made() == 3
    assert made() == 0
    # Another jitter or size of the input needs no new patches, another patch does.
    assert made(replace(SMALL, shift=0.3, size=32)) == 0
    assert made(replace(SMALL, patch=100)) == 3
    cv2.imwrite(str(tmp_path / "set" / "0001.png"), np.zeros((128, 128, 3), np.uint8))
    assert made() == 3
    os.utime(tmp_path / "set" / "truth.json", ns=(5, 5))
    assert made() == 3


def test_labels_that_are_asked_for_come_along():
    rng = np.random.default_rng(0)
    hand = drawn_samples(1, size=160)[0]
    pose = np.eye(4)
    pose[:3, 3] = [0.0, 0.05, 0.5]
    corners = 0.04 * np.asarray(BOX_CORNERS) + pose[:3, 3]
    mask = np.zeros((160, 160), bool)
    mask[40:120, 40:120] = True
    full = replace(
        hand,
        mask_visible=mask,
        object_corners_camera=corners,
        T_camera_object=pose,
        object_category="mug",
        vertices_camera=rng.normal(size=(5, 3)) * 0.05 + [0, 0, 0.5],
    )
    labels = ("mask_visible", "object_corners_camera", "object_category", "vertices_camera")
    config = CropConfig(size=64, patch=100, labels=labels, vertices=5)
    patch = _patch(full, config)
    assert patch is not None
    back = _sample_of(_record_of(patch, config, "g"))
    assert back.object_category == "mug"
    np.testing.assert_array_equal(back.mask_visible, patch.mask_visible)
    # A turn about the optical axis, and nothing else, lies between the picture and its patch.
    for name in ("object_corners_camera", "vertices_camera"):
        mine, theirs = getattr(back, name), getattr(full, name)
        np.testing.assert_allclose(np.linalg.norm(mine, axis=1), np.linalg.norm(theirs, axis=1), atol=1e-6)
        np.testing.assert_allclose(mine[:, 2], theirs[:, 2], atol=1e-6)
    without = _sample_of(_record_of(_patch(hand, config), config, "g"))
    assert without.mask_visible is None
    assert without.object_category is None


def whole_picture(sample: Sample, colour=(90, 90, 90)) -> LabelledPicture:
    picture = np.full((512, 512, 3), colour, np.uint8)
    picture[:128, :128] = sample.image
    hand = replace(sample, image=picture, camera=Camera(sample.camera.K, (512, 512)))
    return LabelledPicture(picture, [hand], "g")


def test_places_without_a_hand_are_taken_from_whole_pictures_alone():
    config = replace(SMALL, empty_places=2)
    found = [_empty_patches(whole_picture(sample), config) for sample in drawn_samples(6, seed=7)]
    assert 8 <= sum(len(patches) for patches in found) <= 18
    for patch in (patch for patches in found for patch in patches):
        assert (patch.joints_image, patch.joints_camera, patch.side) == (None, None, None)
        # None of the hand's colours is within.
        middle = patch.image[30:90, 30:90].reshape(-1, 3).astype(int)
        assert np.abs(middle - 90).max() < 60 or np.median(np.abs(middle - 90)) == 0
    again = _empty_patches(whole_picture(drawn_samples(6, seed=7)[0]), config)
    np.testing.assert_array_equal(again[0].image, found[0][0].image)
    close = drawn_samples(1)[0]
    assert _empty_patches(LabelledPicture(close.image, [close], "g"), config) == []
    # A hand that nobody has placed may be anywhere.
    lost = replace(close, joints_image=None, joints_camera=None, box=None)
    picture = whole_picture(close)
    assert _empty_patches(replace(picture, hands=[*picture.hands, lost]), config) == []


def test_the_arm_below_a_hand_is_a_place_without_one():
    config = replace(SMALL, empty_places=1)
    found = []
    for sample in drawn_samples(8, seed=7):
        picture = whole_picture(sample)
        below = int(np.asarray(sample.joints_image)[:, 1].max()) + 10
        picture.image[below:] = (200, 0, 0)
        found += [patch.image[60, 60] for patch in _empty_patches(picture, config)[1:]]
    assert len(found) >= 3
    np.testing.assert_array_equal(found, [(200, 0, 0)] * len(found))


def test_a_view_of_a_scene_shows_its_hands_where_its_maps_have_them(tmp_path):
    spec = write_truth(tmp_path / "set", drawn_samples(4))
    source = Scenes([DataSet(parse_spec(spec))], SceneConfig(size=64, patch=80), PLAIN, tmp_path / "records")
    views = [source.sample(i % 4, np.random.default_rng(i)) for i in range(12)]
    batch = source.collate(views)
    assert batch.image.shape == (12, 3, 64, 64)
    shown = 0
    for i, (picture, *hands) in enumerate(views):
        assert picture.image is not None
        for hand in hands:
            uv = hand.joints_image
            if not ((uv > 4) & (uv < 60)).all():
                continue
            shown += 1
            column, row = (int(v) // 8 for v in (uv.min(0) + uv.max(0)) / 2 + 0.5)
            assert batch.centre[i, row, column] == 1
            assert bool(batch.side[i, row, column] > 0.5) == (hand.side == "left")
            # Fingers up, or turned a little: the thumb tells the side in the view as well.
            assert (hand.side == "left") == (uv[4, 0] < uv[20, 0])
    assert shown >= 3


def test_pictures_with_an_unplaced_hand_teach_the_detector_nothing(tmp_path):
    samples = drawn_samples(2)
    spec = write_truth(tmp_path / "set", [samples[0], replace(samples[1], joints_image=None, joints_camera=None)])
    source = Scenes([DataSet(parse_spec(spec))], SceneConfig(size=64, patch=80), PLAIN, tmp_path / "records")
    assert len(source) == 1


def test_the_group_of_a_picture_is_the_same_under_every_name_of_its_set(tmp_path):
    spec = write_truth(tmp_path / "Bilder-von-H\u00e4nden", drawn_samples(3))
    sets = [DataSet(parse_spec(text)) for text in (spec, spec + ":2d")]
    source = Crops(sets, SMALL, PLAIN, tmp_path / "records")
    views = Scenes(sets, SceneConfig(size=64, patch=80), PLAIN, tmp_path / "records")
    for found in (source, views):
        groups = [found.group(i) for i in range(6)]
        assert groups[:3] == groups[3:]
        assert len(set(groups)) == 3
