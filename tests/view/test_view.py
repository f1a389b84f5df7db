import numpy as np
import pytest
from view_shapes import sphere

from knuckle.camera import Camera
from knuckle.geometry.surface import vertex_normals
from knuckle.view.bones import FINGER_COLORS, draw_box, draw_skeleton
from knuckle.view.mesh import INSIDE, blend, overlay_mesh, render_mesh
from knuckle.view.sheet import FOUR_SIDES, VIEWS, render_sheet, render_view, view_camera


def camera(size=128, focal=200.0):
    centre = (size - 1) / 2
    return Camera(np.asarray([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]]), (size, size))


def test_bones_of_a_small_hand_are_thin():
    rng = np.random.default_rng(0)
    picture = np.zeros((1000, 1000, 3), np.uint8)
    large = 300.0 + 400.0 * rng.random((21, 2))
    large[:2] = [[300.0, 300.0], [700.0, 700.0]]
    small = 500.0 + 0.2 * (large - 500.0)
    covered = [float((draw_skeleton(picture, joints) > 0).any(-1).sum()) for joints in (large, small)]
    # A fifth of the length at a quarter of the thickness; at the same thickness it would be a fifth.
    assert covered[1] < 0.1 * covered[0]


def test_a_sphere_is_a_lit_disc():
    vertices, faces = sphere(centre=(0.0, 0.0, 0.4))
    picture = render_mesh(vertices, faces, camera())
    assert picture.shape == (128, 128, 4)
    alpha = picture[..., 3] / 255.0
    radius = 200 * 0.05 / np.sqrt(0.4**2 - 0.05**2)
    assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
    assert 0 < ((alpha > 0) & (alpha < 1)).sum() < 8 * radius  # a soft edge, and only there
    rows, columns = np.nonzero(alpha == 1)
    light = picture[rows, columns, :3].sum(axis=-1).astype(float)
    assert np.corrcoef(light, -rows - columns)[0, 1] > 0.5  # the key light is up on the left


def test_a_face_seen_from_behind_is_red():
    vertices, faces = sphere(centre=(0.0, 0.0, 0.4))
    middle = render_mesh(vertices, faces[:, ::-1], camera())[64, 64, :3] / 255.0
    assert middle[0] > 2 * middle[1]
    assert middle[0] == pytest.approx(INSIDE[0], abs=0.3)


def test_colors_by_face_and_by_vertex_agree_and_others_are_refused():
    vertices, faces = sphere(rings=8, centre=(0.0, 0.0, 0.4))
    green = (0.1, 0.7, 0.1)
    one = render_mesh(vertices, faces, camera(), colors=green)
    by_face = render_mesh(vertices, faces, camera(), colors=np.tile(green, (len(faces), 1)))
    by_vertex = render_mesh(vertices, faces, camera(), colors=np.tile(green, (len(vertices), 1)))
    np.testing.assert_array_equal(one, by_face)
    np.testing.assert_allclose(one.astype(int), by_vertex.astype(int), atol=1)
    with pytest.raises(ValueError, match="colors must"):
        render_mesh(vertices, faces, camera(), colors=np.zeros((3, 3)))


def test_size_must_come_from_somewhere():
    vertices, faces = sphere(centre=(0.0, 0.0, 0.4))
    with pytest.raises(ValueError, match="size must"):
        render_mesh(vertices, faces, Camera(camera().K))
    assert render_mesh(vertices, faces, Camera(camera().K), (40, 30)).shape == (30, 40, 4)


def test_normals_of_a_sphere_point_outwards():
    vertices, faces = sphere(rings=32)
    cosine = (vertex_normals(vertices, faces) * vertices / 0.05).sum(axis=-1)
    assert cosine.min() > 0.999
    lonely = vertex_normals(np.zeros((1, 3)), np.zeros((0, 3), int))
    np.testing.assert_array_equal(lonely, [[0, 0, 1]])


def test_overlay_mixes_by_alpha():
    vertices, faces = sphere(centre=(0.0, 0.0, 0.4))
    photo = np.full((128, 128, 3), 100, np.uint8)
    full = overlay_mesh(photo, vertices, faces, camera(), alpha=1.0)
    half = overlay_mesh(photo, vertices, faces, camera(), alpha=0.5)
    np.testing.assert_allclose(half, (full.astype(float) + 100) / 2, atol=1)
    np.testing.assert_array_equal(blend(photo, np.zeros((128, 128, 4), np.uint8)), photo)


