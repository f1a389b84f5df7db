"""Examples without pictures: hands as angles and shape, of data sets whose labels are poses, posed anew every time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from knuckle.datasets.sets import DataSet
from knuckle.fit import fit_hand
from knuckle.geometry.rotation import matrix_to_axis_angle, quaternion_to_matrix
from knuckle.handmodel import HandModel, angle_limits
from knuckle.handmodel.palm import align_palm
from knuckle.sample import Sample
from knuckle.systems.records import ConcatRecords, NoRecords, Record, open_records, records_folder, write_records
from knuckle.systems.system import Part

_FITTED_TOGETHER = 256
# Metres from wrist to middle MCP: beyond any child's and any adult's.
_PALM_LENGTH = (0.02, 0.2)


@dataclass(frozen=True)
class PoseConfig:
    """How poses of data sets become examples.

    Attributes:
        uniform: share of examples that are no data set's: angles and shape uniform within their limits.
        angle_noise: of recorded poses, largest standard deviation, radians.
        fresh_shape: share of recorded poses that are posed with the shape of a random adult.
        joint_noise: of the joints that the network sees, largest standard deviation of a coordinate, metres.
        held_out: part of each data set that is never trained on, in whole groups. The paper splits 9:1.
    """

    uniform: float = 0.5
    angle_noise: float = 0.1
    fresh_shape: float = 0.5
    joint_noise: float = 0.003
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.uniform <= 1 and 0 <= self.fresh_shape <= 1 and 0 <= self.held_out < 1):
            raise ValueError(f"uniform, fresh_shape and held_out must be shares of 0 to 1 but got {self}")
        if self.angle_noise < 0 or self.joint_noise < 0:
            raise ValueError(f"noise must be 0 or more but got {self.angle_noise} and {self.joint_noise}")


class PoseExample(NamedTuple):
    """One hand: angles (23,), shape (S,), rotation (3, 3), and offset (21, 3), metres in the hand frame, of the
    observed joints from the model's."""

    angles: np.ndarray
    shape: np.ndarray
    rotation: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True, eq=False)
class PoseBatch:
    """Hands to train on.

    Attributes:
        angles: (B, 23) radians.
        shape: (B, S).
        vectors: (B, 15, 3) rotation vectors of the finger joints, the same pose.
        joints_hand: (B, 21, 3) metres, the model's joints of these, hand frame.
        rotation: (B, 3, 3) hand frame to the observed one.
        joints: (B, 21, 3) metres, what is observed: of right hands, in any frame.
    """

    angles: Tensor
    shape: Tensor
    vectors: Tensor
    joints_hand: Tensor
    rotation: Tensor
    joints: Tensor

    def __len__(self) -> int:
        return len(self.angles)

    def to(self, device: Any) -> "PoseBatch":
        return PoseBatch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


class Poses:
    """The source. What sets say of their hands is kept in the cache as angles and shape.

    Where a set has no angles of this hand, as all sets but generated ones, they are fitted to its joints, and to its
    vertices where the mesh has the hand's topology: for a MANO file that is the paper's step from 45 angles to 23.

    Args:
        sets: that have joints in space.
        model: the hand, NumPy.
        limits: (23, 2) of its angles, radians.
        config: see `PoseConfig`.
        cache, advance: see `knuckle.systems.system.System.source`.

    Raises:
        ValueError: a set has no hand with 21 joints in metres.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        model: HandModel,
        limits: Float[np.ndarray, "23 2"],
        config: PoseConfig,
        cache: Path,
        advance: Callable[[str, int], None] = lambda name, count: None,
    ) -> None:
        self._model, self._limits, self._config = model, limits, config
        self._shape_limits = np.asarray(model.shape_limits)
        folders = [_records_of(data, model, limits, cache, advance) for data in sets]
        self._records = ConcatRecords([open_records(folder) for folder in folders])
        self.parts = [
            Part(data.name, count, data.spec.share, config.held_out)
            for data, count in zip(sets, self._records.lengths, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._records)

    def group(self, index: int) -> str:
        """See Source."""
        return bytes(self._records.column("group", index)).decode()

    def sample(self, index: int, rng: np.random.Generator) -> PoseExample:
        """See Source."""
        c = self._config
        low, high = self._shape_limits.T
        if rng.random() < c.uniform:
            angles, shape = rng.uniform(*self._limits.T), rng.uniform(low, high)
            offset = np.zeros((21, 3))
        else:
            record = self._records[index]
            angles, shape, offset = (record[name].astype(np.float64) for name in ("angles", "shape", "offset"))
            angles = np.clip(angles + rng.normal(0, c.angle_noise * rng.random(), len(angles)), *self._limits.T)
            if rng.random() < c.fresh_shape:
                shape = np.clip(rng.normal(0, 1, len(shape)), low, high)
        offset = offset + rng.normal(0, c.joint_noise * rng.random(), (21, 3))
        quaternion = rng.normal(size=4)
        return PoseExample(angles, shape, quaternion_to_matrix(quaternion / np.linalg.norm(quaternion)), offset)

    def collate(self, samples: Sequence[PoseExample]) -> PoseBatch:
        """See Source. The hands are posed here, all at once."""
        angles, shape, rotation, offset = (np.stack(values) for values in zip(*samples, strict=True))
        joints_hand = np.asarray(self._model.joints(angles, shape=shape))
        joints = (joints_hand + offset) @ rotation.swapaxes(-1, -2)
        vectors = rotation_vectors(self._model, angles)
        arrays = (angles, shape, vectors, joints_hand, rotation, joints)
        return PoseBatch(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))


def rotation_vectors(model: HandModel, angles: Float[np.ndarray, "*batch 23"]) -> Float[np.ndarray, "*batch 15 3"]:
    """The 45 rotation parameters that say what the 23 angles do."""
    return np.asarray(matrix_to_axis_angle(model.rotations(angles)))


def limits_of(model: HandModel) -> Float[np.ndarray, "23 2"]:
    """The limits of its angles: the paper's for a hand whose angles are summed, as its are."""
    return angle_limits("s4" if model.angle_convention == "summed" else "default")


