"""A made-up hand in MANO's file format, as the published files have it: a pickle written by Python 2 with
chumpy objects and a scipy.sparse matrix. The numbers are random; nothing of MANO is in it."""

import pickle
import struct
import sys
import types
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse
from scipy.spatial.transform import Rotation

from knuckle.handmodel.mano import TIP_VERTICES
from knuckle.skeleton import ORDERS

PARENTS = (0xFFFFFFFF, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
VERTICES = 778


def mano_arrays(rng: np.random.Generator, left: bool, mirrored_shapes: bool = True) -> dict[str, np.ndarray]:
    """Joints roughly where a right MANO hand has them: fingers along -x, thumb +z, palm -y; or the mirror image."""
    joints = np.zeros((16, 3))
    joints[0] = [0.095, 0.006, 0.006]
    # index, middle, little, ring, thumb: the base against the wrist, then the direction of its bones
    for finger, (base, step) in enumerate(
        [
            ((-0.088, 0.0, 0.022), (-0.03, 0.0, 0.003)),
            ((-0.094, 0.0, -0.002), (-0.03, 0.0, -0.001)),
            ((-0.068, -0.01, -0.043), (-0.02, 0.0, -0.008)),
            ((-0.082, 0.0, -0.026), (-0.028, 0.0, -0.005)),
            ((-0.024, -0.015, 0.025), (-0.022, 0.0, 0.022)),
        ]
    ):
        for level in range(3):
            joints[1 + 3 * finger + level] = joints[0] + base + level * np.array(step)
    owner = rng.integers(0, 16, VERTICES)
    owner[:48] = np.repeat(np.arange(16), 3)
    owner[[317, 444, 445, 673, 556, 745]] = [3, 6, 6, 9, 12, 15]
    template = joints[owner] + rng.normal(scale=0.008, size=(VERTICES, 3))
    for tip in (317, 444, 445, 673, 556, 745):  # fingertips, one more bone along
        template[tip] = 2 * joints[owner[tip]] - joints[owner[tip] - 1]
    template[747] = joints[15] + [-0.01, 0.006, -0.004]  # the nail's two sides
    template[720] = joints[15] + [-0.01, 0.002, 0.006]
    regressor = np.zeros((16, VERTICES))
    for joint in range(16):  # a few vertices around each joint, whose mean is the joint
        near = np.arange(3 * joint, 3 * joint + 3)
        regressor[joint, near] = 1 / 3
        template[near] += joints[joint] - template[near].mean(axis=0)
    weights = 0.1 * rng.random((VERTICES, 16)) ** 8
    weights[np.arange(VERTICES), owner] += 1
    shapes = rng.normal(scale=0.001, size=(VERTICES, 3, 10))
    shapes[:, :, 0] += 0.05 * (template - template.mean(axis=0))  # the first direction is size
    poses = rng.normal(scale=0.0005, size=(VERTICES, 3, 135))
    faces = rng.integers(0, VERTICES, (1538, 3))
    if left:
        mirror = np.array([-1.0, 1.0, 1.0])
        template, faces = template * mirror, faces[:, ::-1]
        poses = poses * mirror[:, None]
        # R -> M R M changes the sign of the entries that couple x with y and z
        poses = poses * np.tile(np.outer(mirror, mirror).ravel(), 15)
        shapes = shapes * mirror[:, None] if mirrored_shapes else shapes
    return {
        "v_template": template,
        "shapedirs": shapes,
        "posedirs": poses,
        "J_regressor": regressor,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([PARENTS, range(16)], dtype=np.int64),
        "f": faces.astype(np.uint32),
        "hands_mean": rng.normal(scale=0.3, size=45),
        "hands_components": np.linalg.qr(rng.normal(size=(45, 45)))[0],
    }


class _Python2Pickler(pickle._Pickler):
    """Protocol 2 with text and bytes alike as byte strings, the way Python 2 wrote them."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save_string(self, text):
        data = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = _save_string


def _chumpy() -> dict[str, types.ModuleType]:
    """Modules with classes of chumpy's names, for the time of writing."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        made = type(name, (), {"__module__": module})
        setattr(modules[module], name, made)
    return modules


def write_mano_pickle(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The dictionary as MANO_RIGHT.pkl has it, sparse regressor, chumpy arrays and texts included."""
    modules = _chumpy()
    sys.modules.update(modules)
    try:
        template = modules["chumpy.ch"].Ch()
        template.__dict__.update(x=arrays["v_template"], _dirty_vars=set(), _itr=None, _depends_on_deps={})
        source = modules["chumpy.ch"].Ch()
        source.__dict__.update(x=np.concatenate([arrays["shapedirs"], 0 * arrays["shapedirs"][..., :1]], axis=-1))
        count = source.x.shape[-1]
        shapes = modules["chumpy.reordering"].Select()
        picked = np.arange(source.x.size).reshape(-1, count)[:, : count - 1].ravel()
        shapes.__dict__.update(a=source, idxs=picked, preferred_shape=arrays["shapedirs"].shape)
        content = arrays | {
            "v_template": template,
            "shapedirs": shapes,
            "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
            "bs_style": "lbs",
            "bs_type": "lrotmin",
        }
        with path.open("wb") as file:
            _Python2Pickler(file, protocol=2).dump(content)
    finally:
        for name in modules:
            del sys.modules[name]
    data = path.read_bytes()
    for new, old in (
        (b"numpy._core.multiarray", b"numpy.core.multiarray"),
        (b"scipy.sparse._csc\n", b"scipy.sparse.csc\n"),
        (b"cbuiltins\n", b"c__builtin__\n"),
    ):
        data = data.replace(new, old)
    path.write_bytes(data)


def mano_twin(arrays, pose48, betas, trans):
    """MANO's formula as its paper has it: (vertices, 21 joints by manopth's tips) in the file's frame."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas
    joints = arrays["J_regressor"] @ shaped
    turns = Rotation.from_rotvec(pose48.reshape(16, 3)).as_matrix()
    posed = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    world = []
    for joint in range(16):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[PARENTS[joint]] if joint else 0)
        world.append(world[PARENTS[joint]] @ local if joint else local)
    world = np.array(world)
    about = world.copy()
    about[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], joints)
    blended = np.einsum("vj,jab->vab", arrays["weights"], about)
    vertices = np.einsum("vab,vb->va", blended, np.c_[posed, np.ones(len(posed))])[:, :3] + trans
    both = np.concatenate([world[:, :3, 3] + trans, vertices[list(TIP_VERTICES["manopth"])]])
    return vertices, both[list(ORDERS["mano_manopth"])]