def test_an_overlay_is_the_rendered_mesh_also_where_it_leaves_the_picture():
    photo = np.random.default_rng(2).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    for x in (0.0, 0.12, -0.13, 0.5):
        vertices, faces = sphere(centre=(x, 0.03, 0.4))
        whole = blend(photo, render_mesh(vertices, faces, camera()), 0.7)
        np.testing.assert_allclose(overlay_mesh(photo, vertices, faces, camera()).astype(int), whole, atol=2)
    np.testing.assert_array_equal(overlay_mesh(photo, vertices * [1, 1, -1], faces, camera()), photo)


def test_a_mesh_that_fills_a_large_picture_is_drawn_as_in_a_small_one():
    vertices, faces = sphere(centre=(0.0, 0.0, 0.3))
    photo = np.full((1700, 1700, 3), 90, np.uint8)
    large = overlay_mesh(photo, vertices, faces, camera(1700, 3400.0)).astype(int)
    small = overlay_mesh(photo[:425, :425], vertices, faces, camera(425, 850.0)).astype(int)
    means = large.reshape(425, 4, 425, 4, 3).mean((1, 3))
    assert np.abs(means - small).mean() < 1.0
    # No dark line where the mesh ends.
    assert large.min() >= min(small.min(), 90) - 3


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_a_rotation_that_keeps_all_points_in_the_picture(view):
    points = np.random.default_rng(1).normal(size=(50, 3)) * [0.02, 0.08, 0.03] + [0, 0.1, 0]
    pose, seen_by = view_camera(points, view, 200)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    pixels = np.asarray(seen_by.project(points @ pose[:3, :3].T + pose[:3, 3]))
    assert pixels.min() > 0
    assert pixels.max() < 199


def test_palm_view_has_the_fingers_up_and_the_thumb_right():
    hand = np.asarray([[0, 0, 0], [0, 0.17, 0], [0.06, 0.08, 0.0]])
    pose, seen_by = view_camera(hand, "palm", 100)
    wrist, finger, thumb = np.asarray(seen_by.project(hand @ pose[:3, :3].T + pose[:3, 3]))
    assert finger[1] < wrist[1]
    assert thumb[0] > wrist[0]


def test_unknown_view_and_no_points_are_refused():
    with pytest.raises(ValueError, match="view must be one of"):
        view_camera(np.zeros((1, 3)), "inside", 64)
    with pytest.raises(ValueError, match="at least one point"):
        view_camera(np.zeros((0, 3)), "palm", 64)


def test_sheet_shows_all_sides():
    vertices, faces = sphere(rings=8)
    joints = np.random.default_rng(0).normal(size=(21, 3)) * 0.02
    sheet = render_sheet(vertices, faces, 96, title="ball", joints=joints)
    assert sheet.shape == (96, 96 * len(FOUR_SIDES), 3)
    assert render_view(vertices, faces, "palm", 96).shape == (96, 96, 4)


def test_skeleton_colours_fingers_fades_uncertain_joints_and_skips_missing_ones():
    black = np.zeros((100, 100, 3), np.uint8)
    joints = np.stack([np.linspace(5, 95, 21), np.full(21, 50.0)], axis=-1)
    joints[4] = [30.0, 20.0]
    certain = draw_skeleton(black, joints)
    assert (black == 0).all()
    tip = joints[4].astype(int)
    np.testing.assert_allclose(certain[tip[1], tip[0]], FINGER_COLORS["thumb"], atol=3)
    uncertain = draw_skeleton(black, joints, np.full(21, 10.0))
    assert uncertain[tip[1], tip[0]].sum() < certain[tip[1], tip[0]].sum()
    assert (uncertain.sum(axis=-1) > 0).sum() > (certain.sum(axis=-1) > 0).sum()  # uncertainty discs
    nothing = draw_skeleton(black, np.full((21, 2), np.nan))
    assert (nothing == 0).all()
    assert draw_skeleton(black, joints + 1000.0).shape == black.shape


def test_a_box_is_drawn_along_its_edges_and_broken_corners_leave_theirs_out():
    black = np.zeros((100, 100, 3), np.uint8)
    corners = np.array([[20 + 60 * (i >> 2 & 1), 20 + 60 * (i >> 1 & 1)] for i in range(8)], float)
    corners[[1, 3, 5, 7]] += 10.0
    drawn = draw_box(black, corners, thickness=1.0)
    assert drawn[20, 50].sum() > 100
    assert drawn[50, 20].sum() > 100
    assert drawn[50, 50].sum() == 0
    assert black.sum() == 0
    corners[0] = np.nan
    assert draw_box(black, corners, thickness=1.0)[20, 50].sum() == 0
    corners[0] = 1e300
    assert draw_box(black, corners).shape == black.shape
