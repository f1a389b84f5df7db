"""What is fuzzed of data sets: a file of each, among healthy ones; meshes and pictures of generated scenes."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import tiny_sets
from fuzz.target import Target
from knuckle.datasets.boxes import box_or_none, oriented_corners, read_vertices
from knuckle.datasets.readers import open_reader
from knuckle.synth.light import Panorama
from knuckle.synth.meshes import load_thing


def _set(name: str, write: Callable[[Path], object], file: str, split: str | None = None, text: bool = False) -> Target:
    """A data set of which one file is damaged; its labels are read, not its pictures."""

    @cache
    def files() -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "set"
            root.mkdir()
            write(root)
            paths = [path for path in root.rglob("*") if path.is_file()]
            # Readers list pictures, so that their names must be there; some read masks for their labels.
            return {path.relative_to(root).as_posix(): path.read_bytes() if _is_read(path) else b"" for path in paths}

    def read(path: Path) -> object:
        root = path.parents[file.count("/")]
        reader = open_reader(name, root, split, images=False)
        return [(reader[i], reader.group(i)) for i in range(len(reader))]

    return Target(file, lambda: [files()[file]], read, files)


def _is_read(path: Path) -> bool:
    return path.suffix not in (".jpg", ".jpeg", ".png") or path.parent.name == "mask"


def _box() -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    box = trimesh.creation.box([0.05, 0.03, 0.08])
    return np.asarray(box.vertices), np.asarray(box.faces)


def _meshes(*kinds: str) -> Callable[[], list[bytes]]:
    """A box in the formats; .glb with a part that is placed twice."""

    def written() -> list[bytes]:
        import trimesh

        box, scene = trimesh.Trimesh(*_box(), process=False), trimesh.Scene()
        scene.add_geometry(box, geom_name="box")
        scene.graph.update("other", matrix=np.diag([-1.0, 1.0, 1.0, 1.0]), geometry="box")
        found = []
        for kind in kinds:
            suffix, _, encoding = kind.partition(" ")
            what = scene if suffix == "glb" else box
            data: Any = what.export(file_type=suffix, **({"encoding": encoding} if encoding else {}))
            found.append(data if isinstance(data, bytes) else data.encode())
        return found

    return written


def _boxed(path: Path) -> object:
    vertices = read_vertices(path, "")
    return box_or_none(vertices), oriented_corners(vertices)


def _panorama() -> list[bytes]:
    y, x = np.mgrid[:16, :32]
    radiance = np.stack([x, y, x + y], -1).astype(np.float32)
    return [cv2.imencode(".hdr", radiance)[1].tobytes(), cv2.imencode(".png", radiance.astype(np.uint8))[1].tobytes()]


def _dexycb(root: Path) -> None:
    tiny_sets.dexycb(root, frames=1)
    # Of fifteen sequences the one that is read.
    for folder in root.glob("*-subject-*/*_14*/*"):
        if folder.is_dir() and "subject-03" not in str(folder):
            for file in folder.iterdir():
                file.unlink()


_SEQUENCE = "20200709-subject-03/20200709_140004"
_HAND, _OBJECT = "Hand_pose_annotation_v1", "Object_6D_pose_annotation_v1"
_INTERHAND = "annotations/test/InterHand2.6M_test"

SETS = {
    "arrays": _set("arrays", tiny_sets.arrays, "joints.npy"),
    "coco": _set("coco", tiny_sets.coco, "annotations.json"),
    "dexter-object": _set("dexter-object", tiny_sets.dexter_object, "data/Grasp1/annotations/Grasp13D.txt"),
    "dexycb": _set("dexycb", _dexycb, f"{_SEQUENCE}/836212060125/labels_000000.npz"),
    "dexycb, meta": _set("dexycb", _dexycb, f"{_SEQUENCE}/meta.yml"),
    "fpha": _set("fpha", tiny_sets.fpha, f"{_HAND}/Subject_1/open_milk/3/skeleton.txt"),
    "fpha, objects": _set("fpha", tiny_sets.fpha, f"{_OBJECT}/Subject_1/open_milk/3/object_pose.txt"),
    "freihand": _set("freihand", tiny_sets.freihand, "evaluation_xyz.json"),
    "ganerated": _set("ganerated", tiny_sets.ganerated, "noObject/0001/0001_joint_pos_global.txt"),
    "ho3d": _set("ho3d-v2", tiny_sets.ho3d, "train/SM0/meta/0000.pkl", "train"),
    "ho3d, list": _set("ho3d-v2", tiny_sets.ho3d, "train.txt", "train"),
    "hop": _set("hop", tiny_sets.hop, "annotation.mat", "all"),
    "interhand": _set("interhand", tiny_sets.interhand, f"{_INTERHAND}_data.json"),
    "interhand, cameras": _set("interhand", tiny_sets.interhand, f"{_INTERHAND}_camera.json"),
    "obman": _set("obman", tiny_sets.obman, "test/meta/00000000.pkl"),
    "rhd": _set("rhd", tiny_sets.rhd, "evaluation/anno_evaluation.pickle", "evaluation"),
    "stb": _set("stb", tiny_sets.stb, "labels/B1Counting_BB.mat"),
    "truth.json": _set("truth", tiny_sets.truth_list, "truth.json"),
    "weak": _set("weak", tiny_sets.weak, "labels.json"),
    "mesh.obj": Target("x.obj", _meshes("obj"), _boxed),
    "mesh.ply": Target("x.ply", _meshes("ply ascii", "ply binary"), _boxed),
    "mesh.stl": Target("x.stl", _meshes("stl", "stl_ascii"), _boxed),
    "mesh.glb": Target("x.glb", _meshes("glb"), _boxed),
    "object": Target("x.ply", _meshes("ply ascii"), load_thing),
    "panorama": Target("x.hdr", _panorama, Panorama),
}
