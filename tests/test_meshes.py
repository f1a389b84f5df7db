"""Meshes of other programs: what is in the file, placed as it says, and nothing beside it."""

import builtins
import os

import numpy as np
import pytest
import trimesh

from knuckle.files import InputError, load_mesh


def box():
    return trimesh.creation.box([0.05, 0.03, 0.08])


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return (a * np.cross(b, c)).sum() / 6


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb"])
def test_the_surface_is_read(tmp_path, suffix):
    path = tmp_path / f"box{suffix}"
    box().export(path)
    vertices, faces = load_mesh(path)
    assert volume(vertices, faces) == pytest.approx(0.05 * 0.03 * 0.08)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), [0.05, 0.03, 0.08], rtol=1e-6)


def test_parts_are_where_the_file_places_them(tmp_path):
    scene = trimesh.Scene()
    for name, matrix in (("here", np.eye(4)), ("there", np.diag([-1.0, 1.0, 1.0, 1.0]))):
        matrix[0, 3] = 1.0
        scene.add_geometry(box(), node_name=name, geom_name="box", transform=matrix)
    scene.export(tmp_path / "two.glb")
    vertices, faces = load_mesh(tmp_path / "two.glb")
    # Of a mirrored part the faces are turned round, so that they look outwards there too.
    assert volume(vertices, faces) == pytest.approx(2 * 0.05 * 0.03 * 0.08)
    np.testing.assert_allclose(vertices.mean(0), [1.0, 0.0, 0.0], atol=1e-6)


def test_no_other_file_is_opened(tmp_path, monkeypatch):
    box().export(tmp_path / "box.obj")
    text = (tmp_path / "box.obj").read_text()
    (tmp_path / "secret.mtl").write_text("newmtl m\nmap_Kd secret.png\n")
    (tmp_path / "box.obj").write_text(f"mtllib secret.mtl\nusemtl m\n{text}")
    opened = []
    real_open, real_os_open = builtins.open, os.open
    monkeypatch.setattr(builtins, "open", lambda file, *a, **k: (opened.append(str(file)), real_open(file, *a, **k))[1])
    monkeypatch.setattr(os, "open", lambda file, *a, **k: (opened.append(str(file)), real_os_open(file, *a, **k))[1])
    load_mesh(tmp_path / "box.obj")
    assert any(name.endswith("box.obj") for name in opened)
    assert not any("secret" in name for name in opened)


def test_what_is_too_large_or_no_file_is_refused(tmp_path):
    box().export(tmp_path / "box.stl")
    with pytest.raises(InputError, match="must be at most 100 bytes"):
        load_mesh(tmp_path / "box.stl", max_bytes=100)
    os.mkfifo(tmp_path / "pipe.stl")
    with pytest.raises(InputError, match="is a named pipe"):
        load_mesh(tmp_path / "pipe.stl")
    with pytest.raises(InputError, match=r"ends in '\.zip'"):
        load_mesh(tmp_path / "box.zip")
