"""Reading pictures nobody vouches for, cutting, and augmentations."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from knuckle.camera import Camera
from knuckle.image import PictureError, augment, cut, focal_length_pixels, read_picture
from knuckle.image.cut import apply_affine, invert_affine, square


def _picture(height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 5 * y, 128 + 0 * x], axis=-1).astype(np.uint8)


def _write(path: Path, picture: np.ndarray, *options: int) -> Path:
    assert cv2.imwrite(str(path), picture, list(options))
    return path


def _exif(orientation: int, focal: int) -> bytes:
    """An APP1 segment with an orientation and a 35 mm focal length."""
    first = struct.pack("<HHHIHH", 2, 0x0112, 3, 1, orientation, 0) + struct.pack("<HHII", 0x8769, 4, 1, 38)
    second = struct.pack("<HHHIHH", 1, 0xA405, 3, 1, focal, 0) + struct.pack("<I", 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", 0) + second
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def test_grey_16_bit_alpha_and_one_pixel_become_rgb(tmp_path):
    rgb = _picture()
    grey = read_picture(_write(tmp_path / "grey.png", rgb[..., 0]))
    deep = read_picture(_write(tmp_path / "deep.png", rgb[..., ::-1].astype(np.uint16) * 257))
    alpha = np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 255, np.uint8)])
    alpha[:, :10, 3] = 0
    clear = read_picture(_write(tmp_path / "alpha.png", alpha))
    np.testing.assert_array_equal(grey, np.repeat(rgb[..., :1], 3, axis=2))
    np.testing.assert_array_equal(deep, rgb)
    assert (clear[:, :10] == 128).all()
    np.testing.assert_array_equal(clear[:, 10:], rgb[:, 10:])
    assert read_picture(_write(tmp_path / "one.png", rgb[:1, :1])).shape == (1, 1, 3)


def _of_pillow(kind: str, picture: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(picture).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_tiff_is_read_as_another_library_writes_it(tmp_path, compression):
    path = tmp_path / "a.tiff"
    path.write_bytes(_of_pillow("TIFF", _picture(), compression=compression))
    np.testing.assert_array_equal(read_picture(path), _picture())
    deep = _write(tmp_path / "deep.tiff", _picture()[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_picture(deep), _picture())
    path.write_bytes(_of_pillow("TIFF", _picture(), tiffinfo={274: 6}))
    assert read_picture(path).shape == (60, 40, 3)


def test_of_a_gif_the_first_picture_is_read_on_grey(tmp_path):
    flat = np.full((40, 60, 4), (200, 100, 50, 255), np.uint8)
    flat[:, :10, 3] = 0
    later = PIL.Image.fromarray(np.zeros_like(flat))
    (tmp_path / "a.gif").write_bytes(_of_pillow("GIF", flat, save_all=True, append_images=[later], duration=50))
    picture = read_picture(tmp_path / "a.gif")
    np.testing.assert_array_equal(picture[:, :10], np.full((40, 10, 3), 128))
    np.testing.assert_allclose(picture[:, 10:], np.broadcast_to(flat[0, 10, :3], (40, 50, 3)), atol=4)


def test_exif_turns_the_picture_and_tells_the_focal_length(tmp_path):
    path = _write(tmp_path / "a.jpg", _picture())
    data = path.read_bytes()
    path.write_bytes(data[:2] + _exif(6, 27) + data[2:])
    assert read_picture(path).shape == (60, 40, 3)
    focal = focal_length_pixels(path.read_bytes(), 3600, 2400)
    assert focal == pytest.approx(2700, rel=1e-6)
    assert focal_length_pixels(data, 3600, 2400) is None


def test_what_is_no_picture_is_named_in_one_line(tmp_path):
    whole = _write(tmp_path / "whole.jpg", _picture()).read_bytes()
    png = _write(tmp_path / "whole.png", _picture()).read_bytes()
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    tiff, gif = (_of_pillow(kind, _picture()) for kind in ("TIFF", "GIF"))
    wide = struct.pack("<HHII", 256, 4, 1, 2**31 - 1)
    tags = tiff.find(struct.pack("<HHI", 256, 4, 1)), tiff.find(struct.pack("<HHI", 256, 3, 1))
    huge = tiff[: max(tags)] + wide + tiff[max(tags) + 12 :]
    bomb = png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]
    cases = {
        "empty.jpg": (b"", "is empty"),
        "text.jpg": (b"hello, this is text and not a picture", "convert it"),
        "cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "cut.png": (png[: len(png) // 2], "truncated"),
        "bomb.png": (bomb, "at most"),
        "cut.tiff": (tiff[:-2000], "truncated|cannot be decoded"),
        "bomb.tiff": (huge, "at most"),
        "float.tiff": (_of_pillow("TIFF", np.zeros((4, 4), np.float32)), "cannot be decoded"),
        "header.tiff": (tiff[:9], "truncated"),
        "cut.gif": (gif[: len(gif) // 2], "truncated"),
    }
    for name, (data, wanted) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureError, match=wanted) as caught:
            read_picture(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(tmp_path / "absent.jpg")


def test_square_puts_the_centre_in_the_middle_and_back():
    affine = square((30.0, 20.0), 16.0, 0.7, 33, mirrored=True)
    np.testing.assert_allclose(apply_affine(affine, np.array([[30.0, 20.0]])), [[16.0, 16.0]])
    points = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(apply_affine(invert_affine(affine), apply_affine(affine, points)), points, atol=1e-9)


@pytest.mark.parametrize("side", [20.0, 100.0, 300.0])
def test_cut_keeps_a_spot_where_the_map_says(side):
    picture = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(picture, (150, 110), 12, (255, 255, 255), -1)
    affine = square((140.0, 100.0), side, 0.4, 64)
    crop = cut(picture, affine, (64, 64))[..., 0].astype(float)
    crop[crop < 140] = 0  # outside, and the black around the spot
    if side > 50:
        v, u = (np.mgrid[:64, :64] * crop).sum((1, 2)) / crop.sum()
        np.testing.assert_allclose([u, v], apply_affine(affine, np.array([[150.0, 110.0]]))[0], atol=0.3)
    else:
        assert crop.max() == 255


@pytest.mark.parametrize("name", ["recolour", "shade", "blur", "noise", "jpeg", "mix_amplitude", "cover"])
def test_augmentations_keep_shape_and_input_and_follow_the_seed(name):
    picture, other = _picture(), _picture()[::-1].copy()
    kept = picture.copy()
    more = (other,) if name in ("mix_amplitude", "cover") else ()
    first, second = (getattr(augment, name)(picture, *more, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(picture, kept)
    np.testing.assert_array_equal(first, second)
    assert first.shape == picture.shape
    assert first.dtype == np.uint8


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_square_is_the_crop_of_a_camera(mirrored, rng):
    """One algebra: what the square is turned by is what the camera's box is turned back by."""
    camera = Camera.from_fov((640, 480), 1.0)
    for _ in range(20):
        centre, side, angle = rng.uniform(0, 480, 2), rng.uniform(20, 400), rng.uniform(-4, 4)
        crop = camera.crop_around(centre, side, (96, 96), rotation=-angle, mirror=mirrored)
        affine = square((centre[0], centre[1]), side, angle, 96, mirrored)
        np.testing.assert_allclose(affine, crop.warp[:2], rtol=1e-12, atol=1e-12)
