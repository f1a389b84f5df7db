"""The readers of outside bytes: what each is given to begin with, and how it is called."""

import io
import json
import pickle
import struct
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import scipy.io
import scipy.sparse

from fuzz.of_models import MODELS
from fuzz.of_sets import SETS
from fuzz.target import Target, as_json, joints, saved
from knuckle.camera import Camera
from knuckle.datasets.folder import map_array
from knuckle.datasets.layout import read_picture as dataset_picture
from knuckle.datasets.matlab import read_mat
from knuckle.datasets.sets import DataSet, parse_spec
from knuckle.datasets.shards import read_samples
from knuckle.datasets.space import read_joints
from knuckle.evaluate.data import Truth
from knuckle.evaluate.predictions import Conventions, read_predictions
from knuckle.evaluate.submit import SubmissionFormat, check_submission
from knuckle.files import load_pickle
from knuckle.handmodel import ANGLE_NAMES, HandModel
from knuckle.image import focal_length_pixels, read_picture
from knuckle.image.video import open_video
from knuckle.posefile import read_poses
from knuckle.predict.cameras import read_camera
from knuckle.recording import read_recording
from knuckle.sample import Hand, Hands
from knuckle.skeleton import JOINT_NAMES
from mano_fixture import mano_arrays, write_mano_pickle


def _picture() -> np.ndarray:
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 5 * y, 128 + 0 * x], axis=-1).astype(np.uint8)


def pictures() -> list[bytes]:
    """JPEG, also progressive, PNG, also with alpha and of 16 bits, WebP, BMP, TIFF and GIF."""
    image = _picture()
    alpha, deep = np.dstack([image, image[..., 0]]), image.astype(np.uint16) * 257
    kinds = [(".jpg", image), (".png", image), (".webp", image), (".bmp", image), (".png", alpha), (".png", deep)]
    kinds += [(".tiff", image), (".gif", image)]
    found = [cv2.imencode(kind, pixels)[1].tobytes() for kind, pixels in kinds]
    found.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())
    first = struct.pack("<HHHIHH", 2, 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x8769, 4, 1, 38)
    second = struct.pack("<HHHIHH", 1, 0xA405, 3, 1, 27, 0) + struct.pack("<I", 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", 0) + second
    exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    return [*found, found[0][:2] + exif + found[0][2:]]


def _npz() -> list[bytes]:
    arrays = {"joints": joints(), "vertices": np.zeros((2, 5, 3), np.float32), "left": np.array([True, False])}
    return [saved(lambda f: np.savez(f, **arrays)), saved(lambda f: np.savez_compressed(f, **arrays))]


def peers() -> list[object]:
    """One file's content of each program."""
    points = joints()
    hand = {
        "side": "left",
        "score": 0.9,
        "joints_camera": points[0].tolist(),
        "joints_image": points[0, :, :2].tolist(),
    }
    marks = [{"x": 0.5, "y": 0.5, "z": 0.1}] * 21
    return [
        {"size": [64, 64], "hands": [hand]},
        {
            "size": [64, 64],
            "hand_landmarks": [marks],
            "hand_world_landmarks": [marks],
            "handedness": [[{"score": 1.0}]],
        },
        {"people": [{"hand_left_keypoints_2d": [1.0, 2.0, 0.5] * 21, "hand_right_keypoints_2d": []}]},
        {"instances": [{"keypoints": points[0, :, :2].tolist(), "keypoint_scores": [0.5] * 21}]},
        [points.tolist(), np.zeros((2, 5, 3)).tolist()],
    ]


def _zip(name: str, content: bytes) -> bytes:
    def save(out: io.BytesIO) -> None:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)

    return saved(save)


def _pickles() -> list[bytes]:
    data = {"a": np.arange(6.0), "m": scipy.sparse.csc_matrix(np.eye(4)), "l": [1, (2, "x"), {3}], "t": b"\xff"}
    data |= {kind: getattr(scipy.sparse, f"{kind}_matrix")(np.eye(4)) for kind in ("csr", "coo", "bsr", "dia")}
    return [pickle.dumps(data, protocol=protocol) for protocol in (0, 2, 4)]


