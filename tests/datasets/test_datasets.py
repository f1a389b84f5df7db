"""Every reader on a tiny set in the set's own format: the right joints, where the picture shows them."""

import json
from pathlib import Path

import numpy as np
import pytest

import tiny_sets
from knuckle.datasets import (
    ArrayFolder,
    BrokenDataset,
    CocoHands,
    DexterObject,
    DexYcb,
    Fpha,
    FreiHand,
    GaneratedHands,
    Ho3d,
    Hop,
    InterHand,
    ObMan,
    Rhd,
    Stb,
    TruthList,
)
from knuckle.datasets.boxes import binary_order, box_or_none, oriented_corners
from knuckle.datasets.layout import read_json, read_number_list, read_numbers
from knuckle.datasets.obman import _box_of
from knuckle.handmodel import HandModel
from knuckle.metrics import project
from mano_fixture import mano_arrays, mano_twin, write_mano_pickle

# How each set is written, and read whole.
SETS = {
    "freihand": (tiny_sets.freihand, FreiHand, {}),
    "rhd": (tiny_sets.rhd, Rhd, {}),
    "stb": (tiny_sets.stb, Stb, {"wrist": "palm"}),
    "stb right camera": (lambda root: tiny_sets.stb(root, "BB_right"), Stb, {"view": "BB_right", "wrist": "palm"}),
    "stb colour": (lambda root: tiny_sets.stb(root, "SK_color"), Stb, {"view": "SK_color", "wrist": "palm"}),
    "dexter-object": (tiny_sets.dexter_object, DexterObject, {}),
    "ho3d v2": (tiny_sets.ho3d, Ho3d, {}),
    "ho3d v3": (lambda root: tiny_sets.ho3d(root, "v3"), Ho3d, {"version": "v3"}),
    "fpha": (tiny_sets.fpha, Fpha, {"split": "all"}),
    "obman": (tiny_sets.obman, ObMan, {}),
    "ganerated": (tiny_sets.ganerated, GaneratedHands, {}),
    "hop": (tiny_sets.hop, Hop, {"split": "all"}),
    "dexycb": (tiny_sets.dexycb, DexYcb, {}),
    "interhand": (tiny_sets.interhand, InterHand, {}),
    "own": (tiny_sets.truth_list, TruthList, {}),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Each set written once."""
    written = {}

    def get(name):
        if name not in written:
            written[name] = SETS[name][0](tmp_path_factory.mktemp("set"))
        return written[name]

    return get


@pytest.mark.parametrize("name", SETS)
class TestEveryReader:
    def test_joints_sides_and_frames_are_the_truth(self, tiny, name):
        truth, (_, reader, options) = tiny(name), SETS[name]
        samples = reader(truth.root, images=False, **options)
        assert len(samples) == len(truth.joints)
        joints = np.stack([s.joints_camera for s in samples])
        np.testing.assert_allclose(joints, truth.joints, atol=2e-6)
        assert [s.side == "left" for s in samples] == truth.left.tolist()
        assert all(s.image is None for s in samples)
        assert len({s.id for s in samples}) == len(samples)

    def test_projected_joints_land_on_the_dots(self, tiny, name):
        truth, (_, reader, options) = tiny(name), SETS[name]
        sample = reader(truth.root, **options)[1]
        uv = project(sample.camera.K, sample.joints_camera)
        height, width = sample.image.shape[:2]
        inside = np.isfinite(uv).all(1) & (uv > 2).all(1) & (uv < [width - 3, height - 3]).all(1)
        assert inside.sum() >= 5
        for u, v in uv[inside]:
            assert sample.image[round(v), round(u)].min() > 150, f"{name}: no dot at {u:.1f}, {v:.1f}"
        if sample.joints_image is not None:
            np.testing.assert_allclose(sample.joints_image, uv, atol=1e-2)

    def test_the_wrong_folder_is_named_with_the_layout(self, name, tmp_path, tiny):
        _, reader, options = SETS[name]
        with pytest.raises(FileNotFoundError, match=r"must (exist|hold)(.|\n)*(laid out as|see|must exist)") as error:
            reader(tmp_path, **options)
        assert str(tmp_path) in str(error.value)
        with pytest.raises(FileNotFoundError, match="laid out as"):
            reader(tmp_path / "nowhere", **options)

    def test_an_unknown_split_is_refused(self, tiny, name):
        truth, (_, reader, options) = tiny(name), SETS[name]
        with pytest.raises(ValueError, match="split must be one of"):
            reader(truth.root, **(options | {"split": "nonsense"}))

    def test_a_missing_picture_is_named_when_it_is_read(self, tiny, name, tmp_path):
        truth, (_, reader, options) = tiny(name), SETS[name]
        samples = reader(truth.root, **options)
        path = samples.picture(0)
        hidden = path.rename(tmp_path / path.name)
        try:
            with pytest.raises(FileNotFoundError, match=path.name):
                samples[0]
        finally:
            hidden.rename(path)


class TestReaderAsSequence:
    def test_negative_indices_slices_and_ends(self, tiny):
        samples = FreiHand(tiny("freihand").root, images=False)
        assert samples[-1].id == samples[len(samples) - 1].id
        assert [s.id for s in samples[1:3]] == [samples[1].id, samples[2].id]
        with pytest.raises(IndexError, match="below 4"):
            samples[4]


class TestFreiHand:
    def test_versions_share_labels_and_number_their_pictures_on(self, tiny):
        root = tiny("freihand").root
        every = FreiHand(root, "training", images=False, version="all")
        assert len(every) == 16
        assert every.picture(5).name == "00000005.jpg"
        np.testing.assert_array_equal(every[5].joints_camera, every[1].joints_camera)
        assert FreiHand(root, "training", images=False, version="hom").picture(1).name == "00000005.jpg"

    def test_training_has_masks_and_evaluation_may_lack_labels(self, tiny, tmp_path):
        truth = tiny("freihand")
        assert FreiHand(truth.root, "training")[0].mask_visible.any()
        (tmp_path / "evaluation_K.json").write_text((truth.root / "evaluation_K.json").read_text())
        bare = FreiHand(tmp_path, images=False)
        assert bare[0].joints_camera is None
        assert bare[0].vertices_camera is None

    def test_a_truncated_annotation_is_named(self, tiny, tmp_path):
        truth = tiny("freihand")
        text = (truth.root / "evaluation_xyz.json").read_text()
        (tmp_path / "evaluation_K.json").write_text((truth.root / "evaluation_K.json").read_text())
        (tmp_path / "evaluation_xyz.json").write_text(text[: len(text) // 2])
        with pytest.raises(BrokenDataset, match=r"evaluation_xyz.json must be a list of lists .* is truncated"):
            FreiHand(tmp_path, images=False)
        (tmp_path / "evaluation_xyz.json").write_text(json.dumps(json.loads(text)[:2]))
        with pytest.raises(BrokenDataset, match=r"as many entries as evaluation_K\.json, 4, but has 2"):
            FreiHand(tmp_path, images=False)


class TestRhd:
    def test_dominant_hand_by_mask_and_by_visible_joints(self, tiny):
        truth = tiny("rhd")
        by_mask = [s.side for s in Rhd(truth.root, images=False)]
        assert by_mask == ["left", "right", "left"]
        # Both hands have one hidden joint: a tie goes to the right hand.
        assert {s.side for s in Rhd(truth.root, images=False, hand="visible")} == {"right"}
        both = Rhd(truth.root, images=False, hand="both")
        assert [s.id for s in both][:2] == ["00000:left", "00000:right"]

    def test_visibility_and_mask_are_of_that_hand(self, tiny):
        sample = Rhd(tiny("rhd").root)[0]
        # Stored joint 3 of the left hand is hidden: the thumb's second from the tip.
        assert np.flatnonzero(~sample.visibility).tolist() == [2]
        assert sample.mask_visible[:200, :100].all()
        assert sample.mask_visible.sum() == 200 * 100

    def test_another_pickle_is_refused(self, tmp_path):
        import pickle

        (tmp_path / "evaluation").mkdir()
        (tmp_path / "evaluation" / "anno_evaluation.pickle").write_bytes(pickle.dumps({0: {"xyz": 1}}))
        samples = Rhd(tmp_path, images=False, hand="left")
        with pytest.raises(BrokenDataset, match="must have the entry 'uv_vis' but has xyz"):
            samples[0]


class TestStb:
    @pytest.mark.parametrize(("recipe", "joint", "factor"), [("ring_2", 13, 2.0), ("middle_2.2", 9, 2.2)])
    def test_the_wrist_by_each_recipe(self, tiny, recipe, joint, factor):
        truth = tiny("stb")
        wrist = Stb(truth.root, images=False, wrist=recipe)[0].joints_camera[0]
        palm, knuckle = truth.joints[0, 0], truth.joints[0, joint]
        np.testing.assert_allclose(wrist, knuckle + factor * (palm - knuckle), atol=1e-9)

    def test_a_label_file_without_handpara(self, tiny, tmp_path):
        import scipy.io

        (tmp_path / "labels").mkdir()
        scipy.io.savemat(tmp_path / "labels" / "B1Counting_BB.mat", {"other": np.zeros(3)})
        with pytest.raises(BrokenDataset, match="must hold handPara but holds other"):
            Stb(tmp_path, images=False)
        (tmp_path / "labels" / "B1Counting_BB.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut")
        with pytest.raises(BrokenDataset, match="must be a MATLAB file but cannot be read"):
            Stb(tmp_path, images=False)


class TestHo3d:
    def test_unannotated_training_frames_have_no_labels(self, tiny):
        samples = Ho3d(tiny("ho3d v2").root, "train", images=False)
        np.testing.assert_allclose(samples[0].joints_camera, tiny("ho3d v2").joints[0], atol=1e-9)
        assert samples[2].joints_camera is None
        assert samples[2].T_camera_object is None
        assert samples[2].object_corners_camera is None

    def test_before_publication_only_the_wrist_is_known(self, tmp_path):
        truth = tiny_sets.ho3d(tmp_path, published=False)
        sample = Ho3d(tmp_path, images=False)[1]
        np.testing.assert_allclose(sample.joints_camera[0], truth.joints[1, 0], atol=1e-9)
        assert np.isnan(sample.joints_camera[1:]).all()
        np.testing.assert_array_equal(sample.box, [10, 20, 110, 220])

    def test_all_is_in_front_of_the_camera(self, tiny):
        samples = Ho3d(tiny("ho3d v2").root, images=False)
        assert all((s.joints_camera[:, 2] > 0).all() for s in samples)
        assert all((s.vertices_camera[:, 2] > 0).all() for s in samples)
        assert all((s.object_corners_camera[:, 2] > 0).all() for s in samples)

    def test_meshes_by_the_users_mano_file(self, tiny, tmp_path):
        arrays = mano_arrays(np.random.default_rng(5), left=False)
        write_mano_pickle(tmp_path / "MANO_RIGHT.pkl", arrays)
        model = HandModel.load(tmp_path / "MANO_RIGHT.pkl")
        samples = Ho3d(tiny("ho3d v2").root, "train", images=False, model=model)
        # The set's zero pose is the flat hand, and its camera is OpenGL's.
        expected, _ = mano_twin(arrays, np.zeros(48), np.zeros(10), np.zeros(3))
        np.testing.assert_allclose(samples[0].vertices_camera, expected * tiny_sets.GL, atol=1e-12)
        assert samples[2].vertices_camera is None
        with pytest.raises(ValueError, match="must be loaded from a MANO file"):
            Ho3d(tiny("ho3d v2").root, images=False, model=HandModel.open())

    def test_the_box_is_in_binary_order_with_x_along_its_length(self, tiny):
        sample = Ho3d(tiny("ho3d v2").root, images=False)[0]
        c = sample.object_corners_camera
        edges = [np.linalg.norm(c[a] - c[b]) for a, b in ((0, 4), (0, 2), (0, 1))]
        np.testing.assert_allclose(edges, [0.2, 0.1, 0.06], atol=1e-9)
        np.testing.assert_allclose(c.mean(0), sample.T_camera_object[:3, 3], atol=1e-9)

    def test_a_list_of_frames_that_is_another_file(self, tmp_path):
        (tmp_path / "evaluation.txt").write_text("no slashes here\n")
        with pytest.raises(BrokenDataset, match="lines SEQUENCE/NUMBER"):
            Ho3d(tmp_path, images=False)

    def test_a_pickle_that_runs_code_is_refused(self, tiny, tmp_path):
        (tmp_path / "evaluation.txt").write_text("A/0000\n")
        folder = tmp_path / "evaluation" / "A" / "meta"
        folder.mkdir(parents=True)
        (folder / "0000.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(ValueError, match=r"posix\.system|os\.system"):
            Ho3d(tmp_path, images=False)[0]


class TestFpha:
    def test_splits(self, tiny):
        root = tiny("fpha").root
        count = {s: len(Fpha(root, s, images=False)) for s in ("ho-val", "ho-test", "subjects-train", "subjects-test")}
        # Two subjects of three sequences of two frames; put_salt has no object poses.
        assert count == {"ho-val": 4, "ho-test": 4, "subjects-train": 6, "subjects-test": 6}
        with pytest.raises(FileNotFoundError, match="'ho-train'"):
            Fpha(root, "ho-train", images=False)

    def test_the_object_is_where_its_pose_says(self, tiny):
        truth = tiny("fpha")
        samples = {s.id: s for s in Fpha(truth.root, "ho-test", images=False)}
        sample = samples["Subject_1/open_milk/3/0001"]
        corners = sample.object_corners_camera
        # The pose was written in world millimetres at the hand's camera coordinates: it moves with the extrinsics.
        np.testing.assert_allclose(corners.mean(0), sample.T_camera_object[:3, 3], atol=1e-6)
        edges = [np.linalg.norm(corners[0] - corners[i]) for i in (4, 2, 1)]
        np.testing.assert_allclose(edges, [0.24, 0.10, 0.06], atol=1e-5)
        assert sample.object_category == "milk"

    def test_a_cut_line_is_named(self, tmp_path):
        folder = tmp_path / "Hand_pose_annotation_v1" / "Subject_1" / "open_milk" / "3"
        folder.mkdir(parents=True)
        (folder / "skeleton.txt").write_text("0 1.0 2.0\n")
        with pytest.raises(BrokenDataset, match="line 1, must hold 64 numbers but holds 3"):
            Fpha(tmp_path, "all", images=False)


class TestObMan:
    def test_meshes_and_boxes(self, tiny, tmp_path):
        truth = tiny("obman")
        sample = ObMan(truth.root, images=False)[0]
        assert sample.vertices_camera.shape == (778, 3)
        assert sample.object_corners_camera is None
        folder = tmp_path / "02876657" / "abc" / "models"
        folder.mkdir(parents=True)
        corners = tiny_sets.box_corners([0.5, 0.25, 0.125])
        faces = "f 1 2 4\nf 1 4 3\nf 5 7 8\nf 5 8 6\n"
        (folder / "model_normalized.obj").write_text("".join(f"v {x} {y} {z}\n" for x, y, z in corners) + faces)
        boxed = ObMan(truth.root, images=False, shapenet_root=tmp_path)[0].object_corners_camera
        # Scaled by 0.2, translated by (0.01, 0, -0.6), then y and z negated.
        np.testing.assert_allclose(boxed.mean(0), [0.01, 0, 0.6], atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(boxed[0] - boxed[4]), 0.2, atol=1e-6)

    def test_meshes_beside_the_set_are_found_and_a_sheet_has_no_box(self, tmp_path):
        truth = tiny_sets.obman(tmp_path / "set")
        folder = truth.root / "ShapeNetCore.v2" / "02876657" / "abc" / "models"
        folder.mkdir(parents=True)
        corners, faces = tiny_sets.box_corners([0.5, 0.25, 0.125]), "f 1 2 4\nf 1 4 3\nf 5 7 8\nf 5 8 6\n"
        for volume, flat in ((False, [1.0, 1.0, 0.0]), (True, [1.0, 1.0, 1.0])):
            _box_of.cache_clear()
            lines = "".join(f"v {x} {y} {z}\n" for x, y, z in corners * flat)
            (folder / "model_normalized.obj").write_text(lines + faces)
            assert (ObMan(truth.root, images=False)[0].object_corners_camera is not None) == volume
        for points in (np.zeros((3, 3)), np.eye(3)[:1], np.outer(np.arange(5.0), [1.0, 2.0, 3.0]), np.eye(3)[:2]):
            assert box_or_none(points) is None
        np.testing.assert_allclose(np.ptp(box_or_none(1e-3 * corners), axis=0), [1e-3, 0.5e-3, 0.25e-3])


class TestDexYcb:
    def test_split_and_empty_frames(self, tiny):
        root = tiny("dexycb").root
        assert len(DexYcb(root, "s0-test", images=False)) == 2
        assert len(DexYcb(root, "s0-val", images=False)) == 4
        assert len(DexYcb(root, "s0-train", images=False)) == 24
        empty = DexYcb(root, "s0-test", images=False, keep_empty=True)
        assert len(empty) == 3
        assert empty[2].joints_camera is None
        assert empty[2].joints_image is None

    def test_masks_and_object(self, tiny):
        sample = DexYcb(tiny("dexycb").root)[0]
        assert sample.mask_visible.sum() == sample.object_mask.sum() == 6400
        assert sample.object_category == "010_potted_meat_can"
        np.testing.assert_allclose(sample.T_camera_object[:3, 3], [0.01, 0.02, 0.7], atol=1e-7)


class TestInterHand:
    def test_hands_boxes_and_subsets(self, tiny):
        samples = InterHand(tiny("interhand").root, images=False)
        assert [samples.subset(i) for i in range(4)] == ["single", "single", "interacting", "interacting"]
        np.testing.assert_array_equal(samples[0].box, [10, 20, 110, 130])
        assert samples[2].box is None
        assert samples[2].id.endswith(":right")
        assert samples[3].id.endswith(":left")

    def test_a_frame_that_is_missing_in_another_file(self, tiny, tmp_path):
        folder = tmp_path / "annotations" / "test"
        folder.mkdir(parents=True)
        for path in (tiny("interhand").root / "annotations" / "test").iterdir():
            (folder / path.name).write_text(path.read_text())
        (folder / "InterHand2.6M_test_joint_3d.json").write_text('{"0": {}}')
        with pytest.raises(BrokenDataset, match="frame 7"):
            InterHand(tmp_path, images=False)[0]


class TestHop:
    def test_categories_masks_and_splits(self, tiny):
        samples = Hop(tiny("hop").root, "test", test_count=3)
        assert [s.object_category for s in samples] == ["bar", "cube", "sphere"]
        assert samples[0].mask_complete.all()
        assert not samples[0].object_mask.any()
        assert len(Hop(tiny("hop").root, "train", images=False, test_count=3)) == 1

    def test_other_variable_names_are_listed(self, tiny):
        with pytest.raises(BrokenDataset, match="must hold joints but holds uv_vis, xyz, K"):
            Hop(tiny("hop").root, keys={"uv": "uv_vis", "xyz": "joints", "K": "K"})


class TestFolders:
    def test_coco_whole_body_hands(self, tmp_path):
        truth, uv = tiny_sets.coco(tmp_path)
        samples = CocoHands(tmp_path)
        assert [s.side for s in samples] == ["left", "right"]
        np.testing.assert_allclose(samples[0].joints_image, uv[0], atol=1e-9)
        assert np.isnan(samples[1].joints_image[5]).all()
        np.testing.assert_array_equal(samples[0].box, [100, 50, 160, 120])
        assert samples[0].joints_camera is None
        assert samples[0].image.shape == (240, 320, 3)
        assert len(truth.joints) == 2

    def test_arrays_stay_on_disk(self, tmp_path):
        joints = np.random.default_rng(0).normal(size=(5, 21, 3)).astype(np.float32)
        np.save(tmp_path / "joints.npy", joints)
        np.save(tmp_path / "left.npy", np.array([True, False, True, False, True]))
        samples = ArrayFolder(tmp_path)
        assert isinstance(samples.joints, np.memmap)
        np.testing.assert_array_equal(samples[3].joints_camera, joints[3])
        assert [s.side for s in samples[:2]] == ["left", "right"]
        np.save(tmp_path / "vertices.npy", np.zeros((5, 778, 2)))
        with pytest.raises(BrokenDataset, match=r"must be \(N, V, 3\) numbers but is \(5, 778, 2\)"):
            ArrayFolder(tmp_path)

    def test_objects_in_npy_are_refused(self, tmp_path):
        np.save(tmp_path / "joints.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(BrokenDataset, match="cannot be read"):
            ArrayFolder(tmp_path)

    def test_several_hands_in_one_picture(self, tmp_path):
        truth = tiny_sets.truth_list(tmp_path)
        entries = json.loads((tmp_path / "truth.json").read_text())
        entries[1]["image"] = entries[0]["image"]
        (tmp_path / "truth.json").write_text(json.dumps(entries))
        assert [s.id for s in TruthList(tmp_path, images=False)][:3] == ["00000:0", "00000:1", "00002"]
        assert len(truth.joints) == 4


class TestLayout:
    @pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
    def test_number_lists_equal_json(self, tmp_path, monkeypatch, shape):
        values = np.random.default_rng(1).normal(size=(7, *shape)) * 10.0 ** np.arange(-3, 4).reshape(
            7, *[1] * len(shape)
        )
        path = tmp_path / "numbers.json"
        path.write_text(json.dumps(values.tolist(), indent=1))
        # Pieces of a few characters cut numbers in two.
        monkeypatch.setattr("knuckle.datasets.layout._CHUNK_CHARS", 13)
        np.testing.assert_array_equal(read_number_list(path, shape, ""), values)

    def test_number_lists_of_another_shape(self, tmp_path):
        path = tmp_path / "numbers.json"
        path.write_text(json.dumps([[1, 2], [3, 4], [5, 6]]))
        with pytest.raises(BrokenDataset, match="must hold 3 numbers an entry"):
            read_number_list(path, (3,), "")
        path.write_text('[["a"]]')
        with pytest.raises(BrokenDataset, match="numbers only"):
            read_number_list(path, (1,), "")

    def test_json_that_breaks_off(self, tmp_path):
        path = tmp_path / "a.json"
        path.write_text('{"images": [')
        with pytest.raises(BrokenDataset, match="truncated"):
            read_json(path, "")

    def test_text_numbers(self, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("1.5, 2\n3")
        np.testing.assert_array_equal(read_numbers(path, 3, ""), [1.5, 2, 3])
        with pytest.raises(BrokenDataset, match="must hold 4 numbers but holds 3"):
            read_numbers(path, 4, "")


class TestBoxes:
    def test_any_order_of_a_box_becomes_the_binary_one(self):
        rng = np.random.default_rng(2)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        corners = tiny_sets.box_corners([0.02, 0.07, 0.05]) @ turn.T + [1, 2, 3]
        expected, _ = binary_order(corners)
        for _ in range(5):
            order = rng.permutation(8)
            found, indices = binary_order(corners[order])
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(corners[order][list(indices)], expected)
        lengths = [np.linalg.norm(expected[0] - expected[i]) for i in (4, 2, 1)]
        np.testing.assert_allclose(lengths, [0.14, 0.1, 0.04])
        # Opposite faces hold what their bits say.
        for bit in (4, 2, 1):
            steps = [expected[i | bit] - expected[i] for i in range(8) if not i & bit]
            np.testing.assert_allclose(steps, np.tile(steps[0], (4, 1)), atol=1e-12)

    def test_a_smallest_box_from_points(self):
        rng = np.random.default_rng(3)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        points = rng.uniform(-1, 1, (500, 3)) * [0.1, 0.04, 0.02]
        points = np.concatenate([points, tiny_sets.box_corners([0.1, 0.04, 0.02])]) @ turn.T
        corners = oriented_corners(points)
        np.testing.assert_allclose(
            [np.linalg.norm(corners[0] - corners[i]) for i in (4, 2, 1)], [0.2, 0.08, 0.04], rtol=1e-3
        )

    def test_points_that_are_not_a_box(self):
        with pytest.raises(ValueError, match="must be a box's"):
            binary_order(np.random.default_rng(4).normal(size=(8, 3)))
        with pytest.raises(ValueError, match="must be a box's"):
            binary_order(np.zeros((8, 3)))


def test_layouts_name_no_absolute_paths():
    """A reader's layout is text without paths of any machine."""
    for _, reader, _ in SETS.values():
        assert not any(line.strip().startswith("/") for line in reader.layout.splitlines())
        assert Path(reader.layout.split()[0]).is_absolute() is False
