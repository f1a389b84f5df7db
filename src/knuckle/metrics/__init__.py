"""Metrics: errors under the alignments of the field, PCK curves, F-scores, bootstrap intervals. NumPy only."""

from knuckle.metrics.align import (
    align_by_keypoints,
    align_by_keypoints_official,
    align_procrustes,
    align_root,
    align_root_scale,
    align_scale_translation,
)
from knuckle.metrics.bootstrap import bootstrap_means
from knuckle.metrics.curves import (
    FPHA_80MM,
    HOP_20PX,
    OBJECT_50PX,
    OFFICIAL_50MM,
    ZIMMERMANN_20_50MM,
    ZIMMERMANN_30PX,
    ZIMMERMANN_50MM,
    auc,
    pck,
    sample_areas,
)
from knuckle.metrics.errors import (
    acceleration_errors,
    corner_errors,
    depth_errors,
    jitter,
    point_errors,
    project,
    projected_box_errors,
    scale_errors,
)
from knuckle.metrics.fscore import F_THRESHOLDS, f_scores
from knuckle.metrics.plausibility import plausibility
from knuckle.metrics.tally import ErrorSummary, Tally, summarise

__all__ = [
    "FPHA_80MM",
    "F_THRESHOLDS",
    "HOP_20PX",
    "OBJECT_50PX",
    "OFFICIAL_50MM",
    "ZIMMERMANN_20_50MM",
    "ZIMMERMANN_30PX",
    "ZIMMERMANN_50MM",
    "ErrorSummary",
    "Tally",
    "acceleration_errors",
    "align_by_keypoints",
    "align_by_keypoints_official",
    "align_procrustes",
    "align_root",
    "align_root_scale",
    "align_scale_translation",
    "auc",
    "bootstrap_means",
    "corner_errors",
    "depth_errors",
    "f_scores",
    "jitter",
    "pck",
    "plausibility",
    "point_errors",
    "project",
    "projected_box_errors",
    "sample_areas",
    "scale_errors",
    "summarise",
]
