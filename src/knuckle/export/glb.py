"""A hand as a skinned, animated mesh in one .glb file, for any viewer, game engine or editor that reads glTF 2.0.

Frames: glTF is right-handed with y up, in metres, and its cameras look along -z. A sequence in knuckle's camera frame
(x right, y down, z forward) keeps its numbers; the node above the hand, named "camera_frame", rotates it by pi
about x, so that (x, y, z) becomes (x, -y, -z) and a viewer at the origin sees what the camera saw. A hand in
its own frame (x to the thumb, y to the fingers, z out of the palm) is upright already and is not rotated.

Boxes of held objects are twelve lines each, and points where a hand touches them, in the camera's frame.

Each articulated joint is a node of the skin; the fingertips are nodes without skinning weights, so all 21 joints
are in the file. Pose correctives, which keep bent knuckles from collapsing, are written as morph targets.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from knuckle.export.gltf import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, GltfBuffer, pack_glb
from knuckle.export.skinned_mesh import Motion, SkinnedMesh, split_seams
from knuckle.files import atomic_write
from knuckle.geometry.rotation import matrix_to_quaternion
from knuckle.geometry.surface import vertex_normals
from knuckle.skeleton import BOX_EDGES
from knuckle.version import __version__

SKIN_COLOR = (0.78, 0.47, 0.33, 1.0)  # linear, not sRGB
BOX_COLOR = (1.0, 0.67, 0.01, 1.0)
_POINTS, _LINES = 0, 1  # modes of drawing
_HALF_TURN_ABOUT_X = [1.0, 0.0, 0.0, 0.0]


class Box(NamedTuple):
    """The box of a held object, and the points where it is touched; metres, in the camera's frame."""

    corners: Float[np.ndarray, "8 3"]
    contacts: Float[np.ndarray, "N 3"]


def write_glb(
    path: Path | str,
    hands: Sequence[tuple[SkinnedMesh, Motion]],
    boxes: Sequence[Box] = (),
    *,
    in_camera_frame: bool = True,
) -> None:
    """Write hands with their motion as a .glb file; atomically, so an interrupted write leaves nothing behind.

    Args:
        path: the file to write.
        hands: a `SkinnedMesh` and its `Motion` for each hand; a motion of one frame is a pose without animation, any
            other an animation of its own.
        boxes: of held objects; they do not move.
        in_camera_frame: the motion's root is in the camera frame and is rotated upright, see the module's docstring;
            otherwise it is in the hand frame.

    Raises:
        ValueError: a motion has no frame, or its bones or correctives do not match its mesh; or there are boxes, which
            are in the camera's frame, beside hands in their own.
    """
    data = glb_bytes(hands, boxes, in_camera_frame=in_camera_frame)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def glb_bytes(
    hands: Sequence[tuple[SkinnedMesh, Motion]], boxes: Sequence[Box] = (), *, in_camera_frame: bool = True
) -> bytes:
    """The bytes of the file `write_glb` writes."""
    if boxes and not in_camera_frame:
        raise ValueError("boxes must be written with hands in the camera's frame but in_camera_frame is False")
    buffer = GltfBuffer()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"knuckle {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": []}],
        "nodes": [],
        "meshes": [],
        "skins": [],
        "materials": [
            {
                "name": "skin",
                "pbrMetallicRoughness": {
                    "baseColorFactor": list(SKIN_COLOR),
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.65,
                },
            }
        ],
    }
    animations = []
    for mesh, motion in hands:
        _check(mesh, motion)
        first_bone = _add_hand(document, buffer, mesh, motion, in_camera_frame)
        if len(motion.translation) > 1:
            animations.append(_animation(buffer, motion, first_bone, first_bone - 2, mesh.name or "motion"))
    for number, box in enumerate(boxes):
        _add_box(document, buffer, box, f"object_{number}")
    if animations:
        document["animations"] = animations
    return pack_glb(document, buffer)


