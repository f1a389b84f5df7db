"""Metrics beside the protocol's scores: side, depth, scale, acceleration, jitter, and how hands grip objects."""

import math
import re

import numpy as np

from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.measures import MEASURES
from knuckle.evaluate.protocols import Protocol
from knuckle.evaluate.report import Row
from knuckle.handmodel.box_contacts import measure_grip
from knuckle.metrics import depth_errors, scale_errors
from knuckle.metrics.curves import nan_mean

_FRAME = re.compile(r"^(.*?)(\d+)\D*$")


def extra_rows(truth: Truth, predictions: Predictions, protocol: Protocol) -> tuple[list[Row], list[np.ndarray]]:
    """The metrics beside the protocol's scores, with each one's value per hand (for intervals).

    Args:
        truth: N hands.
        predictions: for the same hands; missing and unlabelled hands do not count in any of these rows.
        protocol: for the root.

    Returns:
        Rows, and as many (N,) arrays, NaN where a hand has no value.
    """
    found: list[tuple[str, str, str, np.ndarray]] = []
    present = predictions.present & truth.labelled
    if predictions.left is not None:
        correct_side = np.where(present, predictions.left == truth.left, np.nan)
        found.append(("side_right", "side accuracy", "%", 100 * correct_side.astype(float)))
    if predictions.joints is not None and np.isfinite(truth.joints).any():
        joints = np.where(present[:, None, None], np.asarray(predictions.joints, np.float64), np.nan)
        target = np.asarray(truth.joints, np.float64)
        found += _depth_and_scale(joints, target, predictions.absolute, protocol.root)
        if protocol.objects and truth.corners is not None and predictions.corners is not None:
            found += _objects(joints, np.asarray(predictions.corners, float), target, truth.corners, protocol.root)
        if protocol.video:
            found += _acceleration_and_jitter(joints, target, truth.ids, predictions.absolute)
        if protocol.by_side and predictions.absolute:
            found.append(("mrrpe", "MRRPE (root to root)", "mm", 1e3 * _root_to_root(joints, target, truth)))
    for key, values in predictions.measures.items():
        label, unit, factor = MEASURES[key]
        found.append((key, label, unit, factor * np.where(present, values, np.nan)))
    rows, columns = [], []
    for key, label, unit, values in found:
        if np.isfinite(values).any():
            # A median says something of distances, and nothing of shares.
            median = float(np.nanmedian(values)) if unit == "mm" else math.nan
            rows.append(Row(key, label, unit, float(nan_mean(values[None])[0]), median))
            columns.append(values)
    return rows, columns


def _depth_and_scale(joints: np.ndarray, target: np.ndarray, absolute: bool, root: int) -> list:
    """Errors of depth and of scale alone, as in Spurr et al. 2020, Table 2."""
    rows = [
        ("depth_root", "depth error, root-relative", "mm", 1e3 * nan_mean(depth_errors(joints, target, root))),
        ("scale", "scale error (wrist to middle MCP)", "%", 100 * scale_errors(joints, target)),
    ]
    if absolute:
        root_depth = np.abs(joints[:, root, 2] - target[:, root, 2])
        rows.append(("root_depth", "depth error of the root", "mm", 1e3 * root_depth))
    return rows


