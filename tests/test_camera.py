import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from knuckle.camera import Camera
from knuckle.geometry.rigid import make_rigid, transform_points

MIRROR = np.diag([-1.0, 1.0, 1.0])


def skewed() -> Camera:
    """Unequal focal lengths and a skew: everything below must hold for them too."""
    return Camera(np.array([[610.0, 3.0, 330.0], [0, 590.0, 228.0], [0, 0, 1]]), (640, 480))


def hand(rng, batch=()):
    return rng.uniform([-0.1, -0.1, 0.4], [0.1, 0.1, 0.6], size=(*batch, 21, 3))


@pytest.mark.parametrize("batch", [(), (0,), (1,), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_project_and_unproject(batch, dtype, to_array, rng):
    points = to_array(hand(rng, batch).astype(dtype))
    camera = skewed().to(points)
    uv = camera.project(points)
    assert uv.dtype == points.dtype
    homogeneous = np.asarray(points) @ np.asarray(camera.K).T
    np.testing.assert_allclose(np.asarray(uv), homogeneous[..., :2] / homogeneous[..., 2:], rtol=1e-5)
    back = camera.unproject(uv, points[..., 2])
    np.testing.assert_allclose(np.asarray(back), np.asarray(points), atol=1e-6)


def test_a_point_in_the_lens_has_no_pixel(to_array):
    points = to_array(np.array([[0.1, 0.2, 0.0], [0.0, 0.0, 1.0]]))
    uv = np.asarray(skewed().to(points).project(points))
    assert np.isnan(uv[0]).all()
    np.testing.assert_array_equal(uv[1], [330, 228])


CROPS = {
    "plain": {},
    "turned": {"rotation": 0.7},
    "mirrored": {"mirror": True},
    "both": {"rotation": -2.5, "mirror": True},
}


@pytest.mark.parametrize("how", CROPS)
def test_crop_agrees_with_its_warp(how, to_array, rng):
    points = to_array(hand(rng, (4,)))
    camera = skewed().to(points)
    crop = camera.crop([200, 100, 420, 360], (224, 192), **CROPS[how])
    in_crop = crop.from_camera(points)
    uv = camera.project(points)
    np.testing.assert_allclose(np.asarray(crop.project(in_crop)), np.asarray(crop.from_picture(uv)), atol=1e-9)
    np.testing.assert_allclose(np.asarray(crop.to_picture(crop.from_picture(uv))), np.asarray(uv), atol=1e-9)
    np.testing.assert_allclose(np.asarray(crop.to_camera(in_crop)), np.asarray(points), atol=1e-12)
    np.testing.assert_array_equal(np.asarray(in_crop)[..., 2], np.asarray(points)[..., 2])
    assert bool(crop.mirrored) == ("mirror" in CROPS[how])
    np.testing.assert_allclose(
        np.asarray(crop.K @ crop.R_crop_camera), np.asarray(crop.warp @ camera.K), rtol=1e-12, atol=1e-9
    )
    K = np.asarray(crop.K)
    assert K[0, 0] > 0
    assert K[1, 1] > 0
    assert K[1, 0] == 0


def test_crop_of_a_crop(to_array, rng):
    points = to_array(hand(rng))
    camera = skewed().to(points)
    once = camera.crop([200, 100, 420, 320], (256, 256), rotation=0.3, mirror=True)
    twice = once.crop_around([100, 120], 90.0, (64, 48), rotation=-1.0, mirror=True).scale(2.0)
    assert twice.size == (128, 96)
    assert not bool(twice.mirrored)
    expected = twice.from_picture(camera.project(points))
    np.testing.assert_allclose(np.asarray(twice.project(twice.from_camera(points))), np.asarray(expected), atol=1e-9)


def test_crop_corners():
    """The box's edges become the crop's edges, half a pixel outside the outer pixel centres."""
    crop = skewed().crop([10, 20, 110, 70], (50, 100))
    np.testing.assert_allclose(crop.from_picture(np.array([[10.0, 20], [110, 70]])), [[-0.5, -0.5], [49.5, 99.5]])
    mirrored = skewed().crop([10, 20, 110, 70], (50, 100), mirror=True)
    np.testing.assert_allclose(mirrored.from_picture(np.array([[10.0, 20], [110, 70]])), [[49.5, -0.5], [-0.5, 99.5]])
    # rotated by 90 degrees: the crop's x axis points down in the picture
    turned = skewed().crop([0, 0, 100, 100], (100, 100), rotation=np.pi / 2)
    np.testing.assert_allclose(turned.from_picture(np.array([[50.0, 50], [50, 60]])), [[49.5, 49.5], [59.5, 49.5]])
    whole = skewed().crop([-0.5, -0.5, 639.5, 479.5], (640, 480))
    np.testing.assert_allclose(whole.warp, np.eye(3), atol=1e-12)
    around = skewed().crop_around([60, 45], 100.0, (50, 25))
    np.testing.assert_allclose(around.warp, skewed().crop([10, 20, 110, 70], (50, 25)).warp)


def test_whole_picture_moves(rng):
    camera = skewed()
    np.testing.assert_allclose(camera.mirror().from_picture(np.array([[0.0, 7]])), [[639, 7]])
    np.testing.assert_allclose(camera.mirror().mirror().warp, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(camera.rotate(0.4).rotate(-0.4).warp, np.eye(3), atol=1e-9)
    # counter-clockwise: points right of the centre move up
    moved = camera.rotate(np.pi / 2).from_picture(np.array([[329.5, 239.5]]))
    np.testing.assert_allclose(moved, [[319.5, 229.5]])
    assert camera.scale(0.5).size == (320, 240)
    np.testing.assert_allclose(camera.resize((320, 240)).K[1, 1], 295)
    with pytest.raises(ValueError, match="size must be known"):
        Camera(camera.K).mirror()


def test_a_batch_of_crops(to_array, rng):
    """Every crop with its own box, rotation and side, mirrored for left hands."""
    points = hand(rng, (3,))
    boxes = np.array([[200, 100, 420, 360], [0, 0, 50, 60], [300.5, 200, 330, 240]])
    turns, mirrors = np.array([0.0, 1.0, -2.0]), np.array([True, False, True])
    camera = skewed().to(to_array(points))
    many = camera.crop(to_array(boxes), (64, 64), rotation=to_array(turns), mirror=to_array(mirrors))
    np.testing.assert_array_equal(np.asarray(many.mirrored), mirrors)
    uv = np.asarray(many.project(many.from_camera(to_array(points))))
    for i in range(3):
        one = skewed().crop(boxes[i], (64, 64), rotation=float(turns[i]), mirror=bool(mirrors[i]))
        np.testing.assert_allclose(uv[i], one.project(one.from_camera(points[i])), atol=1e-9)
    assert camera.crop(to_array(boxes[:0]), (64, 64)).K.shape == (0, 3, 3)


@pytest.mark.parametrize("how", CROPS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_poses_follow_their_hand(how, side, to_array, rng):
    """The convention for left hands holds in the crop as in the camera, with sides exchanged where mirrored."""
    joints_hand = rng.normal(size=(21, 3))
    pose = np.asarray(make_rigid(Rotation.random(rng=rng).as_matrix(), np.array([0.1, 0.2, 5])))
    camera = skewed().to(to_array(pose))
    crop = camera.crop([200, 100, 420, 360], (224, 192), **CROPS[how])
    in_camera = transform_points(pose, joints_hand @ MIRROR if side == "left" else joints_hand)
    in_crop = crop.pose_from_camera(to_array(pose))
    left_in_crop = (side == "left") != bool(crop.mirrored)
    joints_crop = transform_points(np.asarray(in_crop), joints_hand @ MIRROR if left_in_crop else joints_hand)
    np.testing.assert_allclose(joints_crop, np.asarray(crop.from_camera(to_array(in_camera))), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(np.asarray(in_crop)), 1)
    np.testing.assert_allclose(np.asarray(crop.pose_to_camera(in_crop)), pose, atol=1e-12)


def test_warp_cuts_the_picture_where_the_camera_says():
    """A blob at a projected point is found, in the warped picture, where the crop projects that point."""
    camera = Camera.from_intrinsics(300.0, 300.0, 160.0, 120.0, (320, 240))
    point = np.array([[0.03, -0.02, 0.5]])
    u, v = camera.project(point)[0]
    y, x = np.mgrid[:240, :320]
    picture = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 4.0**2)).astype(np.float32)
    crop = camera.crop([140, 60, 220, 140], (160, 160), rotation=0.5, mirror=True)
    cut = cv2.warpAffine(picture, crop.warp[:2], crop.size, flags=cv2.INTER_LINEAR)
    y, x = np.mgrid[:160, :160]
    found = np.array([(cut * x).sum(), (cut * y).sum()]) / cut.sum()
    np.testing.assert_allclose(found, crop.project(crop.from_camera(point))[0], atol=0.05)


def test_from_fov():
    camera = Camera.from_fov((640, 480), np.radians(60))
    np.testing.assert_allclose(camera.rays(np.array([[639.5, 239.5]]))[0, 0], np.tan(np.radians(30)))
    assert Camera.from_fov((480, 640), np.radians(60)).K[0, 0] == camera.K[0, 0]
    with pytest.raises(ValueError, match="radians"):
        Camera.from_fov((640, 480), 60.0)


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (np.eye(4), "must be an array"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "must be an array"),
        (np.eye(3, dtype=int), "must be floating"),
        (skewed().K.T.copy(), "transpose it"),
        (np.diag([-500.0, 500, 1]), "fx, fy > 0"),
        (np.full((3, 3), np.nan), "must be"),
    ],
)
def test_bad_intrinsics(K, message):
    with pytest.raises(ValueError, match=message):
        Camera(K)


