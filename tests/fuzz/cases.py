"""Files that once took gigabytes, minutes, or ended in a traceback. Every one must be refused in a line."""

import bz2
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import scipy.sparse

from fuzz.of_models import MODELS
from fuzz.target import joints
from fuzz.targets import label, pictures, shard, shard_files
from mano_fixture import mano_arrays

_MEGABYTE = bytes(2**20)


class Case(NamedTuple):
    """A file for a reader, a key of `targets.TARGETS`."""

    target: str
    file: Callable[[], bytes]


def zeros(megabytes: int, before: bytes = b"", raw: bool = True) -> bytes:
    """A deflated stream of `before` and so many megabytes of zeros, made at once: its blocks repeat."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15 if raw else 15)
    start = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(_MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * megabytes + packer.flush()


def claimed(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header states another size."""
    at = data.index(b"\xff\xc0") if b"\xff\xc0" in data else data.index(b"\xff\xc2")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def jpeg_behind_marker_01() -> bytes:
    """Whoever takes the two bytes after FF01 for a length lands on a header of 64 x 64 pixels within a comment."""
    big = claimed(pictures()[0], 32000, 32000)
    end = big.index(b"\xff\xc0")
    end += 2 + struct.unpack(">H", big[end + 2 : end + 4])[0]
    comments = 2 * (b"\xff\xfe" + struct.pack(">H", 65535) + bytes(65533))
    data = bytearray(big[:2] + b"\xff\x01" + big[2:end] + comments + big[end:])
    at = 4 + struct.unpack(">H", data[4:6])[0]
    data[at : at + 19] = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 64, 64) + bytes(10)
    return bytes(data)


def png_of_four_gigabytes() -> bytes:
    data = pictures()[1]
    at = data.index(b"IDAT")
    return data[: at - 4] + struct.pack(">I", 0xFF000000) + data[at:]


def jpeg_of_many_scans() -> bytes:
    data = cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * 500 + data[-2:]


def bmp_of_os2() -> bytes:
    return b"BM" + struct.pack("<IHHIIHHHH", 100, 0, 0, 26, 12, 20000, 40000, 1, 24) + bytes(74)


def zipped(name: str, content: bytes, stated: int, kind: int = zipfile.ZIP_DEFLATED, flags: int = 0) -> bytes:
    """A .zip of one member whose headers state `stated` bytes, and a checksum of a few zeros."""
    checksum = zlib.crc32(bytes(min(stated, 1000)))
    common = struct.pack("<HHHHHIII", 20, flags, kind, 0, 33, checksum, len(content), stated)
    head = b"PK\3\4" + common + struct.pack("<HH", len(name), 0) + name.encode()
    tail = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name.encode()
    entry = b"PK\1\2" + struct.pack("<H", 20) + common + tail
    start = len(head) + len(content)
    return head + content + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), start, 0)


def npy(header: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + content


def header(descr: str, shape: str) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


def npz_of_two_gigabytes() -> bytes:
    array = npy(header("<f8", "(63,)"), bytes(504))
    return zipped("joints.npy", zeros(2200, array), len(array))


def npz_of_bzip2() -> bytes:
    return zipped("joints.npy", bz2.compress(bytes(2**24)), 632, zipfile.ZIP_BZIP2)


def encrypted() -> bytes:
    array = npy(header("<f8", "(0,)"))
    return zipped("joints.npy", array, len(array), zipfile.ZIP_STORED, flags=1)


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, joints=joints())
    return out.getvalue()


def wrapping_rows() -> bytes:
    """Of 16 bits: from 5 to 3 is a step of 65,534, three thousand times."""
    matrix = scipy.sparse.csr_matrix((np.ones(3), [0, 1, 2], [0, 1, 3]), shape=(2, 3))
    matrix.indptr = np.array([0, *[5, 3] * 3000], np.uint16)
    return pickle.dumps({"J_regressor": matrix})