def _check(mesh: SkinnedMesh, motion: Motion) -> None:
    if len(motion.translation) == 0:
        raise ValueError("motion must have at least one frame but got none; export at least one pose")
    if motion.rotations.shape[1] != len(mesh.bone_names):
        raise ValueError(
            f"motion must have rotations of the mesh's {len(mesh.bone_names)} bones but got "
            f"{motion.rotations.shape[1]}; make both from the same hand model"
        )
    if motion.corrective_weights is not None and motion.corrective_weights.shape[1] != len(mesh.correctives):
        raise ValueError(
            f"motion must have weights of the mesh's {len(mesh.correctives)} correctives but got "
            f"{motion.corrective_weights.shape[1]}; make both from the same hand model"
        )


def _add_hand(
    document: dict[str, Any], buffer: GltfBuffer, mesh: SkinnedMesh, motion: Motion, in_camera_frame: bool
) -> int:
    """Add the mesh, the bones in the first frame's pose and the skin; return the number of the root bone's node."""
    nodes = document["nodes"]
    mesh_node = len(nodes)
    frame_node, first_bone = mesh_node + 1, mesh_node + 2
    bone_count = len(mesh.bone_names)
    called = mesh.name or f"{mesh.side}_hand"
    nodes.append({"name": f"{called}_mesh", "mesh": len(document["meshes"]), "skin": len(document["skins"])})
    frame: dict[str, Any] = {"name": "camera_frame" if in_camera_frame else "hand_frame", "children": [first_bone]}
    nodes.append({**frame, "rotation": _HALF_TURN_ABOUT_X} if in_camera_frame else frame)
    rotations = _quaternions(motion.rotations)[0]
    for bone, name in enumerate(mesh.bone_names):
        offset = motion.translation[0] if bone == 0 else mesh.bone_positions[bone] - _parent_position(mesh, bone)
        node: dict[str, Any] = {"name": name, "translation": offset.tolist(), "rotation": rotations[bone].tolist()}
        children = [first_bone + child for child in np.flatnonzero(mesh.bone_parent == bone).tolist()]
        children += [
            first_bone + bone_count + number for number, (parent, _) in enumerate(mesh.tips.values()) if parent == bone
        ]
        nodes.append({**node, "children": children} if children else node)
    for name, (parent, position) in mesh.tips.items():
        nodes.append({"name": name, "translation": (position - mesh.bone_positions[parent]).tolist()})

    # The format ignores the transform of a skinned mesh's node, so it is a sibling of the bones, not a descendant.
    document["scenes"][0]["nodes"] += [mesh_node, frame_node]
    gltf_mesh: dict[str, Any] = {"name": called, "primitives": [_add_mesh(buffer, mesh)]}
    if mesh.correctives:
        # Viewers read the names of morph targets here by convention; the format does not define a place for them.
        gltf_mesh |= {"weights": _corrective_weights(mesh, motion)[0].tolist()}
        gltf_mesh |= {"extras": {"targetNames": list(mesh.correctives)}}
    document["meshes"].append(gltf_mesh)
    inverse_bind = np.tile(np.eye(4, dtype=np.float32), (bone_count, 1, 1))
    inverse_bind[:, :3, 3] = -mesh.bone_positions
    document["skins"].append(
        {
            "name": called,
            "inverseBindMatrices": buffer.add(inverse_bind),
            "skeleton": first_bone,
            "joints": list(range(first_bone, first_bone + bone_count)),
        }
    )
    return first_bone


def _add_box(document: dict[str, Any], buffer: GltfBuffer, box: Box, name: str) -> None:
    """Add the edges of a box and its points of contact."""
    if len(document["materials"]) == 1:
        color = list(BOX_COLOR)
        document["materials"].append(
            {"name": "object", "emissiveFactor": color[:3], "pbrMetallicRoughness": {"baseColorFactor": color}}
        )
    corners = buffer.add(box.corners.astype(np.float32), target=ARRAY_BUFFER, bounds=True)
    edges = buffer.add(np.array(BOX_EDGES, np.uint16).ravel(), target=ELEMENT_ARRAY_BUFFER)
    primitives = [{"attributes": {"POSITION": corners}, "indices": edges, "mode": _LINES, "material": 1}]
    if len(box.contacts):
        points = buffer.add(box.contacts.astype(np.float32), target=ARRAY_BUFFER, bounds=True)
        primitives.append({"attributes": {"POSITION": points}, "mode": _POINTS, "material": 1})
    document["scenes"][0]["nodes"].append(len(document["nodes"]))
    document["nodes"].append({"name": name, "mesh": len(document["meshes"]), "rotation": _HALF_TURN_ABOUT_X})
    document["meshes"].append({"name": name, "primitives": primitives})


