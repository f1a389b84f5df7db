"""Score predictions under a protocol: chunk by chunk, on all cores, in bounded memory."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from knuckle.evaluate.chunks import MISS_METRES, MISS_PIXELS, Chunk
from knuckle.evaluate.data import Predictions, Truth
from knuckle.evaluate.extras import extra_rows, video_frames
from knuckle.evaluate.protocols import CORNER_THRESHOLDS, OBJECT_THRESHOLDS, Alignment, Protocol, Score
from knuckle.evaluate.report import EvaluationReport, Row
from knuckle.handmodel import human_limits
from knuckle.handmodel.ranges import MEASURED_MARGINS
from knuckle.metrics import (
    F_THRESHOLDS,
    ErrorSummary,
    Tally,
    bootstrap_means,
    f_scores,
    plausibility,
    point_errors,
)

# Small enough for the meshes of a chunk to stay in the cache; joints alone are faster in larger chunks.
_ROWS_WITH_MESH, _ROWS_WITHOUT = 128, 4096
_MIN_VIDEOS = 10  # fewer do not show how videos differ, so frames are resampled instead

Missing = Literal["penalty", "skip", "error"]


def evaluate(
    truth: Truth,
    predictions: Predictions,
    protocol: Protocol,
    *,
    missing: Missing = "penalty",
    generator: np.random.Generator | None = None,
    resamples: int = 1000,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda hands: None,
) -> EvaluationReport:
    """Every number of a protocol for one set of predictions.

    Args:
        truth: N labelled hands.
        predictions: for the same hands, in the same order.
        protocol: what to compute; a value of PROTOCOLS.
        missing: a missing prediction counts as an error of 50 mm at every point and 50 px ("penalty"), is left out
            ("skip"), or is not allowed ("error").
        generator: for the bootstrap; None gives the same intervals every time.
        resamples: number of bootstrap samples for the 95 % intervals; 0 for no intervals.
        workers: threads; None for one per core.
        advance: called with the number of hands scored since the last call.

    Returns:
        EvaluationReport. Scores that the labels or predictions do not allow are left out and named in its remarks.

    Raises:
        ValueError: the numbers of hands differ, a present prediction is not finite, nothing can be compared, or
            predictions are missing under "error".
    """
    if len(truth) != len(predictions):
        raise ValueError(
            f"predictions must hold one hand per label, {len(truth)}, but got {len(predictions)}; check the split"
        )
    if len(truth) == 0:
        raise ValueError("truth must hold at least one hand but got none; check the folder and the split")
    absent = np.flatnonzero(~predictions.present & truth.labelled)
    if missing == "error" and len(absent):
        names = ", ".join(truth.ids[i] for i in absent[:3])
        raise ValueError(
            f"predictions must be complete but {len(absent)} are missing ({names}, ...); or choose penalty or skip"
        )
    run = _Evaluation(truth, predictions, protocol, missing)
    if not run.scores and run.image is None:
        raise ValueError(
            f"predictions must hold what {protocol.name} compares, joints or joints_image, but got neither"
        )
    starts = range(0, len(truth), run.rows)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for done in pool.map(run.chunk, starts):
            advance(done)
    return run.report(generator or np.random.default_rng(0), resamples)


class _Evaluation:
    """The state of one evaluation: tallies that threads fill on disjoint rows."""

    def __init__(self, truth: Truth, predictions: Predictions, protocol: Protocol, missing: Missing):
        self.truth, self.predictions, self.protocol, self.missing = truth, predictions, protocol, missing
        self.labelled = truth.labelled
        n = len(truth)
        self.same_mesh = _same_mesh(truth, predictions)
        self.scores = tuple(s for s in protocol.scores if self._can_score(s))
        with_mesh = truth.vertices is not None and predictions.vertices is not None
        without_joints = self.same_mesh and predictions.joints is None
        f_alignments: list[Alignment] = [
            a
            for a in protocol.f_alignments
            if with_mesh and (predictions.absolute or a != "camera") and not (without_joints and a == "root")
        ]
        # The official alignment of another topology is faulty; the intended one is reported beside it.
        if not self.same_mesh and "official" in f_alignments and "procrustes" not in f_alignments:
            f_alignments.append("procrustes")
        self.f_values: dict[Alignment, np.ndarray] = {a: np.full((n, len(F_THRESHOLDS)), np.nan) for a in f_alignments}
        self.tallies = {s.key: self._tally(s) for s in self.scores}
        columns = 42 if protocol.by_side else len(protocol.joints)
        self.image = Tally(n, columns, protocol.image_thresholds) if self._can_score_image() else None
        self.boxes: dict[str, Tally] = {}
        if protocol.objects and truth.corners is not None and predictions.corners is not None:
            self.boxes["corners"] = Tally(n, 8, CORNER_THRESHOLDS)
            if truth.K is not None:
                self.boxes["box_projection"] = Tally(n, 1, OBJECT_THRESHOLDS)
        self.limits = human_limits().widened(**MEASURED_MARGINS) if predictions.joints is not None else None
        self.plausible = {key: np.full(n, np.nan) for key in _PLAUSIBLE} if self.limits is not None else {}
        self.parts: dict[str, list] = {key: [] for key in (*self.tallies, *self.boxes, "image")}
        self.rows = _ROWS_WITH_MESH if with_mesh else _ROWS_WITHOUT

    def _can_score(self, score: Score) -> bool:
        if score.alignment == "camera" and not self.predictions.absolute:
            return False
        with_joints = self.predictions.joints is not None and bool(np.isfinite(self.truth.joints).any())
        if score.points == "joints":
            return with_joints
        return self.same_mesh and (with_joints or score.alignment != "root")

    def _can_score_image(self) -> bool:
        labels = self.truth.joints_image is not None or self.truth.K is not None
        predicted = self.predictions.joints_image is not None or (
            self.truth.K is not None and self.predictions.joints is not None and self.predictions.absolute
        )
        return labels and predicted

    def _tally(self, score: Score) -> Tally:
        if score.points == "vertices":
            rows = self.truth.mesh_rows
            # A mesh score is possible only with a mesh.
            points = len(rows) if rows is not None else self.truth.vertices.shape[1]  # type: ignore[union-attr]
        elif score.per_hand:
            points = 1
        else:
            points = 42 if self.protocol.by_side else len(self.protocol.joints)
        return Tally(len(self.truth), points, score.thresholds)

    def chunk(self, start: int) -> int:
        """Score the chunk of hands that begins at `start`; returns its size."""
        stop = min(start + self.rows, len(self.truth))
        chunk = Chunk(self.truth, self.predictions, self.protocol, start, stop)
        # Grouped by alignment, so that a mesh is aligned once for both errors and F-scores.
        alignments: list[Alignment] = [*(s.alignment for s in self.scores), *self.f_values]
        for alignment in dict.fromkeys(alignments):
            for score in self.scores:
                if score.alignment == alignment and score.points == "joints":
                    errors = point_errors(chunk.aligned_joints(alignment), chunk.target)
                    errors = (
                        errors.mean(1, keepdims=True) if score.per_hand else self._split_by_side(errors, start, stop)
                    )
                    self._keep(score.key, self.tallies[score.key], chunk, errors, MISS_METRES)
            meshes = [s for s in self.scores if s.alignment == alignment and s.points == "vertices"]
            if not meshes and alignment not in self.f_values:
                continue
            aligned = chunk.aligned_vertices(alignment, self.same_mesh)
            for score in meshes:
                errors = point_errors(aligned, chunk.target_vertices)
                self._keep(score.key, self.tallies[score.key], chunk, errors, MISS_METRES)
            if alignment in self.f_values:
                values = f_scores(aligned, chunk.target_vertices)
                values[~chunk.present] = 0.0 if self.missing == "penalty" else np.nan
                self.f_values[alignment][start:stop] = values
        if self.image is not None:
            errors = self._split_by_side(chunk.image_errors(), start, stop)
            self._keep("image", self.image, chunk, errors, MISS_PIXELS)
        for key, tally in self.boxes.items():
            self._keep(key, tally, chunk, chunk.box_errors(key), MISS_PIXELS if "projection" in key else MISS_METRES)
        if self.limits is not None:
            scored = chunk.present & self.labelled[start:stop]
            side = self.truth.left if self.predictions.left is None else self.predictions.left
            for key, values in plausibility(
                chunk.predicted_joints[scored], side[start:stop][scored], self.limits
            ).items():
                self.plausible[key][start:stop][scored] = values
        return stop - start

    def _split_by_side(self, errors: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Under by_side (n, 42): right hands in the first 21 columns, left ones in the others."""
        if not self.protocol.by_side:
            return errors
        wide = np.full((len(errors), 2, 21), np.nan)
        wide[np.arange(len(errors)), self.truth.left[start:stop].astype(int)] = errors
        return wide.reshape(len(errors), 42)

    def _keep(self, key: str, tally: Tally, chunk: Chunk, errors: np.ndarray, penalty: float) -> None:
        value = penalty if self.missing == "penalty" else np.nan
        missing = ~chunk.present[:, None] & np.isfinite(errors)
        self.parts[key].append(tally.add(chunk.start, np.where(missing, value, errors), ~chunk.present))

    def report(self, generator: np.random.Generator, resamples: int) -> EvaluationReport:
        """The rows, curves and worst cases of all chunks."""
        summaries: dict[str, ErrorSummary] = {}
        columns: list[np.ndarray] = []
        rows: list[Row] = []
        named = [(s.key, s.label, "mm", self.tallies[s.key]) for s in self.scores]
        named += [("image", "2D error", "px", self.image)] if self.image is not None else []
        named += [(k, _BOX_LABELS[k][0], _BOX_LABELS[k][1], t) for k, t in self.boxes.items()]
        for key, label, unit, tally in named:
            summary = summaries[key] = tally.summary(self.parts[key])
            factor = 1e3 if unit == "mm" else 1.0
            median = tally.pooled_median() if self.protocol.pooled_median else summary.median
            rows.append(Row(key, label, unit, summary.mean * factor, median=median * factor))
            columns.append(tally.sample_means * factor)
            for name, value in summary.aucs.items():
                rows.append(Row(f"{key}_{_slug(name)}", f"{label} {name}", "", value))
                columns.append(tally.sample_areas[name])
                if key == "image":
                    by_category = self._areas_by_category(name, label, tally.sample_areas[name])
                    rows += [row for row, _ in by_category]
                    columns += [values for _, values in by_category]
        for alignment, values in self.f_values.items():
            for t, threshold in enumerate(F_THRESHOLDS):
                label = f"F@{threshold * 1e3:.0f} mm {alignment}"
                rows.append(
                    Row(f"f{threshold * 1e3:.0f}_{alignment.replace('-', '_')}", label, "", _mean(values[:, t]))
                )
                columns.append(values[:, t])
        extra, extra_columns = extra_rows(self.truth, self.predictions, self.protocol)
        rows += extra
        columns += extra_columns
        for key, values in self.plausible.items():
            label, unit, factor = _PLAUSIBLE[key]
            rows.append(Row(f"implausible_{key}", label, unit, _mean(values) * factor))
            columns.append(values * factor)
        groups = self._groups()
        if resamples:
            interval = bootstrap_means(np.stack(columns, 1), generator, groups, resamples)
            rows = [row.with_interval(low, high) for row, (low, high) in zip(rows, interval.tolist(), strict=True)]
        ranked_by = self.scores[0].key if self.scores else "image"
        tally = self.tallies.get(ranked_by, self.image)
        assert tally is not None  # otherwise evaluate has raised
        return EvaluationReport(
            protocol=self.protocol,
            source=self.predictions.source,
            samples=int(self.labelled.sum()),
            missing=int((self.labelled & ~self.predictions.present).sum()),
            missing_rule=self.missing,
            rows=tuple(rows),
            summaries=summaries,
            ids=self.truth.ids,
            ranked_by=ranked_by,
            sample_errors=tally.sample_means,
            subsets=self._subsets(ranked_by, tally),
            remarks=self._remarks(),
        )

    def _subsets(self, key: str, tally: Tally) -> Mapping[str, tuple[int, float]]:
        factor = 1.0 if key == "image" else 1e3
        found = {}
        for name, mask in self.truth.subsets.items():
            part = Tally(int(mask.sum()), tally.errors.shape[1], {"": tally.thresholds})
            mean = part.summary([part.add(0, tally.errors[mask].astype(np.float64))]).mean
            found[name] = (int(mask.sum()), mean * factor)
        return found

    def _areas_by_category(self, name: str, label: str, areas: np.ndarray) -> list[tuple[Row, np.ndarray]]:
        """The area under the curve of the hands that hold an object of each category, the mean over hands."""
        found = []
        for category in sorted({c for c in self.truth.categories if c}):
            values = np.where([c == category for c in self.truth.categories], areas, np.nan)
            row = Row(f"image_{_slug(name)}_{_slug(category)}", f"{label} {name}, {category}", "", _mean(values))
            found.append((row, values))
        return found

    def _groups(self) -> np.ndarray | None:
        videos, _ = video_frames(self.truth.ids)
        count = len(np.unique(videos))
        # Where every hand is a video of its own, there are no videos.
        return videos if _MIN_VIDEOS <= count < len(videos) else None

    def _left_out(self) -> dict[str, list[str]]:
        """Labels of the scores that cannot be computed, by reason."""
        reasons: dict[str, list[str]] = {}
        for score in self.protocol.scores:
            if score in self.scores:
                continue
            if score.points == "vertices" and self.truth.vertices is None:
                why = "the set has no meshes"
            elif score.points == "vertices" and self.predictions.vertices is None:
                why = "no meshes were predicted"
            elif score.points == "vertices" and not self.same_mesh:
                why = "the meshes do not share their vertices"
            elif score.alignment == "camera" and not self.predictions.absolute:
                why = "the predictions are not in the camera frame"
            else:
                why = "there are no joints in space to compare"
            reasons.setdefault(why, []).append(score.label)
        return reasons

    def _remarks(self) -> tuple[str, ...]:
        remarks = []
        for why, labels in self._left_out().items():
            remarks.append(f"left out: {', '.join(labels)}: {why}")
        if "official" in self.f_values and not self.same_mesh:
            remarks.append(
                "the official script moves a mesh of another topology by a faulty transform; "
                "'procrustes' is the intended alignment"
            )
        return tuple(remarks)


_PLAUSIBLE = {
    "bones": ("bones outside human limits", "%", 100.0),
    "angles": ("finger joints outside human limits", "%", 100.0),
    "palm": ("palm quantities outside human limits", "%", 100.0),
    "bones_excess": ("mean excess of bones", "% of wrist to middle MCP", 100.0),
    "angles_excess": ("mean excess of finger joints", "deg", float(np.degrees(1.0))),
    "palm_excess": ("mean excess of the palm's spread", "deg", float(np.degrees(1.0))),
}
_BOX_LABELS = {"corners": ("object corners", "mm"), "box_projection": ("object 2D projection", "px")}


def _same_mesh(truth: Truth, predictions: Predictions) -> bool:
    if truth.vertices is None or predictions.vertices is None:
        return False
    return truth.vertices.shape[1] == predictions.vertices.shape[1]


def _mean(values: np.ndarray) -> float:
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else float("nan")


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
