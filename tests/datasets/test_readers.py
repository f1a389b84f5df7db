"""Readers by name, the groups that are held out whole, and labels of 2D joints alone."""

import json

import cv2
import numpy as np
import pytest

import tiny_sets
from knuckle.datasets import (
    READERS,
    ArrayFolder,
    BrokenDataset,
    DexYcb,
    Fpha,
    FreiHand,
    GaneratedHands,
    Ho3d,
    InterHand,
    Rhd,
    Stb,
    TruthList,
    WeakLabels,
    open_reader,
    training_split,
)

# How each set is written, and a split that its tiny set has.
SETS = {
    "arrays": (tiny_sets.arrays, None),
    "coco": (tiny_sets.coco, None),
    "dexter-object": (tiny_sets.dexter_object, None),
    "dexycb": (tiny_sets.dexycb, "all"),
    "fpha": (tiny_sets.fpha, "all"),
    "freihand": (tiny_sets.freihand, "training"),
    "ganerated": (tiny_sets.ganerated, None),
    "ho3d-v2": (tiny_sets.ho3d, "train"),
    "ho3d-v3": (lambda root: tiny_sets.ho3d(root, "v3"), "train"),
    "hop": (tiny_sets.hop, "all"),
    "interhand": (tiny_sets.interhand, None),
    "obman": (tiny_sets.obman, None),
    "rhd": (tiny_sets.rhd, None),
    "stb": (tiny_sets.stb, None),
    "truth": (tiny_sets.truth_list, None),
    "weak": (tiny_sets.weak, None),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of each tiny set, written once."""
    written = {}

    def get(name):
        if name not in written:
            written[name] = tmp_path_factory.mktemp("set")
            SETS[name][0](written[name])
        return written[name]

    return get


def groups(reader):
    return [reader.group(i) for i in range(len(reader))]


class TestReadersByName:
    def test_every_name_has_a_tiny_set(self):
        assert set(SETS) == set(READERS)

    @pytest.mark.parametrize("name", SETS)
    def test_every_name_opens_its_set(self, root, name):
        reader = open_reader(name, root(name), SETS[name][1], images=name != "arrays")
        assert len(reader) > 0
        assert (reader[0].image is None) == (name == "arrays")
        for i in range(len(reader)):
            assert reader.group(i)
            # The same wherever the data set lies.
            assert str(reader.root) not in reader.group(i)

    def test_without_a_split_the_readers_own_is_taken(self, root):
        assert open_reader("freihand", root("freihand"), images=False).split == "evaluation"

    def test_options_reach_the_reader(self, root):
        assert len(open_reader("rhd", root("rhd"), images=False, hand="both")) == 6
        assert open_reader("ho3d-v3", root("ho3d-v3")).picture(0).suffix == ".jpg"

    def test_an_unknown_name_is_answered_with_the_known_ones(self, tmp_path):
        with pytest.raises(ValueError, match=r"must be one of arrays, coco, .*weak but got 'freehand'"):
            open_reader("freehand", tmp_path)
        with pytest.raises(ValueError, match=r"must be one of arrays, coco, .*weak but got 'freehand'"):
            training_split("freehand")

    @pytest.mark.parametrize("name", sorted(set(READERS) - {"dexter-object"}))
    def test_training_splits_are_splits(self, tmp_path, name):
        # Opened in an empty folder: a split that exists gets as far as a file that does not.
        with pytest.raises(FileNotFoundError):
            open_reader(name, tmp_path, training_split(name), images=False)

    def test_a_set_for_testing_only_has_no_training_split(self):
        with pytest.raises(ValueError, match="'dexter-object' was published for testing only"):
            training_split("dexter-object")


class TestGroups:
    def test_nothing_but_annotations_is_read(self, root, monkeypatch):
        readers = [open_reader(name, root(name), SETS[name][1], images=False) for name in SETS]

        def refuse(*_):
            raise AssertionError("group() must be cheap")

        for reader in readers:
            monkeypatch.setattr(type(reader), "labels", refuse)
            monkeypatch.setattr(type(reader), "with_images", refuse)
        assert all(groups(reader) for reader in readers)

    def test_freihand_versions_share_one(self, root):
        every = FreiHand(root("freihand"), "training", images=False, version="all")
        assert len(set(groups(every))) == 4
        assert groups(every) == groups(every)[:4] * 4
        one = FreiHand(root("freihand"), "training", images=False, version="auto")
        assert groups(one) == groups(every)[:4]

    def test_both_hands_of_a_picture_share_one(self, root):
        both = groups(Rhd(root("rhd"), images=False, hand="both"))
        assert both[0::2] == both[1::2] == groups(Rhd(root("rhd"), images=False))
        assert len(set(both)) == 3

    def test_subjects(self, root):
        fpha = Fpha(root("fpha"), "all", images=False)
        assert groups(fpha) == ["Subject_1"] * 6 + ["Subject_2"] * 6
        dexycb = DexYcb(root("dexycb"), "all", images=False)
        assert groups(dexycb) == [f"20200709-subject-{i:02d}" for i in (1, 2, 3) for _ in range(10)]

    def test_sequences(self, root):
        assert groups(Stb(root("stb"), images=False)) == ["B1Counting"] * 2 + ["B1Random"] * 2
        names = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
        dexter = open_reader("dexter-object", root("dexter-object"), images=False)
        assert groups(dexter) == [name for name in names for _ in range(2)]
        ganerated = groups(GaneratedHands(root("ganerated"), images=False))
        assert ganerated == ["noObject/0001"] * 2 + ["withObject/0001"] * 2

    def test_ho3d_cameras_before_one_recording_share_one(self, tmp_path):
        lines = ("ABF10/0000", "ABF14/0000", "SM1/0000", "SM1/0001", "SM2/0000", "SMu40/0000", "SMu1/0000")
        (tmp_path / "train.txt").write_text("\n".join(lines))
        assert groups(Ho3d(tmp_path, "train", images=False)) == ["ABF1", "ABF1", "SM1", "SM1", "SM2", "SMu4", "SMu1"]

    def test_interhand_subjects_or_else_captures(self, root, tmp_path):
        assert groups(InterHand(root("interhand"), images=False)) == ["Capture0"] * 4
        folder = tmp_path / "annotations" / "test"
        folder.mkdir(parents=True)
        for path in (root("interhand") / "annotations" / "test").iterdir():
            content = json.loads(path.read_text())
            for i, picture in enumerate(content.get("images", ())):
                picture |= {"capture": i, "subject": 5 if i else 3}
            (folder / path.name).write_text(json.dumps(content))
        assert groups(InterHand(tmp_path, images=False)) == ["Subject3", "Subject5", "Subject5", "Subject5"]

    @pytest.mark.parametrize("name", ["coco", "hop", "obman"])
    def test_pictures(self, root, name):
        reader = open_reader(name, root(name), SETS[name][1], images=False)
        assert len(set(groups(reader))) == len(reader)

    def test_ones_own_pictures(self, root, tmp_path):
        entries = json.loads((root("truth") / "truth.json").read_text())
        entries[1]["image"] = entries[0]["image"]
        entries[2]["id"] = "another name"
        (tmp_path / "truth.json").write_text(json.dumps(entries))
        assert groups(TruthList(tmp_path, images=False)) == ["00000", "00000", "00002", "00003"]

    def test_arrays_by_their_ids(self, tmp_path):
        tiny_sets.arrays(tmp_path)
        (tmp_path / "ids.txt").write_text("a:0\na:1\nb\n")
        assert groups(ArrayFolder(tmp_path)) == ["a", "a", "b"]


class TestWeakLabels:
    def test_a_sample_a_hand(self, tmp_path):
        truth, uv = tiny_sets.weak(tmp_path)
        samples = WeakLabels(tmp_path)
        assert [s.id for s in samples] == ["day1/a:0", "day1/a:1", "day1/b", "day2/c"]
        assert groups(samples) == ["day1", "day1", "day1", "day2"]
        assert [s.side for s in samples] == ["left", "right", "left", None]
        np.testing.assert_allclose(np.stack([s.joints_image for s in samples[:3]]), uv, atol=1e-9)
        assert len(truth.joints) == 3
        assert [samples.score(i) for i in range(4)] == [0.9, 0.9, 0.9, None]
        for u, v in uv[1]:
            assert samples[1].image[round(v), round(u)].min() > 150

    def test_a_box_alone_is_a_hand_without_joints(self, tmp_path):
        tiny_sets.weak(tmp_path)
        sample = WeakLabels(tmp_path, images=False)[3]
        assert sample.joints_image is None
        assert sample.box.shape == (4,)

    def test_a_picture_of_another_size_is_named(self, tmp_path):
        tiny_sets.weak(tmp_path)
        self.change(tmp_path, lambda pictures: pictures[0].update(size=[640, 640]))
        with pytest.raises(BrokenDataset, match=r"a\.jpg must have the shape of .*640.* but is .*320.*"):
            WeakLabels(tmp_path)[0]

    def test_labels_of_another_resolution_are_scaled_to_the_picture(self, tmp_path):
        tiny_sets.weak(tmp_path)
        before = WeakLabels(tmp_path)[1]
        path = tmp_path / "day1" / "a.jpg"
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (640, 480)))
        after = WeakLabels(tmp_path)[1]
        np.testing.assert_allclose(after.joints_image, 2 * before.joints_image + 0.5)
        for u, v in after.joints_image:
            assert after.image[round(v), round(u)].min() > 100

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda pictures: pictures[1].pop("group"), "picture 1, must have group"),
            (lambda pictures: pictures[1].update(size=320), r"'size' of day1/b\.jpg must be \[width, height\]"),
            (lambda pictures: pictures[0]["hands"][0].update(side="both"), "must be left or right but got 'both'"),
            (lambda pictures: pictures[2]["hands"][0].pop("box"), "must have 'box' or 'joints_image' but has nothing"),
            (lambda pictures: pictures[1].update(image="day1/a.png"), "must list every picture once"),
        ],
    )
    def test_what_is_missing_or_wrong_is_named(self, tmp_path, change, message):
        tiny_sets.weak(tmp_path)
        self.change(tmp_path, change)
        with pytest.raises(BrokenDataset, match=message):
            WeakLabels(tmp_path)

    def test_joints_of_another_shape(self, tmp_path):
        tiny_sets.weak(tmp_path)
        self.change(tmp_path, lambda pictures: pictures[1]["hands"][0].update(joints_image=[[1, 2]]))
        with pytest.raises(BrokenDataset, match=r"'joints_image' must be \(21, 2\)"):
            WeakLabels(tmp_path, images=False)[2]

    def test_the_wrong_folder_and_split(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"labels\.json must exist(.|\n)*laid out as"):
            WeakLabels(tmp_path)
        with pytest.raises(ValueError, match="split must be one of all"):
            WeakLabels(tmp_path, "training")

    @staticmethod
    def change(folder, change):
        pictures = json.loads((folder / "labels.json").read_text())
        change(pictures)
        (folder / "labels.json").write_text(json.dumps(pictures))