def label() -> dict[str, object]:
    """Of one picture of a shard."""
    points = joints()[0]
    camera = Camera.from_fov((60, 40), 1.0)
    hand = {
        "number": 1,
        "side": "right",
        "joints_camera": points.tolist(),
        "joints_image": np.asarray(camera.project(points)).tolist(),
        "visibility": [1] * 21,
        "angles": dict.fromkeys(ANGLE_NAMES, 0.0),
        "wrist_angles": [0.0, 0.0],
        "shape": [0.0] * 10,
        "T_camera_hand": np.eye(4).tolist(),
        "box": [0.0, 0.0, 30.0, 30.0],
    }
    return {"id": "crop-0-0", "size": [60, 40], "K": np.asarray(camera.K).tolist(), "hands": [hand], "objects": []}


def shard(files: dict[str, bytes]) -> bytes:
    """A shard of one picture."""

    def save(out: io.BytesIO) -> None:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for ending, data in files.items():
                member = tarfile.TarInfo(f"00000000.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    return saved(save)


def shard_files() -> dict[str, bytes]:
    """The files of one picture of a shard."""
    mask = cv2.imencode(".png", _picture()[..., 0])[1].tobytes()
    image = cv2.imencode(".jpg", _picture())[1].tobytes()
    return {"jpg": image, "visible.png": mask, "complete.png": mask, "json": json.dumps(label()).encode()}


def _videos() -> list[bytes]:
    from predict.films import film

    with tempfile.TemporaryDirectory() as folder:
        kinds = (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mjpeg"))
        return [film(Path(folder) / name, 3, codec=codec, pix_fmt=_format(codec)).read_bytes() for name, codec in kinds]


def _format(codec: str) -> str:
    return "yuvj420p" if codec == "mjpeg" else "yuv420p"


def _frames(path: Path) -> int:
    with open_video(path, 2**22) as video:
        return sum(1 for _ in video)


@cache
def truth() -> Truth:
    """Two hands, for predictions to be matched with."""
    return Truth(("x", "b"), joints(), np.array([False, False]))


def _exif(path: Path) -> object:
    return focal_length_pixels(path.read_bytes(), 640, 480)


def _frames_of_json() -> list[dict[str, object]]:
    """What `knuckle predict` writes of a video of two frames."""
    camera = Camera.from_fov((60, 40), 1.0)
    angles = dict.fromkeys(ANGLE_NAMES, 0.1)
    hands = [
        Hand(
            side="left",
            score=0.9,
            box=np.array([1.0, 2.0, 9.0, 8.0]),
            joints_camera=points,
            angles=angles,
            shape=np.zeros(10),
            T_camera_hand=np.eye(4),
            joint_uncertainty_mm=np.ones(21),
            plausibility=0.5,
            camera=camera,
            id=3,
        ).to_json()
        for points in joints()
    ]
    K = np.asarray(camera.K)
    named = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "source": "given"}
    return [
        {"frame": i, "time": i / 30, "size": [60, 40], "camera": named, "hands": [hand]} for i, hand in enumerate(hands)
    ]


def _recording_npz() -> list[bytes]:
    arrays = {"joints_camera": joints(), "left": np.array([True, True]), "id": np.array([3, 3]), "time": np.arange(2.0)}
    return [saved(lambda f: np.savez(f, **arrays))]


def _recording_csv() -> list[bytes]:
    columns = ["frame", "time", "id", "side", "score", *(f"{joint}_{axis}" for joint in JOINT_NAMES for axis in "xyz")]
    rows = [[i, i / 30, 3, "left", 0.9, *points.ravel()] for i, points in enumerate(joints())]
    return ["\n".join(",".join(map(str, row)) for row in [columns, *rows]).encode()]


def _chosen(path: Path) -> object:
    return read_recording(path).of_one_side("left")[0].of_one_track(3).fps(30.0)


def _npy() -> list[bytes]:
    return [
        saved(lambda f: np.save(f, joints())),
        saved(lambda f: np.save(f, np.asfortranarray(joints(), np.float32))),
    ]


def _cameras() -> list[bytes]:
    return as_json({"fx": 9, "fy": 9, "cx": 3, "cy": 3}, {"K": np.eye(3).tolist()})


_FORM = SubmissionFormat(2, "common", (1.0, 1.0, 1.0), 5)


def _mat() -> list[bytes]:
    arrays = {"handPara": np.zeros((3, 21, 4))}
    return [saved(lambda f, c=c: scipy.io.savemat(f, arrays, do_compression=c)) for c in (False, True)]


@cache
def _mano_model() -> HandModel:
    with tempfile.TemporaryDirectory() as folder:
        write_mano_pickle(Path(folder) / "m.pkl", mano_arrays(np.random.default_rng(0), left=False))
        return HandModel.load(Path(folder) / "m.pkl")


def _mano_predictions() -> list[bytes]:
    _mano_model()  # here, where it may be written
    arrays = {"pose": np.zeros((2, 48)), "betas": np.zeros((2, 10)), "trans": np.full((2, 3), 0.5)}
    return [saved(lambda f: np.savez(f, **arrays))]


def _predictions(path: Path) -> object:
    return read_predictions(path, truth())


def _posed_predictions(path: Path) -> object:
    return read_predictions(path, truth(), conventions=Conventions(mano=_mano_model()))


def _named_frames() -> list[bytes]:
    frames = [frame | {"image": name} for frame, name in zip(_frames_of_json(), ("x.jpg", "b.jpg"), strict=True)]
    return [b"\n".join(as_json(*frames))]


def _submission() -> list[bytes]:
    return [_zip("pred.json", json.dumps([joints().tolist(), np.zeros((2, 5, 3)).tolist()]).encode())]


def _dexycb_results() -> list[bytes]:
    lines = [",".join(map(str, [i, *(1000 * points).ravel()])) for i, points in enumerate(joints())]
    return ["\n".join(lines).encode()]


def _training_pictures(path: Path) -> object:
    return list(DataSet(parse_spec(str(path.parent))).pictures(masks=True))


TARGETS = {
    "picture": Target("x.jpg", pictures, read_picture),
    "data set's picture": Target("x.jpg", pictures, lambda path: dataset_picture(path, "")),
    "exif": Target("x.jpg", pictures, _exif),
    "video": Target("x.mp4", _videos, _frames),
    "camera": Target("x.json", _cameras, read_camera),
    "poses.json": Target("x.json", lambda: as_json(joints().tolist(), {"joints": joints().tolist()}), read_poses),
    "poses.npy": Target("x.npy", _npy, read_poses),
    "poses.npz": Target("x.npz", _npz, read_poses),
    "mapped arrays": Target("joints.npy", _npy, lambda path: np.array(map_array(path, (21, 3)))),
    "recording.jsonl": Target("x.jsonl", lambda: [b"\n".join(as_json(*_frames_of_json()))], _chosen),
    "recording.npz": Target("x.npz", _recording_npz, _chosen),
    "recording.csv": Target("x.csv", _recording_csv, _chosen),
    "hands": Target("x.json", lambda: as_json(_frames_of_json()[0]), Hands.load),
    "pickle": Target("x.pkl", _pickles, load_pickle),
    "mat": Target("x.mat", _mat, lambda path: read_mat(path, ("handPara",))),
    "shard": Target("x.tar", lambda: [shard(shard_files())], lambda path: list(read_samples(path))),
    "shard, labels": Target("x.tar", lambda: [shard(shard_files())], lambda path: read_joints(str(path.parent))),
    "shard, training": Target("x.tar", lambda: [shard(shard_files())], _training_pictures),
    "predictions.json": Target("x.json", lambda: as_json(*peers()), _predictions),
    "predictions.jsonl": Target("x.jsonl", _named_frames, _predictions),
    "predictions.npz": Target("x.npz", _npz, _predictions),
    "predictions.zip": Target("x.zip", _submission, _predictions),
    "predictions.txt": Target("x.txt", _dexycb_results, _predictions),
    "predictions, MANO": Target("x.npz", _mano_predictions, _posed_predictions),
    "submission": Target("x.zip", _submission, lambda path: check_submission(path, _FORM)),
    **SETS,
    **MODELS,
}
