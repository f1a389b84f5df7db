"""Predicting lists of files: results are written beside each other; a file that fails does not stop the others."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from knuckle.export.glb import write_glb
from knuckle.export.hand import motion_of, skinned_mesh_of
from knuckle.files import atomic_write
from knuckle.image.read import PictureError, decode_picture
from knuckle.predict.cameras import SourcedCamera, camera_of
from knuckle.predict.predictor import Predictor
from knuckle.predict.sources import VIDEOS, expand, stems
from knuckle.predict.video import VideoPredictor
from knuckle.sample import Hand, HeldObject
from knuckle.track import FilterSettings
from knuckle.view.bones import draw_box, draw_skeleton
from knuckle.view.mesh import overlay_mesh


@dataclass(frozen=True)
class RunOptions:
    """What to write, with which camera, and how many hands.

    Attributes:
        save: formats, of `WRITERS`; a video has json and overlay only.
        K: intrinsics of the camera of all files, or None.
        fov: its field of view in radians instead, 0 for none.
        max_hands: maximum in one picture.
    """

    save: Sequence[str] = ("json",)
    K: np.ndarray | None = None
    fov: float = 0.0
    max_hands: int = 4

    def __post_init__(self) -> None:
        unknown = set(self.save) - set(WRITERS)
        if unknown:
            raise ValueError(f"save must be among {', '.join(WRITERS)} but got {', '.join(sorted(unknown))}")


@dataclass(frozen=True)
class PictureResult:
    """One picture, the camera it was taken with, and the hands found in it."""

    name: str
    image: np.ndarray
    camera: SourcedCamera
    hands: Sequence[Hand]

    def to_json(self) -> dict[str, Any]:
        """The result as it is written."""
        return {
            "image": self.name,
            "size": [self.image.shape[1], self.image.shape[0]],
            "camera": self.camera.to_json(),
            "hands": [hand.to_json() for hand in self.hands],
        }


@dataclass
class RunSummary:
    """The result of a run: the number of pictures (or frames) and of hands in them, and one line for each problem."""

    pictures: int = 0
    hands: int = 0
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The counts in words."""
        trouble = f", {len(self.problems)} of the sources could not be used" if self.problems else ""
        return f"{self.hands} hands in {self.pictures} pictures{trouble}"


def predict_sources(
    predictor: Predictor,
    sources: Sequence[str],
    out: Path,
    options: RunOptions,
    on_start: Callable[[int], None] = lambda count: None,
    on_file: Callable[[], None] = lambda: None,
) -> RunSummary:
    """Like predict_files, for files, folders, patterns and videos; a source that matches no file is a problem.

    Args:
        predictor: finds the hands.
        sources: as typed.
        out: the folder for results.
        options: what to write.
        on_start: called with the number of files.
        on_file: called after each file.
    """
    files, problems = expand(list(sources))
    on_start(len(files))
    summary = predict_files(predictor, files, out, options, lambda path: on_file())
    summary.problems[:0] = problems
    return summary


