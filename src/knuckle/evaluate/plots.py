"""Plots of a report: PCK curves, errors per joint, worst cases. Drawn with OpenCV, which is a dependency anyway."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.report import EvaluationReport
from knuckle.files import atomic_write
from knuckle.metrics import project
from knuckle.skeleton import FINGERS
from knuckle.view import draw_skeleton
from knuckle.view.bones import FINGER_COLORS, WRIST_COLOR

_INK, _GRID, _PAPER = (40, 40, 45), (222, 224, 228), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WIDTH, _HEIGHT = 1100, 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 40, 60, 90
_LINES = ((39, 125, 161), (230, 57, 70), (94, 181, 81), (130, 80, 190), (244, 162, 97), (90, 90, 100))


def write_plots(
    report: EvaluationReport, folder: Path, truth: Truth, predictions: Predictions, images: Mapping[int, np.ndarray]
) -> list[Path]:
    """Write a report's plots into a folder.

    Args:
        report: of an evaluation.
        folder: output; created when missing.
        truth: of that evaluation, for the worst cases.
        predictions: of that evaluation.
        images: (H, W, 3) uint8 RGB by index, of the hands in `report.worst`; a hand without one is left out.

    Returns:
        The files: pck.png (metres), pck_image.png (pixels), joints_<score>.png, worst.png.
    """
    pictures: dict[str, np.ndarray] = {}
    in_space = {k: s for k, s in report.summaries.items() if k not in ("image", "box_projection")}
    labels = {row.key: row.label for row in report.rows}
    if in_space:
        curves = {labels[k]: (1e3 * np.asarray(s.thresholds), s.curve) for k, s in in_space.items()}
        pictures["pck"] = draw_curves(
            curves, "error threshold, mm", f"{report.protocol.name}: fraction of correct points"
        )
    in_picture = {k: s for k, s in report.summaries.items() if k in ("image", "box_projection")}
    if in_picture:
        curves = {labels[k]: (np.asarray(s.thresholds), s.curve) for k, s in in_picture.items()}
        pictures["pck_image"] = draw_curves(curves, "error threshold, px", f"{report.protocol.name}: in the picture")
    for key in report.on_joints():
        unit = "px" if key == "image" else "mm"
        pictures[f"joints_{key}"] = draw_bars(report.joint_means(key), unit, f"{labels[key]}, mean per joint")
    sheet = draw_worst(report, truth, predictions, images)
    if sheet is not None:
        pictures["worst"] = sheet
    written = []
    for name, picture in pictures.items():
        with atomic_write(folder / f"{name}.png") as temporary:
            encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            temporary.write_bytes(encoded.tobytes())
        written.append(folder / f"{name}.png")
    return written


def draw_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], x_label: str, title: str
) -> UInt8[np.ndarray, "h w 3"]:
    """PCK curves in one picture, with a legend.

    Args:
        curves: by name, ascending thresholds and fractions in [0, 1]; NaN curves are left out.
        x_label: label of the x axis.
        title: above the plot.

    Returns:
        (720, 1100, 3) uint8 RGB.
    """
    known = {name: c for name, c in curves.items() if np.isfinite(c[1]).all()}
    x_max = max((float(x[-1]) for x, _ in known.values()), default=1.0)
    canvas = _axes(title, x_label, _ticks(0.0, x_max), _ticks(0.0, 1.0), x_max, 1.0)
    for i, (name, (x, y)) in enumerate(known.items()):
        color = _LINES[i % len(_LINES)]
        points = np.stack([_x(x, x_max), _y(y, 1.0)], 1)
        cv2.polylines(canvas, [np.rint(points * 16).astype(np.int32)], False, color, 2, cv2.LINE_AA, 4)
        area = float(np.trapezoid(y, x) / (x[-1] - x[0]))
        at = (_WIDTH - 430, _HEIGHT - _BOTTOM - 30 - 28 * (len(known) - 1 - i))
        cv2.line(canvas, (at[0], at[1] - 5), (at[0] + 30, at[1] - 5), color, 3, cv2.LINE_AA)
        _text(canvas, f"{name}  ({area:.3f})", (at[0] + 40, at[1]), 0.5)
    return canvas


def draw_bars(values: Mapping[str, float], unit: str, title: str) -> UInt8[np.ndarray, "h w 3"]:
    """A bar for each joint, in its finger's colour.

    Args:
        values: by joint name, optionally prefixed with a side; NaN has no bar.
        unit: of the values.
        title: above the plot.

    Returns:
        (720, 1100, 3) uint8 RGB.
    """
    names = list(values)
    heights = np.array([values[n] for n in names], float)
    top = float(np.nanmax(heights)) * 1.1 if np.isfinite(heights).any() else 1.0
    top = top if top > 0 else 1.0
    canvas = _axes(title, "", (), _ticks(0.0, top), 1.0, top, unit)
    slot = (_WIDTH - _LEFT - _RIGHT) / max(len(names), 1)
    for i, (name, height) in enumerate(zip(names, heights, strict=True)):
        x0, x1 = _LEFT + (i + 0.15) * slot, _LEFT + (i + 0.85) * slot
        finger = next((f for f in FINGERS if f in name), None)
        color = WRIST_COLOR if finger is None else FINGER_COLORS[finger]
        if np.isfinite(height):
            corner = (round(x0), round(float(_y(height, top))))
            cv2.rectangle(canvas, corner, (round(x1), _HEIGHT - _BOTTOM), color, -1, cv2.LINE_AA)
            if len(names) <= 21:
                _text(canvas, f"{height:.1f}", (round(x0) - 2, corner[1] - 6), 0.38)
        _vertical_label(canvas, name.replace("_", " "), round((x0 + x1) / 2))
    return canvas


def draw_worst(
    report: EvaluationReport,
    truth: Truth,
    predictions: Predictions,
    images: Mapping[int, np.ndarray],
    tile: int = 256,
    columns: int = 5,
) -> UInt8[np.ndarray, "h w 3"] | None:
    """The hands with the largest errors: truth in grey, prediction in colour, cropped around the hand.

    Args:
        report: whose worst cases.
        truth, predictions: of that evaluation.
        images: (H, W, 3) uint8 RGB by index.
        tile: width and height of each hand.
        columns: tiles in a row.

    Returns:
        uint8 RGB, or None when no picture is available.
    """
    tiles = []
    for i in report.worst(4 * columns):
        image = images.get(int(i))
        pixels = _pixels(truth, int(i), truth.joints_image, truth.joints)
        if image is None or pixels is None:
            continue
        predicted = None
        if predictions.present[i]:
            predicted = _pixels(
                truth, int(i), predictions.joints_image, predictions.joints if predictions.absolute else None
            )
        tiles.append(_worst_tile(image, pixels, predicted, tile))
        error = report.sample_errors[i] * (1.0 if report.ranked_by == "image" else 1e3)
        unit = "px" if report.ranked_by == "image" else "mm"
        _text(tiles[-1], report.ids[i][-30:], (6, 16), 0.4, halo=True)
        found = f"{error:.1f} {unit}" if predictions.present[i] else "missing"
        _text(tiles[-1], found, (6, tile - 8), 0.45, halo=True)
    if not tiles:
        return None
    while len(tiles) % columns and len(tiles) > columns:
        tiles.append(np.full((tile, tile, 3), 255, np.uint8))
    rows = [np.concatenate(tiles[a : a + columns], 1) for a in range(0, len(tiles), columns)]
    return np.concatenate(rows, 0)


def _pixels(truth: Truth, i: int, pixels: np.ndarray | None, joints: np.ndarray | None) -> np.ndarray | None:
    """(21, 2) of hand i: its 2D joints, or its projected 3D joints."""
    if pixels is not None:
        return np.asarray(pixels[i], np.float64)
    if joints is None or truth.K is None:
        return None
    return project(truth.K[i], np.asarray(joints[i], np.float64))


def _worst_tile(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray | None, size: int) -> np.ndarray:
    known = truth[np.isfinite(truth).all(1)]
    low, high = known.min(0), known.max(0)
    side = max(float((high - low).max()) * 1.6, 24.0)
    corner = (low + high) / 2 - side / 2
    scale = size / side
    warp = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    crop = cv2.warpAffine(image, warp, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(draw_skeleton(np.full_like(crop, 255), (truth - corner) * scale), cv2.COLOR_RGB2GRAY)
    # The truth is a pale skeleton below the coloured one.
    crop = np.where(grey[..., None] < 250, (0.25 * crop + 0.75 * 235).astype(np.uint8), crop)
    return crop if predicted is None else draw_skeleton(crop, (predicted - corner) * scale, thickness=1.2)


def _axes(
    title: str,
    x_label: str,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    x_max: float,
    y_max: float,
    y_label: str = "",
) -> np.ndarray:
    canvas = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    for tick in y_ticks:
        y = round(float(_y(tick, y_max)))
        cv2.line(canvas, (_LEFT, y), (_WIDTH - _RIGHT, y), _GRID, 1, cv2.LINE_AA)
        _text(canvas, f"{tick:g}", (_LEFT - 58, y + 5), 0.5)
    for tick in x_ticks:
        x = round(float(_x(tick, x_max)))
        cv2.line(canvas, (x, _TOP), (x, _HEIGHT - _BOTTOM), _GRID, 1, cv2.LINE_AA)
        _text(canvas, f"{tick:g}", (x - 12, _HEIGHT - _BOTTOM + 24), 0.5)
    cv2.line(canvas, (_LEFT, _HEIGHT - _BOTTOM), (_WIDTH - _RIGHT, _HEIGHT - _BOTTOM), _INK, 1, cv2.LINE_AA)
    cv2.line(canvas, (_LEFT, _TOP), (_LEFT, _HEIGHT - _BOTTOM), _INK, 1, cv2.LINE_AA)
    _text(canvas, title, (_LEFT, 34), 0.62)
    _text(canvas, x_label, (_WIDTH // 2 - 60, _HEIGHT - 24), 0.55)
    _text(canvas, y_label, (_LEFT - 58, _TOP - 12), 0.5)
    return canvas


def _x(value: Float[np.ndarray, "..."] | float, top: float) -> np.ndarray:
    return np.asarray(_LEFT + np.asarray(value) / top * (_WIDTH - _LEFT - _RIGHT))


def _y(value: Float[np.ndarray, "..."] | float, top: float) -> np.ndarray:
    return np.asarray(_HEIGHT - _BOTTOM - np.asarray(value) / top * (_HEIGHT - _TOP - _BOTTOM))


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers from low to high, five to ten of them."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return tuple(round(t, 10) for t in np.arange(low, high + step * 1e-6, step))


def _text(canvas: np.ndarray, text: str, at: tuple[int, int], size: float, halo: bool = False) -> None:
    # Hershey fonts hold ASCII only.
    text = text.encode("ascii", "replace").decode()
    if halo:
        cv2.putText(canvas, text, at, _FONT, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, at, _FONT, size, (255, 255, 255) if halo else _INK, 1, cv2.LINE_AA)


def _vertical_label(canvas: np.ndarray, text: str, x: int) -> None:
    """Write a joint's name vertically below its bar."""
    strip = np.full((18, _BOTTOM - 6, 3), _PAPER, np.uint8)
    cv2.putText(strip, text, (2, 13), _FONT, 0.36, _INK, 1, cv2.LINE_AA)
    turned = cv2.rotate(strip, cv2.ROTATE_90_CLOCKWISE)
    x0 = int(np.clip(x - 9, 0, _WIDTH - turned.shape[1]))
    top = _HEIGHT - _BOTTOM + 4
    part = canvas[top : top + turned.shape[0], x0 : x0 + turned.shape[1]]
    np.minimum(part, turned[: part.shape[0], : part.shape[1]], out=part)