def test_bad_sizes_and_boxes():
    with pytest.raises(ValueError, match="size must be"):
        Camera(np.eye(3), (0, 5))
    with pytest.raises(ValueError, match="x1 > x0"):
        skewed().crop([10, 10, 5, 20], (64, 64))


def test_gradients(rng):
    points = torch.tensor(hand(rng), requires_grad=True)
    crop = skewed().to(points).crop([200, 100, 420, 360], (224, 192), rotation=0.3, mirror=True)
    assert torch.autograd.gradcheck(lambda p: crop.project(crop.from_camera(p)), points)
    uv, relative, scale = (x.detach().requires_grad_() for x in crop.to_25d(crop.from_camera(points)))
    assert torch.autograd.gradcheck(lambda *a: crop.lift_25d(*a)[0], (uv, relative, scale))


# 2.5D


@pytest.mark.parametrize("batch", [(), (0,), (1,), (3,)])
@pytest.mark.parametrize("bone", [(0, 9), (9, 10)])
def test_25d_round_trip(batch, bone, to_array, rng):
    """With the true depth as the expected one every hand is recovered; without it all that are not flagged."""
    points = to_array(hand(rng, batch))
    crop = skewed().to(points).crop([200, 100, 420, 360], (224, 192), rotation=0.5)
    uv, relative, scale = crop.to_25d(points, bone)
    lifted, roots = crop.lift_25d(uv, relative, scale, bone, expected=points[..., 0, 2])
    np.testing.assert_allclose(np.asarray(lifted), np.asarray(points), rtol=1e-6, atol=1e-9)
    lifted = np.asarray(crop.lift_25d(uv, relative, scale, bone)[0])
    sure = ~np.asarray(roots.ambiguous)
    np.testing.assert_allclose(lifted[sure], np.asarray(points)[sure], rtol=1e-6, atol=1e-9)
    unit = np.asarray(crop.lift_25d(uv, relative, bone=bone)[0])
    np.testing.assert_allclose(np.linalg.norm(unit[..., bone[1], :] - unit[..., bone[0], :], axis=-1), 1)


