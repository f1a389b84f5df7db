import numpy as np
import pytest
import trimesh
from export_hand import rest_skin

from knuckle.export.obj import write_obj


def read_obj(path):
    """A reader for the test: positions, texture coordinates, and the faces' indices into both."""
    rows = {"v": [], "vt": [], "f": []}
    for line in path.read_text().splitlines():
        kind, *fields = line.split()
        if kind in rows:
            rows[kind].append(fields)
    corners = np.asarray([[corner.split("/") for corner in face] for face in rows["f"]], int) - 1
    return np.asarray(rows["v"], float), np.asarray(rows["vt"], float), corners[..., 0], corners[..., 1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_reads_back_as_written(tmp_path, side):
    skin = rest_skin(side)
    write_obj(tmp_path / "hand.obj", skin.vertices, skin.faces, skin.uv, skin.faces_uv)
    vertices, uv, faces, faces_uv = read_obj(tmp_path / "hand.obj")
    np.testing.assert_allclose(vertices, skin.vertices, atol=1e-8)
    np.testing.assert_allclose(uv, skin.uv, atol=1e-6)
    np.testing.assert_array_equal(faces, skin.faces)
    np.testing.assert_array_equal(faces_uv, skin.faces_uv)


def test_an_independent_reader_finds_the_same_surface(tmp_path):
    skin = rest_skin("right")
    write_obj(tmp_path / "hand.obj", skin.vertices, skin.faces, skin.uv, skin.faces_uv)
    mesh = trimesh.load_mesh(tmp_path / "hand.obj", process=False)
    expected = trimesh.Trimesh(skin.vertices, skin.faces, process=False)
    assert mesh.volume == pytest.approx(expected.volume, rel=1e-5)
    np.testing.assert_allclose(mesh.triangles, expected.triangles, atol=1e-7)


def test_without_texture_coordinates(tmp_path):
    skin = rest_skin("right")
    write_obj(tmp_path / "hand.obj", skin.vertices, skin.faces)
    mesh = trimesh.load_mesh(tmp_path / "hand.obj", process=False)
    np.testing.assert_array_equal(mesh.faces, skin.faces)


def test_what_cannot_be_written_is_refused(tmp_path):
    skin = rest_skin("right")
    with pytest.raises(ValueError, match="come together"):
        write_obj(tmp_path / "hand.obj", skin.vertices, skin.faces, uv=skin.uv)
    with pytest.raises(ValueError, match="indices start at 0"):
        write_obj(tmp_path / "hand.obj", skin.vertices, skin.faces + 1)
    assert not list(tmp_path.iterdir())
