"""Submission files for the official servers: written, and checked before the upload."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from knuckle.datasets.layout import BrokenDataset
from knuckle.evaluate.data import Predictions
from knuckle.evaluate.predictions import unzipped
from knuckle.files import atomic_write, number_array
from knuckle.handmodel.biomechanics import finger_angles
from knuckle.skeleton import BONES, MIDDLE_MCP, ORDERS, from_common, to_common

_DECIMALS = 6  # of a metre: finer is noise, and the file has a hundred megabytes as it is
_HUMAN_METRES = (0.05, 0.15)  # range of wrist to middle MCP


@dataclass(frozen=True)
class SubmissionFormat:
    """The format of a server. count: pictures of its evaluation split. order: of joints, a key of ORDERS.
    flip: signs from our axes to its axes. vertices: of a mesh, for its mesh errors."""

    count: int
    order: str
    flip: tuple[float, float, float]
    vertices: int = 778


SUBMISSIONS: Mapping[str, SubmissionFormat] = MappingProxyType(
    {
        "freihand": SubmissionFormat(3960, "common", (1.0, 1.0, 1.0)),
        "ho3d-v2": SubmissionFormat(11524, "ho3d", (1.0, -1.0, -1.0)),
        "ho3d-v3": SubmissionFormat(20137, "ho3d", (1.0, -1.0, -1.0)),
    }
)


def write_submission(
    predictions: Predictions,
    form: SubmissionFormat,
    out: Path,
    advance: Callable[[int], None] = lambda hands: None,
) -> list[str]:
    """Write pred.json in a zip: [joints (N, 21, 3), meshes (N, V, 3)], in the split's order.

    Args:
        predictions: for every picture of the evaluation split, our order, axes and unit, in the camera frame.
        form: a value of SUBMISSIONS.
        out: the .zip.
        advance: called with the number of hands written since the last call.

    Returns:
        Notes for the user: missing hands that were filled in, missing meshes.

    Raises:
        ValueError: there are no joints, they are not in the camera frame, or all hands are missing.
    """
    if predictions.joints is None:
        raise ValueError(
            "predictions must hold joints in the camera frame to be submitted, but hold none; "
            "2D joints alone are not scored"
        )
    if not predictions.absolute:
        raise ValueError(
            "predictions must hold joints in the camera frame to be submitted, but these are relative to a root; "
            "the servers score absolute positions too"
        )
    if not predictions.present.any():
        raise ValueError("predictions must hold at least one hand but got none")
    notes = []
    missing = int((~predictions.present).sum())
    if missing:
        notes.append(f"{missing} missing hands are filled with the median of the others")
    if predictions.vertices is None:
        notes.append("no meshes were predicted: zeros are written, mesh errors and F-scores will have no meaning")
    elif predictions.vertices.shape[1] != form.vertices:
        count = predictions.vertices.shape[1]
        notes.append(
            f"meshes have {count} vertices, not {form.vertices}: the server reports no mesh error, only F-scores"
        )
    flip = np.array(form.flip)
    joints = np.asarray(predictions.joints, np.float64)
    median_joints = np.median(joints[predictions.present], axis=0)
    median_mesh = None
    if predictions.vertices is not None and missing:
        # The median of a few hundred meshes is accurate enough, and fits into memory.
        subset = np.flatnonzero(predictions.present)[:500]
        median_mesh = np.median(np.asarray(predictions.vertices[subset], np.float64), axis=0)

    def joint_rows(i: int) -> np.ndarray:
        chosen = joints[i] if predictions.present[i] else median_joints
        return np.asarray(from_common(chosen, form.order)) * flip

    def mesh_rows(i: int) -> np.ndarray:
        if predictions.vertices is None:
            return np.zeros((form.vertices, 3))
        chosen = predictions.vertices[i] if predictions.present[i] or median_mesh is None else median_mesh
        return np.asarray(chosen, np.float64) * flip

    with (
        atomic_write(out) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("pred.json", "w", force_zip64=True) as file,
    ):
        # Piece by piece: as one list twenty thousand meshes would take ten gigabytes.
        file.write(b"[")
        for number, rows in enumerate((joint_rows, mesh_rows)):
            file.write(b", [" if number else b"[")
            for i in range(len(predictions)):
                text = json.dumps(np.round(rows(i), _DECIMALS).tolist())
                file.write((", " if i else "").encode() + text.encode())
                advance(1 - number)
            file.write(b"]")
        file.write(b"]")
    return notes


def check_submission(path: Path, form: SubmissionFormat) -> list[str]:
    """The problems of a submission file; empty when it is ready.

    Args:
        path: the .zip with pred.json.
        form: a value of SUBMISSIONS.

    Returns:
        One line per problem: count, shapes, numbers, unit, axes, joint order, side, meshes away from their joints.
    """
    try:
        return _problems(unzipped(path, form.count), form)
    except (OSError, BrokenDataset) as error:
        return [f"the file must be a zip with pred.json but cannot be read ({error})"]


def _problems(data: Any, form: SubmissionFormat) -> list[str]:
    if not isinstance(data, list) or len(data) != 2:
        return ["pred.json must be [joints, meshes] but is not"]
    found = []
    for name, part in zip(("joints", "meshes"), data, strict=True):
        if not isinstance(part, list):
            return [f"{name} must be a list but is a {type(part).__name__}"]
        if len(part) != form.count:
            found.append(f"{name} must be {form.count}, one per picture of the split, but are {len(part)}")
    try:
        joints = number_array(data[0], "joints")
        sizes = {len(mesh) for mesh in data[1]}
        meshes = number_array(data[1], "meshes") if len(sizes) == 1 else None
    except (TypeError, ValueError) as error:
        return [*found, f"joints and meshes must be numbers of one shape but are not ({error})"]
    if joints.ndim != 3 or joints.shape[1:] != (21, 3):
        return [*found, f"joints must be (N, 21, 3) but are {joints.shape}"]
    if meshes is None or meshes.ndim != 3 or meshes.shape[2] != 3 or len(meshes) != len(joints):
        return [*found, f"meshes must be (N, V, 3) but have {sorted(sizes)[:5]} vertices"]
    if not (np.isfinite(joints).all() and np.isfinite(meshes).all()):
        return [*found, "all numbers must be finite but some are NaN or infinite"]
    found += _joint_problems(joints, form)
    if meshes.any():
        distance = float(np.median(np.linalg.norm(meshes.mean(1) - joints.mean(1), axis=1)))
        if distance > 0.1:
            found.append(
                f"meshes must be where their joints are but lie {distance:.3g} away: another unit or other axes?"
            )
    return found


def _joint_problems(joints: np.ndarray, form: SubmissionFormat) -> list[str]:
    found = []
    depth = joints[..., 2] * form.flip[2]
    if (depth <= 0).mean() > 0.5:
        axes = "OpenCV's (z forward)" if form.flip[2] > 0 else "OpenGL's (y up, z backward)"
        found.append(f"joints must be in {axes} camera axes but most lie behind the camera")
    best, lengths = _order_of(joints)
    if lengths[form.order] > 1.1 * lengths[best]:
        found.append(f"joints must be in the order {form.order!r} but look as if they were in {best!r}")
        return found
    common = np.asarray(to_common(joints * np.array(form.flip), form.order))
    size = float(np.median(np.linalg.norm(common[:, MIDDLE_MCP] - common[:, 0], axis=-1)))
    if not _HUMAN_METRES[0] <= size <= _HUMAN_METRES[1]:
        unit = "millimetres" if 30 <= size <= 200 else "centimetres" if 3 <= size <= 20 else "another unit"
        found.append(f"joints must be in metres but the palm is {size:.3g} long: {unit}?")
    flexion = np.asarray(finger_angles(common, "right"))[..., 0]
    if np.median(flexion) < 0:
        found.append("hands must be right hands but bend as left hands do: mirrored?")
    return found


def _order_of(joints: np.ndarray) -> tuple[str, dict[str, float]]:
    """The joint order that makes the shortest bones, and the mean bone length under each."""
    lengths = {}
    for name in ORDERS:
        joints_common = np.asarray(to_common(joints, name))
        parents, children = np.array(BONES).T
        lengths[name] = float(np.linalg.norm(joints_common[:, children] - joints_common[:, parents], axis=-1).mean())
    return min(lengths, key=lambda n: lengths[n]), lengths