def fitted_labels(
    model: HandModel,
    joints: Float[np.ndarray, "n 21 3"],
    left: np.ndarray,
    limits: Float[np.ndarray, "23 2"],
    vertices: Float[np.ndarray, "n v 3"] | None = None,
) -> tuple[Float[np.ndarray, "n 23"], Float[np.ndarray, "n s"]]:
    """The 23 angles and the shape that explain recorded hands, within limits."""
    fit = fit_hand(model, joints, vertices, side=left, limits=limits, shape_regularisation=0.1)
    return fit.angles, fit.shape


def _records_of(data: DataSet, model: HandModel, limits: np.ndarray, cache: Path, advance) -> Path:
    hand = [model.name, *np.asarray(model.joints_rest).round(6).ravel().tolist()]
    folder = records_folder(cache, {"data": data.fingerprint(), "hand": hand, "poses": 1}, data.name)
    if folder.exists():
        return folder
    try:
        write_records(folder, _records(data, model, limits, advance))
    except NoRecords:
        raise ValueError(f"{data.name} must have hands with all 21 joints in space but has none") from None
    return folder


def _records(data: DataSet, model: HandModel, limits: np.ndarray, advance) -> Iterator[Record]:
    hands = (pair for pair in data.hands() if _is_whole(pair[0]))
    done = 0
    while block := list(islice(hands, _FITTED_TOGETHER)):
        samples = [sample for sample, _ in block]
        joints = np.stack([np.asarray(sample.joints_camera, float) for sample in samples])
        _check_metres(data.name, joints)
        left = np.array([sample.side == "left" for sample in samples])
        angles, shape = _labels(model, samples, joints, left, limits)
        unplaced = np.asarray(model.joints(angles, shape=shape))
        right = joints * np.where(left[:, None, None], [-1.0, 1.0, 1.0], 1.0)
        rotation, translation = align_palm(unplaced, right)
        offset = (right - translation[:, None]) @ rotation - unplaced
        for i, (_, group) in enumerate(block):
            digest = data.group_name(group).encode()
            rows = {"angles": angles[i], "shape": shape[i], "offset": offset[i]}
            yield {n: v.astype(np.float32) for n, v in rows.items()} | {"group": np.array(digest, "S16")}
        done += len(block)
        advance(data.name, done)


def _labels(model, samples: Sequence[Sample], joints, left, limits) -> tuple[np.ndarray, np.ndarray]:
    """Angles and shape: the set's own where they are of this hand, else fitted."""
    if model.name == "open" and all(s.angles is not None and s.shape is not None for s in samples):
        angles = np.stack([np.asarray(s.angles, float) for s in samples])
        return np.clip(angles, *limits.T), np.stack([np.asarray(s.shape, float) for s in samples])
    meshes = [s.vertices_camera for s in samples if s.vertices_camera is not None]
    same = len(meshes) == len(samples) and all(mesh.shape == model.vertices.shape for mesh in meshes)
    return fitted_labels(model, joints, left, limits, np.stack(meshes).astype(float) if same else None)


def _is_whole(hand: Sample) -> bool:
    return hand.joints_camera is not None and bool(np.isfinite(hand.joints_camera).all())


def _check_metres(name: str, joints: Float[np.ndarray, "n 21 3"]) -> None:
    length = float(np.median(np.linalg.norm(joints[:, 9] - joints[:, 0], axis=-1)))
    if not _PALM_LENGTH[0] < length < _PALM_LENGTH[1]:
        raise ValueError(
            f"{name} must hold joints in metres, whose distances are a hand's, but wrist and middle MCP are {length:g} "
            "apart; give metres, not millimetres or directions without lengths"
        )