def test_roots_as_published(to_array, rng):
    """Compare with the roots of the explicit quadratic."""
    rays = np.concatenate([rng.uniform(-0.3, 0.3, size=(500, 2, 2)), np.ones((500, 2, 1))], axis=-1)
    z = np.stack([np.zeros(500), rng.uniform(-0.5, 0.5, 500)], axis=-1)
    (xm, ym), (xn, yn), zm, zn = rays[:, 0, :2].T, rays[:, 1, :2].T, z[:, 0], z[:, 1]
    a = (xn - xm) ** 2 + (yn - ym) ** 2
    b = 2 * (zn * (xn**2 + yn**2 - xn * xm - yn * ym) + zm * (xm**2 + ym**2 - xn * xm - yn * ym))
    c = (xn * zn - xm * zm) ** 2 + (yn * zn - ym * zm) ** 2 + (zn - zm) ** 2 - 1
    root = np.sqrt(b**2 - 4 * a * c)
    from knuckle.geometry.depth import root_depth

    found = root_depth(to_array(rays), to_array(z), bone=(0, 1))
    np.testing.assert_allclose(np.asarray(found.far), (-b + root) / (2 * a))
    np.testing.assert_allclose(np.asarray(found.near), (-b - root) / (2 * a))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_the_wrong_root_is_always_flagged(seed):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    start = rng.uniform([-0.3, -0.3, 0.4], [0.3, 0.3, 1.0])
    points = np.stack([start, start + 0.1 * direction / np.linalg.norm(direction)])
    camera = skewed()
    uv, relative, scale = camera.to_25d(points, bone=(0, 1))
    lifted, roots = camera.lift_25d(uv, relative, scale, bone=(0, 1))
    best = min(abs(roots.far * scale - start[2]), abs(roots.near * scale - start[2]))
    assert bool(roots.ambiguous) or np.abs(lifted - points).max() < 1e-6
    assert bool(roots.ambiguous) or best < 1e-6


def test_flags_are_rare_and_end_on_bones_are_flagged(rng):
    direction = rng.normal(size=(4000, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    start = rng.uniform([-0.15, -0.1, 0.5], [0.15, 0.1, 0.8], size=(4000, 3))
    camera = skewed()
    points = np.stack([start, start + 0.09 * direction], axis=-2)
    _, roots = camera.lift_25d(*camera.to_25d(points, bone=(0, 1)), bone=(0, 1))
    assert np.asarray(roots.ambiguous).mean() < 0.08
    radial = np.stack([start, start * 1.1], axis=-2)
    uv, relative, _ = camera.to_25d(radial, bone=(0, 1))
    lifted, roots = camera.lift_25d(uv, relative, bone=(0, 1))
    assert np.asarray(roots.ambiguous).all()
    assert np.isfinite(lifted).all()


def test_gradient_is_finite_without_a_real_root():
    """Noise can give a depth difference larger than the bone; and a bone can project to a point."""
    camera = skewed().to(torch.zeros(1))
    uv = torch.tensor([[[300.0, 200], [310, 205]], [[300, 200], [300, 200]]], requires_grad=True)
    relative = torch.tensor([[0.0, 1.5], [0.0, 0.9]], requires_grad=True)
    points, roots = camera.lift_25d(uv, relative, bone=(0, 1))
    assert roots.ambiguous.all()
    points.sum().backward()
    for value in (points, uv.grad, relative.grad):
        assert value is not None
        assert torch.isfinite(value).all()