def _parent_position(mesh: SkinnedMesh, bone: int) -> Float[np.ndarray, "3"]:
    return mesh.bone_positions[mesh.bone_parent[bone]]


def _add_mesh(buffer: GltfBuffer, mesh: SkinnedMesh) -> dict[str, Any]:
    """The mesh as one primitive, vertices on texture seams duplicated."""
    vertex, texture, faces = split_seams(mesh.faces, mesh.faces_uv)
    uv = mesh.uv[texture] * [1.0, -1.0] + [0.0, 1.0]  # glTF's v axis points down
    normals = vertex_normals(mesh.vertices, mesh.faces)[vertex]
    weights = _normalised(mesh.weights_value[vertex])
    # The format requires bone 0 where a weight is zero.
    bones = np.where(weights > 0, mesh.weights_index[vertex], 0)
    index_type = np.uint16 if len(vertex) < 2**16 - 1 else np.uint32
    targets = [
        {"POSITION": buffer.add(target[vertex].astype(np.float32), target=ARRAY_BUFFER, bounds=True)}
        for target in mesh.correctives.values()
    ]
    return {
        **({"targets": targets} if targets else {}),
        "attributes": {
            "POSITION": buffer.add(mesh.vertices[vertex].astype(np.float32), target=ARRAY_BUFFER, bounds=True),
            "NORMAL": buffer.add(normals.astype(np.float32), target=ARRAY_BUFFER),
            "TEXCOORD_0": buffer.add(uv.astype(np.float32), target=ARRAY_BUFFER),
            "JOINTS_0": buffer.add(bones.astype(np.uint8), target=ARRAY_BUFFER),
            "WEIGHTS_0": buffer.add(weights, target=ARRAY_BUFFER),
        },
        "indices": buffer.add(faces.astype(index_type).ravel(), target=ELEMENT_ARRAY_BUFFER),
        "material": 0,
    }


def _normalised(weights: Float[np.ndarray, "S K"]) -> Float[np.ndarray, "S 4"]:
    """The four weights of each vertex, summing to 1 as exactly as 32 bits allow."""
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def _quaternions(rotations: Float[np.ndarray, "N B 3 3"]) -> Float[np.ndarray, "N B 4"]:
    """(x, y, z, w) as in glTF, with the sign closer to the previous frame's, to interpolate along the shorter arc."""
    quaternions = np.roll(np.asarray(matrix_to_quaternion(rotations.astype(np.float64))), -1, axis=-1)
    turns_back = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0
    flips = np.zeros(quaternions.shape[:2], bool)
    flips[1:] = np.cumsum(turns_back, axis=0) % 2 == 1
    return np.where(flips[..., None], -quaternions, quaternions)


def _corrective_weights(mesh: SkinnedMesh, motion: Motion) -> Float[np.ndarray, "N C"]:
    if motion.corrective_weights is None:
        return np.zeros((len(motion.translation), len(mesh.correctives)))
    return motion.corrective_weights


def _animation(buffer: GltfBuffer, motion: Motion, first_bone: int, mesh_node: int, name: str) -> dict[str, Any]:
    """A rotation for each bone, a translation for the root and the morph targets' weights, over shared key times."""
    channels, samplers = [], []
    times = buffer.add(motion.seconds.astype(np.float32), bounds=True)
    quaternions = _quaternions(motion.rotations).astype(np.float32)
    tracks = [(first_bone, "translation", motion.translation.astype(np.float32))]
    tracks += [(first_bone + bone, "rotation", quaternions[:, bone]) for bone in range(quaternions.shape[1])]
    if motion.corrective_weights is not None:
        tracks.append((mesh_node, "weights", motion.corrective_weights.astype(np.float32).ravel()))
    for node, path, values in tracks:
        samplers.append({"input": times, "output": buffer.add(values), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
    return {"name": name, "channels": channels, "samplers": samplers}
