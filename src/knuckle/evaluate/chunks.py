"""A chunk of an evaluation's hands, in the form that a protocol compares."""

import mmap

import numpy as np

from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.protocols import Alignment, Protocol
from knuckle.metrics import (
    align_by_keypoints,
    align_by_keypoints_official,
    align_procrustes,
    align_root,
    align_root_scale,
    align_scale_translation,
    corner_errors,
    point_errors,
    project,
    projected_box_errors,
)
from knuckle.skeleton import PALM_RECIPES, wrist_to_palm

# The error of a missing prediction at every joint and vertex, and in the picture.
MISS_METRES = 0.050
MISS_PIXELS = 50.0


class Chunk:
    """Consecutive hands of an evaluation, ready to compare: float64, with the protocol's palm or wrist as joint 0."""

    def __init__(self, truth: Truth, predictions: Predictions, protocol: Protocol, start: int, stop: int):
        self.start, self.protocol = start, protocol
        self._truth, self._predictions, self._rows = truth, predictions, slice(start, stop)
        self.present = predictions.present[start:stop]
        whole = np.asarray(truth.joints[start:stop], np.float64)
        self._columns = list(protocol.joints)
        self.target = self._with_joint_zero(whole)[:, self._columns]
        if predictions.joints is not None:
            predicted = np.asarray(predictions.joints[start:stop], np.float64)
            self._require_finite("joints", predicted)
            # The truth stands in for a missing hand; its errors are replaced by the penalty later.
            self.predicted_joints = np.where(self.present[:, None, None], predicted, np.nan_to_num(whole))
            self.joints = self._with_joint_zero(self.predicted_joints)[:, self._columns]
        root, bone = protocol.root, protocol.bone
        self._root = self._columns.index(root)
        self._bone = (self._columns.index(bone[0]), self._columns.index(bone[1]))
        self._vertices: np.ndarray | None = None
        self._target_vertices: np.ndarray | None = None

    def _with_joint_zero(self, joints: np.ndarray) -> np.ndarray:
        zero = self.protocol.joint_zero
        return joints if zero == "wrist" else np.asarray(wrist_to_palm(joints, zero))

    def _require_finite(self, name: str, values: np.ndarray) -> None:
        bad = ~np.isfinite(values).reshape(len(values), -1).all(1) & self.present
        if bad.any():
            which = self._truth.ids[self.start + int(np.flatnonzero(bad)[0])]
            raise ValueError(f"{name} must be finite where a hand is present but got NaN or infinity for {which!r}")

    def aligned_joints(self, alignment: Alignment) -> np.ndarray:
        match alignment:
            case "camera":
                return self.joints
            case "root":
                return align_root(self.joints, self.target, self._root)
            case "root-scale":
                return align_root_scale(self.joints, self.target, self._root, self._bone)
            case "scale-translation":
                return align_scale_translation(self.joints, self.target)
            case "procrustes" | "official":
                return align_procrustes(self.joints, self.target, alignment == "official")

    @property
    def target_vertices(self) -> np.ndarray:
        if self._target_vertices is None:
            assert self._truth.vertices is not None
            self._target_vertices = self._scored(read_rows(self._truth.vertices, self._rows))
        return self._target_vertices

    @property
    def vertices(self) -> np.ndarray:
        if self._vertices is None:
            assert self._predictions.vertices is not None
            predicted = self._scored(read_rows(self._predictions.vertices, self._rows))
            self._require_finite("vertices", predicted)
            if not self.present.all():
                predicted[~self.present] = self.target_vertices.mean(1, keepdims=True)[~self.present]
            self._vertices = predicted
        return self._vertices

    def _scored(self, vertices: np.ndarray) -> np.ndarray:
        """The vertices that count; all of a mesh of another topology than the truth's."""
        truth = self._truth
        if truth.mesh_rows is None or truth.vertices is None or vertices.shape[1] != truth.vertices.shape[1]:
            return vertices
        return vertices[:, truth.mesh_rows]

    def aligned_vertices(self, alignment: Alignment, same_mesh: bool) -> np.ndarray:
        match alignment:
            case "camera":
                return self.vertices
            case "root":
                return self.vertices + (self.target - self.joints)[:, self._root][:, None]
            case "procrustes" | "official" if same_mesh:
                return align_procrustes(self.vertices, self.target_vertices, alignment == "official")
            case "official":
                return align_by_keypoints_official(self.vertices, self.joints, self.target)
            case "procrustes":
                return align_by_keypoints(self.vertices, self.joints, self.target)
        raise ValueError(f"meshes must be aligned by camera, root, procrustes or official but got {alignment!r}")

    def image_errors(self) -> np.ndarray:
        truth, rows = self._truth, self._rows
        labels = truth.joints_image
        if labels is None:
            assert truth.K is not None
            target = project(truth.K[rows], np.asarray(truth.joints[rows], np.float64))
        else:
            target = np.asarray(labels[rows], np.float64)
        predicted = self._predictions.joints_image
        if predicted is None:
            assert truth.K is not None
            predicted = project(truth.K[rows], self.predicted_joints)
        else:
            predicted = np.asarray(predicted[rows], np.float64)
        errors = point_errors(self._with_joint_zero(predicted), self._with_joint_zero(target))
        counted = np.isfinite(self._with_joint_zero(target)).all(-1)
        if self.protocol.visible_image_only and truth.visible is not None:
            counted &= self._visible(truth.visible[rows])
        # A joint without a pixel (missing, or behind the camera) costs the penalty; it is not left out.
        errors = np.where(np.isfinite(errors), errors, MISS_PIXELS)
        return np.where(counted, errors, np.nan)[:, self._columns]

    def _visible(self, visible: np.ndarray) -> np.ndarray:
        """(n, 21); a palm is visible where its wrist or middle MCP is, as in Zimmermann & Brox."""
        if self.protocol.joint_zero == "wrist":
            return visible
        result = visible.copy()
        result[:, 0] |= result[:, list(PALM_RECIPES[self.protocol.joint_zero][0])].any(1)
        return result

    def box_errors(self, key: str) -> np.ndarray:
        assert self._truth.corners is not None
        assert self._predictions.corners is not None
        target = np.asarray(self._truth.corners[self._rows], np.float64)
        predicted = np.asarray(self._predictions.corners[self._rows], np.float64)
        predicted = np.where(self.present[:, None, None], predicted, np.nan_to_num(target))
        # A hand that was found without the object it holds misses the box; it is not left out.
        missed = np.asarray(np.isnan(predicted).any((1, 2)) & np.isfinite(target).all((1, 2)))
        if key == "corners":
            return np.where(missed[:, None], MISS_METRES, corner_errors(predicted, target))
        assert self._truth.K is not None
        errors = projected_box_errors(predicted, target, self._truth.K[self._rows])
        return np.where(missed, MISS_PIXELS, errors)[:, None]


def read_rows(array: np.ndarray, rows: slice) -> np.ndarray:
    """Some rows as float64, without keeping the pages of a memory-mapped file in memory.

    Args:
        array: (N, ...), in memory or memory-mapped.
        rows: which of them.

    Returns:
        A float64 copy.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous:
        # A map of its own, closed on return: the pages of one long-lived map would all stay resident.
        offset = array.offset + rows.start * array.strides[0]
        shape = (rows.stop - rows.start, *array.shape[1:])
        part = np.memmap(str(array.filename), array.dtype, "r", offset, shape)
        return np.array(part, np.float64)
    return np.array(array[rows], np.float64)