def _objects(
    joints: np.ndarray, corners: np.ndarray, target: np.ndarray, true_corners: np.ndarray, root: int
) -> list[tuple[str, str, str, np.ndarray]]:
    """The box relative to the hand, and how the hand grips it, as predicted and in truth; NaN where either is missing.

    Penetration is that of the deepest joint, which lies below the skin: hands that hold well may have some.
    """
    corners = np.where(np.isfinite(true_corners), corners, np.nan)
    true_corners = np.where(np.isfinite(corners), true_corners, np.nan)
    error = (corners - joints[:, root : root + 1]) - (true_corners - target[:, root : root + 1])
    rows = [("corners_root", "object corners, root-relative", "mm", 1e3 * nan_mean(np.linalg.norm(error, axis=-1)))]
    for key, of, hand, box in (("", "", joints, corners), ("_truth", " of the truth", target, true_corners)):
        known = np.isfinite(hand).all((1, 2)) & np.isfinite(box).all((1, 2))
        penetration, share, spread = (np.full(len(joints), np.nan) for _ in range(3))
        if known.any():
            grip = measure_grip(hand[known], box[known])
            penetration[known], spread[known] = 1e3 * grip.penetration, grip.spread
            # A single contact holds nothing.
            share[known] = 100.0 * (grip.contacts >= 2)
        rows += [
            (f"penetration{key}", f"depth of the deepest joint in the box{of}", "mm", penetration),
            (f"contact_share{key}", f"hands with two contacts or more{of}", "%", share),
            (f"contact_spread{key}", f"spread of contacts about the box's axis{of}", "", spread),
        ]
    return rows


def _acceleration_and_jitter(joints: np.ndarray, target: np.ndarray, ids: tuple[str, ...], absolute: bool) -> list:
    """Acceleration error and jitter over runs of consecutive frames; NaN for single pictures."""
    videos, frames = video_frames(ids)
    if not absolute:
        joints, target = joints - joints[:, :1], target - target[:, :1]
    step = (np.diff(frames) == 1) & (np.diff(videos) == 0)
    acceleration, jerk, true_jerk = (np.full(len(ids), np.nan) for _ in range(3))
    if len(ids) >= 3:
        middle = np.flatnonzero(step[1:] & step[:-1]) + 1
        difference = np.diff(joints - target, n=2, axis=0)[middle - 1]
        acceleration[middle] = nan_mean(np.linalg.norm(difference, axis=-1))
    if len(ids) >= 4:
        first = np.flatnonzero(step[2:] & step[1:-1] & step[:-2])
        jerk[first] = nan_mean(np.linalg.norm(np.diff(joints, n=3, axis=0)[first], axis=-1))
        true_jerk[first] = nan_mean(np.linalg.norm(np.diff(target, n=3, axis=0)[first], axis=-1))
    return [
        ("acceleration", "acceleration error", "mm/frame2", 1e3 * acceleration),
        ("jitter", "jitter", "mm/frame3", 1e3 * jerk),
        ("jitter_truth", "jitter of the truth", "mm/frame3", 1e3 * true_jerk),
    ]


def _root_to_root(joints: np.ndarray, target: np.ndarray, truth: Truth) -> np.ndarray:
    """Error of the vector from right to left wrist, where a picture has both; at the left hand's row."""
    values = np.full(len(truth), np.nan)
    right = {picture_of(name): i for i, name in enumerate(truth.ids) if not truth.left[i]}
    for i in np.flatnonzero(truth.left):
        other = right.get(picture_of(truth.ids[i]))
        if other is not None:
            error = (joints[i, 0] - joints[other, 0]) - (target[i, 0] - target[other, 0])
            values[i] = np.linalg.norm(error)
    return values


def picture_of(name: str) -> str:
    """The picture's part of an id: what precedes ":left", ":right" or ":3" where pictures have several hands."""
    return name.partition(":")[0]


def video_frames(ids: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Video and frame number of every hand, from ids like "SEQUENCE/0001" or "SEQUENCE/0001:left".

    An id without a folder is a single picture.

    Args:
        ids: (N,) names.

    Returns:
        (N,) a number per video (folder, side and what precedes the frame number), (N,) frame numbers.
    """
    names, frames = [], []
    for i, name in enumerate(ids):
        picture, _, hand = name.partition(":")
        match = _FRAME.match(picture) if "/" in picture else None
        names.append((match[1] if match else picture, hand))
        frames.append(int(match[2]) if match else i)
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.asarray([numbers[n] for n in names], int), np.asarray(frames, int)
