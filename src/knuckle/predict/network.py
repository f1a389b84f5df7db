"""The two ONNX graphs behind plain functions of NumPy arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from knuckle.image.cut import apply_affine, cut, invert_affine
from knuckle.predict.detect import Detection, letterbox, read_maps


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that sleep between two layers cost a quarter of the time; ones that spin between two pictures would keep
    # the cores from other work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class DetectorGraph:
    """Hands in whole pictures. Thread-safe: it holds nothing but the graph."""

    def __init__(self, path: Path, threads: int) -> None:
        self._graph = _session(path, threads)
        self._size = int(self._graph.get_inputs()[0].shape[1])

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], threshold: float, most: int) -> list[Detection]:
        """The hands found, best first, in pixels of the picture."""
        affine = letterbox(picture.shape[1], picture.shape[0], self._size)
        laid = cut(picture, affine, (self._size, self._size))
        maps = np.asarray(self._graph.run(None, {"pictures": laid[None]})[0])
        back = invert_affine(affine)
        return [
            Detection(apply_affine(back, d.box.reshape(2, 2)).reshape(4), d.score, d.left, d.direction)
            for d in read_maps(maps[0], threshold, most)
        ]


@dataclass(frozen=True)
class Reading:
    """What the hand network says of one crop.

    Attributes:
        joints: (21, 3) pixels of the crop and depth in such pixels; see `knuckle.predict.place`.
        doubt: (21,) mean absolute error to expect in each coordinate, in pixels of the crop.
        left: chance that the crop, mirrored or not, shows a left hand.
        presence: chance that it shows a hand at all.
    """

    joints: Float[np.ndarray, "21 3"]
    doubt: Float[np.ndarray, "21"]
    left: float
    presence: float


class HandGraph:
    """Joints in upright crops. Thread-safe: it holds nothing but the graph."""

    def __init__(self, path: Path, threads: int) -> None:
        self._graph = _session(path, threads)
        self.size = int(self._graph.get_inputs()[0].shape[1])

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], affines: list[Float[np.ndarray, "2 3"]]) -> list[Reading]:
        """One reading a crop, all from the same picture; `affines` map its pixels to those of the crops."""
        if not affines:
            return []
        pixels = np.stack([cut(picture, affine, (self.size, self.size)) for affine in affines])
        outputs = self._graph.run(None, {"pictures": pixels})
        return [
            Reading(joints.astype(float), doubt.astype(float), float(left), float(presence))
            for joints, doubt, left, presence in zip(*outputs, strict=True)
        ]