def predict_files(
    predictor: Predictor,
    files: Sequence[Path],
    out: Path,
    options: RunOptions,
    on_file: Callable[[Path], None] = lambda path: None,
) -> RunSummary:
    """Predicts every file that can be read and writes `out/<stem>.json` (`.jsonl` for a video) and the other formats.

    Args:
        on_file: called after each file.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary = RunSummary()
    for path, stem in zip(files, stems(list(files)), strict=True):
        run = _predict_video if path.suffix.lower() in VIDEOS else _predict_picture
        try:
            run(predictor, path, out / stem, options, summary)
        except (PictureError, OSError, ValueError) as error:
            line = " ".join(str(error).split())
            summary.problems.append(line if line.startswith(str(path)) else f"{path}: {line}")
        on_file(path)
    return summary


def overlay(image: np.ndarray, hands: Sequence[Hand], predictor: Predictor, mesh: bool = True) -> np.ndarray:
    """The picture with the hands' meshes, skeletons and held objects' boxes over it."""
    for hand in sorted(hands, key=lambda h: -h.joints_camera[:, 2].mean()):
        if mesh and hand.vertices_camera is not None:
            faces = np.asarray(predictor.model.faces_of(hand.side)).astype(np.int64)
            image = overlay_mesh(image, hand.vertices_camera, faces, hand.camera, alpha=0.45)
        image = draw_skeleton(image, hand.joints_image)
        if hand.object is not None:
            image = draw_box(image, hand.camera.project(hand.object.corners_camera))
    return image


def _predict_picture(predictor: Predictor, path: Path, out: Path, options: RunOptions, summary: RunSummary) -> None:
    data = path.read_bytes()
    image = decode_picture(data)
    camera = camera_of((image.shape[1], image.shape[0]), data, options.K, options.fov)
    result = PictureResult(path.name, image, camera, predictor(image, camera.camera, options.max_hands))
    summary.pictures += 1
    summary.hands += len(result.hands)
    for name, write in WRITERS.items():
        if name in options.save:
            write(result, out, predictor)


def _predict_video(predictor: Predictor, path: Path, out: Path, options: RunOptions, summary: RunSummary) -> None:
    capture = cv2.VideoCapture(str(path))
    writer: cv2.VideoWriter | None = None
    frames = 0
    try:
        if not capture.isOpened():
            raise PictureError("cannot be opened as a video; convert it to MP4 with H.264")
        fps = capture.get(cv2.CAP_PROP_FPS) or 30.0
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        video = VideoPredictor(predictor, fps, FilterSettings())
        with atomic_write(_named(out, ".jsonl")) as unfinished, unfinished.open("w") as lines:
            for image in _frames(capture):
                size = (image.shape[1], image.shape[0])
                camera = camera_of(size, b"", options.K, options.fov)
                hands = video(image, camera.camera, options.max_hands)
                result = PictureResult(path.name, image, camera, hands)
                lines.write(json.dumps({"frame": frames} | result.to_json()) + "\n")
                frames += 1
                summary.hands += len(hands)
                if "overlay" in options.save:
                    if writer is None:
                        code = cv2.VideoWriter.fourcc(*"mp4v")
                        writer = cv2.VideoWriter(str(_named(out, ".overlay.mp4")), code, fps, size)
                    writer.write(cv2.cvtColor(overlay(image, hands, predictor, mesh=False), cv2.COLOR_RGB2BGR))
    finally:
        capture.release()
        if writer is not None:
            writer.release()
    summary.pictures += frames
    # Counts in headers are off by a frame or two; a truncated file lacks many.
    if frames == 0 or frames < 0.95 * expected - 2:
        raise PictureError(f"is truncated after frame {frames} of {expected}; the frames before it were processed")


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _named(out: Path, suffix: str) -> Path:
    # with_suffix would cut a stem that has a dot in it
    return out.parent / (out.name + suffix)


def _write_json(result: PictureResult, out: Path, predictor: Predictor) -> None:
    with atomic_write(_named(out, ".json")) as unfinished:
        unfinished.write_text(json.dumps(result.to_json()) + "\n")


def _write_overlay(result: PictureResult, out: Path, predictor: Predictor) -> None:
    drawn = cv2.cvtColor(overlay(result.image, result.hands, predictor), cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        height, width = result.image.shape[:2]
        raise ValueError(f"the overlay of {width} x {height} pixels could not be encoded; shrink the picture")
    with atomic_write(_named(out, ".overlay.jpg")) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


def _write_npz(result: PictureResult, out: Path, predictor: Predictor) -> None:
    with atomic_write(_named(out, ".npz")) as unfinished:
        np.savez(unfinished, allow_pickle=False, **_arrays(result.hands))


def _arrays(hands: Sequence[Hand]) -> dict[str, np.ndarray]:
    def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([getattr(h, name) for h in hands]) if hands else np.zeros((0, *shape))

    arrays = {
        "joints_camera": stacked("joints_camera", (21, 3)),
        "joints_image": stacked("joints_image", (21, 2)),
        "joints_network": stacked("joints_network", (21, 3)),
        "joint_uncertainty_mm": stacked("joint_uncertainty_mm", (21,)),
        "vertices_camera": stacked("vertices_camera", (0, 3)),
        "shape": stacked("shape", (10,)),
        "T_camera_hand": stacked("T_camera_hand", (4, 4)),
        "box": stacked("box", (4,)),
    }
    arrays["angles"] = np.array([list(h.angles.values()) for h in hands]).reshape(-1, 23)
    arrays["left"] = np.array([h.side == "left" for h in hands], bool)
    arrays["score"] = np.array([h.score for h in hands], float)
    return arrays | _object_arrays([h.object for h in hands])


def _object_arrays(objects: Sequence[HeldObject | None]) -> dict[str, np.ndarray]:
    """NaN and an empty name stand for what is missing."""

    def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = [None if held is None else getattr(held, name) for held in objects]
        return np.array([np.full(shape, np.nan) if v is None else v for v in values], float).reshape(-1, *shape)

    return {
        "object_corners_camera": stacked("corners_camera", (8, 3)),
        "T_camera_object": stacked("T_camera_object", (4, 4)),
        "object_category": np.array([(held and held.category) or "" for held in objects], str),
        "object_category_probability": stacked("category_probability", ()),
    }


def _write_glb(result: PictureResult, out: Path, predictor: Predictor) -> None:
    if not result.hands:
        return
    model, pairs = predictor.model, []
    for hand in result.hands:
        pose = np.asarray(hand.T_camera_hand)[None]
        angles = np.array([list(hand.angles.values())])
        motion = motion_of(model, angles, pose[:, :3, :3], pose[:, :3, 3], hand.side)
        pairs.append((skinned_mesh_of(model, hand.shape, hand.side), motion))
    with atomic_write(_named(out, ".glb")) as unfinished:
        write_glb(unfinished, pairs)


# The formats of a picture's result: each writes one file named after `out`. Another format is one line here.
WRITERS: Mapping[str, Callable[[PictureResult, Path, Predictor], None]] = {
    "json": _write_json,
    "overlay": _write_overlay,
    "glb": _write_glb,
    "npz": _write_npz,
}