def stated(module: str, name: str, state: object) -> bytes:
    """A pickle of an instance of a class that need not exist."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")\x81" + pickle.dumps(state, 2)[2:-1] + b"b."


def selection() -> bytes:
    state = {"a": np.array(["x" * 7500]), "idxs": np.zeros(50_000, np.uint8), "preferred_shape": None}
    return stated("chumpy.reordering", "Select", state)


def billion_laughs() -> bytes:
    laugh: list[object] = [0.0] * 10
    for _ in range(8):
        laugh = [laugh] * 10
    return pickle.dumps(mano_arrays(np.random.default_rng(0), left=False) | {"v_template": laugh})


def many_matrices() -> bytes:
    """Of 32 MB each, with an entry on every page of memory."""
    places = np.arange(0, 2000 * 2000, 500)
    entries = (np.ones(len(places)), np.divmod(places, 2000))
    return pickle.dumps([scipy.sparse.coo_matrix(entries, shape=(2000, 2000)) for _ in range(40)])


def one_array_often() -> bytes:
    data = bytes(2**22)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\0K\1\x87R"
    # The same bytes in a thousand arrays: the memo has them.
    body = b"B" + struct.pack("<I", len(data)) + data + b"q\x010"
    each = array + b"(K\1J" + struct.pack("<i", len(data)) + b"\x85" + dtype + b"\x89h\x01tb"
    return b"\x80\x03" + body + b"](" + each * 1000 + b"e."


def mano(**changed: object) -> Callable[[], bytes]:
    return lambda: pickle.dumps(mano_arrays(np.random.default_rng(0), left=False) | changed)


def nan_vertices() -> bytes:
    arrays = mano_arrays(np.random.default_rng(0), left=False)
    arrays["v_template"][5, 1] = np.nan
    return pickle.dumps(arrays)


def mat_of_gigabytes() -> bytes:
    count = 3 * 21 * 1_600_000

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    flags = element(6, struct.pack("<II", 6, 0))
    start = flags + element(5, struct.pack("<iii", 3, 21, 1_600_000)) + element(1, b"handPara")
    start += struct.pack("<II", 9, 8 * count)
    packed = zeros(8 * count // 2**20 + 1, struct.pack("<II", 14, len(start) + 8 * count) + start, raw=False)
    return b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(packed)) + packed


def brackets(count: int) -> bytes:
    return b"[[" + b"[]," * count + b"[]],[]]"


def submission_of_brackets() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pred.json", brackets(20_000_000))
    return out.getvalue()


def poses(number: str) -> Callable[[], bytes]:
    return lambda: json.dumps(joints().tolist()).replace("0.5", number, 1).encode()


def hand(**changed: object) -> bytes:
    content = {"side": "left", "score": 0.9, "joints_camera": joints()[0].tolist()} | changed
    return json.dumps({"hands": [content]}).encode()


def in_shard(**changed: bytes) -> bytes:
    return shard(shard_files() | changed)


def glb(content: dict[str, object], data: bytes = bytes(144)) -> bytes:
    """A binary glTF file with one buffer."""
    text = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"byteLength": len(data)}]} | content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def triangles(accessor: dict[str, object], view: dict[str, object] | None = None) -> dict[str, object]:
    """The entries of a glTF file with a mesh whose vertices an accessor gives."""
    accessor = {"componentType": 5126, "type": "VEC3"} | accessor
    mesh = {"primitives": [{"attributes": {"POSITION": 0}}]}
    views = [{"buffer": 0, "byteOffset": 0, "byteLength": 144} | (view or {})]
    placed = {"nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}], "scene": 0}
    return {"accessors": [accessor], "bufferViews": views, "meshes": [mesh]} | placed


def glb_of_zeros() -> bytes:
    return glb(triangles({"count": 300_000_000}))


def glb_of_strides() -> bytes:
    return glb(triangles({"count": 12, "bufferView": 0}, {"byteStride": -4096}))


def glb_of_a_billion_nodes() -> bytes:
    """Of nine levels, each of which places all ten of the next."""
    content = triangles({"count": 12, "bufferView": 0})
    nodes: list[dict[str, object]] = [
        {"children": list(range(10 * i + 1, 10 * i + 11))} for i in range(9) for _ in range(10)
    ]
    return glb(content | {"nodes": [{"children": list(range(1, 11))}, *nodes[10:], *[{"mesh": 0}] * 20]})


def panorama_of_nothing() -> bytes:
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9999 +X 9999\n" + bytes(100)


def deep_urdf() -> bytes:
    return b'<robot name="x">' + b"<link>" * 1_000_000


def long_urdf() -> bytes:
    links = b"".join(b'<link name="%d"/>' % i for i in range(30_000))
    joint = b'<joint name="j%d" type="fixed"><parent link="%d"/><child link="%d"/></joint>'
    return b'<robot name="x">' + links + b"".join(joint % (i, i, i + 1) for i in range(29_999)) + b"</robot>"


def wide_network() -> bytes:
    config = json.loads(MODELS["checkpoint network"].seeds()[0])
    return json.dumps(config | {"config": config["config"] | {"width": 20_000}}).encode()


def deep_network() -> bytes:
    config = json.loads(MODELS["checkpoint network"].seeds()[0])
    return json.dumps(config | {"config": config["config"] | {"layers": 10**7}}).encode()


def laughing_yaml() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join([*lines, "num_frames: *a11", "ycb_ids: [1]", "ycb_grasp_ind: 0", "mano_sides: [left]"]).encode()


def text_in_a_label() -> bytes:
    hand = dict(label()["hands"][0])  # pyright: ignore[reportIndexIssue]
    hand["joints_camera"] = np.asarray(hand["joints_camera"]).astype(str).tolist()
    return in_shard(json=json.dumps(label() | {"hands": [hand]}).encode())


_DEEP = b"[" * 500 + b"]" * 500
_LONG = b"9" * 400

CASES = {
    "a JPEG behind marker FF01": Case("picture", jpeg_behind_marker_01),
    "a PNG with a chunk of 4 GB": Case("picture", png_of_four_gigabytes),
    "a JPEG of 1 KB and 100 megapixels": Case("picture", lambda: claimed(pictures()[0], 9999, 9999)),
    "a JPEG of 500 scans": Case("picture", jpeg_of_many_scans),
    "a BMP of OS/2 with a negative area": Case("picture", bmp_of_os2),
    "a data set's JPEG of 900 megapixels": Case("data set's picture", lambda: claimed(pictures()[0], 30000, 30000)),
    "a data set's JPEG that OpenCV raises at": Case("data set's picture", lambda: claimed(pictures()[0], 65000, 65000)),
    "a shard's JPEG of 900 megapixels": Case("shard", lambda: in_shard(jpg=claimed(pictures()[0], 30000, 30000))),
    "a shard's label of brackets": Case("shard", lambda: in_shard(json=brackets(8_000_000))),
    "a shard's label without joints": Case(
        "shard", lambda: in_shard(json=json.dumps(label() | {"hands": [{"number": 1}]}).encode())
    ),
    "an .npz that inflates to 2.2 GB": Case("poses.npz", npz_of_two_gigabytes),
    "an .npz of bzip2": Case("poses.npz", npz_of_bzip2),
    "an encrypted .npz": Case("poses.npz", encrypted),
    "an .npz named .npy": Case("mapped arrays", npz),
    "a billion entries S0": Case("poses.npy", lambda: npy(header("|S0", "(1000000000,)"))),
    "a billion entries U0": Case("poses.npy", lambda: npy(header("<U0", "(1000000000,)"))),
    "a billion entries V0": Case("poses.npy", lambda: npy(header("|V0", "(1000000000,)"))),
    "a header that is not closed": Case("poses.npy", lambda: npy("{'descr': '<f8', 'shape': (1,")),
    "a deep header": Case("poses.npy", lambda: npy("(" * 5000)),
    "a header of a minus": Case("poses.npy", lambda: npy("-\n")),
    "a boolean shape": Case("poses.npy", lambda: npy(header("<f8", "(True,)"), bytes(8))),
    "a mapped header that is not closed": Case("mapped arrays", lambda: npy("{'descr': '<f8', 'shape': (1,")),
    "rows that wrap around": Case("pickle", wrapping_rows),
    "a selection of one entry": Case("pickle", selection),
    "a billion laughs": Case("mano", billion_laughs),
    "many small matrices": Case("pickle", many_matrices),
    "one array a thousand times": Case("pickle", one_array_often),
    "a pickle of empty lists": Case("pickle", lambda: b"\x80\x02](" + b"]" * 12_000_000 + b"e."),
    "MANO with a scalar": Case("mano", mano(v_template=np.float64(1.0))),
    "MANO with None": Case("mano", mano(weights=None)),
    "MANO with text": Case("mano", mano(f="faces")),
    "MANO with NaN": Case("mano", nan_vertices),
    "MANO with faces out of range": Case("mano", mano(f=np.full((10, 3), 778))),
    "a .mat of 800 MB": Case("mat", mat_of_gigabytes),
    "a submission of brackets": Case("predictions.zip", submission_of_brackets),
    "a submission that inflates to 2 GB": Case("predictions.zip", lambda: zipped("pred.json", zeros(2000), 2**31 - 1)),
    "poses 500 deep": Case("poses.json", lambda: _DEEP),
    "poses of a huge integer": Case("poses.json", lambda: b"[[[" + _LONG + b"]]]"),
    "poses of text": Case("poses.json", poses('"0.5"')),
    "poses of true": Case("poses.json", poses("true")),
    "poses of brackets": Case("poses.json", lambda: brackets(20_000_000)),
    "a camera 500 deep": Case("camera", lambda: b'{"K":' + _DEEP + b"}"),
    "a camera of a huge integer": Case("camera", lambda: b'{"fx":' + _LONG + b',"fy":1,"cx":1,"cy":1}'),
    "a camera of text": Case("camera", lambda: b'{"fx":"9","fy":9,"cx":1,"cy":1}'),
    "a peer's file 500 deep": Case("predictions.json", lambda: b'{"hands":' + _DEEP + b"}"),
    "a peer's huge integer": Case("predictions.json", lambda: b'{"hands":[{"joints_camera":' + _LONG + b"}]}"),
    "a peer's list for an object": Case("predictions.json", lambda: b'{"hands":[[1,2]]}'),
    "a peer's score of text": Case("predictions.json", lambda: hand(score="0.5")),
    "a truth.json 500 deep": Case("truth.json", lambda: b'[{"image":"a.jpg","joints_camera":' + _DEEP + b"}]"),
    "a truth.json of a huge integer": Case("truth.json", lambda: b'[{"image":"a.jpg","box":[1,2,3,' + _LONG + b"]}]"),
    "a truth.json with a number for a name": Case("truth.json", lambda: b'[{"image":5}]'),
    "an ONNX file that is none": Case("onnx", lambda: b"\x08\xff\xff\xff" * 50),
    "a checkpoint without names": Case("checkpoint config", lambda: b"[1]"),
    "a checkpoint's header of 2^63": Case("checkpoint weights", lambda: struct.pack("<Q", 2**63) + b"{}"),
    "a glTF file of zeros": Case("mesh.glb", glb_of_zeros),
    "a glTF file that is read backwards": Case("mesh.glb", glb_of_strides),
    "a glTF file that places a billion parts": Case("mesh.glb", glb_of_a_billion_nodes),
    "a mesh that is a picture": Case("mesh.ply", lambda: pictures()[0]),
    "a flat object": Case("object", lambda: b"solid x"),
    "a panorama of 100 megapixels and no pixel": Case("panorama", panorama_of_nothing),
    "a robot of deep XML": Case("urdf", deep_urdf),
    "a robot of 30,000 links": Case("urdf", long_urdf),
    "a network of gigabytes": Case("checkpoint network", wide_network),
    "a network of ten million layers": Case("checkpoint network", deep_network),
    "a sequence of a billion frames": Case(
        "dexycb, meta", lambda: b"mano_sides: [left]\nycb_ids: [1]\nycb_grasp_ind: 0\nnum_frames: 1000000000\n"
    ),
    "a calibration of a billion laughs": Case("dexycb, meta", laughing_yaml),
    "a shard's label of text": Case("shard", text_in_a_label),
    "a shard's label without its preset": Case(
        "shard, training", lambda: in_shard(json=json.dumps(label() | {"clip": 1}).encode())
    ),
    "labels without a comma": Case("freihand", lambda: b"[" + bytes(2**16).replace(b"\0", b"1 " * 512) + b"]"),
    "a person of text": Case("person", lambda: b'{"shape": ["0","0","0","0","0","0","0","0","0","0"]}'),
    "a person 500 deep": Case("person", lambda: b'{"shape":' + _DEEP + b"}"),
    "a video that is a playlist": Case("video", lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"),
}
