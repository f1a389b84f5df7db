"""Shards are read back as Samples, and foreign or damaged files are refused."""

import io
import tarfile

import numpy as np
import pytest

from knuckle.datasets.shards import read_pictures, read_samples
from knuckle.files import RefusedFile
from knuckle.handmodel import HandModel
from knuckle.synth import Generator, Settings, write_shards

SETTINGS = Settings(preset="crop", size=64, seed=11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    write_shards(out, SETTINGS, images=12, shard_images=8)
    return out


@pytest.mark.egl
def test_pictures_are_read_back(folder):
    generator = Generator(SETTINGS)
    read = list(read_pictures(folder))
    assert len(read) == 12
    for index, picture in enumerate(read):
        rendered = generator.picture(index)
        assert picture.label == rendered.label
        np.testing.assert_array_equal(picture.visible, rendered.visible)
        np.testing.assert_array_equal(picture.complete, rendered.complete)
        # JPEG halves the resolution of colour, so only brightness is compared.
        assert np.abs(picture.image.mean(-1) - rendered.image.mean(-1)).mean() < 6
    generator.close()


@pytest.mark.egl
def test_samples(folder):
    model = HandModel.open()
    samples = list(read_samples(folder, hands="first", model=model))
    assert len(samples) == 12
    for sample in samples:
        np.testing.assert_allclose(sample.camera.project(sample.joints_camera), sample.joints_image, atol=0.05)
        assert sample.vertices_camera.shape == model.vertices.shape
        assert not (sample.mask_visible & ~sample.mask_complete).any()
        assert sample.mask_complete.any()
        if sample.object_corners_camera is not None:
            assert sample.object_mask.shape == (64, 64)
    assert len({sample.id for sample in samples}) == 12
    all_hands = list(read_samples(folder, hands="all", masks=False))
    assert len(all_hands) >= 12
    assert all_hands[0].mask_complete is None


@pytest.mark.egl
def test_a_truncated_shard_is_refused(folder, tmp_path):
    data = (folder / "shard-000000.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[: len(data) // 2 + 100])
    with pytest.raises(RefusedFile, match="write it again"):
        list(read_pictures(tmp_path / "cut.tar"))


@pytest.mark.parametrize(("name", "kind"), [("../evil.jpg", tarfile.REGTYPE), ("a.jpg", tarfile.SYMTYPE)])
def test_unexpected_members_are_refused(tmp_path, name, kind):
    path = tmp_path / "strange.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc/passwd"
        tar.addfile(member, io.BytesIO(b""))
    with pytest.raises(RefusedFile, match="must hold only"):
        list(read_pictures(path))


def test_no_shards(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold \.tar shards"):
        list(read_pictures(tmp_path))


@pytest.mark.egl
def test_an_unfinished_shard_is_skipped(folder, tmp_path):
    whole = sorted(folder.glob("shard-*.tar"))[0]
    (tmp_path / whole.name).write_bytes(whole.read_bytes())
    (tmp_path / ".shard-000009.tar").write_bytes(whole.read_bytes()[:1000])
    assert len(list(read_pictures(tmp_path))) == 8
